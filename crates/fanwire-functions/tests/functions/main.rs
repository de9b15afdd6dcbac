//! Functions as their callers see them: real processes, real loopback servers.

#![allow(clippy::unwrap_used, reason = "tests, and helpers of tests")]

mod support;

mod asynchronous;
mod inspect;
mod node;
mod pool;
mod python;
mod redirect;
mod reload;
mod remote;
mod runtime_api;
mod sources;
mod typescript;
