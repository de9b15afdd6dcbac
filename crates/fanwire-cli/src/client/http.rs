//! One HTTP request on a connection of its own.

use bytes::Bytes;
use http::header::HOST;
use http::response::Parts;
use http::{HeaderMap, Request, StatusCode};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use serde_json::Value;

use super::socket::{Trust, connect};
use super::{Address, CommandError};

/// The most bytes of an answer that is read whole.
const MAX_ANSWER_BYTES: usize = 32 * 1024 * 1024;

/// An answer, read whole.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    /// Who answered, for errors.
    address: String,
}

/// The beginning of an answer.
#[derive(Debug)]
pub(crate) struct Head {
    pub(crate) status: StatusCode,
    headers: HeaderMap,
    address: String,
}

/// Makes a request and returns once the answer begins.
pub(crate) async fn start(
    address: &Address,
    trust: Trust,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: impl Into<Bytes>,
) -> Result<(Head, Incoming), CommandError> {
    let socket = connect(address, trust).await?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(socket))
        .await
        .map_err(CommandError::broken)?;
    // Ends with the answer's body.
    tokio::spawn(connection);
    let mut request = Request::builder().method(method).uri(path).header(HOST, address.authority());
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let request = request.body(Full::new(body.into())).map_err(CommandError::broken)?;
    let response = sender.send_request(request).await.map_err(CommandError::broken)?;
    let (Parts { status, headers, .. }, body) = response.into_parts();
    Ok((Head { status, headers, address: address.to_string() }, body))
}

// === impl Answer ===

impl Answer {
    pub(crate) async fn read(head: Head, body: Incoming) -> Result<Self, CommandError> {
        let body = Limited::new(body, MAX_ANSWER_BYTES).collect().await;
        let body = body.map_err(CommandError::Broken)?.to_bytes();
        let Head { status, headers, address } = head;
        Ok(Self { status, headers, body, address })
    }

    /// The answer, where it is a good one to a request for `path`.
    pub(crate) fn expect_success(self, path: &str) -> Result<Self, CommandError> {
        let status = self.status;
        if status.is_success() {
            return Ok(self);
        }
        let ours = self.headers.contains_key("x-amzn-errortype");
        // A server without the control API takes its paths for those of clients.
        let unknown =
            status == StatusCode::NOT_FOUND || self.message().as_deref() == Some("Forbidden");
        match self.message() {
            Some(message) if ours && !unknown => Err(CommandError::Refused { status, message }),
            _ => {
                let (address, path) = (self.address, path.to_owned());
                Err(CommandError::Foreign { address, path, status })
            }
        }
    }

    /// What an error says.
    pub(crate) fn message(&self) -> Option<String> {
        let body: Value = serde_json::from_slice(&self.body).ok()?;
        let message = body.get("message").or_else(|| body.get("Message"))?;
        message.as_str().map(str::to_owned)
    }

    pub(crate) fn json(&self) -> Result<Value, CommandError> {
        serde_json::from_slice(&self.body).map_err(CommandError::broken)
    }

    /// The text of a header.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }
}
