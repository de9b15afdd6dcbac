//! Quality of service.

/// How often a message arrives, at most or at least (MQTT 5, 4.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
#[repr(u8)]
pub enum QoS {
    /// QoS 0: once or not at all; nothing is acknowledged.
    #[default]
    AtMostOnce = 0,
    /// QoS 1: once or more; PUBACK acknowledges.
    AtLeastOnce = 1,
    /// QoS 2: exactly once; PUBREC, PUBREL and PUBCOMP see to it.
    ExactlyOnce = 2,
}

// === impl QoS ===

impl QoS {
    /// The QoS with this number: 0, 1 or 2.
    pub const fn new(number: u8) -> Option<Self> {
        match number {
            0 => Some(Self::AtMostOnce),
            1 => Some(Self::AtLeastOnce),
            2 => Some(Self::ExactlyOnce),
            _ => None,
        }
    }
}
