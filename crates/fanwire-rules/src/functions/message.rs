//! What is known of a message beside its payload.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use indexmap::IndexMap;

use super::{Body, Call, Function, Literal};
use crate::value::Value;

pub(super) const FUNCTIONS: &[Function] = &[
    Function::new("topic", 0..=1, Body::Plain(topic)),
    Function::new("clientid", 0..=0, Body::Plain(client_id)),
    Function::new("principal", 0..=0, Body::Plain(|call| text(call.evaluation.message.principal))),
    Function::new("sourceip", 0..=0, Body::Plain(|call| text(call.evaluation.message.source_ip))),
    Function::new("accountid", 0..=0, Body::Plain(account_id)),
    Function::new("traceid", 0..=0, Body::Plain(|call| text(call.evaluation.message.trace_id))),
    Function::new("newuuid", 0..=0, Body::Metered(|call| Ok(Some(new_uuid(call))))),
    Function::new("sql_version", 0..=0, Body::Plain(|call| text(Some(call.version().as_str())))),
    Function::new("get_mqtt_property", 1..=1, Body::Plain(mqtt_property))
        .since_2016()
        .with_literal(
            0,
            Literal::OneOf(&[
                "content_type",
                "correlation_data",
                "format_indicator",
                "response_topic",
            ]),
        ),
    Function::new("get_user_properties", 0..=1, Body::Plain(user_properties)).since_2016(),
];

fn text(text: Option<&str>) -> Option<Value> {
    text.map(Value::text)
}

/// The whole topic, or one of its levels, from 1.
fn topic(call: &Call<'_, '_>) -> Option<Value> {
    let topic = call.evaluation.message.topic;
    if call.arguments.is_empty() {
        return text(Some(topic));
    }
    let level = usize::try_from(call.int(0)?.checked_sub(1)?).ok()?;
    text(topic.split('/').nth(level))
}

fn client_id(call: &Call<'_, '_>) -> Option<Value> {
    text(Some(call.evaluation.message.client_id.unwrap_or(crate::NO_CLIENT_ID)))
}

fn account_id(call: &Call<'_, '_>) -> Option<Value> {
    text(Some(call.evaluation.message.account_id))
}

fn new_uuid(call: &mut Call<'_, '_>) -> Value {
    Value::String(crate::uuid(call.evaluation.random.u128(..)))
}

/// A property of the PUBLISH; binary data in base64.
fn mqtt_property(call: &Call<'_, '_>) -> Option<Value> {
    let properties = call.evaluation.message.properties?;
    match &*call.text(0)? {
        "content_type" => text(properties.content_type),
        "response_topic" => text(properties.response_topic),
        "correlation_data" => {
            Some(Value::String(BASE64_STANDARD.encode(properties.correlation_data?)))
        }
        "format_indicator" => {
            text(Some(if properties.utf8_payload { "UTF8_DATA" } else { "UNSPECIFIED_BYTES" }))
        }
        _ => None,
    }
}

/// All user properties as objects of one member, or the values of those with one name.
fn user_properties(call: &Call<'_, '_>) -> Option<Value> {
    let properties = call.evaluation.message.properties?.user_properties;
    let found: Vec<Value> = if call.arguments.is_empty() {
        let one = |(name, value): &(&str, &str)| {
            Value::Object(IndexMap::from([((*name).to_owned(), Value::text(*value))]))
        };
        properties.iter().map(one).collect()
    } else {
        let wanted = call.text(0)?;
        let named = properties.iter().filter(|(name, _)| *name == wanted);
        named.map(|(_, value)| Value::text(*value)).collect()
    };
    (!found.is_empty()).then_some(Value::Array(found))
}

#[cfg(test)]
mod tests {
    use crate::testing::{all, message, refusal, value, value_of};
    use crate::{Message, Properties, SqlVersion};

    #[track_caller]
    fn of(expression: &str, message: &Message<'_>) -> String {
        value_of(expression, message, SqlVersion::default())
    }

    #[test]
    fn a_rule_sees_whose_message_it_is() {
        all(&[
            ("topic()", "\"things/myThings/thingOne\""),
            ("topic(1)", "\"things\""),
            ("topic(3)", "\"thingOne\""),
            ("topic('2')", "\"myThings\""),
            ("topic(4)", "undefined"),
            ("topic(0)", "undefined"),
            ("clientid()", "\"client-1\""),
            ("ClientId()", "\"client-1\""),
            ("principal()", "\"user1\""),
            ("sourceip()", "\"192.0.2.7\""),
            ("accountid()", "\"123456789012\""),
            ("traceid()", "\"12345678-1234-1234-1234-123456789012\""),
            ("sql_version()", "\"2016-03-23\""),
        ]);
        let message = Message {
            client_id: None,
            principal: None,
            trace_id: None,
            source_ip: None,
            ..message()
        };
        assert_eq!(of("clientid()", &message), "\"n/a\"");
        for nothing in ["principal()", "traceid()", "sourceip()"] {
            assert_eq!(of(nothing, &message), "undefined");
        }
    }

    #[test]
    fn uuids_are_random_ones() {
        let uuid = value("newuuid()");
        let shape = "^\"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}\"$";
        assert!(regex::Regex::new(shape).unwrap().is_match(&uuid), "{uuid}");
        assert_eq!(value("newuuid() = newuuid()"), "false");
    }

    #[test]
    fn mqtt_5_properties_are_there() {
        let properties = Properties {
            utf8_payload: true,
            content_type: Some("application/json"),
            response_topic: Some("re/ply"),
            correlation_data: Some(&[0, 255]),
            user_properties: &[("a", "1"), ("b", "2"), ("a", "3")],
        };
        let message = Message { properties: Some(properties), ..message() };
        for (expression, expected) in [
            ("get_mqtt_property('content_type')", "\"application/json\""),
            ("get_mqtt_property('format_indicator')", "\"UTF8_DATA\""),
            ("get_mqtt_property('response_topic')", "\"re/ply\""),
            ("get_mqtt_property('correlation_data')", "\"AP8=\""),
            ("get_user_properties()", r#"[{"a":"1"},{"b":"2"},{"a":"3"}]"#),
            ("get_user_properties('a')", r#"["1","3"]"#),
            ("get(get_user_properties('b'), 0)", "\"2\""),
            ("get_user_properties('c')", "undefined"),
        ] {
            assert_eq!(of(expression, &message), expected, "{expression}");
        }
        let plain = Message { properties: Some(Properties::default()), ..message };
        assert_eq!(of("get_mqtt_property('format_indicator')", &plain), "\"UNSPECIFIED_BYTES\"");
        assert_eq!(of("get_mqtt_property('content_type')", &plain), "undefined");
        assert_eq!(value("get_mqtt_property('format_indicator')"), "undefined");
        assert_eq!(value("get_user_properties()"), "undefined");
        assert!(refusal("SELECT get_mqtt_property('ttl') FROM 'a'").contains("'content_type'"));
    }
}
