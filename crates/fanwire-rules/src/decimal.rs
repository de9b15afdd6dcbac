//! Decimal numbers as IoT SQL has them: 34 significant digits, magnitudes from 1E-999
//! to 9.99…E999 (reference: iot.md section 8, types). Binary fractions would show:
//! `0.1 + 0.2` is `0.3` to a rule.

use std::cmp::Ordering;
use std::fmt;

/// The most significant digits that a number keeps.
const DIGITS: u32 = 34;

/// The largest power of ten that is used to scale: 10^37 and a few of them fit an `i128`.
const SCALE: u32 = 37;

/// The widest magnitude, as a power of ten, either way.
const MAX_MAGNITUDE: i32 = 999;

/// Half of the digits: what a number is split at to be multiplied.
const HALF: i128 = 10i128.pow(DIGITS / 2);

/// One more than the most that 34 digits can hold.
const LIMIT: i128 = 10i128.pow(DIGITS);

/// `digits * 10^exponent`, with no zero at the end of the digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Decimal {
    digits: i128,
    exponent: i32,
}

/// Which way a number is rounded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rounding {
    Down,
    Up,
    TowardsZero,
    /// To the nearest; halves away from zero.
    Nearest,
}

// === impl Decimal ===

impl Decimal {
    pub(crate) const ZERO: Self = Self { digits: 0, exponent: 0 };
    pub(crate) const ONE: Self = Self { digits: 1, exponent: 0 };

    /// Rounds to 34 digits. `None` beyond the largest magnitude; zero below the smallest.
    fn new(mut digits: i128, mut exponent: i32) -> Option<Self> {
        let excess = length(digits).saturating_sub(DIGITS);
        if excess > 0 {
            let unit = 10i128.pow(excess);
            let rest = digits % unit;
            digits = digits / unit + if rest.abs() * 2 >= unit { rest.signum() } else { 0 };
            exponent = exponent.saturating_add(excess as i32);
        }
        if digits == 0 {
            return Some(Self::ZERO);
        }
        while digits % 10 == 0 {
            digits /= 10;
            exponent = exponent.saturating_add(1);
        }
        let number = Self { digits, exponent };
        match number.magnitude() {
            magnitude if magnitude > MAX_MAGNITUDE => None,
            magnitude if magnitude < -MAX_MAGNITUDE => Some(Self::ZERO),
            _ => Some(number),
        }
    }

    /// The number that `text` writes, in JSON's form (leading zeros are taken, too).
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (negative, rest) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        let (plain, exponent) = match rest.find(['e', 'E']) {
            Some(at) => (&rest[..at], exponent_of(&rest[at + 1..])?),
            None => (rest, 0),
        };
        let (whole, fraction) = match plain.split_once('.') {
            Some((_, "")) => return None,
            Some(parts) => parts,
            None => (plain, ""),
        };
        if whole.is_empty() {
            return None;
        }
        let (mut digits, mut exponent) = (0i128, exponent);
        for (text, step) in [(whole, 0), (fraction, -1)] {
            for byte in text.bytes() {
                if !byte.is_ascii_digit() {
                    return None;
                }
                // Two digits more than are kept are enough to round by.
                let room = length(digits) < DIGITS + 2;
                if room {
                    digits = digits * 10 + i128::from(byte - b'0');
                }
                exponent = i32::saturating_add(exponent, step + i32::from(!room));
            }
        }
        Self::new(if negative { -digits } else { digits }, exponent)
    }

    /// The number with the fewest digits that reads as this double. `None` for
    /// infinities and what is no number.
    pub(crate) fn from_f64(number: f64) -> Option<Self> {
        number.is_finite().then(|| Self::parse(&format!("{number:e}"))).flatten()
    }

    /// A whole number of at most 34 digits, or the nearest that has no more.
    pub(crate) fn from_int(int: i128) -> Option<Self> {
        Self::new(int, 0)
    }

    /// The nearest double.
    pub(crate) fn to_f64(self) -> f64 {
        format!("{}e{}", self.digits, self.exponent).parse().unwrap_or(f64::NAN)
    }

    /// The number as an integer, where it is whole and has at most 34 digits.
    pub(crate) fn to_int(self) -> Option<i128> {
        let zeros = u32::try_from(self.exponent).ok()?;
        (length(self.digits) + zeros <= DIGITS).then(|| self.digits * 10i128.pow(zeros))
    }

    pub(crate) fn is_zero(self) -> bool {
        self.digits == 0
    }

    /// -1, 0 or 1.
    pub(crate) fn signum(self) -> i128 {
        self.digits.signum()
    }

    pub(crate) fn negated(self) -> Self {
        Self { digits: -self.digits, exponent: self.exponent }
    }

    pub(crate) fn abs(self) -> Self {
        Self { digits: self.digits.abs(), exponent: self.exponent }
    }

    pub(crate) fn plus(self, other: Self) -> Option<Self> {
        let (high, low) =
            if self.exponent >= other.exponent { (self, other) } else { (other, self) };
        if high.is_zero() {
            return Some(low);
        }
        let gap = high.exponent.abs_diff(low.exponent);
        let up = gap.min(SCALE - length(high.digits));
        // What does not fit beside 37 digits of the other is not seen in 34.
        let down = gap - up;
        let low_digits = if down > SCALE { 0 } else { low.digits / 10i128.pow(down) };
        Self::new(high.digits * 10i128.pow(up) + low_digits, high.exponent - up as i32)
    }

    pub(crate) fn minus(self, other: Self) -> Option<Self> {
        self.plus(other.negated())
    }

    pub(crate) fn times(self, other: Self) -> Option<Self> {
        let sign = self.signum() * other.signum();
        let (a, b) = (self.digits.abs(), other.digits.abs());
        let (a1, a0, b1, b0) = (a / HALF, a % HALF, b / HALF, b % HALF);
        let middle = a1 * b0 + a0 * b1;
        let low = (middle % HALF) * HALF + a0 * b0;
        let high = a1 * b1 + middle / HALF + low / LIMIT;
        let low = low % LIMIT;
        let exponent = self.exponent + other.exponent;
        // One digit more than is kept, so that `new` rounds.
        let taken = length(high);
        if taken == 0 {
            return Self::new(sign * low, exponent);
        }
        let digits = high * 10i128.pow(DIGITS + 1 - taken) + low / 10i128.pow(taken - 1);
        Self::new(sign * digits, exponent + taken as i32 - 1)
    }

    /// `None` for a division by zero.
    pub(crate) fn over(self, other: Self) -> Option<Self> {
        if other.is_zero() {
            return None;
        }
        let sign = self.signum() * other.signum();
        let divisor = other.digits.abs();
        let (mut quotient, mut rest) = (self.digits.abs() / divisor, self.digits.abs() % divisor);
        let mut exponent = self.exponent - other.exponent;
        while rest != 0 && length(quotient) <= DIGITS {
            rest *= 10;
            quotient = quotient * 10 + rest / divisor;
            rest %= divisor;
            exponent -= 1;
        }
        Self::new(sign * quotient, exponent)
    }

    /// What a division to a whole number leaves, with the sign of `self`.
    pub(crate) fn modulo(self, other: Self) -> Option<Self> {
        if other.is_zero() {
            return None;
        }
        let (digits, divisor) = (self.digits.abs(), other.digits.abs());
        let gap = self.exponent.abs_diff(other.exponent);
        let (rest, exponent) = if self.exponent >= other.exponent {
            let rest = (0..gap).fold(digits % divisor, |rest, _| rest * 10 % divisor);
            (rest, other.exponent)
        } else if length(divisor) + gap > SCALE {
            return Some(self);
        } else {
            (digits % (divisor * 10i128.pow(gap)), self.exponent)
        };
        Self::new(self.signum() * rest, exponent)
    }

    /// The number with at most `places` digits after the point.
    pub(crate) fn rounded(self, places: u32, rounding: Rounding) -> Self {
        let dropped = (-i64::from(self.exponent)) - i64::from(places);
        let Ok(dropped @ 1..) = u32::try_from(dropped) else { return self };
        let (kept, rest, half) = if dropped > DIGITS {
            (0, self.digits, false)
        } else {
            let unit = 10i128.pow(dropped);
            let rest = self.digits % unit;
            (self.digits / unit, rest, rest.abs() * 2 >= unit)
        };
        let step = match rounding {
            Rounding::Down => rest.signum().min(0),
            Rounding::Up => rest.signum().max(0),
            Rounding::TowardsZero => 0,
            Rounding::Nearest => rest.signum() * i128::from(half),
        };
        // Rounding away digits cannot leave the range: a digit at most is carried.
        Self::new(kept + step, -(places as i32)).unwrap_or(self)
    }

    /// The power of ten of the first digit.
    fn magnitude(self) -> i32 {
        self.exponent.saturating_add(length(self.digits) as i32 - 1)
    }
}

impl Ord for Decimal {
    fn cmp(&self, other: &Self) -> Ordering {
        let by_sign = self.signum().cmp(&other.signum());
        if by_sign.is_ne() || self.is_zero() {
            return by_sign;
        }
        let by_magnitude = self.magnitude().cmp(&other.magnitude());
        let by_size = by_magnitude.then_with(|| {
            let filled =
                |number: &Self| number.digits.abs() * 10i128.pow(DIGITS - length(number.digits));
            filled(self).cmp(&filled(other))
        });
        if self.signum() < 0 { by_size.reverse() } else { by_size }
    }
}

impl PartialOrd for Decimal {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// In JSON's form, always with a point or an exponent.
impl fmt::Display for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.digits < 0 { "-" } else { "" };
        let digits = self.digits.unsigned_abs().to_string();
        let magnitude = self.magnitude();
        if !(-6..DIGITS as i32).contains(&magnitude) {
            let (first, rest) = digits.split_at(1);
            let point = if rest.is_empty() { "" } else { "." };
            return write!(f, "{sign}{first}{point}{rest}E{magnitude}");
        }
        match usize::try_from(magnitude + 1) {
            Ok(before @ 1..) if digits.len() > before => {
                write!(f, "{sign}{}.{}", &digits[..before], &digits[before..])
            }
            Ok(before @ 1..) => write!(f, "{sign}{digits:0<before$}.0"),
            _ => {
                let zeros = (-magnitude - 1) as usize;
                write!(f, "{sign}0.{:0<zeros$}{digits}", "")
            }
        }
    }
}

/// How many digits a number has; none for zero.
fn length(digits: i128) -> u32 {
    digits.unsigned_abs().checked_ilog10().map_or(0, |log| log + 1)
}

/// A written exponent. One that is too long for an `i32` is out of every range.
fn exponent_of(text: &str) -> Option<i32> {
    let (negative, digits) = match text.as_bytes().first()? {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    // Far beyond any magnitude, and far from where a sum of exponents could overflow.
    let size = digits.parse::<i32>().unwrap_or(i32::MAX).min(1_000_000_000);
    Some(if negative { -size } else { size })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn number(text: &str) -> Decimal {
        Decimal::parse(text).unwrap()
    }

    #[track_caller]
    fn shows(number: Option<Decimal>, text: &str) {
        assert_eq!(number.unwrap().to_string(), text);
    }

    #[test]
    fn sums_and_products_are_decimal_ones() {
        shows(number("0.1").plus(number("0.2")), "0.3");
        shows(number("1.10").minus(number("1.1")), "0.0");
        shows(number("22.5").times(number("1.8")), "40.5");
        shows(number("1").over(number("3")), &format!("0.{}", "3".repeat(34)));
        shows(number("2").over(number("3")), &format!("0.{}7", "6".repeat(33)));
        shows(number("-7.5").modulo(number("2")), "-1.5");
        shows(number("1e40").modulo(number("7")), "4.0");
        shows(number("1").modulo(number("1e40")), "1.0");
        assert_eq!(number("1").over(Decimal::ZERO), None);
        assert_eq!(number("1").modulo(Decimal::ZERO), None);
    }

    #[test]
    fn thirty_four_digits_are_kept_and_the_rest_is_rounded() {
        let nines = "9".repeat(34);
        assert_eq!(number(&nines).to_int(), Some(LIMIT - 1));
        shows(
            number(&nines).times(number(&nines)),
            &format!("{}8E67", "9.".to_owned() + &"9".repeat(32)),
        );
        shows(Some(number(&format!("{nines}6"))), "1E35");
        shows(number("1e33").plus(number("0.04")), "1000000000000000000000000000000000.0");
    }

    #[test]
    fn magnitudes_end_at_999() {
        assert_eq!(Decimal::parse("1e1000"), None);
        assert_eq!(Decimal::parse("1e99999999999"), None);
        assert_eq!(number("1e-1000"), Decimal::ZERO);
        assert_eq!(number("9e999").times(number("10")), None);
        shows(Some(number("9e999")), "9E999");
        shows(Some(number("-1.5e-999")), "-1.5E-999");
    }

    #[test]
    fn what_is_no_number_is_none() {
        for text in ["", "-", ".5", "5.", "1e", "1e+", "+1", "1.2.3", "0x1", "1 ", "--1", "1e1.5"] {
            assert_eq!(Decimal::parse(text), None, "{text}");
        }
    }

    #[test]
    fn it_rounds_every_way() {
        let cases = [("1.2", 1, 2, 1, 1), ("-1.2", -2, -1, -1, -1), ("1.5", 1, 2, 1, 2)];
        for (text, down, up, zero, nearest) in
            cases.into_iter().chain([("-1.5", -2, -1, -1, -2), ("1e-50", 0, 1, 0, 0)])
        {
            let to = |rounding| number(text).rounded(0, rounding).to_int();
            assert_eq!(to(Rounding::Down), Some(down), "{text}");
            assert_eq!(to(Rounding::Up), Some(up), "{text}");
            assert_eq!(to(Rounding::TowardsZero), Some(zero), "{text}");
            assert_eq!(to(Rounding::Nearest), Some(nearest), "{text}");
        }
        assert_eq!(number("2.888").rounded(2, Rounding::TowardsZero), number("2.88"));
    }

    proptest! {
        #[test]
        fn it_agrees_with_integers(a in -1_000_000_000_000i64.., b in -1_000_000_000i64..) {
            let (x, y) = (Decimal::from_int(a.into()).unwrap(), Decimal::from_int(b.into()).unwrap());
            prop_assert_eq!(x.cmp(&y), a.cmp(&b));
            let (a, b) = (i128::from(a), i128::from(b));
            prop_assert_eq!(x.plus(y).unwrap().to_int(), Some(a + b));
            prop_assert_eq!(x.minus(y).unwrap().to_int(), Some(a - b));
            if (a * b).abs() < LIMIT {
                prop_assert_eq!(x.times(y).unwrap().to_int(), Some(a * b));
            }
            if b != 0 {
                prop_assert_eq!(x.modulo(y).unwrap().to_int(), Some(a % b));
                let quotient = x.over(y).unwrap().rounded(0, Rounding::TowardsZero);
                prop_assert_eq!(quotient.to_int(), Some(a / b));
            }
        }

        #[test]
        fn any_two_numbers_can_be_computed_with(a in any_number(), b in any_number(), places in 0u32..40) {
            let (x, y) = (a.to_f64(), b.to_f64());
            // Where doubles have all of their digits, the results are theirs.
            let plain = |number: f64| (1e-290..1e290).contains(&number.abs());
            let close = |result: Option<Decimal>, expected: f64| {
                let known = plain(x) && plain(y) && plain(expected);
                !known || result.is_some_and(|r| ((r.to_f64() - expected) / expected).abs() < 1e-9)
            };
            prop_assert!(close(a.times(b), x * y));
            prop_assert!(close(a.over(b), x / y));
            let _ = (a.plus(b), a.minus(b));
            if let Some(rest) = a.modulo(b) {
                prop_assert!(rest.abs() < b.abs());
            }
            for rounding in [Rounding::Down, Rounding::Up, Rounding::TowardsZero, Rounding::Nearest] {
                let rounded = a.rounded(places, rounding);
                prop_assert_eq!(rounded.rounded(places, rounding), rounded);
            }
            prop_assert_eq!(a.cmp(&b), b.cmp(&a).reverse());
            if x != y {
                prop_assert_eq!(a < b, x < y);
            }
        }

        #[test]
        fn what_it_writes_it_reads(digits in any::<i128>(), exponent in -1100i32..1100) {
            if let Some(number) = Decimal::new(digits / 2, exponent) {
                prop_assert_eq!(Decimal::parse(&number.to_string()), Some(number));
            }
        }

        #[test]
        fn doubles_survive(number in any::<f64>()) {
            // Doubles end at 1.8E308, well within the range of decimals.
            if let Some(decimal) = Decimal::from_f64(number) {
                prop_assert_eq!(decimal.to_f64(), number);
            }
        }
    }

    fn any_number() -> impl Strategy<Value = Decimal> {
        let digits = prop_oneof![-LIMIT + 1..LIMIT, -1000i128..1000];
        let exponent = prop_oneof![-900i32..900, -40i32..40];
        (digits, exponent)
            .prop_filter_map("out of range", |(digits, exponent)| Decimal::new(digits, exponent))
    }
}
