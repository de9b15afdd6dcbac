//! The realtime endpoint of a `serverless.yml`: `iot` events, topic rules and authorizers.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on may panic")]

use fanwire_app::model::{Code, Profile, Realtime, RealtimeLimits, SqlVersion};
use fanwire_app::{LoadError, LoadOptions, Loaded, load};

const HEAD: &str = "service: chat\nprovider: {name: aws, runtime: nodejs20.x}\nfunctions:\n";

/// Loads a text after a head of three lines.
fn load_text(text: &str) -> Result<Loaded, LoadError> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("serverless.yml");
    std::fs::write(&file, format!("{HEAD}{text}")).unwrap();
    load(&file, &LoadOptions::default())
}

fn loaded(text: &str) -> Loaded {
    load_text(text).unwrap_or_else(|error| panic!("{error}"))
}

fn realtime(text: &str) -> Realtime {
    let loaded = loaded(text);
    assert_eq!(loaded.warnings, []);
    loaded.app.realtime.unwrap()
}

/// A function, and resources after it.
fn with_resources(resources: &str) -> String {
    format!("  save: {{handler: a.b}}\nresources:\n  Resources:\n{resources}")
}

#[test]
fn an_app_without_rules_and_authorizers_has_no_endpoint() {
    let app = loaded("  save: {handler: a.b, events: [websocket: $default]}\n").app;
    assert_eq!(app.realtime, None);
}

#[test]
fn iot_events_are_topic_rules() {
    let realtime = realtime(
        "  save-it:\n    handler: a.b\n    events:\n\
         \x20     - iot: {sql: \"SELECT * FROM 'chat/#'\"}\n\
         \x20     - iot:\n          name: alarms\n          enabled: false\n\
         \x20         sqlVersion: beta\n          description: loud ones\n\
         \x20         sql: |\n            SELECT *\n             FROM 'alarms/+'\n\
         \x20     - websocket: $default\n",
    );
    let names: Vec<_> = realtime.rules.keys().collect();
    assert_eq!(names, ["SaveDashitIotTopicRule1", "alarms"]);
    let first = &realtime.rules[0];
    assert_eq!((first.function.as_str(), first.plain_filter()), ("save-it", Some("chat/#")));
    assert_eq!((first.sql_version, first.enabled), (SqlVersion::V2015_10_08, true));
    let alarms = &realtime.rules["alarms"];
    assert_eq!(alarms.sql, "SELECT * FROM 'alarms/+'");
    assert_eq!((alarms.sql_version, alarms.enabled), (SqlVersion::V2016_03_23, false));
    assert_eq!(realtime.limits, RealtimeLimits::of(Profile::Aws));
    assert!(!realtime.admits_anyone());
}

#[test]
fn resources_are_rules_and_authorizers_with_their_functions() {
    let text = with_resources(
        "    Gate:\n      Type: AWS::IoT::Authorizer\n      Properties:\n\
         \x20       AuthorizerName: gate\n\
         \x20       AuthorizerFunctionArn: !GetAtt SaveLambdaFunction.Arn\n\
         \x20       Status: ACTIVE\n        TokenKeyName: token\n\
         \x20       TokenSigningPublicKeys: {one: '-----BEGIN PUBLIC KEY-----'}\n\
         \x20   Open:\n      Type: AWS::IoT::Authorizer\n      Properties:\n\
         \x20       AuthorizerFunctionArn: arn:aws:lambda:us-east-1:123456789012:function:far\n\
         \x20       SigningDisabled: true\n\
         \x20   Domain:\n      Type: AWS::IoT::DomainConfiguration\n      Properties:\n\
         \x20       AuthorizerConfig: {DefaultAuthorizerName: !Ref Gate}\n\
         \x20   Rule:\n      Type: AWS::IoT::TopicRule\n      Properties:\n\
         \x20       TopicRulePayload:\n          AwsIotSqlVersion: '2016-03-23'\n\
         \x20         Sql: !Sub \"SELECT * FROM '${AWS::StackName}/#'\"\n\
         \x20         RuleDisabled: false\n          Actions:\n\
         \x20           - Lambda: {FunctionArn: !GetAtt SaveLambdaFunction.Arn}\n\
         \x20           - Lambda: {FunctionArn: !GetAtt SaveLambdaFunction.Arn}\n\
         \x20           - Republish: {Topic: x, RoleArn: y}\n\
         \x20         ErrorAction: {Lambda: {FunctionArn: !GetAtt SaveLambdaFunction.Arn}}\n",
    );
    let app = loaded(&text).app;
    let realtime = app.realtime.unwrap();
    assert_eq!(realtime.default_authorizer.as_deref(), Some("gate"));
    let gate = &realtime.authorizers["gate"];
    assert_eq!((gate.function.as_str(), gate.token_key.as_deref()), ("save", Some("token")));
    assert_eq!(gate.public_keys.len(), 1);
    let open = &realtime.authorizers["chat-dev-Open"];
    assert!(matches!(app.functions[&open.function].code, Code::Lambda { .. }));
    let names: Vec<_> = realtime.rules.keys().collect();
    assert_eq!(names, ["chat_dev_Rule", "chat_dev_Rule_2"]);
    let rule = &realtime.rules[0];
    assert_eq!((rule.function.as_str(), rule.plain_filter()), ("save", Some("chat-dev/#")));
    assert_eq!(rule.error_function.as_deref(), Some("save"));
    let not_served: Vec<_> = app.not_served.iter().map(|entry| entry.kind.as_str()).collect();
    assert_eq!(not_served, ["AWS::IoT::TopicRule (Republish)"]);
}

#[test]
fn an_inactive_authorizer_is_none() {
    let text = with_resources(
        "    Gate:\n      Type: AWS::IoT::Authorizer\n      Properties:\n\
         \x20       AuthorizerFunctionArn: !GetAtt SaveLambdaFunction.Arn\n\
         \x20       SigningDisabled: true\n        Status: INACTIVE\n",
    );
    assert_eq!(loaded(&text).app.realtime, None);
}

#[test]
fn a_resource_that_cannot_be_read_is_warned_of_and_does_not_exist() {
    let arn = "!GetAtt SaveLambdaFunction.Arn";
    for (kind, properties, expected) in [
        (
            "TopicRule",
            "{TopicRulePayload: {Sql: !If [a, b, c], Actions: []}}".to_owned(),
            "there is no condition `a`; the topic rule `It` does not exist here",
        ),
        (
            "TopicRule",
            format!(
                "{{TopicRulePayload: {{Sql: a, Actions: [{{Lambda: {{FunctionArn: {arn}}}}}]}}}}"
            ),
            "this is not a statement of IoT SQL; the topic rule `It` does not exist here",
        ),
        (
            "TopicRule",
            "{RuleName: x}".to_owned(),
            "`TopicRulePayload` is missing from a topic rule's properties",
        ),
        (
            "Authorizer",
            format!("{{AuthorizerFunctionArn: {arn}}}"),
            "it has no key that tokens are signed with; the authorizer `It` does not exist here",
        ),
        (
            "Authorizer",
            format!(
                "{{AuthorizerFunctionArn: {arn}, TokenKeyName: t, TokenSigningPublicKeys: {{a: b}}}}"
            ),
            "the key `a` is not a public key",
        ),
    ] {
        let resource = format!("    It: {{Type: 'AWS::IoT::{kind}', Properties: {properties}}}\n");
        let loaded = loaded(&with_resources(&resource));
        let shown = loaded.warnings[0].to_string();
        assert!(shown.contains(expected), "no {expected:?} in\n{shown}");
        assert_eq!(loaded.app.realtime, None);
    }
}

#[test]
fn a_wrong_event_is_told_with_place_and_remedy() {
    for (event, parts) in [
        ("iot: {sqls: x}", &["unknown key `sqls` in an iot event", "did you mean `sql`?"][..]),
        ("iot: {sql: 'chat/#'}", &["this is not a statement of IoT SQL"]),
        ("iot: {sql: SELECT 1, name: a-b}", &["`a-b` is not a valid name of a topic rule"]),
        ("iot: {sql: SELECT 1, sqlVersion: '2016'}", &["one of 2015-10-08, 2016-03-23, beta"]),
        ("ito: {sql: SELECT 1}", &["unknown event `ito`", "did you mean `iot`?"]),
    ] {
        let text = format!("  save: {{handler: a.b, events: [{event}]}}\n");
        let error = load_text(&text).map(|loaded| loaded.app).unwrap_err().to_string();
        for part in parts {
            assert!(error.contains(part), "no {part:?} in\n{error}");
        }
    }
    let twice = "  a: {handler: a.b, events: [iot: {sql: SELECT 1, name: x}]}\n  \
        b: {handler: a.b, events: [iot: {sql: SELECT 1, name: x}]}\n";
    let error = load_text(twice).map(|loaded| loaded.app).unwrap_err().to_string();
    assert!(error.contains("the topic rule `x` calls the function `a` already"), "{error}");
}
