//! What can be wrong with a rule, and with a message that a rule gets.

use std::fmt;

/// A place in a rule's SQL.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// Bytes before it.
    pub offset: usize,
    /// Its line, from 1.
    pub line: usize,
    /// Its column in characters, from 1.
    pub column: usize,
}

/// SQL that is no rule.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{at}: {what}; {expected}")]
pub struct SqlError {
    /// Where.
    pub at: Place,
    /// What is wrong there.
    pub what: String,
    /// What would be right, such as the nearest function's name.
    pub expected: String,
}

/// Why a rule that takes a message can make nothing of it. On AWS each of them fails
/// the rule's actions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum EvaluateError {
    /// The statement names members of the payload, which is not JSON.
    #[error(
        "the payload is not JSON, and the rule's SQL names members of it; \
         `encode(*, 'base64') AS data` takes any payload"
    )]
    NotJson,
    /// Nested queries and functions would take more work than one message may.
    #[error(
        "the statement takes more than {} units of work for this message; \
         select less, or from shorter arrays",
        crate::evaluate::MAX_WORK
    )]
    TooMuchWork,
    /// The result would be longer than what a function can be given.
    #[error("the result is longer than {} bytes; select less", crate::MAX_RESULT_BYTES)]
    TooLong,
}

// === impl Place ===

impl Place {
    /// The place of the byte at `offset`, which is on a character's border.
    pub(crate) fn of(sql: &str, offset: usize) -> Self {
        let before = sql.get(..offset).unwrap_or(sql);
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        Self {
            offset: before.len(),
            line: before.matches('\n').count() + 1,
            column: before[line_start..].chars().count() + 1,
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}, column {}", self.line, self.column)
    }
}
