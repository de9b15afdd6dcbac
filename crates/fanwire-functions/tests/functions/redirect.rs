//! Connections that go to us whatever address the code gives, and those that do not.

use std::net::SocketAddr;
use std::sync::Arc;

use fanwire_app::model::Runtime;
use fanwire_functions::{HostOptions, Redirect};
use serde_json::json;
use tempfile::TempDir;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;

use crate::support::{Fixture, handler_with};

const TABLES: &str = "dynamodb.us-east-1.amazonaws.com";
const API: &str = "abc123.execute-api.eu-west-1.amazonaws.com";

/// A server that speaks HTTP and HTTPS on one port, as Fanwire's does. It answers the
/// name in TLS and the `Host` header, with a certificate for a few names.
struct Server {
    address: SocketAddr,
    folder: TempDir,
}

impl Server {
    async fn start() -> Self {
        let names = [TABLES, API, "localhost", "api.localhost", "127.0.0.1"].map(str::to_owned);
        let certified = rcgen::generate_simple_self_signed(names).unwrap();
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("ca.pem"), certified.cert.pem()).unwrap();
        let key = PrivateKeyDer::try_from(certified.signing_key.serialize_der()).unwrap();
        let mut config = ServerConfig::builder()
            .with_no_client_auth()
            .with_single_cert(vec![certified.cert.der().clone()], key)
            .unwrap();
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(acceptor.clone(), stream));
            }
        });
        Self { address, folder }
    }

    /// A function whose connections to the tables and the API go to this server.
    fn function(&self, runtime: Runtime, files: &[(&str, &str)]) -> Fixture {
        let hosts = ["dynamodb.*.amazonaws.com", "*.execute-api.*.amazonaws.com"];
        let redirect =
            Redirect { port: self.address.port(), hosts: hosts.map(str::to_owned).to_vec() };
        let options = HostOptions { redirect: Some(redirect), ..HostOptions::default() };
        let ca = self.folder.path().join("ca.pem").display().to_string();
        handler_with(runtime, "index.handler", files, options, |function| {
            function.environment.insert("NODE_EXTRA_CA_CERTS".to_owned(), ca.clone());
            function.environment.insert("SSL_CERT_FILE".to_owned(), ca);
            function.environment.insert("PORT".to_owned(), self.address.port().to_string());
        })
    }
}

async fn serve(acceptor: TlsAcceptor, stream: TcpStream) {
    let mut first = [0];
    stream.peek(&mut first).await.unwrap();
    if first[0] != 0x16 {
        return answer(stream, "none").await;
    }
    let Ok(stream) = acceptor.accept(stream).await else { return };
    let session = stream.get_ref().1;
    let name = session.server_name().unwrap_or("none").to_owned();
    if session.alpn_protocol() == Some(b"h2") {
        // Enough for a client to be connected: empty settings.
        let mut stream = stream;
        stream.write_all(&[0, 0, 0, 4, 0, 0, 0, 0, 0]).await.unwrap();
        let _ = stream.read_to_end(&mut Vec::new()).await;
        return;
    }
    answer(stream, &name).await;
}

async fn answer(mut stream: impl AsyncRead + AsyncWrite + Unpin, name: &str) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let Ok(byte) = stream.read_u8().await else { return };
        head.push(byte);
    }
    let head = String::from_utf8(head).unwrap();
    let host = head.lines().find_map(|line| {
        let (field, value) = line.split_once(": ")?;
        field.eq_ignore_ascii_case("host").then_some(value)
    });
    let body = json!({ "sni": name, "host": host }).to_string();
    let answer = format!(
        "HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(answer.as_bytes()).await.unwrap();
    let _ = stream.shutdown().await;
}

/// Every way in which Node.js connects.
const NODE: &str = "
    const net = require('net'), tls = require('tls'), http = require('http'), https = require('https');
    const read = (response) => new Promise((done, fail) => {
        let text = '';
        response.on('data', (data) => { text += data; }).on('end', () => done(JSON.parse(text))).on('error', fail);
    });
    const request = (client, options) => new Promise((done, fail) => {
        client.request(options, (response) => done(read(response))).on('error', fail).end();
    });
    const over = (socket, host) => new Promise((done, fail) => {
        let text = '';
        socket.on('data', (data) => { text += data; }).on('error', fail)
            .on('end', () => done(JSON.parse(text.split('\\r\\n\\r\\n')[1])));
        socket.write('GET / HTTP/1.1\\r\\nHost: ' + host + '\\r\\n\\r\\n');
    });
    const ways = {
        https: ({ host, port }) => request(https, { host, port }),
        httpsUrl: ({ host }) => request(https, 'https://' + host + '/x'),
        http: ({ host }) => request(http, { host }),
        fetch: async ({ host }) => (await fetch('https://' + host + '/dev/@connections/a')).json(),
        fetchHttp: async ({ host }) => (await fetch('http://' + host)).json(),
        keepAlive: ({ host }) => request(https, { host, agent: new https.Agent({ keepAlive: true, family: 6 }) }),
        lookup: ({ host }) => request(https, { host, lookup: () => { throw new Error('no look-up') } }),
        portAndHost: ({ host }) => over(net.connect(80, host), host),
        portText: ({ host }) => over(net.connect('80', host, () => {}), host),
        options: ({ host }) => over(new net.Socket().connect({ host, port: 80 }), host),
        tls: ({ host }) => over(tls.connect({ host, port: 443, servername: host }), host),
        tlsPortAndHost: ({ host }) => over(tls.connect(443, host, { servername: host }), host),
        http2: ({ host }) => new Promise((done, fail) => {
            const session = require('http2').connect('https://' + host);
            session.on('error', fail).on('connect', () => {
                done({ sni: session.socket.servername, host: session.socket.authorized });
                session.destroy();
            });
        }),
        lookedUp: ({ host, port }) => new Promise((done) => {
            const lookup = (name, options, found) => { done(name); found(new Error('no look-up')); };
            request(http, { host, port, lookup }).catch(() => {});
        }),
        own: ({ name }) => request(https, { host: name + ':' + process.env.PORT, path: '/dev/%40connections/a', method: 'POST' }),
        pipe: () => new Promise((done, fail) => {
            const path = process.cwd() + '/pipe';
            const server = net.createServer((socket) => socket.end('piped')).listen(path, () => {
                net.connect(path).on('data', (data) => { server.close(); done(String(data)); }).on('error', fail);
            });
        }),
        local: () => new Promise((done, fail) => {
            const server = net.createServer((socket) => socket.end('local')).listen(0, '127.0.0.1', () => {
                const socket = net.connect({ port: server.address().port, host: 'localhost', family: 4 });
                socket.on('data', (data) => { server.close(); done(String(data)); }).on('error', fail);
            });
        }),
    };
    exports.handler = (event) => ways[event.way](event);
";

#[tokio::test]
async fn every_client_of_node_reaches_us_by_the_name_of_the_service() {
    let server = Server::start().await;
    let f = server.function(Runtime::Node, &[("index.js", NODE)]);
    for way in ["https", "httpsUrl", "fetch", "keepAlive", "lookup", "tls", "tlsPortAndHost"] {
        for host in [TABLES, API] {
            let found = f.result(&json!({ "way": way, "host": host }).to_string()).await;
            assert_eq!(found, json!({ "sni": host, "host": host }), "{way}");
        }
    }
    for way in ["http", "fetchHttp", "portAndHost", "portText", "options"] {
        let found = f.result(&json!({ "way": way, "host": TABLES }).to_string()).await;
        assert_eq!(found, json!({ "sni": "none", "host": TABLES }), "{way}");
    }
    let found = f.result(&json!({ "way": "http2", "host": API }).to_string()).await;
    assert_eq!(found, json!({ "sni": API, "host": true }));
    let upper = TABLES.to_uppercase();
    let found = f.result(&json!({ "way": "https", "host": upper }).to_string()).await;
    assert_eq!(found["host"], upper);
    let port = server.address.port();
    let found = f.result(&json!({ "way": "https", "host": API, "port": port }).to_string()).await;
    assert_eq!(found, json!({ "sni": API, "host": format!("{API}:{port}") }));
    assert_eq!(f.log.count("calls AWS"), 0);
}

#[tokio::test]
async fn a_host_that_holds_our_port_reaches_us() {
    let server = Server::start().await;
    let f = server.function(Runtime::Node, &[("index.js", NODE)]);
    for (name, sni) in
        [("localhost", "localhost"), ("api.localhost", "api.localhost"), ("127.0.0.1", "none")]
    {
        let found = f.result(&json!({ "way": "own", "name": name }).to_string()).await;
        let host = format!("{name}:{}", server.address.port());
        assert_eq!(found, json!({ "sni": sni, "host": host }));
    }
}

#[tokio::test]
async fn other_connections_are_left_alone() {
    let server = Server::start().await;
    let f = server.function(Runtime::Node, &[("index.js", NODE)]);
    assert_eq!(f.result(r#"{"way":"pipe"}"#).await, "piped");
    assert_eq!(f.result(r#"{"way":"local"}"#).await, "local");
    for (host, port) in [
        ("fanwire.invalid", 443),
        ("dynamodb.amazonaws.com.invalid", 443),
        ("a.dynamodb.us-east-1.amazonaws.com.invalid", 443),
        // Neither the port of the service nor ours.
        (TABLES, 1),
        ("fanwire.invalid:1", 443),
    ] {
        let event = json!({ "way": "lookedUp", "host": host, "port": port });
        assert_eq!(f.result(&event.to_string()).await, host);
    }
    assert_eq!(f.log.count("calls AWS"), 0);
}

#[tokio::test]
async fn the_first_call_of_each_service_that_is_not_ours_is_told() {
    let server = Server::start().await;
    // No look-up leaves this machine, so the names need not exist.
    let code = "
        const https = require('https');
        const lookup = (name, options, done) => done(new Error('not looked up'));
        exports.handler = (host) => new Promise((done) => {
            https.get({ host, lookup }).on('error', (error) => done(error.message));
        });
    ";
    let f = server.function(Runtime::Node, &[("index.js", code)]);
    for host in
        ["b.s3.eu-west-1.amazonaws.com", "s3.eu-west-1.amazonaws.com", "SQS.us-east-1.api.aws"]
    {
        for _ in 0..2 {
            assert_eq!(f.result(&json!(host).to_string()).await, "not looked up");
        }
    }
    let told: Vec<String> = f
        .log
        .lines()
        .into_iter()
        .map(|(_, text)| text)
        .filter(|text| text.contains("calls AWS"))
        .collect();
    assert_eq!(
        told,
        [
            "f: calls AWS S3 (b.s3.eu-west-1.amazonaws.com), which Fanwire does not serve: it goes to AWS",
            "f: calls AWS SQS (sqs.us-east-1.api.aws), which Fanwire does not serve: it goes to AWS",
        ]
    );
}

const PYTHON: &str = "
import http.client, json, os, socket, urllib.request
def read(connection):
    connection.request('GET', '/')
    return json.loads(connection.getresponse().read())
def handler(event, context):
    host, way = event.get('host'), event['way']
    if way == 'https': return read(http.client.HTTPSConnection(host))
    if way == 'http': return read(http.client.HTTPConnection(host))
    if way == 'urllib': return json.loads(urllib.request.urlopen('https://' + host).read())
    if way == 'own':
        return [entry[4] for entry in socket.getaddrinfo(host + ':' + os.environ['PORT'], 443, type=socket.SOCK_STREAM)]
    try:
        # Asks no server for the name.
        socket.getaddrinfo(host, 443, flags=socket.AI_NUMERICHOST)
    except OSError as error:
        return type(error).__name__
";

#[tokio::test]
async fn clients_of_python_reach_us_by_the_name_of_the_service() {
    let server = Server::start().await;
    let f = server.function(Runtime::Python, &[("index.py", PYTHON)]);
    for way in ["https", "urllib"] {
        let found = f.result(&json!({ "way": way, "host": API }).to_string()).await;
        assert_eq!(found, json!({ "sni": API, "host": API }), "{way}");
    }
    let found = f.result(&json!({ "way": "http", "host": TABLES }).to_string()).await;
    assert_eq!(found, json!({ "sni": "none", "host": TABLES }));
    let port = server.address.port();
    let found = f.result(r#"{"way":"own","host":"localhost"}"#).await;
    assert_eq!(found, json!([["127.0.0.1", port]]));
    assert_eq!(f.result(r#"{"way":"look","host":"fanwire.invalid"}"#).await, "gaierror");
    assert_eq!(f.log.count("calls AWS"), 0);
    f.result(r#"{"way":"look","host":"fanwire-none.sqs.us-east-1.amazonaws.com"}"#).await;
    assert_eq!(f.log.count("f: calls AWS SQS (fanwire-none.sqs.us-east-1.amazonaws.com)"), 1);
}
