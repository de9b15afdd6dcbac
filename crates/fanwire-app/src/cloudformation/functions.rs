//! CloudFormation's functions, as far as values of an App need them, written long
//! (`Fn::Sub: …`) or short (`!Sub …`).

use std::rc::Rc;

use base64::Engine;

use crate::decode::refuse;
use crate::diagnostic::{Issue, Issues};
use crate::node::{Entry, Map, Node, Value};
use crate::source::Span;

use super::{Parameter, Stack};

/// The functions that are evaluated, for messages.
const EVALUATED: &str = "Ref, Fn::GetAtt, Fn::Sub, Fn::Join, Fn::Select, Fn::Split, Fn::If, \
    Fn::FindInMap, Fn::Base64, Fn::Length, Fn::ToJsonString, Fn::GetAZs or Fn::ImportValue";

/// The availability zones that `Fn::GetAZs` gives for a region, by their letters.
const ZONES: [&str; 3] = ["a", "b", "c"];

/// The function that a node is, and its argument.
pub(super) fn function(node: &Node) -> Option<(String, Node)> {
    if let Some(tag) = node.tag.as_deref() {
        let name = match tag {
            "Ref" | "Condition" => tag.to_owned(),
            tag => format!("Fn::{tag}"),
        };
        return Some((name, Node { tag: None, ..node.clone() }));
    }
    let map = node.as_map()?;
    let (name, entry) = map.first()?;
    let is_function = map.len() == 1 && (name == "Ref" || name.starts_with("Fn::"));
    is_function.then(|| (name.clone(), entry.node.clone()))
}

/// Whether a value is computed by a function.
pub(crate) fn is_function(node: &Node) -> bool {
    function(node).is_some()
}

impl Stack {
    /// The text that a value stands for. `None` where it has none: it was null,
    /// `AWS::NoValue`, or a fault was reported.
    pub(crate) fn text(&self, node: &Node, issues: &mut Issues) -> Option<String> {
        let value = self.evaluate(node, issues)?;
        match &value.value {
            Value::Null => None,
            Value::List(_) | Value::Map(_) => {
                let what = if value.as_list().is_some() { "a list" } else { "a table" };
                let message = format!("{what} is not allowed here");
                issues.push(Issue::error(node.span, message).expected("text"));
                None
            }
            _ => value.scalar_text(),
        }
    }

    /// A tree without functions: each value that is one gives way to what it stands
    /// for, at its place. One that cannot be evaluated is [`Value::Unresolved`], an
    /// error only where the value is needed. Trees are bounded in depth when they are
    /// read, so this may recurse.
    pub(crate) fn resolved(&self, node: &Node) -> Node {
        if let Some((name, argument)) = function(node) {
            let mut issues = Issues::default();
            let value = match name.as_str() {
                // The other branch may not be one that can be evaluated.
                "Fn::If" => self.branch(&argument, node.span, &mut issues),
                _ => self.call(&name, &argument, node.span, &mut issues),
            };
            return match (value, issues.into_first_error()) {
                (Some(value), _) if name == "Fn::If" => self.resolved(&value),
                (Some(value), _) => value,
                (None, Some(issue)) => Node::new(Value::Unresolved(Rc::new(issue)), node.span),
                (None, None) => Node::new(Value::Null, node.span),
            };
        }
        let value = match &node.value {
            Value::List(items) => {
                let items = items.iter().map(|item| self.resolved(item));
                Value::List(items.filter(|item| item.value != Value::Null).collect())
            }
            Value::Map(map) => {
                let entries = map.iter().map(|(name, entry)| {
                    let node = self.resolved(&entry.node);
                    (name.clone(), Entry { key: entry.key, node })
                });
                Value::Map(entries.collect())
            }
            other => other.clone(),
        };
        Node { value, tag: node.tag.clone(), span: node.span }
    }

    /// A value as it is written, through any `Fn::If` that it is, with the functions that
    /// are in it. `None` where a fault was reported.
    pub(crate) fn chosen(&self, node: &Node, issues: &mut Issues) -> Option<Node> {
        match function(node) {
            Some((name, argument)) if name == "Fn::If" => {
                let branch = self.branch(&argument, node.span, issues)?;
                self.chosen(&branch, issues)
            }
            _ => Some(node.clone()),
        }
    }

    /// The value without functions, or `None` where a fault was reported.
    fn evaluate(&self, node: &Node, issues: &mut Issues) -> Option<Node> {
        if let Some((name, argument)) = function(node) {
            return self.call(&name, &argument, node.span, issues);
        }
        let value = match &node.value {
            Value::Unresolved(_) => {
                refuse(node, "", issues);
                return None;
            }
            Value::List(items) => Value::List(self.items(items, issues)?),
            Value::Map(map) => {
                let entries = map.iter().map(|(name, entry)| {
                    let node = self.evaluate(&entry.node, issues)?;
                    Some((name.clone(), Entry { key: entry.key, node }))
                });
                Value::Map(entries.collect::<Option<_>>()?)
            }
            other => other.clone(),
        };
        Some(Node::new(value, node.span))
    }

    fn items(&self, items: &[Node], issues: &mut Issues) -> Option<Vec<Node>> {
        let evaluated: Vec<_> = items.iter().map(|item| self.evaluate(item, issues)).collect();
        let all: Option<Vec<_>> = evaluated.into_iter().collect();
        all.map(|all| all.into_iter().filter(|item| item.value != Value::Null).collect())
    }

    fn call(&self, name: &str, argument: &Node, span: Span, issues: &mut Issues) -> Option<Node> {
        let text = |text: String| Some(Node::new(Value::Text(text), span));
        match name {
            "Ref" => match argument.as_str() {
                Some(id) => self.reference(id, span, issues),
                None => malformed(name, "Ref: LogicalId", span, issues),
            },
            "Fn::GetAtt" => match attribute_path(argument) {
                Some((id, attribute)) => text(self.attribute(&id, &attribute, span, issues)?),
                None => malformed(name, "Fn::GetAtt: [LogicalId, Attribute]", span, issues),
            },
            "Fn::Sub" => self.sub(argument, span, issues),
            "Fn::Join" => self.join(argument, span, issues),
            "Fn::Split" => self.split(argument, span, issues),
            "Fn::Select" => self.select(argument, span, issues),
            "Fn::If" => {
                let branch = self.branch(argument, span, issues)?;
                self.evaluate(&branch, issues)
            }
            "Fn::FindInMap" => self.find_in_map(argument, span, issues),
            "Fn::Base64" => {
                let plain = self.text(argument, issues)?;
                text(base64::engine::general_purpose::STANDARD.encode(plain))
            }
            "Fn::Length" => match self.evaluate(argument, issues)?.as_list() {
                Some(items) => {
                    let length = i64::try_from(items.len()).unwrap_or(i64::MAX);
                    Some(Node::new(Value::Int(length), span))
                }
                None => malformed(name, "Fn::Length: [values]", span, issues),
            },
            "Fn::ToJsonString" => text(self.evaluate(argument, issues)?.to_json().to_string()),
            "Fn::GetAZs" => {
                let given = self.text(argument, issues).filter(|region| !region.is_empty());
                let region = given.unwrap_or_else(|| self.region.clone());
                let zones = ZONES.map(|zone| format!("{region}{zone}"));
                Some(list(zones, span))
            }
            "Fn::ImportValue" => {
                let export = self.text(argument, issues)?;
                let message = format!(
                    "the export `{export}` of another stack is in AWS, which Fanwire does not \
                     call; a placeholder stands for it"
                );
                issues.push(
                    Issue::warning(span, message)
                        .help("a parameter in its place can have the value"),
                );
                text(format!("import:{export}"))
            }
            _ => {
                let message = format!("the CloudFormation function {name} is not evaluated");
                issues.push(Issue::error(span, message).expected(EVALUATED));
                None
            }
        }
    }

    fn sub(&self, argument: &Node, span: Span, issues: &mut Issues) -> Option<Node> {
        match (argument.as_str(), argument.as_list()) {
            (Some(text), _) => self.substitute(text, None, span, issues),
            (None, Some([text, variables])) if text.as_str().is_some() => {
                self.substitute(text.as_str()?, Some(variables), span, issues)
            }
            _ => {
                let expected = "Fn::Sub: text, or Fn::Sub: [text, {Name: value}]";
                malformed("Fn::Sub", expected, span, issues)
            }
        }
    }

    fn join(&self, argument: &Node, span: Span, issues: &mut Issues) -> Option<Node> {
        const EXPECTED: &str = "Fn::Join: [separator, [values]]";
        let Some([separator, values]) = argument.as_list() else {
            return malformed("Fn::Join", EXPECTED, span, issues);
        };
        let values = self.evaluate(values, issues)?;
        let texts = values
            .as_list()
            .and_then(|items| items.iter().map(Node::scalar_text).collect::<Option<Vec<_>>>());
        match (separator.scalar_text(), texts) {
            (Some(separator), Some(texts)) => {
                Some(Node::new(Value::Text(texts.join(&separator)), span))
            }
            _ => malformed("Fn::Join", EXPECTED, span, issues),
        }
    }

    fn split(&self, argument: &Node, span: Span, issues: &mut Issues) -> Option<Node> {
        match argument.as_list() {
            Some([separator, text]) if separator.as_str().is_some_and(|s| !s.is_empty()) => {
                let text = self.text(text, issues)?;
                Some(list(text.split(separator.as_str()?), span))
            }
            _ => malformed("Fn::Split", "Fn::Split: [separator, text]", span, issues),
        }
    }

    fn select(&self, argument: &Node, span: Span, issues: &mut Issues) -> Option<Node> {
        let Some([index, values]) = argument.as_list() else {
            return malformed("Fn::Select", "Fn::Select: [index, [values]]", span, issues);
        };
        let index = self.evaluate(index, issues)?;
        let at = index.integer().and_then(|at| usize::try_from(at).ok());
        let values = self.evaluate(values, issues)?;
        match (at, values.as_list()) {
            (Some(at), Some(items)) if at < items.len() => items.get(at).cloned(),
            _ => {
                let expected = "Fn::Select: [index, [values]], with an index of one";
                malformed("Fn::Select", expected, span, issues)
            }
        }
    }

    /// The branch of `Fn::If` whose condition holds, with the functions that are in it.
    fn branch(&self, argument: &Node, span: Span, issues: &mut Issues) -> Option<Node> {
        let Some([condition, then, otherwise]) = argument.as_list() else {
            let expected = "Fn::If: [Condition, value, value]";
            return malformed("Fn::If", expected, span, issues);
        };
        let holds = self.condition(condition, issues)?;
        Some(if holds { then.clone() } else { otherwise.clone() })
    }

    /// Whether a condition holds, by its name.
    pub(crate) fn condition(&self, name: &Node, issues: &mut Issues) -> Option<bool> {
        let Some(text) = name.as_str() else {
            refuse(name, "the name of a condition", issues);
            return None;
        };
        match self.conditions.get(text) {
            Some(Ok(holds)) => Some(*holds),
            Some(Err(issue)) => {
                issues.push(issue.clone());
                None
            }
            None => {
                let message = format!("there is no condition `{text}`");
                let names = self.conditions.keys().map(String::as_str);
                let issue = Issue::error(name.span, message).expected("one of `Conditions`");
                issues.push(issue.nearest(text, names));
                None
            }
        }
    }

    fn find_in_map(&self, argument: &Node, span: Span, issues: &mut Issues) -> Option<Node> {
        const EXPECTED: &str = "Fn::FindInMap: [Map, Key, Key]";
        let (path, default) = match argument.as_list() {
            Some([map, first, second]) => ([map, first, second], None),
            Some([map, first, second, default]) => {
                ([map, first, second], default.get("DefaultValue"))
            }
            _ => return malformed("Fn::FindInMap", EXPECTED, span, issues),
        };
        let mut names: Vec<String> = Vec::new();
        let mut known = Some(&self.mappings);
        let mut found = None;
        for part in path {
            let name = self.text(part, issues)?;
            found = known.and_then(|known| known.get(&name)).map(|entry| &entry.node);
            if found.is_none() {
                if let Some(default) = default {
                    return self.evaluate(default, issues);
                }
                names.push(name.clone());
                let message = format!("`Mappings` have no `{}`", names.join("."));
                let issue = Issue::error(part.span, message).expected("a value of `Mappings`");
                let candidates = known.into_iter().flat_map(Map::keys).map(String::as_str);
                issues.push(issue.nearest(&name, candidates));
                return None;
            }
            known = found.and_then(Node::as_map);
            names.push(name);
        }
        self.evaluate(found?, issues)
    }

    fn reference(&self, id: &str, span: Span, issues: &mut Issues) -> Option<Node> {
        let value = match (id, self.parameters.get(id), self.resources.get(id)) {
            ("AWS::NoValue", ..) => Value::Null,
            (_, Some(Parameter::Text(text)), _) => Value::Text(text.clone()),
            (_, Some(Parameter::List(items)), _) => list(items, span).value,
            (_, Some(Parameter::Placeholder(text, issue)), _) => {
                issues.push(Issue { span, ..issue.clone() });
                Value::Text(text.clone())
            }
            (_, Some(Parameter::Missing(issue)), _) => {
                issues.push(issue.clone());
                return None;
            }
            (_, None, Some(resource)) => Value::Text(resource.reference.clone()),
            (_, None, None) => {
                self.unknown(id, span, issues);
                return None;
            }
        };
        Some(Node::new(value, span))
    }

    fn attribute(
        &self,
        id: &str,
        attribute: &str,
        span: Span,
        issues: &mut Issues,
    ) -> Option<String> {
        let Some(resource) = self.resources.get(id) else {
            self.unknown(id, span, issues);
            return None;
        };
        Some(match resource.attributes.get(attribute) {
            Some(value) => value.clone(),
            None => format!("{}.{attribute}", resource.reference),
        })
    }

    fn unknown(&self, id: &str, span: Span, issues: &mut Issues) {
        let message = format!("`{id}` is not a resource of this file, nor one that is generated");
        let names = self.parameters.keys().chain(self.resources.keys()).map(String::as_str);
        let expected = "the logical id of a resource, or a parameter such as AWS::Region";
        issues.push(Issue::error(span, message).expected(expected).nearest(id, names));
    }

    /// `Fn::Sub`: `${Name}`, `${Resource.Attribute}`, and `${!Name}` for a literal.
    fn substitute(
        &self,
        text: &str,
        variables: Option<&Node>,
        span: Span,
        issues: &mut Issues,
    ) -> Option<Node> {
        let mut result = String::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once("${") {
            result.push_str(before);
            let Some((name, after)) = after.split_once('}') else {
                rest = &rest[before.len()..];
                break;
            };
            rest = after;
            let name = name.trim();
            if let Some(literal) = name.strip_prefix('!') {
                result.push_str(&format!("${{{literal}}}"));
            } else if let Some(value) = variables.and_then(|variables| variables.get(name)) {
                result.push_str(&self.text(value, issues)?);
            } else if let Some((id, attribute)) = name.split_once('.') {
                result.push_str(&self.attribute(id, attribute, span, issues)?);
            } else {
                let value = self.reference(name, span, issues)?;
                match &value.value {
                    Value::Null => {}
                    // As `Fn::Sub` does with a parameter that is a list.
                    Value::List(items) => {
                        let texts: Vec<_> = items.iter().filter_map(Node::scalar_text).collect();
                        result.push_str(&texts.join(","));
                    }
                    _ => result.push_str(&value.scalar_text().unwrap_or_default()),
                }
            }
        }
        result.push_str(rest);
        Some(Node::new(Value::Text(result), span))
    }
}

fn malformed(name: &str, expected: &str, span: Span, issues: &mut Issues) -> Option<Node> {
    issues.push(Issue::error(span, format!("{name} is malformed")).expected(expected));
    None
}

/// A list of texts that was written at a place.
fn list(items: impl IntoIterator<Item = impl Into<String>>, span: Span) -> Node {
    let item = |text: String| Node::new(Value::Text(text), span);
    let items = items.into_iter().map(|text| item(text.into()));
    Node::new(Value::List(items.collect()), span)
}

/// `Id.Attribute` or `[Id, Attribute]`.
fn attribute_path(argument: &Node) -> Option<(String, String)> {
    if let Some(text) = argument.as_str() {
        let (id, attribute) = text.split_once('.')?;
        return Some((id.to_owned(), attribute.to_owned()));
    }
    match argument.as_list()? {
        [id, attribute @ ..] if !attribute.is_empty() => {
            let attribute: Option<Vec<_>> = attribute.iter().map(Node::as_str).collect();
            Some((id.as_str()?.to_owned(), attribute?.join(".")))
        }
        _ => None,
    }
}
