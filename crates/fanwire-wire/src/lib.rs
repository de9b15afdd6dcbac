//! The codecs of the protocols that Fanwire speaks: bytes in, values out.
//!
//! Nothing here opens a socket, reads a clock or knows an async runtime, so every
//! rule of a protocol can be tested with a slice of bytes, and a fuzzer reaches all
//! of it. Whoever owns the socket feeds what arrived and writes what comes back.
//!
//! # Brief overview
//!
//! - [`mqtt`] is MQTT 3.1, 3.1.1 and 5.0, both sides of it: [`mqtt::Framer`] cuts
//!   bytes into packets, [`mqtt::Frame::decode`] reads one, and every packet has an
//!   `encode`.
//! - [`proxy`] is the header by which a proxy says whose connection one is.
//! - [`trace`] is where a piece of work is in a trace, as headers tell it.
//! - [`trpc`] is what tRPC sends over WebSockets, v10 and v11, as a server speaks it:
//!   [`trpc::ClientFrame::parse`] reads what clients send, [`trpc::Response`] is what they
//!   are answered.
//! - [`ws`] is the server's side of the WebSocket protocol (RFC 6455) with
//!   compression (RFC 7692): [`ws::Receiver`] turns bytes into messages,
//!   [`ws::SharedFrame`] and [`ws::encode`] turn messages into bytes, and
//!   [`ws::handshake`] judges the HTTP request that comes first.

pub mod mqtt;
pub mod proxy;
pub mod trace;
pub mod trpc;
pub mod ws;
