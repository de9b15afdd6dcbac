//! What ties a response to its request.

use std::fmt;

use serde_json::value::RawValue;

use super::members::string;

/// The longest id of a request that is taken, in bytes of JSON. Clients count from 1.
pub const MAX_ID_BYTES: usize = 256;

/// The id of a request: a number or a string, which the response repeats as it was spelled.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Id(Spelling);

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Spelling {
    /// A natural number as all clients spell it: the usual case, which owns no memory.
    Natural(u64),
    /// Any other number or string, as JSON.
    Other(Box<str>),
}

/// What a response repeats of its request.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Envelope {
    /// The id. `None`: `null`, the answer to something that had none.
    pub id: Option<Id>,
    /// Whether the request said `"jsonrpc":"2.0"`. Clients of tRPC do not.
    pub jsonrpc: bool,
}

// === impl Id ===

impl Id {
    /// The id that `json` is: a number or a string of at most [`MAX_ID_BYTES`].
    pub fn new(json: &RawValue) -> Option<Self> {
        let text = json.get();
        if text.len() > MAX_ID_BYTES {
            return None;
        }
        if let Ok(natural) = text.parse::<u64>() {
            // A JSON number has no zeros before it.
            return Some(Self(Spelling::Natural(natural)));
        }
        // What no program could read back as it was is none.
        let is_number = || text.parse::<f64>().is_ok_and(f64::is_finite);
        (string(json).is_some() || is_number()).then(|| Self(Spelling::Other(text.into())))
    }

    /// The natural number that it is, as clients count.
    pub fn natural(&self) -> Option<u64> {
        match self.0 {
            Spelling::Natural(number) => Some(number),
            Spelling::Other(_) => None,
        }
    }

    /// The id as words name it: a string without its quotes.
    pub fn text(&self) -> String {
        match &self.0 {
            Spelling::Natural(number) => number.to_string(),
            Spelling::Other(json) => {
                serde_json::from_str(json).unwrap_or_else(|_| json.to_string())
            }
        }
    }
}

impl From<u64> for Id {
    fn from(number: u64) -> Self {
        Self(Spelling::Natural(number))
    }
}

impl fmt::Display for Id {
    /// As JSON.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Spelling::Natural(number) => number.fmt(f),
            Spelling::Other(json) => f.write_str(json),
        }
    }
}

// === impl Envelope ===

impl From<Id> for Envelope {
    fn from(id: Id) -> Self {
        Self { id: Some(id), jsonrpc: false }
    }
}
