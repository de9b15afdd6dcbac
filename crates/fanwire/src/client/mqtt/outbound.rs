//! What is published, until the broker has it.

use std::collections::VecDeque;

use fanwire_wire::mqtt::{Ack, PacketId, Publish, QoS, ReasonCode};

use super::error::MqttError;
use super::message::CheckedProperties;
use super::output::Token;
use crate::realtime::Publication;

/// What waits to be published, and what the broker has yet to acknowledge.
#[derive(Debug, Default)]
pub(super) struct Outbound {
    waiting: VecDeque<Outgoing>,
    /// In the order in which they were sent.
    under_way: VecDeque<UnderWay>,
}

/// A message that is published for a caller.
#[derive(Debug)]
pub(super) struct Outgoing {
    pub(super) token: Token,
    pub(super) publication: Publication,
    pub(super) properties: CheckedProperties,
}

/// A message of QoS 1 or 2 that was sent.
#[derive(Debug)]
struct UnderWay {
    packet_id: PacketId,
    stage: Stage,
}

#[derive(Debug)]
enum Stage {
    /// It waits for PUBACK or PUBREC.
    Published(Box<Outgoing>),
    /// The broker has it, and PUBCOMP frees its id.
    Released(Token),
}

/// What a caller waits for.
pub(super) type Outcome = (Token, Result<(), MqttError>);

/// How a PUBREC is answered.
#[derive(Debug)]
pub(super) enum Received {
    /// The id is released, with this reason.
    Release(ReasonCode),
    /// The broker refuses the message, and that is the end of it.
    Refused(Outcome),
}

/// What is sent again on a new connection.
#[derive(Debug, Clone, Copy)]
pub(super) enum Again<'a> {
    Publish(PacketId, &'a Outgoing),
    Release(PacketId),
}

// === impl Outbound ===

impl Outbound {
    pub(super) fn push(&mut self, outgoing: Outgoing) {
        self.waiting.push_back(outgoing);
    }

    /// How many have yet to be sent.
    pub(super) fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// The next that may be sent, where the broker takes as many that are unacknowledged.
    pub(super) fn next(&mut self, receive_maximum: usize) -> Option<Outgoing> {
        let has_room = self.under_way.len() < receive_maximum;
        self.waiting.pop_front_if(|next| has_room || next.publication.qos == 0)
    }

    /// It was sent, and is to be acknowledged.
    pub(super) fn sent(&mut self, packet_id: PacketId, outgoing: Outgoing) {
        self.under_way
            .push_back(UnderWay { packet_id, stage: Stage::Published(Box::new(outgoing)) });
    }

    pub(super) fn uses(&self, packet_id: PacketId) -> bool {
        self.under_way.iter().any(|under_way| under_way.packet_id == packet_id)
    }

    /// Everybody who waits.
    pub(super) fn tokens(&self) -> impl Iterator<Item = Token> {
        let under_way = self.under_way.iter().map(|under_way| match &under_way.stage {
            Stage::Published(outgoing) => outgoing.token,
            Stage::Released(token) => *token,
        });
        under_way.chain(self.waiting.iter().map(|outgoing| outgoing.token))
    }

    /// What goes out first on a new connection. To a broker without the session messages are
    /// new (3.3.1.1), and those that it had taken are done.
    pub(super) fn again(&self) -> impl Iterator<Item = Again<'_>> {
        self.under_way.iter().map(|UnderWay { packet_id, stage }| match stage {
            Stage::Published(outgoing) => Again::Publish(*packet_id, outgoing),
            Stage::Released(_) => Again::Release(*packet_id),
        })
    }

    /// The broker has no session: ids that it was to release are nothing to it.
    pub(super) fn forget_released(&mut self) -> Vec<Outcome> {
        let mut done = Vec::new();
        self.under_way.retain(|under_way| match under_way.stage {
            Stage::Released(token) => {
                done.push((token, Ok(())));
                false
            }
            Stage::Published(_) => true,
        });
        done
    }

    /// PUBACK: the broker has a message of QoS 1, or does not take it.
    pub(super) fn acknowledged(&mut self, ack: &Ack<'_>) -> Option<Outcome> {
        let place = self.published(ack.packet_id, QoS::AtLeastOnce)?;
        let Some(UnderWay { stage: Stage::Published(outgoing), .. }) = self.under_way.remove(place)
        else {
            return None;
        };
        Some(outgoing.outcome(ack))
    }

    /// PUBREC: the broker has a message of QoS 2, or does not take it.
    pub(super) fn received(&mut self, ack: &Ack<'_>) -> Received {
        let Some(place) = self.published(ack.packet_id, QoS::ExactlyOnce) else {
            // It has said so before, or it is about a session that was lost.
            let known = self.uses(ack.packet_id);
            return Received::Release(if known {
                ReasonCode::Success
            } else {
                ReasonCode::PacketIdentifierNotFound
            });
        };
        if ack.reason.is_error()
            && let Some(UnderWay { stage: Stage::Published(outgoing), .. }) =
                self.under_way.remove(place)
        {
            return Received::Refused(outgoing.outcome(ack));
        }
        if let Some(under_way) = self.under_way.get_mut(place)
            && let Stage::Published(outgoing) = &under_way.stage
        {
            under_way.stage = Stage::Released(outgoing.token);
        }
        Received::Release(ReasonCode::Success)
    }

    /// PUBCOMP: an id is free.
    pub(super) fn completed(&mut self, packet_id: PacketId) -> Option<Outcome> {
        let is_it = |under_way: &UnderWay| under_way.packet_id == packet_id;
        let place = self.under_way.iter().position(is_it)?;
        let Stage::Released(token) = self.under_way.get(place)?.stage else { return None };
        self.under_way.remove(place);
        Some((token, Ok(())))
    }

    /// Where the message of this id is that waits for its first acknowledgement.
    fn published(&self, packet_id: PacketId, qos: QoS) -> Option<usize> {
        self.under_way.iter().position(|under_way| {
            under_way.packet_id == packet_id
                && matches!(&under_way.stage, Stage::Published(outgoing)
                    if outgoing.publication.qos == qos as u8)
        })
    }
}

// === impl Outgoing ===

impl Outgoing {
    /// Its packet.
    pub(super) fn packet(&self, packet_id: Option<PacketId>, dup: bool) -> Publish<'_> {
        let publication = &self.publication;
        Publish {
            dup,
            qos: QoS::new(publication.qos).unwrap_or_default(),
            retain: publication.retain,
            topic: &publication.topic,
            packet_id: packet_id.filter(|_| publication.qos > 0),
            payload: &publication.payload,
            properties: self.properties.as_wire(),
            ..Publish::default()
        }
    }

    fn outcome(&self, ack: &Ack<'_>) -> Outcome {
        let refused = || MqttError::refused(&self.publication.topic, ack.reason, ack.reason_string);
        (self.token, if ack.reason.is_error() { Err(refused()) } else { Ok(()) })
    }
}
