//! What holds for all conversations.

use proptest::prelude::*;

use super::testing::*;
use super::*;

#[derive(Debug, Clone)]
enum Said {
    Text(String),
    Binary(Vec<u8>),
    Ping(Vec<u8>),
    Pong(Vec<u8>),
}

fn said() -> impl Strategy<Value = Said> {
    let bytes = |max| proptest::collection::vec(any::<u8>(), 0..max);
    prop_oneof![
        "\\PC{0,200}".prop_map(Said::Text),
        bytes(300).prop_map(Said::Binary),
        bytes(126).prop_map(Said::Ping),
        bytes(126).prop_map(Said::Pong),
    ]
}

/// The frames of a message, in fragments of `fragment` bytes and with a ping after
/// each but the last.
fn fragments(opcode: u8, payload: &[u8], fragment: usize, key: [u8; 4]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let count = payload.len().div_ceil(fragment).max(1);
    let mut pieces = payload.chunks(fragment);
    for nth in 0..count {
        let last = nth + 1 == count;
        let first = if nth == 0 { opcode } else { CONTINUATION } | if last { FIN } else { 0 };
        bytes.extend(masked(first, pieces.next().unwrap_or_default(), key));
        if !last {
            bytes.extend(frame(PING, "between"));
        }
    }
    bytes
}

/// Lets bytes arrive in pieces of these sizes, over and over.
fn receive_in_sizes(
    bytes: &[u8],
    sizes: &[usize],
    compression: bool,
    limits: ReceiverLimits,
) -> Outcome {
    let mut connection = Connection::new(compression, limits);
    let mut rest = bytes;
    for size in sizes.iter().cycle() {
        let (piece, after) = rest.split_at(rest.len().min(*size));
        connection.arrive(piece);
        rest = after;
        if rest.is_empty() {
            break;
        }
    }
    connection.outcome
}

fn sizes() -> impl Strategy<Value = Vec<usize>> {
    proptest::collection::vec(prop_oneof![1usize..8, 1usize..400], 1..12)
}

/// Bytes that are frames more often than not.
fn nearly_frames() -> impl Strategy<Value = Vec<u8>> {
    let first = prop_oneof![
        8 => proptest::sample::select(vec![0x81u8, 0x82, 0x01, 0x02, 0x00, 0x80, 0x89, 0x8A, 0xC1, 0x41]),
        1 => any::<u8>(),
    ];
    let payload = prop_oneof![
        "[a-zä]{0,40}".prop_map(String::into_bytes),
        proptest::collection::vec(any::<u8>(), 0..200),
        (any::<u16>(), "[a-z]{0,5}").prop_map(|(code, reason)| {
            [&(900 + code % 4200).to_be_bytes(), reason.as_bytes()].concat()
        }),
    ];
    let one = prop_oneof![
        12 => (first, payload, any::<[u8; 4]>()).prop_map(|(first, payload, key)| masked(first, &payload, key)),
        1 => proptest::collection::vec(any::<u8>(), 0..20),
    ];
    proptest::collection::vec(one, 0..8).prop_map(|frames| frames.concat())
}

proptest! {
    #[test]
    fn what_is_said_is_heard_however_it_is_masked_fragmented_and_chopped(
        conversation in proptest::collection::vec((said(), 1usize..200, any::<[u8; 4]>()), 0..8),
        sizes in sizes(),
    ) {
        let mut bytes = Vec::new();
        let mut expected = Vec::new();
        for (said, fragment, key) in conversation {
            let (message, opcode, payload) = match said {
                Said::Text(said) => (text(said.as_str()), TEXT, said.into_bytes()),
                Said::Binary(said) => (binary(said.as_slice()), BINARY, said),
                Said::Ping(said) => {
                    bytes.extend(masked(PING, &said, key));
                    expected.push(ping(said));
                    continue;
                }
                Said::Pong(said) => {
                    bytes.extend(masked(PONG, &said, key));
                    expected.push(Event::Pong);
                    continue;
                }
            };
            bytes.extend(fragments(opcode, &payload, fragment, key));
            let pings = payload.len().div_ceil(fragment).saturating_sub(1);
            expected.extend(std::iter::repeat_n(ping("between"), pings));
            expected.push(message);
        }
        prop_assert_eq!(receive_in_sizes(&bytes, &sizes, false, LIMITS), (expected, None));
    }

    #[test]
    fn how_bytes_are_split_makes_no_difference_whatever_they_are(
        bytes in nearly_frames(), sizes in sizes(), compression: bool, binary: bool,
    ) {
        let limits = ReceiverLimits { max_frame: 150, max_message: 300, binary };
        let whole = receive_in(bytes.len().max(1), &bytes, compression, limits);
        prop_assert_eq!(receive_in_sizes(&bytes, &sizes, compression, limits), whole);
    }

    #[test]
    fn no_message_is_longer_than_the_limit(bytes in nearly_frames(), max in 0usize..100) {
        let limits = ReceiverLimits { max_frame: 1000, max_message: max, binary: true };
        for event in receive_in(1, &bytes, true, limits).0 {
            match event {
                Event::Text(text) => prop_assert!(text.len() <= max),
                Event::Binary(bytes) => prop_assert!(bytes.len() <= max),
                Event::Ping(bytes) => prop_assert!(bytes.len() <= 125),
                Event::Pong | Event::Close(_) => {}
            }
        }
    }

    #[test]
    fn arbitrary_bytes_end_in_events_or_an_error_but_never_a_panic(
        bytes in proptest::collection::vec(any::<u8>(), 0..300), compression: bool,
    ) {
        receive_in(bytes.len().max(1), &bytes, compression, LIMITS);
    }

    #[test]
    fn a_text_fails_at_the_byte_where_it_stops_being_utf8(
        good in "\\PC{0,30}", bad in any::<[u8; 4]>(), rest in "\\PC{0,10}",
    ) {
        let payload = [good.as_bytes(), &bad, rest.as_bytes()].concat();
        let at = (0..payload.len()).find(|&at| {
            std::str::from_utf8(&payload[..=at]).is_err_and(|error| error.error_len().is_some())
        });
        let bytes = frame(FIN | TEXT, &payload);
        let header = bytes.len() - payload.len();
        let mut connection = Connection::new(false, LIMITS);
        let failed = bytes.iter().position(|byte| {
            connection.arrive(&[*byte]);
            connection.outcome.1.is_some()
        });
        match at {
            Some(at) => prop_assert_eq!(failed, Some(header + at)),
            // Valid, or cut within a character, which only the end shows.
            None if std::str::from_utf8(&payload).is_ok() => prop_assert_eq!(failed, None),
            None => prop_assert_eq!(failed, Some(bytes.len() - 1)),
        }
    }
}
