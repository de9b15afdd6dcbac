//! Who is reached by what is published, and what it costs.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use fanwire::store::Memory;
use fanwire::subscriptions::{Filter, Publisher, Report, StoredDelivery};
use fanwire::websocket::Gateway;

use crate::world::{MySubscription, Name, UserIdAndName, World, data, subscribe};

fn hi() -> String {
    "hi".to_owned()
}

fn named(user_id: &str, name: &str) -> UserIdAndName {
    UserIdAndName { user_id: user_id.to_owned(), name: name.to_owned() }
}

fn reached(delivered: usize) -> Report {
    Report { delivered, ..Report::default() }
}

#[tokio::test]
async fn a_filter_reaches_its_values_and_no_others() {
    let world = World::new();
    for (id, user, name) in [
        ("c1", "user1", "name1"),
        ("c2", "user1", "name10"),
        ("c3", "user10", "name1"),
        ("c4", "user1", "name1#"),
    ] {
        world.watch(id, user, name).await;
    }
    let publisher = world.publisher();
    let report = publisher.publish_to(&named("user1", "name1"), &hi()).await.unwrap();
    assert_eq!(report, reached(1));
    assert_eq!(world.gateway.sent("c1").last().unwrap(), &data(1, r#""hi""#));

    let leading = UserIdAndName::leading(("user1".to_owned(),));
    assert_eq!(publisher.publish_to(&leading, &hi()).await.unwrap(), reached(3));
    let name = Name { name: "name1".to_owned() };
    assert_eq!(publisher.publish_to(&name, &hi()).await.unwrap(), reached(2));
    assert_eq!(publisher.publish_to(&named("user2", "name1"), &hi()).await.unwrap(), reached(0));
}

#[tokio::test]
async fn everyone_gets_it_once_over_all_pages() {
    let world = World::new();
    for n in 0..20 {
        world.watch(&format!("c{n}"), "ann", &format!("name{n}")).await;
    }
    world.say("c0", "ann", &subscribe(2, "other")).await;
    let report = world.publisher().publish(MySubscription, &hi()).await.unwrap();
    assert_eq!(report, reached(21));
    for n in 0..20 {
        let mut sent = world.gateway.take(&format!("c{n}"));
        sent.retain(|text| text.contains("data"));
        assert_eq!(sent.len(), if n == 0 { 2 } else { 1 }, "c{n}");
    }
}

#[tokio::test]
async fn connections_that_are_gone_are_forgotten_with_all_they_had() {
    let world = World::new();
    world.watch("c1", "ann", "a").await;
    world.watch("c2", "ann", "a").await;
    world.watch("c3", "ann", "a").await;
    world.say("c1", "ann", &subscribe(2, "b")).await;
    world.gateway.end("c1");
    world.gateway.break_down("c3");
    let report = world.publisher().publish_to(&named("ann", "a"), &hi()).await.unwrap();
    assert_eq!(report, Report { delivered: 1, gone: 1, failed: 1 });
    assert_eq!(world.store.all("connection#c1").await, []);
    assert_eq!(world.store.all("path#mySubscription").await.len(), 2);
    let report = world.publisher().publish(MySubscription, &hi()).await.unwrap();
    assert_eq!(report, Report { delivered: 1, gone: 0, failed: 1 });
}

#[tokio::test]
async fn what_disconnects_is_sent_nothing_more() {
    let world = World::new();
    world.watch("c1", "ann", "a").await;
    world.disconnect("c1").await;
    assert_eq!(world.publisher().publish(MySubscription, &hi()).await.unwrap(), reached(0));
    assert_eq!(world.store.all("connection#c1").await, []);
}

#[tokio::test]
async fn a_client_that_left_before_it_began_leaves_nothing() {
    let world = World::new();
    world.connect("c1", "ann").await;
    world.gateway.end("c1");
    assert!(world.say("c1", "ann", &subscribe(1, "a")).await.is_empty());
    assert_eq!(world.store.all("path#mySubscription").await, []);
}

#[tokio::test]
async fn no_more_messages_are_under_way_than_may_be() {
    let world = World::with(Memory::new(), |app| app);
    for n in 0..40 {
        let id = format!("c{n}");
        world.connect(&id, "ann").await;
        // Ids that differ, so that each needs a message of its own.
        world.say(&id, "ann", &subscribe(n, "a")).await;
    }
    world.gateway.most.store(0, Ordering::SeqCst);
    let gateway = Arc::clone(&world.gateway) as Arc<dyn Gateway>;
    let delivery = StoredDelivery::new(Arc::new(world.store.clone()), gateway).with_concurrency(8);
    let report = Publisher::new(delivery).publish(MySubscription, &hi()).await.unwrap();
    assert_eq!((report, world.gateway.most.load(Ordering::SeqCst)), (reached(40), 8));
}

#[tokio::test]
async fn what_each_step_costs_in_calls_of_the_store() {
    let world = World::with(Memory::new(), |app| app);
    world.connect("c1", "ann").await;
    assert_eq!(world.store.calls(), 1, "connect");
    world.say("c1", "ann", &subscribe(1, "a")).await;
    assert_eq!(world.store.calls(), 4, "subscribe: connection, count, subscription, what finds it");
    let publisher = world.publisher();
    publisher.publish_to(&named("ann", "a"), &hi()).await.unwrap();
    assert_eq!(world.store.calls(), 1, "publish");
    publisher.publish(MySubscription, &hi()).await.unwrap();
    assert_eq!(world.store.calls(), 1, "publish to everyone");
    world.say("c1", "ann", r#"{"id":1,"method":"subscription.stop"}"#).await;
    assert_eq!(world.store.calls(), 2, "stop");
    world.disconnect("c1").await;
    assert_eq!(world.store.calls(), 2, "disconnect");
}
