//! What a receiver holds, and when.

use super::testing::*;
use super::*;

#[test]
fn a_receiver_is_two_words() {
    assert!(size_of::<Receiver>() <= 16);
}

#[test]
fn nothing_is_held_between_messages_whatever_came_before() {
    let mut connection = Connection::new(false, LIMITS);
    let conversation = [
        frame(FIN | TEXT, "a"),
        frame(FIN | BINARY, vec![1; 70_000]),
        frame(TEXT, "b"),
        frame(PING, "p"),
        frame(CONTINUATION, "b"),
        frame(FIN | CONTINUATION, "b"),
        frame(PONG, "q"),
    ];
    for piece in [1, 5, 1000, usize::MAX] {
        for message in
            [&conversation[..1], &conversation[1..2], &conversation[2..6], &conversation[6..]]
        {
            for piece in message.concat().chunks(piece) {
                connection.arrive(piece);
            }
            assert!(connection.receiver.incomplete.is_none());
        }
    }
}

#[test]
fn nothing_is_held_after_the_end() {
    for end in [close(1000, ""), frame(0x83, "reserved")] {
        let mut connection = Connection::new(false, LIMITS);
        connection.arrive(&frame(TEXT, vec![b'a'; 1000]));
        assert!(connection.receiver.incomplete.is_some());
        connection.arrive(&end);
        assert!(connection.receiver.incomplete.is_none());
    }
}

#[test]
fn a_promised_length_reserves_nothing() {
    let mut connection = Connection::new(false, LIMITS);
    let promise = frame(FIN | BINARY, vec![0; LIMITS.max_frame]);
    connection.arrive(&promise[..20]);
    let message = connection.receiver.incomplete.unwrap().message.unwrap();
    assert!(message.payload.capacity() < 64, "{}", message.payload.capacity());
}

#[test]
fn a_whole_frame_is_borrowed_from_the_input() {
    let mut bytes = [frame(FIN | TEXT, "borrowed"), frame(PING, "also")].concat();
    let mut input = &mut bytes[..];
    let mut receiver = Receiver::new(false);
    let mut inflater = Inflater::default();
    for _ in 0..2 {
        let event = receiver.next(&mut input, &LIMITS, &mut inflater).unwrap();
        assert!(matches!(
            event,
            Some(Event::Text(Cow::Borrowed("borrowed")) | Event::Ping(Cow::Borrowed(b"also")))
        ));
    }
}
