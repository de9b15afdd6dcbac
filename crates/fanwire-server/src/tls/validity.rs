//! When a certificate begins and ends to be valid, read from its DER: what has to be known
//! of one that was made in another year, or elsewhere.

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

const SEQUENCE: u8 = 0x30;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;
/// `[0]`, which the version of a certificate stands under.
const VERSION: u8 = 0xa0;

/// When a certificate is valid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Period {
    pub(super) begin: Timestamp,
    pub(super) end: Timestamp,
}

/// The end of a certificate's validity. `None` where the bytes are no certificate.
pub(super) fn end_of(certificate: &[u8]) -> Option<Timestamp> {
    Some(period_of(certificate)?.end)
}

/// A certificate's validity (RFC 5280, section 4.1). `None` where the bytes are no
/// certificate.
pub(super) fn period_of(certificate: &[u8]) -> Option<Period> {
    let (certificate, _) = expect(certificate, SEQUENCE)?;
    let (mut fields, _) = expect(certificate, SEQUENCE)?;
    if fields.first() == Some(&VERSION) {
        fields = element(fields)?.2;
    }
    // Serial number, algorithm, issuer.
    for _ in 0..3 {
        fields = element(fields)?.2;
    }
    let (validity, _) = expect(fields, SEQUENCE)?;
    let (tag, text, after_beginning) = element(validity)?;
    let begin = time(tag, text)?;
    let (tag, text, _) = element(after_beginning)?;
    Some(Period { begin, end: time(tag, text)? })
}

/// The tag of the first element, its contents, and what follows it.
fn element(der: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&tag, rest) = der.split_first()?;
    let (&first, rest) = rest.split_first()?;
    let (length, rest) = if first < 0x80 {
        (usize::from(first), rest)
    } else {
        // A certificate of more than 64 KB is none of ours.
        let digits = usize::from(first & 0x7f);
        let (length, rest) = rest.split_at_checked(digits).filter(|_| (1..=2).contains(&digits))?;
        (length.iter().fold(0, |sum, byte| sum << 8 | usize::from(*byte)), rest)
    };
    let (contents, rest) = rest.split_at_checked(length)?;
    Some((tag, contents, rest))
}

fn expect(der: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let (found, contents, rest) = element(der)?;
    (found == tag).then_some((contents, rest))
}

/// `YYMMDDHHMMSSZ`, or with four digits for the year.
fn time(tag: u8, text: &[u8]) -> Option<Timestamp> {
    let text = str::from_utf8(text).ok()?.strip_suffix('Z')?;
    if !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let (year, rest) = match tag {
        UTC_TIME => {
            let (year, rest) = text.split_at_checked(2)?;
            let year: i16 = year.parse().ok()?;
            (if year < 50 { 2000 + year } else { 1900 + year }, rest)
        }
        GENERALIZED_TIME => {
            let (year, rest) = text.split_at_checked(4)?;
            (year.parse().ok()?, rest)
        }
        _ => return None,
    };
    let two = |at: usize| rest.get(at..at + 2)?.parse::<i8>().ok();
    let date = DateTime::new(year, two(0)?, two(2)?, two(4)?, two(6)?, two(8)?, 0).ok()?;
    Some(date.to_zoned(TimeZone::UTC).ok()?.timestamp())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_of_a_time_are_read() {
        let utc = time(UTC_TIME, b"361125201500Z").unwrap();
        assert_eq!(utc.to_string(), "2036-11-25T20:15:00Z");
        assert_eq!(time(GENERALIZED_TIME, b"20361125201500Z"), Some(utc));
        assert_eq!(time(UTC_TIME, b"990101000000Z").unwrap().to_string(), "1999-01-01T00:00:00Z");
        for wrong in ["", "Z", "361125201500", "361325201500Z", "3611252015Z", "-61125201500Z"] {
            assert_eq!(time(UTC_TIME, wrong.as_bytes()), None, "{wrong}");
        }
    }

    #[test]
    fn bytes_that_are_no_certificate_have_no_end() {
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let whole = made.cert.der().to_vec();
        assert_eq!(end_of(&whole).unwrap().to_string(), "4096-01-01T00:00:00Z");
        for end in 0..100 {
            assert_eq!(end_of(&whole[..end]), None);
        }
        for at in 0..whole.len() {
            // No byte, whatever its value, makes it panic.
            for value in [0, 0x30, 0x7f, 0x80, 0x81, 0x84, 0xff] {
                let mut broken = whole.clone();
                broken[at] = value;
                let _ = end_of(&broken);
            }
        }
    }
}
