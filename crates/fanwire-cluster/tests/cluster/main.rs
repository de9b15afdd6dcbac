//! Nodes on a real nats-server: several in one process, and the server killed, cut off and
//! started again between them.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod links;
mod membership;
mod records;
mod requests;

use std::time::Duration;

use fanwire_cluster::fixture::NatsServer;
use fanwire_cluster::{Cluster, Event, Events, State};

/// Longer than anything here takes.
const PATIENCE: Duration = Duration::from_secs(30);

/// Waits for something, but not for ever.
async fn soon<T>(what: &str, future: impl Future<Output = T>) -> T {
    match tokio::time::timeout(PATIENCE, future).await {
        Ok(value) => value,
        Err(_) => panic!("waited too long for {what}"),
    }
}

/// Nodes that see each other and listen.
async fn nodes<const N: usize>(server: &NatsServer) -> [Cluster; N] {
    let mut nodes = Vec::new();
    for number in 0..N {
        nodes.push(Cluster::join(server.options(&format!("node-{number}"))).await.unwrap());
    }
    for node in &nodes {
        node.start();
    }
    for node in &nodes {
        sees(node, N - 1).await;
        listens(node).await;
    }
    nodes.try_into().unwrap()
}

/// Waits until a node sees so many others.
async fn sees(node: &Cluster, peers: usize) {
    let mut seen = node.peers();
    soon("peers", seen.wait_for(|seen| seen.len() == peers)).await.unwrap();
}

/// Waits until a node's own subscriptions are with the server.
async fn listens(node: &Cluster) {
    let listening = async {
        tokio::task::yield_now().await;
        node.flush().await.unwrap();
    };
    soon("subscriptions", listening).await;
}

async fn state(node: &Cluster, wanted: State) {
    let mut state = node.state();
    soon("a state", state.wait_for(|state| *state == wanted)).await.unwrap();
}

/// Waits for an event.
async fn event(events: &mut Events, wanted: impl Fn(&Event) -> bool) -> Event {
    soon("an event", async {
        loop {
            let event = events.next().await.expect("the cluster goes on");
            if wanted(&event) {
                return event;
            }
        }
    })
    .await
}
