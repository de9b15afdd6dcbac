//! A message and short ways to evaluate, for the tests of this crate.

use crate::message::Message;
use crate::rule::{Rule, Selected};
use crate::version::SqlVersion;

/// A message from a client, with an empty object as its payload.
pub(crate) fn message() -> Message<'static> {
    Message {
        topic: "things/myThings/thingOne",
        payload: b"{}",
        client_id: Some("client-1"),
        principal: Some("user1"),
        source_ip: Some("192.0.2.7"),
        timestamp_ms: 1_481_825_251_155,
        properties: None,
        account_id: "123456789012",
        trace_id: Some("12345678-1234-1234-1234-123456789012"),
        seed: 7,
    }
}

/// What `sql` makes of a payload, as text; `(nothing)` if its WHERE says no.
#[track_caller]
pub(crate) fn select(sql: &str, payload: &str) -> String {
    let rule = Rule::parse(sql, SqlVersion::default()).unwrap_or_else(|e| panic!("{sql}: {e}"));
    match rule.evaluate(&Message { payload: payload.as_bytes(), ..message() }) {
        Ok(Some(Selected::Json(json))) => String::from_utf8(json.into_owned()).unwrap(),
        Ok(Some(Selected::Raw(bytes))) => format!("raw {bytes:?}"),
        Ok(None) => "(nothing)".to_owned(),
        Err(error) => format!("error: {error}"),
    }
}

/// The value of an expression, as JSON; Undefined shows as `undefined`.
#[track_caller]
pub(crate) fn value_in(expression: &str, payload: &str, version: SqlVersion) -> String {
    value_of(expression, &Message { payload: payload.as_bytes(), ..message() }, version)
}

/// The same with a whole message.
#[track_caller]
pub(crate) fn value_of(expression: &str, message: &Message<'_>, version: SqlVersion) -> String {
    let sql = format!("SELECT {expression} AS v FROM '#'");
    let rule = Rule::parse(&sql, version).unwrap_or_else(|e| panic!("{expression}: {e}"));
    let Some(Selected::Json(json)) = rule.evaluate(message).unwrap() else {
        panic!("{expression}")
    };
    let json = String::from_utf8(json.into_owned()).unwrap();
    match json.strip_prefix("{\"v\":").and_then(|json| json.strip_suffix('}')) {
        Some(value) => value.to_owned(),
        None => "undefined".to_owned(),
    }
}

/// The value of an expression that needs no payload, in the default version.
#[track_caller]
pub(crate) fn value(expression: &str) -> String {
    value_in(expression, "{}", SqlVersion::default())
}

/// Checks expressions against their values.
#[track_caller]
pub(crate) fn all(cases: &[(&str, &str)]) {
    for (expression, expected) in cases {
        assert_eq!(value(expression), *expected, "{expression}");
    }
}

/// Why `sql` is refused.
#[track_caller]
pub(crate) fn refusal(sql: &str) -> String {
    match Rule::parse(sql, SqlVersion::default()) {
        Err(error) => error.to_string(),
        Ok(_) => panic!("{sql} is taken"),
    }
}
