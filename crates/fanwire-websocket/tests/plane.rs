//! What the plane promises to clients and handlers that are slow, late or gone.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "what fails in a test is to end it")]

mod support;

use std::time::Duration;

use fanwire_app::model::{Limits, Profile};
use fanwire_websocket::{Delivered, ManagementError, Post, Recipients};
use tokio::time::timeout;

use self::support::{Client, Heard, PATIENCE, PROCESS, Setting, World, until};

/// More than sockets keep for a client that does not read, in messages of 64 KB.
const FLOOD: usize = 512;

fn limits(change: impl FnOnce(&mut Limits)) -> Limits {
    let mut limits = Limits::of(Profile::Open);
    change(&mut limits);
    limits
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reload_that_takes_room_from_a_client_that_is_sending_does_not_stop_the_shard() {
    let ordered: fn(&mut Limits) = |limits| limits.ordered = true;
    let fewer: fn(&mut Limits) = |limits| limits.max_in_flight = 1;
    for change in [ordered, fewer] {
        let world = World::new(&Setting { answers: 0, ..Setting::default() });
        let mut client = world.connect().await;
        client.send(&["one", "two"]);
        until("two are in the handler", || world.app.messages() == 2);
        world.change(change);
        let before = world.plane.hub_stats().bytes_in;
        let more = client.send(&["three"]);
        world.has_read(before, more);
        // The shard has no time for anything else where it is caught in a circle.
        let asked = timeout(PATIENCE, world.plane.inspect(0, &client.id)).await;
        asked.expect("the shard hangs").unwrap();
        assert_eq!(world.app.messages(), 2);
        world.app.answer(3);
        (0..3).for_each(|_| assert_eq!(client.next(), "xx"));
        world.plane.stop(Duration::ZERO).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn replies_to_a_client_that_does_not_read_are_bounded() {
    const REPLY: usize = 100 * 1024;
    const SENT: usize = 1000;
    let limits = limits(|limits| {
        limits.max_in_flight = 4;
        limits.max_outbound_bytes = 64 * 1024;
    });
    let world = World::new(&Setting { limits, answer_bytes: REPLY, ..Setting::default() });
    let mut client = world.connect().await;
    // One by one, so that it never has too many in handlers: it goes as far as sockets and
    // limits let it, and then no further, whatever else happens.
    let (mut sent, mut turns) = (0, 0);
    while turns < 500 && sent < SENT {
        sent += client.send(&[""]).min(1);
        // The shard has had as many turns to read it.
        turns = 0;
        while turns < 500 && world.app.messages() < sent {
            world.plane.inspect(0, &client.id).await.unwrap();
            turns += 1;
        }
    }
    assert!(sent < SENT, "all are answered though nobody reads");
    // What waits is written as the client reads, and the last is asked for, too.
    (0..sent).for_each(|_| assert_eq!(client.next().len(), REPLY));
    world.plane.stop(Duration::ZERO).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_says_goodbye_and_reads_nothing_more_is_let_go_and_its_end_told() {
    let limits = limits(|limits| limits.max_outbound_bytes = 1 << 30);
    let world = World::new(&Setting { limits, ..Setting::default() });
    let mut client = world.connect().await;
    let text = "x".repeat(64 * 1024);
    for _ in 0..FLOOD {
        world.plane.post(0, &client.id, Post::Text(&text)).await.unwrap();
    }
    let before = world.plane.hub_stats().bytes_in;
    let more = client.say_goodbye();
    world.has_read(before, more);
    assert_eq!(world.plane.hub_stats().connections, 1, "it still has something to read");
    world.plane.advance_clock(Duration::from_secs(10));
    let end = Heard::Disconnected(client.id.clone(), 1000);
    until("its end is told", || world.app.heard().contains(&end));
    world.plane.stop(Duration::ZERO).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_end_of_a_connection_that_functions_are_too_late_for_is_left_to_other_nodes() {
    let setting = Setting { disconnect: PROCESS, in_cluster: true, ..Setting::default() };
    let world = World::new(&setting);
    let client = world.connect().await;
    world.functions.shutdown(Duration::ZERO).await;
    drop(client);
    until("it is gone", || world.plane.hub_stats().connections == 0);
    // Done when all has been done that there was to do about its end.
    world.plane.stop(PATIENCE).await;
    assert_eq!(*world.journal.forgotten.lock().unwrap(), [""; 0]);
    let record = world.journal.kept.lock().unwrap()[0].clone();
    assert!(!world.plane.tell_end(&record).await, "nor can this node tell it for another");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_end_of_a_connection_that_was_told_is_left_to_nobody() {
    let world = World::new(&Setting { in_cluster: true, ..Setting::default() });
    let client = world.connect().await;
    let id = client.id.clone();
    drop(client);
    until("it is gone", || world.plane.hub_stats().connections == 0);
    world.plane.stop(PATIENCE).await;
    assert_eq!(*world.journal.forgotten.lock().unwrap(), [id]);
    let record = world.journal.kept.lock().unwrap()[0].clone();
    assert!(world.plane.tell_end(&record).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_is_let_in_while_the_server_stops_is_told_and_its_end_too() {
    let world = World::new(&Setting::default());
    let mut first = world.connect().await;
    let (id, pending) = world.accepted(None).await;
    let stopping = world.plane.clone();
    let stopped = tokio::spawn(async move { stopping.stop(PATIENCE).await });
    assert_eq!(first.next_close(), 1001);
    first.say_goodbye();
    let end = Heard::Disconnected(first.id, 1001);
    until("nobody is connected any more", || world.app.heard().contains(&end));
    let mut client = Client::open(id.clone(), pending);
    assert_eq!(client.next_close(), 1001);
    client.say_goodbye();
    timeout(PATIENCE, stopped).await.unwrap().unwrap();
    assert_eq!(world.app.heard().last(), Some(&Heard::Disconnected(id, 1001)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_end_of_a_client_that_is_let_in_after_the_server_has_stopped_is_told() {
    let world = World::new(&Setting::default());
    let (id, pending) = world.accepted(None).await;
    world.plane.stop(Duration::from_millis(2)).await;
    // Who waits for the connection is told so when the shard has ended, and not before.
    let found = timeout(PATIENCE, world.plane.inspect(0, &id)).await.unwrap();
    assert_eq!(found.unwrap_err(), ManagementError::Gone);
    let _client = Client::open(id.clone(), pending);
    let end = Heard::Disconnected(id, 1001);
    until("its end is told", || world.app.heard().contains(&end));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_sent_to_many_reaches_those_whose_socket_is_still_changing_hands() {
    let world = World::new(&Setting { topics: vec!["news/#".to_owned()], ..Setting::default() });
    let (id, pending) = world.accepted(Some("tag=room")).await;
    let by_id = Recipients { ids: vec![id.clone()], ..Recipients::default() };
    let by_tag = Recipients { tags: vec!["room".to_owned()], ..Recipients::default() };
    let one = Delivered { sent: 1, ..Delivered::default() };
    let sent = world.plane.post_many(0, by_id.clone(), Post::Text("by id")).await;
    assert_eq!(sent.unwrap(), one);
    let sent = world.plane.post_many(0, by_tag.clone(), Post::Text("by tag")).await;
    assert_eq!(sent.unwrap(), one);
    world.broker.publish("news/#", b"by topic");
    let mut client = Client::open(id.clone(), pending);
    for expected in ["by id", "by tag", "by topic"] {
        assert_eq!(client.next(), expected);
    }
    drop(client);
    until("it is gone", || !world.broker.is_subscribed());
    let gone = Delivered { gone: vec![id], ..Delivered::default() };
    let sent = world.plane.post_many(0, by_id, Post::Text("too late")).await;
    assert_eq!(sent.unwrap(), gone);
    world.plane.stop(Duration::ZERO).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_leaves_before_its_socket_has_changed_hands_is_in_no_tag_and_topic() {
    let world = World::new(&Setting { topics: vec!["news/#".to_owned()], ..Setting::default() });
    let (_, pending) = world.accepted(Some("tag=room")).await;
    until("it is subscribed", || world.broker.is_subscribed());
    drop(pending);
    until("it is not any more", || !world.broker.is_subscribed());
    let by_tag = Recipients { tags: vec!["room".to_owned()], ..Recipients::default() };
    let sent = world.plane.post_many(0, by_tag, Post::Text("hello")).await;
    assert_eq!(sent.unwrap(), Delivered::default());
    world.plane.stop(Duration::ZERO).await;
}
