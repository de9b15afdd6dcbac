//! AUTH: a step of an enhanced authentication (MQTT 5, 3.15).

use super::property::{NOT_ALLOWED, PropertyReader, PropertySink, id};
use super::reader::Reader;
use super::user_properties::UserProperties;
use super::writer::{self, Sink, Write};
use super::{DecodeError, ReasonCode, Sender};

/// The first byte of an AUTH.
pub(super) const FIRST: u8 = 0xF0;

/// A step of an authentication, from either side.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Auth<'b> {
    /// `ContinueAuthentication`; from a client also `ReAuthenticate`, from a server
    /// also `Success`.
    pub reason: ReasonCode,
    /// The method that the CONNECT named. Absent only along with `Success`.
    pub method: Option<&'b str>,
    /// What the method says.
    pub data: Option<&'b [u8]>,
    /// The reason in words, for diagnostics.
    pub reason_string: Option<&'b str>,
    /// The applications' own.
    pub user_properties: UserProperties<'b>,
}

// === impl Auth ===

impl<'b> Auth<'b> {
    pub(super) fn decode(body: &'b [u8], sender: Sender) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(body);
        let mut auth = Self::default();
        if !reader.is_empty() {
            auth.reason = ReasonCode::new(reader.u8()?).ok_or(super::WRONG_REASON)?;
            auth.take_properties(&mut reader)?;
        }
        reader.end()?;
        match (auth.reason, sender) {
            (ReasonCode::Success, Sender::Server)
            | (ReasonCode::ReAuthenticate, Sender::Client)
            | (ReasonCode::ContinueAuthentication, _) => {}
            _ => return Err(super::WRONG_REASON),
        }
        if auth.method.is_none() && !body.is_empty() {
            return Err(DecodeError::protocol("an AUTH without an authentication method"));
        }
        Ok(auth)
    }

    fn take_properties(&mut self, packet: &mut Reader<'b>) -> Result<(), DecodeError> {
        let mut properties = PropertyReader::take_from(packet)?;
        while let Some(id) = properties.next_id()? {
            match id {
                id::AUTHENTICATION_METHOD => properties.text(&mut self.method)?,
                id::AUTHENTICATION_DATA => properties.binary(&mut self.data)?,
                id::REASON_STRING => properties.text(&mut self.reason_string)?,
                id::USER_PROPERTY => properties.user_property()?,
                _ => return Err(NOT_ALLOWED),
            }
        }
        self.user_properties = properties.user_properties();
        Ok(())
    }

    /// Appends the packet, which only MQTT 5 has.
    pub fn encode(&self, out: &mut Vec<u8>) {
        writer::packet(FIRST, self, out);
    }
}

impl Write for Auth<'_> {
    fn write<S: Sink>(&self, to: &mut S) {
        if *self != Self::default() {
            to.u8(self.reason as u8);
            to.section(&Properties(self));
        }
    }
}

struct Properties<'a, 'b>(&'a Auth<'b>);

impl Write for Properties<'_, '_> {
    fn write<S: Sink>(&self, to: &mut S) {
        to.text_property(id::AUTHENTICATION_METHOD, self.0.method);
        to.binary_property(id::AUTHENTICATION_DATA, self.0.data);
        to.text_property(id::REASON_STRING, self.0.reason_string);
        to.user_properties(self.0.user_properties);
    }
}
