//! `samconfig.toml`: what `sam deploy` would be told. Of its tables `ENV.global.parameters`
//! and, over that, `ENV.deploy.parameters` count, where ENV is `--stage` or else `default`
//! (SAM CLI, "AWS SAM CLI configuration file").

use indexmap::IndexMap;

use crate::decode::refuse;
use crate::diagnostic::{Issue, Issues};
use crate::node::{Node, toml, yaml};
use crate::reading::Reading;
use crate::source::Span;

use super::is_stack_name;

/// The files that are looked for beside the template, in this order.
const FILE_NAMES: [&str; 3] = ["samconfig.toml", "samconfig.yaml", "samconfig.yml"];

/// The table of what is given no other.
const DEFAULT_ENVIRONMENT: &str = "default";

/// The largest file that is read, in bytes.
const MAX_FILE_BYTES: u64 = 1024 * 1024;

/// What the file says that matters here.
#[derive(Debug, Default)]
pub(super) struct Config {
    pub(super) stack_name: Option<String>,
    pub(super) region: Option<String>,
    /// Values of parameters, and where they are given.
    pub(super) overrides: IndexMap<String, (String, Span)>,
}

impl Config {
    /// Reads the file beside the template, where there is one. Faults in it are told as
    /// warnings: it is another tool's.
    pub(super) fn read(reading: &mut Reading<'_>) -> Self {
        let mut config = Self::default();
        let mut faults = Issues::default();
        if let Some(root) = tree(reading, &mut faults) {
            let stage = reading.options.stage.as_deref();
            let environment = stage.filter(|stage| root.get(stage).is_some());
            let environment = environment.unwrap_or(DEFAULT_ENVIRONMENT);
            for command in ["global", "deploy"] {
                if let Some(node) = root.at(&[environment, command, "parameters"]) {
                    config.take(node, &mut faults);
                }
            }
        }
        reading.issues.take_as_warnings(faults, "; it has no effect here");
        config
    }

    fn take(&mut self, node: &Node, faults: &mut Issues) {
        let mut text = |key: &str, into: &mut Option<String>| {
            let Some(node) = node.get(key) else { return };
            match node.scalar_text() {
                Some(text) => *into = Some(text),
                None => refuse(node, "text", faults),
            }
        };
        text("stack_name", &mut self.stack_name);
        text("region", &mut self.region);
        if let Some(name) = self.stack_name.take_if(|name| !is_stack_name(name)) {
            let place = node.get("stack_name").unwrap_or(node).span;
            let issue = Issue::error(place, format!("`{name}` is not a valid name of a stack"));
            faults.push(issue.expected("a letter, then letters, digits and hyphens"));
        }
        if let Some(node) = node.get("parameter_overrides") {
            self.take_overrides(node, faults);
        }
    }

    /// `parameter_overrides`: a text, a list of texts, or a table.
    fn take_overrides(&mut self, node: &Node, faults: &mut Issues) {
        if let Some(map) = node.as_map() {
            for (name, entry) in map {
                match entry.node.scalar_text() {
                    Some(value) => {
                        self.overrides.insert(name.clone(), (value, entry.node.span));
                    }
                    None => refuse(&entry.node, "text", faults),
                }
            }
            return;
        }
        for item in node.as_list().unwrap_or(std::slice::from_ref(node)) {
            let Some(text) = item.as_str() else {
                refuse(item, "NAME=VALUE", faults);
                continue;
            };
            let words = words(text);
            for word in &words {
                match pair(word) {
                    Some((name, value)) => {
                        self.overrides.insert(name, (value, item.span));
                    }
                    None => {
                        let message = format!("`{word}` gives no parameter a value");
                        faults.push(Issue::error(item.span, message).expected("NAME=VALUE"));
                    }
                }
            }
        }
    }
}

/// The file as a tree.
fn tree(reading: &mut Reading<'_>, faults: &mut Issues) -> Option<Node> {
    let candidates = FILE_NAMES.map(|name| reading.folder.join(name));
    let path = candidates.iter().find(|path| path.is_file()).cloned();
    reading.files.extend(candidates);
    let path = path?;
    let is_small = std::fs::metadata(&path).is_ok_and(|found| found.len() <= MAX_FILE_BYTES);
    let text = std::fs::read_to_string(&path).ok().filter(|_| is_small)?;
    let file = reading.sources.add(path.clone(), text.clone());
    if path.extension().is_some_and(|extension| extension == "toml") {
        return Some(toml::parse(file, &text, faults));
    }
    match yaml::parse(file, &text, faults) {
        Ok(root) => Some(root),
        Err(issue) => {
            faults.push(issue);
            None
        }
    }
}

/// `NAME=VALUE`, or the old form `ParameterKey=NAME,ParameterValue=VALUE`.
fn pair(word: &str) -> Option<(String, String)> {
    let old = word.strip_prefix("ParameterKey=");
    let (name, value) = match old.and_then(|rest| rest.split_once(",ParameterValue=")) {
        Some(pair) => pair,
        None => word.split_once('=')?,
    };
    (!name.is_empty()).then(|| (name.to_owned(), value.to_owned()))
}

/// The words of a text as a shell splits it: quotes hold a word together, a backslash
/// takes the next character as it is.
fn words(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote = None;
    let mut characters = text.chars();
    while let Some(c) = characters.next() {
        match (c, quote) {
            ('\\', _) if quote != Some('\'') => {
                word.get_or_insert_default().extend(characters.next());
            }
            (c, Some(open)) if c == open => quote = None,
            ('"' | '\'', None) => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            (c, None) if c.is_whitespace() => words.extend(word.take()),
            (c, _) => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn overrides_are_split_as_a_shell_would() {
        let pairs = |text: &str| -> Vec<_> { words(text).iter().filter_map(|w| pair(w)).collect() };
        let own = |pairs: &[(&str, &str)]| -> Vec<(String, String)> {
            pairs.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect()
        };
        for (text, expected) in [
            ("Stage=prod Name=\"two words\"", &[("Stage", "prod"), ("Name", "two words")][..]),
            ("\"Stage\"=\"prod\"  A=''", &[("Stage", "prod"), ("A", "")]),
            ("ParameterKey=A,ParameterValue=b,c D=e=f", &[("A", "b,c"), ("D", "e=f")]),
            ("A=b\\ c \"B=it's\"", &[("A", "b c"), ("B", "it's")]),
            ("", &[]),
        ] {
            assert_eq!(pairs(text), own(expected), "{text}");
        }
        assert_eq!(pair("loose"), None);
    }
}
