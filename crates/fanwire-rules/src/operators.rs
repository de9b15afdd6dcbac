//! What operators do with values of every type (reference: iot.md section 8, operators).

use crate::ast::Operator;
use crate::decimal::Decimal;
use crate::value::Value;
use crate::version::SqlVersion;

/// The result of a binary operator.
pub(crate) fn apply(left: &Value, operator: Operator, right: &Value, version: SqlVersion) -> Value {
    let result = match operator {
        Operator::And => both(left, right).map(|(a, b)| Value::Boolean(a && b)),
        Operator::Or => both(left, right).map(|(a, b)| Value::Boolean(a || b)),
        Operator::Equal => left.equals(right).map(Value::Boolean),
        Operator::NotEqual => left.equals(right).map(|equal| Value::Boolean(!equal)),
        Operator::In => is_in(left, right).map(Value::Boolean),
        Operator::NotIn => is_in(left, right).map(|is_in| Value::Boolean(!is_in)),
        Operator::Less => compared(left, right, |a, b| a < b),
        Operator::LessOrEqual => compared(left, right, |a, b| a <= b),
        Operator::Greater => compared(left, right, |a, b| a > b),
        Operator::GreaterOrEqual => compared(left, right, |a, b| a >= b),
        Operator::Plus => return plus(left, right, version),
        Operator::Minus => return arithmetic(left, right, version, Decimal::minus),
        Operator::Times => return arithmetic(left, right, version, Decimal::times),
        Operator::Over => return over(left, right, version),
        Operator::Modulo => return modulo(left, right, version),
    };
    result.unwrap_or_default()
}

/// `-x`
pub(crate) fn negated(operand: &Value, version: SqlVersion) -> Value {
    arithmetic(&Value::Int(0), operand, version, Decimal::minus)
}

/// What a division leaves: of Ints an Int, otherwise a Decimal.
pub(crate) fn modulo(left: &Value, right: &Value, version: SqlVersion) -> Value {
    arithmetic(left, right, version, Decimal::modulo)
}

/// The element of an array or the character of a string at an index from 0.
pub(crate) fn element<'v>(value: &'v Value, index: &Value) -> &'v Value {
    let (Value::Array(items), Some(index)) = (value, index.to_int()) else {
        return Value::UNDEFINED;
    };
    usize::try_from(index).ok().and_then(|index| items.get(index)).unwrap_or(Value::UNDEFINED)
}

fn both(left: &Value, right: &Value) -> Option<(bool, bool)> {
    Some((left.to_boolean()?, right.to_boolean()?))
}

fn compared(
    left: &Value,
    right: &Value,
    holds: impl FnOnce(Decimal, Decimal) -> bool,
) -> Option<Value> {
    Some(Value::Boolean(holds(left.to_decimal()?, right.to_decimal()?)))
}

fn is_in(left: &Value, right: &Value) -> Option<bool> {
    match right {
        Value::Array(items) if !left.is_undefined() => {
            Some(items.iter().any(|item| item.equals(left) == Some(true)))
        }
        _ => None,
    }
}

/// Joins texts where either is one, and adds numbers otherwise.
fn plus(left: &Value, right: &Value, version: SqlVersion) -> Value {
    if matches!(left, Value::String(_)) || matches!(right, Value::String(_)) {
        return match (left.to_text(), right.to_text()) {
            (Some(left), Some(right)) => Value::String(left.into_owned() + &right),
            _ => Value::Undefined,
        };
    }
    arithmetic(left, right, version, Decimal::plus)
}

/// Of two Ints an Int: the decimal places are cut off.
fn over(left: &Value, right: &Value, version: SqlVersion) -> Value {
    match (left, right) {
        (Value::Int(_), Value::Int(0)) => Value::Undefined,
        (Value::Int(left), Value::Int(right)) => Value::Int(left / right),
        _ => arithmetic(left, right, version, Decimal::over),
    }
}

/// Ints give an Int, other numbers a Decimal.
fn arithmetic(
    left: &Value,
    right: &Value,
    version: SqlVersion,
    result: impl FnOnce(Decimal, Decimal) -> Option<Decimal>,
) -> Value {
    let (Some(a), Some(b)) = (left.to_decimal(), right.to_decimal()) else {
        return Value::Undefined;
    };
    match (left, right) {
        (Value::Int(_), Value::Int(_)) => Value::int(result(a, b)),
        _ => Value::number(result(a, b), version),
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::{all, value_in};
    use crate::version::SqlVersion;

    #[test]
    fn and_or_not_take_booleans_and_texts_of_them() {
        all(&[
            ("true AND false", "false"),
            ("'TRUE' and true", "true"),
            ("true AND 1", "undefined"),
            ("false OR 'true'", "true"),
            ("false OR missing", "undefined"),
            ("true OR null", "undefined"),
            ("NOT true", "false"),
            ("NOT 'False'", "true"),
            ("NOT 0", "undefined"),
            ("NOT 1 = 2", "true"),
            ("true OR true AND false", "true"),
        ]);
    }

    #[test]
    fn comparisons_convert_to_decimal() {
        all(&[
            ("2 > 1", "true"),
            ("'10' > 9", "true"),
            ("'a' > 1", "undefined"),
            ("true > 0", "undefined"),
            ("1 >= 1.0", "true"),
            ("-1 < -0.5", "true"),
            ("2 <= 1", "false"),
            ("null < 1", "undefined"),
            ("missing > 1", "undefined"),
            ("12345678901234567890 > 12345678901234567889", "true"),
        ]);
    }

    #[test]
    fn equality_of_different_types_is_false_and_with_undefined_is_undefined() {
        all(&[
            ("1 = 1.0", "true"),
            ("1 = '1'", "false"),
            ("1 <> '1'", "true"),
            ("'a' = 'a'", "true"),
            ("missing = 1", "undefined"),
            ("missing <> missing", "undefined"),
            ("null = null", "true"),
            ("null <> null", "false"),
            ("[1, 2] = [1, 2]", "true"),
            ("{'a': 1} = {'a': 1.0}", "true"),
            ("1 != 2", "true"),
        ]);
    }

    #[test]
    fn plus_joins_as_soon_as_one_is_text() {
        all(&[
            ("1 + 2", "3"),
            ("1 + 2.5", "3.5"),
            ("'a' + 1", "\"a1\""),
            ("1 + '2'", "\"12\""),
            ("'a' + [1, 'b']", "\"a[1,\\\"b\\\"]\""),
            ("'a' + null", "undefined"),
            ("'a' + missing", "undefined"),
            ("true + 1", "undefined"),
            ("0.1 + 0.2", "0.3"),
        ]);
    }

    #[test]
    fn arithmetic_of_ints_stays_int() {
        all(&[
            ("7 - 9", "-2"),
            ("'7' - 1.5", "5.5"),
            ("6 * 7", "42"),
            ("2 * '2.5'", "5"),
            ("7 / 2", "3"),
            ("-7 / 2", "-3"),
            ("7 / 2.5", "2.8"),
            ("1 / 0", "undefined"),
            ("1.5 / 0", "undefined"),
            ("7 % 4", "3"),
            ("-7 % 4", "-3"),
            ("7.5 % 2", "1.5"),
            ("7 % 0", "undefined"),
            ("'a' - 1", "undefined"),
            ("-'5'", "-5"),
            ("2 + 3 * 4 - 1", "13"),
            ("(2 + 3) * 4", "20"),
            ("10 - 2 - 3", "5"),
            ("9999999999999999999999999999999999 * 10", "9.999999999999999999999999999999999E34"),
        ]);
    }

    #[test]
    fn whole_results_are_decimals_before_2016() {
        for (expression, in_2015, since_2016) in [
            ("2.5 * 2", "5.0", "5"),
            ("2.5 - 0.5", "2.0", "2"),
            ("7.0 / 2", "3.5", "3"),
            ("3 * 2", "6", "6"),
        ] {
            assert_eq!(value_in(expression, "{}", SqlVersion::V2015_10_08), in_2015);
            assert_eq!(value_in(expression, "{}", SqlVersion::V2016_03_23), since_2016);
        }
    }

    #[test]
    fn in_and_exists_look_into_arrays() {
        all(&[
            ("2 IN [1, 2.0]", "true"),
            ("2 IN (1, 3)", "false"),
            ("'a' in ['b', 'a']", "true"),
            ("2 NOT IN [1]", "true"),
            ("1 IN 1", "undefined"),
            ("missing IN [1]", "undefined"),
            ("EXISTS [1]", "true"),
            ("exists []", "false"),
            ("EXISTS missing", "false"),
        ]);
    }
}
