//! What clients say and are answered.

use std::time::Duration;

use fanwire::store::Memory;
use fanwire::subscriptions::{Layout, Transformer, tracked};
use fanwire::websocket::{Body, EventKind};
use serde_json::{Value, json};

use crate::world::{Ticks, World, data, subscribe};

#[tokio::test]
async fn queries_and_mutations_are_answered_over_the_socket() {
    let world = World::new();
    world.connect("c1", "ann").await;
    let text = r#"{"id":1,"method":"query","params":{"path":"greeting","input":"Bob"}}"#;
    assert_eq!(world.say("c1", "ann", text).await, [data(1, r#""hello Bob from ann""#)]);
}

#[tokio::test]
async fn a_batch_is_answered_one_by_one_with_ids_as_they_were() {
    let world = World::new();
    world.connect("c1", "ann").await;
    let query = |id: Value| json!({ "id": id, "method": "query", "params": { "path": "greeting", "input": "B" } });
    let batch = json!([query(7.into()), query("seven".into())]).to_string();
    let mut answers = world.say("c1", "ann", &batch).await;
    answers.sort();
    let result = r#""result":{"type":"data","data":"hello B from ann"}}"#;
    assert_eq!(answers, [format!(r#"{{"id":"seven",{result}"#), format!(r#"{{"id":7,{result}"#)]);
    assert!(world.say("c1", "ann", "[]").await.is_empty(), "v10 clients say this when they open");
}

#[tokio::test]
async fn a_ping_is_answered() {
    let world = World::new();
    world.connect("c1", "ann").await;
    assert_eq!(world.say("c1", "ann", "PING").await, ["PONG"]);
    assert!(world.say("c1", "ann", "PONG").await.is_empty());
}

#[tokio::test]
async fn what_goes_wrong_is_a_trpc_error() {
    let world = World::new();
    world.connect("c1", "ann").await;
    let fail = |code| json!({ "id": 1, "method": "mutation", "params": { "path": "fail", "input": code } });
    let call = |path: &str, input: Value| json!({ "id": 1, "method": "query", "params": { "path": path, "input": input } });
    for (said, code, message) in [
        (fail(0), "FORBIDDEN", "not you"),
        (fail(1), "INTERNAL_SERVER_ERROR", "Internal server error"),
        (call("nope", json!(1)), "NOT_FOUND", "No \"query\"-procedure on path \"nope\""),
        (
            call("mySubscription", json!(1)),
            "NOT_FOUND",
            "No \"query\"-procedure on path \"mySubscription\"",
        ),
        (
            call("greeting", json!(1)),
            "BAD_REQUEST",
            "invalid type: integer `1`, expected a string at line 1 column 1",
        ),
    ] {
        let answer = world.say("c1", "ann", &said.to_string()).await;
        let answer: Value = serde_json::from_str(&answer[0]).unwrap();
        assert_eq!(answer["id"], 1);
        assert_eq!(
            (&answer["error"]["data"]["code"], &answer["error"]["message"]),
            (&json!(code), &json!(message))
        );
        assert!(answer["error"]["code"].is_i64());
    }
}

#[tokio::test]
async fn a_subscription_that_is_refused_leaves_nothing_behind() {
    let world = World::new();
    world.connect("c1", "ann").await;
    let answers = world.say("c1", "ann", &subscribe(1, "")).await;
    assert!(answers[0].contains("UNPROCESSABLE_CONTENT"), "{answers:?}");
    let long = world.say("c1", "ann", &subscribe(2, &"x".repeat(2000))).await;
    assert!(long[0].contains("PAYLOAD_TOO_LARGE"), "{long:?}");
    assert_eq!(world.store.all("path#mySubscription").await, []);
    assert_eq!(world.store.all("connection#c1").await.len(), 1, "only the connection's own");
}

#[tokio::test]
async fn what_is_no_message_is_a_parse_error_without_an_id() {
    let world = World::new();
    world.connect("c1", "ann").await;
    for text in ["{", "7", r#"{"id":1,"method":"nope"}"#] {
        let answer = world.say("c1", "ann", text).await;
        let answer: Value = serde_json::from_str(&answer[0]).unwrap();
        assert_eq!((&answer["id"], &answer["error"]["code"]), (&Value::Null, &json!(-32700)));
    }
    let mut event = world.make(EventKind::Message, "c1", "ann", "");
    event.body = Body::Binary(vec![0xff].into());
    world.app.handle(&event).await.unwrap();
    assert!(world.gateway.sent("c1").last().unwrap().contains("PARSE_ERROR"));
}

#[tokio::test]
async fn an_endless_stream_is_refused_with_its_reason() {
    let world = World::new();
    world.connect("c1", "ann").await;
    let text = r#"{"id":1,"method":"subscription","params":{"path":"endless"}}"#;
    let answer = world.say("c1", "ann", text).await;
    assert!(answer[0].contains("NOT_IMPLEMENTED"), "{answer:?}");
    assert!(answer[0].contains("streams need a server that lives on"), "{answer:?}");
}

#[tokio::test]
async fn a_client_stops_once_and_may_say_so_again() {
    let world = World::new();
    world.watch("c1", "ann", "a").await;
    let stop = r#"{"id":1,"method":"subscription.stop"}"#;
    let stopped = r#"{"id":1,"result":{"type":"stopped"}}"#;
    assert_eq!(world.say("c1", "ann", stop).await, [stopped]);
    assert!(world.say("c1", "ann", stop).await.is_empty());
    assert_eq!(world.store.all("connection#c1").await.len(), 1);
    assert_eq!(world.store.all("path#mySubscription").await, []);
    assert_eq!(world.store.all("filter#mySubscription#userIdAndName").await, []);
}

#[tokio::test]
async fn an_id_that_is_in_use_is_refused() {
    let world = World::new();
    world.watch("c1", "ann", "a").await;
    let again = world.say("c1", "ann", &subscribe(1, "b")).await;
    assert!(again[0].contains("Duplicate id 1") && again[0].contains("BAD_REQUEST"), "{again:?}");
}

#[tokio::test]
async fn the_context_is_made_of_connection_params() {
    let world = World::new();
    world.connect_with("c1", &[("connectionParams", "1")]).await;
    let params = r#"{"method":"connectionParams","data":{"token":"T"}}"#;
    assert!(world.say("c1", "", params).await.is_empty());
    let text = r#"{"id":1,"method":"query","params":{"path":"greeting","input":"B"}}"#;
    assert_eq!(world.say("c1", "", text).await, [data(1, r#""hello B from T""#)]);
    let malformed = world.say("c1", "", r#"{"method":"connectionParams","data":{"a":1}}"#).await;
    assert!(malformed[0].contains("Invalid connection params shape"), "{malformed:?}");
}

#[tokio::test(start_paused = true)]
async fn a_call_waits_for_the_connection_params_that_it_has_overtaken() {
    let world = World::new();
    world.connect_with("c1", &[("connectionParams", "1")]).await;
    let text = r#"{"id":1,"method":"query","params":{"path":"greeting","input":"B"}}"#;
    let params = async {
        tokio::time::advance(Duration::from_millis(300)).await;
        world.say("c1", "", r#"{"method":"connectionParams","data":{"token":"T"}}"#).await
    };
    let (_, _) = tokio::join!(world.say("c1", "", text), params);
    assert_eq!(world.gateway.sent("c1"), [data(1, r#""hello B from T""#)]);

    world.connect_with("c2", &[("connectionParams", "1")]).await;
    let answer = world.say("c2", "", text).await;
    assert!(answer[0].contains("UNAUTHORIZED"), "params that never come: {answer:?}");
}

#[tokio::test]
async fn the_context_is_made_of_the_handshake_long_after_it() {
    let world = World::new();
    world.connect_with("c1", &[("token", "Q")]).await;
    let text = r#"{"id":1,"method":"query","params":{"path":"greeting","input":"B"}}"#;
    assert_eq!(world.say("c1", "", text).await, [data(1, r#""hello B from Q""#)]);
}

#[tokio::test]
async fn activity_has_records_last_on() {
    let lifetime = Duration::from_secs(100);
    let world = World::with(Memory::new(), |app| app.with_lifetime(lifetime));
    world.watch("c1", "ann", "a").await;
    let partitions = ["connection#c1", "path#mySubscription", "filter#mySubscription#name"];
    // As if half of their time had passed.
    for partition in partitions {
        let mut items = world.store.all(partition).await;
        items.iter_mut().for_each(|item| item.expires_at = item.expires_at.map(|at| at - 50.0));
        fanwire::store::Store::put(&world.store, items).await.unwrap();
    }
    let left = async |partition| {
        let items = world.store.all(partition).await;
        let now = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap().as_secs_f64();
        items.iter().map(|item| item.expires_at.unwrap() - now).fold(f64::INFINITY, f64::min)
    };
    assert!(left(partitions[0]).await < 51.0);
    world.say("c1", "ann", "PING").await;
    for partition in partitions {
        assert!(left(partition).await > 90.0, "{partition}");
    }
    world.store.calls();
    world.say("c1", "ann", "PING").await;
    assert_eq!(world.store.calls(), 1, "and is not written again at once");
}

#[tokio::test]
async fn a_mutation_publishes_with_what_its_context_has() {
    let world = World::new();
    world.watch("c1", "ann", "a").await;
    let tell = json!({ "id": 2, "method": "mutation", "params": { "path": "tell", "input": { "name": "a" } } });
    let answers = world.say("c1", "ann", &tell.to_string()).await;
    assert_eq!(answers, [data(1, r#""told""#), data(2, "1")]);
}

#[tokio::test]
async fn middlewares_refuse_calls_and_make_contexts() {
    let world = World::new();
    for id in ["c1", "c2"] {
        world.connect(id, "").await;
    }
    let query =
        |path: &str| json!({ "id": 1, "method": "query", "params": { "path": path } }).to_string();
    assert_eq!(world.say("c1", "root", &query("admin.who")).await, [data(1, r#""admin root""#)]);
    let nobody = world.say("c1", "root", &query("admin.nobody")).await;
    assert!(nobody[0].contains("FORBIDDEN"), "{nobody:?}");
    let ann = world.say("c2", "ann", &query("admin.who")).await;
    assert!(ann[0].contains("UNAUTHORIZED"), "{ann:?}");
}

#[tokio::test]
async fn superjson_is_undone_and_done() {
    let world = World::with_transformer(Memory::new(), Transformer::SuperJson, |app| app);
    world.connect("c1", "ann").await;
    let call = |kind: &str, path: &str, input: Value| {
        json!({ "id": 1, "method": kind, "params": { "path": path, "input": input } }).to_string()
    };
    let greeting = call("query", "greeting", json!({ "json": "Bob" }));
    let answer = data(1, r#"{"json":"hello Bob from ann"}"#);
    assert_eq!(world.say("c1", "ann", &greeting).await, [answer]);
    let undefined = json!({ "json": null, "meta": { "values": ["undefined"] } });
    let ticks = call("subscription", "nested.ticks", undefined);
    let started = r#"{"id":1,"result":{"type":"started"}}"#;
    assert_eq!(world.say("c1", "ann", &ticks).await, [started]);
    world.publisher().publish(Ticks, &tracked("1", 7)).await.unwrap();
    let event = r#"{"id":1,"result":{"type":"data","data":{"json":{"id":"1","data":7}},"id":"1"}}"#;
    assert_eq!(world.gateway.sent("c1").last().unwrap(), event);
    let failed = world.say("c1", "ann", &call("mutation", "fail", json!({ "json": 0 }))).await;
    assert!(failed[0].starts_with(r#"{"id":1,"error":{"json":{"message":"not you""#), "{failed:?}");
}

/// The ids of those that began, and the code and message of those that did not.
fn begun_and_refused(answers: &[String]) -> (Vec<u64>, Vec<(u64, String, String)>) {
    let answers = answers.iter().map(|it| serde_json::from_str::<Value>(it).unwrap());
    let (refused, begun): (Vec<_>, Vec<_>) = answers.partition(|it| it["error"].is_object());
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let refused = refused.iter().map(|it| {
        let error = &it["error"];
        (it["id"].as_u64().unwrap(), text(&error["data"]["code"]), text(&error["message"]))
    });
    (begun.iter().map(|it| it["id"].as_u64().unwrap()).collect(), refused.collect())
}

#[tokio::test]
async fn a_connection_has_so_many_subscriptions_and_no_more() {
    for layout in [Layout::Fanwire, Layout::AwsTrpcSubscriptions] {
        // Pages of the store are shorter than what is counted.
        let world = World::with(Memory::new().pages_of(2), |app| {
            app.with_layout(layout).with_max_subscriptions(5)
        });
        world.watch("c1", "ann", "a").await;
        world.watch("c2", "ann", "a").await;
        let batch = |ids: std::ops::RangeInclusive<u32>| {
            format!("[{}]", ids.map(|id| subscribe(id, "a")).collect::<Vec<_>>().join(","))
        };
        let (begun, refused) = begun_and_refused(&world.say("c1", "ann", &batch(2..=7)).await);
        assert_eq!((begun.len(), refused.len()), (4, 2), "{begun:?} {refused:?}");
        let (_, code, message) = &refused[0];
        assert_eq!(code, "TOO_MANY_REQUESTS");
        assert_eq!(message, "a connection has too many subscriptions; stop some");
        let (begun, _) = begun_and_refused(&world.say("c1", "ann", &subscribe(8, "a")).await);
        assert!(begun.is_empty());
        assert!(begun_and_refused(&world.say("c2", "ann", &batch(2..=5)).await).1.is_empty());

        world.say("c1", "ann", r#"{"id":1,"method":"subscription.stop"}"#).await;
        let (begun, _) = begun_and_refused(&world.say("c1", "ann", &subscribe(1, "a")).await);
        assert_eq!(begun, [1], "there is room again");
    }
}
