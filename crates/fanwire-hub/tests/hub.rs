//! A hub with a line-less echo protocol over real loopback sockets: what a plane can
//! rely on, whatever its protocol.

#![expect(clippy::unwrap_used, reason = "what fails in a test is to end it")]

use std::convert::Infallible;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

use bytes::Bytes;
use fanwire_hub::{Audience, Context, Ending, Hub, HubOptions, Reservation, Session, Turn};

/// How long a test waits for something that must happen.
const PATIENCE: Duration = Duration::from_secs(20);

/// Echoes bytes. `p` pauses reading, `!` leaves what comes after it; the commands are below.
struct Echo {
    news: Sender<News>,
    deadline: Option<Instant>,
    deaf: bool,
}

#[derive(Debug, PartialEq, Eq)]
enum News {
    Received(Vec<u8>),
    Expired,
    Drained,
    Ended(&'static str),
}

enum Command {
    Resume,
    Finish,
    SleepFor(Duration),
    Send(Bytes),
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

    fn opened(&mut self, cx: &mut Context<'_, ()>) {
        cx.send(Bytes::from_static(b"hello"));
    }

    fn received(&mut self, input: &mut &mut [u8], cx: &mut Context<'_, ()>) {
        let stop = input.iter().position(|byte| matches!(byte, b'p' | b'!'));
        let end = stop.map_or(input.len(), |at| at + 1);
        let (taken, rest) = std::mem::take(input).split_at_mut(end);
        *input = rest;
        self.tell(News::Received(taken.to_vec()));
        cx.send(Bytes::copy_from_slice(taken));
        if taken.ends_with(b"p") {
            cx.pause();
        }
    }

    fn commanded(&mut self, command: Command, cx: &mut Context<'_, ()>) {
        match command {
            Command::Resume => cx.resume(),
            Command::Finish => cx.finish(),
            Command::SleepFor(time) => self.deadline = Some(cx.now() + time),
            Command::Send(bytes) => cx.send(bytes),
        }
    }

    fn drained(&mut self, _cx: &mut Context<'_, ()>) {
        self.tell(News::Drained);
    }

    fn stopping(&mut self, cx: &mut Context<'_, ()>) {
        if !self.deaf {
            cx.send(Bytes::from_static(b"bye"));
            cx.finish();
        }
    }

    fn deadline(&self) -> Option<Instant> {
        self.deadline
    }

    fn expired(&mut self, _cx: &mut Context<'_, ()>) {
        self.deadline = None;
        self.tell(News::Expired);
    }

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

struct Client {
    id: fanwire_hub::ConnectionId,
    socket: TcpStream,
    news: Receiver<News>,
}

impl Client {
    fn expect(&mut self, expected: &[u8]) {
        let mut got = vec![0; expected.len()];
        self.socket.read_exact(&mut got).unwrap();
        assert_eq!(got, expected);
    }

    fn news(&self) -> News {
        self.news.recv_timeout(PATIENCE).unwrap()
    }
}

fn hub(options: &HubOptions) -> Hub<Echo> {
    Hub::start(HubOptions { shards: 2, ..options.clone() }).unwrap()
}

fn connect(hub: &Hub<Echo>, deaf: bool) -> Client {
    let mut client = attach(hub, deaf, b"");
    client.expect(b"hello");
    client
}

fn attach(hub: &Hub<Echo>, deaf: bool, early: &[u8]) -> Client {
    hand_over(hub, hub.reserve().unwrap(), deaf, early)
}

/// A client's socket, and the server's end of it.
fn sockets() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let socket = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    let (served, _) = listener.accept().unwrap();
    served.set_nonblocking(true).unwrap();
    (socket, served)
}

fn hand_over(hub: &Hub<Echo>, reservation: Reservation<Echo>, deaf: bool, early: &[u8]) -> Client {
    let (socket, served) = sockets();
    let (sender, news) = channel();
    let id = reservation.id();
    let session = Echo { news: sender, deadline: None, deaf };
    assert!(hub.attach(reservation, served, session, early.to_vec()).is_ok());
    Client { id, socket, news }
}

#[test]
fn bytes_that_came_before_the_hand_over_are_not_lost() {
    let hub = hub(&HubOptions::default());
    let mut client = attach(&hub, false, b"early");
    client.expect(b"helloearly");
    hub.stop(PATIENCE);
}

#[test]
fn what_is_sent_between_the_handshake_and_the_hand_over_is_not_lost() {
    let hub = hub(&HubOptions::default());
    let mut reservation = hub.reserve().unwrap();
    let id = reservation.id();
    hub.broadcast(Audience(0), Bytes::from_static(b"before"), 6).unwrap();
    reservation.expect(Audience(0));
    hub.broadcast(Audience(0), Bytes::from_static(b"one"), 3).unwrap();
    hub.broadcast(Audience(1), Bytes::from_static(b"for others"), 10).unwrap();
    hub.command(id, Command::Send(Bytes::from_static(b"two")), 3).unwrap();
    hub.broadcast(Audience(0), Bytes::from_static(b"three"), 5).unwrap();
    let mut client = hand_over(&hub, reservation, false, b"");
    client.expect(b"helloonetwothree");
    hub.stop(PATIENCE);
}

#[test]
fn what_waits_for_a_connection_that_does_not_come_is_not_for_the_next_in_its_place() {
    let hub = Hub::<Echo>::start(HubOptions { shards: 1, ..HubOptions::default() }).unwrap();
    let mut left = hub.reserve().unwrap();
    left.expect(Audience(0));
    hub.broadcast(Audience(0), Bytes::from_static(b"for it"), 6).unwrap();
    drop(left);
    let mut client = attach(&hub, false, b"");
    client.expect(b"hello");
    hub.broadcast(Audience(0), Bytes::from_static(b"next"), 4).unwrap();
    client.expect(b"next");
    hub.stop(PATIENCE);
}

#[test]
fn a_paused_session_gets_the_rest_when_it_resumes() {
    let hub = hub(&HubOptions::default());
    let mut client = connect(&hub, false);
    client.socket.write_all(b"onep").unwrap();
    assert_eq!(client.news(), News::Received(b"onep".to_vec()));
    assert_eq!(client.news(), News::Drained);
    client.socket.write_all(b"twopthree").unwrap();
    hub.command(client.id, Command::Resume, 0).unwrap();
    assert_eq!(client.news(), News::Received(b"twop".to_vec()));
    assert_eq!(client.news(), News::Drained);
    hub.command(client.id, Command::Resume, 0).unwrap();
    assert_eq!(client.news(), News::Received(b"three".to_vec()));
    client.expect(b"oneptwopthree");
    hub.stop(PATIENCE);
}

#[test]
fn a_session_that_leaves_a_rest_and_does_not_say_that_it_pauses_is_not_asked_for_ever() {
    let hub = hub(&HubOptions::default());
    let mut client = connect(&hub, false);
    client.socket.write_all(b"one!two!three").unwrap();
    for expected in [b"one!", b"two!"] {
        assert_eq!(client.news(), News::Received(expected.to_vec()));
        assert_eq!(client.news(), News::Drained);
        hub.command(client.id, Command::Resume, 0).unwrap();
    }
    assert_eq!(client.news(), News::Received(b"three".to_vec()));
    client.expect(b"one!two!three");
    hub.stop(PATIENCE);
}

#[test]
fn a_session_that_pauses_hears_when_what_it_queued_is_written() {
    let hub = hub(&HubOptions::default());
    let mut client = connect(&hub, false);
    client.socket.write_all(b"p").unwrap();
    assert_eq!(client.news(), News::Received(b"p".to_vec()));
    assert_eq!(client.news(), News::Drained);
    hub.stop(PATIENCE);
}

#[test]
fn a_peer_that_leaves_while_its_session_pauses_is_noticed_afterwards() {
    let hub = hub(&HubOptions::default());
    let mut client = connect(&hub, false);
    client.socket.write_all(b"p").unwrap();
    assert_eq!(client.news(), News::Received(b"p".to_vec()));
    assert_eq!(client.news(), News::Drained);
    client.socket.shutdown(std::net::Shutdown::Write).unwrap();
    hub.command(client.id, Command::Resume, 0).unwrap();
    assert_eq!(client.news(), News::Ended("peer closed"));
    hub.stop(PATIENCE);
}

#[test]
fn a_command_for_a_connection_that_is_gone_is_dropped() {
    let hub = hub(&HubOptions::default());
    let client = connect(&hub, false);
    hub.command(client.id, Command::Finish, 0).unwrap();
    assert_eq!(client.news(), News::Ended("finished"));
    hub.command(client.id, Command::Send(Bytes::from_static(b"x")), 0).unwrap();
    // The slot has a new connection; its id differs in the tag, and it hears nothing.
    let mut next = connect(&hub, false);
    assert_ne!(client.id, next.id);
    next.socket.write_all(b"echo").unwrap();
    next.expect(b"echo");
    hub.stop(PATIENCE);
}

#[test]
fn a_deadline_is_called_when_it_comes() {
    let hub = hub(&HubOptions::default());
    let client = connect(&hub, false);
    hub.command(client.id, Command::SleepFor(Duration::from_millis(1)), 0).unwrap();
    assert_eq!(client.news(), News::Expired);
    hub.stop(PATIENCE);
}

#[test]
fn what_was_due_in_time_that_is_skipped_happens_now() {
    let hub = hub(&HubOptions::default());
    let mut client = connect(&hub, false);
    hub.command(client.id, Command::SleepFor(Duration::from_secs(600)), 0).unwrap();
    // Once this is back, the session sleeps.
    hub.command(client.id, Command::Send(Bytes::from_static(b"asleep")), 0).unwrap();
    client.expect(b"asleep");
    hub.advance(Duration::from_secs(601));
    assert_eq!(client.news(), News::Expired);
    hub.stop(PATIENCE);
}

#[test]
fn every_member_of_an_audience_gets_broadcasts_in_order() {
    let hub = hub(&HubOptions::default());
    let mut clients: Vec<_> = (0..20).map(|_| connect(&hub, false)).collect();
    for number in 0..100u8 {
        hub.broadcast(Audience(0), Bytes::from(vec![number; 10]), 10).unwrap();
    }
    hub.broadcast(Audience(1), Bytes::from_static(b"for others"), 10).unwrap();
    let expected: Vec<u8> = (0..100u8).flat_map(|number| [number; 10]).collect();
    for client in &mut clients {
        client.expect(&expected);
    }
    hub.stop(PATIENCE);
    for client in &mut clients {
        client.expect(b"bye");
    }
}

#[test]
fn a_receiver_that_does_not_read_loses_broadcasts_and_holds_up_nobody() {
    let hub = hub(&HubOptions { mailbox_bytes: 1 << 30, ..HubOptions::default() });
    let slow = connect(&hub, false);
    let mut quick = connect(&hub, false);
    let chunk = Bytes::from(vec![7; 32 * 1024]);
    let total = 2000;
    let reader = std::thread::spawn(move || {
        let mut got = vec![0; 32 * 1024];
        (0..total).take_while(|_| quick.socket.read_exact(&mut got).is_ok()).count()
    });
    let mut sent = 0;
    let started = Instant::now();
    while sent < total && started.elapsed() < PATIENCE {
        if hub.broadcast(Audience(0), chunk.clone(), chunk.len()).is_ok() {
            sent += 1;
            // One at a time, so that the quick one is never behind.
            let before = Instant::now();
            while hub.stats().dropped == 0 && before.elapsed() < Duration::from_millis(1) {
                std::thread::yield_now();
            }
        }
    }
    let dropped_for_slow = hub.stats().dropped;
    assert!(dropped_for_slow > 0, "64 MB cannot fit into a socket and a queue of 64 KB");
    drop(slow);
    hub.stop(PATIENCE);
    let got = reader.join().unwrap();
    assert!(got > 0 && got <= total);
}

#[test]
fn what_a_slow_peer_reads_late_is_whole_and_its_session_hears_that_it_is_through() {
    let hub = hub(&HubOptions::default());
    let mut client = connect(&hub, false);
    let megabyte: Vec<u8> = (0..1u32 << 20).map(|n| n as u8).collect();
    for _ in 0..16 {
        let bytes = Bytes::from(megabyte.clone());
        hub.command(client.id, Command::Send(bytes), 0).unwrap();
    }
    for _ in 0..16 {
        client.expect(&megabyte);
    }
    assert_eq!(client.news(), News::Drained);
    hub.stop(PATIENCE);
}

#[test]
fn a_stopped_hub_cuts_off_those_that_do_not_say_goodbye() {
    let hub = hub(&HubOptions::default());
    let polite = connect(&hub, false);
    let deaf = connect(&hub, true);
    hub.stop(Duration::from_millis(10));
    assert_eq!(polite.news(), News::Ended("finished"));
    assert_eq!(deaf.news(), News::Ended("hub stopped"));
    assert_eq!(hub.stats().connections, 0);
    hub.command(deaf.id, Command::Finish, 0).unwrap();
}

#[test]
fn a_hub_that_stops_lets_those_come_that_have_a_place_and_tells_them() {
    let hub = Hub::<Echo>::start(HubOptions { shards: 1, ..HubOptions::default() }).unwrap();
    let polite = connect(&hub, false);
    let (late, later) = (hub.reserve().unwrap(), hub.reserve().unwrap());
    let stopping = hub.clone();
    let stopped = std::thread::spawn(move || stopping.stop(PATIENCE));
    // Nobody is connected any more now.
    assert_eq!(polite.news(), News::Ended("finished"));
    let mut client = hand_over(&hub, late, false, b"");
    client.expect(b"hellobye");
    assert_eq!(client.news(), News::Ended("finished"));
    let started = Instant::now();
    drop(later);
    stopped.join().unwrap();
    assert!(started.elapsed() < PATIENCE, "it waits for a place that was given back");
}

#[test]
fn a_session_that_comes_when_the_hub_has_stopped_is_given_back() {
    let hub = hub(&HubOptions::default());
    let reservation = hub.reserve().unwrap();
    hub.stop(Duration::ZERO);
    let (_client, served) = sockets();
    let (sender, _news) = channel();
    let session = Echo { news: sender, deadline: None, deaf: false };
    assert!(hub.attach(reservation, served, session, Vec::new()).is_err());
    assert_eq!(hub.stats().connections, 0);
}

#[test]
fn places_are_limited_and_given_back() {
    let hub = hub(&HubOptions { max_connections: 1, ..HubOptions::default() });
    let reservation = hub.reserve().unwrap();
    assert!(hub.reserve().is_err());
    drop(reservation);
    let client = connect(&hub, false);
    assert!(hub.reserve().is_err());
    drop(client);
    let started = Instant::now();
    while hub.reserve().is_err() {
        assert!(started.elapsed() < PATIENCE);
        std::thread::yield_now();
    }
    hub.stop(PATIENCE);
}

#[test]
fn a_command_for_each_reaches_every_member_even_where_it_ends_them() {
    let hub = hub(&HubOptions::default());
    let mut clients: Vec<_> = (0..6).map(|_| connect(&hub, false)).collect();
    hub.each(Audience(0), usize::MAX, || Command::Send(Bytes::from_static(b"asked"))).unwrap();
    clients.iter_mut().for_each(|client| client.expect(b"asked"));
    // Three connections live on each of the two shards, of which one is asked.
    hub.each(Audience(0), 1, || Command::Send(Bytes::from_static(b"x"))).unwrap();
    hub.each(Audience(1), usize::MAX, || Command::Finish).unwrap();
    hub.each(Audience(0), usize::MAX, || Command::Send(Bytes::from_static(b"y"))).unwrap();
    let mut chosen = 0;
    for client in &mut clients {
        let mut first = [0];
        client.socket.read_exact(&mut first).unwrap();
        if &first == b"x" {
            chosen += 1;
            client.expect(b"y");
        }
    }
    assert_eq!(chosen, 2);
    hub.each(Audience(0), usize::MAX, || Command::Finish).unwrap();
    for client in &mut clients {
        assert_eq!(client.socket.read(&mut [0]).unwrap(), 0);
    }
    hub.stop(PATIENCE);
}
