//! Times and sizes as people write them.

use std::time::Duration;

use crate::node::{Node, Value};

/// What a duration may look like, for messages.
pub(crate) const DURATION_FORM: &str = "a number of seconds, or text such as \"500ms\", \"3s\", \
    \"10m\" or \"2h\"";

/// What a size may look like, for messages.
pub(crate) const SIZE_FORM: &str = "a number of bytes, or text such as \"32KB\" or \"1MB\"";

/// Whether a limit is lifted: it is written `"none"`.
pub(crate) fn is_none(node: &Node) -> bool {
    node.as_str() == Some("none")
}

/// The longest duration that is accepted: a year. Longer ones are mistakes of unit.
const LONGEST: f64 = 366.0 * 24.0 * 3600.0;

/// A length of time of at most a year: a number of seconds, or a number and `ms`,
/// `s`, `m` or `h`.
pub(crate) fn duration(node: &Node) -> Option<Duration> {
    let seconds = match &node.value {
        Value::Text(text) => {
            let (number, factor) =
                split(text, &[("ms", 0.001), ("s", 1.0), ("m", 60.0), ("h", 3600.0)])?;
            number * factor
        }
        _ => node.number()?,
    };
    (0.0..=LONGEST).contains(&seconds).then(|| Duration::from_secs_f64(seconds))
}

/// A number of bytes: an integer, or a number and `B`, `KB`, `MB` or `GB`, each 1024
/// of the one before.
pub(crate) fn size(node: &Node) -> Option<usize> {
    /// Exact in a float, and beyond any limit of memory.
    const LARGEST: f64 = (1_u64 << 40) as f64;
    const UNITS: [(&str, f64); 4] =
        [("KB", 1024.0), ("MB", 1_048_576.0), ("GB", 1_073_741_824.0), ("B", 1.0)];
    let bytes = match &node.value {
        Value::Text(text) => {
            let (number, factor) = split(text, &UNITS)?;
            number * factor
        }
        _ => node.number()?,
    };
    let whole = bytes.fract() == 0.0 && (0.0..=LARGEST).contains(&bytes);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked above")]
    whole.then_some(bytes as usize)
}

/// A number and the factor of the unit after it; no unit counts as one.
fn split(text: &str, units: &[(&str, f64)]) -> Option<(f64, f64)> {
    let text = text.trim();
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    let factor = match unit.trim() {
        "" => 1.0,
        unit => units.iter().find(|(name, _)| *name == unit)?.1,
    };
    Some((number.parse().ok()?, factor))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::{Sources, Span};

    fn node(value: Value) -> Node {
        let file = Sources::default().add("t".into(), String::new());
        Node::new(value, Span::whole(file))
    }

    fn text(text: &str) -> Node {
        node(Value::Text(text.to_owned()))
    }

    #[test]
    fn durations_take_units_and_plain_seconds() {
        for (written, milliseconds) in [
            ("500ms", 500),
            ("3s", 3000),
            ("1.5 s", 1500),
            ("10m", 600_000),
            ("2h", 7_200_000),
            ("7", 7000),
        ] {
            assert_eq!(
                duration(&text(written)),
                Some(Duration::from_millis(milliseconds)),
                "{written}"
            );
        }
        assert_eq!(duration(&node(Value::Float(0.25))), Some(Duration::from_millis(250)));
        for written in ["", "s", "3 days", "-1s", "1e400", "999999999999"] {
            assert_eq!(duration(&text(written)), None, "{written}");
        }
        assert_eq!(duration(&node(Value::Float(f64::NAN))), None);
    }

    #[test]
    fn sizes_take_units_and_plain_bytes() {
        for (written, bytes) in
            [("32KB", 32768), ("1 MB", 1_048_576), ("0.5KB", 512), ("7", 7), ("7B", 7)]
        {
            assert_eq!(size(&text(written)), Some(bytes), "{written}");
        }
        assert_eq!(size(&node(Value::Int(5))), Some(5));
        for written in ["", "KB", "1.3B", "-1", "9999999GB", "1kb"] {
            assert_eq!(size(&text(written)), None, "{written}");
        }
    }
}
