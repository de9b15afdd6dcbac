//! The WebSocket protocol (RFC 6455) as a server speaks it, with
//! `permessage-deflate` (RFC 7692).
//!
//! A connection begins with an HTTP request, which [`handshake`] judges. From then
//! on both sides send *frames*; a message is one frame, or several with control
//! frames between them. A [`Receiver`] is the inbound half of one connection: it
//! takes bytes in whatever pieces they arrive and gives back [`Event`]s. The
//! outbound half needs no state: [`encode`] makes one frame, and a [`SharedFrame`]
//! is a message encoded once for any number of receivers.
//!
//! # Memory
//!
//! A `Receiver` between messages is two words and owns nothing on the heap. The
//! usual case, a frame that is in the read buffer as a whole, is unmasked in place
//! and borrowed: no copy, no allocation. Only a frame or message that has not fully
//! arrived has a buffer, which is gone when it has. That buffer grows with the
//! bytes that arrived, never with the length that a header promises.
//!
//! # Strictness
//!
//! Where RFC 6455 says that an endpoint must fail the connection, a `Receiver`
//! does, at the first byte that shows the fault: text is checked for UTF-8 as it
//! arrives, and a frame that would be too long is refused on its header.

mod close;
mod deflate;
mod encode;
mod frame;
pub mod handshake;
mod mask;
mod receiver;
mod shared;
mod utf8;

pub use self::close::{CloseCode, CloseFrame, MAX_CLOSE_REASON};
pub use self::deflate::{Deflater, Inflater};
pub use self::encode::{
    MAX_SERVER_HEADER, binary_header, encode, encode_close, encode_ping, encode_pong,
};
pub use self::frame::{MAX_CONTROL_PAYLOAD, Opcode};
pub use self::receiver::{Event, ProtocolError, Receiver, ReceiverLimits};
pub use self::shared::{SharedFrame, WireForm};
