//! CloudFormation's functions, as far as values of an App need them: `Ref`,
//! `Fn::GetAtt`, `Fn::Sub`, `Fn::Join`, `Fn::Select`, `Fn::Split` and `Fn::Base64`,
//! written long (`Fn::Sub: …`) or short (`!Sub …`), over the resources that the
//! Serverless Framework generates and those that the file declares.

use std::rc::Rc;

use base64::Engine;
use indexmap::IndexMap;

use crate::diagnostic::{Issue, Issues};
use crate::node::{Entry, Node, Value};
use crate::source::Span;

/// What references in a template stand for.
#[derive(Debug, Default)]
pub(crate) struct Stack {
    /// Values of `Ref` alone, such as `AWS::Region`.
    pub(crate) parameters: IndexMap<String, String>,
    /// By logical id.
    pub(crate) resources: IndexMap<String, Resource>,
}

/// A resource, as far as references see it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Resource {
    /// What `Ref` gives.
    pub(crate) reference: String,
    /// What `Fn::GetAtt` gives; other attributes get a placeholder.
    pub(crate) attributes: IndexMap<String, String>,
}

/// A value without functions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Evaluated {
    Text(String),
    List(Vec<Evaluated>),
    /// `AWS::NoValue`: as if it were not written.
    Nothing,
}

impl Evaluated {
    /// The value as a tree that was written at a place.
    fn into_node(self, span: Span) -> Node {
        let value = match self {
            Self::Text(text) => Value::Text(text),
            Self::List(items) => {
                Value::List(items.into_iter().map(|item| item.into_node(span)).collect())
            }
            Self::Nothing => Value::Null,
        };
        Node::new(value, span)
    }
}

/// The function that a node is, and its argument.
fn function(node: &Node) -> Option<(String, Node)> {
    if let Some(tag) = node.tag.as_deref() {
        let name = if tag == "Ref" { "Ref".to_owned() } else { format!("Fn::{tag}") };
        return Some((name, Node { tag: None, ..node.clone() }));
    }
    let map = node.as_map()?;
    let (name, entry) = map.first()?;
    let is_function = map.len() == 1 && (name == "Ref" || name.starts_with("Fn::"));
    is_function.then(|| (name.clone(), entry.node.clone()))
}

impl Stack {
    /// The text that a value stands for. `None` where it has none: it was null,
    /// `AWS::NoValue`, or a fault was reported.
    pub(crate) fn text(&self, node: &Node, issues: &mut Issues) -> Option<String> {
        match self.evaluate(node, issues)? {
            Evaluated::Text(text) => Some(text),
            Evaluated::Nothing => None,
            Evaluated::List(_) => {
                issues.push(Issue::error(node.span, "a list is not allowed here").expected("text"));
                None
            }
        }
    }

    /// A tree without functions: each value that is one gives way to what it stands
    /// for, at its place. One that cannot be evaluated is [`Value::Unresolved`], an
    /// error only where the value is needed. Trees are bounded in depth when they are
    /// read, so this may recurse.
    pub(crate) fn resolved(&self, node: &Node) -> Node {
        if let Some((name, argument)) = function(node) {
            let mut issues = Issues::default();
            let value = self.call(&name, &argument, node.span, &mut issues);
            let fault = issues.into_first_error();
            return match (value, fault) {
                (Some(value), _) => value.into_node(node.span),
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

    /// The value without functions, or `None` where a fault was reported. Trees are
    /// bounded in depth when they are read, so this may recurse.
    fn evaluate(&self, node: &Node, issues: &mut Issues) -> Option<Evaluated> {
        if let Some((name, argument)) = function(node) {
            return self.call(&name, &argument, node.span, issues);
        }
        match &node.value {
            Value::Null => Some(Evaluated::Nothing),
            Value::List(items) => self.items(items, issues).map(Evaluated::List),
            Value::Map(_) | Value::Unresolved(_) => {
                crate::decode::refuse(
                    node,
                    "text, or a CloudFormation function such as Ref",
                    issues,
                );
                None
            }
            _ => node.scalar_text().map(Evaluated::Text),
        }
    }

    fn items(&self, items: &[Node], issues: &mut Issues) -> Option<Vec<Evaluated>> {
        let evaluated: Vec<_> = items.iter().map(|item| self.evaluate(item, issues)).collect();
        let all: Option<Vec<_>> = evaluated.into_iter().collect();
        all.map(|all| all.into_iter().filter(|item| *item != Evaluated::Nothing).collect())
    }

    fn call(
        &self,
        name: &str,
        argument: &Node,
        span: Span,
        issues: &mut Issues,
    ) -> Option<Evaluated> {
        let malformed = |issues: &mut Issues, expected: &str| {
            issues.push(Issue::error(span, format!("{name} is malformed")).expected(expected));
            None
        };
        let list = argument.as_list();
        match name {
            "Ref" => match argument.as_str() {
                Some(id) => self.reference(id, span, issues),
                None => malformed(issues, "Ref: LogicalId"),
            },
            "Fn::GetAtt" => match attribute_path(argument) {
                Some((id, attribute)) => {
                    self.attribute(&id, &attribute, span, issues).map(Evaluated::Text)
                }
                None => malformed(issues, "Fn::GetAtt: [LogicalId, Attribute]"),
            },
            "Fn::Sub" => match (argument.as_str(), list) {
                (Some(text), _) => self.substitute(text, None, span, issues),
                (None, Some([text, variables])) if text.as_str().is_some() => {
                    self.substitute(text.as_str()?, Some(variables), span, issues)
                }
                _ => malformed(issues, "Fn::Sub: text, or Fn::Sub: [text, {Name: value}]"),
            },
            "Fn::Join" => match list {
                Some([separator, values]) if separator.scalar_text().is_some() => {
                    let values = match bare(self.evaluate(values, issues)?) {
                        Some(values) => values,
                        None => return malformed(issues, "Fn::Join: [separator, [values]]"),
                    };
                    Some(Evaluated::Text(values.join(&separator.scalar_text()?)))
                }
                _ => malformed(issues, "Fn::Join: [separator, [values]]"),
            },
            "Fn::Split" => match list {
                Some([separator, text]) if separator.as_str().is_some_and(|s| !s.is_empty()) => {
                    let text = self.text(text, issues)?;
                    let parts = text.split(separator.as_str()?);
                    Some(Evaluated::List(
                        parts.map(|part| Evaluated::Text(part.to_owned())).collect(),
                    ))
                }
                _ => malformed(issues, "Fn::Split: [separator, text]"),
            },
            "Fn::Select" => match list {
                Some([index, values]) => {
                    let at = index.integer().and_then(|at| usize::try_from(at).ok());
                    match (at, self.evaluate(values, issues)?) {
                        (Some(at), Evaluated::List(values)) if at < values.len() => {
                            values.get(at).cloned()
                        }
                        _ => {
                            malformed(issues, "Fn::Select: [index, [values]], with an index of one")
                        }
                    }
                }
                _ => malformed(issues, "Fn::Select: [index, [values]]"),
            },
            "Fn::Base64" => {
                let text = self.text(argument, issues)?;
                Some(Evaluated::Text(base64::engine::general_purpose::STANDARD.encode(text)))
            }
            "Fn::ImportValue" => {
                let export = self.text(argument, issues)?;
                let message = format!(
                    "the export `{export}` of another stack is in AWS, which Fanwire does not \
                     call; a placeholder stands for it"
                );
                issues
                    .push(Issue::warning(span, message).help("use ${param:NAME, …} for its value"));
                Some(Evaluated::Text(format!("import:{export}")))
            }
            _ => {
                let message = format!("the CloudFormation function {name} is not evaluated");
                issues.push(Issue::error(span, message).expected(
                    "Ref, Fn::GetAtt, Fn::Sub, Fn::Join, Fn::Select, Fn::Split or Fn::Base64",
                ));
                None
            }
        }
    }

    fn reference(&self, id: &str, span: Span, issues: &mut Issues) -> Option<Evaluated> {
        if id == "AWS::NoValue" {
            return Some(Evaluated::Nothing);
        }
        let found = self
            .parameters
            .get(id)
            .or_else(|| self.resources.get(id).map(|resource| &resource.reference));
        if found.is_none() {
            self.unknown(id, span, issues);
        }
        found.cloned().map(Evaluated::Text)
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
    ) -> Option<Evaluated> {
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
            } else if let Evaluated::Text(value) = self.reference(name, span, issues)? {
                result.push_str(&value);
            }
        }
        result.push_str(rest);
        Some(Evaluated::Text(result))
    }
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

/// The texts of a list.
fn bare(value: Evaluated) -> Option<Vec<String>> {
    let Evaluated::List(items) = value else { return None };
    items
        .into_iter()
        .map(|item| match item {
            Evaluated::Text(text) => Some(text),
            _ => None,
        })
        .collect()
}
