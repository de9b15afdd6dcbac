//! DynamoDB's API on the server's own port, for unmodified AWS SDKs.
//!
//! DynamoDB has one address, `/`, and names the operation in a header. No other API of
//! ours has that header, so it says whom a request is for.

use std::sync::Arc;
use std::time::{Duration, Instant};

use fanwire_dynamodb::DynamoDb;
use fanwire_hub::Clock;
use http::{HeaderMap, Request, StatusCode};
use http_body_util::{Either, Full};
use tokio::sync::{Notify, watch};

use crate::response::{self, Answer};
use crate::router::{BodyError, CallBody, Router};

/// The header that names an operation.
const TARGET: &str = "x-amz-target";
/// How the operations' names begin.
const PREFIXES: [&str; 2] = ["DynamoDB_20120810.", "DynamoDBStreams_20120810."];

/// The largest request (DynamoDB API Reference, `BatchWriteItem`: 16 MB in all).
pub(crate) const MAX_BODY_BYTES: usize = 16 * 1024 * 1024;

/// How long after its time an item may still be there. On AWS it can be days.
const SWEEP_EVERY: Duration = Duration::from_secs(5);
/// A sweep reads every table that has an expiry, so large ones are swept less often: a
/// sweep may take one part in so many of the time.
const SWEEP_SHARE: u32 = 50;

/// Whether a request is for DynamoDB.
pub(crate) fn is_meant(headers: &HeaderMap) -> bool {
    let target = headers.get(TARGET).and_then(|target| target.to_str().ok());
    target.is_some_and(|target| PREFIXES.iter().any(|prefix| target.starts_with(prefix)))
}

impl Router {
    /// Answers a request to DynamoDB's API.
    pub(crate) async fn dynamodb(&self, request: Request<CallBody>) -> Answer {
        let Some(tables) = self.tables() else {
            let text = "this server has no tables: it was started without a place for them";
            return refused(StatusCode::BAD_REQUEST, "ResourceNotFoundException", text);
        };
        let (head, body) = request.into_parts();
        match self.body_of(body, MAX_BODY_BYTES).await {
            Ok(body) => {
                let answer = tables.answer(Request::from_parts(head, body)).await;
                answer.map(|body| Either::Left(Full::new(body)))
            }
            Err(error @ BodyError::TooLarge { .. }) => {
                let status = StatusCode::PAYLOAD_TOO_LARGE;
                refused(status, "RequestEntityTooLarge", &error.to_string())
            }
            Err(error) => {
                let status = StatusCode::BAD_REQUEST;
                refused(status, "SerializationException", &error.to_string())
            }
        }
    }
}

/// An error that SDKs turn into an exception of type `error_type`.
fn refused(status: StatusCode, error_type: &str, text: &str) -> Answer {
    let kind = format!("com.amazonaws.dynamodb.v20120810#{error_type}");
    response::json(status, serde_json::json!({ "__type": kind, "message": text }).to_string())
}

/// Ends expired items, from time to time and whenever `now` says, until `stopped`.
pub(crate) async fn sweep(
    tables: DynamoDb,
    clock: Clock,
    now: Arc<Notify>,
    mut stopped: watch::Receiver<bool>,
) {
    let mut pause = SWEEP_EVERY;
    loop {
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = now.notified() => {}
            _ = stopped.wait_for(|stopped| *stopped) => return,
        }
        let (tables, seconds) = (tables.clone(), clock.epoch_ms() as f64 / 1000.0);
        let started = Instant::now();
        // What cannot be swept now, for want of space, is tried again.
        let _ = tokio::task::spawn_blocking(move || tables.sweep(seconds)).await;
        pause = SWEEP_EVERY.max(started.elapsed() * SWEEP_SHARE);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    #[test]
    fn a_request_is_told_by_its_operation() {
        let meant = |target: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(TARGET, HeaderValue::from_static(target));
            is_meant(&headers)
        };
        assert!(meant("DynamoDB_20120810.PutItem"));
        assert!(meant("DynamoDBStreams_20120810.GetRecords"));
        assert!(!meant("Kinesis_20131202.PutRecord"));
        assert!(!is_meant(&HeaderMap::new()));
    }
}
