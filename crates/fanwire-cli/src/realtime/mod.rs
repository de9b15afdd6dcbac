//! The commands that talk with the realtime endpoint of a running `dev`.

pub(crate) mod policy;
pub(crate) mod publish;
pub(crate) mod retained;
pub(crate) mod sessions;
pub(crate) mod subscribe;

use std::io::Read as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use serde_json::Value;

use crate::client::CommandError;
use crate::pretty;

/// The bytes of an argument that may be `-`, for standard input.
fn argument_or_input(text: &str) -> Result<Vec<u8>, CommandError> {
    if text != "-" {
        return Ok(text.as_bytes().to_vec());
    }
    let mut bytes = Vec::new();
    let read = std::io::stdin().read_to_end(&mut bytes);
    read.map_err(|source| CommandError::File { path: "standard input".into(), source })?;
    Ok(bytes)
}

/// The payload of a message as the control API shows it, for people.
fn payload(message: &Value) -> String {
    if let Some(text) = message["text"].as_str() {
        return pretty::json_or_text(text);
    }
    let encoded = message["base64"].as_str().unwrap_or_default();
    let length = STANDARD.decode(encoded).map_or(0, |bytes| bytes.len());
    format!("({length} bytes) {encoded}")
}

/// A moment that the control API gives in milliseconds since the epoch.
fn moment(value: &Value) -> Option<Timestamp> {
    value.as_i64().and_then(|ms| Timestamp::from_millisecond(ms).ok())
}
