//! What the host of functions is told: limits, environment, and per-event options.

use std::path::PathBuf;
use std::time::Duration;

use indexmap::IndexMap;
use serde::Serialize;

/// Lambda's limit for the event and for the result of a synchronous invocation, in
/// bytes (Lambda Runtime API: "Exceeded maximum allowed payload size").
pub const MAX_PAYLOAD: usize = 6_291_556;

/// How functions are hosted. [`Default`] has a value for everything; each bound says
/// what happens beyond it.
#[derive(Debug, Clone)]
pub struct HostOptions {
    /// The AWS region of ARNs and of `AWS_REGION`. Default `us-east-1`.
    pub region: String,
    /// The AWS account of ARNs: twelve digits. Default `000000000000`.
    pub account_id: String,
    /// Variables set in every function's process above the function's own, such as
    /// `AWS_ENDPOINT_URL_APIGATEWAYMANAGEMENTAPI`.
    pub environment: IndexMap<String, String>,
    /// Variables of this process that no process of the App gets, unless the App sets them:
    /// the server's own secrets. Default: none.
    pub withheld: Vec<String>,
    /// The most processes of one function, so the most of its events at a time.
    /// [`Function::concurrency`](fanwire_app::model::Function::concurrency) goes before
    /// it. Default 10.
    pub max_processes: u32,
    /// The most events of one function that wait for a process; for functions elsewhere,
    /// the most calls in flight. Beyond it: [`InvokeError::Throttled`](crate::InvokeError).
    /// Default 10,000.
    pub max_waiting: usize,
    /// The most bytes of events that the host keeps at a time, those in progress and
    /// those of asynchronous retries included. Beyond it: throttled. Default 256 MB.
    pub max_held_bytes: usize,
    /// A process without an event for this long is stopped; the last of a function is
    /// kept. Default 60 s.
    pub idle_shrink: Duration,
    /// An event that waits longer than this starts another process. Default 20 ms.
    pub grow_after: Duration,
    /// How long a process may take to load its handler. Lambda allows 10 s and then
    /// tries again; a laptop that compiles TypeScript may need more. Default 60 s.
    pub init_timeout: Duration,
    /// How long a function's `build` command may take. Default 30 min.
    pub build_timeout: Duration,
    /// The longest event and the longest result, in bytes. Default [`MAX_PAYLOAD`].
    pub max_payload: usize,
    /// How asynchronous events are retried and bounded.
    pub async_retry: AsyncRetry,
    /// The Lambda endpoint for functions in AWS whose [`Code::Lambda`] names none:
    /// usually the value of `AWS_ENDPOINT_URL_LAMBDA`. Default: AWS's own.
    ///
    /// [`Code::Lambda`]: fanwire_app::model::Code::Lambda
    pub lambda_endpoint: Option<String>,
    /// Whether processes of handlers tell which files of the project they load, for
    /// [`Functions::sources`](crate::Functions::sources). Default false.
    pub report_sources: bool,
    /// Which connections of handlers in Node.js and Python go to this server, whatever
    /// address their code gives. Default: none, and calls of AWS are not told either.
    pub redirect: Option<Redirect>,
    /// Node.js handlers that a debugger may attach to, by key, each at a port of
    /// 127.0.0.1. Such a function has one process, which runs on between events, and no
    /// time-out of any kind. New code needs the port: a reload ends the old process with
    /// the event that it may have. Default: none.
    pub inspect: IndexMap<String, u16>,
    /// How to start the watchdog that ends every function if this process is killed: a
    /// program that calls [`watchdog::main`](crate::watchdog::main).
    /// Default: none, which leaves a killed host's `Command` functions running.
    pub watchdog: Option<CommandLine>,
    /// What compiles TypeScript for projects that have neither tsx nor esbuild: a program
    /// that is given a file and writes what `fanwire_typescript::compile` makes of it as
    /// JSON, or says on standard error what is wrong and fails. Default: none, and such
    /// projects' functions fail.
    pub typescript: Option<CommandLine>,
}

impl Default for HostOptions {
    fn default() -> Self {
        Self {
            region: "us-east-1".to_owned(),
            account_id: "000000000000".to_owned(),
            environment: IndexMap::new(),
            withheld: Vec::new(),
            max_processes: 10,
            max_waiting: 10_000,
            max_held_bytes: 256 * 1024 * 1024,
            idle_shrink: Duration::from_secs(60),
            grow_after: Duration::from_millis(20),
            init_timeout: Duration::from_secs(60),
            build_timeout: Duration::from_secs(30 * 60),
            max_payload: MAX_PAYLOAD,
            async_retry: AsyncRetry::default(),
            lambda_endpoint: None,
            report_sources: false,
            redirect: None,
            inspect: IndexMap::new(),
            watchdog: None,
            typescript: None,
        }
    }
}

/// How asynchronous (`Event`) invocations are retried and bounded, as Lambda's
/// asynchronous invocation configuration.
#[derive(Debug, Clone)]
pub struct AsyncRetry {
    /// The delays before the second, third… attempt of an event whose function failed.
    /// Default 1 min and 2 min, as Lambda: three attempts in all.
    pub delays: Vec<Duration>,
    /// An event older than this is not tried again. Default 6 h.
    pub max_age: Duration,
    /// The most asynchronous events of one function at a time, those that wait for their
    /// next attempt included. Beyond it: throttled. Default 10,000.
    pub max_queued: usize,
    /// The longest asynchronous event, in bytes. Default 1 MB.
    pub max_payload: usize,
}

impl Default for AsyncRetry {
    fn default() -> Self {
        Self {
            delays: vec![Duration::from_secs(60), Duration::from_secs(120)],
            max_age: Duration::from_secs(6 * 60 * 60),
            max_queued: 10_000,
            max_payload: 1024 * 1024,
        }
    }
}

/// Connections that go to a port of this machine instead of where their code says: those
/// to one of `hosts` on port 443, 80 or `port`, with no look-up of the name and the same
/// name in TLS; and those of code that gives `localhost:PORT`, with this port, as the name
/// of a host. Code in threads of its own (`worker_threads`), or that looks names up by
/// itself, is not reached.
///
/// A call of any other host of AWS's is left alone, and told as
/// [`FunctionEvent::AwsCall`](crate::FunctionEvent::AwsCall).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Redirect {
    /// The port, at 127.0.0.1.
    pub port: u16,
    /// Host names; `*` stands for one label or part of one: `dynamodb.*.amazonaws.com`.
    pub hosts: Vec<String>,
}

/// How to start a program of ours: usually the running binary itself with a hidden
/// argument.
#[derive(Debug, Clone, Serialize)]
pub struct CommandLine {
    /// The program.
    pub program: PathBuf,
    /// Its arguments.
    pub args: Vec<String>,
}

/// What belongs to one event beside the event itself.
#[derive(Debug, Clone, Default)]
pub struct InvokeOptions {
    /// The X-Ray trace header; one is made up where `None`.
    pub trace_id: Option<String>,
    /// The client context: JSON text (not base64), at most 3,583 bytes on AWS.
    pub client_context: Option<String>,
    /// Whether [`Outcome::log_tail`](crate::Outcome) is wanted.
    pub want_log_tail: bool,
}
