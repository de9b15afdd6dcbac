//! The times of signatures: `20150830T123600Z`, or that of the header `Date`.

/// When a request was signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Timestamp {
    /// As it is signed.
    text: String,
    /// Seconds since 1970.
    seconds: u64,
}

const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

// === impl Timestamp ===

impl Timestamp {
    /// Reads `20150830T123600Z`, or an HTTP date (RFC 9110, section 5.6.7, in its preferred
    /// form).
    pub(super) fn parse(text: &str) -> Option<Self> {
        let seconds = match text.len() {
            16 => basic(text)?,
            29 => http_date(text)?,
            _ => return None,
        };
        Some(Self { text: self::text(seconds), seconds })
    }

    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// The day, `20150830`.
    pub(super) fn day(&self) -> &str {
        self.text.split('T').next().unwrap_or_default()
    }

    pub(super) fn seconds(&self) -> u64 {
        self.seconds
    }
}

fn basic(text: &str) -> Option<u64> {
    if text.get(8..9)? != "T" || text.get(15..)? != "Z" {
        return None;
    }
    seconds(
        [text.get(..4)?, text.get(4..6)?, text.get(6..8)?],
        [text.get(9..11)?, text.get(11..13)?, text.get(13..15)?],
    )
}

fn http_date(text: &str) -> Option<u64> {
    let (_, rest) = text.split_once(", ")?;
    let mut parts = rest.split(' ');
    let (day, month, year) = (parts.next()?, parts.next()?, parts.next()?);
    let mut time = parts.next()?.split(':');
    let clock = [time.next()?, time.next()?, time.next()?];
    if parts.next()? != "GMT" {
        return None;
    }
    let month = MONTHS.iter().position(|known| *known == month)? + 1;
    seconds([year, &month.to_string(), day], clock)
}

/// Seconds since 1970 of year, month and day, and hours, minutes and seconds.
fn seconds(date: [&str; 3], clock: [&str; 3]) -> Option<u64> {
    let number = |text: &str| {
        text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse::<u64>().ok())?
    };
    let [year, month, day] = [number(date[0])?, number(date[1])?, number(date[2])?];
    let [hour, minute, second] = [number(clock[0])?, number(clock[1])?, number(clock[2])?];
    let plausible = (1970..=9999).contains(&year)
        && (1..=12).contains(&month)
        && (1..=31).contains(&day)
        && hour < 24
        && minute < 60
        && second <= 60;
    if !plausible {
        return None;
    }
    Some(days(year, month, day) * 86_400 + hour * 3_600 + minute * 60 + second)
}

/// Days since 1970 of a day in the Gregorian calendar. The year is taken to begin in March,
/// which puts the leap day at its end.
fn days(year: u64, month: u64, day: u64) -> u64 {
    let year = if month <= 2 { year - 1 } else { year };
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    365 * year + year / 4 - year / 100 + year / 400 + of_year - 719_468
}

/// A time as signatures have it.
pub(super) fn text(seconds: u64) -> String {
    let (year, month, day) = civil(seconds / 86_400);
    let rest = seconds % 86_400;
    let (hour, minute, second) = (rest / 3_600, rest / 60 % 60, rest % 60);
    format!("{year:04}{month:02}{day:02}T{hour:02}{minute:02}{second:02}Z")
}

/// Year, month and day of a number of days since 1970: what [`days`] undoes.
fn civil(days: u64) -> (u64, u64, u64) {
    const ERA: u64 = 146_097; // days in 400 years
    let days = days + 719_468; // since the first of March of the year 0
    let of_era = days % ERA;
    let year = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    (days / ERA * 400 + year + u64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn both_forms_are_read() {
        let seconds = |text| Timestamp::parse(text).map(|time| time.seconds());
        assert_eq!(seconds("20150830T123600Z"), Some(1_440_938_160));
        assert_eq!(seconds("Sun, 30 Aug 2015 12:36:00 GMT"), Some(1_440_938_160));
        assert_eq!(seconds("20000229T000000Z"), Some(951_782_400));
        for wrong in [
            "",
            "20150830 123600Z",
            "20150830T123600",
            "20151330T123600Z",
            "2015-0-0T000000Z",
            "99990830T99999999",
            "Sun, 30 Aug 2015 12:36:00 CET",
            "Sun, 30 Foo 2015 12:36:00 GMT",
            "ÄÄÄÄÄÄÄÄ",
        ] {
            assert_eq!(Timestamp::parse(wrong), None, "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn a_time_is_read_as_it_was_written(time in 0_u64..253_402_300_800) {
            let read = Timestamp::parse(&text(time)).unwrap();
            prop_assert_eq!(read.seconds(), time);
            prop_assert_eq!(read.text(), text(time));
        }
    }
}
