//! What a session wants done.

use fanwire_wire::mqtt::ReasonCode;

use super::Message;
use super::error::MqttError;
use super::inbound::Delivery;
use super::link::SocketId;

/// What a caller waits for.
pub(super) type Token = u64;

/// What is to be done.
#[derive(Debug)]
pub(super) enum Output {
    /// A connection is to be made.
    Connect(SocketId),
    /// Bytes are to be sent.
    Send(SocketId, Vec<u8>),
    /// A connection is to be closed, once what was to be sent is.
    Close(SocketId),
    /// A message has come for the subscriptions of these ids.
    Message { message: Message, subscriptions: Vec<u32>, delivery: Option<Delivery> },
    /// What this caller waits for is done, or will never be.
    Done(Token, Result<(), MqttError>),
    /// Why there is no connection.
    Refused(ReasonCode, String),
}
