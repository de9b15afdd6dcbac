//! What CloudFormation does to a template before anything else: `AWS::Include`, which puts
//! the content of a file in its place, and `Fn::ForEach`, which writes a part out once for
//! each value of a list (reference: CloudFormation's user guide, "AWS::LanguageExtensions").

use std::path::PathBuf;

use crate::cloudformation::Stack;
use crate::decode::refuse;
use crate::diagnostic::{Issue, Issues};
use crate::node::{Entry, MAX_NODES, Map, Node, Value, json, yaml};
use crate::reading::{Reading, absolute};

/// The key of a macro.
const TRANSFORM: &str = "Fn::Transform";

/// What the key of a loop begins with.
const FOR_EACH: &str = "Fn::ForEach::";

/// How deep files may include each other.
const MAX_INCLUDES: usize = 8;

/// The largest file that is included, in bytes.
const MAX_FILE_BYTES: u64 = 1024 * 1024;

/// The template with the content of the local files that it includes. One in S3 is left as
/// it is, and told of.
pub(super) fn with_includes(root: &Node, reading: &mut Reading<'_>) -> Node {
    included(root, 0, reading)
}

fn included(node: &Node, depth: usize, reading: &mut Reading<'_>) -> Node {
    let value = match &node.value {
        Value::List(items) => {
            Value::List(items.iter().map(|item| included(item, depth, reading)).collect())
        }
        Value::Map(map) => {
            let mut all = Map::new();
            for (key, entry) in map {
                let content =
                    (key == TRANSFORM).then(|| content(&entry.node, depth, reading)).flatten();
                match content {
                    Some(Node { value: Value::Map(content), .. }) => all.extend(content),
                    Some(other) => refuse(&other, "a table", &mut reading.issues),
                    None if key == TRANSFORM => {}
                    None => {
                        let node = included(&entry.node, depth, reading);
                        all.insert(key.clone(), Entry { key: entry.key, node });
                    }
                }
            }
            Value::Map(all)
        }
        other => other.clone(),
    };
    Node { value, tag: node.tag.clone(), span: node.span }
}

/// The content of the file that a macro includes.
fn content(node: &Node, depth: usize, reading: &mut Reading<'_>) -> Option<Node> {
    let name = node.get("Name").and_then(Node::as_str).unwrap_or_default();
    let location = node.at(&["Parameters", "Location"]);
    let path = location.and_then(Node::scalar_text);
    let is_local = |path: &String| !path.starts_with("s3://") && !path.starts_with("https://");
    let (Some(location), Some(path)) = (location, path.filter(is_local)) else {
        let message = format!("the macro `{name}` runs in AWS, which Fanwire does not call");
        reading.issues.push(Issue::warning(node.span, message));
        return None;
    };
    if name != "AWS::Include" || depth >= MAX_INCLUDES {
        let message = match name {
            "AWS::Include" => format!("more than {MAX_INCLUDES} files include each other"),
            name => format!("the macro `{name}` runs in AWS, which Fanwire does not call"),
        };
        reading.issues.push(Issue::warning(node.span, message));
        return None;
    }
    let file = reading.folder.join(&path);
    reading.files.push(absolute(&file));
    match read(&file) {
        Ok(text) => {
            let id = reading.sources.add(file.clone(), text.clone());
            let parsed = if file.extension().is_some_and(|extension| extension == "json") {
                yaml::parse_1_1(id, &text, &mut reading.issues).or_else(|_| json::parse(id, &text))
            } else {
                yaml::parse_1_1(id, &text, &mut reading.issues)
            };
            match parsed {
                Ok(root) => Some(included(&root, depth + 1, reading)),
                Err(issue) => {
                    reading.issues.push(issue);
                    None
                }
            }
        }
        Err(fault) => {
            let issue = Issue::error(location.span, format!("`{path}` cannot be read: {fault}"));
            reading.issues.push(issue.expected("a file beside the template"));
            None
        }
    }
}

fn read(file: &PathBuf) -> Result<String, String> {
    let size = std::fs::metadata(file).map_err(|error| error.to_string())?.len();
    if size > MAX_FILE_BYTES {
        return Err(format!("it is larger than {MAX_FILE_BYTES} bytes"));
    }
    std::fs::read_to_string(file).map_err(|error| error.to_string())
}

/// A section with its loops written out.
pub(super) fn written_out(section: &Node, stack: &Stack, issues: &mut Issues) -> Node {
    Loops { stack, issues, count: 0 }.expand(section)
}

struct Loops<'a> {
    stack: &'a Stack,
    issues: &'a mut Issues,
    /// How many values loops have brought forth.
    count: usize,
}

impl Loops<'_> {
    fn expand(&mut self, node: &Node) -> Node {
        let value = match &node.value {
            Value::List(items) => Value::List(items.iter().map(|item| self.expand(item)).collect()),
            Value::Map(map) => {
                let mut all = Map::new();
                for (key, entry) in map {
                    if key.starts_with(FOR_EACH) {
                        self.repeat(entry, &mut all);
                    } else {
                        let node = self.expand(&entry.node);
                        all.insert(key.clone(), Entry { key: entry.key, node });
                    }
                }
                Value::Map(all)
            }
            other => other.clone(),
        };
        Node { value, tag: node.tag.clone(), span: node.span }
    }

    /// `Fn::ForEach::Loop: [Identifier, [values], {key: value}]`
    fn repeat(&mut self, entry: &Entry, all: &mut Map) {
        let parts = entry.node.as_list();
        let Some([identifier, values, body]) = parts else { return self.malformed(entry) };
        let (Some(identifier), Some(_)) = (identifier.as_str(), body.as_map()) else {
            return self.malformed(entry);
        };
        let values = self.stack.resolved(values);
        let Some(values) = values.as_list() else {
            return refuse(&values, "a list of texts", self.issues);
        };
        for value in values {
            let Some(value) = value.scalar_text() else {
                refuse(value, "text", self.issues);
                continue;
            };
            self.count += body.count();
            if self.count > MAX_NODES {
                let issue = Issue::error(entry.key, format!("more than {MAX_NODES} values"));
                return self.issues.push(issue);
            }
            let one = replaced(body, identifier, &value);
            if let Value::Map(map) = self.expand(&one).value {
                all.extend(map);
            }
        }
    }

    fn malformed(&mut self, entry: &Entry) {
        let issue = Issue::error(entry.key, "Fn::ForEach is malformed");
        self.issues.push(issue.expected("Fn::ForEach::Loop: [Identifier, [values], {key: value}]"));
    }
}

/// A copy in which a value stands for an identifier: in keys and texts as `${Name}`, or
/// `&{Name}` for its letters and digits alone, and as a whole by `Ref`.
fn replaced(node: &Node, identifier: &str, value: &str) -> Node {
    let plain = value.replace(|c: char| !c.is_ascii_alphanumeric(), "");
    let text = |text: &str| {
        text.replace(&format!("${{{identifier}}}"), value)
            .replace(&format!("&{{{identifier}}}"), &plain)
    };
    let is_reference = match node.tag.as_deref() {
        Some(tag) => tag == "Ref" && node.as_str() == Some(identifier),
        None => {
            let only = node.as_map().filter(|map| map.len() == 1);
            let named = only.and_then(|map| map.get("Ref")).and_then(|entry| entry.node.as_str());
            named == Some(identifier)
        }
    };
    if is_reference {
        return Node::new(Value::Text(value.to_owned()), node.span);
    }
    let value = match &node.value {
        Value::Text(found) => Value::Text(text(found)),
        Value::List(items) => {
            Value::List(items.iter().map(|item| replaced(item, identifier, value)).collect())
        }
        Value::Map(map) => {
            let entries = map.iter().map(|(key, entry)| {
                let node = replaced(&entry.node, identifier, value);
                (text(key), Entry { key: entry.key, node })
            });
            Value::Map(entries.collect())
        }
        other => other.clone(),
    };
    Node { value, tag: node.tag.clone(), span: node.span }
}
