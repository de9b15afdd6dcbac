//! IAM's patterns: `*` is any run of characters, `?` any one.

/// Whether the whole of `text` fits `pattern`.
///
/// After a `*` the shortest run is tried first, and a longer one only for the last `*`: an
/// earlier one never has to be looked at again. So the time is at most the product of both
/// lengths, whatever they hold.
pub(crate) fn matches(pattern: &str, text: &str) -> bool {
    let (pattern, text) = (pattern.as_bytes(), text.as_bytes());
    let (mut at_pattern, mut at_text) = (0, 0);
    // Where the last `*` is, and where the text goes on behind what it has taken.
    let mut star: Option<(usize, usize)> = None;
    while at_text < text.len() {
        match pattern.get(at_pattern) {
            Some(b'*') => {
                star = Some((at_pattern, at_text));
                at_pattern += 1;
            }
            Some(b'?') => {
                at_pattern += 1;
                at_text += length_of_character(text, at_text);
            }
            Some(byte) if text.get(at_text) == Some(byte) => {
                at_pattern += 1;
                at_text += 1;
            }
            _ => match star {
                Some((at_star, taken)) => {
                    star = Some((at_star, taken + 1));
                    (at_pattern, at_text) = (at_star + 1, taken + 1);
                }
                None => return false,
            },
        }
    }
    pattern.get(at_pattern..).unwrap_or_default().iter().all(|byte| *byte == b'*')
}

/// The bytes of the character at `at`.
fn length_of_character(text: &[u8], at: usize) -> usize {
    let rest = text.get(at + 1..).unwrap_or_default();
    1 + rest.iter().take_while(|byte| **byte & 0xC0 == 0x80).count()
}

#[cfg(test)]
mod tests {
    use super::matches;

    #[test]
    fn patterns_are_those_of_iam() {
        for (pattern, text) in [
            ("*", ""),
            ("*", "a/b"),
            ("a", "a"),
            ("a*c", "abc"),
            ("a*c", "ac"),
            ("a*c", "abcbc"),
            ("a?c", "aäc"),
            ("*/b/*", "a/b/c"),
            ("a**", "a"),
            ("?*?", "ab"),
        ] {
            assert!(matches(pattern, text), "{pattern} {text}");
        }
        for (pattern, text) in
            [("", "a"), ("a", ""), ("a?c", "ac"), ("a*c", "abcd"), ("*/b/*", "a/bb/c"), ("??", "ä")]
        {
            assert!(!matches(pattern, text), "{pattern} {text}");
        }
    }

    #[test]
    fn a_hostile_pattern_takes_no_longer_than_both_lengths() {
        let pattern = "a*".repeat(200) + "b";
        assert!(!matches(&pattern, &"a".repeat(5_000)));
    }
}
