//! A host with functions written into a folder of its own.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use fanwire_app::model::{Code, Function, Links, Runtime};
use fanwire_functions::{
    FunctionErrorKind, FunctionEvent, Functions, HostOptions, InvokeOptions, Observer, Outcome,
};
use indexmap::IndexMap;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use serde_json::Value;
use tempfile::TempDir;

/// Longer than anything takes: a test that waits this long has failed.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) struct Fixture {
    pub(crate) folder: TempDir,
    pub(crate) host: Functions,
    pub(crate) log: Log,
}

type Line = (Option<String>, String);

/// What a function said, as `(request id, text)`, platform lines included.
#[derive(Clone, Default)]
pub(crate) struct Log {
    lines: Arc<Mutex<Vec<Line>>>,
    changed: Arc<tokio::sync::Notify>,
}

impl Observer for Log {
    fn observe(&self, event: FunctionEvent<'_>) {
        let id = event.request_id().map(str::to_owned);
        self.lines.lock().unwrap().push((id, event.to_string()));
        self.changed.notify_waiters();
    }
}

impl Log {
    pub(crate) fn lines(&self) -> Vec<Line> {
        self.lines.lock().unwrap().clone()
    }

    /// The lines of one event, in order.
    pub(crate) fn of(&self, request_id: &str) -> Vec<String> {
        let mut lines = self.lines();
        lines.retain(|(id, _)| id.as_deref() == Some(request_id));
        lines.into_iter().map(|(_, text)| text).collect()
    }

    pub(crate) fn count(&self, part: &str) -> usize {
        self.lines().iter().filter(|(_, text)| text.contains(part)).count()
    }

    /// Waits until `count` lines hold `part`.
    pub(crate) async fn until(&self, part: &str, count: usize) {
        let seen = async {
            loop {
                let changed = self.changed.notified();
                tokio::pin!(changed);
                changed.as_mut().enable();
                if self.count(part) >= count {
                    return;
                }
                changed.await;
            }
        };
        if tokio::time::timeout(PATIENCE, seen).await.is_err() {
            panic!("`{part}` was not seen {count} times in {:#?}", self.lines());
        }
    }
}

pub(crate) fn function(code: Code) -> Function {
    Function {
        name: "app-dev-f".to_owned(),
        code,
        timeout: Duration::from_secs(20),
        memory_mb: 256,
        environment: IndexMap::from([("GREETING".to_owned(), "hello".to_owned())]),
        links: Links::All,
        concurrency: Some(1),
    }
}

/// A host with one function `f`, made of `files`.
pub(crate) fn handler(runtime: Runtime, handler: &str, files: &[(&str, &str)]) -> Fixture {
    handler_with(runtime, handler, files, HostOptions::default(), |_| {})
}

pub(crate) fn handler_with(
    runtime: Runtime,
    handler: &str,
    files: &[(&str, &str)],
    options: HostOptions,
    change: impl FnOnce(&mut Function),
) -> Fixture {
    let folder = folder(files);
    let identifier = match runtime {
        Runtime::Node => "nodejs20.x",
        Runtime::Python => "python3.12",
    };
    let mut function = function(Code::Handler {
        runtime,
        handler: handler.to_owned(),
        root: folder.path().to_owned(),
        identifier: identifier.to_owned(),
    });
    change(&mut function);
    host(folder, function, options)
}

pub(crate) fn node(handler_name: &str, code: &str) -> Fixture {
    handler(Runtime::Node, handler_name, &[("index.js", code)])
}

pub(crate) fn python(code: &str) -> Fixture {
    handler(Runtime::Python, "index.handler", &[("index.py", code)])
}

pub(crate) fn folder(files: &[(&str, &str)]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        let path = folder.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    folder
}

pub(crate) fn host(folder: TempDir, function: Function, options: HostOptions) -> Fixture {
    let log = Log::default();
    let functions = IndexMap::from([("f".to_owned(), function)]);
    let host = Functions::start(&functions, options, Arc::new(log.clone())).unwrap();
    Fixture { folder, host, log }
}

impl Fixture {
    pub(crate) async fn invoke(&self, event: &str) -> Outcome {
        self.invoke_with(event, InvokeOptions::default()).await
    }

    pub(crate) async fn invoke_with(&self, event: &str, options: InvokeOptions) -> Outcome {
        let invoked = self.host.invoke("f", Bytes::copy_from_slice(event.as_bytes()), options);
        let outcome = tokio::time::timeout(PATIENCE, invoked).await;
        outcome.unwrap_or_else(|_| panic!("no outcome; log: {:#?}", self.log.lines())).unwrap()
    }

    /// The result of an event that must succeed.
    pub(crate) async fn result(&self, event: &str) -> Value {
        let outcome = self.invoke(event).await;
        let text = String::from_utf8_lossy(&outcome.payload).into_owned();
        assert_eq!(outcome.error, None, "{text}; log: {:#?}", self.log.lines());
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"))
    }

    /// The error payload of an event that must fail.
    pub(crate) async fn failure(&self, event: &str) -> Value {
        let outcome = self.invoke(event).await;
        let text = String::from_utf8_lossy(&outcome.payload).into_owned();
        assert_eq!(outcome.error, Some(FunctionErrorKind::Unhandled), "{text}");
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"))
    }
}

/// Waits until a process that need not be a child of this one has ended.
pub(crate) async fn gone(pid: i32) {
    let pid = Pid::from_raw(pid).unwrap();
    let process = match pidfd_open(pid, PidfdFlags::empty()) {
        Ok(process) => process,
        Err(error) => return assert_eq!(error, Errno::SRCH, "process {pid:?}"),
    };
    // Its end makes the descriptor readable.
    let ended = tokio::task::spawn_blocking(move || {
        let patience = Timespec::try_from(PATIENCE).unwrap();
        poll(&mut [PollFd::new(&process, PollFlags::IN)], Some(&patience)).unwrap()
    });
    assert_eq!(ended.await.unwrap(), 1, "process {pid:?} is still there");
}

/// Whether a process runs now; a zombie, which only its new parent can remove, does not.
pub(crate) fn is_running(pid: i32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"));
    stat.is_ok_and(|stat| !stat.rsplit(") ").next().unwrap_or("").starts_with('Z'))
}
