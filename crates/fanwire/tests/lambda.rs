//! The app as a function: a process of its own under a real server, which speaks to it over
//! the Runtime API and is called by it over HTTP.

#![allow(clippy::expect_used, clippy::unwrap_used, reason = "tests")]
#![allow(clippy::print_stdout, reason = "the result of the tests")]

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use fanwire::collection::Collection;
use fanwire::realtime::Publication;
use fanwire::store::Memory;
use fanwire::websocket::{
    Allow, Body, Connection, ConnectionSync, Headers, Json, Principal, Query, Reply, State, Text,
    WebSocket,
};
use fanwire::{Error, Home, Result};
use fanwire_app::model::WebSocketApi;
use fanwire_app::{LoadOptions, load};
use fanwire_functions::Silent;
use fanwire_realtime::RealtimeEvent;
use fanwire_server::{Observers, Server, ServerOptions};
use fanwire_websocket::RequestRecord;
use futures_util::{SinkExt, StreamExt};
use serde::Deserialize;
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::{self, Message};
use tokio_tungstenite::{WebSocketStream, client_async};

type Client = WebSocketStream<TcpStream>;
type Connections = Collection<()>;

#[derive(Deserialize)]
struct Credentials {
    name: String,
}

#[derive(Deserialize)]
struct Say {
    text: String,
}

async fn who(Query(client): Query<Credentials>) -> Result<Allow> {
    match client.name.as_str() {
        "" => Err(Error::new(401, "who are you?")),
        "mallory" => Err(Error::new(403, "not you")),
        name => Ok(Allow::new(name).context("length", name.len())),
    }
}

async fn connect(
    connection: Connection,
    headers: Headers,
    State(connections): State<Connections>,
) -> Result<Reply> {
    connections.doc(connection.id()).set(&()).await?;
    connection.tag("clients").await?;
    let chosen = headers.subprotocols().find(|offer| *offer == "chat");
    Ok(chosen.map_or_else(Reply::default, |chosen| Reply::default().subprotocol(chosen)))
}

async fn disconnect(connection: Connection, State(connections): State<Connections>) -> Result {
    Ok(connections.doc(connection.id()).delete().await?)
}

/// Sends a message to all others, as Nitric's tutorial means to.
async fn message(
    connection: Connection,
    message: Body,
    State(connections): State<Connections>,
) -> Result {
    let mut others = connections.query().ids().await?;
    others.retain(|id| id != connection.id());
    connection.to_many(others).send(message).await?;
    Ok(())
}

async fn publish(home: Home, Json(say): Json<Say>) -> Result {
    let (topic, payload) = ("news/today".to_owned(), say.text.into());
    Ok(home.broker().publish(Publication { topic, payload, qos: 1, retain: false }).await?)
}

/// The tests; or, where a server has started this program, the function that it takes it for.
fn main() {
    if std::env::var_os("AWS_LAMBDA_RUNTIME_API").is_some() {
        return the_function();
    }
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(an_app_is_a_function_of_a_gateway());
    runtime.block_on(a_function_has_topics_and_close_codes());
    println!("test result: ok. 2 passed");
}

fn the_function() {
    let store = Memory::new();
    let app = WebSocket::with_state(Connections::new("connections", store.clone()))
        .authorizer(who)
        .connect(connect)
        .disconnect(disconnect)
        .route("who", async |Principal(name): Principal| format!("you are {name}"))
        .route("publish", publish)
        .route("subscribe", async |connection: Connection| connection.subscribe("news/#").await)
        .route("fail", async |Text(text): Text| -> Result<String> {
            Ok(text.parse::<u8>()?.to_string())
        })
        .route("leave", async |connection: Connection| connection.close(4001, "as you wish").await)
        .route("all", async |connection: Connection, Json(say): Json<Say>| {
            connection.broadcast(say.text).await.map(drop)
        })
        .route("clients", async |connection: Connection, Json(say): Json<Say>| {
            connection.to_tag("clients").send(say.text).await.map(drop)
        })
        .message(message)
        .plugin(ConnectionSync::new(store));
    fanwire::run(app).unwrap();
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

/// Serves the function behind `$default` alone, where it chooses routes itself.
async fn serve(folder: &Path, profile: &str) -> Server {
    let this = std::env::current_exe().unwrap();
    let file = format!(
        r#"
        name = "chat"
        profile = "{profile}"
        [functions.app]
        command = ["{}"]
        concurrency = 1
        [websocket.authorizers.who]
        function = "app"
        [websocket.routes."$connect"]
        function = "app"
        authorizer = "who"
        [websocket.routes."$disconnect"]
        function = "app"
        [websocket.routes."$default"]
        function = "app"
        [websocket.routes.who]
        function = "app"
        response = true
        [realtime]
        allow_anonymous = true
        "#,
        this.display()
    );
    std::fs::write(folder.join("fanwire.toml"), file).unwrap();
    let app = load(&folder.join("fanwire.toml"), &LoadOptions::default()).unwrap().app;
    let options = ServerOptions { address: ([127, 0, 0, 1], 0).into(), ..ServerOptions::default() };
    let observers = Observers {
        websocket: Arc::new(Nobody),
        functions: Arc::new(Silent),
        realtime: Arc::new(Nobody),
        nitric: None,
        logs: None,
    };
    Server::start(&app, options, observers).await.unwrap()
}

async fn try_connect(server: &Server, name: &str) -> tungstenite::Result<Client> {
    let stream = TcpStream::connect(server.address()).await.unwrap();
    let url = format!("ws://{}/dev?name={name}", server.address());
    let mut request = url.into_client_request().unwrap();
    request.headers_mut().insert("Sec-WebSocket-Protocol", "other, chat".parse().unwrap());
    let (client, response) = client_async(request, stream).await?;
    assert_eq!(response.headers()["Sec-WebSocket-Protocol"], "chat");
    Ok(client)
}

async fn connect_as(server: &Server, name: &str) -> Client {
    try_connect(server, name).await.unwrap()
}

async fn refusal(server: &Server, name: &str) -> u16 {
    match try_connect(server, name).await {
        Err(tungstenite::Error::Http(response)) => response.status().as_u16(),
        other => panic!("expected a refusal, got {other:?}"),
    }
}

async fn next(client: &mut Client) -> Message {
    let next = tokio::time::timeout(Duration::from_secs(20), client.next());
    next.await.expect("a message in time").unwrap().unwrap()
}

async fn say(client: &mut Client, text: &str) {
    client.send(text.into()).await.unwrap();
}

async fn ask(client: &mut Client, text: &str) -> String {
    say(client, text).await;
    next(client).await.to_string()
}

const WHO: &str = r#"{"action":"who"}"#;

/// What works on AWS works with its profile.
async fn an_app_is_a_function_of_a_gateway() {
    let folder = tempfile::tempdir().unwrap();
    let server = serve(folder.path(), "aws").await;
    assert_eq!((refusal(&server, "").await, refusal(&server, "mallory").await), (401, 403));
    let mut ann = connect_as(&server, "ann").await;
    let mut bob = connect_as(&server, "bob").await;
    assert_eq!(ask(&mut ann, WHO).await, "you are ann");
    // Each says something to the others, of whom bob is the only one: one call for each,
    // because this profile has none for many.
    say(&mut ann, "hello").await;
    assert_eq!(next(&mut bob).await, "hello".into());
    let failed = ask(&mut ann, r#"{"action":"fail"}"#).await;
    assert!(failed.starts_with(r#"{"message": "Internal server error", "conn"#), "{failed}");
    // No broadcasts here, so it goes by the ids that the plugin has kept.
    say(&mut ann, r#"{"action":"all","text":"to all"}"#).await;
    assert_eq!((next(&mut ann).await, next(&mut bob).await), ("to all".into(), "to all".into()));
    say(&mut ann, r#"{"action":"clients","text":"by tag"}"#).await;
    assert_eq!((next(&mut ann).await, next(&mut bob).await), ("by tag".into(), "by tag".into()));
    bob.close(None).await.unwrap();
    while bob.next().await.is_some() {}
    // Whether or not the function knows already that bob has left, his absence hurts nobody.
    say(&mut ann, "still there?").await;
    assert_eq!(ask(&mut ann, WHO).await, "you are ann");
    drop(ann);
    server.stop(Duration::from_secs(1)).await;
}

/// What only Fanwire has.
async fn a_function_has_topics_and_close_codes() {
    let folder = tempfile::tempdir().unwrap();
    let server = serve(folder.path(), "open").await;
    let mut ann = connect_as(&server, "ann").await;
    say(&mut ann, r#"{"action":"subscribe"}"#).await;
    // One event at a time: this one is answered after the subscription is made.
    assert_eq!(ask(&mut ann, WHO).await, "you are ann");
    assert_eq!(ask(&mut ann, r#"{"action":"publish","text":"news"}"#).await, "news");
    assert_eq!(ask(&mut ann, r#"{"action":"all","text":"to all"}"#).await, "to all");
    assert_eq!(ask(&mut ann, r#"{"action":"clients","text":"by tag"}"#).await, "by tag");
    say(&mut ann, r#"{"action":"leave"}"#).await;
    let Message::Close(Some(frame)) = next(&mut ann).await else { panic!("expected a close") };
    assert_eq!((u16::from(frame.code), frame.reason.as_str()), (4001, "as you wish"));
    while ann.next().await.is_some() {}
    server.stop(Duration::from_secs(1)).await;
}
