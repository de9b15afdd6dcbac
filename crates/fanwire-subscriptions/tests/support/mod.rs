//! A plane behind a port, and clients that send it whatever they like.
#![allow(dead_code, clippy::expect_used, clippy::unwrap_used)]

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use fanwire_hub::HubOptions;
use fanwire_subscriptions::{Arrival, Parts, Probe, Procedures, Settings, Subscriptions};
use serde_json::{Value, json};
use tungstenite::handshake::server::{ErrorResponse, Request, Response};
use tungstenite::{Error, Message, WebSocket, client};

/// How long anything may take on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// A plane that can be connected to.
pub(crate) struct Server {
    pub(crate) plane: Subscriptions,
    pub(crate) address: SocketAddr,
    pub(crate) runtime: tokio::runtime::Runtime,
    /// What new connections are given to, until the server stops.
    door: Arc<Mutex<Option<Subscriptions>>>,
}

impl Server {
    pub(crate) fn start(procedures: impl Procedures, settings: Settings) -> Self {
        Self::start_with(procedures, settings, |_| {})
    }

    pub(crate) fn start_with(
        procedures: impl Procedures,
        settings: Settings,
        change: impl FnOnce(&mut Parts),
    ) -> Self {
        // One worker: calls are answered in the order in which they came.
        let mut runtime = tokio::runtime::Builder::new_multi_thread();
        let runtime = runtime.worker_threads(1).enable_all().build().unwrap();
        let hub = HubOptions { shards: 2, ..HubOptions::default() };
        let mut parts = {
            let _guard = runtime.enter();
            Parts::new(Arc::new(procedures), hub)
        };
        change(&mut parts);
        let plane = Subscriptions::start(settings, parts).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let door = Arc::new(Mutex::new(Some(plane.clone())));
        let accepting = Arc::clone(&door);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let Some(plane) = accepting.lock().unwrap().clone() else { return };
                std::thread::spawn(move || accept(&plane, stream.unwrap()));
            }
        });
        Self { plane, address, runtime, door }
    }

    pub(crate) fn connect(&self) -> Client {
        self.connect_to("")
    }

    pub(crate) fn connect_to(&self, query: &str) -> Client {
        let stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let url = format!("ws://{}/trpc{query}", self.address);
        let (socket, _) = client(url, stream).unwrap();
        Client { socket }
    }

    pub(crate) fn publish(
        &self,
        publication: fanwire_subscriptions::Publication,
    ) -> fanwire_subscriptions::Published {
        self.runtime.block_on(self.plane.publish(publication)).unwrap()
    }

    /// Waits until `wanted` holds.
    pub(crate) fn until(&self, what: &str, mut wanted: impl FnMut(&Subscriptions) -> bool) {
        let deadline = std::time::Instant::now() + PATIENCE;
        while !wanted(&self.plane) {
            assert!(std::time::Instant::now() < deadline, "not in time: {what}");
            std::thread::yield_now();
        }
    }

    pub(crate) fn stop(self) {
        self.door.lock().unwrap().take();
        // Clients that do not read do not say goodbye.
        self.runtime.block_on(self.plane.stop(Duration::from_millis(100)));
    }
}

/// The server's side of a handshake, as whoever has the listener does it.
fn accept(plane: &Subscriptions, stream: TcpStream) {
    let peer = stream.peer_addr().unwrap();
    stream.set_nodelay(true).unwrap();
    let mut pending = None;
    let stream = tungstenite::accept_hdr(
        stream,
        #[expect(clippy::result_large_err, reason = "tungstenite's own")]
        |request: &Request, mut response: Response| -> Result<Response, ErrorResponse> {
            let headers = request.headers().clone();
            let query = request.uri().query().unwrap_or_default().to_owned();
            let accepted = plane.connect(Arrival { peer, headers, query }).expect("there is room");
            for (name, value) in accepted.headers() {
                let name: http::HeaderName = name.parse().unwrap();
                response.headers_mut().insert(name, value.parse().unwrap());
            }
            pending = Some(accepted);
            Ok(response)
        },
    )
    .ok()
    .map(WebSocket::into_inner);
    // Who connects while the plane stops has left again.
    let (Some(stream), Some(pending)) = (stream, pending) else { return };
    stream.set_nonblocking(true).unwrap();
    pending.open(stream, Vec::new());
}

/// A client of few words.
pub(crate) struct Client {
    pub(crate) socket: WebSocket<TcpStream>,
}

impl Client {
    pub(crate) fn send(&mut self, text: &str) {
        self.socket.send(Message::text(text)).unwrap();
    }

    pub(crate) fn send_json(&mut self, value: &Value) {
        self.send(&value.to_string());
    }

    pub(crate) fn subscribe(
        &mut self,
        id: u64,
        path: &str,
        input: &Value,
        last_event_id: Option<&str>,
    ) {
        let mut params = json!({ "path": path, "input": input });
        if let Some(last) = last_event_id {
            params["lastEventId"] = json!(last);
        }
        self.send_json(&json!({ "id": id, "method": "subscription", "params": params }));
    }

    /// Subscribes, and waits until that has begun.
    pub(crate) fn subscribed(&mut self, id: u64, path: &str, input: &Value) {
        self.subscribe(id, path, input, None);
        assert_eq!(self.next_json(), json!({ "id": id, "result": { "type": "started" } }));
    }

    /// The next text; `Err` with the close code where the server has closed.
    pub(crate) fn next(&mut self) -> Result<String, u16> {
        loop {
            match self.socket.read() {
                Ok(Message::Text(text)) => return Ok(text.to_string()),
                Ok(Message::Close(frame)) => {
                    return Err(frame.map_or(1005, |frame| frame.code.into()));
                }
                Ok(_) => {}
                Err(Error::ConnectionClosed | Error::AlreadyClosed) => return Err(1005),
                Err(Error::Io(error))
                    if matches!(
                        error.kind(),
                        std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut
                    ) =>
                {
                    panic!("nothing came in time")
                }
                Err(_) => return Err(1006),
            }
        }
    }

    pub(crate) fn next_json(&mut self) -> Value {
        serde_json::from_str(&self.next().expect("not closed")).unwrap()
    }

    /// The data of the next message, which has to be data of this request.
    pub(crate) fn next_data(&mut self, id: u64) -> Value {
        let mut message = self.next_json();
        assert_eq!((&message["id"], &message["result"]["type"]), (&json!(id), &json!("data")));
        message["result"]["data"].take()
    }

    /// The server asks whether the client is there. It does not answer yet: the answer to a
    /// ping goes out with what is read or written next.
    pub(crate) fn is_asked(&mut self, by: Probe) {
        let asked = self.socket.read().unwrap();
        match by {
            Probe::Ping => assert!(asked.is_ping(), "{asked:?}"),
            Probe::Text => assert_eq!(asked, Message::text("PING")),
        }
    }

    /// Whatever was on its way is there once the server has answered this.
    pub(crate) fn fence(&mut self) -> Vec<String> {
        self.send("PING");
        let mut before = Vec::new();
        loop {
            match self.next().expect("not closed") {
                text if text == "PONG" => return before,
                text => before.push(text),
            }
        }
    }
}
