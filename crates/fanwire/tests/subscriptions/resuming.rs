//! Clients that come back.

use fanwire::subscriptions::{Filter, tracked};
use serde_json::json;

use crate::world::{Ticks, User, World};

fn resubscribe(last: Option<&str>) -> String {
    let mut params = json!({ "path": "nested.ticks" });
    if let Some(last) = last {
        params["lastEventId"] = last.into();
    }
    json!({ "id": 7, "method": "subscription", "params": params }).to_string()
}

fn event(id: &str, n: u32) -> String {
    format!(
        r#"{{"id":7,"result":{{"type":"data","data":{{"id":"{id}","data":{n}}},"id":"{id}"}}}}"#
    )
}

const STARTED: &str = r#"{"id":7,"result":{"type":"started"}}"#;

#[tokio::test]
async fn who_comes_back_gets_what_it_has_missed_in_order() {
    let world = World::new();
    world.connect("c1", "ann").await;
    assert_eq!(world.say("c1", "ann", &resubscribe(None)).await, [STARTED]);
    let publisher = world.publisher();
    publisher.publish(Ticks, &tracked("1", 1)).await.unwrap();
    assert_eq!(world.gateway.take("c1"), [STARTED, &event("1", 1)]);
    world.disconnect("c1").await;

    let user = |name: &str| User { user_id: name.to_owned() };
    for n in 2..10 {
        publisher.publish(Ticks, &tracked(n.to_string(), n)).await.unwrap();
        publisher.publish_to(&user("ann"), &tracked(format!("ann{n}"), n)).await.unwrap();
        publisher.publish_to(&user("bob"), &tracked(format!("bob{n}"), n)).await.unwrap();
    }
    world.connect("c2", "ann").await;
    let mut expected = vec![STARTED.to_owned()];
    expected.extend((2..10).flat_map(|n| [event(&n.to_string(), n), event(&format!("ann{n}"), n)]));
    assert_eq!(world.say("c2", "ann", &resubscribe(Some("1"))).await, expected);

    world.connect("c3", "ann").await;
    let up_to_date = world.say("c3", "ann", &resubscribe(Some("ann9"))).await;
    assert_eq!(up_to_date, [STARTED]);
}

#[tokio::test]
async fn who_cannot_be_given_what_it_has_missed_is_told() {
    let world = World::new();
    world.connect("c1", "ann").await;
    let answers = world.say("c1", "ann", &resubscribe(Some("long ago"))).await;
    assert_eq!(answers[0], STARTED);
    assert!(answers[1].contains("PRECONDITION_FAILED"), "{answers:?}");
    assert_eq!(answers[2], r#"{"id":7,"result":{"type":"stopped"}}"#);
    assert_eq!(world.store.all("path#nested.ticks").await, [], "it is not subscribed");
}

#[tokio::test]
async fn an_event_has_an_id_that_can_be_kept() {
    let world = World::new();
    for id in [String::new(), "x".repeat(1001)] {
        world.publisher().publish(Ticks, &tracked(id, 1)).await.unwrap_err();
    }
    let leading = User::INFO;
    assert_eq!((leading.name, User::INDEX), ("user", 0));
}

/// The ids of the events among what a connection was sent.
fn ids(sent: &[String]) -> Vec<u32> {
    let id = |text: &String| {
        let message: serde_json::Value = serde_json::from_str(text).unwrap();
        message["result"]["id"].as_str().map(|id| id.parse().unwrap())
    };
    sent.iter().filter_map(id).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn who_comes_back_while_something_is_published_gets_it_once() {
    const EVENTS: u32 = 2000;
    let world = std::sync::Arc::new(World::new());
    world.connect("c0", "ann").await;
    world.say("c0", "ann", &resubscribe(None)).await;
    let publisher = world.publisher();
    publisher.publish(Ticks, &tracked("0", 0)).await.unwrap();
    let publishing = tokio::spawn(async move {
        for n in 1..EVENTS {
            publisher.publish(Ticks, &tracked(n.to_string(), n)).await.unwrap();
        }
    });
    let (mut seen, mut comebacks) = (std::collections::BTreeSet::new(), 0);
    loop {
        let over = publishing.is_finished();
        let id = format!("c{comebacks}");
        world.gateway.end(&id);
        let got = ids(&world.gateway.take(&id));
        let once: std::collections::BTreeSet<_> = got.iter().copied().collect();
        assert_eq!(once.len(), got.len(), "{id} was sent one twice: {got:?}");
        seen.extend(once);
        world.disconnect(&id).await;
        if over {
            break;
        }
        // All that came before the first one that is missing is there.
        let missing = (0..).find(|n| !seen.contains(n)).unwrap();
        comebacks += 1;
        let id = format!("c{comebacks}");
        world.connect(&id, "ann").await;
        world.say(&id, "ann", &resubscribe(Some(&(missing - 1).to_string()))).await;
    }
    publishing.await.unwrap();
    world.connect("last", "ann").await;
    let missing = (0..).find(|n| !seen.contains(n)).unwrap();
    seen.extend(ids(&world
        .say("last", "ann", &resubscribe(Some(&(missing - 1).to_string())))
        .await));
    assert_eq!(seen.into_iter().collect::<Vec<_>>(), (0..EVENTS).collect::<Vec<_>>());
    assert!(comebacks > 1, "it came back while there was something to be published");
}
