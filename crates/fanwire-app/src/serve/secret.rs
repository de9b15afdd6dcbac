//! Texts that are shown to nobody.

use std::fmt;
use std::path::Path;

use serde::{Serialize, Serializer};

use crate::diagnostic::Issue;
use crate::node::Node;
use crate::reading::{Reading, join};

/// The keys whose values are secrets.
pub(super) const KEYS: [&str; 5] = ["secret", "session_token", "token", "value", "password"];

/// The longest file that a secret is read from, in bytes.
const MAX_FILE_BYTES: u64 = 64 * 1024;

/// A text that is not shown: not by `Debug`, not where settings are written out, and there
/// is no `Display`.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

// === impl Secret ===

impl Secret {
    /// Keeps a text.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text, for where it is used.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("…")
    }
}

impl Serialize for Secret {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str("…")
    }
}

/// A fault that has been told of.
pub(super) struct Told;

/// The secret of the key `name` of a table, or of the file that `{name}_file` names.
pub(super) fn read(
    table: &Node,
    name: &str,
    reading: &mut Reading<'_>,
) -> Result<Option<Secret>, Told> {
    let file_key = format!("{name}_file");
    let given = table.get(name).and_then(Node::scalar_text).filter(|text| !text.is_empty());
    let Some(entry) = table.entry(&file_key) else { return Ok(given.map(Secret::new)) };
    let place = entry.node.span;
    if given.is_some() {
        let message = format!("there are both `{name}` and `{file_key}`");
        reading.issues.push(Issue::error(place, message).expected("one of them"));
        return Err(Told);
    }
    // What is no text has been refused by the table.
    let path = join(&reading.folder, &entry.node.scalar_text().ok_or(Told)?);
    reading.files.push(path.clone());
    read_file(&path).map(|text| Some(Secret::new(text))).map_err(|why| {
        let message = format!("the secret in {} {why}", path.display());
        reading.issues.push(Issue::error(place, message));
        Told
    })
}

/// What a file holds, without the end of its last line.
fn read_file(path: &Path) -> Result<String, String> {
    let size = std::fs::metadata(path).map_err(|error| format!("cannot be read: {error}"))?.len();
    if size > MAX_FILE_BYTES {
        return Err(format!("is over {MAX_FILE_BYTES} bytes"));
    }
    let text = std::fs::read_to_string(path).map_err(|error| format!("cannot be read: {error}"))?;
    match text.trim_end_matches(['\r', '\n']) {
        "" => Err("is empty".to_owned()),
        text => Ok(text.to_owned()),
    }
}
