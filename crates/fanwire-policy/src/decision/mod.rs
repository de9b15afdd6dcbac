//! Why something is allowed or denied, in words.

mod hints;

use std::fmt;

use crate::access::{Access, Outcome};
use crate::action::Action;
use crate::policy_set::PolicySet;
use crate::resource::Resource;
use crate::statement::Statement;

/// What was asked, what the answer is and why.
///
/// Displayed, it is one line, or two where something can be done about a denial.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// What was asked for.
    pub action: Action,
    /// The ARN it was asked for on, just as the client has it.
    pub resource: String,
    /// Whether it is allowed.
    pub allowed: bool,
    /// The statement that decided. None: no statement is about it, or there is no policy.
    pub statement: Option<DecidingStatement>,
    /// What would have allowed it, the most likely first.
    pub would_have_allowed: Vec<String>,
    /// The end of the ARN.
    short_resource: String,
}

/// The statement that decided.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DecidingStatement {
    /// The document that it is in, from zero.
    pub document: usize,
    /// Its place in the document, from zero.
    pub index: usize,
    /// Its `Sid`; for an access list, the list's key.
    pub sid: Option<String>,
    /// What a message calls it: `statement 2 (Chat)`.
    pub name: String,
}

// === impl Decision ===

impl Decision {
    pub(crate) fn new(access: &Access, action: Action, resource: Resource<'_>) -> Self {
        let set = access.set();
        let (allowed, statement) = match access.decide(action, resource) {
            Outcome::Unrestricted => (true, None),
            Outcome::Allowed(statement) => (true, Some(statement)),
            Outcome::Denied(statement) => (false, Some(statement)),
            Outcome::NotAllowed => (false, None),
        };
        let would_have_allowed = match statement {
            _ if allowed => Vec::new(),
            Some(statement) => vec![hints::narrow(set, statement)],
            None => hints::nearest(access, action, resource),
        };
        Self {
            action,
            resource: set.place.arn(resource),
            allowed,
            statement: statement.map(|statement| DecidingStatement::new(set, statement)),
            would_have_allowed: would_have_allowed.iter().map(|hint| visible(hint)).collect(),
            short_resource: visible(&resource.to_string()),
        }
    }
}

impl fmt::Display for Decision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} on {} is ", self.action, self.short_resource)?;
        match (&self.statement, self.allowed) {
            (Some(by), true) => write!(f, "allowed by {}", by.name),
            (None, true) => f.write_str("allowed: there is no policy"),
            (Some(by), false) => write!(f, "denied by {}", by.name),
            (None, false) => f.write_str("denied: no statement allows it"),
        }?;
        if !self.would_have_allowed.is_empty() {
            write!(f, "\n  {}", self.would_have_allowed.join("; "))?;
        }
        Ok(())
    }
}

// === impl DecidingStatement ===

impl DecidingStatement {
    fn new(set: &PolicySet, statement: &Statement) -> Self {
        Self {
            document: statement.document,
            index: statement.index,
            sid: statement.sid.as_deref().map(str::to_owned),
            name: set.name_of(statement),
        }
    }
}

/// A text with its control characters written out: a client's topics and an
/// authorizer's patterns must not steer the terminal that a log is read on.
fn visible(text: &str) -> String {
    let mut visible = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_control() {
            visible.extend(c.escape_debug());
        } else {
            visible.push(c);
        }
    }
    visible
}

/// The key of an access list that an action is a matter of.
fn access_list_key(action: Action) -> Option<&'static str> {
    match action {
        Action::Connect => Some("connect"),
        Action::Publish => Some("publish"),
        Action::Subscribe => Some("subscribe"),
        Action::Receive => Some("receive"),
        Action::RetainPublish => Some("retain"),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
