//! UTF-8 validation of text that arrives in pieces.

/// Checks text piece by piece and fails at the first byte that no continuation can
/// make valid, as RFC 6455 section 8.1 allows and Autobahn's 6.4 cases want. Holds
/// the start of a character that the last piece ended within.
#[derive(Debug, Default)]
pub(super) struct Utf8Validator {
    begun: [u8; 4],
    len: u8,
}

/// The text is not UTF-8, whatever follows.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct InvalidUtf8;

impl Utf8Validator {
    /// Takes the next piece. Whether a text may end here is not its concern.
    pub(super) fn feed(&mut self, piece: &[u8]) -> Result<(), InvalidUtf8> {
        let mut rest = piece;
        while let ([byte, after @ ..], 1..) = (rest, self.len) {
            self.finish_character(*byte)?;
            rest = after;
        }
        let Err(error) = simdutf8::compat::from_utf8(rest) else { return Ok(()) };
        if error.error_len().is_some() {
            return Err(InvalidUtf8);
        }
        let begun = &rest[error.valid_up_to()..];
        self.begun[..begun.len()].copy_from_slice(begun);
        self.len = begun.len() as u8;
        Ok(())
    }

    /// Takes the next byte of a character that was begun.
    fn finish_character(&mut self, byte: u8) -> Result<(), InvalidUtf8> {
        let len = usize::from(self.len);
        self.begun[len] = byte;
        match std::str::from_utf8(&self.begun[..=len]) {
            Ok(_) => self.len = 0,
            Err(error) if error.error_len().is_some() => return Err(InvalidUtf8),
            // Never at the fourth byte: four bytes are a character or an error.
            Err(_) => self.len += 1,
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// How many bytes pass before the first at fault, by the standard library.
    fn expected_good(text: &[u8]) -> usize {
        (0..text.len())
            .find(|&at| {
                std::str::from_utf8(&text[..=at]).is_err_and(|error| error.error_len().is_some())
            })
            .unwrap_or(text.len())
    }

    /// The same, by feeding pieces that end at `cuts` and then single bytes.
    fn good(text: &[u8], piece: usize) -> usize {
        let mut validator = Utf8Validator::default();
        let mut passed = 0;
        for piece in text.chunks(piece) {
            if validator.feed(piece).is_err() {
                break;
            }
            passed += piece.len();
        }
        passed
    }

    /// Valid text, and bytes that are likely to be nearly valid.
    fn nearly_text() -> impl Strategy<Value = Vec<u8>> {
        let valid = "\\PC{0,20}".prop_map(String::into_bytes);
        let lead =
            proptest::sample::select(vec![0xC1, 0xC2, 0xE0, 0xED, 0xEF, 0xF0, 0xF4, 0xF5, 0xFF]);
        let follow = proptest::sample::select(vec![0x41, 0x80, 0x8F, 0x90, 0x9F, 0xA0, 0xBF, 0xC0]);
        let odd = (lead, proptest::collection::vec(follow, 0..4)).prop_map(|(lead, mut bytes)| {
            bytes.insert(0, lead);
            bytes
        });
        proptest::collection::vec(prop_oneof![valid, odd], 0..6).prop_map(|parts| parts.concat())
    }

    proptest! {
        #[test]
        fn invalid_bytes_are_found_where_the_standard_library_finds_them(
            text in nearly_text(), piece in 1usize..9,
        ) {
            let expected = expected_good(&text);
            prop_assert_eq!(good(&text, 1), expected);
            // In longer pieces, the one that holds the fault is refused.
            let whole = if expected == text.len() { expected } else { expected / piece * piece };
            prop_assert_eq!(good(&text, piece), whole);
        }
    }

    #[test]
    fn surrogates_and_code_points_past_the_last_fail_at_their_second_byte() {
        for text in
            [&b"\xED\xA0\x80"[..], b"\xF4\x90\x80\x80", b"\xE0\x80\xAF", b"\xF0\x80\x80\xAF"]
        {
            assert_eq!(good(text, 1), 1, "{text:x?}");
        }
    }
}
