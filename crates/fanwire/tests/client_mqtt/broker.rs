//! Brokers to test against, and their clients.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Stdio;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use fanwire::client::{Message, Mqtt, MqttBuilder, MqttSubscription};
use fanwire::realtime::{ConnectRequest, Grant, Realtime};
use fanwire::{Home, Result, Server, ServerOptions};
use serde_json::json;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};
use tokio::time::timeout;

use crate::line::Line;

pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// A broker, which ends with the test, and what its clients speak.
pub(crate) struct Broker {
    pub(crate) kind: Kind,
    pub(crate) version: Version,
}

pub(crate) enum Kind {
    Fanwire(Box<Server>),
    Mosquitto(Box<Mosquitto>),
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Version {
    V3,
    V5,
}

pub(crate) struct Mosquitto {
    _process: Child,
    pub(crate) folder: TempDir,
    tcp: u16,
    websocket: u16,
    pub(crate) tls: u16,
}

impl Broker {
    pub(crate) async fn fanwire() -> Self {
        let anyone = async |_: ConnectRequest, _: Home| -> Result<Grant> {
            let everything = json!({
                "Version": "2012-10-17",
                "Statement": [{"Effect": "Allow", "Action": "iot:*", "Resource": "*"}],
            });
            Ok(Grant::new().principal("anyone").policy(everything))
        };
        Self::of(Realtime::new("broker").authorizer(anyone)).await
    }

    pub(crate) async fn of(realtime: Realtime) -> Self {
        let options = ServerOptions::default().with_address(([127, 0, 0, 1], 0));
        let server = Box::new(Server::start(realtime.into(), options).await.unwrap());
        Self { kind: Kind::Fanwire(server), version: Version::V5 }
    }

    pub(crate) async fn mosquitto() -> Self {
        // A port that was free may be another's by then.
        for _ in 0..10 {
            if let Some(mosquitto) = timeout(PATIENCE, Mosquitto::start()).await.unwrap() {
                let kind = Kind::Mosquitto(Box::new(mosquitto));
                return Self { kind, version: Version::V5 };
            }
        }
        panic!("mosquitto does not start");
    }

    pub(crate) fn tcp(&self) -> SocketAddr {
        match &self.kind {
            Kind::Fanwire(server) => server.address(),
            Kind::Mosquitto(mosquitto) => ([127, 0, 0, 1], mosquitto.tcp).into(),
        }
    }

    pub(crate) fn url(&self) -> String {
        format!("mqtt://{}", self.tcp())
    }

    pub(crate) fn websocket_url(&self) -> String {
        match &self.kind {
            Kind::Fanwire(server) => format!("ws://{}/mqtt", server.address()),
            Kind::Mosquitto(mosquitto) => format!("ws://127.0.0.1:{}/mqtt", mosquitto.websocket),
        }
    }

    pub(crate) fn client(&self) -> Mqtt {
        self.builder(self.url()).connect().unwrap()
    }

    /// A client whose connection can be cut off.
    pub(crate) fn over(&self, line: &Line) -> Mqtt {
        self.builder(url_of(line)).connect().unwrap()
    }

    /// A client of the broker's version, whose session outlives its connections.
    pub(crate) fn builder(&self, url: String) -> MqttBuilder {
        static LAST: AtomicU32 = AtomicU32::new(0);
        let name = format!("client-{}", LAST.fetch_add(1, Ordering::Relaxed));
        match self.version {
            Version::V3 => Mqtt::builder(url).client_id(name).mqtt_3_1_1(),
            Version::V5 => Mqtt::builder(url),
        }
    }

    /// The same, spoken to in MQTT 3.1.1.
    pub(crate) fn in_3_1_1(self) -> Self {
        Self { version: Version::V3, ..self }
    }
}

impl Mosquitto {
    async fn start() -> Option<Self> {
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
        let mut process = Command::new("mosquitto")
            .env("PATH", sbin)
            .args(["-c", &path("mosquitto.conf")])
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("mosquitto is installed");
        let mut log = BufReader::new(process.stderr.take().unwrap()).lines();
        while !log.next_line().await.unwrap()?.ends_with(" running") {}
        // Read, so that it does not wait for somebody who does.
        tokio::spawn(async move { while let Ok(Some(_)) = log.next_line().await {} });
        Some(Self { _process: process, folder, tcp, websocket, tls })
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

pub(crate) fn url_of(line: &Line) -> String {
    format!("mqtt://{}", line.address)
}

/// Cuts a client off; done when it has noticed.
pub(crate) async fn cut(line: &Line, client: &Mqtt) {
    line.cut();
    let noticed = async {
        while client.status().is_connected() {
            tokio::task::yield_now().await;
        }
    };
    timeout(PATIENCE, noticed).await.unwrap();
}

pub(crate) async fn next(messages: &mut MqttSubscription) -> Message {
    timeout(PATIENCE, messages.next()).await.unwrap().unwrap()
}

pub(crate) async fn texts(messages: &mut MqttSubscription, count: usize) -> Vec<String> {
    let mut texts = Vec::new();
    for _ in 0..count {
        texts.push(String::from_utf8(next(messages).await.payload.to_vec()).unwrap());
    }
    texts
}

/// A body that ends, or says that it does not.
pub(crate) async fn bounded(body: impl Future<Output = ()>) {
    timeout(2 * PATIENCE, body).await.unwrap();
}

/// Runs tests' bodies against both brokers, in both versions.
macro_rules! everywhere {
    ($($name:ident)*) => {
        $(mod $name {
            use crate::broker::Broker;

            #[tokio::test(flavor = "multi_thread")]
            async fn fanwire() {
                crate::broker::bounded(super::$name(Broker::fanwire().await)).await;
            }

            #[tokio::test(flavor = "multi_thread")]
            async fn mosquitto() {
                crate::broker::bounded(super::$name(Broker::mosquitto().await)).await;
            }

            #[tokio::test(flavor = "multi_thread")]
            async fn fanwire_3_1_1() {
                crate::broker::bounded(super::$name(Broker::fanwire().await.in_3_1_1())).await;
            }

            #[tokio::test(flavor = "multi_thread")]
            async fn mosquitto_3_1_1() {
                crate::broker::bounded(super::$name(Broker::mosquitto().await.in_3_1_1())).await;
            }
        })*
    };
}

pub(crate) use everywhere;
