//! Principals as AWS IoT takes them: 1 to 128 letters and digits (reference: iot.md,
//! section 2).

use sha2::{Digest, Sha256};

/// The longest principal, in bytes.
const MAX: usize = 128;

/// Hexadecimal digits of the hash that is put behind what is left of a principal.
const HASH: usize = 32;

/// What stands between the two.
const MARK: char = 'x';

/// A principal that AWS takes: itself where that is one, and otherwise what is left of it
/// without other characters, and a hash of the whole. No two are the same, but by a
/// collision of SHA-256's first 128 bits; nobody can name himself like another who was
/// changed, because a name of that form is changed, too.
pub(super) fn clean(principal: &str) -> String {
    let is_taken = |character: &char| character.is_ascii_alphanumeric();
    let good = principal.chars().all(|character| is_taken(&character))
        && (1..=MAX).contains(&principal.len())
        && !is_changed(principal);
    if good {
        return principal.to_owned();
    }
    let mut cleaned: String = principal.chars().filter(is_taken).take(MAX - HASH - 1).collect();
    cleaned.push(MARK);
    let hash = Sha256::digest(principal.as_bytes());
    cleaned.extend(hash.iter().take(HASH / 2).map(|byte| format!("{byte:02x}")));
    cleaned
}

/// Whether a principal has the form of one that was changed.
fn is_changed(principal: &str) -> bool {
    let Some((rest, hash)) = principal.split_at_checked(principal.len().saturating_sub(HASH))
    else {
        return false;
    };
    rest.ends_with(MARK) && hash.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_good_principal_stays() {
        for good in ["a", "Ada1815", "1732580000000", &"x".repeat(128)] {
            assert_eq!(clean(good), good);
        }
    }

    #[test]
    fn another_is_told_by_what_is_left_of_it() {
        let cleaned = clean("ada@example.com");
        assert!(cleaned.starts_with("adaexamplecomx"), "{cleaned}");
        assert_ne!(cleaned, clean("ada-example.com"));
        assert_ne!(clean(&cleaned), cleaned);
        assert_eq!(clean("").len(), HASH + 1);
    }

    proptest! {
        #[test]
        fn every_principal_is_one_that_aws_takes(principal in ".{0,200}") {
            let cleaned = clean(&principal);
            prop_assert!((1..=MAX).contains(&cleaned.len()));
            prop_assert!(cleaned.bytes().all(|byte| byte.is_ascii_alphanumeric()));
            prop_assert_eq!(clean(&principal), cleaned);
        }
    }
}
