//! Asynchronous (`Event`) invocations.

use std::time::Duration;

use bytes::Bytes;
use fanwire_app::model::Runtime;
use fanwire_functions::{AsyncRetry, HostOptions, InvokeError, InvokeOptions};

use crate::support::{Fixture, handler_with};

fn failing(times: u32, retry: AsyncRetry) -> Fixture {
    let code = format!(
        "let n = 0; exports.handler = async () => {{ n += 1; console.log('attempt', n); if (n <= {times}) throw new Error('not yet'); }};"
    );
    let options = HostOptions { async_retry: retry, ..HostOptions::default() };
    handler_with(Runtime::Node, "index.handler", &[("index.js", &code)], options, |_| {})
}

fn quick() -> AsyncRetry {
    let delays = vec![Duration::from_millis(1), Duration::from_millis(2)];
    AsyncRetry { delays, ..AsyncRetry::default() }
}

impl Fixture {
    fn post(&self) -> Result<String, InvokeError> {
        self.host.invoke_event("f", Bytes::from("{}"), InvokeOptions::default())
    }
}

#[tokio::test]
async fn an_event_is_tried_three_times_with_one_request_id() {
    let f = failing(2, quick());
    let id = f.post().unwrap();
    f.log.until("END RequestId", 3).await;
    let starts = f.log.of(&id).iter().filter(|line| line.starts_with("START")).count();
    assert_eq!(starts, 3);
    assert_eq!(f.log.count("dropped"), 0);
}

#[tokio::test]
async fn an_event_that_fails_three_times_is_dropped_and_told() {
    let f = failing(9, quick());
    let id = f.post().unwrap();
    f.log.until("dropped", 1).await;
    assert_eq!(f.log.count("attempt "), 3 + 2, "three by the handler, two told as retries");
    let last = f.log.of(&id).pop().unwrap();
    assert_eq!(last, format!("f: event {id} dropped: the function failed at every attempt"));
}

#[tokio::test]
async fn an_event_that_is_too_old_for_its_next_attempt_is_dropped() {
    let delays = vec![Duration::from_secs(60)];
    let f = failing(9, AsyncRetry { delays, max_age: Duration::from_secs(30), ..quick() });
    f.post().unwrap();
    f.log.until("dropped: it is older than async events may be", 1).await;
}

#[tokio::test]
async fn more_events_than_are_kept_are_throttled_and_long_ones_refused() {
    let delays = vec![Duration::from_secs(600)];
    let f = failing(9, AsyncRetry { delays, max_queued: 1, max_payload: 10, ..quick() });
    f.post().unwrap();
    assert!(matches!(f.post(), Err(InvokeError::Throttled { .. })));
    let long = Bytes::from(vec![b'1'; 11]);
    let refused = f.host.invoke_event("f", long, InvokeOptions::default());
    assert!(matches!(refused, Err(InvokeError::PayloadTooLarge { size: 11, limit: 10 })));
}

#[tokio::test]
async fn shutting_down_does_not_wait_for_the_next_attempt() {
    let f = failing(9, AsyncRetry { delays: vec![Duration::from_secs(600)], ..quick() });
    f.post().unwrap();
    f.log.until("failed at attempt 1", 1).await;
    f.host.shutdown(Duration::from_secs(60)).await;
    f.log.until("dropped: the host shut down before its next attempt", 1).await;
    assert!(matches!(f.post(), Err(InvokeError::ShuttingDown)));
}
