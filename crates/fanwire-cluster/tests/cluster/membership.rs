//! Who is there, who is gone, and who does what for them.

use std::sync::Arc;
use std::time::Duration;

use fanwire_cluster::fixture::{NatsServer, Proxy};
use fanwire_cluster::{Cluster, ClusterOptions, Credentials, Event, JoinError, SendError, State};
use tokio::sync::mpsc;

use crate::{event, nodes, sees, soon, state};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nodes_see_each_other_come_and_leave_under_numbers_of_their_own() {
    let server = NatsServer::start().await;
    let [a, b, c] = nodes(&server).await;
    let numbers: std::collections::BTreeSet<_> =
        [&a, &b, &c].iter().map(|node| node.me().unwrap().node).collect();
    assert_eq!(numbers.len(), 3);
    assert!(!numbers.contains(&fanwire_cluster::NodeId(0)), "which is a node that is alone");
    let peers = a.peers().borrow().clone();
    let names: Vec<_> = peers.values().map(|peer| peer.name.as_str()).collect();
    assert!(names.contains(&"node-1") && names.contains(&"node-2"), "{names:?}");
    let mut events = a.events();
    let leaving = b.me().unwrap();
    b.leave().await;
    let left = event(&mut events, |event| matches!(event, Event::PeerLeft(_))).await;
    assert!(matches!(left, Event::PeerLeft(peer) if peer.incarnation == leaving));
    sees(&c, 1).await;
    assert_eq!(
        a.send(leaving, "test", "x".into()).unwrap_err(),
        SendError::PeerDead(leaving),
        "who has left gets no mail"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_node_that_resigns_owes_is_done_without_waiting_for_its_lease() {
    let server = NatsServer::start().await;
    let mut joined = Vec::new();
    for name in ["stays", "resigns"] {
        // Longer than this test is waited for.
        let options = ClusterOptions { lease: Duration::from_secs(600), ..server.options(name) };
        joined.push(Cluster::join(options).await.unwrap());
    }
    joined.iter().for_each(Cluster::start);
    let (recovered, mut recoveries) = mpsc::unbounded_channel();
    joined[0].on_recovery(move |peer| {
        recovered.send(peer.incarnation).unwrap();
        std::future::ready(true)
    });
    sees(&joined[0], 1).await;
    let gone = joined[1].me().unwrap();
    joined[1].resign().await;
    assert_eq!(soon("the recovery", recoveries.recv()).await, Some(gone));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_is_cut_off_is_declared_dead_once_and_comes_again_as_another() {
    let server = NatsServer::start().await;
    let proxy = Proxy::start(server.address()).await;
    let [a, b] = nodes(&server).await;
    let options = ClusterOptions { servers: vec![proxy.url()], ..server.options("cut-off") };
    let lost = Cluster::join(options).await.unwrap();
    lost.start();
    sees(&a, 2).await;
    sees(&b, 2).await;
    sees(&lost, 2).await;
    let (recovered, mut recoveries) = mpsc::unbounded_channel();
    for node in [&a, &b] {
        let (recovered, by) = (recovered.clone(), node.me().unwrap());
        node.on_recovery(move |peer| {
            recovered.send((peer.incarnation, by)).unwrap();
            std::future::ready(true)
        });
    }
    let (fenced, mut fences) = mpsc::unbounded_channel();
    lost.on_fenced(move |former| {
        fenced.send(former).unwrap();
        std::future::ready(())
    });
    let former = lost.me().unwrap();
    let (mut of_a, mut of_b) = (a.events(), b.events());
    proxy.stop();
    let is_dead = |event: &Event| matches!(event, Event::PeerDead { .. });
    let told = event(&mut of_a, is_dead).await;
    assert!(!lost.is_safe(), "nobody is declared dead who may still act");
    assert_eq!(event(&mut of_b, is_dead).await, told);
    let Event::PeerDead { peer, by } = told else { unreachable!() };
    assert_eq!(peer.incarnation, former);
    assert_eq!(soon("the recovery", recoveries.recv()).await, Some((former, by)));
    let done = |event: &Event| matches!(event, Event::PeerRecovered(_));
    assert_eq!(event(&mut of_a, done).await, Event::PeerRecovered(former));
    proxy.go_on();
    assert_eq!(soon("the fence", fences.recv()).await, Some(former));
    sees(&a, 2).await;
    state(&lost, State::Joined).await;
    assert_ne!(lost.me(), Some(former));
    assert!(lost.is_safe());
    assert!(recoveries.try_recv().is_err(), "one of them, once");
    assert_eq!(a.facts().claims + b.facts().claims, 1);
    assert_eq!(lost.facts().fences, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nats_killed_and_started_again_costs_nobody_their_place() {
    let mut server = NatsServer::start().await;
    let [a, b] = nodes(&server).await;
    let before = (a.me(), b.me());
    let mut events = a.events();
    server.kill().await;
    event(&mut events, |event| *event == Event::Away).await;
    state(&b, State::Away).await;
    // Longer than a lease.
    soon("leases to lapse", async {
        while a.is_safe() || b.is_safe() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await;
    server.restart().await;
    event(&mut events, |event| *event == Event::Back).await;
    state(&b, State::Joined).await;
    assert_eq!((a.me(), b.me()), before);
    // They hear each other again: who leaves is seen to.
    b.leave().await;
    sees(&a, 0).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nats_that_has_lost_everything_is_begun_with_again() {
    let mut server = NatsServer::start().await;
    let [a, b] = nodes(&server).await;
    let before = a.me();
    server.lose_everything().await;
    let mut who = a.state();
    soon("a new place", async {
        while a.me() == before || a.me().is_none() {
            who.changed().await.unwrap();
        }
    })
    .await;
    state(&a, State::Joined).await;
    state(&b, State::Joined).await;
    sees(&a, 1).await;
    sees(&b, 1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_claimant_did_not_finish_another_does() {
    let server = NatsServer::start().await;
    let ways = [Proxy::start(server.address()).await, Proxy::start(server.address()).await];
    let [survivor] = nodes(&server).await;
    let (recovered, mut recoveries) = mpsc::unbounded_channel();
    let mut lost = Vec::new();
    for (number, way) in ways.iter().enumerate() {
        let name = format!("lost-{number}");
        let options = ClusterOptions { servers: vec![way.url()], ..server.options(&name) };
        let node = Cluster::join(options).await.unwrap();
        // Whoever of them claims never ends.
        node.on_recovery(|_| std::future::pending());
        node.start();
        lost.push(node);
    }
    sees(&survivor, 2).await;
    let recovered = Arc::new(recovered);
    survivor.on_recovery(move |peer| {
        recovered.send(peer.incarnation).unwrap();
        std::future::ready(true)
    });
    let former = [lost[0].me().unwrap(), lost[1].me().unwrap()];
    ways[0].stop();
    let mut events = survivor.events();
    event(&mut events, |event| matches!(event, Event::PeerDead { .. })).await;
    ways[1].stop();
    let mut seen = std::collections::BTreeSet::new();
    while seen.len() < 2 {
        seen.insert(soon("recoveries", recoveries.recv()).await.unwrap());
    }
    assert_eq!(seen, former.into());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_claimant_that_leaves_has_not_done_another_does() {
    let server = NatsServer::start().await;
    let way = Proxy::start(server.address()).await;
    let nodes: [Cluster; 2] = nodes(&server).await;
    let options = ClusterOptions { servers: vec![way.url()], ..server.options("lost") };
    let lost = Cluster::join(options).await.unwrap();
    lost.start();
    let (claimed, mut claims) = mpsc::unbounded_channel();
    for (number, node) in nodes.iter().enumerate() {
        sees(node, 2).await;
        let claimed = claimed.clone();
        // Nobody gets it done.
        node.on_recovery(move |peer| {
            claimed.send((number, peer.incarnation)).unwrap();
            std::future::pending()
        });
    }
    let (lost, former) = (lost.me().unwrap(), [nodes[0].me().unwrap(), nodes[1].me().unwrap()]);
    way.stop();
    let (claimant, of) = soon("a claim", claims.recv()).await.unwrap();
    assert_eq!(of, lost);
    soon("its end", nodes[claimant].resign()).await;
    let mut seen = std::collections::BTreeSet::new();
    while seen.len() < 2 {
        let (by, of) = soon("claims", claims.recv()).await.unwrap();
        assert_ne!(by, claimant);
        seen.insert(of);
    }
    assert_eq!(seen, [lost, former[claimant]].into());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_node_that_leaves_could_not_do_for_a_dead_one_another_does() {
    let server = NatsServer::start().await;
    let way = Proxy::start(server.address()).await;
    let [leaves, stays] = nodes(&server).await;
    let options = ClusterOptions { servers: vec![way.url()], ..server.options("lost") };
    let lost = Cluster::join(options).await.unwrap();
    lost.start();
    sees(&leaves, 2).await;
    sees(&stays, 2).await;
    // So that it is the other who claims.
    stays.retire();
    let (tried, mut attempts) = mpsc::unbounded_channel();
    for (node, can) in [(&leaves, false), (&stays, true)] {
        let tried = tried.clone();
        node.on_recovery(move |peer| {
            tried.send((peer.incarnation, can)).unwrap();
            std::future::ready(can)
        });
    }
    let former = lost.me().unwrap();
    way.stop();
    assert_eq!(soon("a claim", attempts.recv()).await, Some((former, false)));
    assert_eq!(leaves.unrecovered(), [former]);
    // Another comes, and none who stays is retired.
    let comes = Cluster::join(server.options("comes")).await.unwrap();
    comes.on_recovery(move |peer| {
        tried.send((peer.incarnation, true)).unwrap();
        std::future::ready(true)
    });
    comes.start();
    leaves.leave().await;
    soon("the recovery", async { while attempts.recv().await != Some((former, true)) {} }).await;
    assert_eq!(stays.facts().claims, 0, "it is about to leave, too");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_node_could_not_do_for_a_dead_one_it_tries_again() {
    let server = NatsServer::start().await;
    let way = Proxy::start(server.address()).await;
    let [stays] = nodes(&server).await;
    let options = ClusterOptions { servers: vec![way.url()], ..server.options("lost") };
    let lost = Cluster::join(options).await.unwrap();
    lost.start();
    sees(&stays, 1).await;
    let (tried, mut attempts) = mpsc::unbounded_channel();
    let first = std::sync::atomic::AtomicBool::new(true);
    stays.on_recovery(move |_| {
        let can = !first.swap(false, std::sync::atomic::Ordering::Relaxed);
        tried.send(can).unwrap();
        std::future::ready(can)
    });
    way.stop();
    assert_eq!(soon("a claim", attempts.recv()).await, Some(false));
    assert_eq!(soon("another attempt", attempts.recv()).await, Some(true));
    soon("the end of it", async {
        while !stays.unrecovered().is_empty() {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

#[tokio::test]
async fn what_nats_says_no_to_is_said_with_what_to_do() {
    let server = NatsServer::start_with(
        "accounts { A { jetstream: enabled, users: [{user: app, password: secret}] },\n\
         B { users: [{user: plain, password: secret}] } }",
    )
    .await;
    let error = Cluster::join(server.options("a")).await.unwrap_err();
    assert!(matches!(error, JoinError::Connect { .. }), "{error}");
    let of = |user: &str| {
        let (user, password) = (user.to_owned(), "secret".to_owned());
        let credentials = Credentials::User { user, password };
        ClusterOptions { credentials, ..server.options("a") }
    };
    let error = Cluster::join(of("plain")).await.unwrap_err();
    assert!(matches!(error, JoinError::NoJetStream(_)), "{error}");
    assert!(error.to_string().contains("-js"), "{error}");
    let node = Cluster::join(of("app")).await.unwrap();
    assert!(node.is_safe());
    let three = ClusterOptions { replicas: 3, name: "three".into(), ..of("app") };
    let error = Cluster::join(three).await.unwrap_err();
    assert!(matches!(error, JoinError::Bucket { .. }), "one server keeps one replica: {error}");
    let two = ClusterOptions { replicas: 2, ..of("app") };
    let error = Cluster::join(two).await.unwrap_err();
    assert!(error.to_string().contains("1, 3 and 5"), "{error}");
    let nobody =
        ClusterOptions { servers: vec!["nats://me:hidden@127.0.0.1:1".into()], ..of("app") };
    let error = Cluster::join(nobody).await.unwrap_err().to_string();
    assert!(error.contains("127.0.0.1:1") && !error.contains("hidden"), "{error}");
}

#[tokio::test]
async fn a_nats_that_takes_no_messages_of_a_megabyte_is_not_joined() {
    let server = NatsServer::start_with("max_payload: 524288").await;
    let error = Cluster::join(server.options("a")).await.unwrap_err();
    assert!(matches!(error, JoinError::MaxPayload { found: 524_288, .. }), "{error}");
    assert!(error.to_string().contains("1048576"), "{error}");
}
