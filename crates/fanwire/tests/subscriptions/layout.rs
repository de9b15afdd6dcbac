//! One table with the TypeScript library: records as trpc.md, section 1.2, gives them.

use fanwire::store::{Item, Key, Memory, Store};
use fanwire::subscriptions::{Filter, Layout, Report};
use serde_json::{Value, json};

use crate::world::{MySubscription, Ticks, UserIdAndName, World, fields, subscribe};
use fanwire::subscriptions::tracked;

fn world() -> World {
    World::with(Memory::new(), |app| app.with_layout(Layout::AwsTrpcSubscriptions))
}

/// A record as the TypeScript library writes it.
fn record(partition: &str, sort: &str, fields: Value) -> Item {
    Item::new(Key::new(partition, sort), fields).lasting(14_400.881)
}

/// What the TypeScript library writes when a client subscribes.
fn theirs(connection: &str, id: &str, user: &str, name: &str) -> Vec<Item> {
    let fields = json!({
        "type": "subscription", "path": "mySubscription", "input": { "name": name },
        "ctx": { "userId": user }, "id": id, "connectionId": connection,
    });
    let by_connection = format!("connection#{connection}");
    let tail = format!("connection#{connection}#subscription#{id}");
    let both = format!("name#userIdAndName#ctx#userId#{user}#input#name#{name}#{tail}");
    let name = format!("name#name#input#name#{name}#{tail}");
    vec![
        record(&by_connection, &by_connection, json!({ "type": "connection" })),
        record(&by_connection, &format!("subscription#{id}"), fields.clone()),
        record("path#mySubscription", &both, fields.clone()),
        record("path#mySubscription", &name, fields),
    ]
}

fn named(user_id: &str, name: &str) -> UserIdAndName {
    UserIdAndName { user_id: user_id.to_owned(), name: name.to_owned() }
}

fn reached(delivered: usize) -> Report {
    Report { delivered, ..Report::default() }
}

/// Keys and fields, in the order of the keys.
async fn table(world: &World, connection: &str) -> Vec<(Key, Value)> {
    let mut items = world.store.all(&format!("connection#{connection}")).await;
    items.extend(world.store.all("path#mySubscription").await);
    items.iter().map(|item| (item.key.clone(), fields(item))).collect()
}

#[tokio::test]
async fn we_write_what_the_typescript_library_writes() {
    let world = world();
    world.watch("c1", "user1", "name1").await;
    let mut expected: Vec<_> = theirs("c1", "1", "user1", "name1")
        .iter()
        .map(|item| (item.key.clone(), fields(item)))
        .collect();
    expected.sort_by(|one, other| one.0.cmp(&other.0));
    assert_eq!(table(&world, "c1").await, expected);

    world.say("c1", "user1", r#"{"id":1,"method":"subscription.stop"}"#).await;
    assert_eq!(table(&world, "c1").await.len(), 1, "the connection's own");
    world.disconnect("c1").await;
    assert_eq!(table(&world, "c1").await, []);
}

#[tokio::test]
async fn we_publish_to_those_whom_the_typescript_library_has_written() {
    let world = world();
    for (connection, user, name) in [
        ("c1", "user1", "name1"),
        ("c2", "user1", "name10"),
        ("c3", "user1", "name1#connection#c9"),
        ("c4", "user10", "name1"),
    ] {
        world.store.put(theirs(connection, "1", user, name)).await.unwrap();
    }
    let (publisher, hi) = (world.publisher(), "hi".to_owned());
    assert_eq!(publisher.publish_to(&named("user1", "name1"), &hi).await.unwrap(), reached(1));
    let data = r#"{"id":"1","jsonrpc":"2.0","result":{"type":"data","data":"hi"}}"#;
    assert_eq!(world.gateway.take("c1"), [data], "as that library sends it");
    let user1 = UserIdAndName::leading(("user1".to_owned(),));
    assert_eq!(publisher.publish_to(&user1, &hi).await.unwrap(), reached(3));
    assert_eq!(publisher.publish(MySubscription, &hi).await.unwrap(), reached(4), "once each");
}

#[tokio::test]
async fn we_forget_those_whom_the_typescript_library_has_written() {
    let world = world();
    world.store.put(theirs("c1", "1", "user1", "name1")).await.unwrap();
    world.store.put(theirs("c2", "2", "user1", "name1")).await.unwrap();
    world.disconnect("c1").await;
    assert_eq!(table(&world, "c1").await.len(), 2, "those of c2");
    world.gateway.end("c2");
    let report = world.publisher().publish(MySubscription, &"hi".to_owned()).await.unwrap();
    assert_eq!(report, Report { gone: 1, ..Report::default() });
    assert_eq!(table(&world, "c2").await, []);
}

#[tokio::test]
async fn a_nested_procedure_has_its_whole_path() {
    let world = world();
    world.connect("c1", "ann").await;
    let text = r#"{"id":"a","method":"subscription","params":{"path":"nested.ticks"}}"#;
    world.say("c1", "ann", text).await;
    let records = world.store.all("path#nested.ticks").await;
    let sort = "name#user#ctx#userId#ann#connection#c1#subscription#a";
    assert_eq!(records.iter().map(|it| it.key.sort.as_str()).collect::<Vec<_>>(), [sort]);
    assert_eq!(fields(&records[0])["input"], Value::Null, "undefined is left out");
    let report = world.publisher().publish(Ticks, &tracked("1", 1)).await.unwrap();
    assert_eq!(report, reached(1));
}

#[tokio::test]
async fn connection_params_are_kept_in_that_layout_too() {
    let world = world();
    world.connect_with("c1", &[("connectionParams", "1")]).await;
    world.say("c1", "", r#"{"method":"connectionParams","data":{"token":"T"}}"#).await;
    world.say("c1", "", &subscribe(1, "a")).await;
    let records = world.store.all("path#mySubscription").await;
    assert_eq!(fields(&records[0])["ctx"], json!({ "userId": "T" }));
}
