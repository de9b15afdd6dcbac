//! The MQTT client, against mosquitto, which `./test` installs, and against a broker of this
//! process; in MQTT 5 and 3.1.1: one body for all.

#![cfg(all(feature = "client", feature = "server"))]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

mod access;
mod broker;
mod exactly_once;
#[path = "../line/mod.rs"]
mod line;
mod messages;
mod wills;
