//! How long ago something was, for people.

use jiff::Timestamp;

/// How long ago a moment was, in its largest unit and the next.
pub(crate) fn ago(moment: Timestamp) -> String {
    of_seconds(Timestamp::now().duration_since(moment).as_secs().max(0))
}

fn of_seconds(seconds: i64) -> String {
    match seconds {
        0..60 => format!("{seconds}s ago"),
        60..3600 => format!("{}m {}s ago", seconds / 60, seconds % 60),
        3600..86_400 => format!("{}h {}m ago", seconds / 3600, seconds / 60 % 60),
        _ => format!("{}d {}h ago", seconds / 86_400, seconds / 3600 % 24),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_has_its_largest_unit_and_the_next() {
        for (seconds, text) in
            [(5, "5s ago"), (61, "1m 1s ago"), (7260, "2h 1m ago"), (90_000, "1d 1h ago")]
        {
            assert_eq!(of_seconds(seconds), text);
        }
    }
}
