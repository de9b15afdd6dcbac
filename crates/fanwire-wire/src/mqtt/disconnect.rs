//! DISCONNECT: the last packet of a connection (MQTT 5, 3.14).

use super::property::{NOT_ALLOWED, PropertyReader, PropertySink, id};
use super::reader::Reader;
use super::user_properties::UserProperties;
use super::writer::{self, Sink, Write};
use super::{DecodeError, ReasonCode, Sender, Version};

/// The first byte of a DISCONNECT.
pub(super) const FIRST: u8 = 0xE0;

/// Whoever sends it closes the connection. Before MQTT 5 only clients do, and without
/// a reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Disconnect<'b> {
    /// Why. With `Success` the will is dropped, with all else it is published.
    pub reason: ReasonCode,
    /// From a client: the session expiry, in seconds, in place of the CONNECT's.
    pub session_expiry: Option<u32>,
    /// The reason in words, for diagnostics.
    pub reason_string: Option<&'b str>,
    /// From a server: which other one to use.
    pub server_reference: Option<&'b str>,
    /// The applications' own.
    pub user_properties: UserProperties<'b>,
}

// === impl Disconnect ===

impl<'b> Disconnect<'b> {
    pub(super) fn decode(
        body: &'b [u8],
        version: Version,
        sender: Sender,
    ) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(body);
        let mut disconnect = Self::default();
        if version.has_properties() && !reader.is_empty() {
            disconnect.reason = ReasonCode::new(reader.u8()?)
                .filter(|reason| may_end(*reason, sender))
                .ok_or(super::WRONG_REASON)?;
            if !reader.is_empty() {
                disconnect.take_properties(&mut reader, sender)?;
            }
        }
        reader.end()?;
        Ok(disconnect)
    }

    fn take_properties(
        &mut self,
        packet: &mut Reader<'b>,
        sender: Sender,
    ) -> Result<(), DecodeError> {
        let mut properties = PropertyReader::take_from(packet)?;
        while let Some(id) = properties.next_id()? {
            match id {
                id::SESSION_EXPIRY if sender == Sender::Server => {
                    return Err(DecodeError::protocol("a session expiry from a server"));
                }
                id::SESSION_EXPIRY => properties.u32(&mut self.session_expiry)?,
                id::REASON_STRING => properties.text(&mut self.reason_string)?,
                id::SERVER_REFERENCE => properties.text(&mut self.server_reference)?,
                id::USER_PROPERTY => properties.user_property()?,
                _ => return Err(NOT_ALLOWED),
            }
        }
        self.user_properties = properties.user_properties();
        Ok(())
    }

    /// Appends the packet, in the shortest form.
    ///
    /// Before MQTT 5 a server has no such packet and appends nothing: it closes the
    /// connection. See [`encode_client_disconnect`] for clients.
    pub fn encode(&self, version: Version, out: &mut Vec<u8>) {
        if version.has_properties() {
            writer::packet(FIRST, self, out);
        }
    }
}

/// Appends a client's DISCONNECT, which all versions have.
pub fn encode_client_disconnect(disconnect: &Disconnect<'_>, version: Version, out: &mut Vec<u8>) {
    match version {
        Version::V5 => disconnect.encode(version, out),
        Version::V3_1 | Version::V3_1_1 => out.extend_from_slice(&[FIRST, 0]),
    }
}

impl Write for Disconnect<'_> {
    fn write<S: Sink>(&self, to: &mut S) {
        let properties = Properties(self);
        let any = properties.len() > 0;
        if self.reason != ReasonCode::Success || any {
            to.u8(self.reason as u8);
        }
        if any {
            to.section(&properties);
        }
    }
}

struct Properties<'a, 'b>(&'a Disconnect<'b>);

impl Write for Properties<'_, '_> {
    fn write<S: Sink>(&self, to: &mut S) {
        to.u32_property(id::SESSION_EXPIRY, self.0.session_expiry);
        to.text_property(id::REASON_STRING, self.0.reason_string);
        to.text_property(id::SERVER_REFERENCE, self.0.server_reference);
        to.user_properties(self.0.user_properties);
    }
}

/// Whether this side may end a connection with this reason (MQTT 5, table 3-10).
fn may_end(reason: ReasonCode, sender: Sender) -> bool {
    use ReasonCode as R;
    match reason {
        R::Success
        | R::UnspecifiedError
        | R::MalformedPacket
        | R::ProtocolError
        | R::ImplementationSpecificError
        | R::TopicNameInvalid
        | R::ReceiveMaximumExceeded
        | R::TopicAliasInvalid
        | R::PacketTooLarge
        | R::MessageRateTooHigh
        | R::QuotaExceeded
        | R::AdministrativeAction
        | R::PayloadFormatInvalid => true,
        R::DisconnectWithWill => sender == Sender::Client,
        R::NotAuthorized
        | R::ServerBusy
        | R::ServerShuttingDown
        | R::KeepAliveTimeout
        | R::SessionTakenOver
        | R::TopicFilterInvalid
        | R::RetainNotSupported
        | R::QoSNotSupported
        | R::UseAnotherServer
        | R::ServerMoved
        | R::SharedSubscriptionsNotSupported
        | R::ConnectionRateExceeded
        | R::MaximumConnectTime
        | R::SubscriptionIdentifiersNotSupported
        | R::WildcardSubscriptionsNotSupported => sender == Sender::Server,
        _ => false,
    }
}
