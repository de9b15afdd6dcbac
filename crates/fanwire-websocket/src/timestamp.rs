//! Wall-clock times as API Gateway writes them. All times inside the plane are
//! milliseconds since the epoch; only here do they become text.

use jiff::Timestamp;

/// The wall clock, in milliseconds since the epoch.
pub(crate) fn now_ms() -> u64 {
    u64::try_from(Timestamp::now().as_millisecond()).unwrap_or_default()
}

/// `requestTime`: the common log format, in UTC, such as `19/Jan/2023:21:13:26 +0000`.
pub(crate) fn common_log(epoch_ms: u64) -> String {
    timestamp(epoch_ms).strftime("%d/%b/%Y:%H:%M:%S +0000").to_string()
}

/// `connectedAt` of the management API, such as `2023-01-19T21:13:26.344Z`.
pub(crate) fn iso8601(epoch_ms: u64) -> String {
    timestamp(epoch_ms).strftime("%Y-%m-%dT%H:%M:%S.%3fZ").to_string()
}

fn timestamp(epoch_ms: u64) -> Timestamp {
    // Out of range only for clocks that are millennia wrong.
    i64::try_from(epoch_ms)
        .ok()
        .and_then(|ms| Timestamp::from_millisecond(ms).ok())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_read_as_in_the_captures() {
        assert_eq!(common_log(1_674_162_806_344), "19/Jan/2023:21:13:26 +0000");
        assert_eq!(iso8601(1_674_162_806_344), "2023-01-19T21:13:26.344Z");
        assert_eq!(iso8601(1_674_162_806_004), "2023-01-19T21:13:26.004Z");
    }
}
