//! Variables: `${self:custom.table}` and its kin, replaced by their values.
//!
//! [`template`] knows the grammar, [`sources`] where values come from, and this
//! module what the Serverless Framework's documentation calls resolution: a
//! variable that is a whole value keeps its type, others become part of the text;
//! values may hold variables again. Only what is reached is evaluated, so
//! `custom: ${file(custom.yml)}` may refer to itself through `${self:custom.x}`.
//!
//! A variable without a value leaves [`Value::Unresolved`] in the tree: it is an
//! error only where the value is needed, so that a lookup for a part of the file
//! that Fanwire does not use does not keep the App from running.

pub(crate) mod dotenv;
mod sources;
mod template;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};
use std::rc::Rc;

use indexmap::{IndexMap, IndexSet};

use crate::diagnostic::{Issue, Issues};
use crate::node::{Entry, Map, Node, Value};
use crate::reading::{LoadOptions, absolute};
use crate::source::{Sources, Span};

use self::sources::Missing;
use self::template::{Argument, Part, Source, Template, Variable};

/// How many steps into tables and through variables may be open at once.
const MAX_OPEN: usize = 160;

/// How many values and variables are gone through for one file: far above any real
/// project, and few enough that a file whose variables multiply fails at once.
const MAX_STEPS: usize = 200_000;

/// Which kind of file the variables are in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    /// `serverless.yml`: its stage and region are in `provider`.
    Serverless,
    /// `fanwire.toml`: its stage and region are keys of the file itself, and its tables
    /// have names where it gives none.
    Native,
}

/// Replaces the variables of one file.
pub(crate) struct Resolver<'r> {
    /// The file's tree as it was read.
    root: &'r Node,
    options: &'r LoadOptions,
    format: Format,
    /// The process environment and what `.env` adds to it.
    environment: IndexMap<String, String>,
    /// Names that `${env:}` was asked for, after the keys whose values they are in.
    asked: IndexSet<(String, String)>,
    /// The folder that `${file()}` starts from.
    folder: &'r Path,
    sources: &'r mut Sources,
    issues: &'r mut Issues,
    /// Included files; `None` for one that does not exist.
    files: IndexMap<PathBuf, Result<Option<Rc<Node>>, Issue>>,
    /// Texts whose value is being found, and texts whose value is being gone
    /// through: meeting one of them again is a cycle.
    evaluating: Vec<Identity>,
    expanding: Vec<Identity>,
    /// The place in the file of what is being resolved, for messages.
    path: Vec<String>,
    open: usize,
    steps: usize,
}

/// A text at a place. The same place can bring forth several texts one after the
/// other, where a variable's value holds variables.
type Identity = (Span, String);

impl<'r> Resolver<'r> {
    pub(crate) fn new(
        root: &'r Node,
        options: &'r LoadOptions,
        format: Format,
        folder: &'r Path,
        sources: &'r mut Sources,
        issues: &'r mut Issues,
    ) -> Self {
        Self {
            root,
            options,
            format,
            environment: options.environment.clone(),
            asked: IndexSet::new(),
            folder,
            sources,
            issues,
            files: IndexMap::new(),
            evaluating: Vec::new(),
            expanding: Vec::new(),
            path: Vec::new(),
            open: 0,
            steps: 0,
        }
    }

    /// The whole file with its variables replaced.
    pub(crate) fn resolve_root(&mut self) -> Node {
        let root = self.root;
        self.resolve(root)
    }

    /// One value of the file with its variables replaced, where the file has it.
    pub(crate) fn resolve_at(&mut self, path: &[&str]) -> Option<Node> {
        self.path = path.iter().map(|&key| key.to_owned()).collect();
        let steps: Vec<String> = self.path.clone();
        let root = self.root;
        let found = self.walk(root, &steps);
        let resolved = match found {
            Ok(Some(node)) => Some(self.resolve(&node)),
            Ok(None) => None,
            Err(issue) => Some(unresolved(issue)),
        };
        self.path.clear();
        resolved
    }

    /// Adds variables of a `.env` file; the process environment wins.
    pub(crate) fn add_environment(&mut self, variables: IndexMap<String, String>) {
        for (name, value) in variables {
            self.environment.entry(name).or_insert(value);
        }
    }

    /// The names and values that `${env:}` finds.
    pub(crate) fn environment(&self) -> &IndexMap<String, String> {
        &self.environment
    }

    /// The names that `${env:}` was asked for so far, for values of some keys.
    pub(crate) fn asked_for(&self, keys: &[&str]) -> IndexSet<String> {
        let asked = self.asked.iter().filter(|(key, _)| keys.contains(&key.as_str()));
        asked.map(|(_, name)| name.clone()).collect()
    }

    /// The files that variables include, whether or not they exist.
    pub(crate) fn included_files(&self) -> impl Iterator<Item = PathBuf> {
        self.files.keys().map(|path| absolute(path))
    }

    /// A copy of `node` with every variable in it replaced.
    fn resolve(&mut self, node: &Node) -> Node {
        if let Err(issue) = self.open(node.span) {
            return unresolved(issue);
        }
        let (value, tag) = match &node.value {
            Value::Text(text) if text.contains("${") => self.resolve_text(node, text),
            Value::List(items) => {
                let items = items.iter().enumerate();
                let items = items.map(|(at, item)| self.step(at.to_string(), item)).collect();
                (Value::List(items), None)
            }
            Value::Map(map) => {
                let entries = map.iter().map(|(key, entry)| {
                    let node = self.step(key.clone(), &entry.node);
                    (key.clone(), Entry { key: entry.key, node })
                });
                (Value::Map(entries.collect::<Map>()), None)
            }
            other => (other.clone(), None),
        };
        self.open -= 1;
        // The value takes the variable's place, so that messages point there.
        Node { value, tag: node.tag.clone().or(tag), span: node.span }
    }

    /// Begins a step, which whoever calls this ends by counting `open` down.
    fn open(&mut self, span: Span) -> Result<(), Issue> {
        self.steps += 1;
        if self.open >= MAX_OPEN || self.steps > MAX_STEPS {
            return Err(self.fault(span, "its variables lead too deep or too far"));
        }
        self.open += 1;
        Ok(())
    }

    fn step(&mut self, key: String, node: &Node) -> Node {
        self.path.push(key);
        let resolved = self.resolve(node);
        self.path.pop();
        resolved
    }

    /// The value of a text with variables, itself without variables.
    fn resolve_text(&mut self, node: &Node, text: &str) -> (Value, Option<Rc<str>>) {
        let identity = (node.span, text.to_owned());
        if self.expanding.contains(&identity) {
            let issue = self.fault(node.span, "it refers to itself");
            return (unresolved(issue).value, None);
        }
        self.expanding.push(identity);
        let resolved = match self.evaluate(node) {
            Ok(found) if found.as_str().is_some() => found,
            Ok(found) => self.resolve(&found),
            Err(issue) => unresolved(issue),
        };
        self.expanding.pop();
        (resolved.value, resolved.tag)
    }

    /// The value of a text with variables. Text has no variables left in it; a list
    /// or table may still, so that one can look into it without needing all of it.
    fn evaluate(&mut self, node: &Node) -> Result<Node, Issue> {
        let Some(text) = node.as_str() else { return Ok(node.clone()) };
        let template =
            template::parse(text).map_err(|fault| self.fault(node.span, &fault).help(GRAMMAR))?;
        let Some(template) = template else { return Ok(node.clone()) };
        let identity = (node.span, text.to_owned());
        if self.evaluating.contains(&identity) {
            return Err(self.fault(node.span, "it refers to itself"));
        }
        self.open(node.span)?;
        self.evaluating.push(identity);
        let found = match template.whole() {
            Some(variable) => self.value_of(variable, node.span),
            None => self
                .text_of(&template, node.span)
                .map(|text| Node::new(Value::Text(text), node.span)),
        };
        self.evaluating.pop();
        self.open -= 1;
        found.map(|found| Node { tag: node.tag.clone().or(found.tag.clone()), ..found })
    }

    /// The text of a template: each variable's value between the pieces of text.
    fn text_of(&mut self, template: &Template, span: Span) -> Result<String, Issue> {
        let mut text = String::new();
        for part in &template.parts {
            match part {
                Part::Text(piece) => text.push_str(piece),
                Part::Variable(variable) => {
                    let found = self.value_of(variable, span)?;
                    let piece = found.scalar_text().filter(|_| found.tag.is_none());
                    text.push_str(&piece.ok_or_else(|| {
                        let fault = format!(
                            "the value of {} is {}, which cannot be a part of a text",
                            variable.text,
                            if found.tag.is_some() {
                                "a CloudFormation function"
                            } else {
                                found.kind()
                            }
                        );
                        self.fault(self.narrow(span, &variable.text), &fault)
                    })?);
                }
            }
        }
        Ok(text)
    }

    /// The value of a variable, as [`Self::evaluate`] gives it: that of the first
    /// source that has one other than null.
    fn value_of(&mut self, variable: &Variable, span: Span) -> Result<Node, Issue> {
        let place = self.narrow(span, &variable.text);
        let mut missing = Vec::new();
        for source in &variable.sources {
            match source {
                Source::Literal(value) => {
                    return self.evaluate(&Node::new(value.clone(), span));
                }
                Source::Nested(variable) => return self.value_of(variable, span),
                Source::Lookup { kind, params, address } => {
                    let params = params
                        .iter()
                        .map(|param| self.argument(param, span))
                        .collect::<Result<Vec<_>, _>>()?;
                    let address = address.as_ref().map(|address| self.argument(address, span));
                    let address = address.transpose()?.and_then(|value| text(&value));
                    let found = self.look_up(kind, &params, address.as_deref(), place)?;
                    let reason = match found {
                        Found::Value(node) => match self.evaluate(&node)? {
                            Node { value: Value::Null, .. } => Missing::plain("its value is null"),
                            node => return Ok(node),
                        },
                        Found::Missing(reason) => reason,
                    };
                    missing.push(reason);
                }
            }
        }
        if let Some(default) = missing.iter_mut().find_map(|reason| reason.default.take()) {
            return Ok(Node::new(Value::Text(default), span));
        }
        let mut issue = match missing.last() {
            Some(reason) => self.fault(place, &format!("{}: {}", variable.text, reason.why)),
            None => self.fault(place, &variable.text),
        };
        issue.help = missing.into_iter().find_map(|reason| reason.help);
        Err(issue)
    }

    fn argument(&mut self, argument: &Argument, span: Span) -> Result<Value, Issue> {
        match argument {
            Argument::Literal(value) => Ok(value.clone()),
            Argument::Template(template) => self.text_of(template, span).map(Value::Text),
        }
    }

    /// Goes from a value into its members, through variables where they stand in the
    /// way. Nothing is copied on the way but what a variable brings.
    fn walk(&mut self, from: &Node, steps: &[String]) -> Result<Option<Node>, Issue> {
        let mut node = from;
        let mut steps = steps.iter();
        while !is_variable(node) {
            let Some(step) = steps.next() else { return Ok(Some(node.clone())) };
            let Some(member) = member(node, step) else { return Ok(None) };
            node = member;
        }
        let mut node = node.clone();
        for step in steps {
            if is_variable(&node) {
                node = self.evaluate(&node)?;
            }
            match into_member(node, step) {
                Some(member) => node = member,
                None => return Ok(None),
            }
        }
        Ok(Some(node))
    }

    /// The place of one variable inside a text, where it is written there as it is.
    fn narrow(&self, span: Span, variable: &str) -> Span {
        let source = self.sources.text(span.file).get(span.start..span.end);
        match source.and_then(|source| source.find(variable)) {
            Some(at) => {
                let start = span.start + at;
                Span { file: span.file, start, end: start + variable.len() }
            }
            None => span,
        }
    }

    fn fault(&self, span: Span, fault: &str) -> Issue {
        let path = self.path.join(".");
        Issue::error(span, format!("cannot resolve the variable at `{path}`: {fault}"))
    }
}

/// Whether a text is its own value: it holds no variable, and nothing that an escape of
/// one would be.
pub(crate) fn is_plain(text: &str) -> bool {
    template::parse(text) == Ok(None)
}

/// What a variable looks like, for messages.
const GRAMMAR: &str = "a variable is ${source:address}, with fallbacks after commas: \
    ${opt:stage, self:custom.stage, 'dev'}";

/// What a source answers.
enum Found {
    Value(Node),
    /// It has no value; a fallback may.
    Missing(Missing),
}

/// Whether a value is text that may hold variables.
fn is_variable(node: &Node) -> bool {
    node.as_str().is_some_and(|text| text.contains("${"))
}

fn member<'n>(node: &'n Node, step: &str) -> Option<&'n Node> {
    match &node.value {
        Value::Map(map) => map.get(step).map(|entry| &entry.node),
        Value::List(list) => list.get(step.parse::<usize>().ok()?),
        _ => None,
    }
}

fn into_member(node: Node, step: &str) -> Option<Node> {
    match node.value {
        Value::Map(mut map) => map.swap_remove(step).map(|entry| entry.node),
        Value::List(mut list) => {
            let at = step.parse().ok().filter(|at| *at < list.len())?;
            Some(list.swap_remove(at))
        }
        _ => None,
    }
}

fn unresolved(issue: Issue) -> Node {
    let span = issue.span;
    Node::new(Value::Unresolved(Rc::new(issue)), span)
}

fn text(value: &Value) -> Option<String> {
    match value {
        Value::Text(text) => Some(text.clone()),
        Value::Int(value) => Some(value.to_string()),
        Value::Float(value) => Some(value.to_string()),
        Value::Bool(value) => Some(value.to_string()),
        _ => None,
    }
}
