//! What clients of the plane can see that no client of tRPC would try.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use fanwire_store::{Store, StoreOptions};
use fanwire_subscriptions::{
    Answer, Call, CallError, Context, HistoryLimits, Interest, KeepAlive, Limits, Opening, Payload,
    Probe, Procedures, Publication, Settings, StreamEvent, Tracking,
};
use futures_util::future::{BoxFuture, FutureExt as _, ready};
use futures_util::{StreamExt as _, stream};
use serde_json::{Value, json};
use support::{Client, Server};
use tokio::sync::Semaphore;

/// Procedures that do what the name of their path says.
#[derive(Clone)]
struct App {
    /// Contexts that may be made, and calls of `held` that may end.
    gate: Arc<Semaphore>,
    /// Calls of `held` that have begun, and those of them that have ended.
    begun: Arc<AtomicUsize>,
    ended: Arc<AtomicUsize>,
    /// Events that streams have given.
    given: Arc<AtomicUsize>,
}

impl App {
    fn new(open: usize) -> Self {
        let gate = Arc::new(Semaphore::new(open));
        Self { gate, begun: Arc::default(), ended: Arc::default(), given: Arc::default() }
    }

    /// Lets `count` of those who wait go on.
    fn open(&self, count: usize) {
        self.gate.add_permits(count);
    }
}

/// Counts that something has ended, however it did.
struct Ends(Arc<AtomicUsize>);

impl Drop for Ends {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

impl Procedures for App {
    fn context(&self, opening: Opening) -> BoxFuture<'static, Result<Context, CallError>> {
        let gate = Arc::clone(&self.gate);
        async move {
            if opening.query == "wait" {
                gate.acquire().await.unwrap().forget();
            }
            Ok(Arc::new(()) as Context)
        }
        .boxed()
    }

    fn call(&self, _: Context, call: Call) -> BoxFuture<'static, Result<Answer, CallError>> {
        let app = self.clone();
        match &*call.path {
            "held" => async move {
                app.begun.fetch_add(1, Ordering::SeqCst);
                let _ends = Ends(Arc::clone(&app.ended));
                app.gate.acquire().await.unwrap().forget();
                Ok(Answer::Value(payload(&json!("held"))))
            }
            .boxed(),
            "panics" => async { panic!("a defect of the app's") }.boxed(),
            "endless" => {
                let size = usize::try_from(input(&call).as_u64().unwrap()).unwrap();
                let data = payload(&json!("x".repeat(size)));
                let given = Arc::clone(&app.given);
                let events = stream::repeat_with(move || {
                    given.fetch_add(1, Ordering::SeqCst);
                    Ok(StreamEvent { id: None, data: data.clone() })
                });
                ready(Ok(Answer::Stream(events.boxed()))).boxed()
            }
            _ => {
                let key = input(&call).as_str().unwrap_or_default().as_bytes().to_vec();
                let keys = vec![(0, key), (1, b"all".to_vec()), (1, b"all of them".to_vec())];
                let interest = Interest { path: call.path, keys, after: call.last_event_id };
                ready(Ok(Answer::Subscribed(interest))).boxed()
            }
        }
    }
}

fn input(call: &Call) -> Value {
    call.input.as_ref().map_or(Value::Null, |input| serde_json::from_str(input.get()).unwrap())
}

fn payload(json: &Value) -> Payload {
    Payload::new(json).unwrap()
}

fn to(path: &str, key: Option<&str>, data: &Value) -> Publication {
    let filter = key.map(|key| (0, key.as_bytes().to_vec()));
    let (path, data) = (path.to_owned(), payload(data));
    Publication { path, filter, data, tracking: Tracking::Untracked }
}

fn tracked(path: &str, key: Option<&str>, data: &Value) -> Publication {
    Publication { tracking: Tracking::Numbered, ..to(path, key, data) }
}

fn with(limits: Limits) -> Settings {
    Settings { limits, ..Settings::default() }
}

fn error_of(message: &Value) -> (&str, &str) {
    let error = &message["error"];
    (error["data"]["code"].as_str().unwrap(), error["message"].as_str().unwrap())
}

/// The server has answered everything, and has nothing else to say.
fn settled(client: &mut Client) {
    assert_eq!(client.fence(), [""; 0]);
}

#[test]
fn a_publication_reaches_each_subscription_once_by_whatever_key() {
    let server = Server::start(App::new(0), Settings::default());
    let mut clients: Vec<Client> = (0..3).map(|_| server.connect()).collect();
    for (client, key) in clients.iter_mut().zip(["a", "ab", "b"]) {
        client.subscribed(1, "news", &json!(key));
        client.subscribed(2, "news", &json!(key));
    }
    assert_eq!(server.publish(to("news", Some("a"), &json!(1))).delivered, 4);
    let all = Publication { filter: Some((1, b"all".to_vec())), ..to("news", None, &json!(2)) };
    assert_eq!(server.publish(all).delivered, 6);
    assert_eq!(server.publish(to("news", None, &json!(3))).delivered, 6);
    assert_eq!(server.publish(to("other", None, &json!(4))).delivered, 0);
    let got = |client: &mut Client| {
        let mut got: Vec<(u64, u64)> = Vec::new();
        for text in client.fence() {
            let message: Value = serde_json::from_str(&text).unwrap();
            let data = message["result"]["data"].as_u64().unwrap();
            got.push((message["id"].as_u64().unwrap(), data));
        }
        got.sort_unstable();
        got
    };
    let all = [(1, 1), (1, 2), (1, 3), (2, 1), (2, 2), (2, 3)];
    assert_eq!(got(&mut clients[0]), all);
    assert_eq!(got(&mut clients[1]), all);
    assert_eq!(got(&mut clients[2]), [(1, 2), (1, 3), (2, 2), (2, 3)]);
    clients.remove(0).socket.close(None).unwrap();
    server.until("the subscriptions go with the connection", |plane| {
        plane.stats().subscriptions == 4
    });
    assert_eq!(server.publish(to("news", None, &json!(5))).delivered, 4);
    server.stop();
}

#[test]
fn ids_that_are_strings_and_jsonrpc_are_repeated_in_what_is_published() {
    let server = Server::start(App::new(0), Settings::default());
    let mut client = server.connect();
    client.send(r#"{"jsonrpc":"2.0","id":"é","method":"subscription","params":{"path":"news"}}"#);
    let started = r#"{"id":"é","jsonrpc":"2.0","result":{"type":"started"}}"#;
    assert_eq!(client.next().unwrap(), started);
    server.publish(to("news", None, &json!([1])));
    let data = r#"{"id":"é","jsonrpc":"2.0","result":{"type":"data","data":[1]}}"#;
    assert_eq!(client.next().unwrap(), data);
    server.stop();
}

/// Clients come back again and again while somebody publishes: each gets everything, once and
/// in order.
#[test]
fn nothing_is_lost_or_doubled_between_what_was_missed_and_what_comes() {
    const EVENTS: u64 = 2000;
    let server = Server::start(
        App::new(0),
        Settings {
            history: HistoryLimits { max_events_per_path: 10_000, ..HistoryLimits::default() },
            ..Settings::default()
        },
    );
    let mut first = server.connect();
    first.subscribed(1, "news", &json!("a"));
    let begin = server.publish(tracked("news", Some("a"), &json!(0))).event_id.unwrap();
    let plane = server.plane.clone();
    let publishing = server.runtime.spawn(async move {
        for n in 1..=EVENTS {
            // Every third is for somebody else.
            let key = if n % 3 == 0 { "b" } else { "a" };
            plane.publish(tracked("news", Some(key), &json!(n))).await.unwrap();
        }
    });
    let expected: Vec<u64> = (1..=EVENTS).filter(|n| n % 3 != 0).collect();
    let mut last = begin;
    let mut got = Vec::new();
    while got.len() < expected.len() {
        let mut client = server.connect();
        client.subscribe(1, "news", &json!("a"), Some(&last));
        assert_eq!(client.next_json()["result"]["type"], "started");
        // Leaves in the middle of it.
        for _ in 0..(got.len() % 7 + 1) * 10 {
            if got.len() == expected.len() {
                break;
            }
            let event = client.next_data(1);
            last = event["id"].as_str().unwrap().to_owned();
            got.push(event["data"].as_u64().unwrap());
        }
    }
    assert_eq!(got, expected);
    server.runtime.block_on(publishing).unwrap();
    server.stop();
}

#[test]
fn a_client_that_comes_back_too_late_is_told_and_so_is_one_from_elsewhere() {
    let server = Server::start(
        App::new(0),
        Settings {
            history: HistoryLimits { max_events_per_path: 2, ..HistoryLimits::default() },
            ..Settings::default()
        },
    );
    let first = server.publish(tracked("news", None, &json!(0))).event_id.unwrap();
    for n in 1..4 {
        server.publish(tracked("news", None, &json!(n)));
    }
    let mut client = server.connect();
    for (id, last) in [(1, first.as_str()), (2, "0123456789ab-1"), (3, "nonsense")] {
        client.subscribe(id, "news", &Value::Null, Some(last));
        let told = client.next_json();
        let (code, why) = error_of(&told);
        assert_eq!(code, "PRECONDITION_FAILED");
        assert!(why.contains(last) && why.contains("load what there is now"), "{why}");
        assert_eq!(client.next_json(), json!({ "id": id, "result": { "type": "stopped" } }));
    }
    settled(&mut client);
    server.stop();
}

#[test]
fn events_that_the_app_names_are_found_by_their_names() {
    let server = Server::start(App::new(0), Settings::default());
    let named = |name: &str, n: u64| Publication {
        tracking: Tracking::Named(name.to_owned()),
        ..to("news", None, &json!(n))
    };
    for (name, n) in [("monday", 1), ("tuesday", 2), ("wednesday", 3)] {
        assert_eq!(server.publish(named(name, n)).event_id.as_deref(), Some(name));
    }
    let mut client = server.connect();
    client.subscribe(1, "news", &Value::Null, Some("monday"));
    assert_eq!(client.next_json()["result"]["type"], "started");
    assert_eq!(client.next_data(1), json!({ "id": "tuesday", "data": 2 }));
    assert_eq!(client.next_data(1), json!({ "id": "wednesday", "data": 3 }));
    server.publish(named("thursday", 4));
    assert_eq!(client.next_data(1), json!({ "id": "thursday", "data": 4 }));
    let too_long = server.plane.publish(named(&"x".repeat(1001), 5));
    assert!(server.runtime.block_on(too_long).is_err());
    server.stop();
}

#[test]
fn what_is_kept_outlives_the_server_and_ids_go_on() {
    let folder = tempfile::tempdir().unwrap();
    let start = || {
        let store = Store::open(folder.path(), StoreOptions::default()).unwrap();
        Server::start_with(App::new(0), Settings::default(), |parts| parts.store = Some(store))
    };
    let server = start();
    let ids: Vec<String> = (0..3)
        .map(|n| server.publish(tracked("news", Some("a"), &json!(n))).event_id.unwrap())
        .collect();
    let plane = server.plane.clone();
    server.stop();
    // Whoever still holds the plane keeps nobody from its folder.
    let server = start();
    let late = plane.publish(tracked("news", None, &json!(9)));
    assert!(server.runtime.block_on(late).is_err());
    let mut client = server.connect();
    client.subscribe(1, "news", &json!("a"), Some(&ids[0]));
    assert_eq!(client.next_json()["result"]["type"], "started");
    assert_eq!(client.next_data(1), json!({ "id": ids[1], "data": 1 }));
    assert_eq!(client.next_data(1), json!({ "id": ids[2], "data": 2 }));
    let next = server.publish(tracked("news", Some("a"), &json!(3))).event_id.unwrap();
    assert_eq!(client.next_data(1), json!({ "id": next, "data": 3 }));
    server.stop();
}

#[test]
fn a_client_that_does_not_take_what_is_published_is_disconnected_and_others_are_not() {
    let server = Server::start(
        App::new(0),
        with(Limits { max_outbound_bytes: 64 * 1024, ..Limits::default() }),
    );
    let mut slow = server.connect();
    slow.subscribed(1, "news", &Value::Null);
    let mut quick = server.connect();
    quick.subscribed(1, "news", &Value::Null);
    let data = json!("x".repeat(32 * 1024));
    let mut published = 0;
    while server.plane.stats().slow == 0 {
        server.publish(to("news", None, &data));
        published += 1;
        assert_eq!(quick.next_data(1), data);
        assert!(published < 10_000, "the slow client is kept");
    }
    server.until("it is gone", |plane| plane.stats().connections == 1);
    assert_eq!(server.publish(to("news", None, &json!(1))).delivered, 1);
    assert_eq!(quick.next_data(1), json!(1));
    server.stop();
}

#[test]
fn a_client_that_says_goodbye_and_reads_nothing_more_is_let_go() {
    let server = Server::start(
        App::new(0),
        with(Limits { max_outbound_bytes: 1 << 30, ..Limits::default() }),
    );
    let mut client = server.connect();
    client.subscribed(1, "news", &Value::Null);
    let data = json!("x".repeat(64 * 1024));
    // More than sockets keep.
    for _ in 0..512 {
        server.publish(to("news", None, &data));
    }
    let before = server.plane.hub_stats().bytes_in;
    client.socket.close(None).unwrap();
    server.until("it is read", |plane| plane.hub_stats().bytes_in > before);
    assert_eq!(server.plane.stats().connections, 1, "it still has something to read");
    server.plane.advance_clock(Duration::from_secs(10));
    server.until("it is gone", |plane| plane.stats().connections == 0);
    server.stop();
}

#[test]
fn a_stream_waits_for_a_client_that_does_not_read() {
    let app = App::new(0);
    let server = Server::start(
        app.clone(),
        with(Limits { max_outbound_bytes: 64 * 1024, ..Limits::default() }),
    );
    let mut client = server.connect();
    client.subscribe(1, "endless", &json!(16 * 1024), None);
    let mut other = server.connect();
    // It goes as far as sockets and limits let it, and then no further, whatever else happens.
    let mut before = usize::MAX;
    server.until("the stream waits", |_| {
        for _ in 0..200 {
            settled(&mut other);
        }
        let given = app.given.load(Ordering::SeqCst);
        let stands = given == before && given > 16;
        before = given;
        stands
    });
    assert!(before < 2000, "{before} events of 16 KB wait");
    assert_eq!(client.next_json()["result"]["type"], "started");
    for _ in 0..before + 100 {
        client.next_data(1);
    }
    assert!(app.given.load(Ordering::SeqCst) > before);
    client.send_json(&json!({ "id": 1, "method": "subscription.stop" }));
    while client.next_json() != json!({ "id": 1, "result": { "type": "stopped" } }) {}
    settled(&mut client);
    server.stop();
}

#[test]
fn ping_is_answered_while_the_context_and_all_calls_wait() {
    let app = App::new(0);
    let server = Server::start(
        app.clone(),
        with(Limits { max_in_flight: 2, max_waiting: 3, ..Limits::default() }),
    );
    let mut client = server.connect_to("?wait");
    let call = |id: u64| json!({ "id": id, "method": "query", "params": { "path": "held" } });
    for id in 1..=3 {
        client.send_json(&call(id));
    }
    client.send_json(&call(4));
    let refused = client.next_json();
    assert_eq!((&refused["id"], error_of(&refused).0), (&json!(4), "TOO_MANY_REQUESTS"));
    settled(&mut client);
    assert_eq!(app.begun.load(Ordering::SeqCst), 0);
    app.open(1);
    server.until("as many begin as may", |_| app.begun.load(Ordering::SeqCst) == 2);
    settled(&mut client);
    app.open(3);
    let mut ids: Vec<u64> = (0..3).map(|_| client.next_json()["id"].as_u64().unwrap()).collect();
    ids.sort_unstable();
    assert_eq!(ids, [1, 2, 3]);
    server.stop();
}

#[test]
fn a_connection_has_so_many_subscriptions_and_an_id_one() {
    let limits = Limits { max_subscriptions: 2, max_keys: 3, max_batch: 4, ..Limits::default() };
    let server = Server::start(App::new(0), with(limits));
    let mut client = server.connect();
    client.subscribed(1, "news", &Value::Null);
    client.subscribe(1, "news", &Value::Null, None);
    assert_eq!(error_of(&client.next_json()), ("BAD_REQUEST", "Duplicate id 1"));
    client.subscribed(2, "news", &Value::Null);
    client.subscribe(3, "news", &Value::Null, None);
    assert_eq!(error_of(&client.next_json()).0, "TOO_MANY_REQUESTS");
    client.send(r#"[{"id":9,"method":"query"},1,1,1,1]"#);
    let told = client.next_json();
    assert_eq!((&told["id"], error_of(&told).0), (&json!(9), "BAD_REQUEST"));
    client.send_json(&json!({ "id": 1, "method": "subscription.stop" }));
    assert_eq!(client.next_json(), json!({ "id": 1, "result": { "type": "stopped" } }));
    client.subscribed(3, "news", &Value::Null);
    server.stop();
}

#[test]
fn a_call_that_panics_or_takes_too_long_is_answered() {
    let limits = Limits { call_timeout: Duration::from_millis(50), ..Limits::default() };
    let server = Server::start(App::new(0), with(limits));
    let mut client = server.connect();
    for (id, path, code) in [(1, "panics", "INTERNAL_SERVER_ERROR"), (2, "held", "TIMEOUT")] {
        client.send_json(&json!({ "id": id, "method": "query", "params": { "path": path } }));
        let told = client.next_json();
        assert_eq!((&told["id"], error_of(&told).0), (&json!(id), code));
    }
    settled(&mut client);
    server.stop();
}

#[test]
fn who_leaves_ends_its_subscriptions_calls_and_none_of_its_mutations() {
    let app = App::new(0);
    let server = Server::start(app.clone(), Settings::default());
    let mut client = server.connect();
    for (id, method) in [(1, "subscription"), (2, "mutation")] {
        client.send_json(&json!({ "id": id, "method": method, "params": { "path": "held" } }));
    }
    server.until("both begin", |_| app.begun.load(Ordering::SeqCst) == 2);
    drop(client);
    server.until("one ends", |_| app.ended.load(Ordering::SeqCst) == 1);
    server.until("the client is gone", |plane| plane.stats().connections == 0);
    app.open(1);
    server.until("the mutation ends", |_| app.ended.load(Ordering::SeqCst) == 2);
    server.stop();
}

#[test]
fn who_is_silent_is_asked_and_then_disconnected() {
    for by in [Probe::Ping, Probe::Text] {
        let (after, patience) = (Duration::from_secs(30), Duration::from_secs(5));
        let keep_alive = Some(KeepAlive { after, patience, by });
        let server = Server::start(App::new(0), Settings { keep_alive, ..Settings::default() });
        let mut client = server.connect();
        settled(&mut client);
        server.plane.advance_clock(after + Duration::from_secs(1));
        client.is_asked(by);
        // Whatever it sends is an answer.
        settled(&mut client);
        server.plane.advance_clock(patience + Duration::from_secs(1));
        settled(&mut client);
        server.plane.advance_clock(after + Duration::from_secs(1));
        client.is_asked(by);
        server.plane.advance_clock(patience + Duration::from_secs(2));
        server.until("it is disconnected", |plane| plane.stats().connections == 0);
        server.stop();
    }
}

#[test]
fn what_is_no_message_is_refused_as_the_protocols_say() {
    let limits = Limits { max_message_bytes: 100, ..Limits::default() };
    let server = Server::start(App::new(0), with(limits));
    let mut client = server.connect();
    client.socket.send(tungstenite::Message::binary(&b"{}"[..])).unwrap();
    assert_eq!(error_of(&client.next_json()).0, "PARSE_ERROR");
    client.send(&"x".repeat(101));
    assert_eq!(client.next(), Err(1009));
    server.stop();
}

#[test]
fn the_observer_hears_of_a_connections_life() {
    use fanwire_subscriptions::{Observer, SubscriptionsEvent};

    #[derive(Default)]
    struct Heard(Mutex<Vec<String>>);

    impl Observer for Heard {
        fn observe(&self, event: &SubscriptionsEvent<'_>) {
            let text = format!("{event:?}");
            let name = text.split([' ', '{']).next().unwrap().to_owned();
            self.0.lock().unwrap().push(name);
        }
    }

    let heard = Arc::new(Heard::default());
    let observer = Arc::clone(&heard);
    let server = Server::start_with(App::new(0), Settings::default(), |parts| {
        parts.observer = observer;
    });
    let mut client = server.connect();
    client.subscribed(1, "news", &Value::Null);
    server.publish(to("news", None, &json!(1)));
    client.next_data(1);
    client.send_json(&json!({ "id": 1, "method": "subscription.stop" }));
    client.next_json();
    client.socket.close(None).unwrap();
    server.until("it hears of the end", |_| heard.0.lock().unwrap().len() == 5);
    let expected = ["Connected", "Called", "Published", "Unsubscribed", "Disconnected"];
    assert_eq!(*heard.0.lock().unwrap(), expected);
    server.stop();
}
