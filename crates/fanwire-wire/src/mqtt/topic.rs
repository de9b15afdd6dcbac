//! Topic names and topic filters (MQTT 5, 4.7 and 4.8).

use super::{DecodeError, ReasonCode};

/// The longest topic name and filter, in bytes of UTF-8.
pub const MAX_TOPIC: usize = 65_535;

const SHARE: &str = "$share/";

/// Why a text is no topic name or no topic filter. The message says what would be one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{}", self.what())]
pub enum TopicError {
    /// It has no characters (MQTT-4.7.3-1).
    Empty,
    /// It is longer than [`MAX_TOPIC`] (MQTT-4.7.3-3).
    TooLong,
    /// It contains U+0000 (MQTT-4.7.3-2).
    Null,
    /// A topic name with `+` or `#` (MQTT-4.7.1-1).
    WildcardInName,
    /// A wildcard beside other characters of its level (MQTT-4.7.1-1 and -2).
    WildcardWithinLevel,
    /// Levels after `#` (MQTT-4.7.1-1).
    HashNotLast,
    /// `$share/` without a group (MQTT-4.8.2-1), or with a wildcard in it (MQTT-4.8.2-2).
    ShareGroup,
    /// `$share/GROUP` without a filter (MQTT-4.8.2-2).
    ShareFilter,
}

/// The parts of `$share/GROUP/FILTER`: a subscription whose messages go to one member
/// of the group each (MQTT 5, 4.8.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct SharedFilter<'a> {
    /// What the members have in common.
    pub group: &'a str,
    /// What they have subscribed to.
    pub filter: &'a str,
}

/// States that a message can be published to this topic.
pub fn check_name(name: &str) -> Result<(), TopicError> {
    check_text(name)?;
    if name.bytes().any(|byte| matches!(byte, b'+' | b'#')) {
        return Err(TopicError::WildcardInName);
    }
    Ok(())
}

/// States that one can subscribe to this filter, shared or not.
pub fn check_filter(filter: &str) -> Result<(), TopicError> {
    check_text(filter)?;
    let Some(shared) = filter.strip_prefix(SHARE) else { return check_levels(filter) };
    let (group, filter) = match shared.split_once('/') {
        Some((_, "")) => return Err(TopicError::ShareFilter),
        Some(parts) => parts,
        None if shared.is_empty() => return Err(TopicError::ShareGroup),
        None => return Err(TopicError::ShareFilter),
    };
    if group.is_empty() || group.contains(['+', '#']) {
        return Err(TopicError::ShareGroup);
    }
    check_levels(filter)
}

fn check_text(topic: &str) -> Result<(), TopicError> {
    if topic.is_empty() {
        return Err(TopicError::Empty);
    }
    if topic.len() > MAX_TOPIC {
        return Err(TopicError::TooLong);
    }
    if topic.as_bytes().contains(&0) {
        return Err(TopicError::Null);
    }
    Ok(())
}

/// States that wildcards stand where they may.
fn check_levels(filter: &str) -> Result<(), TopicError> {
    let mut levels = filter.split('/');
    while let Some(level) = levels.next() {
        match level {
            "#" if levels.next().is_some() => return Err(TopicError::HashNotLast),
            "#" | "+" => {}
            _ if level.contains(['+', '#']) => return Err(TopicError::WildcardWithinLevel),
            _ => {}
        }
    }
    Ok(())
}

// === impl TopicError ===

impl TopicError {
    /// What is wrong, and what would be right.
    pub const fn what(self) -> &'static str {
        match self {
            Self::Empty => "an empty topic, where one character is the least",
            Self::TooLong => "a topic over 65,535 bytes",
            Self::Null => "a topic with U+0000",
            Self::WildcardInName => {
                "a topic name with + or #, which only filters of subscriptions may have"
            }
            Self::WildcardWithinLevel => {
                "a topic filter with + or # beside other characters; as in a/+/c, it has to be a level of its own"
            }
            Self::HashNotLast => "a topic filter with levels after #; use + for a level within it",
            Self::ShareGroup => {
                "a $share filter without a group, or with a wildcard in it; it has to be $share/GROUP/FILTER"
            }
            Self::ShareFilter => {
                "a $share filter without a filter after its group; it has to be $share/GROUP/FILTER"
            }
        }
    }

    /// The error of a packet with such a topic name. U+0000 and length are faults of
    /// the text as such.
    pub(super) const fn in_name(self) -> DecodeError {
        self.in_packet(ReasonCode::TopicNameInvalid)
    }

    /// The error of a packet with such a topic filter.
    pub(super) const fn in_filter(self) -> DecodeError {
        self.in_packet(ReasonCode::TopicFilterInvalid)
    }

    const fn in_packet(self, reason: ReasonCode) -> DecodeError {
        match self {
            Self::Null | Self::TooLong => DecodeError::malformed(self.what()),
            _ => DecodeError::new(reason, self.what()),
        }
    }
}

// === impl SharedFilter ===

impl<'a> SharedFilter<'a> {
    /// The parts of a filter that [`check_filter`] has let through, if it is shared.
    pub fn parse(filter: &'a str) -> Option<Self> {
        let (group, filter) = filter.strip_prefix(SHARE)?.split_once('/')?;
        Some(Self { group, filter })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_texts_without_wildcards() {
        for name in ["a", "/", "//", "a/b", " ", "$SYS/x", "ä/日本", "$share/g/t"] {
            assert_eq!(check_name(name), Ok(()), "{name}");
        }
        for (name, error) in [
            ("", TopicError::Empty),
            ("a\0b", TopicError::Null),
            ("a/+", TopicError::WildcardInName),
            ("a#", TopicError::WildcardInName),
        ] {
            assert_eq!(check_name(name), Err(error), "{name}");
        }
        assert_eq!(check_name(&"a".repeat(MAX_TOPIC)), Ok(()));
        assert_eq!(check_name(&"a".repeat(MAX_TOPIC + 1)), Err(TopicError::TooLong));
    }

    #[test]
    fn wildcards_are_levels_of_their_own_and_a_hash_is_the_last() {
        for filter in [
            "#",
            "+",
            "/#",
            "+/#",
            "a/+/b",
            "/+/",
            "+/+",
            "sport/#",
            "$SYS/#",
            "$share",
            "$shared/a",
        ] {
            assert_eq!(check_filter(filter), Ok(()), "{filter}");
        }
        for (filter, error) in [
            ("", TopicError::Empty),
            ("a\0", TopicError::Null),
            ("a+", TopicError::WildcardWithinLevel),
            ("a/+b", TopicError::WildcardWithinLevel),
            ("++", TopicError::WildcardWithinLevel),
            ("sport#", TopicError::WildcardWithinLevel),
            ("a/#b", TopicError::WildcardWithinLevel),
            ("##", TopicError::WildcardWithinLevel),
            ("a/#/b", TopicError::HashNotLast),
            ("#/", TopicError::HashNotLast),
        ] {
            assert_eq!(check_filter(filter), Err(error), "{filter}");
        }
    }

    #[test]
    fn shared_filters_have_a_group_and_a_filter() {
        for (filter, group, of) in
            [("$share/g/t", "g", "t"), ("$share/g//", "g", "/"), ("$share/a b/+/#", "a b", "+/#")]
        {
            assert_eq!(check_filter(filter), Ok(()), "{filter}");
            assert_eq!(SharedFilter::parse(filter), Some(SharedFilter { group, filter: of }));
        }
        for (filter, error) in [
            ("$share/", TopicError::ShareGroup),
            ("$share//t", TopicError::ShareGroup),
            ("$share/+/t", TopicError::ShareGroup),
            ("$share/g#/t", TopicError::ShareGroup),
            ("$share/g", TopicError::ShareFilter),
            ("$share/g/", TopicError::ShareFilter),
            ("$share/g/a+", TopicError::WildcardWithinLevel),
        ] {
            assert_eq!(check_filter(filter), Err(error), "{filter}");
        }
        assert_eq!(SharedFilter::parse("$shared/g/t"), None);
    }
}
