//! SUBACK and UNSUBACK: an answer for each topic filter (MQTT 5, 3.9 and 3.11).

use super::list::{Bytes, Item, List};
use super::property::Explanation;
use super::reader::Reader;
use super::user_properties::UserProperties;
use super::writer::{self, Sink, Write};
use super::{DecodeError, PacketId, ReasonCode, Version};

/// The first byte of a SUBACK.
pub(super) const SUBACK: u8 = 0x90;

/// The first byte of an UNSUBACK.
pub(super) const UNSUBACK: u8 = 0xB0;

/// Answers a SUBSCRIBE or UNSUBSCRIBE.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SubAck<'b> {
    /// Of the packet that it answers.
    pub packet_id: PacketId,
    /// One for each topic filter, in order: the granted QoS, success or a failure.
    /// Before MQTT 5 an UNSUBACK has none and the only failure is 0x80.
    pub reasons: Reasons<'b>,
    /// The reasons in words, for diagnostics. Not before MQTT 5.
    pub reason_string: Option<&'b str>,
    /// The applications' own. Not before MQTT 5.
    pub user_properties: UserProperties<'b>,
}

/// The reason codes of a SUBACK or UNSUBACK.
pub type Reasons<'b> = List<'b, ReasonCode>;

impl<'b> Item<'b> for ReasonCode {
    fn next(from: &mut Bytes<'b>) -> Option<Self> {
        ReasonCode::new(from.0.u8().ok()?)
    }
}

/// Appends a SUBACK. See [`SubAck`] for one that explains itself.
pub fn encode_suback(
    version: Version,
    packet_id: PacketId,
    reasons: &[ReasonCode],
    out: &mut Vec<u8>,
) {
    SubAck::new(packet_id, reasons).encode_suback(version, out);
}

/// Appends an UNSUBACK. See [`SubAck`] for one that explains itself.
pub fn encode_unsuback(
    version: Version,
    packet_id: PacketId,
    reasons: &[ReasonCode],
    out: &mut Vec<u8>,
) {
    SubAck::new(packet_id, reasons).encode_unsuback(version, out);
}

// === impl SubAck ===

impl<'b> SubAck<'b> {
    /// An answer with nothing but its reasons.
    pub fn new(packet_id: PacketId, reasons: &'b [ReasonCode]) -> Self {
        Self {
            packet_id,
            reasons: Reasons::new(reasons),
            reason_string: None,
            user_properties: UserProperties::default(),
        }
    }

    pub(super) fn decode_suback(body: &'b [u8], version: Version) -> Result<Self, DecodeError> {
        let suback = Self::decode(body, version, |code| {
            use ReasonCode as R;
            match version {
                Version::V5 => matches!(
                    code,
                    R::Success
                        | R::GrantedQoS1
                        | R::GrantedQoS2
                        | R::UnspecifiedError
                        | R::ImplementationSpecificError
                        | R::NotAuthorized
                        | R::TopicFilterInvalid
                        | R::PacketIdentifierInUse
                        | R::QuotaExceeded
                        | R::SharedSubscriptionsNotSupported
                        | R::SubscriptionIdentifiersNotSupported
                        | R::WildcardSubscriptionsNotSupported
                ),
                Version::V3_1 | Version::V3_1_1 => matches!(
                    code,
                    R::Success | R::GrantedQoS1 | R::GrantedQoS2 | R::UnspecifiedError
                ),
            }
        })?;
        if suback.reasons.is_empty() {
            return Err(DecodeError::protocol("a SUBACK without reasons"));
        }
        Ok(suback)
    }

    pub(super) fn decode_unsuback(body: &'b [u8], version: Version) -> Result<Self, DecodeError> {
        let unsuback = Self::decode(body, version, |code| {
            use ReasonCode as R;
            matches!(
                code,
                R::Success
                    | R::NoSubscriptionExisted
                    | R::UnspecifiedError
                    | R::ImplementationSpecificError
                    | R::NotAuthorized
                    | R::TopicFilterInvalid
                    | R::PacketIdentifierInUse
            )
        })?;
        if unsuback.reasons.is_empty() == version.has_properties() {
            return Err(DecodeError::protocol(
                "an UNSUBACK without reasons, or with some before MQTT 5",
            ));
        }
        Ok(unsuback)
    }

    fn decode(
        body: &'b [u8],
        version: Version,
        allowed: impl Fn(ReasonCode) -> bool,
    ) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(body);
        let mut read = Self::new(reader.packet_id()?, &[]);
        if version.has_properties() {
            let explanation = Explanation::take_from(&mut reader)?;
            read.reason_string = explanation.reason_string;
            read.user_properties = explanation.user_properties;
        }
        let codes = reader.rest();
        if !codes.iter().all(|code| ReasonCode::new(*code).is_some_and(&allowed)) {
            return Err(super::WRONG_REASON);
        }
        read.reasons = List::from_wire(codes);
        Ok(read)
    }

    /// Appends it as a SUBACK.
    pub fn encode_suback(&self, version: Version, out: &mut Vec<u8>) {
        writer::packet(SUBACK, &Body { ack: self, version, reasons: true }, out);
    }

    /// Appends it as an UNSUBACK.
    pub fn encode_unsuback(&self, version: Version, out: &mut Vec<u8>) {
        let reasons = version.has_properties();
        writer::packet(UNSUBACK, &Body { ack: self, version, reasons }, out);
    }
}

struct Body<'a, 'b> {
    ack: &'a SubAck<'b>,
    version: Version,
    reasons: bool,
}

impl Write for Body<'_, '_> {
    fn write<S: Sink>(&self, to: &mut S) {
        let SubAck { packet_id, reasons, reason_string, user_properties } = *self.ack;
        to.u16(packet_id.get());
        if self.version.has_properties() {
            to.section(&Explanation { reason_string, user_properties });
        }
        for reason in reasons.iter().filter(|_| self.reasons) {
            to.u8(match reason {
                reason if reason.is_error() && !self.version.has_properties() => {
                    ReasonCode::UnspecifiedError as u8
                }
                reason => reason as u8,
            });
        }
    }
}
