//! The app as a server: handlers in the process of the gateway, real clients before it.

#![cfg(feature = "server")]
#![allow(clippy::unwrap_used, reason = "tests")]

use std::sync::Arc;
use std::time::Duration;

use fanwire::realtime::{self, Grant, Publication, Raw, Realtime};
use fanwire::subscriptions::Router;
use fanwire::websocket::{Allow, Body, Connection, Json, Principal, Query, State, Text, WebSocket};
use fanwire::{App, Bytes, Error, Home, Result, Server, ServerOptions};
use futures_util::{SinkExt, StreamExt};
use serde::Deserialize;
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::{self, Message};
use tokio_tungstenite::{WebSocketStream, client_async};

type Client = WebSocketStream<TcpStream>;

/// Longer than anything takes: a test that waits this long has failed.
const PATIENCE: Duration = Duration::from_secs(60);

async fn serve(app: impl Into<App>) -> Server {
    let options = ServerOptions::default().with_address(([127, 0, 0, 1], 0));
    Server::start(app.into(), options).await.unwrap()
}

async fn try_connect(server: &Server, path: &str) -> tungstenite::Result<Client> {
    let stream = TcpStream::connect(server.address()).await.unwrap();
    let url = format!("ws://{}{path}", server.address());
    client_async(url, stream).await.map(|(client, _)| client)
}

async fn connect(server: &Server) -> Client {
    try_connect(server, "/").await.unwrap()
}

async fn next(client: &mut Client) -> Message {
    client.next().await.unwrap().unwrap()
}

/// The code that the server closes with. Read to the end, so that it is answered.
async fn goodbye(client: &mut Client) -> u16 {
    let Message::Close(Some(frame)) = next(client).await else { return 0 };
    while client.next().await.is_some() {}
    frame.code.into()
}

async fn ask(client: &mut Client, text: &str) -> Message {
    client.send(text.into()).await.unwrap();
    next(client).await
}

#[derive(Deserialize)]
struct Sum {
    a: i64,
    b: i64,
}

#[tokio::test(flavor = "multi_thread")]
async fn routes_are_chosen_and_replies_go_back() {
    let app = WebSocket::new()
        .route("sum", async |Json(Sum { a, b }): Json<Sum>| (a + b).to_string())
        .route("quiet", async || {})
        .message(async |Text(text): Text| format!("what is `{text}`?"));
    let server = serve(app).await;
    let mut client = connect(&server).await;
    assert_eq!(ask(&mut client, r#"{"action":"sum","a":2,"b":3}"#).await, "5".into());
    // It has nothing to say, so the next that comes is of the one after it.
    client.send(r#"{"action":"quiet"}"#.into()).await.unwrap();
    assert_eq!(ask(&mut client, "so").await, "what is `so`?".into());
    let ((), code) = tokio::join!(server.stop(), goodbye(&mut client));
    assert_eq!(code, 1001);
}

#[tokio::test(flavor = "multi_thread")]
async fn bytes_stay_bytes_both_ways() {
    let echo = async |bytes: Bytes| Body::Binary(bytes);
    let server = serve(WebSocket::new().message(echo)).await;
    let mut client = connect(&server).await;
    // Text to the gateway, were it not said to be bytes.
    let bytes = Message::binary(b"plain".to_vec());
    client.send(bytes.clone()).await.unwrap();
    assert_eq!(next(&mut client).await, bytes);
    drop(client);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn errors_become_the_gateways_frames_and_statuses() {
    #[derive(Deserialize)]
    struct Door {
        key: String,
    }
    let app = WebSocket::new()
        .connect(async |Query(door): Query<Door>| match door.key.as_str() {
            "right" => Ok(()),
            _ => Err(Error::new(403, "wrong key")),
        })
        .route("fail", async || -> Result { Err("no luck".parse::<i32>().unwrap_err().into()) })
        .route("panic", async || -> Result { panic!("a defect of the app") });
    let server = serve(app).await;
    let refused = try_connect(&server, "/?key=wrong").await.unwrap_err();
    assert!(matches!(refused, tungstenite::Error::Http(answer) if answer.status() == 403));
    let mut client = try_connect(&server, "/?key=right").await.unwrap();
    for action in ["fail", "panic"] {
        let answer = ask(&mut client, &format!(r#"{{"action":"{action}"}}"#)).await;
        assert!(answer.to_text().unwrap().contains("Internal server error"), "{answer}");
    }
    let answer = ask(&mut client, r#"{"action":"unknown"}"#).await;
    assert!(answer.to_text().unwrap().contains("Forbidden"), "{answer}");
    drop(client);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_authorizer_says_who_a_client_is() {
    #[derive(Deserialize)]
    struct Credentials {
        token: Option<String>,
    }
    let app = WebSocket::new()
        .authorizer(async |Query(client): Query<Credentials>| match client.token.as_deref() {
            Some("ada") => Ok(Allow::new("ada")),
            _ => Err(Error::new(401, "no token")),
        })
        .message(async |Principal(name): Principal| name);
    let server = serve(app).await;
    let refused = try_connect(&server, "/").await.unwrap_err();
    assert!(matches!(refused, tungstenite::Error::Http(answer) if answer.status() == 401));
    let mut client = try_connect(&server, "/?token=ada").await.unwrap();
    assert_eq!(ask(&mut client, "who am I?").await, "ada".into());
    drop(client);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_reach_each_other_and_hear_of_their_ends() {
    let app = WebSocket::new()
        .route("join", async |connection: Connection| -> Result<String> {
            connection.tag("room").await?;
            Ok(connection.id().to_owned())
        })
        .disconnect(async |connection: Connection| -> Result {
            connection.to_tag("room").send(format!("{} left", connection.id())).await?;
            Ok(())
        })
        .message(async |connection: Connection, Text(text): Text| -> Result {
            connection.to_tag("room").send(text).await?;
            Ok(())
        });
    let server = serve(app).await;
    let (mut ada, mut bob) = (connect(&server).await, connect(&server).await);
    for client in [&mut ada, &mut bob] {
        let id = ask(client, r#"{"action":"join"}"#).await;
        // Home, too, reaches it.
        let body = Body::from("hello");
        server.home().gateway().send(id.to_text().unwrap(), body).await.unwrap();
        assert_eq!(next(client).await, "hello".into());
    }
    ada.send("hi".into()).await.unwrap();
    for client in [&mut ada, &mut bob] {
        assert_eq!(next(client).await, "hi".into());
    }
    ada.close(None).await.unwrap();
    assert!(next(&mut bob).await.to_text().unwrap().ends_with("left"));
    drop((ada, bob));
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broadcast_says_how_many_it_was_given_to() {
    let app = WebSocket::new().message(async |connection: Connection| -> Result<String> {
        let told = connection.broadcast("to all").await?;
        Ok(format!("{} of {:?}", told.delivered, (told.gone, told.failed)))
    });
    let server = serve(app).await;
    let (mut one, mut two) = (connect(&server).await, connect(&server).await);
    assert_eq!(ask(&mut one, "go").await, "to all".into());
    assert_eq!(next(&mut two).await, "to all".into());
    assert_eq!(next(&mut one).await, "2 of ([], 0)".into());
    drop((one, two));
    server.stop().await;
}

/// What an app holds: `Weak` says whether it still does.
#[derive(Clone)]
struct Held(#[allow(dead_code, reason = "held")] Arc<()>);

#[tokio::test(flavor = "multi_thread")]
async fn nothing_of_an_app_is_left_once_its_server_has_stopped() {
    let parts = ["routes", "authorizer of topics", "subscriber", "context"];
    let held = parts.map(|_| Held(Arc::new(())));
    let weak = held.each_ref().map(|held| Arc::downgrade(&held.0));
    let left = || -> Vec<_> {
        let parts = parts.iter().zip(&weak).map(|(part, weak)| (*part, weak.strong_count()));
        parts.filter(|(_, count)| *count > 0).collect()
    };
    let [of_routes, of_topics, of_subscriber, of_context] = held;
    let websocket = WebSocket::with_state(of_routes)
        .authorizer(async |State(_): State<Held>| Allow::new("ada"))
        .disconnect(async |State(_): State<Held>| ())
        .message(async |connection: Connection, State(_): State<Held>| -> Result<String> {
            Ok(connection.broadcast("to all").await?.delivered.to_string())
        });
    let realtime = Realtime::new("chat")
        .authorizer(move |_: String| {
            let _held = of_topics.clone();
            async { Grant::new().publish(["*"]) }
        })
        .subscriber("#", move |_: realtime::Message<Raw>| {
            let _held = of_subscriber.clone();
            async {}
        });
    let procedures = Router::<(Held, Home)>::new()
        .query("hello", async |_, ()| Ok("hello"))
        .context(move |opening| std::future::ready(Ok((of_context.clone(), opening.home))));
    let app = App::new("app").websocket(websocket).realtime(realtime).subscriptions(procedures);
    let server = serve(app).await;
    let home = server.home().clone();

    let mut client = connect(&server).await;
    assert_eq!(ask(&mut client, "go").await, "to all".into());
    let mut caller = try_connect(&server, "/trpc").await.unwrap();
    let said = ask(&mut caller, r#"{"id":1,"method":"query","params":{"path":"hello"}}"#).await;
    assert!(said.to_string().contains("hello"), "{said}");
    let said = Publication { topic: "a".to_owned(), payload: "b".into(), qos: 1, retain: false };
    home.broker().publish(said).await.unwrap();
    assert_eq!(left().len(), parts.len());
    drop((client, caller));
    server.stop().await;

    // What ends with the server, such as its threads, still has it for a moment.
    let dropped = async {
        while !left().is_empty() {
            tokio::task::yield_now().await;
        }
    };
    let dropped = tokio::time::timeout(PATIENCE, dropped).await;
    assert!(dropped.is_ok(), "{:?} are left", left());
    let sent = home.gateway().send("AAAAAAAAAAAAAAA=", Body::Text("late".to_owned())).await;
    assert!(sent.unwrap_err().to_string().contains("the server has stopped"));
}
