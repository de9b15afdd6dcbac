//! Time zones by their names.

use std::sync::LazyLock;

use jiff::tz::{Offset, TimeZone, TimeZoneDatabase};

/// The database that is part of the program: what a rule gives is the same everywhere.
static ZONES: LazyLock<TimeZoneDatabase> = LazyLock::new(TimeZoneDatabase::bundled);

/// Short names that are no names of the database, but that times are written with.
const SHORT: [(&str, &str); 8] = [
    ("EST", "America/New_York"),
    ("EDT", "America/New_York"),
    ("CST", "America/Chicago"),
    ("CDT", "America/Chicago"),
    ("MST", "America/Denver"),
    ("MDT", "America/Denver"),
    ("PST", "America/Los_Angeles"),
    ("PDT", "America/Los_Angeles"),
];

/// The zone with this name: `America/Belize`, `UTC`, `+05:30`, `UTC+1`.
pub(super) fn named(name: &str) -> Option<TimeZone> {
    if matches!(name, "UTC" | "GMT" | "UT" | "Z") {
        return Some(TimeZone::UTC);
    }
    let prefixes = ["UTC", "GMT", "UT", ""];
    let bare = prefixes.into_iter().find_map(|prefix| name.strip_prefix(prefix)).unwrap_or(name);
    if let Some(offset) = offset(bare) {
        return Some(TimeZone::fixed(offset));
    }
    ZONES.get(name).ok()
}

/// The zone that a time was written with, by name or short name.
pub(super) fn written(name: &str) -> Option<TimeZone> {
    let full = SHORT.into_iter().find(|(short, _)| *short == name).map_or(name, |(_, full)| full);
    named(full)
}

/// `+1`, `+01`, `-0130`, `+01:30`
pub(super) fn offset(text: &str) -> Option<Offset> {
    let (sign, digits) = match text.as_bytes().first()? {
        b'+' => (1, &text[1..]),
        b'-' => (-1, &text[1..]),
        _ => return None,
    };
    let (hours, minutes) = match digits.split_once(':') {
        Some((hours, minutes)) if minutes.len() == 2 => (hours, minutes),
        Some(_) => return None,
        None if digits.len() > 2 => digits.split_at_checked(digits.len() - 2)?,
        None => (digits, "0"),
    };
    let number = |text: &str| {
        let plain = !text.is_empty() && text.len() <= 2 && text.bytes().all(|b| b.is_ascii_digit());
        plain.then(|| text.parse::<i32>().ok()).flatten()
    };
    let (hours, minutes) = (number(hours)?, number(minutes).filter(|minutes| *minutes < 60)?);
    Offset::from_seconds(sign * (hours * 3600 + minutes * 60)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offsets_have_many_forms_and_bounds() {
        for (text, seconds) in
            [("+1", 3600), ("-08", -28_800), ("+0530", 19_800), ("+05:30", 19_800), ("-00:00", 0)]
        {
            assert_eq!(offset(text).unwrap().seconds(), seconds, "{text}");
        }
        for text in ["", "+", "1", "+1:5", "+99", "+05:60", "+12345", "+a", "+€", "+1€"] {
            assert_eq!(offset(text), None, "{text}");
        }
    }

    #[test]
    fn zones_come_from_the_program() {
        for name in
            ["America/Belize", "Europe/Berlin", "UTC", "GMT+2", "UTC-03:00", "+01:00", "CET"]
        {
            assert!(named(name).is_some(), "{name}");
        }
        assert!(named("Mars/Base").is_none());
    }
}
