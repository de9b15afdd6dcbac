//! IoT SQL: which messages a rule takes, and what it makes of them.
//!
//! A topic rule is a statement such as `SELECT temp, topic(2) AS device FROM 'sensors/+'
//! WHERE temp > 30` (reference: iot.md section 8). [`Rule::parse`] reads it once;
//! [`Rule::evaluate`] is called for every message that [`Rule::filter`] matches, and gives
//! what the rule's function is called with. Text in, JSON out: no I/O, no clock, no
//! randomness that does not come with the [`Message`].
//!
//! - [`SqlError`] says where a statement is wrong, and what would be right.
//! - [`basic_ingest`] tells messages that are published to a rule itself.
//! - [`error_payload`] is what an error action gets.
//!
//! # Bounds
//!
//! Statements come from the project's owner, payloads from anybody. A statement has at
//! most [`MAX_SQL_BYTES`] and limits on its nesting; what a message can make it do is
//! bounded by a budget of work, by the depth of the JSON that is read and by
//! [`MAX_RESULT_BYTES`]. Regular expressions take linear time.

mod ast;
mod basic_ingest;
mod decimal;
mod error;
mod evaluate;
mod failure;
mod functions;
mod lexer;
mod message;
mod operators;
mod parser;
mod rule;
mod uuid;
mod value;
mod version;

#[cfg(test)]
mod properties;
#[cfg(test)]
mod testing;

pub use basic_ingest::basic_ingest;
pub use error::{EvaluateError, Place, SqlError};
pub use failure::{Failure, error_payload};
pub use message::{Message, Properties};
pub use rule::{Rule, Selected};
pub use uuid::uuid;
pub use version::{SqlVersion, SqlVersionError};

/// The longest statement, in bytes.
pub const MAX_SQL_BYTES: usize = 16 * 1024;

/// The longest result that is put together, and the longest payload that is read for it,
/// in bytes: what Lambda takes as an event. A payload that is passed on whole has no
/// limit here.
pub const MAX_RESULT_BYTES: usize = 1024 * 1024;

/// What `clientid()` is where there is no client.
const NO_CLIENT_ID: &str = "n/a";
