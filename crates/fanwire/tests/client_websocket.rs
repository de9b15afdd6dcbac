//! The WebSocket client, against a gateway of this process.

#![cfg(all(feature = "client", feature = "server"))]
#![allow(clippy::unwrap_used, reason = "tests")]

use std::time::Duration;

use fanwire::client::{CloseReason, ConnectError, WebSocket as Client, WebSocketError};
use fanwire::websocket::{Body, Connection, Headers, Json, Query, Reply, Text, WebSocket};
use fanwire::{App, Bytes, Error, Result, Server, ServerOptions};
use serde::{Deserialize, Serialize};

const PATIENCE: Duration = Duration::from_secs(10);

async fn serve(app: impl Into<App>) -> (Server, String) {
    let options = ServerOptions::default().with_address(([127, 0, 0, 1], 0));
    let server = Server::start(app.into(), options).await.unwrap();
    let url = format!("ws://{}", server.address());
    (server, url)
}

#[derive(Serialize, Deserialize, PartialEq, Debug)]
struct Point {
    x: i32,
    y: i32,
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_go_both_ways_as_text_bytes_and_json() {
    let app = WebSocket::new()
        .route("swap", async |Json(point): Json<Point>| Json(Point { x: point.y, y: point.x }))
        .message(async |bytes: Bytes| Body::Binary(bytes));
    let (server, url) = serve(app).await;
    let mut client = Client::connect(url).await.unwrap();
    client.send_json(&serde_json::json!({"action": "swap", "x": 1, "y": 2})).await.unwrap();
    assert_eq!(client.next_json::<Point>().await.unwrap(), Point { x: 2, y: 1 });
    let bytes = Body::Binary(Bytes::from_static(b"\x00\xff"));
    client.send(bytes.clone()).await.unwrap();
    assert_eq!(client.next().await.unwrap().unwrap(), bytes);
    let end = client.close(3001, "bye").await.unwrap();
    assert!([1000, 3001].contains(&end.code), "{end:?}");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_handshake_brings_query_headers_and_subprotocols() {
    #[derive(Deserialize)]
    struct Credentials {
        token: String,
    }
    let connect = async |Query(query): Query<Credentials>, headers: Headers| -> Result<Reply> {
        if query.token != "a b&c" || headers.get("x-room") != Some("blue") {
            return Err(Error::new(403, "unknown"));
        }
        Ok(headers
            .subprotocols()
            .last()
            .map_or_else(|| Reply::status(400), |name| Reply::default().subprotocol(name)))
    };
    let (server, url) = serve(WebSocket::new().connect(connect).message(async || ())).await;
    let builder = Client::builder(&url).query("token", "a b&c").header("X-Room", "blue");
    let offering = builder.clone().subprotocol("one").subprotocol("two");
    let client = offering.connect().await.unwrap();
    assert_eq!(client.subprotocol(), Some("two"));
    drop(client);
    let refused = Client::builder(&url).query("token", "x").connect().await.unwrap_err();
    assert!(matches!(&refused, ConnectError::Refused { status: 403, .. }), "{refused}");
    assert!(refused.is_unauthorized());
    let bad = builder.header("a\nb", "c").connect().await.unwrap_err();
    assert!(matches!(bad, ConnectError::Request(_)));
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_end_says_its_code_and_reason() {
    let app = WebSocket::new().message(async |connection: Connection| -> Result {
        connection.close(4001, "enough").await?;
        Ok(())
    });
    let (server, url) = serve(app).await;
    let mut client = Client::connect(url).await.unwrap();
    assert_eq!(client.closed(), None);
    client.send("hello").await.unwrap();
    assert!(client.next().await.is_none());
    let end = CloseReason { code: 4001, reason: "enough".to_owned() };
    assert_eq!(client.closed(), Some(&end));
    let error = client.send("anybody?").await.unwrap_err();
    assert!(matches!(error, WebSocketError::Closed(reason) if reason == end));
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ping_loses_no_message_that_comes_before_its_pong() {
    let (server, url) = serve(WebSocket::new().message(async |Text(text): Text| text)).await;
    let mut client = Client::connect(url).await.unwrap();
    for text in ["one", "two"] {
        client.send(text).await.unwrap();
    }
    assert!(client.ping(PATIENCE).await.unwrap() < PATIENCE);
    // Handlers run beside each other, so either may be first.
    let mut answers =
        [client.next().await, client.next().await].map(|answer| answer.unwrap().unwrap());
    answers.sort_by(|a, b| a.as_bytes().cmp(b.as_bytes()));
    assert_eq!(answers, ["one".into(), "two".into()]);
    let error = client.close(1001, "not for clients").await.unwrap_err();
    assert!(matches!(error, WebSocketError::CloseReason(1001)));
    server.stop().await;
}

#[tokio::test]
async fn nobody_there_is_unreachable() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("ws://{}/?token=secret", listener.local_addr().unwrap());
    drop(listener);
    let error = Client::connect(url).await.unwrap_err();
    assert!(matches!(error, ConnectError::Unreachable { .. }), "{error}");
    assert!(!error.to_string().contains("secret"), "{error}");
}
