//! Functions that a debugger attaches to, here a client of the Chrome DevTools Protocol.

use std::net::{Ipv4Addr, TcpListener};
use std::time::Duration;

use fanwire_app::model::Runtime;
use fanwire_functions::{Functions, HostOptions, InvokeOptions, Silent, StartError};
use futures_util::{SinkExt as _, StreamExt as _};
use indexmap::IndexMap;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;

use crate::support::{Fixture, PATIENCE, folder, function, handler_with};

const CODE: &str = "
globalThis.calls = 0;
exports.handler = async (event) => {
    calls += 1;
    globalThis.found = event;
    if (event === 'hang') await new Promise(() => setInterval(() => {}, 1000));
    await new Promise((done) => setTimeout(done, 120));
    return [calls, process.pid];
};";
/// The line of `globalThis.found`, from 0.
const LINE: u32 = 4;

/// A function with a time-out that no event of it keeps, and the port of its debugger.
fn inspected() -> (Fixture, u16) {
    let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = free.local_addr().unwrap().port();
    drop(free);
    let options = HostOptions {
        inspect: IndexMap::from([("f".to_owned(), port)]),
        init_timeout: Duration::from_millis(1),
        ..HostOptions::default()
    };
    let f =
        handler_with(Runtime::Node, "index.handler", &[("index.js", CODE)], options, |function| {
            function.timeout = Duration::from_millis(20);
            function.concurrency = Some(5);
        });
    (f, port)
}

struct Debugger {
    socket: WebSocketStream<TcpStream>,
    calls: u64,
}

impl Debugger {
    async fn attach(port: u16) -> Self {
        let mut http = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
        let request =
            format!("GET /json HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: close\r\n\r\n");
        http.write_all(request.as_bytes()).await.unwrap();
        let (mut text, mut byte) = (String::new(), [0]);
        // Node.js answers with a length and keeps the connection.
        while !text.ends_with("} ]") {
            http.read_exact(&mut byte).await.unwrap();
            text.push(char::from(byte[0]));
        }
        let targets: Value = serde_json::from_str(text.split_once("\r\n\r\n").unwrap().1).unwrap();
        let url = targets[0]["webSocketDebuggerUrl"].as_str().unwrap();
        let stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
        let (socket, _) = tokio_tungstenite::client_async(url, stream).await.unwrap();
        Self { socket, calls: 0 }
    }

    /// The first message that `is_wanted`.
    async fn until(&mut self, is_wanted: impl Fn(&Value) -> bool) -> Value {
        let wanted = async {
            loop {
                let Message::Text(text) = self.socket.next().await.unwrap().unwrap() else {
                    continue;
                };
                let message: Value = serde_json::from_str(&text).unwrap();
                if is_wanted(&message) {
                    return message;
                }
            }
        };
        tokio::time::timeout(PATIENCE, wanted).await.unwrap()
    }

    async fn call(&mut self, method: &str, params: Value) -> Value {
        self.calls += 1;
        let id = self.calls;
        let call = json!({ "id": id, "method": method, "params": params }).to_string();
        self.socket.send(Message::text(call)).await.unwrap();
        self.until(|message| message["id"] == id).await["result"].clone()
    }

    async fn evaluate(&mut self, expression: &str) -> Value {
        let found = self.call("Runtime.evaluate", json!({ "expression": expression })).await;
        found["result"]["value"].clone()
    }
}

#[tokio::test]
async fn a_debugger_reaches_a_function_between_and_during_events() {
    let (f, port) = inspected();
    let first = f.result("1").await;
    assert_eq!(first[0], 1);
    let mut debugger = Debugger::attach(port).await;
    assert_eq!(debugger.evaluate("calls").await, 1);
    assert_eq!(debugger.evaluate("process.pid").await, first[1]);
    debugger.call("Debugger.enable", json!({})).await;
    let breakpoint = json!({ "lineNumber": LINE, "urlRegex": ".*/index\\.js" });
    debugger.call("Debugger.setBreakpointByUrl", breakpoint).await;

    let host = f.host.clone();
    let events: Vec<_> = (0..3)
        .map(|_| {
            let host = host.clone();
            tokio::spawn(async move {
                host.invoke("f", "\"stop\"".into(), InvokeOptions::default()).await
            })
        })
        .collect();
    for _ in &events {
        let paused = debugger.until(|message| message["method"] == "Debugger.paused").await;
        let frame = paused["params"]["callFrames"][0]["callFrameId"].clone();
        let look = json!({ "callFrameId": frame, "expression": "event" });
        let found = debugger.call("Debugger.evaluateOnCallFrame", look).await;
        assert_eq!(found["result"]["value"], "stop");
        debugger.call("Debugger.resume", json!({})).await;
    }
    for event in events {
        assert_eq!(event.await.unwrap().unwrap().error, None);
    }
    assert_eq!(f.log.count("process"), 1, "one process, whatever waits: {:#?}", f.log.lines());
    // A large event comes in many pieces.
    debugger.call("Debugger.disable", json!({})).await;
    let long = "x".repeat(1_000_000);
    assert_eq!(f.result(&format!("\"{long}\"")).await[0], 5);
    assert_eq!(debugger.evaluate("found.length").await, 1_000_000);
}

#[tokio::test]
async fn new_code_has_the_same_port_and_ends_what_had_it() {
    let (f, port) = inspected();
    let first = f.result("1").await;
    f.host.reload(["f"]);
    f.log.until("f: reloaded in ", 1).await;
    let mut debugger = Debugger::attach(port).await;
    assert_ne!(debugger.evaluate("process.pid").await, first[1]);

    let host = f.host.clone();
    let hanging =
        tokio::spawn(
            async move { host.invoke("f", "\"hang\"".into(), InvokeOptions::default()).await },
        );
    while debugger.evaluate("globalThis.found").await != "hang" {}
    f.host.reload(["f"]);
    let ended = hanging.await.unwrap().unwrap();
    let text = String::from_utf8_lossy(&ended.payload).into_owned();
    assert!(text.contains("Runtime exited with error: signal: killed"), "{text}");
    let second = f.result("1").await;
    assert_eq!(Debugger::attach(port).await.evaluate("process.pid").await, second[1]);
}

#[tokio::test]
async fn only_node_can_be_inspected() {
    let made = folder(&[]);
    let python = function(fanwire_app::model::Code::Handler {
        runtime: Runtime::Python,
        handler: "index.handler".to_owned(),
        root: made.path().to_owned(),
        identifier: "python3.12".to_owned(),
    });
    let options =
        HostOptions { inspect: IndexMap::from([("f".to_owned(), 9229)]), ..HostOptions::default() };
    let functions = IndexMap::from([("f".to_owned(), python)]);
    let refused = Functions::start(&functions, options, std::sync::Arc::new(Silent));
    assert!(matches!(refused, Err(StartError::Function { .. })));
}
