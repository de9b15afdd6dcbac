//! `Conditions`: what parameters say, as truths that `Fn::If` and a resource's
//! `Condition` go by.

use indexmap::IndexMap;

use crate::decode::refuse;
use crate::diagnostic::{Issue, Issues};
use crate::node::{Map, Node};
use crate::source::Span;

use super::Stack;
use super::functions::function;

/// How many conditions may refer to each other in a row.
const MAX_CHAIN: usize = 32;

/// Whether each condition of a template holds, or why that cannot be said: a fault only
/// where the condition is needed.
pub(crate) fn evaluate(declared: &Map, stack: &Stack) -> IndexMap<String, Result<bool, Issue>> {
    let mut conditions = Conditions { declared, stack, known: IndexMap::new(), open: Vec::new() };
    for (name, entry) in declared {
        // What it comes to is kept in `known`.
        drop(conditions.named(name, entry.key));
    }
    // In the order of the file, whatever was needed first.
    let mut known = conditions.known;
    declared.keys().filter_map(|name| known.swap_remove_entry(name)).collect()
}

struct Conditions<'a> {
    declared: &'a Map,
    stack: &'a Stack,
    known: IndexMap<String, Result<bool, Issue>>,
    /// Those that are being evaluated: meeting one of them again is a cycle.
    open: Vec<&'a str>,
}

impl<'a> Conditions<'a> {
    fn named(&mut self, name: &str, place: Span) -> Result<bool, Issue> {
        if let Some(known) = self.known.get(name) {
            return known.clone();
        }
        let Some((name, entry)) = self.declared.get_key_value(name) else {
            let names = self.declared.keys().map(String::as_str);
            let issue = Issue::error(place, format!("there is no condition `{name}`"));
            return Err(issue.expected("one of `Conditions`").nearest(name, names));
        };
        if self.open.contains(&name.as_str()) || self.open.len() >= MAX_CHAIN {
            let message = format!("the condition `{name}` refers to itself, or leads too far");
            return Err(Issue::error(entry.key, message));
        }
        self.open.push(name);
        let holds = self.holds(&entry.node);
        self.open.pop();
        self.known.insert(name.clone(), holds.clone());
        holds
    }

    /// Whether an expression holds. Trees are bounded in depth when they are read, so this
    /// may recurse.
    fn holds(&mut self, node: &Node) -> Result<bool, Issue> {
        const EXPECTED: &str = "Fn::Equals, Fn::And, Fn::Or, Fn::Not or Condition";
        let refused = |node: &Node| {
            let mut issues = Issues::default();
            refuse(node, EXPECTED, &mut issues);
            Err(issues.into_first_error().unwrap_or(Issue::error(node.span, EXPECTED)))
        };
        let named = node.entry("Condition").filter(|_| node.tag.is_none());
        if let Some(name) = named.and_then(|entry| entry.node.as_str()) {
            return self.named(name, node.span);
        }
        let Some((name, argument)) = function(node) else { return refused(node) };
        let items = argument.as_list();
        match (name.as_str(), items) {
            ("Condition", None) if argument.as_str().is_some() => {
                self.named(argument.as_str().unwrap_or_default(), node.span)
            }
            ("Fn::Equals", Some([one, other])) => {
                let mut issues = Issues::default();
                let mut text = |node| self.stack.text(node, &mut issues).unwrap_or_default();
                let is_equal = text(one) == text(other);
                issues.into_first_error().map_or(Ok(is_equal), Err)
            }
            ("Fn::Not", Some([one])) => self.holds(one).map(|holds| !holds),
            ("Fn::And", Some(all)) => self.all(all).map(|all| !all.contains(&false)),
            ("Fn::Or", Some(all)) => self.all(all).map(|all| all.contains(&true)),
            ("Fn::Equals" | "Fn::Not" | "Fn::And" | "Fn::Or" | "Condition", _) => {
                let issue = Issue::error(node.span, format!("{name} is malformed"));
                Err(issue.expected("Fn::Equals: [value, value], Fn::Not: [condition], Fn::And or Fn::Or: [conditions]"))
            }
            _ => refused(node),
        }
    }

    fn all(&mut self, items: &[Node]) -> Result<Vec<bool>, Issue> {
        items.iter().map(|item| self.holds(item)).collect()
    }
}
