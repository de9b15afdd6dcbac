//! A plane whose App is Rust in this process, and clients that read and write frames
//! themselves.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bytes::Bytes;
use fanwire_app::model::{
    Code, ConnectRules, Function, Integration, Limits, Links, LogSettings, Profile, Route,
    WebSocketApi,
};
use fanwire_app::selection::RouteSelection;
use fanwire_functions::{Functions, HostOptions, Silent};
use fanwire_hub::{ConnectionId, Hub, HubOptions};
use fanwire_websocket::{
    Arrival, ClientRequest, Deliver, EventType, Handshake, Native, NativeBody, NativeEvent,
    NativeGrant, NativeReply, NativeResult, NodeError, Nodes, Observer, Pending, Plane, PlaneParts,
    RequestRecord, Stay, TopicSource, TopicSubscription,
};
use futures_util::FutureExt as _;
use futures_util::future::{BoxFuture, ready};
use indexmap::IndexMap;
use tokio::sync::Semaphore;

/// How long anything may take on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// The function that is Rust in this process.
const NATIVE: &str = "native";

/// The one that is a process, and is never started.
pub(crate) const PROCESS: &str = "process";

/// What the App has heard, and what it answers.
#[derive(Debug, Clone)]
pub(crate) struct App(Arc<AppState>);

#[derive(Debug)]
struct AppState {
    heard: Mutex<Vec<Heard>>,
    /// One for each message that it may answer.
    answers: Semaphore,
    /// Bytes of each answer.
    answer_bytes: usize,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Heard {
    Connected(String),
    Message(String),
    Disconnected(String, u16),
}

/// A plane and its surroundings.
pub(crate) struct World {
    pub(crate) plane: Plane,
    pub(crate) app: App,
    pub(crate) functions: Functions,
    pub(crate) journal: Arc<Journal>,
    pub(crate) broker: Arc<Broker>,
    model: WebSocketApi,
}

/// How a world is made.
pub(crate) struct Setting {
    pub(crate) limits: Limits,
    /// What `$disconnect` is for.
    pub(crate) disconnect: &'static str,
    pub(crate) answers: usize,
    pub(crate) answer_bytes: usize,
    pub(crate) in_cluster: bool,
    pub(crate) topics: Vec<String>,
}

/// What is kept for other nodes, of which there are none.
#[derive(Default)]
pub(crate) struct Journal {
    pub(crate) kept: Mutex<Vec<Bytes>>,
    pub(crate) forgotten: Mutex<Vec<String>>,
}

/// Topics, as those who subscribe see them.
#[derive(Default)]
pub(crate) struct Broker {
    subscribed: Mutex<Option<(String, Deliver)>>,
    /// Ends with the subscription.
    alive: Arc<()>,
}

/// A client that reads and writes frames itself.
pub(crate) struct Client {
    pub(crate) id: String,
    pub(crate) socket: TcpStream,
}

/// Looks away.
struct Nobody;

/// Waits until it is so.
pub(crate) fn until(what: &str, mut so: impl FnMut() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !so() {
        assert!(Instant::now() < end, "not in time: {what}");
        std::thread::yield_now();
    }
}

// === impl Setting ===

impl Default for Setting {
    fn default() -> Self {
        Self {
            limits: Limits::of(Profile::Open),
            disconnect: NATIVE,
            answers: Semaphore::MAX_PERMITS,
            answer_bytes: 2,
            in_cluster: false,
            topics: Vec::new(),
        }
    }
}

// === impl World ===

impl World {
    /// To be called in a runtime of several threads.
    pub(crate) fn new(setting: &Setting) -> Self {
        let app = App(Arc::new(AppState {
            heard: Mutex::default(),
            answers: Semaphore::new(setting.answers),
            answer_bytes: setting.answer_bytes,
        }));
        let functions = [(PROCESS.to_owned(), process())].into_iter().collect();
        let functions = Functions::start(&functions, HostOptions::default(), Arc::new(Silent));
        let functions = functions.unwrap();
        let (journal, broker) = (Arc::new(Journal::default()), Arc::new(Broker::default()));
        let nodes: Box<dyn Nodes> = Box::new(Kept(Arc::clone(&journal)));
        let topics: Box<dyn TopicSource> = Box::new(Source(Arc::clone(&broker)));
        let model = model(setting);
        let native: Arc<dyn Native> = Arc::new(app.clone());
        let parts = PlaneParts {
            hub: Hub::start(HubOptions { shards: 1, ..HubOptions::default() }).unwrap(),
            functions: functions.clone(),
            natives: [(NATIVE.to_owned(), native)].into_iter().collect(),
            observer: Arc::new(Nobody),
            runtime: tokio::runtime::Handle::current(),
            region: "us-east-1".to_owned(),
            account_id: "123456789012".to_owned(),
            topics: Some(topics),
            limiter: Arc::default(),
            nodes: setting.in_cluster.then_some(nodes),
        };
        let plane = Plane::new(vec![model.clone()], parts);
        Self { plane, app, functions, journal, broker, model }
    }

    /// Serves with other limits from now on.
    pub(crate) fn change(&self, change: impl FnOnce(&mut Limits)) {
        let mut model = self.model.clone();
        change(&mut model.limits);
        self.plane.update(vec![model], "us-east-1", "123456789012");
    }

    /// A client that is let in, and hears of it.
    pub(crate) async fn accepted(&self, path: Option<&str>) -> (String, Pending) {
        let arrival = Arrival {
            source_ip: Ipv4Addr::LOCALHOST.into(),
            port: 80,
            tls: false,
            forwarded: false,
        };
        let request = ClientRequest::new([("Host".to_owned(), "h".to_owned())], path, arrival);
        let handshake = self.plane.connect(0, request).await;
        let Handshake::Accepted { pending, .. } = handshake else { panic!("{handshake:?}") };
        let Some(Heard::Connected(id)) = self.app.last() else { panic!("{:?}", self.app) };
        (id, pending)
    }

    pub(crate) async fn connect(&self) -> Client {
        let (id, pending) = self.accepted(None).await;
        Client::open(id, pending)
    }

    /// Waits until so many bytes more have come from clients.
    pub(crate) fn has_read(&self, before: u64, more: usize) {
        until("the server has read it", || self.plane.hub_stats().bytes_in >= before + more as u64);
    }
}

fn process() -> Function {
    Function {
        name: PROCESS.to_owned(),
        code: Code::Command {
            command: vec!["false".to_owned()],
            root: ".".into(),
            handler: String::new(),
            build: None,
        },
        timeout: PATIENCE,
        memory_mb: 128,
        environment: IndexMap::new(),
        links: Links::default(),
        concurrency: None,
    }
}

fn model(setting: &Setting) -> WebSocketApi {
    let route = |function: &str| Route {
        integration: Integration::Function { function: function.to_owned() },
        route_response: true,
        authorizer: None,
    };
    let routes = [("$connect", NATIVE), ("$default", NATIVE), ("$disconnect", setting.disconnect)];
    WebSocketApi {
        connect: ConnectRules::default(),
        id: "abcdefghij".to_owned(),
        name: "api".to_owned(),
        stage: "dev".to_owned(),
        base_path: None,
        route_selection: RouteSelection::default(),
        routes: routes.into_iter().map(|(key, of)| (key.to_owned(), route(of))).collect(),
        authorizers: IndexMap::new(),
        stage_variables: IndexMap::new(),
        topics: setting.topics.clone(),
        logs: LogSettings::default(),
        limits: setting.limits.clone(),
    }
}

// === impl App ===

impl App {
    pub(crate) fn heard(&self) -> Vec<Heard> {
        self.0.heard.lock().unwrap().clone()
    }

    /// How many messages it has heard.
    pub(crate) fn messages(&self) -> usize {
        self.heard().iter().filter(|heard| matches!(heard, Heard::Message(_))).count()
    }

    fn last(&self) -> Option<Heard> {
        self.0.heard.lock().unwrap().last().cloned()
    }

    /// Lets it answer so many messages more.
    pub(crate) fn answer(&self, messages: usize) {
        self.0.answers.add_permits(messages);
    }
}

impl Native for App {
    fn handle(&self, event: NativeEvent<'_>) -> BoxFuture<'static, NativeResult<NativeReply>> {
        let id = event.connection.to_string();
        let heard = match (event.kind, &event.body) {
            (EventType::Connect, _) => Heard::Connected(id),
            (EventType::Message, NativeBody::Text(text)) => Heard::Message(text.clone()),
            (EventType::Message, NativeBody::Binary(_)) => Heard::Message(String::new()),
            (EventType::Disconnect, _) => Heard::Disconnected(id, event.closed.unwrap().0),
        };
        let is_message = matches!(heard, Heard::Message(_));
        self.0.heard.lock().unwrap().push(heard);
        // A client says in its query which tags it wants.
        let tags = event.client.into_iter().flat_map(|client| client.query());
        let tags = tags.map(|(_, tag)| ("Fanwire-Tags".to_owned(), tag.to_owned())).collect();
        let state = Arc::clone(&self.0);
        async move {
            if is_message {
                state.answers.acquire().await.unwrap().forget();
            }
            let body = is_message.then(|| NativeBody::Text("x".repeat(state.answer_bytes)));
            Ok(NativeReply { status: 200, headers: tags, body })
        }
        .boxed()
    }

    fn authorize(&self, _: NativeEvent<'_>) -> BoxFuture<'static, NativeResult<NativeGrant>> {
        unreachable!("there is no authorizer")
    }
}

// === impl Client ===

impl Client {
    pub(crate) fn open(id: String, pending: Pending) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let socket = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        socket.set_nodelay(true).unwrap();
        let (served, _) = listener.accept().unwrap();
        served.set_nonblocking(true).unwrap();
        pending.open(served.into(), Vec::new());
        Self { id, socket }
    }

    /// Sends short texts, all at once. Says how many bytes that is.
    pub(crate) fn send(&mut self, texts: &[&str]) -> usize {
        let frames: Vec<u8> = texts.iter().flat_map(|text| frame(0x81, text.as_bytes())).collect();
        self.socket.write_all(&frames).unwrap();
        frames.len()
    }

    /// Says goodbye. Says how many bytes that is.
    pub(crate) fn say_goodbye(&mut self) -> usize {
        let frame = frame(0x88, &1000u16.to_be_bytes());
        self.socket.write_all(&frame).unwrap();
        frame.len()
    }

    /// The next message.
    pub(crate) fn next(&mut self) -> String {
        String::from_utf8(self.payload(0x81)).unwrap()
    }

    /// The code that the server closes with.
    pub(crate) fn next_close(&mut self) -> u16 {
        let payload = self.payload(0x88);
        u16::from_be_bytes([payload[0], payload[1]])
    }

    /// What is in the next frame, which has to begin with this.
    fn payload(&mut self, first: u8) -> Vec<u8> {
        let mut head = [0; 2];
        self.socket.read_exact(&mut head).unwrap();
        assert_eq!(head[0], first);
        let mut length = vec![0; [0, 2, 8][usize::from(head[1].saturating_sub(125))]];
        self.socket.read_exact(&mut length).unwrap();
        let length = if length.is_empty() { vec![head[1]] } else { length };
        let length = length.iter().fold(0, |length, byte| (length << 8) | usize::from(*byte));
        let mut payload = vec![0; length];
        self.socket.read_exact(&mut payload).unwrap();
        payload
    }
}

/// A short frame of a client, masked with zeros.
fn frame(opcode: u8, payload: &[u8]) -> Vec<u8> {
    assert!(payload.len() < 126);
    let mut frame = vec![opcode, 0x80 | payload.len() as u8, 0, 0, 0, 0];
    frame.extend_from_slice(payload);
    frame
}

impl Observer for Nobody {
    fn request(&self, _: &RequestRecord<'_>) {}

    fn access(&self, _: &WebSocketApi, _: &str) {}

    fn execution(&self, _: &WebSocketApi, _: &str, _: &str) {}

    fn trouble(&self, _: &WebSocketApi, _: &str) {}
}

struct Kept(Arc<Journal>);

impl Nodes for Kept {
    fn ask(&self, _: u16, _: Bytes) -> BoxFuture<'static, Result<Bytes, NodeError>> {
        ready(Err(NodeError::Gone)).boxed()
    }

    fn others(&self) -> Vec<u16> {
        Vec::new()
    }

    fn ask_all(&self, _: Bytes) -> BoxFuture<'static, Vec<(u16, Result<Bytes, NodeError>)>> {
        ready(Vec::new()).boxed()
    }

    fn keep(&self, _: ConnectionId, record: Bytes) -> BoxFuture<'static, Option<Stay>> {
        self.0.kept.lock().unwrap().push(record);
        ready(Some(Stay { node: 0, boot: 1 })).boxed()
    }

    fn may_tell(&self, _: Stay) -> BoxFuture<'static, bool> {
        ready(true).boxed()
    }

    fn forget(&self, id: ConnectionId, _: Stay) {
        self.0.forgotten.lock().unwrap().push(id.to_string());
    }
}

struct Source(Arc<Broker>);

impl TopicSource for Source {
    fn subscribe(&self, filter: &str, deliver: Deliver) -> Option<TopicSubscription> {
        *self.0.subscribed.lock().unwrap() = Some((filter.to_owned(), deliver));
        Some(Box::new(Arc::clone(&self.0.alive)))
    }
}

// === impl Broker ===

impl Broker {
    /// Whether somebody is subscribed.
    pub(crate) fn is_subscribed(&self) -> bool {
        Arc::strong_count(&self.alive) > 1
    }

    /// Publishes to the filter that was subscribed to last.
    pub(crate) fn publish(&self, filter: &str, payload: &[u8]) {
        let subscribed = self.subscribed.lock().unwrap();
        let (subscribed, deliver) = subscribed.as_ref().unwrap();
        assert_eq!(subscribed, filter);
        deliver(payload);
    }
}
