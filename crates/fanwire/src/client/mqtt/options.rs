//! How a session behaves, as its builder has it from its user.

use std::num::NonZeroU16;

use fanwire_wire::mqtt::Version;

use super::will::CheckedWill;

/// How long a session outlives a connection, unless said otherwise: an hour
/// in seconds, as AWS IoT has it.
const SESSION_EXPIRY: u32 = 3600;

/// After how long without a packet the broker is asked whether it is there,
/// in seconds.
const KEEP_ALIVE: u16 = 30;

/// How many messages of QoS 1 and 2 the broker may send before the first is read.
const RECEIVE_MAXIMUM: NonZeroU16 = NonZeroU16::MIN.saturating_add(255);

/// How many it is let off with. mosquitto before 2.0.13 sends up to a receive maximum more for
/// each acknowledgement (its `db__message_delete_outgoing` counts from the place of the message
/// that is acknowledged): to leave it for that, as the standard allows (MQTT 5, 4.9), is to be
/// sent all of it again by the next connection, for ever.
const HELD_MAXIMUM: usize = 16 * 256;

/// How a client behaves.
#[derive(Debug, Clone)]
pub(super) struct SessionOptions {
    pub(super) version: Version,
    pub(super) client_id: String,
    /// Whether somebody has chosen that id.
    pub(super) is_named: bool,
    /// Whether a session of an earlier process is gone on with.
    pub(super) resume: bool,
    /// For how many seconds the session outlives a connection.
    pub(super) session_expiry: u32,
    /// After how many seconds without a packet the broker is asked whether it is there.
    pub(super) keep_alive: u16,
    /// How many messages of QoS 1 and 2 the broker may send before the first is read.
    pub(super) receive_maximum: NonZeroU16,
    /// How many it is let off with.
    pub(super) held_maximum: usize,
    pub(super) will: Option<CheckedWill>,
}

// === impl SessionOptions ===

impl SessionOptions {
    /// What nobody has chosen otherwise. The name is made of the seed.
    pub(super) fn new(seed: u64) -> Self {
        Self {
            version: Version::V5,
            // As long as every broker takes it: 23 characters (MQTT 5, 3.1.3.1).
            client_id: format!("fanwire-{:015x}", seed >> 4),
            is_named: false,
            resume: false,
            session_expiry: SESSION_EXPIRY,
            keep_alive: KEEP_ALIVE,
            receive_maximum: RECEIVE_MAXIMUM,
            held_maximum: HELD_MAXIMUM,
            will: None,
        }
    }

    /// Whether a connection may go on with the session of the one before. Before MQTT 5
    /// sessions are kept for ever, so those of names by chance are not.
    pub(super) fn outlives_connections(&self) -> bool {
        self.version.has_properties() || (self.session_expiry > 0 && self.is_named)
    }

    /// Whether a session of an earlier process has to be ended by a connection of its own.
    pub(super) fn begins_anew(&self) -> bool {
        !self.version.has_properties() && self.outlives_connections()
    }
}
