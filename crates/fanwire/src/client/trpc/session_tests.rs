//! The session against a server of a few lines, with time and network in the test's hands.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use fanwire_wire::trpc::{
    ClientFrame, Data, Envelope, ErrorCode, ErrorShape, Id, Method, PONG, ParseOptions,
    ProcedureType, Response, Transformer,
};
use proptest::prelude::*;
use serde_json::value::to_raw_value;

use super::error::CallError;
use super::session::{
    CallEvent, HANDOVER_LIMIT, KeepAlive, Output, Request, Session, SessionOptions,
};
use super::socket::SocketId;

const MS: Duration = Duration::from_millis(1);

fn request(kind: ProcedureType, path: &str) -> Request {
    Request { kind, path: path.to_owned(), input: None, last_event_id: None }
}

fn subscription() -> Request {
    request(ProcedureType::Subscription, "s")
}

/// A client, and what it has wanted so far.
struct Client {
    session: Session,
    now: Instant,
    connects: Vec<SocketId>,
    sent: Vec<(u64, String)>,
    closes: Vec<SocketId>,
    events: Vec<(u64, String)>,
}

impl Client {
    fn new(options: SessionOptions) -> Self {
        let now = Instant::now();
        let session = Session::new(options, now, 1);
        let (connects, sent, closes, events) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        let mut client = Self { session, now, connects, sent, closes, events };
        client.pass(Duration::ZERO);
        client
    }

    /// One whose first connection is open.
    fn connected() -> Self {
        let mut client = Self::new(SessionOptions::default());
        client.open(1, None);
        client
    }

    fn open(&mut self, socket: u64, params: Option<&str>) {
        assert_eq!(self.connects.pop(), Some(SocketId(socket)));
        self.session.opened(SocketId(socket), params.map(str::to_owned), self.now);
        self.settle();
    }

    fn call(&mut self, id: u64, request: Request) {
        self.session.call(id, request);
        self.settle();
    }

    fn hear(&mut self, socket: u64, text: &str) {
        self.session.received(SocketId(socket), text, self.now);
        self.settle();
    }

    fn lose(&mut self, socket: u64) {
        self.session.closed(SocketId(socket), self.now);
        self.settle();
    }

    fn pass(&mut self, time: Duration) {
        self.now += time;
        self.session.tick(self.now);
        self.settle();
    }

    /// Waits for the next deadline: how long that takes.
    fn wait(&mut self) -> Duration {
        let wait = self.session.deadline().unwrap() - self.now;
        self.pass(wait);
        wait
    }

    fn settle(&mut self) {
        while let Some(output) = self.session.poll() {
            match output {
                Output::Connect(socket) => self.connects.push(socket),
                Output::Send(SocketId(socket), text) => self.sent.push((socket, text)),
                Output::Close(socket) => self.closes.push(socket),
                Output::Event(id, event) => self.events.push((id, describe(event))),
            }
        }
    }

    fn sent(&mut self) -> Vec<(u64, String)> {
        std::mem::take(&mut self.sent)
    }

    fn events(&mut self) -> Vec<(u64, String)> {
        std::mem::take(&mut self.events)
    }
}

fn describe(event: CallEvent) -> String {
    match event {
        CallEvent::Started => "started".to_owned(),
        CallEvent::Stopped => "stopped".to_owned(),
        CallEvent::Failed(error) => error.to_string(),
        CallEvent::Data { event_id, json } => {
            let json = json.map_or("undefined".to_owned(), |json| json.get().to_owned());
            event_id.map_or(json.clone(), |id| format!("{id}: {json}"))
        }
    }
}

fn sent(socket: u64, text: &str) -> Vec<(u64, String)> {
    vec![(socket, text.to_owned())]
}

fn event(id: u64, text: &str) -> Vec<(u64, String)> {
    vec![(id, text.to_owned())]
}

const STARTED: &str = r#"{"id":1,"result":{"type":"started"}}"#;
const STOPPED: &str = r#"{"id":1,"result":{"type":"stopped"}}"#;
const RECONNECT: &str = r#"{"id":null,"method":"reconnect"}"#;
const STOP: &str = r#"{"id":1,"method":"subscription.stop"}"#;
const SUBSCRIBE: &str = r#"{"id":1,"method":"subscription","params":{"path":"s"}}"#;

fn tracked(event: u64) -> String {
    let data = to_raw_value(&event).unwrap();
    let response = Response::data(&Data::tracked(&event.to_string(), &data), Transformer::None);
    response.encode(&Id::from(1).into())
}

#[test]
fn what_is_called_before_there_is_a_connection_goes_out_as_one_batch() {
    let mut client = Client::new(SessionOptions::default());
    client.call(1, request(ProcedureType::Query, "q"));
    client.call(2, request(ProcedureType::Mutation, "m"));
    assert!(client.sent().is_empty());
    client.open(1, Some("params"));
    let batch = r#"[{"id":1,"method":"query","params":{"path":"q"}},{"id":2,"method":"mutation","params":{"path":"m"}}]"#;
    assert_eq!(client.sent(), [sent(1, "params"), sent(1, batch)].concat());
    client.hear(1, r#"{"id":2,"result":{"type":"data","data":2}}"#);
    client.hear(1, r#"{"id":1,"result":{"data":1}}"#);
    assert_eq!(client.events(), [event(2, "2"), event(1, "1")].concat());
    // It is answered: whatever comes for it now is nobody's.
    client.hear(1, r#"{"id":1,"result":{"type":"data","data":3}}"#);
    assert!(client.events().is_empty());
}

#[test]
fn no_batch_is_longer_than_a_frame_may_be() {
    let mut client = Client::new(SessionOptions::default());
    for id in 1..=90 {
        client.call(id, request(ProcedureType::Query, &"q".repeat(1_000)));
    }
    client.open(1, None);
    let texts: Vec<String> = client.sent().into_iter().map(|(_, text)| text).collect();
    assert!(texts.iter().all(|text| text.len() <= 32 * 1024));
    assert_eq!(texts.iter().map(|text| text.matches("\"id\"").count()).sum::<usize>(), 90);
}

#[test]
fn attempts_are_made_after_longer_and_longer_times() {
    let mut client = Client::new(SessionOptions::default());
    for (nth, seconds) in [2.0, 4.0, 8.0, 16.0, 30.0, 30.0].into_iter().enumerate() {
        let socket = client.connects.pop().unwrap();
        client.session.failed(socket, client.now);
        assert_eq!(client.session.failures(), nth as u32 + 1);
        let wait = client.wait().as_secs_f64();
        assert!((seconds * 0.8..=seconds).contains(&wait), "{wait}");
    }
}

#[test]
fn a_good_connection_is_made_again_at_once_and_a_bad_one_is_not() {
    let mut client = Client::connected();
    client.call(1, subscription());
    client.hear(1, STARTED);
    client.lose(1);
    assert_eq!(client.wait(), Duration::ZERO);
    client.open(2, None);
    // Refused by createContext: an error for nobody, then the end.
    client.hear(2, r#"{"id":null,"error":{"message":"no","code":-32001,"data":{}}}"#);
    client.lose(2);
    assert!(client.wait() > Duration::from_secs(1));
    client.open(3, None);
    // Nothing was said on it, and yet it was good: it has lived.
    client.pass(super::session::PROVEN_AFTER);
    client.lose(3);
    assert_eq!(client.wait(), Duration::ZERO);
}

#[test]
fn a_lost_connection_fails_queries_and_resumes_subscriptions_after_their_last_event() {
    let mut client = Client::connected();
    client.call(1, subscription());
    client.call(2, request(ProcedureType::Query, "q"));
    client.hear(1, STARTED);
    client.hear(1, &tracked(3));
    client.events();
    client.lose(1);
    assert_eq!(client.events(), event(2, &CallError::Disconnected.to_string()));
    client.pass(MS);
    client.sent();
    client.open(2, None);
    let again = r#"{"id":1,"method":"subscription","params":{"path":"s","lastEventId":"3"}}"#;
    assert_eq!(client.sent(), sent(2, again));
    // Its reader knows that it has started.
    client.hear(2, STARTED);
    assert!(client.events().is_empty());
    client.hear(2, r#"{"id":1,"result":{"type":"data","data":"x"}}"#);
    assert_eq!(client.events(), event(1, "\"x\""));
    client.lose(2);
    client.pass(MS);
    client.open(3, None);
    // An event without an id takes the one before back.
    assert_eq!(client.sent(), sent(3, SUBSCRIBE));
}

#[test]
fn what_is_cancelled_is_stopped_and_what_has_ended_is_not() {
    let mut client = Client::connected();
    client.call(1, subscription());
    client.sent();
    client.session.cancel(1);
    client.settle();
    assert_eq!(client.sent(), sent(1, STOP));
    client.hear(1, &tracked(1));
    assert!(client.events().is_empty());
    client.call(2, subscription());
    client.sent();
    client.hear(1, r#"{"id":2,"result":{"type":"stopped"}}"#);
    client.session.cancel(2);
    client.settle();
    assert!(client.sent().is_empty());
    assert_eq!(client.events(), event(2, "stopped"));
}

#[test]
fn errors_are_told_with_their_code() {
    let mut client = Client::connected();
    client.session.call(1, subscription());
    let shape = ErrorShape::new(ErrorCode::Unauthorized, "who are you?");
    let text = Response::error(&shape, Transformer::None).encode(&Id::from(1).into());
    client.session.received(SocketId(1), &text, client.now);
    let failed = std::iter::from_fn(|| client.session.poll()).find_map(|output| match output {
        Output::Event(1, CallEvent::Failed(error)) => Some(error),
        _ => None,
    });
    let error = failed.unwrap();
    assert_eq!(error.code(), Some(ErrorCode::Unauthorized));
    assert_eq!(error.to_string(), "who are you? (UNAUTHORIZED)");
    // The server of v11 adds this.
    client.hear(1, STOPPED);
    assert!(client.events().is_empty());
}

#[test]
fn a_silent_server_is_asked_and_given_up() {
    let keep_alive = KeepAlive { interval: 5000 * MS, patience: 1000 * MS };
    let options = SessionOptions { keep_alive: Some(keep_alive), ..SessionOptions::default() };
    let mut client = Client::new(options);
    client.open(1, None);
    client.pass(4999 * MS);
    client.hear(1, RECONNECT.replace("reconnect", "dance").as_str());
    client.pass(4999 * MS);
    assert!(client.sent().is_empty());
    client.pass(MS);
    assert_eq!(client.sent(), sent(1, "PING"));
    // Other traffic is no answer (reference: trpc.md, section 2.5).
    client.hear(1, "PING");
    assert_eq!(client.sent(), sent(1, "PONG"));
    client.pass(999 * MS);
    client.hear(1, "PONG");
    client.pass(5000 * MS);
    assert_eq!(client.sent(), sent(1, "PING"));
    client.pass(1000 * MS);
    assert_eq!(client.closes, [SocketId(1)]);
    client.pass(Duration::from_secs(2));
    client.open(2, None);
    // Of the one that was given up nothing matters any more.
    client.lose(1);
    assert!(client.session.is_connected());
}

#[test]
fn a_server_that_asks_for_another_connection_is_left_when_that_serves() {
    let mut client = Client::connected();
    client.call(1, subscription());
    client.call(2, request(ProcedureType::Query, "q"));
    client.hear(1, STARTED);
    client.hear(1, &tracked(1));
    client.hear(1, RECONNECT);
    client.pass(Duration::ZERO);
    client.events();
    client.sent();
    client.open(2, None);
    let again = r#"{"id":1,"method":"subscription","params":{"path":"s","lastEventId":"1"}}"#;
    assert_eq!(client.sent(), sent(2, again));
    // Both serve it for a while.
    client.hear(1, &tracked(2));
    client.hear(2, STARTED);
    assert_eq!(client.sent(), [sent(1, STOP), sent(1, "PING")].concat());
    client.hear(2, &tracked(2));
    client.hear(2, &tracked(3));
    client.hear(1, &tracked(3));
    assert_eq!(client.events(), [event(1, "2: 2"), event(1, "3: 3")].concat());
    // The query is still to be answered there.
    client.hear(1, "PONG");
    assert!(client.closes.is_empty());
    client.hear(1, r#"{"id":2,"result":{"type":"data","data":7}}"#);
    assert_eq!(client.events(), event(2, "7"));
    assert_eq!(client.closes, [SocketId(1)]);
}

#[test]
fn an_event_comes_once_however_often_its_subscription_moves() {
    let mut client = Client::connected();
    client.call(1, subscription());
    client.hear(1, STARTED);
    client.hear(1, RECONNECT);
    client.pass(Duration::ZERO);
    client.open(2, None);
    // It has come on the first, and will on the second, which is replaced before it does.
    client.hear(1, &tracked(1));
    client.hear(2, RECONNECT);
    client.pass(Duration::ZERO);
    client.open(3, None);
    client.hear(2, &tracked(1));
    // The third ends, and the second is the one that is left.
    client.lose(3);
    client.hear(2, &tracked(1));
    client.hear(2, &tracked(2));
    assert_eq!(client.events()[1..], [event(1, "1: 1"), event(1, "2: 2")].concat());
}

#[test]
fn a_server_that_never_answers_is_left_in_the_end() {
    let mut client = Client::connected();
    client.call(1, request(ProcedureType::Query, "q"));
    client.hear(1, RECONNECT);
    client.pass(Duration::ZERO);
    client.open(2, None);
    assert!(client.closes.is_empty());
    client.pass(HANDOVER_LIMIT);
    assert_eq!(client.closes, [SocketId(1)]);
    assert_eq!(client.events(), event(1, &CallError::Disconnected.to_string()));
}

#[test]
fn shutting_down_ends_calls_and_connections() {
    let mut client = Client::connected();
    client.call(1, subscription());
    client.session.shut_down();
    client.settle();
    assert_eq!(client.events(), event(1, &CallError::Closed.to_string()));
    assert_eq!(client.closes, [SocketId(1)]);
    assert_eq!(client.session.deadline(), None);
}

/// A server of one subscription with all of its history, on any number of connections, each
/// of which takes its time both ways.
#[derive(Default)]
struct Server {
    published: u64,
    connections: BTreeMap<u64, Connection>,
}

#[derive(Default)]
struct Connection {
    subscribed: bool,
    to_server: VecDeque<String>,
    to_client: VecDeque<String>,
}

impl Server {
    fn publish(&mut self) {
        self.published += 1;
        for connection in self.connections.values_mut().filter(|c| c.subscribed) {
            connection.to_client.push_back(tracked(self.published));
        }
    }

    /// Takes the next text of a client.
    fn take(&mut self, nth: usize) {
        let Some(connection) = nth_of(&mut self.connections, nth) else { return };
        let Some(text) = connection.to_server.pop_front() else { return };
        match ClientFrame::parse(&text, &ParseOptions::default()).unwrap() {
            ClientFrame::Ping => connection.to_client.push_back(PONG.to_owned()),
            ClientFrame::Messages(messages) => {
                for message in messages {
                    let envelope: Envelope = message.envelope;
                    match message.method {
                        Method::Call(call) => {
                            connection.subscribed = true;
                            connection.to_client.push_back(Response::STARTED.encode(&envelope));
                            let last = call.last_event_id.map_or(0, |id| id.parse().unwrap());
                            let missed = (last + 1..=self.published).map(tracked);
                            connection.to_client.extend(missed);
                        }
                        Method::Stop => connection.subscribed = false,
                    }
                }
            }
            other => panic!("{other:?}"),
        }
    }
}

fn nth_of(connections: &mut BTreeMap<u64, Connection>, nth: usize) -> Option<&mut Connection> {
    let count = connections.len().max(1);
    connections.values_mut().nth(nth % count)
}

/// What may happen.
#[derive(Debug, Clone, Copy)]
enum Step {
    Publish,
    ServerTakes(usize),
    ClientTakes(usize),
    Lose(usize),
    AskToReconnect(usize),
    Open,
    Fail,
    Pass(u64),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => Just(Step::Publish),
        6 => (0_usize..3).prop_map(Step::ServerTakes),
        6 => (0_usize..3).prop_map(Step::ClientTakes),
        1 => (0_usize..3).prop_map(Step::Lose),
        2 => (0_usize..3).prop_map(Step::AskToReconnect),
        4 => Just(Step::Open),
        1 => Just(Step::Fail),
        2 => (0_u64..5000).prop_map(Step::Pass),
    ]
}

struct World {
    client: Client,
    server: Server,
}

impl World {
    fn take(&mut self, step: Step) {
        match step {
            Step::Publish => self.server.publish(),
            Step::ServerTakes(nth) => self.server.take(nth),
            Step::ClientTakes(nth) => {
                let keys: Vec<u64> = self.server.connections.keys().copied().collect();
                let Some(key) = keys.get(nth % keys.len().max(1)) else { return };
                let connection = self.server.connections.get_mut(key).unwrap();
                if let Some(text) = connection.to_client.pop_front() {
                    self.client.hear(*key, &text);
                }
            }
            Step::Lose(nth) => {
                let keys: Vec<u64> = self.server.connections.keys().copied().collect();
                let Some(key) = keys.get(nth % keys.len().max(1)) else { return };
                self.server.connections.remove(key);
                self.client.lose(*key);
            }
            Step::AskToReconnect(nth) => {
                if let Some(connection) = nth_of(&mut self.server.connections, nth) {
                    connection.to_client.push_back(RECONNECT.to_owned());
                }
            }
            Step::Open => {
                if let Some(SocketId(socket)) = self.client.connects.last().copied() {
                    self.server.connections.insert(socket, Connection::default());
                    self.client.open(socket, None);
                }
            }
            Step::Fail => {
                if let Some(socket) = self.client.connects.pop() {
                    self.client.session.failed(socket, self.client.now);
                    self.client.settle();
                }
            }
            Step::Pass(milliseconds) => {
                self.client.pass(Duration::from_millis(milliseconds));
            }
        }
        for (socket, text) in self.client.sent() {
            if let Some(connection) = self.server.connections.get_mut(&socket) {
                connection.to_server.push_back(text);
            }
        }
        for SocketId(socket) in std::mem::take(&mut self.client.closes) {
            self.server.connections.remove(&socket);
        }
    }
}

proptest! {
    #[test]
    fn whatever_happens_to_connections_no_tracked_event_is_lost_or_comes_twice(
        steps in proptest::collection::vec(step(), 0..200),
    ) {
        let mut client = Client::new(SessionOptions::default());
        client.call(1, subscription());
        let mut world = World { client, server: Server::default() };
        for step in steps {
            world.take(step);
        }
        // In the end the network is fine, and everything arrives.
        for _ in 0..64 {
            world.take(Step::Pass(30_000));
            world.take(Step::Open);
            for nth in 0..3 {
                for _ in 0..400 {
                    world.take(Step::ServerTakes(nth));
                    world.take(Step::ClientTakes(nth));
                }
            }
            if world.client.session.is_connected() && world.client.connects.is_empty() {
                break;
            }
        }
        let events = world.client.events();
        let got: Vec<&str> = events.iter().map(|(_, event)| &**event)
            .filter(|event| *event != "started").collect();
        let all: Vec<String> = (1..=world.server.published).map(|n| format!("{n}: {n}")).collect();
        prop_assert_eq!(got, all);
        prop_assert!(world.server.connections.len() <= 1);
    }
}
