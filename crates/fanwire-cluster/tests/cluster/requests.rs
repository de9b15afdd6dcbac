//! Questions and publications.

use std::time::Duration;

use bytes::Bytes;
use fanwire_cluster::fixture::{NatsServer, Proxy};
use fanwire_cluster::{Cluster, ClusterOptions, NodeId, PublishError, RequestError, State};
use futures_util::StreamExt;
use tokio::time::Instant;

use crate::{nodes, sees, soon, state};

const PATIENCE: Duration = Duration::from_secs(10);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_question_is_answered_and_nobody_is_told_at_once() {
    let server = NatsServer::start().await;
    let [a, b] = nodes(&server).await;
    let asks = a.me();
    b.on_request("echo", move |from, bytes| {
        assert_eq!(Some(from), asks);
        std::future::ready([b"echo ", &bytes[..]].concat().into())
    });
    let to = b.me().unwrap().node;
    let answer = a.request(to, "echo", "x".into(), PATIENCE).await;
    assert_eq!(answer, Ok(Bytes::from("echo x")));
    let asked = Instant::now();
    let nobody = NodeId(to.0 ^ 0x7fff);
    assert_eq!(a.request(nobody, "echo", "x".into(), PATIENCE).await, Err(RequestError::Gone));
    assert_eq!(a.request(to, "other", "x".into(), PATIENCE).await, Err(RequestError::Gone));
    assert!(asked.elapsed() < Duration::from_secs(2));
    a.on_request("echo", |_, bytes| std::future::ready(bytes));
    let own = a.request(a.me().unwrap().node, "echo", "own".into(), PATIENCE).await;
    assert_eq!(own, Ok(Bytes::from("own")));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_hangs_is_waited_for_until_patience_ends_and_nats_that_is_away_is_said() {
    let mut server = NatsServer::start().await;
    let way = Proxy::start(server.address()).await;
    let [a] = nodes(&server).await;
    let lease = Duration::from_secs(30);
    let options = ClusterOptions { servers: vec![way.url()], lease, ..server.options("hangs") };
    let hangs = Cluster::join(options).await.unwrap();
    hangs.on_request("echo", |_, bytes| std::future::ready(bytes));
    hangs.start();
    sees(&a, 1).await;
    let to = hangs.me().unwrap().node;
    soon("an answer", async {
        while a.request(to, "echo", "x".into(), PATIENCE).await.is_err() {
            tokio::task::yield_now().await;
        }
    })
    .await;
    way.stop();
    let short = Duration::from_millis(300);
    assert_eq!(a.request(to, "echo", "x".into(), short).await, Err(RequestError::Timeout));
    server.kill().await;
    state(&a, State::Away).await;
    assert_eq!(a.request(to, "echo", "x".into(), short).await, Err(RequestError::Away));
    assert_eq!(a.publish("t.a", b"x"), Err(PublishError::Away));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_publication_reaches_those_that_listen_but_for_its_own_node() {
    let server = NatsServer::start().await;
    let [a, b, c] = nodes(&server).await;
    let mut of_a = a.subscribe("t.news.>").await.unwrap();
    let mut of_b = b.subscribe("t.news.*.!").await.unwrap();
    let mut of_c = c.subscribe("t.other.!").await.unwrap();
    for node in [&a, &b, &c] {
        node.flush().await.unwrap();
    }
    a.publish("t.news.today.!", b"first").unwrap();
    b.publish("t.news.today.!", b"second").unwrap();
    b.publish("t.other.!", b"third").unwrap();
    let got = soon("at b", of_b.next()).await.unwrap();
    assert_eq!((got.from, &got.payload[..]), (a.me().unwrap(), &b"first"[..]));
    let got = soon("at a", of_a.next()).await.unwrap();
    assert_eq!((got.from, &got.payload[..]), (b.me().unwrap(), &b"second"[..]));
    assert_eq!(&soon("at c", of_c.next()).await.unwrap().payload[..], b"third");
}
