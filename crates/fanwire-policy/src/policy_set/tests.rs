//! What policies allow.

#![expect(clippy::needless_pass_by_value, reason = "what `json!` makes is passed on at once")]

use serde_json::{Value, json};

use super::*;
use crate::action::Action;
use crate::resource::Resource;

fn place() -> Place {
    Place::new("aws", "us-east-1", "123456789012")
}

/// The set of some documents.
fn set(documents: &[Value]) -> Result<Arc<PolicySet>, PolicyError> {
    let texts: Vec<Box<RawValue>> =
        documents.iter().map(|json| serde_json::value::to_raw_value(json).unwrap()).collect();
    let documents: Vec<&RawValue> = texts.iter().map(|text| &**text).collect();
    PolicySet::parse(&documents, &place(), PolicyLimits::AWS).map(Arc::new)
}

fn document(statements: Value) -> Value {
    json!({ "Version": "2012-10-17", "Statement": statements })
}

/// The ARN pattern of a resource in the place of the tests.
fn arn(resource: &str) -> String {
    format!("arn:aws:iot:us-east-1:123456789012:{resource}")
}

fn allow(action: &str, resource: &str) -> Value {
    json!({ "Effect": "Allow", "Action": action, "Resource": arn(resource) })
}

fn deny(action: &str, resource: &str) -> Value {
    json!({ "Effect": "Deny", "Action": action, "Resource": arn(resource) })
}

/// What client `c1` may do.
fn access(statements: Value) -> Access {
    let subject = Subject { client_id: "c1", ..Subject::default() };
    set(&[document(statements)]).unwrap().bind(&subject)
}

fn refusal(document: Value) -> String {
    set(&[document]).unwrap_err().to_string()
}

#[test]
fn nothing_is_allowed_by_default() {
    let access = access(json!([]));
    for action in Action::ALL {
        assert!(!access.allows(action, Resource::Topic("a")));
    }
}

#[test]
fn unrestricted_is_unrestricted() {
    let access = Arc::new(PolicySet::unrestricted()).bind(&Subject::default());
    assert!(access.is_unrestricted());
    assert!(access.allows(Action::Publish, Resource::Topic("a")));
}

#[test]
fn an_explicit_deny_wins_in_any_order_and_any_document() {
    let (yes, no) = (allow("iot:Publish", "topic/*"), deny("iot:Publish", "topic/secret/*"));
    for documents in [
        vec![document(json!([yes, no]))],
        vec![document(json!([no, yes]))],
        vec![document(json!([yes])), document(json!([no]))],
        vec![document(json!([no])), document(json!([yes]))],
    ] {
        let access = set(&documents).unwrap().bind(&Subject::default());
        assert!(access.allows(Action::Publish, Resource::Topic("open/a")));
        assert!(!access.allows(Action::Publish, Resource::Topic("secret/a")));
    }
}

#[test]
fn documents_are_united() {
    let documents = [
        document(json!([allow("iot:Publish", "topic/a")])),
        document(json!([allow("iot:Subscribe", "topicfilter/a")])),
    ];
    let access = set(&documents).unwrap().bind(&Subject::default());
    assert!(access.allows(Action::Publish, Resource::Topic("a")));
    assert!(access.allows(Action::Subscribe, Resource::TopicFilter("a")));
}

#[test]
fn a_document_may_be_a_string_and_a_statement_alone() {
    let one = json!({ "Statement": allow("iot:Publish", "topic/a") });
    let access = set(&[Value::String(one.to_string())]).unwrap().bind(&Subject::default());
    assert!(access.allows(Action::Publish, Resource::Topic("a")));
}

#[test]
fn plus_and_hash_are_characters() {
    let rights = access(json!([allow("iot:Subscribe", "topicfilter/a/*")]));
    for filter in ["a/+/c", "a/#", "a/b", "a/"] {
        assert!(rights.allows(Action::Subscribe, Resource::TopicFilter(filter)), "{filter}");
    }
    let exact = access(json!([allow("iot:Subscribe", "topicfilter/a/+/c")]));
    assert!(exact.allows(Action::Subscribe, Resource::TopicFilter("a/+/c")));
    assert!(!exact.allows(Action::Subscribe, Resource::TopicFilter("a/b/c")));
    let nothing = access(json!([allow("iot:Publish", "topic/a/#")]));
    assert!(!nothing.allows(Action::Publish, Resource::Topic("a/b")));
}

#[test]
fn a_shared_subscription_is_judged_with_its_group() {
    let filter = Resource::TopicFilter("$share/g/a/+");
    let plain = access(json!([allow("iot:Subscribe", "topicfilter/a/*")]));
    assert!(!plain.allows(Action::Subscribe, filter));
    let shared = access(json!([allow("iot:Subscribe", "topicfilter/$share/g/a/*")]));
    assert!(shared.allows(Action::Subscribe, filter));
}

#[test]
fn actions_are_judged_one_by_one() {
    let access = access(json!([
        { "Effect": "Allow", "Action": ["iot:publish", "IOT:Receive"], "Resource": arn("topic/a") },
    ]));
    assert!(access.allows(Action::Publish, Resource::Topic("a")));
    assert!(access.allows(Action::Receive, Resource::Topic("a")));
    assert!(!access.allows(Action::RetainPublish, Resource::Topic("a")));
    assert!(!access.allows(Action::Subscribe, Resource::TopicFilter("a")));
}

#[test]
fn a_topic_is_no_topic_filter() {
    let access = access(json!([allow("iot:*", "topic/*")]));
    assert!(access.allows(Action::Publish, Resource::Topic("a")));
    assert!(!access.allows(Action::Subscribe, Resource::TopicFilter("a")));
    assert!(!access.allows(Action::Connect, Resource::Client("a")));
}

#[test]
fn not_action_and_not_resource_are_everything_else() {
    let access = access(json!([
        { "Effect": "Allow", "NotAction": "iot:Connect", "Resource": "*" },
        { "Effect": "Deny", "Action": "iot:Publish", "NotResource": arn("topic/mine/*") },
    ]));
    assert!(!access.allows(Action::Connect, Resource::Client("c1")));
    assert!(access.allows(Action::Publish, Resource::Topic("mine/a")));
    assert!(!access.allows(Action::Publish, Resource::Topic("yours/a")));
    assert!(access.allows(Action::Receive, Resource::Topic("yours/a")));
}

#[test]
fn other_places_are_other_resources() {
    for pattern in [
        "arn:aws:iot:eu-west-1:123456789012:topic/*",
        "arn:aws:iot:us-east-1:210987654321:topic/*",
        "arn:aws-cn:iot:us-east-1:123456789012:topic/*",
        "topic/*",
    ] {
        let access =
            access(json!([{ "Effect": "Allow", "Action": "iot:Publish", "Resource": pattern }]));
        assert!(!access.allows(Action::Publish, Resource::Topic("a")), "{pattern}");
    }
    for pattern in ["arn:*:iot:*:*:topic/*", "arn:aws:iot:*:123456789012:topic/a"] {
        let access =
            access(json!([{ "Effect": "Allow", "Action": "iot:Publish", "Resource": pattern }]));
        assert!(access.allows(Action::Publish, Resource::Topic("a")), "{pattern}");
    }
}

#[test]
fn variables_are_the_subject_s() {
    let access = access(json!([
        allow("iot:Connect", "client/${iot:ClientId}"),
        allow("iot:Publish", "topic/${iot:ClientId}/*"),
    ]));
    assert!(access.allows(Action::Connect, Resource::Client("c1")));
    assert!(!access.allows(Action::Connect, Resource::Client("c2")));
    assert!(access.allows(Action::Publish, Resource::Topic("c1/a")));
    assert!(!access.allows(Action::Publish, Resource::Topic("c2/a")));
}

#[test]
fn an_undefined_variable_keeps_the_statement_from_matching() {
    let thing = "topic/${iot:Connection.Thing.ThingName}";
    let statement = json!({
        "Effect": "Allow", "Action": "iot:Publish", "Resource": [arn("topic/a"), arn(thing)]
    });
    assert!(!access(json!([statement])).allows(Action::Publish, Resource::Topic("a")));
    let subject = Subject { thing_name: Some("t1"), ..Subject::default() };
    let access = set(&[document(json!([statement]))]).unwrap().bind(&subject);
    assert!(access.allows(Action::Publish, Resource::Topic("a")));
    assert!(access.allows(Action::Publish, Resource::Topic("t1")));
}

/// A client that calls itself `+` must not get at everybody's filters.
#[test]
fn a_variable_brings_no_wildcard_of_mqtt() {
    let statements = json!([
        { "Effect": "Allow", "Action": "iot:*", "Resource":
            [arn("client/${iot:ClientId}"), arn("topicfilter/users/${iot:ClientId}/*")] },
        deny("iot:Connect", "client/no"),
    ]);
    for client_id in ["+", "#", "a/+"] {
        let subject = Subject { client_id, ..Subject::default() };
        let access = set(&[document(statements.clone())]).unwrap().bind(&subject);
        let filter = format!("users/{client_id}/inbox");
        assert!(!access.allows(Action::Subscribe, Resource::TopicFilter(&filter)), "{client_id}");
        assert!(access.allows(Action::Connect, Resource::Client(client_id)), "{client_id}");
    }
}

#[test]
fn conditions_are_judged_when_the_set_is_bound() {
    let mut statement = allow("iot:Connect", "client/*");
    statement["Condition"] =
        json!({ "ForAllValues:StringNotEquals": { "iot:ConnectAttributes": "LastWill" } });
    let set = set(&[document(json!([statement]))]).unwrap();
    let with_will = Subject { will_topic: Some("gone"), ..Subject::default() };
    assert!(set.bind(&Subject::default()).allows(Action::Connect, Resource::Client("c")));
    assert!(!set.bind(&with_will).allows(Action::Connect, Resource::Client("c")));
}

#[test]
fn what_is_not_understood_opens_nothing() {
    let unknown = json!({ "DateLessThan": { "aws:CurrentTime": "2030-01-01T00:00:00Z" } });
    let mut yes = allow("iot:Publish", "topic/a");
    yes["Condition"] = unknown.clone();
    let mut no = deny("iot:Publish", "topic/b");
    no["Condition"] = unknown;
    let set = set(&[document(json!([yes, no, allow("iot:Publish", "topic/b")]))]).unwrap();
    let access = set.bind(&Subject::default());
    assert!(!access.allows(Action::Publish, Resource::Topic("a")));
    assert!(!access.allows(Action::Publish, Resource::Topic("b")));
    assert_eq!(
        set.notes(),
        [
            "statement 1: the condition DateLessThan aws:CurrentTime is not known here; it allows nothing",
            "statement 2: the condition DateLessThan aws:CurrentTime is not known here; it denies as if that held",
        ]
    );
}

#[test]
fn a_variable_that_nothing_defines_is_noted() {
    let certificate = "topic/${iot:Certificate.Subject.CommonName}";
    let set = set(&[document(json!([allow("iot:Publish", certificate)]))]).unwrap();
    assert_eq!(
        set.notes(),
        [
            "statement 1: ${iot:Certificate.Subject.CommonName} is never defined here; the statement never applies"
        ]
    );
}

/// What SST's `realtime.authorizer` makes of `{subscribe: [...], publish: [...]}`
/// (reference: iot.md section 9.1).
#[test]
fn sst_s_policy_allows_what_it_says() {
    let sst = |topics: Value, filters: Value| {
        json!({ "Version": "2012-10-17", "Statement": [
            { "Action": "iot:Connect", "Effect": "Allow", "Resource": "*" },
            { "Action": "iot:Receive", "Effect": "Allow", "Resource": topics },
            { "Action": "iot:Subscribe", "Effect": "Allow", "Resource": filters },
            { "Action": "iot:Publish", "Effect": "Allow", "Resource": topics },
        ]})
    };
    let good = sst(json!([arn("topic/myapp/dev/*")]), json!([arn("topicfilter/myapp/dev/*")]));
    let access = set(&[good]).unwrap().bind(&Subject::default());
    assert!(access.allows(Action::Connect, Resource::Client("client_1")));
    for filter in ["myapp/dev/#", "myapp/dev/+/x", "myapp/dev/chat"] {
        assert!(access.allows(Action::Subscribe, Resource::TopicFilter(filter)), "{filter}");
    }
    for filter in ["#", "+/dev/chat", "myapp/#", "myapp/dev"] {
        assert!(!access.allows(Action::Subscribe, Resource::TopicFilter(filter)), "{filter}");
    }
    let topic = Resource::Topic("myapp/dev/chat/room1");
    assert!(access.allows(Action::Receive, topic));
    assert!(access.allows(Action::Publish, topic));
    assert!(!access.allows(Action::RetainPublish, topic), "SST never grants it");
    assert!(!access.allows(Action::Publish, Resource::Topic("other")));

    // The example's answer to a bad token: connected, and nothing more.
    let bad_token = set(&[sst(json!([]), json!([]))]).unwrap().bind(&Subject::default());
    assert!(bad_token.allows(Action::Connect, Resource::Client("client_1")));
    assert!(!bad_token.allows(Action::Publish, topic));
    assert!(!bad_token.allows(Action::Subscribe, Resource::TopicFilter("myapp/dev/#")));
}

#[test]
fn the_whole_set_is_one_reference_where_nothing_is_open() {
    let fixed = set(&[document(json!([allow("iot:Publish", "topic/a")]))]).unwrap();
    let _access = fixed.bind(&Subject::default());
    assert_eq!(Arc::strong_count(&fixed), 2);
}

#[test]
fn what_is_malformed_is_refused_with_its_place() {
    for (document, expected) in [
        (json!(7), "policyDocuments[0]: 7; expected an object"),
        (json!("{"), "policyDocuments[0]: EOF while parsing"),
        (json!({}), "policyDocuments[0]: no Statement"),
        (json!({ "Version": "2020", "Statement": [] }), "policyDocuments[0].Version: \"2020\""),
        (json!({ "Statements": [] }), "an unknown member \"Statements\""),
        (document(json!([7])), "policyDocuments[0].Statement[0]: 7; expected an object"),
        (
            document(json!([{ "Action": "iot:*", "Resource": "*" }])),
            "Statement[0].Effect: nothing; expected \"Allow\" or \"Deny\"",
        ),
        (
            document(json!([{ "Effect": "allow", "Action": "iot:*", "Resource": "*" }])),
            "Statement[0].Effect: \"allow\"",
        ),
        (
            document(json!([{ "Effect": "Allow", "Resource": "*" }])),
            "Statement[0]: neither; expected one of Action and NotAction",
        ),
        (
            document(json!([{ "Effect": "Allow", "Action": "iot:*" }])),
            "Statement[0]: neither; expected one of Resource and NotResource",
        ),
        (
            document(json!([{ "Effect": "Allow", "Action": [7], "Resource": "*" }])),
            "Statement[0].Action: 7; expected an action",
        ),
        (
            document(
                json!([{ "Effect": "Allow", "Action": "a", "Resource": "*", "Conditions": {} }]),
            ),
            "an unknown member \"Conditions\"",
        ),
    ] {
        let refusal = refusal(document);
        assert!(refusal.contains(expected), "{refusal}\nexpected: {expected}");
    }
}
