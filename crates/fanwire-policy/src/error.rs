//! What is wrong with a policy, and where.

/// A policy document, or an access list, that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{path}: {what}; expected {expected}")]
pub struct PolicyError {
    /// Where, as in `policyDocuments[0].Statement[1].Effect`, numbered from zero as the
    /// code that made it does.
    pub path: String,
    /// What stands there.
    pub what: String,
    /// What should.
    pub expected: String,
}

// === impl PolicyError ===

impl PolicyError {
    pub(crate) fn new(path: &str, what: impl Into<String>, expected: impl Into<String>) -> Self {
        Self { path: path.to_owned(), what: what.into(), expected: expected.into() }
    }
}
