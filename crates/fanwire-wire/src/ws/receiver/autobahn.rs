//! The cases of the Autobahn test suite that concern a server's receiving side, by
//! its section numbers, so that they run without it. Sizes are scaled down; every
//! case is run with the bytes arriving at once and in pieces.

use super::testing::*;
use super::*;
use crate::ws::Deflater;

// === 1 Framing ===

#[test]
fn s1_1_texts_of_every_length_form_arrive() {
    for len in [0, 125, 126, 127, 128, 65_535, 65_536] {
        let said = "*".repeat(len);
        assert_eq!(events(&[frame(FIN | TEXT, &said)]), [text(said)]);
    }
}

#[test]
fn s1_2_binary_messages_of_every_length_form_arrive() {
    for len in [0, 125, 126, 127, 128, 65_535, 65_536] {
        let said = vec![0xFE; len];
        assert_eq!(events(&[frame(FIN | BINARY, &said)]), [binary(said)]);
    }
}

// === 2 Pings and pongs ===

#[test]
fn s2_1_to_2_4_pings_of_up_to_125_bytes_of_anything_arrive() {
    for said in [&b""[..], b"Hello, world!", &[0x00, 0xFF, 0xFE, 0xFD, 0xFC, 0xFB], &[0xFE; 125]] {
        assert_eq!(events(&[frame(PING, said)]), [ping(said)]);
    }
}

#[test]
fn s2_5_a_ping_of_126_bytes_fails_the_connection() {
    assert_eq!(failure(&[frame(PING, [0xFE; 126])], 0), 1002);
}

#[test]
fn s2_7_to_2_9_unsolicited_pongs_are_only_noted() {
    let said = [frame(PONG, ""), frame(PONG, "unsolicited"), frame(PING, "ping")];
    assert_eq!(events(&said), [Event::Pong, Event::Pong, ping("ping")]);
}

#[test]
fn s2_10_many_pings_arrive_in_order() {
    let said: Vec<_> = (0..10).map(|n| frame(PING, format!("payload-{n}"))).collect();
    let heard: Vec<_> = (0..10).map(|n| ping(format!("payload-{n}"))).collect();
    assert_eq!(events(&said), heard);
}

// === 3 Reserved bits ===

#[test]
fn s3_a_reserved_bit_fails_the_connection_after_what_came_before() {
    for bits in 1..=7u8 {
        for opcode in [FIN | TEXT, FIN | BINARY, PING, CLOSE] {
            let said =
                [frame(FIN | TEXT, "first"), frame(opcode | bits << 4, "second"), frame(PING, "")];
            assert_eq!(failure(&said, 1), 1002, "bits {bits}, opcode {opcode}");
        }
    }
}

// === 4 Opcodes ===

#[test]
fn s4_a_reserved_opcode_fails_the_connection() {
    for opcode in (3..=7).chain(11..=15) {
        for payload in ["", "payload"] {
            let said = [frame(FIN | TEXT, "first"), frame(FIN | opcode, payload), frame(PING, "")];
            assert_eq!(failure(&said, 1), 1002, "opcode {opcode}");
        }
    }
}

// === 5 Fragmentation ===

#[test]
fn s5_1_and_5_2_fragmented_control_frames_fail_the_connection() {
    for control in [PING, PONG, CLOSE] {
        let said = [frame(control & !FIN, "fragment1"), frame(FIN | CONTINUATION, "fragment2")];
        assert_eq!(failure(&said, 0), 1002);
    }
}

#[test]
fn s5_3_to_5_8_fragments_are_joined_and_control_frames_come_between() {
    assert_eq!(
        events(&[frame(TEXT, "fragment1"), frame(FIN | CONTINUATION, "fragment2")]),
        [text("fragment1fragment2")]
    );
    assert_eq!(
        events(&[
            frame(TEXT, "fragment1"),
            frame(PING, "ping"),
            frame(FIN | CONTINUATION, "fragment2")
        ]),
        [ping("ping"), text("fragment1fragment2")]
    );
}

#[test]
fn s5_9_to_5_14_a_continuation_of_nothing_fails_the_connection() {
    for first in [FIN | CONTINUATION, CONTINUATION] {
        assert_eq!(
            failure(&[frame(first, "not a continuation"), frame(FIN | TEXT, "Hello")], 0),
            1002
        );
    }
}

#[test]
fn s5_15_a_continuation_after_the_last_fragment_fails_the_connection() {
    let said = [
        frame(TEXT, "fragment1"),
        frame(FIN | CONTINUATION, "fragment2"),
        frame(CONTINUATION, "fragment3"),
    ];
    assert_eq!(failure(&said, 1), 1002);
}

#[test]
fn s5_18_a_message_within_a_message_fails_the_connection() {
    for second in [FIN | TEXT, TEXT, FIN | BINARY, BINARY] {
        assert_eq!(failure(&[frame(TEXT, "fragment1"), frame(second, "fragment2")], 0), 1002);
    }
}

#[test]
fn s5_19_and_5_20_five_fragments_and_two_pings_arrive() {
    let said = [
        frame(TEXT, "fragment1"),
        frame(CONTINUATION, "fragment2"),
        frame(PING, "ping 1"),
        frame(CONTINUATION, "fragment3"),
        frame(PING, "ping 2"),
        frame(CONTINUATION, "fragment4"),
        frame(FIN | CONTINUATION, "fragment5"),
    ];
    let heard =
        [ping("ping 1"), ping("ping 2"), text("fragment1fragment2fragment3fragment4fragment5")];
    assert_eq!(events(&said), heard);
}

// === 6 UTF-8 ===

const VALID: &str = "Hello-µ@ßöäüàá-UTF-8!!";

#[test]
fn s6_1_empty_texts_and_fragments_are_texts() {
    assert_eq!(events(&[frame(FIN | TEXT, "")]), [text("")]);
    let empty = [frame(TEXT, ""), frame(CONTINUATION, ""), frame(FIN | CONTINUATION, "")];
    assert_eq!(events(&empty), [text("")]);
    let middle = [frame(TEXT, ""), frame(CONTINUATION, "middle"), frame(FIN | CONTINUATION, "")];
    assert_eq!(events(&middle), [text("middle")]);
}

#[test]
fn s6_2_fragments_may_end_within_a_character() {
    for at in 0..=VALID.len() {
        let (left, right) = VALID.as_bytes().split_at(at);
        assert_eq!(events(&[frame(TEXT, left), frame(FIN | CONTINUATION, right)]), [text(VALID)]);
    }
}

#[test]
fn s6_3_invalid_text_fails_the_connection_whole_and_in_fragments() {
    let bad = b"\xCE\xBA\xE1\xBD\xB9\xCF\x83\xCE\xBC\xCE\xB5\xED\xA0\x80edited";
    assert_eq!(failure(&[frame(FIN | TEXT, bad)], 0), 1007);
    let mut fragments: Vec<_> = bad.iter().map(|byte| frame(CONTINUATION, [*byte])).collect();
    fragments[0][0] = TEXT;
    assert_eq!(failure(&fragments, 0), 1007);
}

/// The four cases that most servers pass as NON-STRICT only: the connection fails as
/// soon as the invalid byte is there, not at the end of the frame or the message.
#[test]
fn s6_4_invalid_text_fails_fast() {
    let (valid, invalid, more) = (
        &b"\xCE\xBA\xE1\xBD\xB9\xCF\x83\xCE\xBC\xCE\xB5\xF4"[..],
        &b"\x90"[..],
        &b"\x80\x80edited"[..],
    );

    // 6.4.1 and 6.4.2: within a message, on the frame that holds the invalid byte.
    let mut connection = Connection::new(false, LIMITS);
    connection.arrive(&frame(TEXT, valid));
    assert_eq!(connection.outcome.1, None);
    connection.arrive(&frame(CONTINUATION, invalid));
    assert_eq!(connection.outcome.1.map(|error| error.code), Some(CloseCode::INVALID_PAYLOAD));

    // 6.4.3 and 6.4.4: within a frame, before its rest has arrived.
    let whole = frame(FIN | TEXT, [valid, invalid, more].concat());
    let header = whole.len() - valid.len() - invalid.len() - more.len();
    let mut connection = Connection::new(false, LIMITS);
    connection.arrive(&whole[..header + valid.len()]);
    assert_eq!(connection.outcome.1, None);
    connection.arrive(&whole[header + valid.len()..][..1]);
    assert_eq!(connection.outcome.1.map(|error| error.code), Some(CloseCode::INVALID_PAYLOAD));
}

#[test]
fn s6_5_to_6_11_6_22_and_6_23_every_kind_of_valid_character_arrives() {
    let boundaries = [
        "κόσμε",
        "\0",
        "\u{80}",
        "\u{800}",
        "\u{10000}",
        "\u{7F}",
        "\u{7FF}",
        "\u{FFFF}",
        "\u{10FFFF}",
        "\u{D7FF}",
        "\u{E000}",
        "\u{FFFD}",
        "\u{FFFE}",
        "\u{1FFFE}",
        "\u{10FFFE}",
    ];
    for said in boundaries {
        assert_eq!(events(&[frame(FIN | TEXT, said)]), [text(said)]);
    }
}

#[test]
fn s6_6_a_text_that_ends_within_a_character_fails_the_connection() {
    for bad in ["κ", "ό", "\u{10000}"].map(|c| &c.as_bytes()[..c.len() - 1]) {
        assert_eq!(failure(&[frame(FIN | TEXT, bad)], 0), 1007);
        let fragments = [frame(TEXT, bad), frame(FIN | CONTINUATION, "")];
        assert_eq!(failure(&fragments, 0), 1007);
    }
}

#[test]
fn s6_8_and_6_10_to_6_21_every_kind_of_invalid_sequence_fails_the_connection() {
    let invalid: [&[u8]; 24] = [
        b"\xF8\x88\x80\x80\x80", // 6.8: five and six bytes
        b"\xFC\x84\x80\x80\x80\x80",
        b"\xF7\xBF\xBF\xBF", // 6.10 past the last code point
        b"\xF4\x90\x80\x80", // 6.11.5
        b"\x80",
        b"\xBF", // 6.12 lonely continuation bytes
        b"\x80\xBF\x80\xBF",
        b"\xC0\x20",
        b"\xE0\x20", // 6.13 lonely starts
        b"\xF0\x20",
        b"\xF8\x20",
        b"\xFC\x20",
        b"\xC0",
        b"\xE0\x80",
        b"\xF0\x80\x80",             // 6.14 last byte missing
        b"\xC0\xE0\x80\xF0\x80\x80", // 6.15 joined
        b"\xFE",
        b"\xFF", // 6.16 impossible bytes
        b"\xC0\xAF",
        b"\xE0\x80\xAF", // 6.17 overlong
        b"\xC1\xBF",
        b"\xF0\x8F\xBF\xBF",         // 6.18
        b"\xED\xA0\x80",             // 6.20 surrogates
        b"\xED\xA0\x80\xED\xB0\x80", // 6.21 paired
    ];
    for bad in invalid {
        assert_eq!(failure(&[frame(FIN | TEXT, bad)], 0), 1007, "{bad:x?}");
    }
}

// === 7 Close ===

fn closed(code: u16, reason: &str) -> Event<'static> {
    let code = CloseCode::new(code).unwrap();
    Event::Close(Some(CloseFrame { code, reason: Cow::Owned(reason.to_owned()) }))
}

#[test]
fn s7_1_nothing_is_heard_after_a_close() {
    for after in [frame(FIN | TEXT, "late"), frame(PING, ""), close(1000, ""), frame(0x83, "")] {
        assert_eq!(events(&[close(1000, ""), after]), [closed(1000, "")]);
    }
    // 7.1.5: not even the rest of a message that had begun.
    let said = [frame(TEXT, "fragment1"), close(1000, ""), frame(FIN | CONTINUATION, "fragment2")];
    assert_eq!(events(&said), [closed(1000, "")]);
}

#[test]
fn s7_3_close_payloads_are_empty_or_a_code_and_a_reason_of_up_to_123_bytes() {
    assert_eq!(events(&[frame(CLOSE, "")]), [Event::Close(None)]);
    assert_eq!(failure(&[frame(CLOSE, "x")], 0), 1002);
    assert_eq!(events(&[close(1000, "")]), [closed(1000, "")]);
    assert_eq!(events(&[close(1000, "Hello")]), [closed(1000, "Hello")]);
    let longest = "*".repeat(123);
    assert_eq!(events(&[close(1000, &longest)]), [closed(1000, &longest)]);
    assert_eq!(failure(&[close(1000, "*".repeat(124))], 0), 1002);
}

#[test]
fn s7_5_a_reason_that_is_not_utf8_fails_the_connection() {
    assert_eq!(failure(&[close(1000, b"\xCE\xBA\xED\xA0\x80edited")], 0), 1007);
}

#[test]
fn s7_7_every_code_that_may_be_sent_is_heard() {
    for code in [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 3000, 3999, 4000, 4999] {
        assert_eq!(events(&[close(code, "")]), [closed(code, "")]);
    }
}

#[test]
fn s7_9_and_7_13_every_other_code_fails_the_connection() {
    for code in [0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65_535] {
        assert_eq!(failure(&[close(code, "")], 0), 1002, "code {code}");
    }
}

// === 9 Sizes, scaled down ===

#[test]
fn s9_messages_of_the_greatest_size_arrive_in_one_frame_and_in_fragments() {
    let limits = ReceiverLimits { max_frame: 1 << 16, max_message: 1 << 16, binary: true };
    let said = "*".repeat(limits.max_message);
    let whole = receive_with(&frame(FIN | TEXT, &said), false, limits);
    assert_eq!(whole, (vec![text(said.as_str())], None));
    for fragment in [64, 256, 4096, 65_535] {
        let mut fragments: Vec<_> =
            said.as_bytes().chunks(fragment).map(|piece| frame(CONTINUATION, piece)).collect();
        fragments[0][0] |= TEXT;
        fragments.last_mut().unwrap()[0] |= FIN;
        let outcome = receive_in(1000, &fragments.concat(), false, limits);
        assert_eq!(outcome, (vec![text(said.as_str())], None));
    }
}

// === Limits, which the suite has no cases for ===

const SMALL: ReceiverLimits = ReceiverLimits { max_frame: 100, max_message: 150, binary: false };

/// Lets the bytes arrive one by one, and tells after how many the connection failed.
fn failing_byte(bytes: &[u8], compression: bool, limits: ReceiverLimits) -> (usize, u16) {
    let mut connection = Connection::new(compression, limits);
    for (at, byte) in bytes.iter().enumerate() {
        connection.arrive(&[*byte]);
        if let Some(error) = connection.outcome.1 {
            return (at + 1, error.code.get());
        }
    }
    panic!("the connection goes on");
}

#[test]
fn a_frame_over_the_limit_is_refused_on_its_header() {
    assert_eq!(failing_byte(&frame(FIN | TEXT, [b'*'; 101]), false, SMALL), (6, 1009));
    assert_eq!(failing_byte(&frame(TEXT, vec![b'*'; 70_000]), false, SMALL), (14, 1009));
    assert_eq!(receive_with(&frame(FIN | TEXT, [b'*'; 100]), false, SMALL).1, None);
}

#[test]
fn a_message_over_the_limit_is_refused_on_the_header_of_the_fragment_too_many() {
    let first = frame(TEXT, [b'*'; 100]);
    let fits = [first.clone(), frame(FIN | CONTINUATION, [b'*'; 50])].concat();
    assert_eq!(receive_with(&fits, false, SMALL).1, None);
    let over = [first.clone(), frame(CONTINUATION, [b'*'; 51])].concat();
    assert_eq!(failing_byte(&over, false, SMALL), (first.len() + 6, 1009));
}

#[test]
fn a_length_of_almost_2_to_the_63_is_only_too_big() {
    let mut header = vec![0x82, 0xFF, 0x7F];
    header.extend([0xFF; 7]);
    header.extend([0; 4]);
    let (events, error) = receive_with(&header, false, LIMITS);
    assert_eq!((events.len(), error.map(|error| error.code.get())), (0, Some(1009)));
}

#[test]
fn binary_is_refused_with_1003_where_only_text_is_accepted() {
    for first in [BINARY, FIN | BINARY] {
        assert_eq!(failing_byte(&frame(first, "binary"), false, SMALL), (6, 1003));
    }
}

#[test]
fn control_frames_are_outside_the_limits() {
    let none = ReceiverLimits { max_frame: 0, max_message: 0, binary: false };
    let (events, error) = receive_with(&frame(PING, [7; 125]), false, none);
    assert_eq!((events.len(), error), (1, None));
}

// === 12 and 13 Compression ===

/// The first byte and payload of a compressed message.
fn deflated(payload: &[u8]) -> Vec<u8> {
    Deflater::default().deflate(payload).expect("it gets shorter")
}

fn receive_compressed(frames: &[Vec<u8>]) -> Outcome {
    receive_with(&frames.concat(), true, LIMITS)
}

#[test]
fn s12_and_13_compressed_messages_arrive_whole_and_in_fragments() {
    for len in [64, 1024, 131_072] {
        let said = "{\"lorem\": \"ipsum\"} ".repeat(len / 16);
        let packed = deflated(said.as_bytes());
        let whole = frame(FIN | RSV1 | TEXT, &packed);
        assert_eq!(receive_compressed(&[whole]), (vec![text(said.as_str())], None));
        let (left, right) = packed.split_at(packed.len() / 2);
        let fragments = [
            frame(RSV1 | TEXT, left),
            frame(PING, "between"),
            frame(CONTINUATION, right),
            frame(FIN | CONTINUATION, ""),
        ];
        assert_eq!(receive_compressed(&fragments), (vec![ping("between"), text(said)], None));
    }
}

#[test]
fn each_message_says_for_itself_whether_it_is_compressed() {
    let said = "compressed ".repeat(20);
    let frames = [
        frame(FIN | RSV1 | BINARY, deflated(said.as_bytes())),
        frame(FIN | TEXT, "plain"),
        frame(FIN | RSV1 | TEXT, deflated(said.as_bytes())),
    ];
    let heard = vec![binary(said.as_bytes()), text("plain"), text(said)];
    assert_eq!(receive_compressed(&frames), (heard, None));
}

#[test]
fn a_compressed_text_must_be_utf8_once_inflated() {
    let bad = [b"a".repeat(100), vec![0xFF]].concat();
    let (events, error) = receive_compressed(&[frame(FIN | RSV1 | TEXT, deflated(&bad))]);
    assert_eq!((events.len(), error.map(|error| error.code.get())), (0, Some(1007)));
}

#[test]
fn a_compressed_message_that_does_not_inflate_fails_the_connection() {
    let (_, error) = receive_compressed(&[frame(FIN | RSV1 | TEXT, [0x06, 0x00])]);
    assert_eq!(error.map(|error| error.code.get()), Some(1007));
}

#[test]
fn a_compression_bit_on_a_continuation_or_a_control_frame_fails_the_connection() {
    for bad in [frame(RSV1 | CONTINUATION, ""), frame(RSV1 | PING, "")] {
        let (_, error) = receive_compressed(&[frame(RSV1 | TEXT, [0x00]), bad]);
        assert_eq!(error.map(|error| error.code.get()), Some(1002));
    }
}

#[test]
fn a_bomb_is_too_big_however_small_it_is_over_the_wire() {
    let bomb = deflated(&vec![0; LIMITS.max_message + 1]);
    assert!(bomb.len() < 2000);
    let (events, error) = receive_compressed(&[frame(FIN | RSV1 | BINARY, &bomb)]);
    assert_eq!((events.len(), error.map(|error| error.code.get())), (0, Some(1009)));
}

#[test]
fn compressed_fragments_without_end_are_too_big() {
    let fragment = frame(CONTINUATION, [0; 100]);
    let mut bytes = frame(RSV1 | BINARY, [0; 100]);
    (0..10).for_each(|_| bytes.extend(&fragment));
    assert_eq!(
        failing_byte(&bytes, true, ReceiverLimits { binary: true, ..SMALL }),
        (2 * 106 + 6, 1009)
    );
}
