//! PUBACK, PUBREC, PUBREL and PUBCOMP: the acknowledgements of QoS 1 and 2
//! (MQTT 5, 3.4 to 3.7).

use super::property::Explanation;
use super::reader::Reader;
use super::user_properties::UserProperties;
use super::writer::{self, Sink, Write};
use super::{DecodeError, PacketId, ReasonCode, Version};

/// Acknowledges a PUBLISH, or the acknowledgement before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ack<'b> {
    /// Of the PUBLISH.
    pub packet_id: PacketId,
    /// How it went; `Success` before MQTT 5.
    pub reason: ReasonCode,
    /// The same in words, for diagnostics.
    pub reason_string: Option<&'b str>,
    /// The applications' own.
    pub user_properties: UserProperties<'b>,
}

/// Which acknowledgement.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AckKind {
    /// Ends a QoS 1 delivery.
    PubAck,
    /// First answer to a QoS 2 PUBLISH.
    PubRec,
    /// Answer to PUBREC: the message may be forgotten.
    PubRel,
    /// Ends a QoS 2 delivery.
    PubComp,
}

// === impl AckKind ===

impl AckKind {
    /// The first byte of the packet. PUBREL has a flag, for historical reasons.
    pub(super) const fn first(self) -> u8 {
        match self {
            Self::PubAck => 0x40,
            Self::PubRec => 0x50,
            Self::PubRel => 0x62,
            Self::PubComp => 0x70,
        }
    }

    /// Whether this packet may carry this reason (tables 3-4 to 3-7).
    fn allows(self, reason: ReasonCode) -> bool {
        use ReasonCode as R;
        match self {
            Self::PubAck | Self::PubRec => matches!(
                reason,
                R::Success
                    | R::NoMatchingSubscribers
                    | R::UnspecifiedError
                    | R::ImplementationSpecificError
                    | R::NotAuthorized
                    | R::TopicNameInvalid
                    | R::PacketIdentifierInUse
                    | R::QuotaExceeded
                    | R::PayloadFormatInvalid
            ),
            Self::PubRel | Self::PubComp => {
                matches!(reason, R::Success | R::PacketIdentifierNotFound)
            }
        }
    }
}

// === impl Ack ===

impl<'b> Ack<'b> {
    /// An acknowledgement with nothing but its reason.
    pub fn new(packet_id: PacketId, reason: ReasonCode) -> Self {
        Self { packet_id, reason, reason_string: None, user_properties: UserProperties::default() }
    }

    pub(super) fn decode(
        kind: AckKind,
        body: &'b [u8],
        version: Version,
    ) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(body);
        let mut ack = Self::new(reader.packet_id()?, ReasonCode::Success);
        if version.has_properties() && !reader.is_empty() {
            ack.reason = ReasonCode::new(reader.u8()?)
                .filter(|reason| kind.allows(*reason))
                .ok_or(super::WRONG_REASON)?;
            if !reader.is_empty() {
                let explanation = Explanation::take_from(&mut reader)?;
                ack.reason_string = explanation.reason_string;
                ack.user_properties = explanation.user_properties;
            }
        }
        reader.end()?;
        Ok(ack)
    }

    /// Appends the packet, in the shortest form. Before MQTT 5 it is the id alone.
    pub fn encode(&self, kind: AckKind, version: Version, out: &mut Vec<u8>) {
        writer::packet(kind.first(), &Body { ack: self, version }, out);
    }
}

struct Body<'a, 'b> {
    ack: &'a Ack<'b>,
    version: Version,
}

impl Write for Body<'_, '_> {
    fn write<S: Sink>(&self, to: &mut S) {
        let Ack { packet_id, reason, reason_string, user_properties } = *self.ack;
        to.u16(packet_id.get());
        let explanation = Explanation { reason_string, user_properties };
        if self.version.has_properties() {
            if reason != ReasonCode::Success || !explanation.is_empty() {
                to.u8(reason as u8);
            }
            if !explanation.is_empty() {
                to.section(&explanation);
            }
        }
    }
}
