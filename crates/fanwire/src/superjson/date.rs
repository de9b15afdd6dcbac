//! Moments, as JavaScript's `Date` has them.

use std::fmt;
use std::str::FromStr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::de::{Error, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use ts_rs::{Config, TS};

use super::{DATE, name_of};
use crate::subscriptions::{FilterValue, Scalar};

/// The milliseconds on either side of 1970 that JavaScript has dates for: 100 million days.
const FARTHEST: i64 = 8_640_000_000_000_000;
/// The milliseconds of a day.
const DAY: i64 = 86_400_000;

/// A moment that is a `Date` to clients with `superjson`: a whole number of milliseconds.
///
/// It is made of whatever becomes a [`SystemTime`], such as a `jiff::Timestamp` or a
/// `chrono::DateTime`, and [`time`](Self::time) gives one back.
///
/// ```
/// use std::time::{Duration, SystemTime};
/// use fanwire::superjson::Date;
///
/// let date = Date::from(SystemTime::UNIX_EPOCH + Duration::from_millis(1_500));
/// assert_eq!(date.to_string(), "1970-01-01T00:00:01.500Z");
/// assert_eq!("1970-01-01T00:00:01.500Z".parse(), Ok(date));
/// assert!(date < Date::now());
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Date {
    /// Since 1970, in UTC.
    millis: i64,
}

/// A text is no date. Fault of whoever wrote it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no date, such as 2026-03-01T12:30:00.000Z")]
pub struct NoDate(String);

// === impl Date ===

impl Date {
    /// This moment.
    pub fn now() -> Self {
        SystemTime::now().into()
    }

    /// The moment so many milliseconds after 1970, in UTC. Dates of JavaScript end 100
    /// million days from there: beyond, it is the last of them.
    pub fn from_millis(millis: i64) -> Self {
        Self { millis: millis.clamp(-FARTHEST, FARTHEST) }
    }

    /// Milliseconds since 1970, in UTC.
    pub fn millis(self) -> i64 {
        self.millis
    }

    /// The moment for the rest of Rust.
    pub fn time(self) -> SystemTime {
        let distance = Duration::from_millis(self.millis.unsigned_abs());
        // Dates end long before this machine's time does.
        let time = match self.millis < 0 {
            true => UNIX_EPOCH.checked_sub(distance),
            false => UNIX_EPOCH.checked_add(distance),
        };
        time.unwrap_or(UNIX_EPOCH)
    }
}

impl<T: Into<SystemTime>> From<T> for Date {
    /// The millisecond that it is in; see [`from_millis`](Self::from_millis) for those that no
    /// date is for.
    fn from(time: T) -> Self {
        let millis = |distance: Duration| i64::try_from(distance.as_millis()).unwrap_or(FARTHEST);
        match time.into().duration_since(UNIX_EPOCH) {
            Ok(since) => Self::from_millis(millis(since)),
            Err(before) => {
                let before = before.duration();
                let begun = before.subsec_nanos() % 1_000_000 != 0;
                Self::from_millis(-millis(before) - i64::from(begun))
            }
        }
    }
}

impl fmt::Display for Date {
    /// As `toISOString` has it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (days, millis) = (self.millis.div_euclid(DAY), self.millis.rem_euclid(DAY));
        let (year, month, day) = civil(days);
        match year {
            0..=9999 => write!(f, "{year:04}")?,
            _ => write!(f, "{year:+07}")?,
        }
        let (seconds, millis) = (millis / 1000, millis % 1000);
        let (minutes, seconds) = (seconds / 60, seconds % 60);
        let (hours, minutes) = (minutes / 60, minutes % 60);
        write!(f, "-{month:02}-{day:02}T{hours:02}:{minutes:02}:{seconds:02}.{millis:03}Z")
    }
}

impl FromStr for Date {
    type Err = NoDate;

    /// Reads what `toISOString` writes, with as many digits of seconds as one likes, or none.
    fn from_str(text: &str) -> Result<Self, NoDate> {
        let no_date = || NoDate(text.chars().take(64).collect());
        read(text)
            .filter(|millis| millis.abs() <= FARTHEST)
            .map(Self::from_millis)
            .ok_or_else(no_date)
    }
}

impl Serialize for Date {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_newtype_struct(DATE, &format_args!("{self}"))
    }
}

impl<'de> Deserialize<'de> for Date {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(IsoText)
    }
}

struct IsoText;

impl Visitor<'_> for IsoText {
    type Value = Date;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a date, such as 2026-03-01T12:30:00.000Z")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Date, E> {
        text.parse().map_err(E::custom)
    }
}

impl TS for Date {
    type WithoutGenerics = Self;
    type OptionInnerType = Self;

    fn name(config: &Config) -> String {
        name_of(config, "Date", "string")
    }

    fn inline(config: &Config) -> String {
        Self::name(config)
    }
}

impl FilterValue for Date {
    fn scalar(&self) -> Scalar {
        Scalar::Text(self.to_string())
    }
}

/// Year, month and day of a day since 1970, in the proleptic Gregorian calendar. Years are
/// counted from March here, so that a leap day is the last one of its year.
fn civil(days: i64) -> (i64, i64, i64) {
    let from_march_0 = days + 719_468;
    let (era, day) = (from_march_0.div_euclid(146_097), from_march_0.rem_euclid(146_097));
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day_of_month = day - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    (era * 400 + year + i64::from(month <= 2), month, day_of_month)
}

/// The day since 1970 of a year, month and day.
fn days_of(year: i64, month: i64, day: i64) -> i64 {
    let year = year - i64::from(month <= 2);
    let (era, of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let from_march = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + from_march - 719_468
}

/// The milliseconds that a text says.
fn read(text: &str) -> Option<i64> {
    let (date, time) = text.strip_suffix('Z')?.split_once('T')?;
    let (sign, digits) = match date.as_bytes().first()? {
        b'+' => (1, 6),
        b'-' => (-1, 6),
        _ => (1, 4),
    };
    let date = if digits == 6 { date.get(1..)? } else { date };
    let (year, rest) = date.split_at_checked(digits)?;
    let (month, day) = rest.strip_prefix('-')?.split_once('-')?;
    let (year, month, day) = (sign * number(year, digits)?, number(month, 2)?, number(day, 2)?);
    let days = days_of(year, month, day);
    let ((hours, rest), (clock, fraction)) =
        (time.split_once(':')?, time.split_once('.').unwrap_or((time, "0")));
    let (minutes, seconds) = rest.split_once(':')?;
    let seconds = seconds.split_once('.').map_or(seconds, |(whole, _)| whole);
    let (hours, minutes, seconds) = (number(hours, 2)?, number(minutes, 2)?, number(seconds, 2)?);
    // What is no day of the calendar is another one when it is written again.
    let exists = civil(days) == (year, month, day) && hours < 24 && minutes < 60 && seconds < 60;
    let plain = clock.len() == 8 && (1..=9).contains(&fraction.len());
    let millis = number(format!("{fraction:0<3}").get(..3)?, 3)?;
    number(fraction, fraction.len())?;
    (exists && plain)
        .then_some(days * DAY + ((hours * 60 + minutes) * 60 + seconds) * 1000 + millis)
}

/// A number of so many digits.
fn number(text: &str, digits: usize) -> Option<i64> {
    let plain = text.len() == digits && text.bytes().all(|byte| byte.is_ascii_digit());
    plain.then(|| text.parse().ok()).flatten()
}
