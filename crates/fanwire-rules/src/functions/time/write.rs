//! Times as text, by Joda's letters and the JDK's `X`.

use std::fmt::Write as _;

use jiff::Zoned;
use jiff::civil::Weekday;

use super::pattern::Piece;

/// The letters that are served.
pub(super) const LETTERS: &str = "GYyxwMdDeEahHkKmsSzZX";

pub(super) const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];

pub(super) const DAYS: [&str; 7] =
    ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"];

/// The letters of a short name.
pub(super) const SHORT: usize = 3;

/// Writes a time, or nothing where the pattern has a letter that is not served.
pub(super) fn write(pieces: &[Piece], time: &Zoned) -> Option<String> {
    let mut out = String::new();
    for piece in pieces {
        match piece {
            Piece::Text(text) => out.push_str(text),
            Piece::Field(letter, count) => field(*letter, *count, time, &mut out)?,
        }
    }
    Some(out)
}

fn field(letter: char, count: usize, time: &Zoned, out: &mut String) -> Option<()> {
    let week = || time.date().iso_week_date();
    let hour = i64::from(time.hour());
    let number = match letter {
        'G' => return push(out, if time.year() > 0 { "AD" } else { "BC" }),
        'Y' | 'y' => year(time.year(), count),
        'x' => year(week().year(), count),
        'M' if count >= SHORT => return name(MONTHS[time.month() as usize - 1], count, out),
        'E' => return name(DAYS[day(time.weekday())], count, out),
        'a' => return push(out, if hour < 12 { "AM" } else { "PM" }),
        'S' => return fraction(time, count, out),
        'z' => return push(out, time.time_zone().to_offset_info(time.timestamp()).abbreviation()),
        'Z' if count > 2 => return zone_id(time, out),
        'Z' => return offset(time, count == 2, out),
        'X' if time.offset().is_zero() => return push(out, "Z"),
        'X' if count == 1 => return hours_of_offset(time, out),
        'X' => return offset(time, count > 2, out),
        'w' => week().week().into(),
        'M' => time.month().into(),
        'd' => time.day().into(),
        'D' => time.day_of_year().into(),
        'e' => day(time.weekday()) as i64 + 1,
        'H' => hour,
        'k' => (hour + 23) % 24 + 1,
        'K' => hour % 12,
        'h' => (hour + 11) % 12 + 1,
        'm' => time.minute().into(),
        's' => time.second().into(),
        _ => return None,
    };
    // Writing to a string never fails.
    _ = write!(out, "{number:0count$}");
    Some(())
}

fn push(out: &mut String, text: &str) -> Option<()> {
    out.push_str(text);
    Some(())
}

/// The year of its era; its last two digits where the pattern has two letters.
fn year(year: i16, count: usize) -> i64 {
    let year = i64::from(year);
    let of_era = if year > 0 { year } else { 1 - year };
    if count == 2 { of_era % 100 } else { of_era }
}

fn name(name: &str, count: usize, out: &mut String) -> Option<()> {
    push(out, if count > SHORT { name } else { &name[..SHORT] })
}

/// From 0 for Monday.
fn day(weekday: Weekday) -> usize {
    weekday.to_monday_zero_offset() as usize
}

fn fraction(time: &Zoned, count: usize, out: &mut String) -> Option<()> {
    let nanoseconds = format!("{:09}", time.subsec_nanosecond());
    _ = write!(out, "{:0<count$}", &nanoseconds[..count.min(nanoseconds.len())]);
    Some(())
}

fn zone_id(time: &Zoned, out: &mut String) -> Option<()> {
    match time.time_zone().iana_name() {
        Some(name) => push(out, name),
        None => offset(time, true, out),
    }
}

fn hours_of_offset(time: &Zoned, out: &mut String) -> Option<()> {
    let seconds = time.offset().seconds();
    let sign = if seconds < 0 { '-' } else { '+' };
    let (hours, minutes) = (seconds.abs() / 3600, seconds.abs() / 60 % 60);
    _ = write!(out, "{sign}{hours:02}");
    if minutes > 0 {
        _ = write!(out, "{minutes:02}");
    }
    Some(())
}

fn offset(time: &Zoned, colon: bool, out: &mut String) -> Option<()> {
    let seconds = time.offset().seconds();
    let sign = if seconds < 0 { '-' } else { '+' };
    let (hours, minutes) = (seconds.abs() / 3600, seconds.abs() / 60 % 60);
    let colon = if colon { ":" } else { "" };
    _ = write!(out, "{sign}{hours:02}{colon}{minutes:02}");
    Some(())
}
