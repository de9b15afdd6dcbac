//! Procedures in a server, as its clients see them: the frames of tRPC.

#![cfg(feature = "server")]
#![allow(clippy::unwrap_used, reason = "tests")]

use fanwire::subscriptions::{
    ErrorCode, Publisher, Router, Subscriptions, Tracked, TrpcError, tracked,
};
use fanwire::websocket::{Allow, Query, WebSocket};
use fanwire::{App, Error, Server, ServerOptions};
use futures_util::{SinkExt, StreamExt, stream};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::{WebSocketStream, client_async};
use ts_rs::TS;

struct User {
    name: String,
    publisher: Publisher,
}

#[derive(Deserialize, Serialize, TS)]
struct Watch {
    room: String,
}

fanwire::subscription! {
    struct Messages("messages"): (User, Watch) -> String;
    filter ByRoom("byRoom") { input.room: String }
    filter ByUserAndRoom("byUserAndRoom") { ctx.name: String, input.room: String }
}

fanwire::subscription! {
    struct News("news"): (User, ()) -> Tracked<String>;
}

fn procedures() -> Subscriptions<User> {
    Router::new()
        .subscription(Messages)
        .subscription(News)
        .query("hello", |user: std::sync::Arc<User>, ()| async move {
            Ok(format!("hello {}", user.name))
        })
        .mutation("say", |user: std::sync::Arc<User>, text: String| async move {
            let to = ByUserAndRoom { name: user.name.clone(), room: "own".to_owned() };
            Ok(user.publisher.publish_to(&to, &text).await?.delivered)
        })
        .stream("count", |_, to: u32| stream::iter((1..=to).map(Ok::<_, TrpcError>)))
        .context(|opening| async move {
            let name = opening.query("name").or(opening.authorized("principalId"));
            let unknown = || TrpcError::new(ErrorCode::Unauthorized, "who are you?");
            let name = name.map(str::to_owned).ok_or_else(unknown)?;
            Ok(User { name, publisher: opening.home.publisher().unwrap().clone() })
        })
}

async fn serve(app: App) -> Server {
    let options = ServerOptions::default().with_address(([127, 0, 0, 1], 0));
    Server::start(app, options).await.unwrap()
}

struct Client(WebSocketStream<TcpStream>);

impl Client {
    async fn connect(server: &Server, query: &str) -> Self {
        let stream = TcpStream::connect(server.address()).await.unwrap();
        let url = format!("ws://{}/trpc{query}", server.address());
        Self(client_async(url, stream).await.unwrap().0)
    }

    async fn say(&mut self, message: Value) {
        self.0.send(message.to_string().into()).await.unwrap();
    }

    async fn subscribe(&mut self, id: u32, path: &str, input: Value) {
        let params = json!({ "path": path, "input": input });
        self.say(json!({ "id": id, "method": "subscription", "params": params })).await;
        assert_eq!(self.hear().await, json!({ "id": id, "result": { "type": "started" } }));
    }

    async fn hear(&mut self) -> Value {
        let message = self.0.next().await.unwrap().unwrap();
        serde_json::from_str(message.to_text().unwrap()).unwrap()
    }
}

fn data(id: u32, data: &str) -> Value {
    json!({ "id": id, "result": { "type": "data", "data": data } })
}

fn room(room: &str) -> Value {
    json!({ "room": room })
}

#[tokio::test(flavor = "multi_thread")]
async fn those_whom_a_filter_names_get_what_is_published() {
    let server = serve(App::new("rooms").subscriptions(procedures())).await;
    let mut ada = Client::connect(&server, "?name=ada").await;
    let mut bob = Client::connect(&server, "?name=bob").await;
    ada.subscribe(1, "messages", room("one")).await;
    ada.subscribe(2, "messages", room("one0")).await;
    bob.subscribe(1, "messages", room("one")).await;
    let publisher = server.home().publisher().unwrap();
    let send = async |text: &str, room: &str| {
        publisher.publish_to(&ByRoom { room: room.to_owned() }, &text.to_owned()).await.unwrap()
    };
    assert_eq!(send("to one", "one").await.delivered, 2);
    assert_eq!(ada.hear().await, data(1, "to one"));
    assert_eq!(bob.hear().await, data(1, "to one"));
    assert_eq!(send("to one0", "one0").await.delivered, 1);
    assert_eq!(ada.hear().await, data(2, "to one0"));
    let ada_in_one = ByUserAndRoom { name: "ada".into(), room: "one".into() };
    assert_eq!(publisher.publish_to(&ada_in_one, &"a".to_owned()).await.unwrap().delivered, 1);
    assert_eq!(ada.hear().await, data(1, "a"));
    let all = publisher.publish(Messages, &"all".to_owned()).await.unwrap();
    assert_eq!((all.delivered, all.gone, all.failed), (3, 0, 0));
    assert_eq!(bob.hear().await, data(1, "all"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mutation_publishes_with_what_its_context_has() {
    let server = serve(App::new("rooms").subscriptions(procedures())).await;
    let mut ada = Client::connect(&server, "?name=ada").await;
    ada.subscribe(1, "messages", room("own")).await;
    let params = json!({ "path": "say", "input": "hi" });
    ada.say(json!({ "id": 2, "method": "mutation", "params": params })).await;
    let said = [ada.hear().await, ada.hear().await];
    let answered = json!({ "id": 2, "result": { "type": "data", "data": 1 } });
    assert!(said.contains(&data(1, "hi")) && said.contains(&answered), "{said:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn queries_and_streams_are_answered_and_end() {
    let server = serve(App::new("calls").subscriptions(procedures())).await;
    let mut client = Client::connect(&server, "?name=ada").await;
    client.say(json!({ "id": 1, "method": "query", "params": { "path": "hello" } })).await;
    assert_eq!(client.hear().await, data(1, "hello ada"));
    client.subscribe(2, "count", json!(2)).await;
    for number in 1..=2 {
        let expected = json!({ "id": 2, "result": { "type": "data", "data": number } });
        assert_eq!(client.hear().await, expected);
    }
    assert_eq!(client.hear().await, json!({ "id": 2, "result": { "type": "stopped" } }));
}

#[tokio::test(flavor = "multi_thread")]
async fn who_comes_back_gets_what_was_missed() {
    let server = serve(App::new("news").subscriptions(procedures())).await;
    let publisher = server.home().publisher().unwrap();
    for (id, text) in [("a", "one"), ("b", "two"), ("c", "three")] {
        publisher.publish(News, &tracked(id, text.to_owned())).await.unwrap();
    }
    let mut client = Client::connect(&server, "?name=ada").await;
    let params = json!({ "path": "news", "lastEventId": "a" });
    client.say(json!({ "id": 1, "method": "subscription", "params": params })).await;
    assert_eq!(client.hear().await["result"]["type"], "started");
    for (id, text) in [("b", "two"), ("c", "three")] {
        let result = json!({ "type": "data", "data": { "id": id, "data": text }, "id": id });
        assert_eq!(client.hear().await, json!({ "id": 1, "result": result }));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_authorizer_of_the_websocket_api_decides_here_too() {
    #[derive(Deserialize)]
    struct Credentials {
        token: String,
    }
    let door = WebSocket::new().authorizer(async |Query(client): Query<Credentials>| match client
        .token
        .as_str()
    {
        "secret" => Ok(Allow::new("ali")),
        _ => Err(Error::new(401, "wrong token")),
    });
    let server = serve(App::new("door").websocket(door).subscriptions(procedures())).await;
    let mut ali = Client::connect(&server, "?token=secret").await;
    ali.say(json!({ "id": 1, "method": "query", "params": { "path": "hello" } })).await;
    assert_eq!(ali.hear().await, data(1, "hello ali"));
    let mut other = Client::connect(&server, "?token=guess").await;
    let refused = other.hear().await;
    assert_eq!(
        (&refused["id"], &refused["error"]["data"]["code"]),
        (&Value::Null, &json!("UNAUTHORIZED"))
    );
}
