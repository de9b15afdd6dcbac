//! Topics: filters for a topic, and topics for a filter (MQTT 5, 4.7).

mod index;
mod map;

pub use self::index::TopicIndex;
pub use self::map::TopicMap;

/// Whether `sport/#` takes messages of `sport`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Parent {
    /// It does, as the standard has it (MQTT 5, 4.7.1.2).
    Matches,
    /// It does not, as with IoT Core (reference: iot.md, section 4).
    DoesNot,
}

/// Whether a filter has wildcards.
fn is_wildcard(filter: &str) -> bool {
    filter.bytes().any(|byte| matches!(byte, b'+' | b'#'))
}
