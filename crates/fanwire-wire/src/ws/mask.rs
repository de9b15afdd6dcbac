//! Masking: what a client does to its payloads (RFC 6455 section 5.3).

/// Masks or unmasks `payload` in place; the two are the same operation. `offset` is
/// how many bytes of the frame's payload came before this piece.
pub(super) fn apply(payload: &mut [u8], key: [u8; 4], offset: usize) {
    let mut key = key;
    key.rotate_left(offset % 4);
    let [a, b, c, d] = key;
    let wide = u64::from_ne_bytes([a, b, c, d, a, b, c, d]);

    // Eight bytes at a time, which the compiler widens further.
    let (words, rest) = payload.as_chunks_mut::<8>();
    for word in words {
        *word = (u64::from_ne_bytes(*word) ^ wide).to_ne_bytes();
    }
    for (byte, key) in rest.iter_mut().zip(key.into_iter().cycle()) {
        *byte ^= key;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn pieces_are_unmasked_as_the_whole_is_byte_by_byte(
            mut payload in proptest::collection::vec(any::<u8>(), 0..100),
            key: [u8; 4],
            cut in 0usize..100,
        ) {
            let expected: Vec<u8> =
                payload.iter().enumerate().map(|(i, byte)| byte ^ key[i % 4]).collect();
            let cut = cut.min(payload.len());
            let (left, right) = payload.split_at_mut(cut);
            apply(left, key, 0);
            apply(right, key, cut);
            prop_assert_eq!(payload, expected);
        }
    }
}
