//! The MQTT client, against mosquitto, which `./test` installs, and against a broker of this
//! process: one body for both.

#![cfg(all(feature = "client", feature = "server"))]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

mod line;

use std::collections::HashSet;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use fanwire::client::{
    ConnectError, Credentials, Message, Mqtt, MqttError, MqttSubscription, Status, Trust,
};
use fanwire::realtime::{ConnectRequest, Grant, Publication, Realtime};
use fanwire::{Error, Home, Result, Server, ServerOptions};
use serde::{Deserialize, Serialize};
use serde_json::json;
use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio::process::{Child, Command};
use tokio::time::timeout;

use self::line::Line;

const PATIENCE: Duration = Duration::from_secs(30);

/// A broker, which ends with the test.
enum Broker {
    Fanwire(Box<Server>),
    Mosquitto(Box<Mosquitto>),
}

struct Mosquitto {
    _process: Child,
    folder: TempDir,
    tcp: u16,
    websocket: u16,
    tls: u16,
}

impl Broker {
    async fn fanwire() -> Self {
        let anyone = async |_: ConnectRequest, _: Home| -> Result<Grant> {
            let everything = json!({
                "Version": "2012-10-17",
                "Statement": [{"Effect": "Allow", "Action": "iot:*", "Resource": "*"}],
            });
            Ok(Grant::new().principal("anyone").policy(everything))
        };
        Self::of(Realtime::new("broker").authorizer(anyone)).await
    }

    async fn of(realtime: Realtime) -> Self {
        let options = ServerOptions::default().with_address(([127, 0, 0, 1], 0));
        Self::Fanwire(Box::new(Server::start(realtime.into(), options).await.unwrap()))
    }

    async fn mosquitto() -> Self {
        let folder = TempDir::new().unwrap();
        let (tcp, websocket, tls) = (free_port(), free_port(), free_port());
        certificates(folder.path());
        let path = |name: &str| folder.path().join(name).display().to_string();
        let config = format!(
            "per_listener_settings false\nallow_anonymous true\nset_tcp_nodelay true\n\
             listener {tcp} 127.0.0.1\nlistener {websocket} 127.0.0.1\n\
             protocol websockets\nlistener {tls} 127.0.0.1\ncertfile {}\nkeyfile {}\n",
            path("server.pem"),
            path("server.key"),
        );
        std::fs::write(path("mosquitto.conf"), config).unwrap();
        let sbin = format!("/usr/sbin:{}", std::env::var("PATH").unwrap_or_default());
        let process = Command::new("mosquitto")
            .env("PATH", sbin)
            .args(["-c", &path("mosquitto.conf")])
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .expect("mosquitto is installed");
        let listening = async {
            while TcpStream::connect(("127.0.0.1", tcp)).await.is_err() {
                tokio::task::yield_now().await;
            }
        };
        timeout(PATIENCE, listening).await.unwrap();
        Self::Mosquitto(Box::new(Mosquitto { _process: process, folder, tcp, websocket, tls }))
    }

    fn tcp(&self) -> SocketAddr {
        match self {
            Self::Fanwire(server) => server.address(),
            Self::Mosquitto(mosquitto) => ([127, 0, 0, 1], mosquitto.tcp).into(),
        }
    }

    fn url(&self) -> String {
        format!("mqtt://{}", self.tcp())
    }

    fn websocket_url(&self) -> String {
        match self {
            Self::Fanwire(server) => format!("ws://{}/mqtt", server.address()),
            Self::Mosquitto(mosquitto) => format!("ws://127.0.0.1:{}/mqtt", mosquitto.websocket),
        }
    }

    fn client(&self) -> Mqtt {
        Mqtt::connect(self.url()).unwrap()
    }
}

fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// An authority, and a server's certificate of it for `localhost`.
fn certificates(folder: &Path) {
    use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
    let key = KeyPair::generate().unwrap();
    let mut authority = CertificateParams::new(Vec::new()).unwrap();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let certificate = authority.self_signed(&key).unwrap();
    std::fs::write(folder.join("ca.pem"), certificate.pem()).unwrap();
    let issuer = Issuer::new(authority, key);
    let key = KeyPair::generate().unwrap();
    let server = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    let server = server.signed_by(&key, &issuer).unwrap();
    std::fs::write(folder.join("server.pem"), server.pem()).unwrap();
    std::fs::write(folder.join("server.key"), key.serialize_pem()).unwrap();
}

fn over(line: &Line) -> Mqtt {
    Mqtt::connect(format!("mqtt://{}", line.address)).unwrap()
}

/// Cuts a client off; done when it has noticed.
async fn cut(line: &Line, client: &Mqtt) {
    line.cut();
    let noticed = async {
        while client.status().is_connected() {
            tokio::task::yield_now().await;
        }
    };
    timeout(PATIENCE, noticed).await.unwrap();
}

/// Runs tests' bodies against both brokers.
macro_rules! both_brokers {
    ($($name:ident)*) => {
        mod fanwire_broker {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $name() {
                super::$name(super::Broker::fanwire().await).await;
            })*
        }

        mod mosquitto_broker {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $name() {
                super::$name(super::Broker::mosquitto().await).await;
            })*
        }
    };
}

both_brokers! {
    messages_come_as_they_were_published
    over_websockets_it_is_the_same
    each_subscription_has_its_own_messages
    more_than_may_be_unacknowledged_waits_at_the_broker
    nothing_is_lost_while_the_connection_is
    what_is_published_while_there_is_no_connection_comes_in_order
    a_session_can_outlive_its_process
    what_cannot_be_sent_is_refused_here
}

async fn next(messages: &mut MqttSubscription) -> Message {
    timeout(PATIENCE, messages.next()).await.unwrap().unwrap()
}

async fn texts(messages: &mut MqttSubscription, count: usize) -> Vec<String> {
    let mut texts = Vec::new();
    for _ in 0..count {
        texts.push(String::from_utf8(next(messages).await.payload.to_vec()).unwrap());
    }
    texts
}

async fn messages_come_as_they_were_published(broker: Broker) {
    exchange(&broker.client(), &broker.client()).await;
}

async fn over_websockets_it_is_the_same(broker: Broker) {
    let client = || Mqtt::connect(broker.websocket_url()).unwrap();
    exchange(&client(), &client()).await;
}

async fn exchange(reader: &Mqtt, writer: &Mqtt) {
    #[derive(Serialize, Deserialize, PartialEq, Debug)]
    struct Order {
        item: String,
    }
    let mut orders = reader.subscribe("shop/+/orders").await.unwrap();
    let order = Order { item: "tea".to_owned() };
    writer.publish_json("shop/7/orders", &order).await.unwrap();
    let message = next(&mut orders).await;
    assert_eq!((&*message.topic, message.qos), ("shop/7/orders", 1));
    assert_eq!(message.json::<Order>().unwrap(), order);
    let plain = |topic: &str, retain| Publication {
        topic: topic.to_owned(),
        payload: "plain".into(),
        qos: 0,
        retain,
    };
    writer.send(plain("shop/8/orders", false)).await.unwrap();
    let message = next(&mut orders).await;
    assert_eq!((message.qos, message.retained, &message.payload[..]), (0, false, &b"plain"[..]));
    // As anything that publishes to a broker.
    let broker: &dyn fanwire::realtime::Broker = writer;
    broker.publish(plain("shop/9/kept", true)).await.unwrap();
    // In order after what is retained.
    writer.publish("shop/9/orders", "").await.unwrap();
    next(&mut orders).await;
    let mut kept = reader.subscribe("shop/9/kept").await.unwrap();
    assert!(next(&mut kept).await.retained);
    assert!(reader.status().is_connected());
    reader.clone().close().await;
    assert_eq!(orders.next().await, None);
    let error = reader.publish("a", "").await.unwrap_err();
    assert!(matches!(error, MqttError::Closed), "{error}");
}

async fn each_subscription_has_its_own_messages(broker: Broker) {
    let client = broker.client();
    let mut all = client.subscribe("room/#").await.unwrap();
    let mut one = client.subscribe("room/1").await.unwrap();
    let mut same = client.subscribe("room/1").await.unwrap();
    client.publish("room/1", "a").await.unwrap();
    client.publish("room/2", "b").await.unwrap();
    assert_eq!(texts(&mut one, 1).await, ["a"]);
    assert_eq!(texts(&mut same, 1).await, ["a"]);
    drop(one);
    client.publish("room/1", "c").await.unwrap();
    assert_eq!(texts(&mut same, 1).await, ["c"]);
    assert_eq!(texts(&mut all, 3).await, ["a", "b", "c"]);
}

/// mosquitto 2.0.11 sends more than it may: up to a receive maximum again for each acknowledgement
/// (fixed in 2.0.13, "various fixes around inflight quota management"). The client used to leave
/// it for that, and was sent the same by the next connection.
async fn more_than_may_be_unacknowledged_waits_at_the_broker(broker: Broker) {
    let connections = Arc::new(AtomicU32::new(0));
    let counted = Arc::clone(&connections);
    let anyone = move || {
        counted.fetch_add(1, Ordering::Relaxed);
        std::future::ready(Ok(Credentials::default()))
    };
    let client = Mqtt::builder(broker.url()).credentials_with(anyone).connect().unwrap();
    let mut all = client.subscribe("room/#").await.unwrap();
    let numbers: Vec<String> = (0..600).map(|n| n.to_string()).collect();
    let publishing = async {
        // One after the other, for the order of those that wait together is the runtime's.
        for number in &numbers {
            client.publish("room/2", number.clone()).await.unwrap();
        }
    };
    timeout(PATIENCE, publishing).await.unwrap();
    let mut texts_read = Vec::new();
    for _ in 0..4 {
        texts_read.extend(texts(&mut all, 1).await);
        // Done after the broker has sent what the acknowledgement makes room for.
        client.publish("elsewhere", "").await.unwrap();
        client.publish("elsewhere", "").await.unwrap();
    }
    texts_read.extend(texts(&mut all, 596).await);
    assert_eq!(texts_read, numbers);
    assert_eq!((all.lost(), connections.load(Ordering::Relaxed)), (0, 1));
}

async fn nothing_is_lost_while_the_connection_is(broker: Broker) {
    let line = Line::to(broker.tcp()).await;
    let (reader, writer) = (over(&line), broker.client());
    let mut messages = reader.subscribe("log").await.unwrap();
    cut(&line, &reader).await;
    let expected: HashSet<String> = (0..5).map(|n| n.to_string()).collect();
    for text in &expected {
        writer.publish("log", text.clone()).await.unwrap();
    }
    line.mend();
    let mut got = HashSet::new();
    while got.len() < expected.len() {
        got.extend(texts(&mut messages, 1).await);
    }
    assert_eq!(got, expected);
}

async fn what_is_published_while_there_is_no_connection_comes_in_order(broker: Broker) {
    let line = Line::to(broker.tcp()).await;
    let (reader, writer) = (broker.client(), over(&line));
    let mut messages = reader.subscribe("log").await.unwrap();
    writer.connected().await.unwrap();
    cut(&line, &writer).await;
    let published = (0..5).map(|n| {
        let writer = writer.clone();
        async move { writer.publish("log", n.to_string()).await.unwrap() }
    });
    let all = futures_util::future::join_all(published);
    let mended = async {
        let Status::Connecting { .. } = writer.status() else { panic!("it is cut off") };
        line.mend();
    };
    timeout(PATIENCE, async { tokio::join!(all, mended) }).await.unwrap();
    assert_eq!(texts(&mut messages, 5).await, ["0", "1", "2", "3", "4"]);
}

async fn a_session_can_outlive_its_process(broker: Broker) {
    let client = || Mqtt::builder(broker.url()).client_id("worker").resume().connect().unwrap();
    let worker = client();
    let jobs = worker.subscribe("jobs").await.unwrap();
    worker.close().await;
    drop(jobs);
    let writer = broker.client();
    writer.publish("jobs", "while away").await.unwrap();
    let worker = client();
    worker.connected().await.unwrap();
    let mut jobs = worker.subscribe("jobs").await.unwrap();
    assert_eq!(texts(&mut jobs, 1).await, ["while away"]);
}

async fn what_cannot_be_sent_is_refused_here(broker: Broker) {
    let client = broker.client();
    for filter in ["", "a/#/b", "a+"] {
        let error = client.subscribe(filter).await.unwrap_err();
        assert!(matches!(error, MqttError::Invalid { .. }), "{error}");
    }
    let error = client.publish("a/+", "").await.unwrap_err();
    assert!(matches!(error, MqttError::Invalid { .. }), "{error}");
    let twice = Publication { topic: "a".into(), payload: "".into(), qos: 2, retain: false };
    assert!(matches!(client.send(twice).await.unwrap_err(), MqttError::Invalid { .. }));
    // And nothing has ended the connection.
    client.publish("a", "").await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn certificates_are_believed_of_those_who_are_trusted() {
    let broker = Broker::mosquitto().await;
    let Broker::Mosquitto(mosquitto) = &broker else { unreachable!() };
    let Mosquitto { folder, tls, .. } = &**mosquitto;
    let url = format!("mqtts://localhost:{tls}");
    let trust = Trust::root_file(folder.path().join("ca.pem")).unwrap();
    let client = Mqtt::builder(&url).trust(trust).connect().unwrap();
    client.publish("a", "secret").await.unwrap();
    let stranger = Mqtt::connect(&url).unwrap();
    let why = why_not(&stranger).await;
    assert!(matches!(&*why, ConnectError::Tls { .. }), "{why}");
    assert!(Trust::root(b"nonsense").is_err());
}

/// Why a client does not connect.
async fn why_not(client: &Mqtt) -> Arc<ConnectError> {
    let reason = async {
        loop {
            if let Status::Connecting { why: Some(why), .. } = client.status() {
                break why;
            }
            tokio::task::yield_now().await;
        }
    };
    timeout(PATIENCE, reason).await.unwrap()
}

/// Who brings `right` may use `open/…`.
async fn authorize(request: ConnectRequest, _: Home) -> Result<Grant> {
    match &*request.token() {
        "right" => Ok(Grant::new().principal("ada").subscribe(["open/*"]).publish(["open/*"])),
        _ => Err(Error::new(401, "wrong token")),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn credentials_are_asked_for_before_each_attempt() {
    let broker = Broker::of(Realtime::new("chat").authorizer(authorize)).await;
    for url in [broker.url(), broker.websocket_url()] {
        let asked = Arc::new(AtomicU32::new(0));
        let counted = Arc::clone(&asked);
        let client = Mqtt::builder(url).authorizer("chat").credentials_with(move || {
            let nth = counted.fetch_add(1, Ordering::Relaxed);
            async move { Ok(Credentials::new("", if nth == 0 { "expired" } else { "right" })) }
        });
        let client = client.connect().unwrap();
        let why = why_not(&client).await;
        assert!(why.is_unauthorized(), "{why}");
        timeout(PATIENCE, client.publish("open/a", "hello")).await.unwrap().unwrap();
        assert_eq!(asked.load(Ordering::Relaxed), 2);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_policy_forbids_is_an_error_of_that_alone() {
    let broker = Broker::of(Realtime::new("chat").authorizer(authorize)).await;
    let client = Mqtt::builder(broker.url()).credentials("", "right").connect().unwrap();
    let error = client.subscribe("closed/a").await.unwrap_err();
    assert!(matches!(&error, MqttError::Refused { reason: Some(135), .. }), "{error}");
    let mut open = client.subscribe("open/a").await.unwrap();
    client.publish("open/a", "hello").await.unwrap();
    assert_eq!(texts(&mut open, 1).await, ["hello"]);
}
