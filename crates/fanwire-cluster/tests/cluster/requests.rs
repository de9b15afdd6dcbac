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
    assert_eq!(a.publish(&[to], b"x"), Err(PublishError::Away));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_publication_reaches_the_nodes_that_it_is_for_once_and_in_order() {
    const ROUNDS: u32 = 200;
    let server = NatsServer::start().await;
    let nodes: [Cluster; 4] = nodes(&server).await;
    let number = |node: usize| nodes[node].me().unwrap().node;
    let mut heard = Vec::new();
    for (at, node) in nodes.iter().enumerate() {
        heard.push(node.subscribe(number(at)).await.unwrap());
        node.flush().await.unwrap();
    }
    // Now for these, now for those, as subscriptions come and go.
    let sets: [&[usize]; 6] = [&[1], &[1, 2], &[1, 2, 3], &[3], &[2], &[1, 3]];
    for round in 0..ROUNDS {
        let set = sets[round as usize % sets.len()];
        let to: Vec<NodeId> = set.iter().map(|node| number(*node)).collect();
        nodes[0].publish(&to, &round.to_be_bytes()).unwrap();
    }
    let everybody: Vec<NodeId> = (0..nodes.len()).map(number).collect();
    nodes[0].publish(&everybody, b"end").unwrap();
    for (at, heard) in heard.iter_mut().enumerate().skip(1) {
        let meant = (0..ROUNDS).filter(|round| sets[*round as usize % sets.len()].contains(&at));
        let meant = meant.map(|round| Bytes::copy_from_slice(&round.to_be_bytes()));
        for payload in meant.chain([Bytes::from("end")]) {
            let got = soon("what was published", heard.next()).await.unwrap();
            assert_eq!((got.from, got.payload), (nodes[0].me().unwrap(), payload), "at {at}");
        }
    }
    // What a node publishes to all does not come back to it.
    nodes[1].publish(&everybody, b"by another").unwrap();
    let got = soon("what another published", heard[0].next()).await.unwrap();
    assert_eq!((got.from, &got.payload[..]), (nodes[1].me().unwrap(), &b"by another"[..]));
}
