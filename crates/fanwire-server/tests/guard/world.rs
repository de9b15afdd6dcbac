//! A server with keys, and a client that signs as AWS's crate does.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use aws_credential_types::Credentials;
use aws_sigv4::http_request::{
    SignableBody, SignableRequest, SignatureLocation, SigningSettings, sign,
};
use aws_sigv4::sign::v4;
use fanwire_app::model::WebSocketApi;
use fanwire_app::{LoadOptions, load, serve};
use fanwire_dynamodb::DynamoDbOptions;
use fanwire_functions::Silent;
use fanwire_realtime::RealtimeEvent;
use fanwire_server::{GuardEvent, GuardObserver, GuardOptions, Observers, Server, ServerOptions};
use fanwire_websocket::RequestRecord;
use serde_json::Value;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// The app, which has something of everything.
const APP: &str = r#"
    name = "shop"
    profile = "open"
    account_id = "123456789012"
    [websocket]
    id = "abcdefghij"
    [websocket.routes."$default"]
    function = "resize"
    [functions.resize]
    command = ["false"]
    [realtime]
    allow_anonymous = true
    [tables.orders]
    hash = "id"
"#;

/// What is looked at of an answer.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    head: String,
    pub(crate) body: String,
}

impl Reply {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (found, value) = line.split_once(": ")?;
            found.eq_ignore_ascii_case(name).then_some(value)
        })
    }

    /// The status, and the name of the exception that SDKs make of it.
    pub(crate) fn error(&self) -> (u16, &str) {
        (self.status, self.header("x-amzn-errortype").unwrap_or_default())
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }
}

/// A request, before and after it is signed.
#[derive(Debug, Clone)]
pub(crate) struct Call {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: String,
}

impl Call {
    pub(crate) fn new(method: &str, path: &str, body: &str) -> Self {
        Self {
            method: method.to_owned(),
            path: path.to_owned(),
            headers: Vec::new(),
            body: body.to_owned(),
        }
    }

    pub(crate) fn with(mut self, name: &str, value: &str) -> Self {
        self.headers.retain(|(known, _)| known != name);
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Signs as AWS's crate does, at some time.
    pub(crate) fn signed(
        self,
        at: SocketAddr,
        key: (&str, &str),
        service: &str,
        time: SystemTime,
    ) -> Self {
        self.signed_in(SignatureLocation::Headers, at, key, service, time)
    }

    /// The same, in the headers or in the query.
    pub(crate) fn signed_in(
        mut self,
        location: SignatureLocation,
        at: SocketAddr,
        (id, secret): (&str, &str),
        service: &str,
        time: SystemTime,
    ) -> Self {
        let mut settings = SigningSettings::default();
        settings.signature_location = location;
        settings.expires_in = Some(Duration::from_secs(600));
        let identity = Credentials::new(id, secret, None, None, "test").into();
        let params = v4::SigningParams::builder()
            .identity(&identity)
            .region("eu-west-1")
            .name(service)
            .time(time)
            .settings(settings)
            .build()
            .unwrap();
        let signable = SignableRequest::new(
            self.method.as_str(),
            format!("http://{at}{}", self.path),
            self.headers.iter().map(|(name, value)| (name.as_str(), value.as_str())),
            SignableBody::Bytes(self.body.as_bytes()),
        );
        let (signed, _) = sign(signable.unwrap(), &params.into()).unwrap().into_parts();
        for (name, value) in signed.headers() {
            self.headers.push((name.to_owned(), value.to_owned()));
        }
        for (name, value) in signed.params() {
            let value = encoded(value);
            let more = if self.path.contains('?') { '&' } else { '?' };
            self.path.push_str(&format!("{more}{name}={value}"));
        }
        self
    }
}

/// A value of a query.
fn encoded(text: &str) -> String {
    let encode = |byte: u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
            char::from(byte).to_string()
        }
        byte => format!("%{byte:02X}"),
    };
    text.bytes().map(encode).collect()
}

/// A server with these settings.
pub(crate) struct World {
    pub(crate) server: Server,
    pub(crate) folder: TempDir,
    told: Arc<Told>,
}

/// What the observer was told.
#[derive(Default)]
struct Told(Mutex<Vec<String>>);

impl GuardObserver for Told {
    fn observe(&self, event: &GuardEvent<'_>) {
        self.0.lock().unwrap().push(format!("{event:?}"));
    }
}

/// Looks away.
struct Nobody;

impl fanwire_websocket::Observer for Nobody {
    fn request(&self, _: &RequestRecord<'_>) {}

    fn access(&self, _: &WebSocketApi, _: &str) {}

    fn trouble(&self, _: &WebSocketApi, _: &str) {}

    fn execution(&self, _: &WebSocketApi, _: &str, _: &str) {}
}

impl fanwire_realtime::Observer for Nobody {
    fn observe(&self, _: &RealtimeEvent<'_>) {}
}

fn settings(folder: &Path, text: &str) -> serve::Serve {
    let file = folder.join(serve::FILE_NAME);
    std::fs::write(&file, text).unwrap();
    serve::load(None, &folder.join("fanwire.toml"), &LoadOptions::default()).unwrap().serve
}

impl World {
    pub(crate) async fn new(text: &str) -> Self {
        Self::of(APP, text).await
    }

    /// A server of another app.
    pub(crate) async fn of(app: &str, text: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("fanwire.toml");
        std::fs::write(&file, app).unwrap();
        let app = load(&file, &LoadOptions::default()).unwrap().app;
        let told = Arc::new(Told::default());
        let serve = settings(folder.path(), text);
        let options = ServerOptions {
            address: ([127, 0, 0, 1], 0).into(),
            tables: Some(DynamoDbOptions { folder: folder.path().join("data"), fresh: true }),
            guard: GuardOptions {
                access: Some(serve.access),
                limits: serve.limits,
                observer: Some(told.clone()),
            },
            ..ServerOptions::default()
        };
        let observers = Observers {
            websocket: Arc::new(Nobody),
            functions: Arc::new(Silent),
            realtime: Arc::new(Nobody),
            nitric: None,
            logs: None,
        };
        let server = Server::start(&app, options, observers).await.unwrap();
        Self { server, folder, told }
    }

    /// What the observer was told, all of it.
    pub(crate) fn told(&self) -> String {
        self.told.0.lock().unwrap().join("\n")
    }

    pub(crate) async fn send(&self, call: &Call) -> Reply {
        send(self.server.address(), call).await
    }

    /// Signs with a key and sends.
    pub(crate) async fn ask(&self, key: (&str, &str), service: &str, call: Call) -> Reply {
        let signed = call.signed(self.server.address(), key, service, SystemTime::now());
        self.send(&signed).await
    }
}

/// Sends a request of HTTP/1.1 and reads until the server closes.
async fn send(at: SocketAddr, call: &Call) -> Reply {
    let Call { method, path, headers, body } = call;
    let mut text = format!(
        "{method} {path} HTTP/1.1\r\nhost: {at}\r\nconnection: close\r\ncontent-length: {}\r\n",
        body.len()
    );
    for (name, value) in headers {
        text.push_str(&format!("{name}: {value}\r\n"));
    }
    text.push_str("\r\n");
    text.push_str(body);
    let exchange = async {
        let mut stream = TcpStream::connect(at).await.unwrap();
        stream.write_all(text.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    };
    let answer = tokio::time::timeout(Duration::from_secs(20), exchange).await.unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    Reply { status, head: head.to_owned(), body: body.to_owned() }
}
