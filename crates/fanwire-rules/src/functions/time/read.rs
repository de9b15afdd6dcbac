//! Times out of text, by the JDK's letters.

use jiff::civil::{Date, DateTime, Time};
use jiff::tz::TimeZone;

use super::pattern::Piece;
use super::write::{DAYS, MONTHS, SHORT};
use super::zone;

/// The letters that are served.
pub(super) const LETTERS: &str = "GyuMLdDEahHkKmsSzZXxVO";

/// What of a time was read so far.
#[derive(Debug, Default)]
struct Parts {
    year: Option<i16>,
    before_christ: bool,
    month: Option<i8>,
    day: Option<i8>,
    day_of_year: Option<i16>,
    hour: Option<i8>,
    /// Of a half day, from 0.
    half_day_hour: Option<i8>,
    afternoon: bool,
    minute: Option<i8>,
    second: Option<i8>,
    nanosecond: Option<i32>,
    zone: Option<TimeZone>,
}

/// The milliseconds since 1970 of a time, in UTC where the text names no zone. `None`
/// where the text is not as the pattern says, or is no time.
pub(super) fn read(text: &str, pieces: &[Piece]) -> Option<i64> {
    let mut parts = Parts::default();
    let mut rest = text;
    for (at, piece) in pieces.iter().enumerate() {
        rest = match piece {
            Piece::Text(text) => rest.strip_prefix(text.as_str())?,
            Piece::Field(letter, count) => {
                let digits_follow = pieces.get(at + 1).is_some_and(is_number);
                parts.field(*letter, *count, digits_follow, rest)?
            }
        };
    }
    if rest.is_empty() { parts.milliseconds() } else { None }
}

/// Whether a piece is digits, so that a number before it has to know where it ends.
fn is_number(piece: &Piece) -> bool {
    match piece {
        Piece::Text(_) => false,
        Piece::Field('M' | 'L', count) => *count < SHORT,
        Piece::Field(letter, _) => "yudDhHkKmsS".contains(*letter),
    }
}

// === impl Parts ===

impl Parts {
    /// Reads one field from the front of a text, and gives the rest.
    fn field<'t>(
        &mut self,
        letter: char,
        count: usize,
        digits_follow: bool,
        text: &'t str,
    ) -> Option<&'t str> {
        let name =
            |names: &[&str]| named(text, names, if count == SHORT { SHORT } else { usize::MAX });
        match letter {
            'M' | 'L' if count >= SHORT => {
                let (month, rest) = name(&MONTHS)?;
                self.month = Some(month as i8 + 1);
                return Some(rest);
            }
            'E' => return name(&DAYS).or_else(|| named(text, &DAYS, SHORT)).map(|(_, rest)| rest),
            'G' => return self.either(text, ["AD", "BC"], |parts, bc| parts.before_christ = bc),
            'a' => return self.either(text, ["AM", "PM"], |parts, pm| parts.afternoon = pm),
            'z' | 'Z' | 'X' | 'x' | 'V' | 'O' => return self.zone(text),
            _ => {}
        }
        let longest = match letter {
            'y' | 'u' if count == 2 => 2,
            'y' | 'u' if digits_follow => count,
            'y' | 'u' => count.max(9),
            'S' => count,
            'D' if count == 1 => 3,
            _ if count == 1 => 2,
            _ => count,
        };
        let digits = text.bytes().take(longest).take_while(u8::is_ascii_digit).count();
        if digits < count {
            return None;
        }
        let (digits, rest) = text.split_at(digits);
        self.number(letter, count, digits)?;
        Some(rest)
    }

    fn number(&mut self, letter: char, count: usize, digits: &str) -> Option<()> {
        if letter == 'S' {
            let nanoseconds = format!("{digits:0<9}");
            self.nanosecond = nanoseconds.get(..9)?.parse().ok();
            return Some(());
        }
        let number: i16 = digits.parse().ok()?;
        let small = i8::try_from(number).ok();
        match letter {
            'y' | 'u' => self.year = Some(if count == 2 { 2000 + number } else { number }),
            'D' => self.day_of_year = Some(number),
            'M' | 'L' => self.month = Some(small?),
            'd' => self.day = Some(small?),
            'H' => self.hour = Some(small?),
            'k' => self.hour = Some(small? % 24),
            'h' => self.half_day_hour = Some(small? % 12),
            'K' => self.half_day_hour = Some(small?),
            'm' => self.minute = Some(small?),
            's' => self.second = Some(small?),
            _ => return None,
        }
        Some(())
    }

    /// One of two words, in any case.
    fn either<'t>(
        &mut self,
        text: &'t str,
        words: [&str; 2],
        set: impl FnOnce(&mut Self, bool),
    ) -> Option<&'t str> {
        let (which, rest) = named(text, &words, usize::MAX)?;
        set(self, which == 1);
        Some(rest)
    }

    fn zone<'t>(&mut self, text: &'t str) -> Option<&'t str> {
        let in_name = |c: char| c.is_ascii_alphanumeric() || "/_+-:".contains(c);
        let length = text.find(|c| !in_name(c)).unwrap_or(text.len());
        let (name, rest) = text.split_at(length);
        self.zone = Some(zone::written(name)?);
        Some(rest)
    }

    fn milliseconds(self) -> Option<i64> {
        let year = self.year?;
        let year = if self.before_christ { 1 - year } else { year };
        let date = match self.day_of_year {
            Some(day) => {
                let first = Date::new(year, 1, 1).ok()?;
                first.with().day_of_year(day).build().ok()?
            }
            None => Date::new(year, self.month.unwrap_or(1), self.day.unwrap_or(1)).ok()?,
        };
        let afternoon = if self.afternoon { 12 } else { 0 };
        let hour = match (self.hour, self.half_day_hour) {
            (Some(hour), _) => hour,
            (None, Some(hour)) => hour.checked_add(afternoon)?,
            (None, None) => 0,
        };
        let time = Time::new(
            hour,
            self.minute.unwrap_or(0),
            self.second.unwrap_or(0),
            self.nanosecond.unwrap_or(0),
        );
        let time = DateTime::from_parts(date, time.ok()?);
        let zoned = self.zone.unwrap_or(TimeZone::UTC).to_zoned(time).ok()?;
        Some(zoned.timestamp().as_millisecond())
    }
}

/// Which of some names a text begins with, each cut to a length, and the rest.
fn named<'t>(text: &'t str, names: &[&str], length: usize) -> Option<(usize, &'t str)> {
    names.iter().enumerate().find_map(|(at, name)| {
        let name = &name[..length.min(name.len())];
        let (begin, rest) = text.split_at_checked(name.len())?;
        begin.eq_ignore_ascii_case(name).then_some((at, rest))
    })
}
