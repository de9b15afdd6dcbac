//! Messages to one client, whatever it subscribes to (reference: iot.md, section 7,
//! SendDirectMessage).

use fanwire_wire::mqtt::{PacketId, Publish, QoS};
use tokio::sync::oneshot;

use super::deliver::When;
use super::flow::{InFlight, Step};
use super::session::Presence;
use super::{Broker, Key};
use crate::{Message, PublishError, Unreachable};

/// Why a message did not reach the client that it was for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DirectError {
    /// It cannot be published. Fault of the caller.
    #[error(transparent)]
    Message(#[from] PublishError),
    /// The client is not connected. Messages do not wait for it.
    #[error("the client is not connected")]
    Away,
    /// It may be connected where nobody can ask. It may have got the message.
    #[error(transparent)]
    Unreachable(#[from] Unreachable),
    /// The client's policy does not let it receive the topic.
    #[error("the client's policy does not allow iot:Receive on the topic")]
    Forbidden,
    /// The client does not read, or acknowledges too little. Try again later.
    #[error("the client has not taken what it was sent before; try again later")]
    Busy,
    /// The client said that it does not take packets as long as this one.
    #[error("the message is longer than the maximum packet size of the client")]
    TooLong,
    /// The client did not acknowledge the message in time, or left.
    #[error("the client did not acknowledge the message in time")]
    Unconfirmed,
}

/// Who is told what came of a message to one client.
pub(crate) type Done = oneshot::Sender<Result<(), DirectError>>;

impl Broker {
    /// Sends a message to the client that it is for: at once or not at all. With QoS 1 `done`
    /// is told once the client has acknowledged it, and dropped where the client goes before.
    pub(super) fn send_direct(&mut self, client_id: &str, message: &Message, done: Done) {
        self.flush_burst();
        match self.try_direct(client_id, message) {
            Ok((key, Some(id))) => drop(self.confirmations.insert((key, id), done)),
            // Where nobody waits any more, nobody has to be told.
            Ok((_, None)) => drop(done.send(Ok(()))),
            Err(why) => drop(done.send(Err(why))),
        }
    }

    fn try_direct(
        &mut self,
        client_id: &str,
        message: &Message,
    ) -> Result<(Key, Option<PacketId>), DirectError> {
        let max_in_flight = self.settings.limits().max_in_flight;
        let key = *self.by_client.get(client_id).ok_or(DirectError::Away)?;
        let session = &mut self.sessions[key as usize];
        let at_once = session.takes_at_once(max_in_flight);
        let Presence::Here(live) = &mut session.presence else { return Err(DirectError::Away) };
        if !live.may_receive(&message.topic) {
            return Err(DirectError::Forbidden);
        }
        let confirmed = message.qos > QoS::AtMostOnce;
        if live.congested || (confirmed && !at_once) {
            return Err(DirectError::Busy);
        }
        let flow = confirmed.then(|| session.flow.get_or_insert_default());
        let mut packet = Publish {
            qos: message.qos,
            topic: &message.topic,
            properties: message.view(),
            payload: &message.payload,
            ..Publish::default()
        };
        let Some(flow) = flow else {
            let sent = live.write_publish(packet, When::Now, &mut session.outbox);
            self.figures.routed.add(1);
            self.figures.written(sent);
            self.mark(key);
            return sent.then_some((key, None)).ok_or(DirectError::TooLong);
        };
        let id = flow.take_id();
        packet.packet_id = Some(id);
        let sent = live.write_publish(packet, When::Now, &mut session.outbox);
        self.figures.routed.add(1);
        self.figures.written(sent);
        if !sent {
            return Err(DirectError::TooLong);
        }
        // Not to be sent again: it is for this connection.
        let step = Step::Acknowledge;
        flow.in_flight.push_back(InFlight { id, step, waits: false, seq: None, copy: None });
        self.mark(key);
        Ok((key, Some(id)))
    }

    /// A client has acknowledged a message: whoever waits for that is told.
    pub(super) fn confirm(&mut self, key: Key, id: PacketId) {
        if let Some(done) = self.confirmations.remove(&(key, id)) {
            // Its patience may be over.
            let _ = done.send(Ok(()));
        }
    }

    /// A client is gone: it will not acknowledge anything any more.
    pub(super) fn forget_confirmations(&mut self, key: Key) {
        if !self.confirmations.is_empty() {
            self.confirmations.retain(|(of, _), _| *of != key);
        }
    }
}
