//! Message compression (RFC 7692 section 7.2), without context takeover: every
//! message stands alone. So a compressor or decompressor holds nothing between two
//! messages and one of each serves all connections of a thread, where one per
//! connection would cost some 380 KB and 48 KB.

use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress, Status};

/// The widest LZ77 window, as the power of two that the extension's parameters use.
pub(super) const MAX_WINDOW_BITS: u8 = 15;

/// What a flush leaves at the end of a message: the sender takes it off, and the
/// receiver puts it back (RFC 7692 section 7.2.1).
const TAIL: [u8; 4] = [0x00, 0x00, 0xFF, 0xFF];

/// Room for output that compression and decompression start with at least, in bytes.
const MIN_ROOM: usize = 128;

/// Compresses messages. Takes its memory when it is first used; one per thread.
#[derive(Debug, Default)]
pub struct Deflater {
    stream: Option<Compress>,
}

/// Decompresses messages. Takes its memory when it is first used; one per thread.
#[derive(Debug, Default)]
pub struct Inflater {
    stream: Option<Decompress>,
}

/// Why a message could not be inflated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum InflateError {
    /// It would be longer than allowed. Found when it is, not before, but never
    /// later: at most one byte more than the limit is ever produced.
    TooLong,
    /// It is not DEFLATE data.
    Corrupt,
}

// === impl Deflater ===

impl Deflater {
    /// Compresses a message, unless that does not make it shorter.
    pub(super) fn deflate(&mut self, payload: &[u8]) -> Option<Vec<u8>> {
        let stream =
            self.stream.get_or_insert_with(|| Compress::new(Compression::default(), false));
        stream.reset();
        // Longer than the payload is of no use, so there is room for no more than it
        // and the tail. A flush is complete when it leaves room over.
        let mut out = Vec::with_capacity(payload.len() + TAIL.len());
        stream.compress_vec(payload, &mut out, FlushCompress::Sync).ok()?;
        let complete = stream.total_in() == payload.len() as u64 && out.len() < out.capacity();
        let shorter = out.strip_suffix(&TAIL)?.len();
        out.truncate(shorter);
        (complete && shorter < payload.len()).then_some(out)
    }
}

// === impl Inflater ===

impl Inflater {
    /// Decompresses a message of at most `max` bytes.
    pub(super) fn inflate(&mut self, payload: &[u8], max: usize) -> Result<Vec<u8>, InflateError> {
        let stream = self.stream.get_or_insert_with(|| Decompress::new(false));
        stream.reset(false);
        let room = payload.len().saturating_mul(3).max(MIN_ROOM).min(max.saturating_add(1));
        let mut out = Vec::with_capacity(room);
        for mut input in [payload, &TAIL] {
            // Every turn takes input, makes output, or ends.
            loop {
                let (taken_before, made_before) = (stream.total_in(), out.len());
                let status = stream
                    .decompress_vec(input, &mut out, FlushDecompress::Sync)
                    .map_err(|_| InflateError::Corrupt)?;
                if out.len() > max {
                    return Err(InflateError::TooLong);
                }
                let taken = (stream.total_in() - taken_before) as usize;
                input = &input[taken..];
                if status == Status::StreamEnd {
                    // A sender may end a stream within a message and start another
                    // (RFC 7692 section 7.2.3.5).
                    stream.reset(false);
                } else if out.len() == out.capacity() {
                    let room = out.len().max(MIN_ROOM).min(max + 1 - out.len());
                    out.reserve_exact(room);
                    continue;
                } else if taken == 0 && out.len() == made_before && !input.is_empty() {
                    return Err(InflateError::Corrupt);
                }
                if input.is_empty() {
                    break;
                }
            }
        }
        Ok(out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The five encodings of "Hello" that RFC 7692 section 7.2.3 shows.
    #[test]
    fn the_examples_of_the_rfc_inflate() {
        let mut inflater = Inflater::default();
        for example in [
            &[0xF2, 0x48, 0xCD, 0xC9, 0xC9, 0x07, 0x00][..],
            &[0x00, 0x05, 0x00, 0xFA, 0xFF, 0x48, 0x65, 0x6C, 0x6C, 0x6F, 0x00],
            &[0xF3, 0x48, 0xCD, 0xC9, 0xC9, 0x07, 0x00, 0x00],
            &[0xF2, 0x48, 0x05, 0x00, 0x00, 0x00, 0xFF, 0xFF, 0xCA, 0xC9, 0xC9, 0x07, 0x00],
        ] {
            assert_eq!(inflater.inflate(example, 5).as_deref(), Ok(&b"Hello"[..]), "{example:x?}");
        }
    }

    #[test]
    fn an_empty_message_inflates_to_nothing() {
        assert_eq!(Inflater::default().inflate(&[0x00], 0).as_deref(), Ok(&b""[..]));
        assert_eq!(Inflater::default().inflate(&[], 0).as_deref(), Ok(&b""[..]));
    }

    #[test]
    fn a_bomb_is_refused_without_inflating_it() {
        let bomb = Deflater::default().deflate(&vec![0; 50_000_000]).unwrap();
        let mut inflater = Inflater::default();
        assert_eq!(inflater.inflate(&bomb, 1000), Err(InflateError::TooLong));
        let stream = inflater.stream.unwrap();
        assert!(stream.total_out() <= 1001, "{} bytes", stream.total_out());
    }

    #[test]
    fn a_message_of_exactly_the_limit_passes_and_one_byte_more_does_not() {
        let packed = Deflater::default().deflate(&[7; 100_000]).unwrap();
        let mut inflater = Inflater::default();
        assert_eq!(inflater.inflate(&packed, 100_000).unwrap().len(), 100_000);
        assert_eq!(inflater.inflate(&packed, 99_999), Err(InflateError::TooLong));
    }

    #[test]
    fn what_is_not_deflate_data_is_corrupt() {
        // A block of the reserved type, and a stored block whose lengths disagree.
        for corrupt in [&[0x06, 0x00][..], &[0x00, 0x05, 0x00, 0x00, 0x00]] {
            assert_eq!(Inflater::default().inflate(corrupt, 100), Err(InflateError::Corrupt));
        }
    }

    proptest! {
        #[test]
        fn what_is_deflated_inflates_to_itself(
            words in proptest::collection::vec("[a-e]{1,9}", 0..2000),
        ) {
            let payload = words.concat().into_bytes();
            if let Some(packed) = Deflater::default().deflate(&payload) {
                prop_assert!(packed.len() < payload.len());
                prop_assert_eq!(Inflater::default().inflate(&packed, payload.len()), Ok(payload));
            }
        }

        #[test]
        fn arbitrary_bytes_never_inflate_past_the_limit(
            payload in proptest::collection::vec(any::<u8>(), 0..200), max in 0usize..3000,
        ) {
            if let Ok(out) = Inflater::default().inflate(&payload, max) {
                prop_assert!(out.len() <= max);
            }
        }
    }
}
