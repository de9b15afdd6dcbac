use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::json;

use super::*;
use crate::Error;
use crate::store::{Item, Memory, Store as _};

/// The items of the API's connections.
async fn items(table: &Memory) -> Vec<Item> {
    table.query("connections#api#dev", "", None).await.unwrap().items
}

fn of(connection: &str, mut event: Event) -> Event {
    Arc::make_mut(&mut event.connection).id = connection.to_owned();
    event
}

fn synced(table: &Memory) -> ConnectionSync {
    ConnectionSync::new(table.clone())
}

#[tokio::test]
async fn a_connection_has_an_item_while_it_lives() {
    let (table, gateway) = (Memory::new(), Arc::new(Recording::default()));
    let app = || {
        WebSocket::new().message(async || {}).plugin(
            synced(&table)
                .field("channel", "#general")
                .field("stage", "mine")
                .computed("browser", |event| event.connection.user_agent.clone())
                .computed("nothing", |_| None::<String>),
        )
    };
    reply(app(), event(EventKind::Connect, &gateway)).await.unwrap();
    let item = items(&table).await.remove(0);
    assert_eq!((item.key.partition.as_str(), item.key.sort.as_str()), ("connections#api#dev", "a"));
    let expected = json!({
        "channel": "#general", "browser": "test",
        "connectionId": "a", "domainName": "example.com", "stage": "dev",
    });
    assert_eq!(serde_json::Value::Object(item.fields), expected);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs_f64();
    assert!((item.expires_at.unwrap() - now - 14_400.0).abs() < 60.0);
    reply(app(), event(EventKind::Disconnect, &gateway)).await.unwrap();
    assert!(items(&table).await.is_empty());
}

#[tokio::test]
async fn a_client_that_is_refused_leaves_nothing() {
    let (table, gateway) = (Memory::new(), Arc::new(Recording::default()));
    let app = WebSocket::new()
        .connect(async || -> Result { Err(Error::new(401, "no")) })
        .plugin(synced(&table));
    reply(app, event(EventKind::Connect, &gateway)).await.unwrap_err();
    assert!(items(&table).await.is_empty());
}

#[tokio::test]
async fn a_message_refreshes_an_old_item_and_makes_no_new_one() {
    let (table, gateway) = (Memory::new(), Arc::new(Recording::default()));
    let app = || {
        let sync = synced(&table).field("channel", "x").expires_after(Duration::from_secs(60));
        WebSocket::new().message(async || {}).plugin(sync)
    };
    reply(app(), message("", &gateway)).await.unwrap();
    assert!(items(&table).await.is_empty(), "a connection that has ended stays forgotten");
    reply(app(), event(EventKind::Connect, &gateway)).await.unwrap();
    let age = async |seconds: f64| {
        let mut item = items(&table).await.remove(0);
        item.expires_at = item.expires_at.map(|time| time - seconds);
        table.put(vec![item.clone()]).await.unwrap();
        item.expires_at.unwrap()
    };
    let old = age(40.0).await;
    reply(app(), message("", &gateway)).await.unwrap();
    let refreshed = items(&table).await.remove(0);
    assert!(refreshed.expires_at.unwrap() >= old + 39.0);
    assert_eq!(refreshed.fields["channel"], "x");
    // A young connection costs no write.
    let old = age(1.0).await;
    let mut young = message("", &gateway);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as u64;
    Arc::make_mut(&mut young.connection).connected_at = now;
    reply(app(), young).await.unwrap();
    assert_eq!(items(&table).await[0].expires_at, Some(old));
}

#[tokio::test]
async fn a_broadcast_without_groups_goes_to_the_stored_and_forgets_the_gone() {
    let table = Memory::new().pages_of(2);
    let gateway = Arc::new(Recording { gone: vec!["b", "e"], ..Recording::default() });
    let app = || {
        WebSocket::new()
            .message(async |connection: Connection| -> Result<String> {
                let sent = connection.broadcast("hi").await?;
                Ok(format!("{} {:?}", sent.delivered, sent.gone))
            })
            .plugin(synced(&table))
    };
    for id in ["a", "b", "c", "d", "e"] {
        reply(app(), of(id, event(EventKind::Connect, &gateway))).await.unwrap();
    }
    assert_eq!(said(app(), message("", &gateway)).await, r#"3 ["b", "e"]"#);
    assert_eq!(gateway.calls(), ["a: hi", "c: hi", "d: hi"]);
    assert_eq!(items(&table.clone().pages_of(9)).await.len(), 3);
    let other = || {
        let mut other = message("", &gateway);
        Arc::make_mut(&mut other.connection).stage = "prod".to_owned();
        other
    };
    assert_eq!(said(app(), other()).await, "0 []", "another stage has connections of its own");
}

#[tokio::test]
async fn a_gateway_that_can_broadcast_does() {
    let table = Memory::new();
    let gateway = Arc::new(Recording { groups: true, ..Recording::default() });
    let app = WebSocket::new()
        .message(async |connection: Connection| connection.broadcast("hi").await.map(drop))
        .plugin(synced(&table));
    reply(app, message("", &gateway)).await.unwrap();
    assert_eq!(gateway.calls(), ["All: hi"]);
}

#[tokio::test]
async fn tags_work_without_groups() {
    let (table, gateway) = (Memory::new(), Arc::new(Recording::default()));
    let app = || {
        WebSocket::new()
            .route("join", async |connection: Connection| connection.tag("room").await)
            .route("leave", async |connection: Connection| connection.untag("room").await)
            .message(async |connection: Connection| {
                connection.to_tag("room").send("hi").await.map(drop)
            })
            .plugin(synced(&table))
    };
    let join = message(r#"{"action":"join"}"#, &gateway);
    for id in ["a", "b"] {
        reply(app(), of(id, join.clone())).await.unwrap();
    }
    reply(app(), message("", &gateway)).await.unwrap();
    assert_eq!(gateway.calls(), ["a: hi", "b: hi"]);
    reply(app(), message(r#"{"action":"leave"}"#, &gateway)).await.unwrap();
    reply(app(), message("", &gateway)).await.unwrap();
    assert_eq!(gateway.calls(), ["b: hi"]);
    let topic = WebSocket::new()
        .message(async |connection: Connection| connection.subscribe("a").await)
        .plugin(synced(&table));
    let error = reply(topic, message("", &gateway)).await.unwrap_err();
    assert!(matches!(error.downcast_ref(), Some(SendError::Unsupported(_))));
}
