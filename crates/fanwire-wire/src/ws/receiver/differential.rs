//! Another implementation, tungstenite, must hear the same and refuse the same.

use std::io::{self, Cursor, ErrorKind, Read, Write};

use proptest::prelude::*;
use tungstenite::protocol::{Role, WebSocketConfig};
use tungstenite::{Error, Message, WebSocket};

use super::testing::*;
use super::*;

const SMALL: ReceiverLimits = ReceiverLimits { max_frame: 150, max_message: 300, binary: true };

/// A client that has said this and says nothing more for now.
struct Said(Cursor<Vec<u8>>);

impl Read for Said {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        match self.0.read(buf)? {
            0 => Err(ErrorKind::WouldBlock.into()),
            count => Ok(count),
        }
    }
}

impl Write for Said {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        Ok(buf.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// What tungstenite hears, and whether it refuses what comes then.
fn tungstenite_receives(bytes: Vec<u8>) -> (Vec<Event<'static>>, bool) {
    let config = WebSocketConfig::default()
        .max_frame_size(Some(SMALL.max_frame))
        .max_message_size(Some(SMALL.max_message));
    let mut socket =
        WebSocket::from_raw_socket(Said(Cursor::new(bytes)), Role::Server, Some(config));
    let mut events = Vec::new();
    loop {
        events.push(match socket.read() {
            Ok(Message::Text(said)) => text(said.as_str()),
            Ok(Message::Binary(said)) => binary(said),
            Ok(Message::Ping(payload)) => ping(payload),
            Ok(Message::Pong(_)) => Event::Pong,
            Ok(Message::Close(close)) => Event::Close(close.map(|close| CloseFrame {
                code: CloseCode::new(close.code.into()).expect("only such codes are generated"),
                reason: Cow::Owned(close.reason.as_str().to_owned()),
            })),
            Ok(Message::Frame(_)) => unreachable!("frames are for writing only"),
            Err(Error::Io(error)) if error.kind() == ErrorKind::WouldBlock => {
                return (events, false);
            }
            Err(Error::ConnectionClosed | Error::AlreadyClosed) => return (events, false),
            Err(_) => return (events, true),
        });
    }
}

fn payload() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        6 => "[a-zä]{0,40}".prop_map(String::into_bytes),
        // Over the limit of a frame, now and then.
        2 => proptest::collection::vec(b'a'..=b'z', 0..160),
        1 => proptest::collection::vec(any::<u8>(), 0..40),
    ]
}

/// A whole frame; most follow the protocol. Close codes are those that may be sent,
/// without 1014, which tungstenite does not know: it reports others as 1002.
fn whole_frame() -> impl Strategy<Value = Vec<u8>> {
    let first = prop_oneof![
        12 => proptest::sample::select(vec![0x81u8, 0x82, 0x01, 0x02, 0x00, 0x80, 0x89, 0x8A]),
        1 => any::<u8>().prop_filter("no close frame", |first| first & 0x0F != 0x8),
    ];
    let any = (first, payload(), any::<[u8; 4]>())
        .prop_map(|(first, payload, key)| masked(first, &payload, key));
    let unmasked = payload().prop_map(|payload| crate::ws::encode(Opcode::Text, &payload).to_vec());
    let code = prop_oneof![1000u16..=1003, 1007u16..=1013, 3000u16..5000];
    let close = (code, "[a-zä]{0,20}").prop_map(|(code, reason)| close(code, reason));
    prop_oneof![20 => any, 1 => unmasked, 1 => close]
}

proptest! {
    #[test]
    fn tungstenite_hears_and_refuses_the_same(
        frames in proptest::collection::vec(whole_frame(), 0..12),
    ) {
        let bytes = frames.concat();
        let (events, error) = receive_in(bytes.len().max(1), &bytes, false, SMALL);
        prop_assert_eq!(tungstenite_receives(bytes), (events, error.is_some()));
    }
}
