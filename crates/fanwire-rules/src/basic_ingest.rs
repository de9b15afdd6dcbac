//! Basic Ingest: a message that is published to a rule instead of a topic (reference:
//! iot.md section 8).

/// What topics of Basic Ingest begin with.
const PREFIX: &str = "$aws/rules/";

/// The rule's name and the topic that it sees, if a message is published straight to a
/// rule: `$aws/rules/NAME/a/b` is for the rule `NAME`, with the topic `a/b`. Such a
/// message goes to no subscriber.
pub fn basic_ingest(topic: &str) -> Option<(&str, &str)> {
    let (rule, topic) = topic.strip_prefix(PREFIX)?.split_once('/')?;
    (!rule.is_empty()).then_some((rule, topic))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rule_sees_the_topic_behind_its_name() {
        assert_eq!(basic_ingest("$aws/rules/MyRule/a/b"), Some(("MyRule", "a/b")));
        assert_eq!(basic_ingest("$aws/rules/MyRule/"), Some(("MyRule", "")));
        for other in ["$aws/rules/MyRule", "$aws/rules//a", "$aws/events/x", "a/b", ""] {
            assert_eq!(basic_ingest(other), None, "{other}");
        }
    }
}
