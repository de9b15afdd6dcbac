//! Messages between nodes that arrive in order, once, whatever becomes of NATS.

use std::sync::{Arc, Mutex};

use bytes::Bytes;
use fanwire_cluster::fixture::{NatsServer, Proxy};
use fanwire_cluster::{Cluster, ClusterOptions, SendError, State};
use tokio::sync::{Notify, mpsc};

use crate::{nodes, sees, soon, state};

/// Has a node collect the numbers that it is sent.
fn collect(node: &Cluster) -> Arc<Mutex<Vec<u32>>> {
    let got = Arc::new(Mutex::new(Vec::new()));
    let into = Arc::clone(&got);
    node.on("numbers", move |_, bytes| {
        into.lock().unwrap().push(u32::from_be_bytes(bytes[..4].try_into().unwrap()));
        std::future::ready(())
    });
    got
}

fn number(number: u32) -> Bytes {
    let mut bytes = number.to_be_bytes().to_vec();
    bytes.resize(100, 0);
    bytes.into()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn messages_arrive_in_order_and_are_acknowledged_when_their_handler_is_done() {
    let server = NatsServer::start().await;
    let [a, b] = nodes(&server).await;
    let got = collect(&b);
    let to = b.me().unwrap();
    let mut sent = Vec::new();
    for each in 0..10_000 {
        sent.push(a.send(to, "numbers", number(each)).unwrap());
    }
    for sending in sent {
        soon("an acknowledgement", sending).await.unwrap();
    }
    assert_eq!(*got.lock().unwrap(), (0..10_000).collect::<Vec<_>>());
    // One whose handler is not done yet is not acknowledged, and those after it are.
    let gate = Arc::new(Notify::new());
    let waits = Arc::clone(&gate);
    b.on("gate", move |_, bytes| {
        let waits = Arc::clone(&waits);
        async move {
            if bytes == "wait" {
                waits.notified().await;
            }
        }
    });
    let mut first = a.send(to, "gate", "wait".into()).unwrap();
    let second = a.send(to, "gate", "go".into()).unwrap();
    soon("the second", second).await.unwrap();
    assert!(futures_util::FutureExt::now_or_never(&mut first).is_none());
    gate.notify_one();
    soon("the first", first).await.unwrap();
    // What nobody takes, and what panics, keeps nobody waiting.
    b.on("panic", |_, _| async { panic!("as it is meant to") });
    soon("nobody's", a.send(to, "nobody", "x".into()).unwrap()).await.unwrap();
    soon("a panic", a.send(to, "panic", "x".into()).unwrap()).await.unwrap();
    assert!(a.facts().peers[0].window_messages == 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_lost_or_repeated_while_nats_is_killed_and_started_again() {
    let mut server = NatsServer::start().await;
    let [a, b] = nodes(&server).await;
    let got = collect(&b);
    let to = b.me().unwrap();
    let (more, mut sent) = mpsc::unbounded_channel();
    let sender = a.clone();
    let sending = tokio::spawn(async move {
        for each in 0..60_000 {
            loop {
                match sender.send(to, "numbers", number(each)) {
                    Ok(sending) => break more.send(sending).unwrap(),
                    Err(SendError::WindowFull(_)) => tokio::task::yield_now().await,
                    Err(error) => panic!("{error}"),
                }
            }
            if each % 500 == 0 {
                tokio::task::yield_now().await;
            }
        }
    });
    let mut acknowledged = 0;
    while let Some(sending) = sent.recv().await {
        soon("an acknowledgement", sending).await.unwrap();
        acknowledged += 1;
        if acknowledged == 5_000 || acknowledged == 25_000 {
            server.restart().await;
        }
    }
    sending.await.unwrap();
    assert_eq!(*got.lock().unwrap(), (0..60_000).collect::<Vec<_>>());
    assert_eq!(b.me(), Some(to));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn messages_for_a_node_that_dies_fail_and_its_next_stay_gets_none_of_them() {
    let server = NatsServer::start().await;
    let way = Proxy::start(server.address()).await;
    let [a] = nodes(&server).await;
    let options = ClusterOptions { servers: vec![way.url()], ..server.options("lost") };
    let lost = Cluster::join(options).await.unwrap();
    let got = collect(&lost);
    lost.start();
    sees(&a, 1).await;
    let former = lost.me().unwrap();
    soon("the first", a.send(former, "numbers", number(1)).unwrap()).await.unwrap();
    way.stop();
    let failing = a.send(former, "numbers", number(2)).unwrap();
    assert_eq!(soon("the end", failing).await, Err(SendError::PeerDead(former)));
    assert_eq!(a.send(former, "numbers", number(3)).unwrap_err(), SendError::PeerDead(former));
    way.go_on();
    sees(&a, 1).await;
    let now = *a.peers().borrow().values().next().map(|peer| &peer.incarnation).unwrap();
    assert_ne!(now, former);
    soon("the next", a.send(now, "numbers", number(4)).unwrap()).await.unwrap();
    let got = got.lock().unwrap().clone();
    assert!(got == [1, 4] || got == [1, 2, 4], "what was on its way may have come: {got:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_node_could_send_that_was_declared_dead_is_not_listened_to() {
    let server = NatsServer::start().await;
    let way = Proxy::start(server.address()).await;
    let [a] = nodes(&server).await;
    let got = collect(&a);
    let options = ClusterOptions { servers: vec![way.url()], ..server.options("lost") };
    let lost = Cluster::join(options).await.unwrap();
    lost.start();
    sees(&a, 1).await;
    sees(&lost, 1).await;
    let to = a.me().unwrap();
    soon("the first", lost.send(to, "numbers", number(1)).unwrap()).await.unwrap();
    way.stop();
    let sending = lost.send(to, "numbers", number(2)).unwrap();
    sees(&a, 0).await;
    way.go_on();
    assert_eq!(soon("the fence", sending).await, Err(SendError::PeerDead(to)));
    state(&lost, State::Joined).await;
    sees(&a, 1).await;
    sees(&lost, 1).await;
    soon("the next", lost.send(to, "numbers", number(3)).unwrap()).await.unwrap();
    assert_eq!(*got.lock().unwrap(), [1, 3]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_that_nats_would_not_take_is_refused_at_once() {
    let server = NatsServer::start().await;
    let [a, b] = nodes(&server).await;
    let large = Bytes::from(vec![0; 2 << 20]);
    let error = a.send(b.me().unwrap(), "test", large).unwrap_err();
    assert!(matches!(error, SendError::TooLarge { .. }));
    assert!(error.to_string().contains("max_payload"), "{error}");
    let just = Bytes::from(vec![0; (1 << 20) - 256]);
    soon("the largest", a.send(b.me().unwrap(), "test", just).unwrap()).await.unwrap();
}
