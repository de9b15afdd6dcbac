//! TOML as people write it: tables with headings, short things on one line, long texts on
//! several. Texts that read like variables are escaped, so that they stay texts.

use std::fmt::Write as _;
use std::time::Duration;

use indexmap::IndexMap;

use crate::variables;

/// A file that is being written.
#[derive(Debug, Default)]
pub(super) struct Document {
    text: String,
}

/// A value on the right of an equals sign.
#[derive(Debug, Clone)]
pub(super) enum Literal {
    Text(String),
    Bool(bool),
    /// A number as it is written.
    Number(String),
    List(Vec<Literal>),
    Table(Vec<(String, Literal)>),
}

/// How wide a line may get before a list is written over several.
const WIDTH: usize = 100;

// === impl Document ===

impl Document {
    /// A line of prose.
    pub(super) fn comment(&mut self, text: &str) {
        for line in text.lines() {
            let line = format!("# {line}");
            self.line(line.trim_end());
        }
    }

    /// An empty line.
    pub(super) fn space(&mut self) {
        self.line("");
    }

    /// `[a.b]`: what follows belongs to it.
    pub(super) fn heading(&mut self, path: &[&str]) {
        let path = dotted(path);
        self.line(&format!("\n[{path}]"));
    }

    /// `[[a.b]]`: what follows belongs to a new item of a list.
    pub(super) fn item(&mut self, path: &[&str]) {
        let path = dotted(path);
        self.line(&format!("\n[[{path}]]"));
    }

    /// `key = value`
    pub(super) fn set(&mut self, key: &str, value: impl Into<Literal>) {
        let key = quoted_key(key);
        let value = value.into();
        let short = value.to_string();
        match &value {
            Literal::List(items) if key.len() + short.len() > WIDTH => {
                self.line(&format!("{key} = ["));
                for item in items {
                    self.line(&format!("  {item},"));
                }
                self.line("]");
            }
            Literal::Text(text) if is_block(text) => {
                self.line(&format!("{key} = '''\n{}'''", escaped(text)));
            }
            _ => self.line(&format!("{key} = {short}")),
        }
    }

    /// `key = value`, where there is one.
    pub(super) fn set_some(&mut self, key: &str, value: Option<impl Into<Literal>>) {
        if let Some(value) = value {
            self.set(key, value);
        }
    }

    /// A table of texts with a heading, where there are any.
    pub(super) fn texts(&mut self, path: &[&str], texts: &IndexMap<String, String>) {
        if texts.is_empty() {
            return;
        }
        self.heading(path);
        for (name, text) in texts {
            self.set(name, text.as_str());
        }
    }

    /// The whole text.
    pub(super) fn finish(self) -> String {
        self.text
    }

    fn line(&mut self, line: &str) {
        self.text.push_str(line);
        self.text.push('\n');
    }
}

// === impl Literal ===

impl Literal {
    /// A list of texts.
    pub(super) fn texts<T: AsRef<str>>(items: impl IntoIterator<Item = T>) -> Self {
        Self::List(items.into_iter().map(|item| item.as_ref().into()).collect())
    }

    /// A value of JSON. TOML has no null: an entry of a table that is null is left out.
    pub(super) fn json(value: &serde_json::Value) -> Option<Self> {
        Some(match value {
            serde_json::Value::Null => return None,
            serde_json::Value::Bool(value) => Self::Bool(*value),
            serde_json::Value::Number(number) => {
                let text = number.to_string();
                let is_float = number.is_f64() && !text.contains(['.', 'e', 'E']);
                Self::Number(if is_float { format!("{text}.0") } else { text })
            }
            serde_json::Value::String(text) => Self::Text(text.clone()),
            serde_json::Value::Array(items) => {
                Self::List(items.iter().filter_map(Self::json).collect())
            }
            serde_json::Value::Object(map) => {
                let entries = map.iter();
                let entries = entries.filter_map(|(key, it)| Some((key.clone(), Self::json(it)?)));
                Self::Table(entries.collect())
            }
        })
    }
}

impl From<&str> for Literal {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<&String> for Literal {
    fn from(text: &String) -> Self {
        Self::Text(text.clone())
    }
}

impl From<String> for Literal {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<bool> for Literal {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}

impl From<u32> for Literal {
    fn from(value: u32) -> Self {
        Self::Number(value.to_string())
    }
}

impl From<Duration> for Literal {
    fn from(time: Duration) -> Self {
        const HOUR: u128 = 3600 * 1000;
        const MINUTE: u128 = 60 * 1000;
        let whole = time.as_millis();
        if Duration::from_millis(u64::try_from(whole).unwrap_or(u64::MAX)) != time {
            return Self::Text(format!("{}s", time.as_secs_f64()));
        }
        Self::Text(match whole {
            0 => "0s".to_owned(),
            ms if ms % HOUR == 0 => format!("{}h", ms / HOUR),
            ms if ms % MINUTE == 0 => format!("{}m", ms / MINUTE),
            ms if ms % 1000 == 0 => format!("{}s", ms / 1000),
            ms => format!("{ms}ms"),
        })
    }
}

impl std::fmt::Display for Literal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Text(text) => f.write_str(&quoted(&escaped(text))),
            Self::Bool(value) => write!(f, "{value}"),
            Self::Number(text) => f.write_str(text),
            Self::List(items) => {
                let items: Vec<_> = items.iter().map(Self::to_string).collect();
                write!(f, "[{}]", items.join(", "))
            }
            Self::Table(entries) if entries.is_empty() => f.write_str("{}"),
            Self::Table(entries) => {
                let entries = entries.iter();
                let entries: Vec<_> =
                    entries.map(|(key, value)| format!("{} = {value}", quoted_key(key))).collect();
                write!(f, "{{ {} }}", entries.join(", "))
            }
        }
    }
}

/// A text in whose place the file's variables leave it as it is.
fn escaped(text: &str) -> String {
    if variables::is_plain(text) {
        return text.to_owned();
    }
    let mut escaped = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("${") {
        let slashes = before.len() - before.trim_end_matches('\\').len();
        escaped.push_str(before);
        // A pair of backslashes is one; a single one escapes the variable.
        escaped.push_str(&"\\".repeat(slashes + 1));
        escaped.push_str("${");
        rest = after;
    }
    escaped.push_str(rest);
    escaped
}

/// Whether a text is written over several lines.
fn is_block(text: &str) -> bool {
    let ordinary = |c: char| !c.is_control() || matches!(c, '\n' | '\t');
    text.contains('\n')
        && !text.contains("'''")
        && !text.ends_with('\'')
        && text.chars().all(ordinary)
}

/// A text in quotes: single ones where that saves escapes.
fn quoted(text: &str) -> String {
    let needs_escapes = text.contains(['"', '\\']);
    let can_be_literal = !text.contains('\'') && !text.chars().any(char::is_control);
    if needs_escapes && can_be_literal {
        return format!("'{text}'");
    }
    let mut quoted = String::from("\"");
    for c in text.chars() {
        match c {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '\n' => quoted.push_str("\\n"),
            '\r' => quoted.push_str("\\r"),
            '\t' => quoted.push_str("\\t"),
            c if c.is_control() => {
                // Writing to a text cannot fail.
                let _ = write!(quoted, "\\u{:04X}", u32::from(c));
            }
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

/// A key, in quotes where it has to be.
fn quoted_key(key: &str) -> String {
    let bare = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    if !key.is_empty() && key.chars().all(bare) { key.to_owned() } else { quoted(key) }
}

fn dotted(path: &[&str]) -> String {
    let parts: Vec<_> = path.iter().map(|part| quoted_key(part)).collect();
    parts.join(".")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_read_as_they_were() {
        for text in [
            "plain",
            "",
            "it's",
            "say \"hi\"",
            "C:\\x",
            "both ' and \"",
            "two\nlines",
            "\nthree\n\n",
            "ends with '\n'",
            "'''\n",
            "tab\tand\u{7f}\u{0}\r\n",
            "é 🌍",
        ] {
            let mut document = Document::default();
            document.set("a key", text);
            document.set("list", Literal::texts([text, text]));
            let written = document.finish();
            let read: toml::Table = written.parse().unwrap();
            assert_eq!(read["a key"].as_str(), Some(text), "{written}");
            assert_eq!(read["list"][1].as_str(), Some(text), "{written}");
        }
    }

    #[test]
    fn what_reads_like_a_variable_is_escaped_and_nothing_else() {
        for (text, expected) in [
            ("${env:HOME}", "\\${env:HOME}"),
            ("a\\${self:b}", "a\\\\\\${self:b}"),
            ("${iot:ClientId}", "${iot:ClientId}"),
            ("${AWS::Region}", "${AWS::Region}"),
            ("$request.body.a", "$request.body.a"),
        ] {
            assert_eq!(escaped(text), expected);
        }
    }

    #[test]
    fn times_are_in_the_largest_unit_that_is_whole() {
        for (ms, expected) in [(0, "0s"), (1500, "1500ms"), (90_000, "90s"), (600_000, "10m")] {
            let literal = Literal::from(Duration::from_millis(ms));
            assert_eq!(literal.to_string(), format!("\"{expected}\""));
        }
    }
}
