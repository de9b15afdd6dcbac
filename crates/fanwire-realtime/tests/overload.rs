//! More than there is room for: answers that a client does not take, connections.

#![allow(clippy::unwrap_used, reason = "tests, and helpers of tests")]

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use fanwire_app::model::{self, Profile, RealtimeLimits};
use fanwire_functions::{FunctionEvent, Functions, HostOptions};
use fanwire_hub::{HubOptions, Transport};
use fanwire_realtime::{
    Arrival, ClientStream, Message, Natives, Observer, Realtime, RealtimeEvent, RealtimeParts,
};
use fanwire_wire::mqtt::encode_ping_request;
use indexmap::IndexMap;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, ReadBuf};
use tokio::net::{TcpListener, TcpSocket, TcpStream};

/// What a client may send at the most until it is found to be held, in bytes: far more than
/// sockets keep.
const MOST: usize = 64 * 1024 * 1024;

/// Longer than anything takes: a test that waits this long has failed.
const PATIENCE: Duration = Duration::from_secs(60);

const ADMITTED: [u8; 4] = [0x20, 2, 0, 0];

/// The server is unavailable (MQTT 3.1.1, 3.2.2.3).
const UNAVAILABLE: [u8; 4] = [0x20, 2, 0, 3];

/// Looks away.
struct Nobody;

impl Observer for Nobody {
    fn observe(&self, _: &RealtimeEvent<'_>) {}
}

impl fanwire_functions::Observer for Nobody {
    fn observe(&self, _: FunctionEvent<'_>) {}
}

/// The server's end of a connection.
struct ServerEnd(TcpStream);

impl AsyncRead for ServerEnd {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buf)
    }
}

impl AsyncWrite for ServerEnd {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}

impl ClientStream for ServerEnd {
    fn into_transport(self) -> io::Result<Transport> {
        self.0.into_std().map(Transport::from)
    }
}

fn plane(max_connections: usize) -> (Realtime, Functions) {
    plane_with(max_connections, |_| {})
}

fn plane_with(
    max_connections: usize,
    change: impl FnOnce(&mut RealtimeLimits),
) -> (Realtime, Functions) {
    let functions =
        Functions::start(&IndexMap::new(), HostOptions::default(), Arc::new(Nobody)).unwrap();
    let mut model = model::Realtime::new(Profile::Open);
    model.allow_anonymous = true;
    model.limits.max_outbound_bytes = 64 * 1024;
    change(&mut model.limits);
    let parts = RealtimeParts {
        limiter: std::sync::Arc::default(),
        hub: HubOptions { shards: 1, max_connections, ..HubOptions::default() },
        functions: functions.clone(),
        natives: Natives::default(),
        store: None,
        mesh: None,
        observer: Arc::new(Nobody),
        runtime: tokio::runtime::Handle::current(),
        region: "us-east-1".to_owned(),
        account_id: "123456789012".to_owned(),
    };
    (Realtime::start(&model, parts).unwrap(), functions)
}

/// A client with a keep-alive in seconds, and what it is answered.
async fn connect(realtime: &Realtime, keep_alive: u8) -> (TcpStream, [u8; 4]) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    let address: SocketAddr = listener.local_addr().unwrap();
    let (client, accepted) = tokio::join!(socket.connect(address), listener.accept());
    let (stream, peer) = accepted.unwrap();
    let handshake =
        realtime.handshake(ServerEnd(stream), Vec::new(), Arrival { peer, tls: None, http: None });
    let mut client = client.unwrap();
    // CONNECT of MQTT 3.1.1, with a clean session.
    let mut packet = *b"\x10\x0d\0\x04MQTT\x04\x02\0_\0\x01c";
    packet[11] = keep_alive;
    client.write_all(&packet).await.unwrap();
    handshake.await;
    let mut answer = [0; 4];
    client.read_exact(&mut answer).await.unwrap();
    (client, answer)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_takes_no_answers_is_not_read_from_until_its_time_is_up() {
    let (realtime, functions) = plane(10);
    let (mut client, answer) = connect(&realtime, 1).await;
    assert_eq!(answer, ADMITTED);
    let mut pings = Vec::new();
    (0..32 * 1024).for_each(|_| encode_ping_request(&mut pings));
    let mut sent = 0;
    // Ends when the server closes: to it the client is silent, since nothing is read.
    while client.write_all(&pings).await.is_ok() {
        sent += pings.len();
        assert!(sent < MOST, "the server goes on reading");
    }
    realtime.stop(Duration::from_secs(10)).await;
    functions.shutdown(Duration::from_secs(10)).await;
}

#[tokio::test]
async fn a_client_for_which_there_is_no_place_is_told() {
    let (realtime, functions) = plane(1);
    let (first, answer) = connect(&realtime, 0).await;
    assert_eq!(answer, ADMITTED);
    let (_, answer) = connect(&realtime, 0).await;
    assert_eq!(answer, UNAVAILABLE);
    drop(first);
    realtime.stop(Duration::from_secs(10)).await;
    functions.shutdown(Duration::from_secs(10)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_gets_all_retained_messages_however_slowly_it_reads() {
    const MESSAGES: usize = 2000;
    let (realtime, functions) = plane(1);
    for at in 0..MESSAGES {
        let mut message = Message::new(format!("r/{at:04}"), vec![b'x'; 1024]);
        message.retain = true;
        realtime.publish(message).await.unwrap();
    }
    let (mut client, answer) = connect(&realtime, 0).await;
    assert_eq!(answer, ADMITTED);
    client.write_all(b"\x82\x08\0\x01\0\x03r/#\0").await.unwrap();
    // SUBACK, and a header of 3 bytes, a topic and a payload for each.
    let mut all = vec![0; 5 + MESSAGES * (3 + 2 + 6 + 1024)];
    let read = tokio::time::timeout(PATIENCE, client.read_exact(&mut all)).await;
    assert!(matches!(read, Ok(Ok(_))), "{read:?}");
    assert!(all.windows(6).any(|topic| topic == b"r/1999"));
    drop(client);
    realtime.stop(Duration::from_secs(10)).await;
    functions.shutdown(Duration::from_secs(10)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_says_goodbye_and_reads_nothing_more_is_let_go() {
    let (realtime, functions) = plane_with(1, |limits| limits.max_outbound_bytes = 1 << 30);
    let (mut client, answer) = connect(&realtime, 0).await;
    assert_eq!(answer, ADMITTED);
    client.write_all(b"\x82\x06\0\x01\0\x01r\0").await.unwrap();
    let mut subscribed = [0; 5];
    client.read_exact(&mut subscribed).await.unwrap();
    // More than sockets keep.
    for _ in 0..512 {
        realtime.publish(Message::new("r", vec![b'x'; 64 * 1024])).await.unwrap();
    }
    until("the shard has taken all", || realtime.connections().waiting_bytes == 0);
    let before = realtime.connections().bytes_in;
    client.write_all(b"\xe0\0").await.unwrap();
    until("the shard has read it", || realtime.connections().bytes_in > before);
    assert_eq!(realtime.connections().connections, 1, "it still has something to read");
    realtime.advance_clock(Duration::from_secs(10));
    until("it is gone", || realtime.connections().connections == 0);
    realtime.stop(Duration::from_secs(10)).await;
    functions.shutdown(Duration::from_secs(10)).await;
}

/// Waits until it is so.
fn until(what: &str, mut so: impl FnMut() -> bool) {
    let end = std::time::Instant::now() + PATIENCE;
    while !so() {
        assert!(std::time::Instant::now() < end, "not in time: {what}");
        std::thread::yield_now();
    }
}

/// Has a client get two messages: between them its shard has had a look at the time.
async fn is_there(realtime: &Realtime, client: &mut TcpStream) -> bool {
    for _ in 0..2 {
        realtime.publish(Message::new("t", "x")).await.unwrap();
        let mut publish = [0; 6];
        let read = tokio::time::timeout(PATIENCE, client.read_exact(&mut publish)).await.unwrap();
        if read.is_err() || publish != *b"\x30\x04\0\x01tx" {
            return false;
        }
    }
    true
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_is_read_later_is_not_taken_for_silent() {
    let (realtime, functions) = plane_with(1, |limits| limits.publishes_per_second = Some(1));
    let (mut client, answer) = connect(&realtime, 10).await;
    assert_eq!(answer, ADMITTED);
    client.write_all(b"\x82\x06\0\x01\0\x01t\0").await.unwrap();
    let mut acknowledged = [0; 5];
    client.read_exact(&mut acknowledged).await.unwrap();
    // As many as it may send in three minutes.
    let messages: Vec<u8> = (0..200).flat_map(|_| *b"\x32\x05\0\x01u\0\x01").collect();
    client.write_all(&messages).await.unwrap();
    client.read_exact(&mut [0; 200 * 4]).await.unwrap();
    realtime.advance_clock(Duration::from_secs(60));
    assert!(is_there(&realtime, &mut client).await);
    realtime.stop(Duration::from_secs(10)).await;
    functions.shutdown(Duration::from_secs(10)).await;
}
