//! Who may call what, asked over HTTP of a server that has keys.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on may panic")]

mod access;
mod connect;
mod limits;
mod world;
