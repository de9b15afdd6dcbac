//! Texts. Places and lengths are in characters; Java's are in UTF-16 units, which differ
//! beyond the basic plane.

use std::borrow::Cow;

use super::{Body, Call, Function};
use crate::error::EvaluateError;
use crate::value::Value;

/// The most spaces that are put beside a text.
const MAX_PADDING: i64 = 1000;

pub(super) const FUNCTIONS: &[Function] = &[
    Function::new("concat", 0..=usize::MAX, Body::Metered(concat)),
    Function::new("upper", 1..=1, Body::Plain(|call| changed(call, str::to_uppercase))),
    Function::new("lower", 1..=1, Body::Plain(|call| changed(call, str::to_lowercase))),
    Function::new("trim", 1..=1, Body::Plain(|call| changed(call, |text| text.trim().to_owned()))),
    Function::new("ltrim", 1..=1, Body::Plain(|call| changed(call, |t| t.trim_start().to_owned()))),
    Function::new("rtrim", 1..=1, Body::Plain(|call| changed(call, |t| t.trim_end().to_owned()))),
    Function::new("lpad", 2..=2, Body::Plain(lpad)),
    Function::new("rpad", 2..=2, Body::Plain(rpad)),
    Function::new("length", 1..=1, Body::Plain(length)).since_2016(),
    Function::new("numbytes", 1..=1, Body::Plain(numbytes)).since_2016(),
    Function::new("substring", 2..=3, Body::Plain(substring)),
    Function::new("indexof", 2..=2, Body::Plain(index_of)).since_2016(),
    Function::new("startswith", 2..=2, Body::Plain(starts_with)),
    Function::new("endswith", 2..=2, Body::Plain(ends_with)),
    Function::new("replace", 3..=3, Body::Metered(replace)),
    Function::new("chr", 1..=1, Body::Plain(chr)),
];

fn changed(call: &Call<'_, '_>, change: fn(&str) -> String) -> Option<Value> {
    Some(Value::String(change(&call.text(0)?)))
}

/// One array of everything if there is an array, otherwise one text of everything. One
/// argument alone is what it is.
fn concat(call: &mut Call<'_, '_>) -> Result<Option<Value>, EvaluateError> {
    let weight = call.arguments.iter().map(|argument| argument.weight()).sum();
    call.evaluation.spend(weight)?;
    if call.arguments.len() < 2 {
        return Ok(Some(call.value(0).clone()));
    }
    if call.arguments.iter().any(|argument| matches!(**argument, Value::Array(_))) {
        let mut all = Vec::new();
        for argument in call.arguments {
            match &**argument {
                Value::Array(items) => all.extend(items.iter().cloned()),
                other => all.push(other.clone()),
            }
        }
        return Ok(Some(Value::Array(all)));
    }
    let texts: Option<Vec<Cow<'_, str>>> = call.arguments.iter().map(|a| a.to_text()).collect();
    Ok(texts.map(|texts| Value::String(texts.concat())))
}

fn lpad(call: &Call<'_, '_>) -> Option<Value> {
    let spaces = padding(call)?;
    Some(Value::String(spaces + &call.text(0)?))
}

fn rpad(call: &Call<'_, '_>) -> Option<Value> {
    Some(Value::String(call.text(0)?.into_owned() + &padding(call)?))
}

fn padding(call: &Call<'_, '_>) -> Option<String> {
    Some(" ".repeat(call.int(1)?.clamp(0, MAX_PADDING) as usize))
}

fn length(call: &Call<'_, '_>) -> Option<Value> {
    Some(Value::Int(call.text(0)?.chars().count() as i128))
}

fn numbytes(call: &Call<'_, '_>) -> Option<Value> {
    Some(Value::Int(call.text(0)?.len() as i128))
}

/// From a place, perhaps to another; places out of the text are its ends.
fn substring(call: &Call<'_, '_>) -> Option<Value> {
    let text = call.text(0)?;
    let place = |index| Some(usize::try_from(call.int(index)?.max(0)).unwrap_or(usize::MAX));
    let from = place(1)?;
    let to = if call.arguments.len() > 2 { place(2)? } else { usize::MAX };
    Some(Value::String(text.chars().skip(from).take(to.saturating_sub(from)).collect()))
}

/// The place of the first occurrence, or -1.
fn index_of(call: &Call<'_, '_>) -> Option<Value> {
    let text = call.text(0)?;
    let place = text.find(&*call.text(1)?).map(|at| text[..at].chars().count() as i128);
    Some(Value::Int(place.unwrap_or(-1)))
}

fn starts_with(call: &Call<'_, '_>) -> Option<Value> {
    Some(Value::Boolean(call.text(0)?.starts_with(&*call.text(1)?)))
}

fn ends_with(call: &Call<'_, '_>) -> Option<Value> {
    Some(Value::Boolean(call.text(0)?.ends_with(&*call.text(1)?)))
}

fn replace(call: &mut Call<'_, '_>) -> Result<Option<Value>, EvaluateError> {
    let (Some(text), Some(old), Some(new)) = (call.text(0), call.text(1), call.text(2)) else {
        return Ok(None);
    };
    let made = text.matches(&*old).count().saturating_mul(new.len()).saturating_add(text.len());
    if made > crate::MAX_RESULT_BYTES.saturating_mul(2) {
        return Err(EvaluateError::TooLong);
    }
    Ok(Some(Value::String(text.replace(&*old, &new))))
}

/// The ASCII character of a number.
fn chr(call: &Call<'_, '_>) -> Option<Value> {
    let code = u8::try_from(call.int(0)?).ok().filter(u8::is_ascii)?;
    Some(Value::text(char::from(code)))
}

#[cfg(test)]
mod tests {
    use crate::testing::{all, refusal, select};

    #[test]
    fn concat_makes_an_array_if_there_is_one() {
        all(&[
            ("concat()", "undefined"),
            ("concat(1)", "1"),
            ("concat([1, 2, 3], 4)", "[1,2,3,4]"),
            ("concat([1], 'hello', [4, 5])", "[1,\"hello\",4,5]"),
            ("concat('con', 'cat')", "\"concat\""),
            ("concat(1, 'hello')", "\"1hello\""),
            ("concat('he', 'is', 'man')", "\"heisman\""),
            ("concat('a', missing)", "undefined"),
            ("concat('a', null)", "undefined"),
        ]);
    }

    #[test]
    fn case_and_white_space() {
        all(&[
            ("upper('hello')", "\"HELLO\""),
            ("upper(['hello'])", "\"[\\\"HELLO\\\"]\""),
            ("lower('HELLO')", "\"hello\""),
            ("upper(null)", "undefined"),
            ("trim(' hi ')", "\"hi\""),
            ("Ltrim(' h i ')", "\"h i \""),
            ("rtrim(' h i ')", "\" h i\""),
            ("trim(5)", "\"5\""),
        ]);
    }

    #[test]
    fn padding_is_at_most_a_thousand_spaces() {
        all(&[
            ("lpad('hello', 2)", "\"  hello\""),
            ("lpad(1, 3)", "\"   1\""),
            ("rpad('hello', '2.9')", "\"hello  \""),
            ("rpad('a', -5)", "\"a\""),
            ("length(lpad('a', 1e300))", "1001"),
            ("lpad('a', true)", "undefined"),
            ("lpad(null, 1)", "undefined"),
        ]);
    }

    #[test]
    fn lengths_are_in_characters_or_bytes() {
        all(&[
            ("length('hi')", "2"),
            ("length(false)", "5"),
            ("numbytes('hi')", "2"),
            ("numbytes('€')", "3"),
            ("length('€')", "1"),
            ("length('😀')", "1"),
            ("length(null)", "undefined"),
        ]);
    }

    #[test]
    fn substring_forgives_places_outside() {
        all(&[
            ("substring('012345', 0)", "\"012345\""),
            ("substring('012345', 2)", "\"2345\""),
            ("substring('012345', 2.745)", "\"2345\""),
            ("substring(123, 2)", "\"3\""),
            ("substring('012345', -1)", "\"012345\""),
            ("substring(true, 1.2)", "\"rue\""),
            ("substring(false, -2.411E247)", "\"false\""),
            ("substring('012345', 1, 3)", "\"12\""),
            ("substring('012345', -50, 50)", "\"012345\""),
            ("substring('012345', 3, 1)", "\"\""),
            ("substring('a€c', 1, 2)", "\"€\""),
            ("substring('a', 'x')", "undefined"),
        ]);
        assert!(refusal("SELECT substring(a) FROM 'a'").contains("it takes 2 to 3"));
    }

    #[test]
    fn texts_are_found_and_replaced() {
        all(&[
            ("indexof('abcd', 'bc')", "1"),
            ("indexof('a€bc', 'b')", "2"),
            ("indexof('a', 'x')", "-1"),
            ("startswith('ranger', 'ran')", "true"),
            ("startswith(123, 1)", "true"),
            ("startswith(null, 'a')", "undefined"),
            ("endswith('cat', 'at')", "true"),
            ("endswith('cat', 'x')", "false"),
            ("replace('abcd', 'bc', 'x')", "\"axd\""),
            ("replace('abcdabcd', 'b', 'x')", "\"axcdaxcd\""),
            ("replace(101, 0, 'x')", "\"1x1\""),
            ("replace('a', null, 'x')", "undefined"),
        ]);
    }

    #[test]
    fn chr_is_ascii() {
        all(&[
            ("chr(65)", "\"A\""),
            ("chr('49.9')", "\"1\""),
            ("chr(128)", "undefined"),
            ("chr(-1)", "undefined"),
            ("chr('x')", "undefined"),
        ]);
    }

    #[test]
    fn replacing_one_long_text_by_another_is_bounded() {
        let payload = format!(r#"{{"a":"{}","b":"{}"}}"#, "x".repeat(60_000), "y".repeat(60_000));
        let result = select("SELECT replace(a, 'x', b) AS r FROM 'a'", &payload);
        assert!(result.contains("longer than"), "{}", &result[..60]);
        let many = "a, ".repeat(500);
        let result = select(&format!("SELECT concat({many} b) AS r FROM 'a'"), &payload);
        assert!(result.contains("units of work"), "{}", &result[..60]);
    }
}
