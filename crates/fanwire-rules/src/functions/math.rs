//! Numbers. What needs more than arithmetic is done in doubles, as AWS does.

use super::{Body, Call, Function};
use crate::decimal::{Decimal, Rounding};
use crate::operators;
use crate::value::Value;

/// A function of one double.
macro_rules! double {
    ($name:literal, $of:expr) => {
        Function::new($name, 1..=1, Body::Plain(|call| of_double(call, $of)))
    };
}

pub(super) const FUNCTIONS: &[Function] = &[
    Function::new("abs", 1..=1, Body::Plain(abs)),
    Function::new("ceil", 1..=1, Body::Plain(|call| rounded(call, Rounding::Up))),
    Function::new("floor", 1..=1, Body::Plain(|call| rounded(call, Rounding::Down))),
    Function::new("round", 1..=1, Body::Plain(|call| rounded(call, Rounding::Nearest))),
    Function::new("trunc", 2..=2, Body::Plain(trunc)),
    Function::new("sign", 1..=1, Body::Plain(sign)),
    Function::new("mod", 2..=2, Body::Plain(remainder)),
    Function::new("remainder", 2..=2, Body::Plain(remainder)),
    Function::new("power", 2..=2, Body::Plain(|call| of_doubles(call, f64::powf))),
    Function::new("atan2", 2..=2, Body::Plain(|call| of_doubles(call, f64::atan2))),
    double!("sqrt", f64::sqrt),
    double!("exp", f64::exp),
    double!("ln", f64::ln),
    double!("log", f64::log10),
    double!("sin", f64::sin),
    double!("cos", f64::cos),
    double!("tan", f64::tan),
    double!("asin", f64::asin),
    double!("acos", f64::acos),
    double!("atan", f64::atan),
    double!("sinh", f64::sinh),
    double!("cosh", f64::cosh),
    double!("tanh", f64::tanh),
    Function::new("bitand", 2..=2, Body::Plain(|call| of_bits(call, |a, b| a & b))),
    Function::new("bitor", 2..=2, Body::Plain(|call| of_bits(call, |a, b| a | b))),
    Function::new("bitxor", 2..=2, Body::Plain(|call| of_bits(call, |a, b| a ^ b))),
    Function::new("bitnot", 1..=1, Body::Plain(bitnot)),
    Function::new("nanvl", 2..=2, Body::Plain(nanvl)),
    Function::new("rand", 0..=0, Body::Metered(|call| Ok(Some(rand(call))))),
];

fn abs(call: &Call<'_, '_>) -> Option<Value> {
    Some(match call.value(0) {
        Value::Int(int) => Value::Int(int.abs()),
        other => Value::number(Some(other.to_decimal()?.abs()), call.version()),
    })
}

/// To an Int.
fn rounded(call: &Call<'_, '_>, rounding: Rounding) -> Option<Value> {
    Some(Value::int(Some(call.decimal(0)?.rounded(0, rounding))))
}

/// To a number of decimal places, 0 to 34.
fn trunc(call: &Call<'_, '_>) -> Option<Value> {
    let places = call.int(1)?.clamp(0, 34) as u32;
    let number = call.decimal(0)?.rounded(places, Rounding::TowardsZero);
    // Zeros at the end are taken away, and with them the point.
    Some(Value::int(Some(number)))
}

fn sign(call: &Call<'_, '_>) -> Option<Value> {
    Some(Value::Int(call.decimal(0)?.signum()))
}

fn remainder(call: &Call<'_, '_>) -> Option<Value> {
    Some(operators::modulo(call.value(0), call.value(1), call.version()))
}

/// What is no real number, or no finite one, is Undefined.
fn of_double(call: &Call<'_, '_>, function: fn(f64) -> f64) -> Option<Value> {
    let result = function(call.decimal(0)?.to_f64());
    Some(Value::number(Decimal::from_f64(result), call.version()))
}

fn of_doubles(call: &Call<'_, '_>, function: fn(f64, f64) -> f64) -> Option<Value> {
    let result = function(call.decimal(0)?.to_f64(), call.decimal(1)?.to_f64());
    Some(Value::number(Decimal::from_f64(result), call.version()))
}

fn of_bits(call: &Call<'_, '_>, function: fn(i128, i128) -> i128) -> Option<Value> {
    let bits = function(call.value(0).to_int()?, call.value(1).to_int()?);
    Some(Value::int(Decimal::from_int(bits)))
}

fn bitnot(call: &Call<'_, '_>) -> Option<Value> {
    Some(Value::int(Decimal::from_int(!call.value(0).to_int()?)))
}

/// The first, unless it is Null or Undefined: no number here is none.
fn nanvl(call: &Call<'_, '_>) -> Option<Value> {
    match call.value(0) {
        Value::Null | Value::Undefined => Some(call.value(1).clone()),
        value => Some(value.clone()),
    }
}

fn rand(call: &mut Call<'_, '_>) -> Value {
    let number = call.evaluation.random.f64();
    Value::number(Decimal::from_f64(number), call.version())
}

#[cfg(test)]
mod tests {
    use crate::testing::{all, message, value, value_in, value_of};
    use crate::{Message, SqlVersion};

    #[test]
    fn numbers_are_rounded_and_cut() {
        all(&[
            ("abs(-5)", "5"),
            ("abs('-5.123')", "5.123"),
            ("abs(true)", "undefined"),
            ("abs(null)", "undefined"),
            ("ceil(1.2)", "2"),
            ("ceil(-1.2)", "-1"),
            ("ceil('a')", "undefined"),
            ("floor(1.2)", "1"),
            ("floor(-1.2)", "-2"),
            ("floor(7)", "7"),
            ("round(1.2)", "1"),
            ("round(1.5)", "2"),
            ("Round(-1.5)", "-2"),
            ("round('1.7')", "2"),
            ("trunc(2.3, 0)", "2"),
            ("trunc(2.3123, 2)", "2.31"),
            ("trunc(2.888, 2)", "2.88"),
            ("trunc(2.00, 5)", "2"),
            ("trunc(-2.5, -3)", "-2"),
            ("sign(-7)", "-1"),
            ("sign(0)", "0"),
            ("sign('1.5')", "1"),
            ("mod(8, 3)", "2"),
            ("remainder(8, 3)", "2"),
            ("mod(8, 0)", "undefined"),
            ("mod('a', 3)", "undefined"),
        ]);
        assert_eq!(value_in("trunc(2.00, 5)", "{}", SqlVersion::V2015_10_08), "2");
    }

    #[test]
    fn functions_of_doubles_have_their_digits() {
        all(&[
            ("acos(0)", "1.5707963267948966"),
            ("asin(0)", "0"),
            ("asin(2)", "undefined"),
            ("atan(0)", "0"),
            ("atan2(1, 0)", "1.5707963267948966"),
            ("cos(0)", "1"),
            ("sin(0)", "0"),
            ("sqrt(9)", "3"),
            ("sqrt(-1)", "undefined"),
            ("sqrt('2')", "1.4142135623730951"),
            ("exp(0)", "1"),
            ("ln(1)", "0"),
            ("ln(0)", "undefined"),
            ("log(100)", "2"),
            ("power(2, 5)", "32"),
            ("power(2, 'x')", "undefined"),
            ("trunc(tan(3), 10)", "-0.142546543"),
            ("trunc(sinh(2.3), 10)", "4.9369618055"),
            ("trunc(cosh(2.3), 10)", "5.0372206492"),
            ("trunc(tanh(2.3), 10)", "0.9800963962"),
            ("exp(100000)", "undefined"),
            ("sin([1])", "undefined"),
        ]);
        assert_eq!(value_in("power(2, 5)", "{}", SqlVersion::V2015_10_08), "32.0");
    }

    #[test]
    fn bits_are_those_of_ints_rounded_down() {
        all(&[
            ("bitand(13, 5)", "5"),
            ("bitor(8, 5)", "13"),
            ("bitxor(13, 5)", "8"),
            ("bitnot(13)", "-14"),
            ("bitand(13.9, '5')", "5"),
            ("bitand('x', 5)", "undefined"),
        ]);
    }

    #[test]
    fn nanvl_replaces_null_and_undefined() {
        all(&[
            ("Nanvl(8, 3)", "8"),
            ("nanvl(missing, 3)", "3"),
            ("nanvl(null, 3)", "3"),
            ("nanvl('a', 3)", "\"a\""),
        ]);
    }

    #[test]
    fn rand_comes_from_the_seed() {
        let of = |seed| value_of("rand()", &Message { seed, ..message() }, SqlVersion::default());
        let number: f64 = of(1).parse().unwrap();
        assert!((0.0..1.0).contains(&number));
        assert_eq!(of(1), of(1));
        assert_ne!(of(1), of(2));
        assert_eq!(value("rand() = rand()"), "false");
    }
}
