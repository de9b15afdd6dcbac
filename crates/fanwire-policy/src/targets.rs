//! What the resource patterns of a statement come to.

use crate::glob::Glob;
use crate::resource::{Kind, KindSet, Place, Resource};

/// The resources that a statement's patterns match.
///
/// A pattern is about whole ARNs, but all ARNs of a kind start alike. So that start is
/// matched once, here, and what is left of each pattern is matched with a resource's
/// name: most patterns leave `chat/*` for one kind and nothing for the others.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub(crate) struct Targets(Vec<(KindSet, Glob)>);

// === impl Targets ===

impl Targets {
    /// Adds what an ARN pattern matches. `no_filters` leaves out topic filters.
    pub(crate) fn add(&mut self, pattern: &Glob, place: &Place, no_filters: bool) {
        let others = self.0.len();
        for kind in Kind::ALL {
            if no_filters && kind == Kind::TopicFilter {
                continue;
            }
            for left in pattern.after(&place.prefix(kind)) {
                match self.0[others..].iter_mut().find(|(_, glob)| *glob == left) {
                    Some((kinds, _)) => kinds.insert(kind),
                    None => self.0.push((KindSet::of(kind), left)),
                }
            }
        }
    }

    /// Whether a resource is one of them.
    pub(crate) fn contain(&self, resource: Resource<'_>) -> bool {
        let (kind, name) = resource.split();
        self.0.iter().any(|(kinds, glob)| kinds.contains(kind) && glob.matches(name))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// However a pattern is made from an ARN, matching what its start leaves is
        /// matching the whole.
        #[test]
        fn cutting_the_start_off_changes_nothing(
            edits in prop::collection::vec((0usize..60, 0usize..20, "[*?:/a-c]{0,2}"), 0..4),
            name in "[a-c/:+#]{0,6}",
            kind in 0usize..3,
        ) {
            let resource = match kind {
                0 => Resource::Topic(&name),
                1 => Resource::TopicFilter(&name),
                _ => Resource::Client(&name),
            };
            let arn = Place::new("aws", "us-east-1", "123456789012").arn(resource);
            let mut pattern = arn.clone();
            for (at, length, text) in edits {
                let at = at.min(pattern.len());
                let end = (at + length).min(pattern.len());
                pattern.replace_range(at..end, &text);
            }
            prop_assert_eq!(
                targets(&pattern).contain(resource),
                Glob::parse(&pattern).matches(&arn),
                "{}", pattern
            );
        }
    }

    fn targets(pattern: &str) -> Targets {
        let mut targets = Targets::default();
        let place = Place::new("aws", "us-east-1", "123456789012");
        targets.add(&Glob::parse(pattern), &place, false);
        targets
    }

    #[test]
    fn a_pattern_is_about_the_whole_arn() {
        let topic = Resource::Topic("chat/a");
        for pattern in [
            "*",
            "arn:aws:iot:us-east-1:123456789012:topic/chat/a",
            "arn:aws:iot:us-east-1:123456789012:topic/chat/*",
            "arn:aws:iot:us-east-1:123456789012:topic/*",
            "arn:aws:iot:us-east-1:123456789012:*",
            "arn:*:iot:*:*:topic/chat/?",
            "arn:aws:iot:*:topic/chat/a",
            "arn:aws:iot:*/a",
        ] {
            assert!(targets(pattern).contain(topic), "{pattern}");
        }
        for pattern in [
            "",
            "chat/*",
            "topic/chat/a",
            "arn:aws:iot:us-east-1:123456789012:topicfilter/chat/a",
            "arn:aws:iot:eu-west-1:123456789012:topic/chat/a",
            "arn:aws:iot:us-east-1:999999999999:topic/*",
            "arn:aws-cn:iot:us-east-1:123456789012:topic/*",
            "arn:aws:iot:us-east-1:123456789012:topic/chat",
            "ARN:aws:iot:us-east-1:123456789012:topic/chat/a",
        ] {
            assert!(!targets(pattern).contain(topic), "{pattern}");
        }
    }

    #[test]
    fn a_usual_pattern_leaves_one_short_one() {
        assert_eq!(targets("arn:aws:iot:us-east-1:123456789012:topic/chat/*").0.len(), 1);
        assert_eq!(targets("*").0.len(), 1);
    }

    #[test]
    fn listing_needs_the_bare_star() {
        assert!(targets("*").contain(Resource::Every));
        assert!(!targets("arn:aws:iot:us-east-1:123456789012:*").contain(Resource::Every));
    }
}
