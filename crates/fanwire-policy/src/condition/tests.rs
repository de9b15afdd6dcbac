//! What conditions come to.

use super::*;

fn place() -> Place {
    Place::new("aws", "us-east-1", "123456789012")
}

/// Whether a `Condition` of one operator holds for a subject.
fn holds(json: &str, subject: &Subject<'_>) -> bool {
    let raw: &RawValue = serde_json::from_str(json).unwrap();
    let conditions = Condition::parse_all(raw, "Condition").unwrap();
    conditions.iter().all(|condition| condition.judge(subject, &place()) == Judgement::Holds)
}

fn refusal(json: &str) -> String {
    let raw: &RawValue = serde_json::from_str(json).unwrap();
    Condition::parse_all(raw, "Condition").unwrap_err().to_string()
}

#[test]
fn connect_attributes_restrict_sessions_and_wills() {
    let plain = Subject::default();
    let persistent = Subject { persistent: true, ..plain };
    let both = Subject { persistent: true, will_topic: Some("gone"), ..plain };
    let only_persistent =
        r#"{"ForAllValues:StringEquals":{"iot:ConnectAttributes":["PersistentConnect"]}}"#;
    assert!(holds(only_persistent, &plain));
    assert!(holds(only_persistent, &persistent));
    assert!(!holds(only_persistent, &both));
    let not_persistent =
        r#"{"ForAllValues:StringNotEquals":{"iot:ConnectAttributes":["PersistentConnect"]}}"#;
    assert!(holds(not_persistent, &plain));
    assert!(!holds(not_persistent, &persistent));
    let some = r#"{"ForAnyValue:StringEquals":{"iot:ConnectAttributes":"LastWill"}}"#;
    assert!(!holds(some, &plain));
    assert!(holds(some, &both));
}

#[test]
fn a_will_topic_is_an_arn() {
    let on = |topic| Subject { will_topic: Some(topic), client_id: "c1", ..Subject::default() };
    let wills = r#"{"ArnEquals":{"iot:LastWillTopic":
        ["arn:aws:iot:us-east-1:123456789012:topic/my/${iot:ClientId}/*"]}}"#;
    assert!(holds(wills, &on("my/c1/gone")));
    assert!(!holds(wills, &on("my/c2/gone")));
    assert!(!holds(wills, &Subject::default()));
    let other_place = r#"{"ArnLike":{"iot:LastWillTopic":"arn:aws:iot:eu-*:*:topic/my/*"}}"#;
    assert!(!holds(other_place, &on("my/c1/gone")));
    // A wildcard stays in its section of the ARN.
    assert!(!holds(r#"{"ArnLike":{"iot:LastWillTopic":"arn:*:topic/my/*"}}"#, &on("my/c1")));
}

#[test]
fn addresses_are_in_ranges_or_not() {
    let from = |ip: &str| Subject { source_ip: Some(ip.parse().unwrap()), ..Subject::default() };
    let inside = r#"{"IpAddress":{"aws:SourceIp":["10.0.0.0/8","192.0.2.1"]}}"#;
    assert!(holds(inside, &from("10.2.3.4")));
    assert!(holds(inside, &from("::ffff:10.2.3.4")));
    assert!(holds(inside, &from("192.0.2.1")));
    assert!(!holds(inside, &from("192.0.2.2")));
    let outside = r#"{"NotIpAddress":{"aws:SourceIp":["10.0.0.0/8","192.0.2.1"]}}"#;
    assert!(!holds(outside, &from("10.2.3.4")));
    assert!(holds(outside, &from("192.0.2.2")));
}

#[test]
fn texts_are_compared_as_the_operator_says() {
    let at = |domain_name| Subject { domain_name: Some(domain_name), ..Subject::default() };
    let domain =
        |operator: &str, value: &str| format!(r#"{{"{operator}":{{"iot:DomainName":"{value}"}}}}"#);
    assert!(holds(&domain("StringEquals", "a.example"), &at("a.example")));
    assert!(!holds(&domain("StringEquals", "*.example"), &at("a.example")));
    assert!(holds(&domain("StringLike", "*.example"), &at("a.example")));
    assert!(!holds(&domain("StringNotLike", "*.example"), &at("a.example")));
    assert!(holds(&domain("StringEqualsIgnoreCase", "A.Example"), &at("a.exAMPLE")));
    assert!(!holds(&domain("StringNotEqualsIgnoreCase", "A.Example"), &at("a.exAMPLE")));
}

#[test]
fn a_missing_key_fails_unless_the_operator_says_otherwise() {
    let nobody = Subject::default();
    let domain = |operator: &str| format!(r#"{{"{operator}":{{"iot:DomainName":"a.example"}}}}"#);
    assert!(!holds(&domain("StringEquals"), &nobody));
    assert!(holds(&domain("StringNotEquals"), &nobody));
    assert!(holds(&domain("StringEqualsIfExists"), &nobody));
    assert!(holds(&domain("ForAllValues:StringEquals"), &nobody));
    assert!(!holds(&domain("ForAnyValue:StringEquals"), &nobody));
    assert!(holds(r#"{"Null":{"iot:DomainName":true}}"#, &nobody));
    assert!(!holds(r#"{"Null":{"iot:DomainName":"false"}}"#, &nobody));
}

#[test]
fn things_are_attached_or_not() {
    let thing = Subject { thing_name: Some("t1"), ..Subject::default() };
    let attached = r#"{"Bool":{"iot:Connection.Thing.IsAttached":["true"]}}"#;
    assert!(holds(attached, &thing));
    assert!(!holds(attached, &Subject::default()));
    assert!(holds(r#"{"Bool":{"iot:Connection.Thing.IsAttached":false}}"#, &Subject::default()));
}

#[test]
fn all_operators_and_keys_must_hold() {
    let both = r#"{"StringEquals":{"iot:ClientId":"c1","iot:DomainName":"d"},
        "Bool":{"iot:Connection.Thing.IsAttached":"false"}}"#;
    let subject = Subject { client_id: "c1", domain_name: Some("d"), ..Subject::default() };
    assert!(holds(both, &subject));
    assert!(!holds(both, &Subject { domain_name: None, ..subject }));
    assert!(holds("{}", &subject));
}

#[test]
fn what_is_not_known_is_said_to_be_unknown() {
    for json in [
        r#"{"StringEquals":{"aws:PrincipalOrgId":"o"}}"#,
        r#"{"NumericLessThan":{"iot:ClientId":"3"}}"#,
        r#"{"ForSomeValues:StringEquals":{"iot:ClientId":"3"}}"#,
        r#"{"NotBool":{"iot:Connection.Thing.IsAttached":"true"}}"#,
    ] {
        let raw: &RawValue = serde_json::from_str(json).unwrap();
        let conditions = Condition::parse_all(raw, "Condition").unwrap();
        assert!(!conditions[0].is_known(), "{json}");
        assert_eq!(conditions[0].judge(&Subject::default(), &place()), Judgement::Unknown);
    }
}

#[test]
fn an_undefined_variable_is_reported() {
    let json = r#"{"StringNotEquals":{"iot:ClientId":"${iot:Connection.Thing.ThingName}"}}"#;
    let raw: &RawValue = serde_json::from_str(json).unwrap();
    let conditions = Condition::parse_all(raw, "Condition").unwrap();
    let judged = conditions[0].judge(&Subject::default(), &place());
    assert_eq!(judged, Judgement::Undefined(&Variable::ThingName));
}

#[test]
fn malformed_values_are_refused_with_their_place() {
    assert_eq!(
        refusal(r#"{"IpAddress":{"aws:SourceIp":"10.0.0/8"}}"#),
        "Condition.IpAddress[\"aws:SourceIp\"]: \"10.0.0/8\"; expected an address, or a range such as 203.0.113.0/24"
    );
    assert!(
        refusal(r#"{"Bool":{"iot:Connection.Thing.IsAttached":"yes"}}"#).contains("true or false")
    );
    assert!(refusal(r#"{"StringEquals":{"iot:ClientId":{}}}"#).contains("a string"));
    assert!(refusal(r#"{"StringEquals":"x"}"#).contains("an object"));
    assert!(refusal(r#"["x"]"#).contains("an object"));
}
