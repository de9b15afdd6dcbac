use serde_json::json;

use super::*;
use crate::realtime::{Message, Raw, Realtime};

fn endpoint(filters: &[&str]) -> Endpoint {
    let declared = filters.iter().fold(Realtime::new("chat"), |realtime, filter| {
        realtime.subscriber(*filter, async |_: Message<Raw>| ())
    });
    declared.endpoint().unwrap()
}

fn enveloped(subscriber: &str) -> Vec<u8> {
    json!({
        "fanwire_subscriber": subscriber,
        "fanwire_topic": "chat/lobby",
        "fanwire_principal": "ada",
        "fanwire_client_id": "client-1",
        "fanwire_payload": "/w==",
    })
    .to_string()
    .into_bytes()
}

/// Reference: iot.md, section 9.2.
#[test]
fn the_event_of_an_authorizer_is_read() {
    let event = json!({
        "token": "t",
        "signatureVerified": true,
        "protocols": ["tls", "http", "mqtt"],
        "protocolData": {
            "tls": { "serverName": "host" },
            "http": {
                "headers": { "Host": "host", "X-Room": "lobby" },
                "queryString": "?x-amz-customauthorizer-name=chat",
            },
            "mqtt": { "username": "ada", "password": "c2VjcmV0", "clientId": "c-1" },
        },
        "connectionMetadata": { "id": "5a9c" },
    });
    assert_eq!(event_kind(&event, None), Some(EventKind::Authorizer));
    let request = connect_request(event.to_string().as_bytes()).unwrap();
    assert_eq!(request.token(), "secret");
    assert_eq!(request.signed_token.as_deref(), Some("t"));
    assert!(request.signature_verified);
    assert_eq!(request.query_parameter("x-amz-customauthorizer-name"), Some("chat"));
    assert_eq!(request.header("x-room"), Some("lobby"));
    assert_eq!((request.user(), &*request.connection_id), (Some("ada"), "5a9c"));
}

#[test]
fn an_event_may_say_nothing() {
    let event = br#"{"protocolData":{}}"#;
    assert_eq!(connect_request(event).unwrap(), ConnectRequest::default());
    assert!(matches!(connect_request(b"{}"), Err(EventError::Shape(_))));
}

#[test]
fn the_place_is_that_of_the_function() {
    let found = place("arn:aws-cn:lambda:cn-north-1:123456789012:function:f").unwrap();
    assert_eq!((&*found.partition, &*found.region), ("aws-cn", "cn-north-1"));
    assert_eq!(found.account_id, "123456789012");
    for wrong in ["", "f", "arn:aws:iam::1:role/r"] {
        assert!(place(wrong).is_err(), "{wrong}");
    }
}

#[test]
fn an_event_of_our_rule_says_all_of_its_message() {
    let endpoint = endpoint(&["chat/#", "other"]);
    let (subscriber, incoming) = message(&endpoint, &enveloped("chat"), None).unwrap();
    assert_eq!(subscriber.filter, "chat/#");
    assert_eq!((&*incoming.topic, &incoming.payload[..]), ("chat/lobby", &b"\xff"[..]));
    let sender = incoming.sender.unwrap();
    assert_eq!((&*sender.principal, &*sender.client_id), ("ada", "client-1"));
    let gone = message(&endpoint, &enveloped("gone"), None).unwrap_err();
    assert_eq!(gone, EventError::NoSubscriber("gone".to_owned()));
}

#[test]
fn a_payload_alone_is_taken_where_the_function_is_one_subscriber() {
    let endpoint = endpoint(&["chat/#"]);
    let (subscriber, incoming) = message(&endpoint, b"{ \"a\": 1.0 }", Some("chat")).unwrap();
    assert_eq!(subscriber.name, "chat");
    assert_eq!(incoming.payload, &b"{ \"a\": 1.0 }"[..]);
    let error = message(&endpoint, b"{\"a\":1}", None).unwrap_err();
    assert_eq!(error, EventError::WhichSubscriber);
}

/// What a topic rule makes of a message, by the engine of `fanwire dev`.
fn by_rule(sql: &str, payload: &[u8], client_id: Option<&str>) -> Vec<u8> {
    use fanwire_rules::{Message, Rule, Selected, SqlVersion};
    let rule = Rule::parse(sql, SqlVersion::default()).unwrap();
    assert_eq!(rule.filter(), Some("chat/#"));
    let message = Message {
        topic: "chat/lobby",
        payload,
        client_id,
        principal: Some("ada"),
        source_ip: None,
        timestamp_ms: 0,
        properties: None,
        account_id: "123456789012",
        trace_id: None,
        seed: 0,
    };
    match rule.evaluate(&message).unwrap() {
        Some(Selected::Json(json)) => json.into_owned(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn our_rule_selects_what_is_read_here() {
    let endpoint = endpoint(&["other", "chat/#"]);
    let sql = endpoint.subscribers[1].rule_sql();
    for payload in [&b"\xff"[..], b"", b"{ \"a\": 1.0 }", b"[1]"] {
        let event = by_rule(&sql, payload, Some("client-1"));
        let (subscriber, incoming) = message(&endpoint, &event, None).unwrap();
        assert_eq!((&*subscriber.name, &*incoming.topic), ("chat", "chat/lobby"));
        assert_eq!(incoming.payload, payload);
        let sender = incoming.sender.unwrap();
        assert_eq!((&*sender.principal, &*sender.client_id), ("ada", "client-1"));
    }
    let event = by_rule(&sql, b"x", None);
    let sender = message(&endpoint, &event, None).unwrap().1.sender.unwrap();
    assert_eq!((&*sender.principal, &*sender.client_id), ("ada", ""));
}

/// Whoever may publish chooses what is in a payload.
#[test]
fn no_payload_passes_for_an_event_of_another_kind() {
    let endpoint = endpoint(&["chat/#", "other"]);
    let forged = enveloped("other");
    let (subscriber, incoming) = message(&endpoint, &forged, Some("chat")).unwrap();
    assert_eq!((&*subscriber.name, incoming.sender), ("chat", None));
    assert_eq!(incoming.payload, forged);
    for forged in [json!({ "protocolData": {} }), json!({ "requestContext": {} })] {
        assert_eq!(event_kind(&forged, Some("chat")), Some(EventKind::Message));
    }
    assert_eq!(event_kind(&json!({ "requestContext": {} }), None), None);
}
