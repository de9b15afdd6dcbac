//! The management API of a real server, called as from a function.

use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{WebSocketStream, client_async};

use super::*;
use crate::websocket::{Body, Connection, Group, Recipients, WebSocket};
use crate::{App, Server, ServerOptions};

type Client = WebSocketStream<TcpStream>;

/// A server of an app that tells clients their ids, and a home that calls it over HTTP.
async fn serve() -> (Server, Home) {
    let app = WebSocket::new().message(async |connection: Connection| connection.id().to_owned());
    let options = ServerOptions::default().with_address(([127, 0, 0, 1], 0));
    let server = Server::start(App::from(app), options).await.unwrap();
    let home = home_at(&format!("http://{}/$default", server.address()), "");
    (server, home)
}

/// A client, and its id.
async fn connect(server: &Server) -> (Client, String) {
    let stream = TcpStream::connect(server.address()).await.unwrap();
    let (mut client, _) =
        client_async(format!("ws://{}/", server.address()), stream).await.unwrap();
    client.send("who am I?".into()).await.unwrap();
    let id = said(&mut client).await;
    (client, id)
}

async fn next(client: &mut Client) -> Message {
    let next = tokio::time::timeout(Duration::from_secs(20), client.next());
    next.await.expect("a message in time").unwrap().unwrap()
}

async fn said(client: &mut Client) -> String {
    next(client).await.into_text().unwrap().to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_reach_one_many_a_group_and_all() {
    let (server, home) = serve().await;
    let gateway = home.gateway();
    let (mut a, a_id) = connect(&server).await;
    let (mut b, b_id) = connect(&server).await;
    gateway.send(&a_id, "one".into()).await.unwrap();
    assert_eq!(said(&mut a).await, "one");
    gateway.send(&a_id, Body::from(vec![0xff])).await.unwrap();
    assert_eq!(next(&mut a).await, Message::binary(vec![0xff]));
    let ids = Recipients::Ids(vec![a_id.clone(), b_id.clone()]);
    assert_eq!(gateway.send_to(ids, "many".into()).await.unwrap().delivered, 2);
    assert_eq!((said(&mut a).await, said(&mut b).await), ("many".into(), "many".into()));
    gateway.regroup(&b_id, Group::Tag("a/room é".into()), true).await.unwrap();
    let room = || Recipients::Group(Group::Tag("a/room é".into()));
    assert_eq!(gateway.send_to(room(), "room".into()).await.unwrap().delivered, 1);
    assert_eq!(said(&mut b).await, "room");
    gateway.regroup(&b_id, Group::Tag("a/room é".into()), false).await.unwrap();
    assert_eq!(gateway.send_to(room(), "room".into()).await.unwrap().delivered, 0);
    gateway.send_to(Recipients::All, "all".into()).await.unwrap();
    assert_eq!((said(&mut a).await, said(&mut b).await), ("all".into(), "all".into()));
    drop((a, b));
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_is_closed_with_code_and_reason_and_is_gone_then() {
    let (server, home) = serve().await;
    let (mut client, id) = connect(&server).await;
    home.gateway().close(&id, 4001, "so long & good bye").await.unwrap();
    let Message::Close(Some(frame)) = next(&mut client).await else { panic!() };
    assert_eq!((u16::from(frame.code), frame.reason.as_str()), (4001, "so long & good bye"));
    while client.next().await.is_some() {}
    // Its end is the shard's to see, which may be a moment later.
    let mut gone = home.gateway().send(&id, "x".into()).await;
    for _ in 0..1000 {
        if gone.is_err() {
            break;
        }
        tokio::task::yield_now().await;
        gone = home.gateway().send(&id, "x".into()).await;
    }
    assert!(gone.unwrap_err().is_gone());
    let sent = home.gateway().send_to(Recipients::Ids(vec![id.clone()]), "x".into()).await;
    assert_eq!(sent.unwrap().gone, [id]);
    server.stop().await;
}
