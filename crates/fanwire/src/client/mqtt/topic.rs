//! Which filters a topic matches (MQTT 5, 4.7 and 4.8.2).

use fanwire_wire::mqtt::topic::SharedFilter;

/// Whether a message of this topic is for this filter, shared or not.
pub(super) fn matches(filter: &str, topic: &str) -> bool {
    let filter = SharedFilter::parse(filter).map_or(filter, |shared| shared.filter);
    // Wildcards at the beginning leave out what is the broker's own (4.7.2).
    if topic.starts_with('$') && filter.starts_with(['+', '#']) {
        return false;
    }
    let mut levels = topic.split('/');
    let mut wanted = filter.split('/');
    loop {
        match (wanted.next(), levels.next()) {
            // `a/#` takes `a`, too.
            (Some("#"), _) | (None, None) => return true,
            (Some("+"), Some(_)) => {}
            (Some(level), Some(given)) if level == given => {}
            _ => return false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_take_what_the_standard_says() {
        for (filter, topic, expected) in [
            ("a/b", "a/b", true),
            ("a/b", "a/b/c", false),
            ("a/+", "a/b", true),
            ("a/+", "a", false),
            ("a/+", "a/", true),
            ("+/+", "/a", true),
            ("a/#", "a", true),
            ("a/#", "a/b/c", true),
            ("#", "a/b", true),
            ("#", "$SYS/a", false),
            ("+/a", "$SYS/a", false),
            ("$SYS/#", "$SYS/a", true),
            ("$share/group/a/+", "a/b", true),
            ("a", "A", false),
        ] {
            assert_eq!(matches(filter, topic), expected, "{filter} and {topic}");
        }
    }
}
