//! Who hears a topic, and what is retained where: two indexes with neither packets nor
//! sessions in them.
//!
//! # Brief overview
//!
//! - [`TopicIndex`] has values under topic filters and finds those of the filters that
//!   match a topic name: subscriptions, where messages come.
//! - [`TopicMap`] has values under topic names and finds those that match a topic filter:
//!   retained messages, where subscriptions come.
//!
//! Names and filters are taken as they are: the codec has checked them (MQTT 5, 4.7), and
//! `$share/{group}/` is cut off by the caller. Both structures stand whatever text they are
//! given, with as many levels as fit into a packet, without recursion and without a node
//! for each level.
//!
//! Heap for each filter or name beside its text, the 48 bytes of the value included: 80 bytes
//! for filters without wildcards, 113 with, 133 for names, as told by
//! `cargo test -p fanwire-realtime --test topic_memory -- --nocapture`.

mod index;
mod map;
#[cfg(test)]
mod tests;
mod trie;

pub use self::index::TopicIndex;
pub use self::map::TopicMap;

/// Whether `sport/#` matches `sport`, too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Parent {
    /// As the standard wants it (MQTT 5, 4.7.1.2; MQTT 3.1.1, 4.7.1.2).
    Matches,
    /// As AWS IoT Core does it (reference: iot.md section 1).
    DoesNot,
}

/// The level that matches any one level.
const ANY: &str = "+";

/// The last level that matches all levels from there on.
const ALL: &str = "#";

/// Cuts the first level off; none of the others is left after the last. An empty text is
/// one empty level.
fn split_level(text: &str) -> (&str, Option<&str>) {
    match text.split_once('/') {
        Some((level, more)) => (level, Some(more)),
        None => (text, None),
    }
}

/// Whether a filter that begins with a wildcard does not see a name: those that begin with
/// `$` are the server's own (MQTT 5, 4.7.2).
fn is_hidden(name: &str) -> bool {
    name.starts_with('$')
}
