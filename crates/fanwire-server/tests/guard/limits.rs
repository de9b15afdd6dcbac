//! What one address, one principal and one connection may ask for.

use std::time::Duration;

use fanwire_access::Excess;
use fanwire_wire::ws::{Opcode, encode};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::world::World;

/// A WebSocket handshake: the status, and the socket.
async fn knock(world: &World) -> (u16, TcpStream) {
    let at = world.server.address();
    let mut stream = TcpStream::connect(at).await.unwrap();
    let request = format!(
        "GET /dev HTTP/1.1\r\nhost: {at}\r\nconnection: upgrade\r\nupgrade: websocket\r\n\
         sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(within(stream.read_u8()).await.unwrap());
    }
    let head = String::from_utf8(head).unwrap();
    (head.split(' ').nth(1).unwrap().parse().unwrap(), stream)
}

/// The reason code of the CONNACK of MQTT 5 that a client gets.
async fn connack(world: &World, client_id: &str) -> (u8, TcpStream) {
    let mut stream = TcpStream::connect(world.server.address()).await.unwrap();
    let mut packet = vec![0x10, 13 + client_id.len() as u8, 0, 4];
    packet.extend_from_slice(b"MQTT\x05\x02\x00\x3c\x00\x00");
    packet.push(client_id.len() as u8);
    packet.extend_from_slice(client_id.as_bytes());
    stream.write_all(&packet).await.unwrap();
    let mut head = [0; 4];
    within(stream.read_exact(&mut head)).await.unwrap();
    assert_eq!(head[0], 0x20);
    (head[3], stream)
}

async fn within<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(20), future).await.unwrap()
}

fn refused(world: &World, excess: Excess) -> u64 {
    world.server.limiter().refused().find(|(each, _)| *each == excess).unwrap().1
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_has_so_many_connections_over_all_planes() {
    let world = World::new("[limits]\nmax_connections_per_address = 2\n").await;
    let (first, websocket) = knock(&world).await;
    let (second, mqtt) = connack(&world, "a").await;
    assert_eq!((first, second), (101, 0));
    assert_eq!(knock(&world).await.0, 429);
    assert_eq!(connack(&world, "b").await.0, 0x97);
    assert_eq!(refused(&world, Excess::Address), 2);
    drop((websocket, mqtt));
    // Their places are free once their shards have noticed.
    for _ in 0..400 {
        if connack(&world, "c").await.0 == 0 {
            return world.server.stop(Duration::from_secs(1)).await;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("the places are not given back");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_has_so_many_connections_that_say_nothing() {
    let world = World::new("[limits]\nmax_connections_per_address = 2\n").await;
    let mut silent = Vec::new();
    for _ in 0..2 {
        let mut stream = TcpStream::connect(world.server.address()).await.unwrap();
        // An answer shows that it is counted by now.
        stream.write_all(b"GET /ping HTTP/1.1\r\nhost: h\r\n\r\n").await.unwrap();
        within(stream.read_u8()).await.unwrap();
        silent.push(stream);
    }
    let mut third = TcpStream::connect(world.server.address()).await.unwrap();
    assert_eq!(within(third.read(&mut [0; 16])).await.unwrap(), 0);
    assert_eq!(refused(&world, Excess::Address), 1);
    drop(silent);
    world.server.stop(Duration::from_secs(1)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_connects_so_often() {
    let world = World::new("[limits]\nconnect_rate = 1\nconnect_burst = 2\n").await;
    let (first, second) = (knock(&world).await.0, connack(&world, "a").await.0);
    assert_eq!((first, second), (101, 0));
    assert_eq!(connack(&world, "b").await.0, 0x9F);
    assert_eq!(knock(&world).await.0, 429);
    assert_eq!(refused(&world, Excess::ConnectRate), 2);
    world.server.stop(Duration::from_secs(1)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_sends_too_much_is_closed_with_1008() {
    for limits in ["message_rate = 1\nmessage_burst = 2", "byte_rate = \"1KB\""] {
        let world = World::new(&format!("[limits]\n{limits}\n")).await;
        let (_, mut stream) = knock(&world).await;
        let mut frames = Vec::new();
        for _ in 0..3 {
            // A client's frame is masked, here with zeros.
            let frame = encode(Opcode::Text, "x".repeat(100).as_bytes());
            frames.extend_from_slice(&[frame[0], frame[1] | 0x80, 0, 0, 0, 0]);
            frames.extend_from_slice(&frame[2..]);
        }
        // Four times as much is over a kilobyte.
        stream.write_all(&frames.repeat(4)).await.unwrap();
        let mut seen = Vec::new();
        while !seen.windows(2).any(|pair| pair == 1008_u16.to_be_bytes()) {
            let mut byte = [0; 64];
            let count = within(stream.read(&mut byte)).await.unwrap();
            assert!(count > 0, "no 1008 in {seen:?}");
            seen.extend_from_slice(&byte[..count]);
        }
        world.server.stop(Duration::from_secs(1)).await;
    }
}
