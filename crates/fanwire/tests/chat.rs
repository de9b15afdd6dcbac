//! Nitric's chat, as `fanwire::collection` shows it, before clients that connect, talk and
//! leave.

#![cfg(feature = "server")]
#![allow(clippy::expect_used, clippy::unwrap_used, reason = "tests")]

use std::time::Duration;

use fanwire::collection::Collection;
use fanwire::store::{Memory, Store};
use fanwire::websocket::{Body, Connection, State, WebSocket};
use fanwire::{App, Result, Server, ServerOptions};
use futures_util::{SinkExt, StreamExt};
use tokio::net::TcpStream;
use tokio_tungstenite::{WebSocketStream, client_async};

type Connections = State<Collection<()>>;
type Client = WebSocketStream<TcpStream>;

async fn connect(connection: Connection, connections: Connections) -> Result {
    Ok(connections.doc(connection.id()).set(&()).await?)
}

async fn disconnect(connection: Connection, connections: Connections) -> Result {
    Ok(connections.doc(connection.id()).delete().await?)
}

async fn message(connection: Connection, message: Body, connections: Connections) -> Result {
    let mut others = connections.query().ids().await?;
    others.retain(|id| id != connection.id());
    connection.to_many(others).send(message).await?;
    Ok(())
}

async fn client(server: &Server) -> Client {
    let stream = TcpStream::connect(server.address()).await.unwrap();
    client_async(format!("ws://{}/", server.address()), stream).await.unwrap().0
}

async fn heard(client: &mut Client) -> String {
    let next = tokio::time::timeout(Duration::from_secs(20), client.next());
    next.await.expect("a message in time").unwrap().unwrap().to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_goes_to_all_others_and_not_back() {
    let store = Memory::new();
    let app = WebSocket::with_state(Collection::new("connections", store.clone()))
        .connect(connect)
        .disconnect(disconnect)
        .message(message);
    let options = ServerOptions::default().with_address(([127, 0, 0, 1], 0));
    let server = Server::start(App::from(app), options).await.unwrap();
    let (mut a, mut b, mut c) =
        (client(&server).await, client(&server).await, client(&server).await);
    a.send("from a".into()).await.unwrap();
    assert_eq!((heard(&mut b).await, heard(&mut c).await), ("from a".into(), "from a".into()));
    b.send("from b".into()).await.unwrap();
    // Had its own come back to it, it would be first.
    assert_eq!((heard(&mut a).await, heard(&mut c).await), ("from b".into(), "from b".into()));
    c.close(None).await.unwrap();
    while c.next().await.is_some() {}
    a.send("without c".into()).await.unwrap();
    assert_eq!(heard(&mut b).await, "without c");
    drop((a, b));
    server.stop().await;
    let left = store.query("connections", "", None).await.unwrap().items;
    assert!(left.is_empty(), "all have left: {left:?}");
}
