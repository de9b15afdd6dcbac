//! How many processes a function has, and what happens to those who wait for them.

use std::time::{Duration, Instant};

use bytes::Bytes;
use fanwire_app::model::Runtime;
use fanwire_functions::{HostOptions, InvokeError, InvokeOptions};

use crate::support::{Fixture, handler_with, is_running, node};

/// A handler that ends when a file appears; its result is its process's id.
const HELD: &str = "
    const fs = require('fs');
    exports.handler = async (event) => {
        console.log('running', process.pid);
        while (event.until && !fs.existsSync(event.until)) await new Promise((done) => setTimeout(done, 2));
        return process.pid;
    };";

fn held(options: HostOptions, processes: u32) -> Fixture {
    handler_with(Runtime::Node, "index.handler", &[("index.js", HELD)], options, |function| {
        function.concurrency = Some(processes);
    })
}

impl Fixture {
    fn hold(&self) -> Bytes {
        let file = self.folder.path().join("release");
        Bytes::from(format!("{{\"until\":{:?}}}", file.display().to_string()))
    }

    fn release(&self) {
        std::fs::write(self.folder.path().join("release"), "").unwrap();
    }

    fn spawn_held(&self) -> tokio::task::JoinHandle<Result<u32, InvokeError>> {
        let (host, event) = (self.host.clone(), self.hold());
        tokio::spawn(async move {
            let outcome = host.invoke("f", event, InvokeOptions::default()).await?;
            Ok(serde_json::from_slice(&outcome.payload).unwrap())
        })
    }
}

#[tokio::test]
async fn events_that_wait_start_processes_up_to_the_limit() {
    let f = held(HostOptions::default(), 3);
    let events: Vec<_> = (0..5).map(|_| f.spawn_held()).collect();
    f.log.until("running", 3).await;
    f.release();
    let mut pids = Vec::new();
    for event in events {
        pids.push(event.await.unwrap().unwrap());
    }
    pids.sort_unstable();
    pids.dedup();
    assert_eq!(pids.len(), 3);
    assert_eq!(f.log.count("started"), 3);
}

#[tokio::test]
async fn a_process_has_one_event_at_a_time() {
    let f = node(
        "index.handler",
        "let busy = 0, most = 0;
        exports.handler = async () => {
            busy += 1; most = Math.max(most, busy);
            await new Promise((done) => setTimeout(done, 2));
            busy -= 1;
            return most;
        };",
    );
    let events: Vec<_> = (0..10)
        .map(|_| {
            let host = f.host.clone();
            tokio::spawn(async move {
                host.invoke("f", Bytes::from("{}"), InvokeOptions::default()).await.unwrap()
            })
        })
        .collect();
    for event in events {
        assert_eq!(event.await.unwrap().payload, "1");
    }
    assert_eq!(f.log.count("started"), 1);
}

#[tokio::test]
async fn surplus_processes_are_stopped_and_one_is_kept() {
    let options = HostOptions { idle_shrink: Duration::from_millis(50), ..HostOptions::default() };
    let f = held(options, 3);
    let events: Vec<_> = (0..3).map(|_| f.spawn_held()).collect();
    f.log.until("running", 3).await;
    f.release();
    for event in events {
        event.await.unwrap().unwrap();
    }
    f.log.until("ended: signal: killed", 2).await;
    f.result("{}").await;
    assert_eq!(f.log.count("started"), 3, "the one that was kept took the event");
}

#[tokio::test]
async fn more_events_than_may_wait_are_throttled() {
    let f = held(HostOptions { max_waiting: 2, ..HostOptions::default() }, 1);
    let running = f.spawn_held();
    f.log.until("running", 1).await;
    let waiting = [f.spawn_held(), f.spawn_held()];
    while f.host.invoke("f", Bytes::from("{}"), InvokeOptions::default()).now_or_never() {
        tokio::task::yield_now().await;
    }
    f.release();
    running.await.unwrap().unwrap();
    for event in waiting {
        event.await.unwrap().unwrap();
    }
}

trait NowOrNever {
    /// Polls once: true unless the event was throttled.
    fn now_or_never(self) -> bool;
}

impl<F: Future<Output = Result<fanwire_functions::Outcome, InvokeError>>> NowOrNever for F {
    fn now_or_never(self) -> bool {
        let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
        let future = std::pin::pin!(self);
        !matches!(future.poll(&mut cx), std::task::Poll::Ready(Err(InvokeError::Throttled { .. })))
    }
}

#[tokio::test]
async fn a_caller_that_goes_away_leaves_the_process_whole() {
    let f = held(HostOptions::default(), 1);
    let pid = f.result("{}").await;
    let event = f.spawn_held();
    f.log.until("running", 2).await;
    event.abort();
    assert!(event.await.unwrap_err().is_cancelled());
    let next = f.host.clone();
    let next = tokio::spawn(async move {
        next.invoke("f", Bytes::from("{}"), InvokeOptions::default()).await.unwrap()
    });
    f.release();
    // The abandoned event ran to its end; the process then took the next one.
    assert_eq!(next.await.unwrap().payload, pid.to_string());
    assert_eq!(f.log.count("END RequestId"), 3);
    assert_eq!(f.log.count("started"), 1);
}

#[tokio::test]
async fn callers_that_go_away_while_they_wait_lose_nobody_a_process() {
    let f = held(HostOptions::default(), 1);
    let running = f.spawn_held();
    f.log.until("running", 1).await;
    let gone: Vec<_> = (0..5).map(|_| f.spawn_held()).collect();
    tokio::task::yield_now().await;
    for event in &gone {
        event.abort();
    }
    f.release();
    running.await.unwrap().unwrap();
    f.result("{}").await;
    assert_eq!(f.log.count("started"), 1);
}

#[tokio::test]
async fn a_failed_start_fails_all_who_wait_and_starts_are_spaced() {
    let f = node("index.handler", "throw new Error('at load')");
    let events: Vec<_> = (0..20)
        .map(|_| {
            let host = f.host.clone();
            tokio::spawn(async move {
                host.invoke("f", Bytes::from("{}"), InvokeOptions::default()).await.unwrap()
            })
        })
        .collect();
    for event in events {
        assert!(event.await.unwrap().error.is_some());
    }
    assert!(f.log.count("started") < 5, "{:#?}", f.log.lines());
}

#[tokio::test]
async fn a_process_that_ends_between_events_is_replaced() {
    let f = node("index.handler", "exports.handler = async () => process.pid;");
    let pid = f.result("{}").await.as_i64().unwrap();
    let pid = rustix::process::Pid::from_raw(i32::try_from(pid).unwrap()).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    f.log.until("ended: signal: terminated", 1).await;
    assert_ne!(f.result("{}").await.as_i64().unwrap(), i64::from(pid.as_raw_nonzero().get()));
}

#[tokio::test]
async fn shutting_down_waits_for_events_and_leaves_no_process() {
    let f = held(HostOptions::default(), 2);
    let event = f.spawn_held();
    f.log.until("running", 1).await;
    let host = f.host.clone();
    let shutdown = tokio::spawn(async move { host.shutdown(Duration::from_secs(60)).await });
    while !matches!(
        f.host.invoke("f", Bytes::from("{}"), InvokeOptions::default()).await,
        Err(InvokeError::ShuttingDown)
    ) {}
    f.release();
    let pid = event.await.unwrap().unwrap();
    shutdown.await.unwrap();
    assert!(!is_running(i32::try_from(pid).unwrap()));
}

#[tokio::test]
async fn shutting_down_kills_what_does_not_end() {
    let f = held(HostOptions::default(), 1);
    let running = f.spawn_held();
    f.log.until("running", 1).await;
    let waiting = f.spawn_held();
    tokio::task::yield_now().await;
    f.host.shutdown(Duration::from_millis(50)).await;
    assert!(matches!(waiting.await.unwrap(), Err(InvokeError::ShuttingDown)));
    // Its payload is an error, not a process id.
    assert!(running.await.is_err());
    assert!(!is_running(started(&f)));
}

/// The id of the first process that was started.
fn started(f: &Fixture) -> i32 {
    let lines = f.log.lines();
    let text = lines.iter().find_map(|(_, text)| text.strip_suffix(" started")).unwrap();
    text.rsplit(' ').next().unwrap().parse().unwrap()
}

/// What is left of an event is driven by a task, and a runtime that has shut down drops
/// each task: one that made another of itself when dropped would never come to an end.
#[test]
fn an_event_that_nobody_waits_for_ends_with_its_runtime() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let f = runtime.block_on(async {
        let f = held(HostOptions::default(), 1);
        let running = f.spawn_held();
        f.log.until("running", 1).await;
        running.abort();
        assert!(running.await.unwrap_err().is_cancelled());
        f
    });
    let pid = started(&f);
    drop(runtime);
    let patience = Instant::now() + Duration::from_secs(20);
    while is_running(pid) {
        assert!(Instant::now() < patience, "process {pid} still runs");
        std::thread::yield_now();
    }
}

#[tokio::test]
async fn more_bytes_than_may_be_held_are_throttled_until_there_is_room() {
    let f = held(HostOptions { max_held_bytes: 200, ..HostOptions::default() }, 1);
    let running = f.spawn_held();
    f.log.until("running", 1).await;
    let long = Bytes::from(format!("{:200}", "{}"));
    let invoke = || f.host.invoke("f", long.clone(), InvokeOptions::default());
    let refused = invoke().await.unwrap_err().to_string();
    assert!(refused.starts_with("function `f` is throttled: the host holds "), "{refused}");
    f.release();
    running.await.unwrap().unwrap();
    assert!(invoke().await.is_ok());
}

#[tokio::test]
async fn unknown_functions_and_long_events_are_refused() {
    let f = node("index.handler", "exports.handler = async () => {};");
    let invoke =
        |key, size| f.host.invoke(key, Bytes::from(vec![b' '; size]), InvokeOptions::default());
    assert!(matches!(invoke("g", 2).await, Err(InvokeError::NotFound { .. })));
    let over = fanwire_functions::MAX_PAYLOAD + 1;
    assert!(matches!(invoke("f", over).await, Err(InvokeError::PayloadTooLarge { .. })));
    assert_eq!(f.log.count("started"), 0);
    for name in ["f", "app-dev-f", "000000000000:function:app-dev-f", &f.host.arn("f").unwrap()] {
        assert_eq!(f.host.resolve(name).as_deref(), Some("f"), "{name}");
    }
    assert_eq!(f.host.resolve("g"), None);
}
