//! Parts of values, what they are, and encodings.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;

use super::{Body, Call, Function, Literal};
use crate::error::EvaluateError;
use crate::operators;
use crate::value::{self, Value};

const BASE64: Literal = Literal::OneOf(&["base64"]);

pub(super) const FUNCTIONS: &[Function] = &[
    Function::new("get", 2..=2, Body::Plain(get)),
    Function::new("get_or_default", 1..=2, Body::Plain(get_or_default)).since_2016(),
    Function::new("isnull", 1..=1, Body::Plain(is_null)),
    Function::new("isundefined", 1..=1, Body::Plain(is_undefined)).since_2016(),
    Function::new("encode", 2..=2, Body::Plain(encode)).since_2016().with_literal(1, BASE64),
    Function::new("decode", 2..=2, Body::Plain(decode)).since_2016().with_literal(1, BASE64),
    Function::new("transform", 3..=3, Body::Metered(transform))
        .since_2016()
        .with_literal(0, Literal::OneOf(&["enrichArray"])),
];

/// The element, the character or the member.
fn get(call: &Call<'_, '_>) -> Option<Value> {
    match (call.value(0), call.value(1)) {
        (array @ Value::Array(_), index) => Some(operators::element(array, index).clone()),
        (Value::String(text), index) => {
            let index = usize::try_from(index.to_int()?).ok()?;
            text.chars().nth(index).map(Value::text)
        }
        (object @ Value::Object(_), Value::String(name)) => Some(object.member(name).clone()),
        _ => None,
    }
}

/// The first, unless it is Null or Undefined.
fn get_or_default(call: &Call<'_, '_>) -> Option<Value> {
    match call.value(0) {
        Value::Null | Value::Undefined => Some(call.value(1).clone()),
        value => Some(value.clone()),
    }
}

fn is_null(call: &Call<'_, '_>) -> Option<Value> {
    Some(Value::Boolean(matches!(call.value(0), Value::Null)))
}

fn is_undefined(call: &Call<'_, '_>) -> Option<Value> {
    Some(Value::Boolean(call.value(0).is_undefined()))
}

fn encode(call: &Call<'_, '_>) -> Option<Value> {
    Some(Value::String(BASE64_STANDARD.encode(call.text(0)?.as_bytes())))
}

/// The JSON, or else the text, or Null where it is neither.
fn decode(call: &Call<'_, '_>) -> Option<Value> {
    let Ok(bytes) = BASE64_STANDARD.decode(call.text(0)?.as_bytes()) else {
        return Some(Value::Null);
    };
    let json = value::read(&bytes, call.version());
    Some(json.or_else(|| String::from_utf8(bytes).ok().map(Value::String)).unwrap_or(Value::Null))
}

/// The array's objects, each with the members of the object.
fn transform(call: &mut Call<'_, '_>) -> Result<Option<Value>, EvaluateError> {
    let (Value::Object(members), Value::Array(items)) = (call.value(1), call.value(2)) else {
        return Ok(None);
    };
    if !items.iter().all(|item| matches!(item, Value::Object(_))) {
        return Ok(None);
    }
    let (members, items) = (members.clone(), items.clone());
    let one = call.value(1).weight();
    call.evaluation.spend(items.len().saturating_mul(one))?;
    let enriched = items.into_iter().map(|mut item| {
        if let Value::Object(own) = &mut item {
            own.extend(members.clone());
        }
        item
    });
    Ok(Some(Value::Array(enriched.collect())))
}

#[cfg(test)]
mod tests {
    use crate::testing::{all, refusal, select, value_in};
    use crate::version::SqlVersion;

    #[test]
    fn get_takes_from_arrays_texts_and_objects() {
        all(&[
            ("get(['a', 'b', 'c'], 1)", "\"b\""),
            ("get(['a'], '0')", "\"a\""),
            ("get(['a'], 1)", "undefined"),
            ("get(['a'], -1)", "undefined"),
            ("get('abc', 1)", "\"b\""),
            ("get('abc', 3)", "undefined"),
            ("get({'my-key': 5}, 'my-key')", "5"),
            ("get({'1': 5}, 1)", "undefined"),
            ("get(5, 0)", "undefined"),
            ("get(missing, 0)", "undefined"),
        ]);
    }

    #[test]
    fn get_or_default_replaces_null_and_undefined() {
        all(&[
            ("get_or_default(missing, 1)", "1"),
            ("get_or_default(null, 'x')", "\"x\""),
            ("get_or_default(false, 1)", "false"),
            ("get_or_default(missing)", "undefined"),
        ]);
    }

    #[test]
    fn null_and_undefined_are_told_apart() {
        all(&[
            ("isNull(null)", "true"),
            ("isNull(5)", "false"),
            ("isNull(missing)", "false"),
            ("isUndefined(missing)", "true"),
            ("isUndefined(null)", "false"),
            ("isUndefined(floor([1, 2, 3]))", "true"),
        ]);
        assert_eq!(value_in("isNull(a)", r#"{"a":null}"#, SqlVersion::V2015_10_08), "true");
    }

    #[test]
    fn base64_goes_both_ways() {
        all(&[
            ("encode('hello', 'base64')", "\"aGVsbG8=\""),
            ("encode({'a': 1}, 'base64')", "\"eyJhIjoxfQ==\""),
            ("encode(missing, 'base64')", "undefined"),
            ("decode('aGVsbG8=', 'base64')", "\"hello\""),
            ("decode('eyAidGVtcGVyYXR1cmUiOiAzMyB9Cg==', 'base64').temperature", "33"),
            ("decode('!', 'base64')", "null"),
            ("decode('/w==', 'base64')", "null"),
        ]);
        let refused = refusal("SELECT decode(x, 'proto', 'a') FROM 'a'");
        assert!(refused.contains("3 arguments"), "{refused}");
        let refused = refusal("SELECT decode(x, 'hex') AS x FROM 'a'");
        assert!(refused.contains("column 18") && refused.contains("'base64'"), "{refused}");
    }

    #[test]
    fn encode_of_everything_takes_any_payload() {
        let sql = "SELECT encode(*, 'base64') AS data FROM 'a'";
        assert_eq!(select(sql, "not JSON"), r#"{"data":"bm90IEpTT04="}"#);
        assert_eq!(select(sql, "{ }"), r#"{"data":"eyB9"}"#);
    }

    #[test]
    fn transform_puts_members_into_each_element() {
        let sql = "SELECT VALUE transform('enrichArray', (SELECT a, b FROM d), (SELECT VALUE c FROM d)) FROM 'a'";
        let payload = r#"{"d":{"a":1,"b":2,"c":[{"x":{"i":5},"y":true},{"x":{"i":9},"a":0}]}}"#;
        let expected = r#"[{"x":{"i":5},"y":true,"a":1,"b":2},{"x":{"i":9},"a":1,"b":2}]"#;
        assert_eq!(select(sql, payload), expected);
        all(&[
            ("transform('enrichArray', 1, [])", "undefined"),
            ("transform('enrichArray', {}, [1])", "undefined"),
        ]);
        assert!(refusal("SELECT transform('other', a, b) FROM 'a'").contains("enrichArray"));
    }
}
