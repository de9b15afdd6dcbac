//! Reading a recording.

use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::path::Path;

use serde::Deserialize;
use serde_json::Value;

use crate::client::CommandError;
use crate::record::VERSION;

/// A recorded session.
#[derive(Debug)]
pub(super) struct Recording {
    /// What was served.
    pub(super) app: Value,
    pub(super) steps: Vec<Step>,
    /// Whether records were lost while it was made.
    pub(super) is_incomplete: bool,
}

/// One thing that passed the gateway, in a recording or now.
#[derive(Debug, Clone, Deserialize)]
#[serde(tag = "type", rename_all = "kebab-case")]
pub(super) enum Step {
    Connect {
        connection: String,
        api: String,
        query: Vec<(String, String)>,
        headers: Vec<(String, String)>,
    },
    Connected {
        connection: String,
    },
    Refused {
        connection: String,
        status: u16,
        body: String,
    },
    FrameIn {
        connection: String,
        #[serde(flatten)]
        payload: Payload,
    },
    Event {
        connection: String,
        request: String,
        function: String,
        event: Value,
    },
    Result {
        connection: String,
        request: String,
        function: String,
        failed: bool,
        result: Value,
    },
    FrameOut {
        connection: String,
        #[serde(flatten)]
        payload: Payload,
    },
    Broadcast {
        api: String,
        #[serde(flatten)]
        payload: Payload,
    },
    Close {
        connection: String,
        code: u16,
        reason: String,
        by: Side,
    },
    /// Records are missing here.
    Dropped {},
}

/// A message: one of the two.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Payload {
    pub(super) text: Option<String>,
    pub(super) base64: Option<String>,
}

/// Who ended a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Side {
    Client,
    Server,
}

// === impl Recording ===

impl Recording {
    /// Reads a file whole.
    pub(super) fn read(path: &Path) -> Result<Self, CommandError> {
        let failed = |source| CommandError::File { path: path.to_owned(), source };
        let file = BufReader::new(File::open(path).map_err(failed)?);
        let mut lines = (1..).zip(file.lines());
        let wrong = |number: usize, why: &str| {
            CommandError::Usage(format!("{}:{number}: {why}", path.display()))
        };
        let heading = match lines.next() {
            Some((_, line)) => line.map_err(failed)?,
            None => return Err(wrong(1, "the recording is empty")),
        };
        let heading: Value = serde_json::from_str(&heading).unwrap_or_default();
        if heading["type"] != "recording" {
            return Err(wrong(1, "this is not a recording of `fanwire record`"));
        }
        if heading["version"] != VERSION {
            let why = format!(
                "this recording has version {}; this program reads version {VERSION}",
                heading["version"]
            );
            return Err(wrong(1, &why));
        }
        let mut steps = Vec::new();
        for (number, line) in lines {
            let line = line.map_err(failed)?;
            let step =
                serde_json::from_str(&line).map_err(|error| wrong(number, &error.to_string()));
            steps.push(step?);
        }
        let is_incomplete = steps.iter().any(|step| matches!(step, Step::Dropped {}));
        Ok(Self { app: heading["app"].clone(), steps, is_incomplete })
    }

    /// The result of an event, if it was recorded.
    pub(super) fn result_of(&self, request: &str, function: &str) -> Option<(&Value, bool)> {
        self.steps.iter().find_map(|step| match step {
            Step::Result { request: of, function: by, failed, result, .. }
                if of == request && by == function =>
            {
                Some((result, *failed))
            }
            _ => None,
        })
    }
}

// === impl Payload ===

impl Payload {
    /// The message as JSON, or the bytes of a binary one as base64.
    pub(super) fn as_value(&self) -> Value {
        match (&self.text, &self.base64) {
            (Some(text), _) => text.as_str().into(),
            (None, Some(base64)) => serde_json::json!({ "base64": base64 }),
            (None, None) => Value::Null,
        }
    }
}
