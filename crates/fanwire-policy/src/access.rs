//! What somebody may do.

use std::sync::Arc;

use crate::action::Action;
use crate::decision::Decision;
use crate::policy_set::{PolicySet, Source};
use crate::resource::Resource;
use crate::statement::{Bound, Effect, Statement};
use crate::subject::Subject;

/// What one subject may do: a [`PolicySet`] with its variables filled in.
///
/// A set without variables and conditions is the same for everybody: then this is a
/// reference to it. A question allocates nothing and reads each pattern once; who asks
/// the same over and over does best to remember the answer.
#[derive(Debug, Clone)]
pub struct Access {
    set: Arc<PolicySet>,
    /// For each statement what it comes to; `None`: all of them apply as they are.
    bound: Option<Arc<[Bound]>>,
}

/// What a question comes to, by the statement that decides it.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Outcome<'s> {
    /// There is no policy.
    Unrestricted,
    Allowed(&'s Statement),
    /// A statement denies it.
    Denied(&'s Statement),
    /// No statement allows it.
    NotAllowed,
}

// === impl Access ===

impl Access {
    pub(crate) fn new(set: &Arc<PolicySet>, subject: &Subject<'_>) -> Self {
        let bound = if set.statements.iter().all(Statement::is_fixed) {
            None
        } else {
            Some(set.statements.iter().map(|one| one.bind(subject, &set.place)).collect())
        };
        Self { set: Arc::clone(set), bound }
    }

    /// Whether an action is allowed.
    pub fn allows(&self, action: Action, resource: Resource<'_>) -> bool {
        matches!(self.decide(action, resource), Outcome::Unrestricted | Outcome::Allowed(_))
    }

    /// Whether nothing at all is denied, so that nobody needs to ask.
    pub fn is_unrestricted(&self) -> bool {
        self.set.source == Source::Unrestricted
    }

    /// Decides, and says why. For logs and for people: it takes its time.
    pub fn explain(&self, action: Action, resource: Resource<'_>) -> Decision {
        Decision::new(self, action, resource)
    }

    pub(crate) fn decide(&self, action: Action, resource: Resource<'_>) -> Outcome<'_> {
        if self.is_unrestricted() {
            return Outcome::Unrestricted;
        }
        let mut outcome = Outcome::NotAllowed;
        for (statement, bound) in self.statements() {
            if !statement.covers(bound, action, resource) {
                continue;
            }
            match statement.effect {
                Effect::Deny => return Outcome::Denied(statement),
                Effect::Allow => {
                    if matches!(outcome, Outcome::NotAllowed) {
                        outcome = Outcome::Allowed(statement);
                    }
                }
            }
        }
        outcome
    }

    /// The statements with what each comes to.
    pub(crate) fn statements(&self) -> impl Iterator<Item = (&Statement, &Bound)> {
        self.set.statements.iter().enumerate().map(|(index, statement)| {
            let bound = self.bound.as_ref().and_then(|bound| bound.get(index));
            (statement, bound.unwrap_or(&Bound::Fixed))
        })
    }

    pub(crate) fn set(&self) -> &PolicySet {
        &self.set
    }
}
