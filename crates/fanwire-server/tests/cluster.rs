//! Three servers in one process that serve an App together, on a real nats-server, and one of
//! them cut off from it.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on may panic")]

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use fanwire_app::model::WebSocketApi;
use fanwire_app::{LoadOptions, load};
use fanwire_cluster::fixture::{NatsServer, Proxy};
use fanwire_functions::Silent;
use fanwire_hub::HubOptions;
use fanwire_realtime::RealtimeEvent;
use fanwire_server::{ClusterOptions, Observers, Server, ServerOptions};
use fanwire_websocket::{
    EventType, ManagementError, Native, NativeBody, NativeEvent, NativeGrant, NativeReply,
    NativeResult, Post, Recipients, RequestRecord,
};
use futures_util::future::{BoxFuture, ready};
use futures_util::{FutureExt, SinkExt, StreamExt};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;

const APP: &str = r#"
    name = "together"
    profile = "open"
    [functions.chat]
    command = ["false"]
    [websocket.routes]
    "$connect" = "chat"
    "$disconnect" = "chat"
    "$default" = { function = "chat", response = true }
"#;

/// Longer than anything here takes.
const PATIENCE: Duration = Duration::from_secs(40);

/// How often each connection's end was told, by whichever node.
type Ends = Arc<watch::Sender<BTreeMap<String, u32>>>;

/// Tells clients their ids, and counts ends.
#[derive(Debug)]
struct Chat(Ends);

impl Native for Chat {
    fn handle(&self, event: NativeEvent<'_>) -> BoxFuture<'static, NativeResult<NativeReply>> {
        let id = event.connection.to_string();
        if event.kind == EventType::Disconnect {
            assert!(event.connected_at > 0 && !event.domain.is_empty());
            self.0.send_modify(|ends| *ends.entry(id.clone()).or_default() += 1);
        }
        let body = Some(NativeBody::Text(id));
        ready(Ok(NativeReply { status: 200, headers: Vec::new(), body })).boxed()
    }

    fn authorize(&self, _: NativeEvent<'_>) -> BoxFuture<'static, NativeResult<NativeGrant>> {
        unreachable!("no route has an authorizer")
    }
}

/// Nobody looks.
#[derive(Default)]
struct Nobody(Mutex<()>);

impl fanwire_websocket::Observer for Nobody {
    fn request(&self, _: &RequestRecord<'_>) {}
    fn access(&self, _: &WebSocketApi, _: &str) {}
    fn execution(&self, _: &WebSocketApi, _: &str, _: &str) {}
    fn trouble(&self, _: &WebSocketApi, _: &str) {}
}

impl fanwire_realtime::Observer for Nobody {
    fn observe(&self, _: &RealtimeEvent<'_>) {}
}

async fn serve(cluster: ClusterOptions, ends: &Ends) -> Server {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("fanwire.toml"), APP).unwrap();
    let app = load(folder.path(), &LoadOptions::default()).unwrap().app;
    let mut options = ServerOptions {
        address: SocketAddr::from(([127, 0, 0, 1], 0)),
        hub: HubOptions { shards: 2, ..HubOptions::default() },
        cluster: Some(cluster),
        ..ServerOptions::default()
    };
    options.websocket_natives.insert("chat".to_owned(), Arc::new(Chat(Arc::clone(ends))));
    let observers = Observers {
        websocket: Arc::new(Nobody::default()),
        functions: Arc::new(Silent),
        realtime: Arc::new(Nobody::default()),
        nitric: None,
        logs: None,
    };
    Server::start(&app, options, observers).await.unwrap()
}

async fn soon<T>(what: &str, future: impl Future<Output = T>) -> T {
    match tokio::time::timeout(PATIENCE, future).await {
        Ok(value) => value,
        Err(_) => panic!("waited too long for {what}"),
    }
}

async fn sees(server: &Server, others: usize) {
    let mut peers = server.cluster().unwrap().peers();
    soon("the other nodes", peers.wait_for(|peers| peers.len() == others)).await.unwrap();
}

type Client = WebSocketStream<TcpStream>;

/// A client, and its connection's id.
async fn connect(server: &Server) -> (Client, String) {
    let stream = TcpStream::connect(server.address()).await.unwrap();
    let url = format!("ws://{}/dev", server.address());
    let (mut client, _) = tokio_tungstenite::client_async(url, stream).await.unwrap();
    client.send(Message::text("who am I?")).await.unwrap();
    let id = text(&mut client).await;
    (client, id)
}

async fn text(client: &mut Client) -> String {
    let message = soon("a message", client.next()).await.unwrap().unwrap();
    message.into_text().unwrap().to_string()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_nodes_are_one_until_one_is_cut_off_and_its_ends_are_told_once() {
    let nats = NatsServer::start().await;
    let way = Proxy::start(nats.address()).await;
    let ends: Ends = Arc::default();
    let cut = ClusterOptions { servers: vec![way.url()], ..nats.options("cut") };
    let [a, b, c] = [
        serve(cut, &ends).await,
        serve(nats.options("b"), &ends).await,
        serve(nats.options("c"), &ends).await,
    ];
    for server in [&a, &b, &c] {
        sees(server, 2).await;
    }
    let mut of_a = Vec::new();
    for _ in 0..20 {
        of_a.push(connect(&a).await);
    }
    let (mut at_b, id_b) = connect(&b).await;
    let plane = c.websocket();

    plane.post(0, &of_a[0].1, Post::Text("from c")).await.unwrap();
    assert_eq!(text(&mut of_a[0].0).await, "from c");
    assert!(plane.inspect(0, &of_a[1].1).await.is_ok());
    let group = || fanwire_websocket::Group::tag("room").unwrap();
    plane.join(0, &of_a[2].1, group()).await.unwrap();
    assert_eq!(plane.groups(0, &of_a[2].1).await.unwrap(), [group()]);
    assert_eq!(plane.broadcast(0, Post::Text("all")).unwrap().await.sent, 21);
    let recipients = Recipients {
        ids: vec![of_a[2].1.clone(), id_b.clone()],
        tags: vec!["room".to_owned()],
        topics: Vec::new(),
    };
    let sent = plane.post_many(0, recipients, Post::Text("some")).await.unwrap();
    assert_eq!((sent.sent, sent.gone.len()), (2, 0));
    assert_eq!(plane.list(100).await.unwrap().len(), 21);
    assert_eq!(plane.find(&id_b).await.unwrap().connection_id, id_b);
    for expected in ["all", "some"] {
        assert_eq!(text(&mut at_b).await, expected);
    }
    plane.delete(0, &id_b, None).await.unwrap();
    let mut told = ends.subscribe();
    soon("the end at b", told.wait_for(|ends| ends.len() == 1)).await.unwrap();

    way.stop();
    soon("all ends", told.wait_for(|ends| ends.len() == 21)).await.unwrap();
    let gone = plane.post(0, &of_a[0].1, Post::Text("x")).await;
    assert_eq!(gone, Err(ManagementError::Gone));
    way.go_on();
    for (client, _) in &mut of_a {
        let closed = async {
            loop {
                match client.next().await {
                    Some(Ok(Message::Close(frame))) => return frame.map(|frame| frame.code.into()),
                    Some(Ok(_)) => {}
                    _ => return None,
                }
            }
        };
        assert_eq!(soon("a goodbye", closed).await, Some(1001u16));
    }
    sees(&b, 2).await;
    sees(&a, 2).await;
    let (mut again, id) = connect(&a).await;
    plane.post(0, &id, Post::Text("welcome back")).await.unwrap();
    assert_eq!(text(&mut again).await, "welcome back");
    again.close(None).await.unwrap();
    soon("the end of a new one", told.wait_for(|ends| ends.contains_key(&id))).await.unwrap();
    for server in [a, b, c] {
        server.stop(Duration::from_secs(5)).await;
    }
    assert!(ends.borrow().values().all(|times| *times == 1), "{:?}", ends.borrow());
}
