//! What explanations say.

#![expect(clippy::needless_pass_by_value, reason = "what `json!` makes is passed on at once")]

use std::sync::Arc;

use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::*;
use crate::AccessList;
use crate::policy_set::PolicyLimits;
use crate::resource::Place;
use crate::subject::Subject;

fn place() -> Place {
    Place::new("aws", "us-east-1", "123456789012")
}

fn access(statements: Value) -> Access {
    let document = json!({ "Version": "2012-10-17", "Statement": statements });
    let text = serde_json::value::to_raw_value(&document).unwrap();
    let documents: [&RawValue; 1] = [&text];
    let set = PolicySet::parse(&documents, &place(), PolicyLimits::AWS).unwrap();
    Arc::new(set).bind(&Subject { client_id: "c1", ..Subject::default() })
}

fn arn(resource: &str) -> String {
    format!("arn:aws:iot:us-east-1:123456789012:{resource}")
}

/// What is said of one statement and a question.
fn said(statement: Value, action: Action, resource: Resource<'_>) -> String {
    access(json!([statement])).explain(action, resource).to_string()
}

fn allow(action: &str, resource: &str) -> Value {
    json!({ "Effect": "Allow", "Action": action, "Resource": resource })
}

#[test]
fn the_deciding_statement_is_named() {
    let access = access(json!([
        allow("iot:Publish", &arn("topic/a/*")),
        { "Sid": "Secrets", "Effect": "Deny", "Action": "iot:*", "Resource": arn("topic/a/secret/*") },
    ]));
    let allowed = access.explain(Action::Publish, Resource::Topic("a/b"));
    assert_eq!(allowed.to_string(), "iot:Publish on topic/a/b is allowed by statement 1");
    assert_eq!(allowed.resource, arn("topic/a/b"));
    let denied = access.explain(Action::Publish, Resource::Topic("a/secret/b"));
    assert!(!denied.allowed);
    assert_eq!(denied.statement.as_ref().unwrap().sid.as_deref(), Some("Secrets"));
    assert_eq!(
        denied.to_string(),
        "iot:Publish on topic/a/secret/b is denied by statement 2 (Secrets)\n  it denies \
         topic/a/secret/*, whatever else allows: narrow it or take it out"
    );
}

#[test]
fn a_missing_action_is_the_one_to_add() {
    assert_eq!(
        said(
            allow("iot:Publish", &arn("topic/chat/*")),
            Action::RetainPublish,
            Resource::Topic("chat/a")
        ),
        "iot:RetainPublish on topic/chat/a is denied: no statement allows it\n  statement 1 allows \
         iot:Publish on topic/chat/*; add iot:RetainPublish"
    );
}

#[test]
fn wildcards_of_mqtt_are_pointed_out() {
    let said = said(
        allow("iot:Subscribe", &arn("topicfilter/chat/+/x")),
        Action::Subscribe,
        Resource::TopicFilter("chat/#"),
    );
    assert!(
        said.contains("statement 1 allows iot:Subscribe only on topicfilter/chat/+/x"),
        "{said}"
    );
    let said = self::said(
        allow("iot:Publish", &arn("topic/chat/#")),
        Action::Publish,
        Resource::Topic("chat/a/b"),
    );
    assert!(said.contains("a topic or filter is matched as text; write topic/chat/*"), "{said}");
}

#[test]
fn topics_and_topic_filters_are_told_apart() {
    let said = said(
        allow("iot:Subscribe", &arn("topic/chat/*")),
        Action::Subscribe,
        Resource::TopicFilter("chat/a"),
    );
    assert!(
        said.contains(
            "statement 1 says topic/chat/*, but iot:Subscribe is judged on topicfilter/chat/a"
        ),
        "{said}"
    );
}

#[test]
fn another_place_is_pointed_out() {
    let said = said(
        allow("iot:Publish", "arn:aws:iot:eu-west-1:123456789012:topic/chat/*"),
        Action::Publish,
        Resource::Topic("chat/a"),
    );
    assert!(said.contains("is for another place"), "{said}");
    assert!(said.contains("arn:aws:iot:us-east-1:123456789012:…"), "{said}");
}

#[test]
fn what_is_no_arn_is_pointed_out() {
    for pattern in ["topic/chat/a", "chat/a"] {
        let said = said(allow("iot:Publish", pattern), Action::Publish, Resource::Topic("chat/a"));
        assert!(
            said.contains(&format!("which is no ARN: write {}", arn("topic/chat/a"))),
            "{said}"
        );
    }
}

#[test]
fn what_a_statement_lacks_is_said() {
    let mut conditional = allow("iot:Connect", "*");
    conditional["Condition"] = json!({ "IpAddress": { "aws:SourceIp": "10.0.0.0/8" } });
    let said = said(conditional, Action::Connect, Resource::Client("c1"));
    assert!(said.contains("but its condition IpAddress aws:SourceIp does not hold"), "{said}");

    let thing = arn("topic/${iot:Connection.Thing.ThingName}/*");
    let said = self::said(allow("iot:Publish", &thing), Action::Publish, Resource::Topic("t/a"));
    assert!(said.contains("${iot:Connection.Thing.ThingName} is not defined here"), "{said}");
}

#[test]
fn where_nothing_is_near_a_statement_is_asked_for() {
    let said = access(json!([])).explain(Action::Publish, Resource::Topic("a")).to_string();
    assert!(
        said.ends_with(&format!("add a statement that allows iot:Publish on {}", arn("topic/a")))
    );
}

#[test]
fn an_empty_list_is_called_empty() {
    let statement = json!({ "Effect": "Allow", "Action": "iot:Publish", "Resource": [] });
    let said = said(statement, Action::Publish, Resource::Topic("a"));
    assert!(said.contains("nothing: its list is empty"), "{said}");
}

#[test]
fn access_lists_are_explained_in_their_own_words() {
    let publish = ["chat/#".to_owned()];
    let list = AccessList { publish: &publish, ..AccessList::default() };
    let set = PolicySet::from_access_list(&list, &place()).unwrap();
    let access = Arc::new(set).bind(&Subject::default());
    let said = |action, resource| access.explain(action, resource).to_string();
    let hash = said(Action::Publish, Resource::Topic("chat/a"));
    assert!(hash.contains("`publish` of the access list says chat/#"), "{hash}");
    assert!(hash.contains("write chat/*"), "{hash}");
    let subscribe = said(Action::Subscribe, Resource::TopicFilter("chat/a"));
    assert!(subscribe.contains("add a pattern for it to `subscribe`"), "{subscribe}");
    let retain = said(Action::RetainPublish, Resource::Topic("chat/#"));
    assert!(retain.contains("set `retain = true`"), "{retain}");
}

/// A topic is what a client makes it, and a log is read on terminals.
#[test]
fn control_characters_are_shown_and_not_sent() {
    let topic = Resource::Topic("a\u{1b}[2J\nb");
    let said = access(json!([])).explain(Action::Publish, topic).to_string();
    assert!(said.starts_with("iot:Publish on topic/a\\u{1b}[2J\\nb is denied"), "{said}");
    assert_eq!(said.matches(|c: char| c.is_control()).count(), 1, "the end of the first line");
}

#[test]
fn a_denial_names_three_things_at_most() {
    let statements: Vec<_> =
        (0..9).map(|n| allow("iot:Publish", &arn(&format!("topic/{n}")))).collect();
    let decision = access(statements.into()).explain(Action::Publish, Resource::Topic("a"));
    assert_eq!(decision.would_have_allowed.len(), 3);
}
