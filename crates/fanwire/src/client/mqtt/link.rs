//! The connection of a session, and what its broker has said of itself.

use std::num::NonZeroU16;
use std::time::{Duration, Instant};

use fanwire_wire::mqtt::{ConnAck, QoS, Version, encode_ping_request};

use super::error::MqttError;
use super::options::SessionOptions;
use super::outbound::Outgoing;

/// How long a broker may take to answer a ping.
const PONG_LIMIT: Duration = Duration::from_secs(10);

/// The most publications that wait for an acknowledgement, whatever the broker takes.
const MAX_UNACKNOWLEDGED: usize = 1024;

/// The same before MQTT 5, where brokers cannot say what they take. mosquitto takes 20 unless it
/// is told otherwise, and what is above that and of QoS 2 it drops without a word (2.0.11).
const MAX_UNACKNOWLEDGED_BEFORE_5: usize = 20;

/// A connection, counted from 1 by its client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct SocketId(pub(super) u64);

/// How far the connection is.
#[derive(Debug)]
pub(super) enum Link {
    /// There is none before this time.
    Down { until: Instant },
    /// It is being made.
    Opening(SocketId),
    /// CONNECT is sent.
    Greeting { socket: SocketId, until: Instant },
    /// CONNACK has come.
    Up(Up),
    /// There will be none any more.
    Closed,
}

/// A connection that the broker has accepted.
#[derive(Debug)]
pub(super) struct Up {
    pub(super) socket: SocketId,
    pub(super) since: Instant,
    /// What has yet to be sent.
    pub(super) out: Vec<u8>,
    /// How many unacknowledged publications the broker takes.
    pub(super) receive_maximum: usize,
    /// Whether it takes ids of subscriptions.
    pub(super) subscription_ids: bool,
    version: Version,
    maximum_qos: QoS,
    retain_available: bool,
    maximum_packet: Option<usize>,
    /// `None`: it is never asked.
    keep_alive: Option<Duration>,
    ping_at: Option<Instant>,
    pong_by: Option<Instant>,
}

// === impl Link ===

impl Link {
    pub(super) fn socket(&self) -> Option<SocketId> {
        match self {
            Self::Down { .. } | Self::Closed => None,
            Self::Opening(socket) | Self::Greeting { socket, .. } => Some(*socket),
            Self::Up(up) => Some(up.socket),
        }
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        match self {
            Self::Down { until } | Self::Greeting { until, .. } => Some(*until),
            Self::Opening(_) | Self::Closed => None,
            Self::Up(up) => up.pong_by.or(up.ping_at),
        }
    }
}

// === impl Up ===

impl Up {
    /// The connection, with what its CONNACK says.
    pub(super) fn new(
        socket: SocketId,
        connack: &ConnAck<'_>,
        options: &SessionOptions,
        now: Instant,
    ) -> Self {
        let broker = &connack.properties;
        let seconds = broker.server_keep_alive.unwrap_or(options.keep_alive);
        let keep_alive = (seconds > 0).then(|| Duration::from_secs(seconds.into()));
        let receives = broker.receive_maximum.map_or(usize::from(u16::MAX), |n| n.get().into());
        Self {
            socket,
            since: now,
            out: Vec::new(),
            receive_maximum: receives.min(if options.version.has_properties() {
                MAX_UNACKNOWLEDGED
            } else {
                MAX_UNACKNOWLEDGED_BEFORE_5
            }),
            subscription_ids: options.version.has_properties() && broker.subscription_ids_available,
            version: options.version,
            maximum_qos: broker.maximum_qos,
            retain_available: broker.retain_available,
            maximum_packet: broker.maximum_packet_size.map(|n| n.get() as usize),
            keep_alive,
            ping_at: keep_alive.map(|keep_alive| now + keep_alive),
            pong_by: None,
        }
    }

    /// Why the broker would refuse this, and the connection with it (3.2.2.3).
    pub(super) fn refuses(&self, outgoing: &Outgoing) -> Option<MqttError> {
        let publication = &outgoing.publication;
        let refused = |why: &str| {
            let topic = publication.topic.clone();
            Some(MqttError::Refused { topic, why: why.to_owned(), reason: None })
        };
        if publication.qos > self.maximum_qos as u8 {
            let highest = self.maximum_qos as u8;
            return refused(&format!("the broker takes no QoS above {highest}"));
        }
        if publication.retain && !self.retain_available {
            return refused("the broker retains nothing");
        }
        let length = outgoing.packet(Some(NonZeroU16::MIN), false).encoded_len(self.version);
        if self.maximum_packet.is_some_and(|maximum| length > maximum) {
            return refused("it is longer than the broker takes");
        }
        None
    }

    /// Something is sent: the broker hears of us.
    pub(super) fn sent(&mut self, now: Instant) {
        self.ping_at = self.keep_alive.map(|keep_alive| now + keep_alive);
    }

    pub(super) fn ponged(&mut self) {
        self.pong_by = None;
    }

    /// Asks the broker where it is time to. Whether it has to be given up.
    pub(super) fn is_dead(&mut self, now: Instant) -> bool {
        let is_due = |at: Option<Instant>| at.is_some_and(|at| at <= now);
        if is_due(self.pong_by) {
            return true;
        }
        if is_due(self.ping_at) {
            self.ping_at = None;
            self.pong_by.get_or_insert(now + PONG_LIMIT);
            encode_ping_request(&mut self.out);
        }
        false
    }
}
