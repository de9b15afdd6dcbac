//! The inbound half of one connection.

use std::borrow::Cow;

use super::close::{CloseCode, CloseFrame};
use super::deflate::{InflateError, Inflater};
use super::frame::{Expect, Header, MAX_CLIENT_HEADER, Opcode};
use super::mask;
use super::utf8::{InvalidUtf8, Utf8Validator};

/// What a client may send.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReceiverLimits {
    /// The longest payload of one frame, in bytes, as it comes over the wire. A longer
    /// one is refused with 1009 on its header.
    pub max_frame: usize,
    /// The longest message, in bytes after decompression. A longer one is refused with
    /// 1009 as soon as that is known.
    pub max_message: usize,
    /// Whether binary messages are accepted; if not, one is refused with 1003.
    pub binary: bool,
}

/// The server's inbound half of one WebSocket connection: a state machine that turns
/// bytes into [`Event`]s.
///
/// It is two words and owns no heap memory between messages. After a close frame or
/// a [`ProtocolError`] it ignores all further input (RFC 6455 sections 5.5.1 and 7.1.7).
#[derive(Debug)]
pub struct Receiver {
    /// Present only while a frame or message has not fully arrived.
    incomplete: Option<Box<Incomplete>>,
    compression: bool,
    ended: bool,
}

/// What a client said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event<'b> {
    /// A whole text message.
    Text(Cow<'b, str>),
    /// A whole binary message.
    Binary(Cow<'b, [u8]>),
    /// A ping, to be answered with a pong of the same payload: at most 125 bytes.
    Ping(Cow<'b, [u8]>),
    /// A pong.
    Pong,
    /// A close frame, to be answered with one. The last event of the connection.
    Close(Option<CloseFrame<'b>>),
}

/// The client broke the protocol or a limit. The connection is to be closed with this
/// code; there will be no more events.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{reason} ({code})")]
pub struct ProtocolError {
    /// The code for the close frame: 1002, 1003, 1007 or 1009.
    pub code: CloseCode,
    /// What the client sent, as a phrase: "a frame without a mask".
    pub reason: &'static str,
}

/// What is kept of a frame and a message that have not fully arrived.
#[derive(Debug, Default)]
struct Incomplete {
    /// The start of a header.
    header: PartialHeader,
    /// The frame whose payload is arriving.
    frame: Option<Frame>,
    /// The start of that payload, where it is a control frame's.
    control: Vec<u8>,
    /// The message that has begun. Control frames may come within it.
    message: Option<Message>,
}

#[derive(Debug, Default)]
struct PartialHeader {
    bytes: [u8; MAX_CLIENT_HEADER],
    len: usize,
}

/// A frame, and how much of its payload has been taken.
#[derive(Debug, Clone, Copy)]
struct Frame {
    header: Header,
    received: usize,
}

/// The payload so far of a message whose end has not arrived. Its capacity is at most
/// twice what arrived.
#[derive(Debug)]
struct Message {
    opcode: Opcode,
    compressed: bool,
    payload: Vec<u8>,
    utf8: Utf8Validator,
}

// === impl Receiver ===

impl Receiver {
    /// The receiver of a new connection. `compression` is whether the handshake
    /// settled on `permessage-deflate`.
    pub fn new(compression: bool) -> Self {
        Self { incomplete: None, compression, ended: false }
    }

    /// Takes bytes that arrived, from the front of `input`, until they make an event.
    /// Call it until there is none: then all of `input` has been taken, and what was
    /// not an event yet is kept.
    ///
    /// Payloads are unmasked in place, and the event borrows from `input` where a
    /// message was there as one frame.
    pub fn next<'b>(
        &mut self,
        input: &mut &'b mut [u8],
        limits: &ReceiverLimits,
        inflater: &mut Inflater,
    ) -> Result<Option<Event<'b>>, ProtocolError> {
        if self.ended {
            *input = &mut [];
            return Ok(None);
        }
        let result = self.advance(input, limits, inflater);
        self.ended = matches!(result, Err(_) | Ok(Some(Event::Close(_))));
        if self.ended || self.incomplete.as_deref().is_some_and(Incomplete::is_empty) {
            self.incomplete = None;
        }
        result
    }

    fn advance<'b>(
        &mut self,
        input: &mut &'b mut [u8],
        limits: &ReceiverLimits,
        inflater: &mut Inflater,
    ) -> Result<Option<Event<'b>>, ProtocolError> {
        while !input.is_empty() {
            let Some(Frame { header, received }) = self.frame(input, limits)? else { break };
            // `frame` has checked the length against limits that are `usize`s.
            let remaining = header.len as usize - received;
            if input.is_empty() && remaining > 0 {
                self.incomplete().frame = Some(Frame { header, received });
                break;
            }
            let taken = remaining.min(input.len());
            let (piece, rest) = std::mem::take(input).split_at_mut(taken);
            *input = rest;
            mask::apply(piece, header.mask, received);

            let part = Part { piece, first: received == 0, last: piece.len() == remaining };
            if !part.last {
                self.incomplete().frame = Some(Frame { header, received: received + piece.len() });
            }
            let event = if header.opcode.is_control() {
                self.control(header, part)?
            } else {
                self.data(header, part, limits, inflater)?
            };
            if event.is_some() {
                return Ok(event);
            }
        }
        Ok(None)
    }

    /// The frame that the next bytes of payload belong to, whose header is taken from
    /// `input` unless it came before.
    fn frame(
        &mut self,
        input: &mut &mut [u8],
        limits: &ReceiverLimits,
    ) -> Result<Option<Frame>, ProtocolError> {
        if let Some(frame) = self.incomplete.as_mut().and_then(|it| it.frame.take()) {
            return Ok(Some(frame));
        }
        let message = self.incomplete.as_ref().and_then(|it| it.message.as_ref());
        let expect = Expect { compression: self.compression, in_message: message.is_some() };
        let begun = self.incomplete.as_ref().map_or(0, |it| it.header.len);
        if begun == 0
            && let Some((header, len)) = Header::parse(input, expect)?
        {
            check_limits(&header, message, limits)?;
            skip(input, len);
            return Ok(Some(Frame { header, received: 0 }));
        }
        // The header is in pieces: a rare case, so a byte at a time will do.
        let partial = &mut self.incomplete().header;
        while let Some(&byte) = input.first() {
            skip(input, 1);
            partial.bytes[partial.len] = byte;
            partial.len += 1;
            if let Some((header, _)) = Header::parse(&partial.bytes[..partial.len], expect)? {
                partial.len = 0;
                let message = self.incomplete.as_ref().and_then(|it| it.message.as_ref());
                check_limits(&header, message, limits)?;
                return Ok(Some(Frame { header, received: 0 }));
            }
        }
        Ok(None)
    }

    fn control<'b>(
        &mut self,
        header: Header,
        part: Part<'b>,
    ) -> Result<Option<Event<'b>>, ProtocolError> {
        let payload = if part.is_whole() {
            Cow::Borrowed(part.piece)
        } else {
            let control = &mut self.incomplete().control;
            control.extend_from_slice(part.piece);
            if !part.last {
                return Ok(None);
            }
            Cow::Owned(std::mem::take(control))
        };
        Ok(Some(match header.opcode {
            Opcode::Close => Event::Close(CloseFrame::parse(payload)?),
            Opcode::Ping => Event::Ping(payload),
            _ => Event::Pong,
        }))
    }

    fn data<'b>(
        &mut self,
        header: Header,
        part: Part<'b>,
        limits: &ReceiverLimits,
        inflater: &mut Inflater,
    ) -> Result<Option<Event<'b>>, ProtocolError> {
        let Header { opcode, compressed, fin, .. } = header;
        if fin && part.is_whole() && opcode != Opcode::Continuation {
            let payload = Cow::Borrowed(part.piece);
            return deliver(opcode, compressed, payload, limits, inflater).map(Some);
        }
        let slot = &mut self.incomplete().message;
        // A continuation never begins a message: `Header::parse` has seen to that.
        let message = slot.get_or_insert_with(|| Message::new(opcode, compressed));
        message.push(part.piece)?;
        match slot.take_if(|_| fin && part.last) {
            Some(Message { opcode, compressed, payload, .. }) => {
                deliver(opcode, compressed, Cow::Owned(payload), limits, inflater).map(Some)
            }
            None => Ok(None),
        }
    }

    fn incomplete(&mut self) -> &mut Incomplete {
        self.incomplete.get_or_insert_default()
    }
}

/// A piece of a frame's payload, unmasked.
#[derive(Clone, Copy)]
struct Part<'b> {
    piece: &'b [u8],
    first: bool,
    last: bool,
}

impl Part<'_> {
    fn is_whole(self) -> bool {
        self.first && self.last
    }
}

/// Takes `len` bytes off the front.
fn skip(input: &mut &mut [u8], len: usize) {
    *input = &mut std::mem::take(input)[len..];
}

/// Refuses a frame whose payload is not wanted, before any of it is taken.
fn check_limits(
    header: &Header,
    message: Option<&Message>,
    limits: &ReceiverLimits,
) -> Result<(), ProtocolError> {
    if header.opcode.is_control() {
        return Ok(());
    }
    if header.opcode == Opcode::Binary && !limits.binary {
        return Err(ProtocolError {
            code: CloseCode::UNSUPPORTED_DATA,
            reason: "a binary message, where only text is accepted",
        });
    }
    if header.len > limits.max_frame as u64 {
        return Err(ProtocolError::too_big("a frame over the limit"));
    }
    let compressed = message.map_or(header.compressed, |message| message.compressed);
    let max = if compressed { max_compressed(limits.max_message) } else { limits.max_message };
    let before = message.map_or(0, |message| message.payload.len());
    if before as u64 + header.len > max as u64 {
        return Err(ProtocolError::too_big("a message over the limit"));
    }
    Ok(())
}

/// How long the compressed form of a message of `max` bytes can get: a compressor that
/// does its worst makes incompressible data a little longer.
fn max_compressed(max: usize) -> usize {
    max.saturating_add(max / 8).saturating_add(64)
}

/// Makes the event of a message whose payload is there as a whole.
fn deliver<'b>(
    opcode: Opcode,
    compressed: bool,
    payload: Cow<'b, [u8]>,
    limits: &ReceiverLimits,
    inflater: &mut Inflater,
) -> Result<Event<'b>, ProtocolError> {
    let payload = if compressed {
        Cow::Owned(inflater.inflate(&payload, limits.max_message)?)
    } else {
        payload
    };
    if opcode == Opcode::Binary {
        return Ok(Event::Binary(payload));
    }
    let text = match payload {
        Cow::Borrowed(bytes) => simdutf8::basic::from_utf8(bytes).ok().map(Cow::Borrowed),
        Cow::Owned(bytes) => String::from_utf8(bytes).ok().map(Cow::Owned),
    };
    text.map(Event::Text).ok_or(ProtocolError::invalid(TEXT_NOT_UTF8))
}

const TEXT_NOT_UTF8: &str = "a text that is not UTF-8";

// === impl Event ===

impl Event<'_> {
    /// The same event, with what it borrowed from the input copied.
    pub fn into_owned(self) -> Event<'static> {
        match self {
            Self::Text(text) => Event::Text(Cow::Owned(text.into_owned())),
            Self::Binary(bytes) => Event::Binary(Cow::Owned(bytes.into_owned())),
            Self::Ping(payload) => Event::Ping(Cow::Owned(payload.into_owned())),
            Self::Pong => Event::Pong,
            Self::Close(close) => Event::Close(close.map(CloseFrame::into_owned)),
        }
    }
}

// === impl Incomplete ===

impl Incomplete {
    fn is_empty(&self) -> bool {
        self.header.len == 0 && self.frame.is_none() && self.message.is_none()
    }
}

// === impl Message ===

impl Message {
    fn new(opcode: Opcode, compressed: bool) -> Self {
        Self { opcode, compressed, payload: Vec::new(), utf8: Utf8Validator::default() }
    }

    fn push(&mut self, piece: &[u8]) -> Result<(), ProtocolError> {
        if self.opcode == Opcode::Text && !self.compressed {
            self.utf8.feed(piece).map_err(|InvalidUtf8| ProtocolError::invalid(TEXT_NOT_UTF8))?;
        }
        self.payload.extend_from_slice(piece);
        Ok(())
    }
}

// === impl ProtocolError ===

impl ProtocolError {
    /// 1002.
    pub(super) const fn protocol(reason: &'static str) -> Self {
        Self { code: CloseCode::PROTOCOL_ERROR, reason }
    }

    /// 1007.
    pub(super) const fn invalid(reason: &'static str) -> Self {
        Self { code: CloseCode::INVALID_PAYLOAD, reason }
    }

    /// 1009.
    const fn too_big(reason: &'static str) -> Self {
        Self { code: CloseCode::MESSAGE_TOO_BIG, reason }
    }
}

impl From<InflateError> for ProtocolError {
    fn from(error: InflateError) -> Self {
        match error {
            InflateError::TooLong => Self::too_big("a message over the limit once inflated"),
            // RFC 7692 names no code; this one says that content and kind disagree.
            InflateError::Corrupt => Self::invalid("a compressed message that does not inflate"),
        }
    }
}

#[cfg(test)]
mod autobahn;
#[cfg(test)]
mod differential;
#[cfg(test)]
mod memory;
#[cfg(test)]
mod properties;
#[cfg(test)]
mod testing;
