//! Time: `parse_time` writes one by a pattern of Joda's, `time_to_epoch` reads one by a
//! pattern of the JDK's. Zones come from a database in the program.

mod pattern;
mod read;
mod write;
mod zone;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::{Body, Call, Function, Literal};
use crate::value::Value;
use pattern::{Piece, pieces};

pub(super) const FUNCTIONS: &[Function] = &[
    Function::new("timestamp", 0..=0, Body::Plain(timestamp)),
    Function::new("parse_time", 2..=3, Body::Plain(parse_time))
        .since_2016()
        .with_literal(0, Literal::TimeWritten),
    Function::new("time_to_epoch", 2..=2, Body::Plain(time_to_epoch))
        .since_2016()
        .with_literal(1, Literal::TimeRead),
];

/// What is wrong with a pattern by which a time is written.
pub(crate) fn written_pattern_fault(pattern: &str) -> Option<String> {
    fault(pattern, write::LETTERS)
}

/// What is wrong with a pattern by which a time is read.
pub(crate) fn read_pattern_fault(pattern: &str) -> Option<String> {
    fault(pattern, read::LETTERS)
}

fn fault(pattern: &str, letters: &str) -> Option<String> {
    let Some(pieces) = pieces(pattern) else {
        return Some(
            "expected a second ' after quoted text, and at most 32 of a letter".to_owned(),
        );
    };
    let unknown = pieces.into_iter().find_map(|piece| match piece {
        Piece::Field(letter, _) if !letters.contains(letter) => Some(letter),
        _ => None,
    })?;
    Some(format!("`{unknown}` is not served; letters are {letters}, and text stands in quotes"))
}

fn timestamp(call: &Call<'_, '_>) -> Option<Value> {
    Some(Value::Int(call.evaluation.message.timestamp_ms.into()))
}

fn parse_time(call: &Call<'_, '_>) -> Option<Value> {
    let zone = if call.arguments.len() > 2 { zone::named(&call.text(2)?)? } else { TimeZone::UTC };
    let time = Timestamp::from_millisecond(call.int(1)?).ok()?.to_zoned(zone);
    write::write(&pieces(&call.text(0)?)?, &time).map(Value::String)
}

fn time_to_epoch(call: &Call<'_, '_>) -> Option<Value> {
    let milliseconds = read::read(&call.text(0)?, &pieces(&call.text(1)?)?)?;
    Some(Value::Int(milliseconds.into()))
}

#[cfg(test)]
mod tests {
    use crate::testing::{all, refusal, value, value_in};
    use crate::version::SqlVersion;

    #[test]
    fn parse_time_writes_by_joda_s_patterns() {
        all(&[
            (
                r#"parse_time("yyyy.MM.dd G 'at' HH:mm:ss z", 100000000, "America/Belize")"#,
                "\"1970.01.01 AD at 21:46:40 CST\"",
            ),
            ("parse_time('yyyy', timestamp(), 'UTC')", "\"2016\""),
            (
                r#"parse_time("yyyy-MM-dd'T'HH:mm:ss.SSSZZ", 1481825251155)"#,
                "\"2016-12-15T18:07:31.155+00:00\"",
            ),
            (
                "parse_time('EEE, d MMM yy h:mm a Z', 1481825251155, '+05:30')",
                "\"Thu, 15 Dec 16 11:37 PM +0530\"",
            ),
            (
                "parse_time('EEEE MMMM D e w x', 1481825251155)",
                "\"Thursday December 350 4 50 2016\"",
            ),
            ("parse_time('k K H h', 0)", "\"24 0 0 12\""),
            ("parse_time('XXX z ZZZ', 0, 'Europe/Berlin')", "\"+01:00 CET Europe/Berlin\""),
            ("parse_time('XXX z', 0)", "\"Z UTC\""),
            ("parse_time('yyyy', '1481825251155')", "\"2016\""),
            ("parse_time('yyyy', 1, 'Nowhere/Else')", "undefined"),
            ("parse_time('yyyy', 1e30)", "undefined"),
            ("parse_time('yyyy', null)", "undefined"),
        ]);
        assert_eq!(value(r#"parse_time("''yyyy''", 0)"#), "\"'1970'\"");
    }

    #[test]
    fn time_to_epoch_reads_by_the_jdk_s_patterns() {
        all(&[
            (
                "time_to_epoch('2020-04-03 09:45:18 UTC+01:00', 'yyyy-MM-dd HH:mm:ss VV')",
                "1585903518000",
            ),
            ("time_to_epoch('18 December 2015', 'dd MMMM yyyy')", "1450396800000"),
            (
                "time_to_epoch('2007-12-03 10:15:30.592 America/Los_Angeles', 'yyyy-MM-dd HH:mm:ss.SSS z')",
                "1196705730592",
            ),
            (
                r#"time_to_epoch('2016-12-15T18:07:31.155Z', "yyyy-MM-dd'T'HH:mm:ss.SSSXXX")"#,
                "1481825251155",
            ),
            ("time_to_epoch('20161215180731+0530', 'yyyyMMddHHmmssZ')", "1481805451000"),
            ("time_to_epoch('12/15/16 6:07 PM', 'M/d/yy h:mm a')", "1481825220000"),
            ("time_to_epoch('Thu 2016-350', 'EEE yyyy-DDD')", "1481760000000"),
            ("time_to_epoch('1970-01-01 PST', 'yyyy-MM-dd z')", "28800000"),
            ("time_to_epoch('2016-13-15', 'yyyy-MM-dd')", "undefined"),
            ("time_to_epoch('2016-02-30', 'yyyy-MM-dd')", "undefined"),
            ("time_to_epoch('2016-12-15 ', 'yyyy-MM-dd')", "undefined"),
            ("time_to_epoch('12:00', 'HH:mm')", "undefined"),
            ("time_to_epoch(null, 'yyyy')", "undefined"),
        ]);
    }

    #[test]
    fn a_pattern_of_a_message_may_be_anything() {
        for (letter, count) in [('y', 70_000), ('S', 70_000), ('M', 33), ('\'', 3), ('é', 3)] {
            let pattern = letter.to_string().repeat(count);
            for function in ["parse_time(p, 0)", "time_to_epoch('1970', p)"] {
                let payload = format!(r#"{{"p":"{pattern}"}}"#);
                let value = value_in(function, &payload, SqlVersion::default());
                assert!(value == "undefined" || letter == 'é', "{value}");
            }
        }
    }

    #[test]
    fn what_is_written_is_read() {
        all(&[(
            r#"time_to_epoch(parse_time("yyyy-MM-dd HH:mm:ss.SSS ZZ", timestamp(), 'Asia/Tokyo'), "yyyy-MM-dd HH:mm:ss.SSS XXX")"#,
            "1481825251155",
        )]);
    }

    #[test]
    fn a_letter_that_is_not_served_is_refused_with_its_place() {
        let refused = refusal("SELECT parse_time('yyyy-QQ', 0) AS a FROM 'a'");
        assert!(refused.contains("column 19") && refused.contains("`Q`"), "{refused}");
        let refused = refusal(r#"SELECT time_to_epoch(a, "yyyy'T") AS a FROM 'a'"#);
        assert!(refused.contains("second '"), "{refused}");
    }
}
