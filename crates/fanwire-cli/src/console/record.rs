//! What there is to print, owned, so that it can cross to the printer's thread.

use std::path::PathBuf;
use std::time::Duration;

use fanwire_functions::{FunctionEvent, Stream};
use fanwire_websocket::{EventType, RequestRecord};
use jiff::Timestamp;

use super::{RealtimeRecord, Style};

/// One thing to print, and when it happened.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) at: Timestamp,
    pub(crate) record: Record,
}

/// One thing to print.
#[derive(Debug)]
pub(crate) enum Record {
    Request(Box<Request>),
    /// Something at the realtime endpoint.
    Realtime(Box<RealtimeRecord>),
    /// A line that a function wrote.
    Line {
        function: String,
        request_id: Option<String>,
        stderr: bool,
        text: String,
    },
    /// Something about a function that people should know: a crash, a failed start.
    FunctionNote {
        function: String,
        text: String,
    },
    /// A line of an access log, for a file or for the terminal.
    Access {
        file: Option<PathBuf>,
        line: String,
    },
    Execution(String),
    /// Something about the App as a whole: its files or its tables have changed.
    News(String),
    Note(String),
    Text(String),
    Dropped(u64),
    End,
}

/// What became of a request to a WebSocket API.
#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) event_type: EventType,
    pub(crate) route_key: String,
    pub(crate) connection_id: String,
    pub(crate) request_id: String,
    pub(crate) function: Option<String>,
    pub(crate) invocation_id: Option<String>,
    pub(crate) status: u16,
    pub(crate) duration: Duration,
    pub(crate) error: Option<String>,
    pub(crate) closed: Option<(u16, String)>,
}

// === impl Entry ===

impl Entry {
    /// Something that happens now.
    pub(crate) fn new(record: Record) -> Self {
        Self { at: Timestamp::now(), record }
    }
}

// === impl Record ===

impl Record {
    pub(crate) fn request(record: &RequestRecord<'_>) -> Self {
        Self::Request(Box::new(Request {
            event_type: record.event_type,
            route_key: record.route_key.to_owned(),
            connection_id: record.connection_id.to_owned(),
            request_id: record.request_id.to_owned(),
            function: record.function.map(str::to_owned),
            invocation_id: record.invocation_id.map(str::to_owned),
            status: record.status,
            duration: record.duration,
            error: record.error.map(str::to_owned),
            closed: record.closed.map(|(code, reason)| (code, reason.to_owned())),
        }))
    }

    /// What a function event reads as in a style, if anything.
    pub(crate) fn function(event: FunctionEvent<'_>, style: Style) -> Option<Self> {
        let verbose = style.verbose;
        match event {
            FunctionEvent::Line { function, request_id, stream, text } => Some(Self::Line {
                function: function.to_owned(),
                request_id: request_id.map(str::to_owned),
                stderr: stream == Stream::Stderr,
                text: text.to_owned(),
            }),
            FunctionEvent::Start { function, request_id }
            | FunctionEvent::End { function, request_id }
            | FunctionEvent::Report { function, request_id, .. } => verbose.then(|| Self::Line {
                function: function.to_owned(),
                request_id: Some(request_id.to_owned()),
                stderr: false,
                text: event.to_string(),
            }),
            FunctionEvent::Loaded { .. } => None,
            FunctionEvent::Spawned { .. } if !verbose => None,
            // Ended by the host: at its time-out, which its request tells, or to stop.
            FunctionEvent::Exited { how: "signal: killed", .. } if !verbose => None,
            other => Some(Self::FunctionNote {
                function: other.function().to_owned(),
                text: other.to_string(),
            }),
        }
    }
}
