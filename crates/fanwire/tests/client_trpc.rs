//! The tRPC client, against the server of `@trpc/server` itself, 10.40 to 11.25: wants Node, and
//! the packages of `tests/`, which `./test` installs.

#![cfg(feature = "client")]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use fanwire::client::{CallError, ErrorCode, Status, Subscription, Transformer, Trpc};
use fanwire::superjson::{BigInt, Date, Map, Set};
use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::time::timeout;

const PATIENCE: Duration = Duration::from_secs(30);

const SERVER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/harness/trpc-server.mjs");

/// A server, which ends with the test.
struct Server {
    _process: Child,
    input: ChildStdin,
    output: Lines<BufReader<ChildStdout>>,
    url: String,
}

impl Server {
    async fn start(version: &str) -> Self {
        Self::with(&[version]).await
    }

    async fn with(options: &[&str]) -> Self {
        let mut process = Command::new("node")
            .arg(SERVER)
            .args(options)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let input = process.stdin.take().unwrap();
        let mut output = BufReader::new(process.stdout.take().unwrap()).lines();
        let port = timeout(PATIENCE, output.next_line()).await.unwrap().unwrap();
        let port = port.expect("the server says its port; are the packages of tests/ installed?");
        Self { _process: process, input, output, url: format!("ws://127.0.0.1:{port}") }
    }

    async fn tell(&mut self, command: &str) {
        self.input.write_all(format!("{command}\n").as_bytes()).await.unwrap();
        let done = timeout(PATIENCE, self.output.next_line()).await.unwrap().unwrap();
        assert_eq!(done.as_deref(), Some("done"));
    }
}

/// Runs tests' bodies against every version.
macro_rules! every_version {
    ($($version:ident $number:literal)*, $names:tt) => {
        $(mod $version {
            each!($number $names);

            #[tokio::test(flavor = "multi_thread")]
            async fn superjson_has_words_for_what_json_has_not() {
                let server = super::Server::with(&[$number, "superjson"]).await;
                super::superjson_has_words_for_what_json_has_not(server).await;
            }
        })*
    };
}

macro_rules! each {
    ($number:literal [$($name:ident)*]) => {
        $(#[tokio::test(flavor = "multi_thread")]
        async fn $name() {
            super::$name(super::Server::start($number).await).await;
        })*
    };
}

every_version! {
    v10_40 "10.40" v10_45 "10.45" v11_0 "11.0" v11_18 "11.18" v11_25 "11.25",
    [
        queries_and_mutations_are_answered
        a_subscription_ends_when_it_is_over
        a_subscription_that_is_dropped_is_stopped
        subscriptions_outlive_their_connection_and_queries_do_not
        many_calls_are_answered_each_with_its_own
        a_queue_that_is_not_read_ends_its_subscription_only
    ]
}

/// What JSON has no words for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Account {
    opened: Date,
    cents: BigInt,
    owners: Set<Vec<String>>,
    limits: Map<Vec<(Date, u32)>>,
    closed: Option<Date>,
}

async fn next<T: serde::de::DeserializeOwned>(
    events: &mut Subscription<T>,
) -> Option<(Option<String>, T)> {
    let event = timeout(PATIENCE, events.next()).await.unwrap();
    event.map(|event| event.unwrap()).map(|event| (event.id, event.data))
}

/// Waits until the server says so of itself.
async fn until_listeners(client: &Trpc, count: u32) {
    let counted = async {
        while client.query::<u32>("listeners", &()).await.unwrap() != count {
            tokio::task::yield_now().await;
        }
    };
    timeout(PATIENCE, counted).await.unwrap();
}

async fn queries_and_mutations_are_answered(server: Server) {
    let client = Trpc::builder(&server.url).query("token", "T").connect().unwrap();
    let sum: i32 = client.query("math.add", &json!({"a": 2, "b": 3})).await.unwrap();
    assert_eq!(sum, 5);
    assert!(client.status().is_connected());
    assert_eq!(client.query::<String>("whoami", &()).await.unwrap(), "T 1");
    assert_eq!(client.query::<Option<String>>("nothing", &()).await.unwrap(), None);
    assert_eq!(client.query::<String>("nothing", &Some(1)).await.unwrap(), "something");
    client.mutate::<()>("say", &"hello").await.unwrap();
    let error = client.query::<()>("refuse", &()).await.unwrap_err();
    assert_eq!(error.code(), Some(ErrorCode::Unauthorized));
    let CallError::Server(error) = error else { panic!("{error}") };
    assert_eq!((error.number, &*error.message), (-32001, "who are you?"));
    assert_eq!(error.data["httpStatus"], 401);
    let error = client.query::<()>("nowhere", &()).await.unwrap_err();
    assert_eq!(error.code(), Some(ErrorCode::NotFound), "{error}");
    let error = client.query::<bool>("math.add", &json!({"a": 2, "b": 3})).await.unwrap_err();
    assert!(matches!(error, CallError::Output(_)), "{error}");
    client.clone().close().await;
    assert!(matches!(client.status(), Status::Closed));
    let error = client.query::<()>("nothing", &()).await.unwrap_err();
    assert!(matches!(error, CallError::Closed), "{error}");
}

async fn a_subscription_ends_when_it_is_over(server: Server) {
    let client = Trpc::connect(&server.url).unwrap();
    let mut numbers = client.subscribe::<u32>("countdown", &3).await.unwrap();
    for expected in [3, 2, 1] {
        assert_eq!(next(&mut numbers).await, Some((None, expected)));
    }
    assert_eq!(next(&mut numbers).await, None);
    let refused = client.subscribe::<u32>("nowhere", &()).await.unwrap_err();
    assert_eq!(refused.code(), Some(ErrorCode::NotFound), "{refused}");
}

async fn a_subscription_that_is_dropped_is_stopped(server: Server) {
    let client = Trpc::connect(&server.url).unwrap();
    let events = client.subscribe::<String>("live", &()).await.unwrap();
    until_listeners(&client, 1).await;
    drop(events);
    until_listeners(&client, 0).await;
}

async fn subscriptions_outlive_their_connection_and_queries_do_not(mut server: Server) {
    let client = Trpc::connect(&server.url).unwrap();
    let mut events = client.subscribe::<String>("live", &()).await.unwrap();
    server.tell("say one").await;
    assert_eq!(next(&mut events).await, Some((None, "one".to_owned())));
    let never = client.query::<()>("never", &());
    tokio::pin!(never);
    tokio::select! {
        biased;
        answer = &mut never => panic!("{answer:?}"),
        // It is behind that on its way to the server, or in the same batch.
        () = until_listeners(&client, 1) => {}
    }
    server.tell("terminate").await;
    let lost = timeout(PATIENCE, never).await.unwrap().unwrap_err();
    assert!(matches!(lost, CallError::Disconnected), "{lost}");
    client.connected().await.unwrap();
    until_listeners(&client, 1).await;
    assert!(client.status().is_connected());
    server.tell("say two").await;
    assert_eq!(next(&mut events).await, Some((None, "two".to_owned())));
}

async fn many_calls_are_answered_each_with_its_own(server: Server) {
    let client = Trpc::connect(&server.url).unwrap();
    let sums = (0..1000).map(|n| {
        let client = client.clone();
        async move {
            let sum: i32 = client.query("math.add", &json!({"a": n, "b": 1})).await.unwrap();
            assert_eq!(sum, n + 1);
        }
    });
    timeout(PATIENCE, futures_util::future::join_all(sums)).await.unwrap();
}

async fn a_queue_that_is_not_read_ends_its_subscription_only(server: Server) {
    let client = Trpc::builder(&server.url).queue(4).connect().unwrap();
    let mut slow = client.subscribe::<u32>("countdown", &100).await.unwrap();
    // Whatever it was sent has come before this is answered.
    assert_eq!(client.query::<i32>("math.add", &json!({"a": 1, "b": 1})).await.unwrap(), 2);
    let mut read = 0;
    let error = loop {
        match timeout(PATIENCE, slow.next()).await.unwrap().unwrap() {
            Ok(event) => {
                assert_eq!(event.data, 100 - read);
                read += 1;
            }
            Err(error) => break error,
        }
    };
    assert!(matches!(error, CallError::Lagged { waiting: 4 }), "{error}");
    assert!(slow.next().await.is_none());
}

#[derive(Deserialize, Debug, PartialEq)]
struct Message {
    text: String,
}

/// Reads the messages with these numbers, and nothing else.
async fn expect(events: &mut Subscription<Message>, numbers: std::ops::RangeInclusive<u32>) {
    for number in numbers {
        let message = Message { text: format!("message {number}") };
        assert_eq!(next(events).await, Some((Some(number.to_string()), message)));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn tracked_events_are_neither_lost_nor_told_twice_when_connections_are() {
    let mut server = Server::start("11.25").await;
    let client = Trpc::connect(&server.url).unwrap();
    let mut events = client.subscribe::<Message>("messages", &json!({})).await.unwrap();
    let mut said = 0;
    for _ in 0..5 {
        server.tell(&format!("say message {}", said + 1)).await;
        server.tell("terminate").await;
        server.tell(&format!("say message {}", said + 2)).await;
        said += 2;
    }
    expect(&mut events, 1..=said).await;
    // Another one begins where it is told to.
    let mut later = client.subscribe_after::<Message>("messages", &(), "7").await.unwrap();
    expect(&mut later, 8..=said).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_asks_for_another_connection_is_changed_without_a_gap() {
    let mut server = Server::start("11.25").await;
    let client = Trpc::connect(&server.url).unwrap();
    let mut events = client.subscribe::<Message>("messages", &json!({})).await.unwrap();
    let mut live = client.subscribe::<String>("live", &()).await.unwrap();
    for number in 1..=50_u32 {
        if number % 10 == 0 {
            server.tell("reconnect").await;
        }
        server.tell(&format!("say message {number}")).await;
    }
    expect(&mut events, 1..=50).await;
    // What has no id may come twice, and is not lost.
    let mut last = 0;
    while last < 50 {
        let (_, text) = next(&mut live).await.unwrap();
        let number: u32 = text.strip_prefix("message ").unwrap().parse().unwrap();
        assert!(number <= last + 1, "{number} after {last}");
        last = last.max(number);
    }
    assert!(client.status().is_connected());
}

#[tokio::test(flavor = "multi_thread")]
async fn connection_parameters_are_asked_for_before_each_connection() {
    let mut server = Server::start("11.25").await;
    let asked = Arc::new(AtomicU32::new(0));
    let params = {
        let asked = Arc::clone(&asked);
        move || {
            let nth = asked.fetch_add(1, Ordering::Relaxed) + 1;
            async move { Ok([("token", format!("token {nth}"))]) }
        }
    };
    let client = Trpc::builder(&server.url).connection_params(params).connect().unwrap();
    assert_eq!(client.query::<String>("whoami", &()).await.unwrap(), "token 1 1");
    server.tell("terminate").await;
    let whoami = async {
        // Until the client knows that the connection is gone, a query may be lost with it.
        loop {
            match client.query::<String>("whoami", &()).await {
                Ok(name) => break name,
                Err(error) => assert!(matches!(error, CallError::Disconnected), "{error}"),
            }
        }
    };
    assert_eq!(timeout(PATIENCE, whoami).await.unwrap(), "token 2 2");
}

#[tokio::test(flavor = "multi_thread")]
async fn both_sides_ask_each_other_whether_they_are_there() {
    let server = Server::start("11.25").await;
    let keep_alive = Duration::from_millis(20);
    let client = Trpc::builder(&server.url).keep_alive(keep_alive, PATIENCE).query("token", "T");
    let client = client.connect().unwrap();
    assert_eq!(client.query::<String>("whoami", &()).await.unwrap(), "T 1");
    // The first asks, so that it is not asked; this one only answers.
    let quiet = Trpc::connect(&server.url).unwrap();
    // And this one's questions keep nobody from either.
    let observer = Trpc::connect(&server.url).unwrap();
    let heard = async {
        loop {
            let (pings, pongs): (u32, u32) = observer.query("heartbeats", &()).await.unwrap();
            if pings > 2 && pongs > 2 {
                break;
            }
        }
    };
    timeout(PATIENCE, heard).await.unwrap();
    assert!(quiet.status().is_connected());
    assert_eq!(client.query::<String>("whoami", &()).await.unwrap(), "T 1");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_shows_in_the_status() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("ws://{}", listener.local_addr().unwrap());
    drop(listener);
    let client = Trpc::connect(url).unwrap();
    let waiting = client.query::<()>("nothing", &());
    assert!(timeout(Duration::from_millis(50), waiting).await.is_err());
    let Status::Connecting { failures, why } = client.status() else { panic!() };
    assert!(failures > 0);
    assert!(why.unwrap().to_string().contains("no server answers at ws://127.0.0.1"));
    assert!(Trpc::connect("http//x").is_err());
}

async fn superjson_has_words_for_what_json_has_not(mut server: Server) {
    let account = Account {
        opened: Date::from_millis(1_000),
        cents: BigInt(9_007_199_254_740_993),
        owners: Set(vec!["ada".to_owned()]),
        limits: Map(vec![(Date::from_millis(0), 500)]),
        closed: None,
    };
    let older = |account: &Account| Account {
        opened: Date::from_millis(account.opened.millis() + 1_000),
        cents: BigInt(account.cents.0 * 2),
        owners: Set(vec!["ADA".to_owned()]),
        limits: account
            .limits
            .iter()
            .map(|(at, n)| (Date::from_millis(at.millis() + 1_000), n + 1))
            .collect(),
        closed: None,
    };
    let client = Trpc::builder(&server.url).transformer(Transformer::SuperJson).connect().unwrap();
    let answer: Account = client.query("account.older", &account).await.unwrap();
    assert_eq!(answer, older(&account));
    let mut ages = client.subscribe::<Account>("account.ages", &account).await.unwrap();
    assert_eq!(next(&mut ages).await.unwrap().1, older(&account));
    assert_eq!(next(&mut ages).await.unwrap().1, older(&older(&account)));
    assert_eq!(next(&mut ages).await, None);
    let error = client.mutate::<()>("account.tooOld", &account.opened).await.unwrap_err();
    let CallError::Server(error) = error else { panic!("{error}") };
    assert_eq!(error.message, "opened 1970-01-01T00:00:01.000Z");
    assert_eq!(error.code, Some(ErrorCode::Conflict));
    // Undefined, and what has no word in JSON and needs none.
    assert_eq!(client.query::<Option<String>>("nothing", &()).await.unwrap(), None);
    assert_eq!(client.query::<String>("nothing", &Some(1)).await.unwrap(), "something");
    let mut live = client.subscribe::<String>("live", &()).await.unwrap();
    until_listeners(&client, 1).await;
    server.tell("say one").await;
    assert_eq!(next(&mut live).await, Some((None, "one".to_owned())));
}
