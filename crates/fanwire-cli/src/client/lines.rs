//! A stream of JSON, one value a line.

use bytes::BytesMut;
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use serde_json::Value;

use super::CommandError;

/// The longest line that is taken, in bytes: longer than any record.
const MAX_LINE_BYTES: usize = 64 * 1024 * 1024;

/// Lines as they arrive.
#[derive(Debug)]
pub(crate) struct JsonLines {
    body: Incoming,
    buffer: BytesMut,
    /// How far the buffer is known to hold no end of line.
    searched: usize,
}

// === impl JsonLines ===

impl JsonLines {
    pub(crate) fn new(body: Incoming) -> Self {
        Self { body, buffer: BytesMut::new(), searched: 0 }
    }

    /// The next line; `None` where the server ended the stream.
    ///
    /// Cancel safe: what has arrived is kept.
    pub(crate) async fn next(&mut self) -> Result<Option<Value>, CommandError> {
        loop {
            let rest = &self.buffer[self.searched..];
            if let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
                let line = self.buffer.split_to(self.searched + end + 1);
                self.searched = 0;
                return serde_json::from_slice(&line).map(Some).map_err(CommandError::broken);
            }
            self.searched = self.buffer.len();
            if self.buffer.len() > MAX_LINE_BYTES {
                return Err(CommandError::Failed("the server sent a line without end".to_owned()));
            }
            match self.body.frame().await {
                Some(Ok(frame)) => {
                    if let Some(data) = frame.data_ref() {
                        self.buffer.extend_from_slice(data);
                    }
                }
                // A server that ends breaks its streams off.
                Some(Err(_)) | None => return Ok(None),
            }
        }
    }
}
