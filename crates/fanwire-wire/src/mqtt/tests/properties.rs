//! What holds for all packets.

use proptest::prelude::*;

use super::*;

fn sizes() -> impl Strategy<Value = Vec<usize>> {
    proptest::collection::vec(prop_oneof![1usize..8, 1usize..400], 1..12)
}

/// The frames of bytes that arrive in pieces of these sizes, over and over, and the
/// error that they end in.
fn arrive(bytes: &[u8], sizes: &[usize], max: usize) -> (Vec<Frame<'static>>, Option<DecodeError>) {
    let mut framer = Framer::new();
    let mut frames = Vec::new();
    let mut rest = bytes;
    for size in sizes.iter().cycle() {
        let (mut piece, after) = rest.split_at(rest.len().min(*size));
        loop {
            match framer.next(&mut piece, max) {
                Ok(Some(frame)) => frames.push(frame.into_owned()),
                Ok(None) => break,
                Err(error) => return (frames, Some(error)),
            }
        }
        assert!(piece.is_empty());
        rest = after;
        if rest.is_empty() {
            break;
        }
    }
    (frames, None)
}

/// Several packets of one connection.
fn conversation<P: std::fmt::Debug>(
    packets: impl Fn(Version) -> BoxedStrategy<P>,
) -> impl Strategy<Value = (Version, Vec<P>)> {
    packets::version().prop_flat_map(move |version| {
        (Just(version), proptest::collection::vec(packets(version), 1..6))
    })
}

proptest! {
    #[test]
    fn what_a_client_encodes_is_read_however_it_is_chopped(
        (version, packets) in conversation(|version| packets::from_client(version).boxed()),
        sizes in sizes(),
    ) {
        let bytes: Vec<u8> =
            packets.iter().flat_map(|packet| packets::encode(packet, version)).collect();
        let (frames, error) = arrive(&bytes, &sizes, MAX_PACKET);
        prop_assert_eq!(error, None);
        prop_assert_eq!(frames.iter().map(Frame::wire_len).sum::<usize>(), bytes.len());
        let read: Result<Vec<_>, _> = frames.iter().map(|frame| frame.decode(version)).collect();
        prop_assert_eq!(read.as_ref(), Ok(&packets));
    }

    #[test]
    fn what_a_server_encodes_is_read_however_it_is_chopped(
        (version, packets) in conversation(|version| packets::from_server(version).boxed()),
        sizes in sizes(),
    ) {
        let bytes: Vec<u8> =
            packets.iter().flat_map(|packet| packets::encode_from_server(packet, version)).collect();
        let (frames, error) = arrive(&bytes, &sizes, MAX_PACKET);
        prop_assert_eq!(error, None);
        let read: Result<Vec<_>, _> =
            frames.iter().map(|frame| frame.decode_from_server(version)).collect();
        prop_assert_eq!(read.as_ref(), Ok(&packets));
        for packet in packets {
            let ServerPacket::Publish(publish) = packet else { continue };
            let bytes = packets::encode_from_server(&packet, version);
            prop_assert_eq!(publish.encoded_len(version), bytes.len());
            let id = publish.packet_id_offset(version).map(|at| [bytes[at], bytes[at + 1]]);
            prop_assert_eq!(id, publish.packet_id.map(|id| id.get().to_be_bytes()));
        }
    }

    #[test]
    fn how_bytes_are_split_makes_no_difference_whatever_they_are(
        bytes in proptest::collection::vec(prop_oneof![0u8..6, any::<u8>()], 0..200),
        sizes in sizes(), max in 2usize..60,
    ) {
        let whole = arrive(&bytes, &[bytes.len().max(1)], max);
        prop_assert!(whole.0.iter().all(|frame| frame.wire_len() <= max));
        prop_assert_eq!(arrive(&bytes, &sizes, max), whole);
    }

    #[test]
    fn arbitrary_bodies_are_packets_or_errors_but_never_a_panic(
        first: u8, body in proptest::collection::vec(prop_oneof![0u8..40, any::<u8>()], 0..60),
    ) {
        let frame = Frame { first, body: body.into() };
        for version in VERSIONS {
            let _ = frame.decode(version);
            let _ = frame.decode_from_server(version);
        }
        let _ = (frame.connect(), frame.connect_version());
    }

    #[test]
    fn what_is_accepted_means_the_same_after_encoding_it_again(
        (version, bytes) in packets::version()
            .prop_flat_map(|version| (Just(version), packets::mutated(version))),
    ) {
        let frame = frame(&bytes).unwrap();
        let Ok(packet) = frame.decode(version) else { return Ok(()) };
        let version = match packet {
            Packet::Connect(connect) => connect.version,
            _ => version,
        };
        let again = packets::encode(&packet, version);
        let frame = super::frame(&again).unwrap();
        prop_assert_eq!(frame.decode(version), Ok(packet));
        prop_assert!(again.len() <= bytes.len());
    }
}
