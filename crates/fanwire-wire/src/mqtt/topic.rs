//! Topic names and topic filters (MQTT 5, 4.7 and 4.8.2).

/// The longest name or filter, in bytes: what the length before a text can say.
pub const MAX_BYTES: usize = 65_535;

/// What is wrong with a name or filter, as a phrase.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct InvalidTopic(pub &'static str);

/// A filter of a shared subscription: `$share/{group}/{filter}`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SharedFilter<'a> {
    /// The group's name.
    pub group: &'a str,
    /// The filter that its members subscribe to.
    pub filter: &'a str,
}

/// Checks a topic name: not empty, no wildcards, no U+0000.
///
/// # Errors
///
/// What is wrong with it.
pub fn check_name(name: &str) -> Result<(), InvalidTopic> {
    if name.is_empty() {
        return Err(InvalidTopic("an empty topic name"));
    }
    if name.len() > MAX_BYTES {
        return Err(InvalidTopic("a topic name of more than 65,535 bytes"));
    }
    if name.bytes().any(|byte| matches!(byte, b'+' | b'#' | 0)) {
        return Err(InvalidTopic("a topic name with a wildcard or U+0000 in it"));
    }
    Ok(())
}

/// Checks a topic filter: not empty, wildcards only as whole levels, `#` only as the last;
/// of a shared subscription the group, too.
///
/// # Errors
///
/// What is wrong with it.
pub fn check_filter(filter: &str) -> Result<(), InvalidTopic> {
    if filter.len() > MAX_BYTES {
        return Err(InvalidTopic("a topic filter of more than 65,535 bytes"));
    }
    let Some(rest) = filter.strip_prefix("$share/") else { return check_plain(filter) };
    let Some((group, filter)) = rest.split_once('/') else {
        return Err(InvalidTopic("a shared subscription without a topic filter"));
    };
    if group.is_empty() || group.contains(['+', '#']) {
        return Err(InvalidTopic("a shared subscription whose group's name is none"));
    }
    check_plain(filter)
}

fn check_plain(filter: &str) -> Result<(), InvalidTopic> {
    if filter.is_empty() {
        return Err(InvalidTopic("an empty topic filter"));
    }
    if filter.as_bytes().contains(&0) {
        return Err(InvalidTopic("a topic filter with U+0000 in it"));
    }
    let mut levels = filter.split('/').peekable();
    while let Some(level) = levels.next() {
        if level == "#" && levels.peek().is_some() {
            return Err(InvalidTopic("a topic filter with `#` before its end"));
        }
        if level.len() > 1 && level.contains(['+', '#']) {
            return Err(InvalidTopic("a topic filter with a wildcard beside other characters"));
        }
    }
    Ok(())
}

/// Whether a topic is one that servers use for their own purposes (MQTT 5, 4.7.2).
pub fn is_reserved(topic: &str) -> bool {
    topic.starts_with('$')
}

// === impl SharedFilter ===

impl<'a> SharedFilter<'a> {
    /// The parts of a shared subscription's filter; `None` where it is not one.
    pub fn parse(filter: &'a str) -> Option<Self> {
        let (group, filter) = filter.strip_prefix("$share/")?.split_once('/')?;
        Some(Self { group, filter })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_have_no_wildcards_and_filters_have_them_as_whole_levels() {
        for name in ["a", "/", "a//b", "$SYS/x", "a b", "ä"] {
            assert_eq!(check_name(name), Ok(()), "{name}");
            assert_eq!(check_filter(name), Ok(()), "{name}");
        }
        for filter in ["#", "+", "a/#", "+/+", "/+", "+/a/#", "$share/g/a/#", "$share/g//"] {
            assert_eq!(check_filter(filter), Ok(()), "{filter}");
            assert!(filter.starts_with("$share/g//") || check_name(filter).is_err(), "{filter}");
        }
        for filter in [
            "",
            "a#",
            "a/#/b",
            "a+",
            "+a",
            "##",
            "#/",
            "a\0",
            "$share/g",
            "$share//a",
            "$share/+/a",
            "$share/g/",
            "$share/g/a#",
        ] {
            assert!(check_filter(filter).is_err(), "{filter}");
        }
    }
}
