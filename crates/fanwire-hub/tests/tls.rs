//! Connections whose bytes go over TLS, against rustls's own client over loopback
//! sockets: what a session sees must be what it sees without.

#![expect(clippy::unwrap_used, reason = "what fails in a test is to end it")]

use std::convert::Infallible;
use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use bytes::Bytes;
use fanwire_hub::{
    Audience, ConnectionId, Context, Ending, Hub, HubOptions, Session, Transport, Turn,
};
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::pki_types::PrivateKeyDer;
use rustls::version::{TLS12, TLS13};
use rustls::{
    ClientConfig, ClientConnection, RootCertStore, ServerConfig, ServerConnection, StreamOwned,
    SupportedProtocolVersion,
};

/// How long a test waits for something that must happen.
const PATIENCE: Duration = Duration::from_secs(20);

/// Sends back what it gets.
struct Echo {
    news: Sender<News>,
}

#[derive(Debug, PartialEq, Eq)]
enum News {
    Received(usize),
    Drained,
    Ended(&'static str),
}

enum Command {
    Send(Bytes),
    Pause,
    Resume,
    ShutdownWrite,
    Finish,
}

impl Echo {
    fn tell(&self, news: News) {
        // A test that has seen enough may have gone.
        let _ = self.news.send(news);
    }
}

impl Session for Echo {
    type Command = Command;
    type Message = Bytes;
    type Shared = ();
    type Notice = Infallible;

    fn audience(&self) -> Audience {
        Audience(0)
    }

    fn opened(&mut self, _cx: &mut Context<'_, ()>) {}

    fn received(&mut self, input: &mut &mut [u8], cx: &mut Context<'_, ()>) {
        self.tell(News::Received(input.len()));
        cx.send(Bytes::copy_from_slice(input));
        *input = &mut [];
    }

    fn commanded(&mut self, command: Command, cx: &mut Context<'_, ()>) {
        match command {
            Command::Send(bytes) => cx.send(bytes),
            Command::Pause => cx.pause(),
            Command::Resume => cx.resume(),
            Command::ShutdownWrite => cx.shutdown_write(),
            Command::Finish => cx.finish(),
        }
    }

    fn drained(&mut self, _cx: &mut Context<'_, ()>) {
        self.tell(News::Drained);
    }

    fn stopping(&mut self, cx: &mut Context<'_, ()>) {
        cx.send(Bytes::from_static(b"bye"));
        cx.finish();
    }

    fn deadline(&self) -> Option<Instant> {
        None
    }

    fn expired(&mut self, _cx: &mut Context<'_, ()>) {}

    fn form(&self) -> Option<usize> {
        Some(0)
    }

    fn outbound_limit(&self) -> usize {
        64 * 1024
    }

    fn encode(message: &Bytes, _form: usize, _shared: &mut ()) -> Bytes {
        message.clone()
    }

    fn broadcast_sent(&mut self, _now: Instant) {}

    fn noticed(_turn: &mut Turn<'_, Self>, notice: Infallible) {
        match notice {}
    }

    fn closed(self, ending: Ending, _shared: &mut ()) {
        self.tell(News::Ended(match ending {
            Ending::Finished => "finished",
            Ending::PeerClosed => "peer closed",
            Ending::Failed(_) => "failed",
            Ending::HubStopped => "hub stopped",
        }));
    }
}

/// A certificate that its own holder has signed, for both sides of every test.
static CONFIGS: LazyLock<(Arc<ServerConfig>, RootCertStore)> = LazyLock::new(|| {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let certificate = made.cert.der().clone();
    let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
    let server = ServerConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.clone()], key)
        .unwrap();
    let mut roots = RootCertStore::empty();
    roots.add(certificate).unwrap();
    (Arc::new(server), roots)
});

/// A client whose handshake is not done yet.
fn client_connection(version: &'static SupportedProtocolVersion) -> ClientConnection {
    let config = ClientConfig::builder_with_provider(Arc::new(default_provider()))
        .with_protocol_versions(&[version])
        .unwrap()
        .with_root_certificates(CONFIGS.1.clone())
        .with_no_client_auth();
    ClientConnection::new(Arc::new(config), "localhost".try_into().unwrap()).unwrap()
}

struct Client {
    id: ConnectionId,
    stream: StreamOwned<ClientConnection, TcpStream>,
    news: Receiver<News>,
}

impl Client {
    fn expect(&mut self, expected: &[u8]) {
        let mut got = vec![0; expected.len()];
        self.stream.read_exact(&mut got).unwrap();
        assert!(got == expected, "{} bytes, but not those that were sent", got.len());
    }

    /// Reads to the end, which has to be TLS's own and not only the socket's.
    fn rest(&mut self) -> Vec<u8> {
        let mut rest = Vec::new();
        self.stream.read_to_end(&mut rest).unwrap();
        rest
    }

    /// Waits for `wanted`, whatever else comes before.
    fn hears(&self, wanted: &News) {
        while self.news.recv_timeout(PATIENCE).unwrap() != *wanted {}
    }
}

fn hub() -> Hub<Echo> {
    Hub::start(HubOptions { shards: 2, mailbox_bytes: 1 << 30, ..HubOptions::default() }).unwrap()
}

fn connect(hub: &Hub<Echo>) -> Client {
    attach(hub, &TLS13, b"", |_, _| {})
}

/// Connects, and gives the server's side to the hub once its handshake is done and
/// `before` has had its way with it. The client sends `early` in one go with the end of
/// its handshake.
fn attach(
    hub: &Hub<Echo>,
    version: &'static SupportedProtocolVersion,
    early: &[u8],
    before: impl FnOnce(&mut ServerConnection, &mut TcpStream) + Send,
) -> Client {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let socket = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    let (mut served, _) = listener.accept().unwrap();
    let mut stream = StreamOwned::new(client_connection(version), socket);
    let server = std::thread::scope(|scope| {
        let server = scope.spawn(move || {
            let mut server = ServerConnection::new(Arc::clone(&CONFIGS.0)).unwrap();
            server.complete_io(&mut served).unwrap();
            before(&mut server, &mut served);
            (served, server)
        });
        if early.is_empty() {
            stream.conn.complete_io(&mut stream.sock).unwrap();
        } else {
            stream.write_all(early).unwrap();
        }
        server.join().unwrap()
    });
    let (served, server) = server;
    served.set_nonblocking(true).unwrap();
    let (sender, news) = channel();
    let reservation = hub.reserve().unwrap();
    let id = reservation.id();
    let session = Echo { news: sender };
    assert!(hub.attach(reservation, Transport::tls(served, server), session, Vec::new()).is_ok());
    Client { id, stream, news }
}

fn pattern(len: usize) -> Vec<u8> {
    (0..len).map(|n| (n * 7 + n / 251) as u8).collect()
}

#[test]
fn messages_of_any_size_come_back_whole_in_both_versions_of_tls() {
    let hub = hub();
    for version in [&TLS12, &TLS13] {
        let mut client = attach(&hub, version, b"", |_, _| {});
        for size in [1, 100, 16 * 1024, 64 * 1024, 1 << 20] {
            let message = pattern(size);
            client.stream.write_all(&message).unwrap();
            client.expect(&message);
        }
    }
    hub.stop(PATIENCE);
}

#[test]
fn many_small_messages_come_back_in_order() {
    let hub = hub();
    let mut client = connect(&hub);
    let all = pattern(50_000);
    for message in all.chunks(10) {
        client.stream.write_all(message).unwrap();
    }
    client.expect(&all);
    hub.stop(PATIENCE);
}

#[test]
fn what_was_decrypted_before_the_hand_over_is_not_lost() {
    let hub = hub();
    let mut client = attach(&hub, &TLS13, b"early", |server, socket| {
        while server.process_new_packets().unwrap().plaintext_bytes_to_read() == 0 {
            server.read_tls(socket).unwrap();
        }
    });
    client.expect(b"early");
    hub.stop(PATIENCE);
}

#[test]
fn a_record_that_had_arrived_in_part_is_completed() {
    let hub = hub();
    let message = pattern(16 * 1024);
    let mut client = attach(&hub, &TLS13, &message, |server, socket| {
        // Reading the handshake may have read the beginning of the record, too.
        let mut part = Read::take(&mut *socket, 100);
        server.read_tls(&mut part).unwrap();
        assert_eq!(server.process_new_packets().unwrap().plaintext_bytes_to_read(), 0);
    });
    client.expect(&message);
    hub.stop(PATIENCE);
}

#[test]
fn what_was_encrypted_before_the_hand_over_is_written_first() {
    let hub = hub();
    let mut client = attach(&hub, &TLS13, b"", |server, _| {
        server.writer().write_all(b"101 and ").unwrap();
    });
    hub.command(client.id, Command::Send(Bytes::from_static(b"hello")), 0).unwrap();
    client.expect(b"101 and hello");
    hub.stop(PATIENCE);
}

#[test]
fn what_a_slow_peer_reads_late_is_whole_and_its_session_hears_that_it_is_through() {
    let hub = hub();
    let mut client = connect(&hub);
    let megabyte = pattern(1 << 20);
    for _ in 0..16 {
        let bytes = Bytes::from(megabyte.clone());
        hub.command(client.id, Command::Send(bytes), 0).unwrap();
    }
    for _ in 0..16 {
        client.expect(&megabyte);
    }
    client.hears(&News::Drained);
    hub.stop(PATIENCE);
}

#[test]
fn a_finished_connection_ends_after_all_it_has_sent_and_says_so() {
    let hub = hub();
    let mut client = connect(&hub);
    // More than the sockets hold, so that the goodbye has to wait its turn.
    let megabytes = pattern(16 << 20);
    hub.command(client.id, Command::Send(Bytes::from(megabytes.clone())), 0).unwrap();
    hub.command(client.id, Command::Finish, 0).unwrap();
    assert!(client.rest() == megabytes);
    client.hears(&News::Ended("finished"));
    hub.stop(PATIENCE);
}

#[test]
fn a_connection_that_writes_no_more_still_reads() {
    let hub = hub();
    let mut client = connect(&hub);
    hub.command(client.id, Command::Send(Bytes::from_static(b"last")), 0).unwrap();
    hub.command(client.id, Command::ShutdownWrite, 0).unwrap();
    assert_eq!(client.rest(), b"last");
    client.stream.write_all(b"still here").unwrap();
    client.hears(&News::Received(10));
    hub.stop(PATIENCE);
}

#[test]
fn a_peer_that_says_goodbye_is_gone_even_while_its_socket_is_open() {
    let hub = hub();
    let mut client = connect(&hub);
    client.stream.write_all(b"and").unwrap();
    client.stream.conn.send_close_notify();
    client.stream.flush().unwrap();
    client.hears(&News::Received(3));
    client.hears(&News::Ended("peer closed"));
    hub.stop(PATIENCE);
}

#[test]
fn a_peer_that_leaves_without_a_goodbye_is_gone_after_what_it_sent() {
    let hub = hub();
    let mut client = connect(&hub);
    client.stream.write_all(b"and").unwrap();
    client.stream.sock.shutdown(Shutdown::Write).unwrap();
    client.hears(&News::Received(3));
    client.hears(&News::Ended("peer closed"));
    hub.stop(PATIENCE);
}

#[test]
fn bytes_that_are_no_tls_end_the_connection_with_an_alert() {
    let hub = hub();
    let mut client = connect(&hub);
    client.stream.sock.write_all(b"GET / HTTP/1.1\r\n\r\n").unwrap();
    client.hears(&News::Ended("failed"));
    let error = client.stream.read(&mut [0; 16]).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::InvalidData, "{error}");
    hub.stop(PATIENCE);
}

#[test]
fn a_peer_may_change_its_keys_and_have_ours_changed() {
    let hub = hub();
    let mut client = connect(&hub);
    for message in [&b"one"[..], b"two", b"three"] {
        client.stream.write_all(message).unwrap();
        client.expect(message);
        client.stream.conn.refresh_traffic_keys().unwrap();
    }
    client.stream.write_all(b"four").unwrap();
    client.expect(b"four");
    hub.stop(PATIENCE);
}

#[test]
fn a_paused_session_gets_what_came_meanwhile_when_it_resumes() {
    let hub = hub();
    let mut client = connect(&hub);
    client.stream.write_all(b"one").unwrap();
    client.expect(b"one");
    hub.command(client.id, Command::Pause, 0).unwrap();
    // Commands are obeyed in order: once this is here, nothing more is read.
    hub.command(client.id, Command::Send(Bytes::from_static(b"paused")), 0).unwrap();
    client.expect(b"paused");
    let message = pattern(300_000);
    client.stream.write_all(&message).unwrap();
    hub.command(client.id, Command::Resume, 0).unwrap();
    client.expect(&message);
    hub.stop(PATIENCE);
}

#[test]
fn broadcasts_reach_bare_sockets_and_tls_alike_and_a_slow_one_holds_up_nobody() {
    let hub = hub();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut bare = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    bare.set_read_timeout(Some(PATIENCE)).unwrap();
    let (served, _) = listener.accept().unwrap();
    served.set_nonblocking(true).unwrap();
    let (sender, _news) = channel();
    let session = Echo { news: sender };
    assert!(hub.attach(hub.reserve().unwrap(), served, session, Vec::new()).is_ok());
    let mut quick = connect(&hub);
    let slow = connect(&hub);
    let chunk = Bytes::from(pattern(32 * 1024));
    let mut rounds = 0;
    while hub.stats().dropped == 0 && rounds < 2000 {
        hub.broadcast(Audience(0), chunk.clone(), chunk.len()).unwrap();
        quick.expect(&chunk);
        let mut got = vec![0; chunk.len()];
        bare.read_exact(&mut got).unwrap();
        assert!(got == chunk);
        rounds += 1;
    }
    assert!(hub.stats().dropped > 0, "64 MB cannot fit into a socket and a queue of 64 KB");
    drop(slow);
    hub.stop(PATIENCE);
    assert_eq!(quick.rest(), b"bye");
}
