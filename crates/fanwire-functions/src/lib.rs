//! Functions: code that takes an event and answers a result, with the semantics of AWS
//! Lambda, for handlers that were written for it and are not changed.
//!
//! [`Functions::start`] takes the functions of an App; [`Functions::invoke`] gives one an
//! event and waits for its [`Outcome`]; [`Functions::invoke_event`] does not wait.
//! [`Functions::reload`] makes the next event run new code, [`Functions::update`] serves
//! other functions; events in progress end where they are. What
//! happens inside is told to an [`Observer`]: START, END and REPORT, every line that a
//! function writes with the event that caused it, and the life of its processes.
//!
//! # Brief overview
//!
//! An event's way, outermost first:
//!
//! - `host`: the handle; finds the function and checks the event's bounds. `entry` is
//!   one function as it is served now; `update` changes what is served.
//! - `pool`: the processes of one function. An event takes an idle one, or waits; more are
//!   started while events wait too long, and stopped when they idle too long.
//! - `worker`: one process and the one event it may have: its result, its time-out, its
//!   crash, its lines. Driven by the caller's own task, so an event costs no hand-over.
//! - `link`: how the host talks with the process. Handlers in Node.js and Python run under
//!   bootstraps of ours (`src/bootstrap/`) over a private framed `channel`; executables
//!   that speak the Lambda Runtime API get a server of their own (`runtime_api`).
//!   `aws_calls` tells of services that the app calls and Fanwire does not serve.
//! - `process`, `environment`, `output`: the child itself, what it is given and what it
//!   writes. `watchdog` sees to it that none outlives the host, even one that is killed.
//! - `sources`: which files of the project a function is made of.
//! - `remote`: functions that are not ours to start: in AWS, or behind a URL.
//! - `async_invoke`: asynchronous events and their retries.
//! - `services`: other programs of an App, which run for as long as the host does.
//!
//! # What differs from Lambda
//!
//! - Memory is told to functions and measured, not limited; the disk is the machine's.
//! - A process may load its handler for [`init_timeout`](HostOptions::init_timeout), not
//!   for 10 seconds; no provisioned concurrency, no SnapStart, no extensions.
//! - Streamed responses are collected and answered whole.
//! - A Python handler's own threads go on between events; Node.js stands still, as on
//!   Lambda, unless a debugger may be [attached](HostOptions::inspect).
//!
//! # Cancel safety
//!
//! A caller may drop any future of this crate. An event that was given to a process runs
//! to its end or its time-out in any case, and the process stays whole.

mod async_invoke;
mod aws_calls;
mod bootstrap;
mod build;
mod channel;
mod entry;
mod environment;
mod host;
mod lines;
mod link;
mod name;
mod observer;
mod options;
mod outcome;
mod output;
mod payload;
mod pool;
mod process;
mod remote;
mod runtime_api;
mod services;
mod sources;
mod spec;
mod start;
mod tracing;
mod update;
pub mod watchdog;
mod worker;

pub use environment::stand_in_credentials;
pub use host::{Functions, StartError};
pub use observer::{FunctionEvent, Invocation, Observer, Report, Silent, Stream};
pub use options::{AsyncRetry, CommandLine, HostOptions, InvokeOptions, MAX_PAYLOAD, Redirect};
pub use outcome::{FunctionErrorKind, InvokeError, Outcome, ThrottleReason};
pub use remote::HttpClient;
pub use services::{ServiceState, Supervisor};
pub use update::{FunctionChanges, HostUpdate};
