//! What is published comes, over connections and sessions.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use fanwire::client::{Credentials, Mqtt, MqttError, Status};
use fanwire::realtime::Publication;
use serde::{Deserialize, Serialize};
use tokio::time::timeout;

use crate::broker::{Broker, PATIENCE, cut, everywhere, next, texts};
use crate::line::Line;

everywhere! {
    messages_come_as_they_were_published
    over_websockets_it_is_the_same
    each_subscription_has_its_own_messages
    more_than_may_be_unacknowledged_waits_at_the_broker
    nothing_is_lost_while_the_connection_is
    what_is_published_while_there_is_no_connection_comes_in_order
    a_session_can_outlive_its_process
    what_an_earlier_process_has_left_is_dropped_unless_it_is_resumed
    what_cannot_be_sent_is_refused_here
}

async fn messages_come_as_they_were_published(broker: Broker) {
    exchange(&broker.client(), &broker.client()).await;
}

async fn over_websockets_it_is_the_same(broker: Broker) {
    let client = || broker.builder(broker.websocket_url()).connect().unwrap();
    exchange(&client(), &client()).await;
}

async fn exchange(reader: &Mqtt, writer: &Mqtt) {
    #[derive(Serialize, Deserialize, PartialEq, Debug)]
    struct Order {
        item: String,
    }
    let mut orders = reader.subscribe("shop/+/orders").await.unwrap();
    let order = Order { item: "tea".to_owned() };
    writer.publish_json("shop/7/orders", &order).await.unwrap();
    let message = next(&mut orders).await;
    assert_eq!((&*message.topic, message.qos), ("shop/7/orders", 1));
    assert_eq!(message.json::<Order>().unwrap(), order);
    let plain = |topic: &str, retain| Publication {
        topic: topic.to_owned(),
        payload: "plain".into(),
        qos: 0,
        retain,
    };
    writer.send(plain("shop/8/orders", false)).await.unwrap();
    let message = next(&mut orders).await;
    assert_eq!((message.qos, message.retained, &message.payload[..]), (0, false, &b"plain"[..]));
    // As anything that publishes to a broker.
    let broker: &dyn fanwire::realtime::Broker = writer;
    broker.publish(plain("shop/9/kept", true)).await.unwrap();
    // In order after what is retained.
    writer.publish("shop/9/orders", "").await.unwrap();
    next(&mut orders).await;
    let mut kept = reader.subscribe("shop/9/kept").await.unwrap();
    assert!(next(&mut kept).await.retained);
    assert!(reader.status().is_connected());
    reader.clone().close().await;
    assert_eq!(orders.next().await, None);
    let error = reader.publish("a", "").await.unwrap_err();
    assert!(matches!(error, MqttError::Closed), "{error}");
}

async fn each_subscription_has_its_own_messages(broker: Broker) {
    let client = broker.client();
    let mut all = client.subscribe("room/#").await.unwrap();
    let mut one = client.subscribe("room/1").await.unwrap();
    let mut same = client.subscribe("room/1").await.unwrap();
    client.publish("room/1", "a").await.unwrap();
    client.publish("room/2", "b").await.unwrap();
    assert_eq!(texts(&mut one, 1).await, ["a"]);
    assert_eq!(texts(&mut same, 1).await, ["a"]);
    drop(one);
    client.publish("room/1", "c").await.unwrap();
    assert_eq!(texts(&mut same, 1).await, ["c"]);
    assert_eq!(texts(&mut all, 3).await, ["a", "b", "c"]);
}

/// mosquitto 2.0.11 sends more than it may: up to a receive maximum again for each acknowledgement
/// (fixed in 2.0.13, "various fixes around inflight quota management"). The client used to leave
/// it for that, and was sent the same by the next connection.
async fn more_than_may_be_unacknowledged_waits_at_the_broker(broker: Broker) {
    let connections = Arc::new(AtomicU32::new(0));
    let counted = Arc::clone(&connections);
    let anyone = move || {
        counted.fetch_add(1, Ordering::Relaxed);
        std::future::ready(Ok(Credentials::default()))
    };
    let client = broker.builder(broker.url()).credentials_with(anyone).connect().unwrap();
    let mut all = client.subscribe("room/#").await.unwrap();
    let before = connections.load(Ordering::Relaxed);
    let numbers: Vec<String> = (0..600).map(|n| n.to_string()).collect();
    let publishing = async {
        // One after the other, for the order of those that wait together is the runtime's.
        for number in &numbers {
            client.publish("room/2", number.clone()).await.unwrap();
        }
    };
    timeout(PATIENCE, publishing).await.unwrap();
    let mut texts_read = Vec::new();
    for _ in 0..4 {
        texts_read.extend(texts(&mut all, 1).await);
        // Done after the broker has sent what the acknowledgement makes room for.
        client.publish("elsewhere", "").await.unwrap();
        client.publish("elsewhere", "").await.unwrap();
    }
    texts_read.extend(texts(&mut all, 596).await);
    assert_eq!(texts_read, numbers);
    assert_eq!((all.lost(), connections.load(Ordering::Relaxed)), (0, before));
}

async fn nothing_is_lost_while_the_connection_is(broker: Broker) {
    let line = Line::to(broker.tcp()).await;
    let (reader, writer) = (broker.over(&line), broker.client());
    let mut messages = reader.subscribe("log").await.unwrap();
    cut(&line, &reader).await;
    let expected: HashSet<String> = (0..5).map(|n| n.to_string()).collect();
    for text in &expected {
        writer.publish("log", text.clone()).await.unwrap();
    }
    line.mend();
    let mut got = HashSet::new();
    while got.len() < expected.len() {
        got.extend(texts(&mut messages, 1).await);
    }
    assert_eq!(got, expected);
}

async fn what_is_published_while_there_is_no_connection_comes_in_order(broker: Broker) {
    let line = Line::to(broker.tcp()).await;
    let (reader, writer) = (broker.client(), broker.over(&line));
    let mut messages = reader.subscribe("log").await.unwrap();
    writer.connected().await.unwrap();
    cut(&line, &writer).await;
    let published = (0..5).map(|n| {
        let writer = writer.clone();
        async move { writer.publish("log", n.to_string()).await.unwrap() }
    });
    let all = futures_util::future::join_all(published);
    let mended = async {
        let Status::Connecting { .. } = writer.status() else { panic!("it is cut off") };
        line.mend();
    };
    timeout(PATIENCE, async { tokio::join!(all, mended) }).await.unwrap();
    assert_eq!(texts(&mut messages, 5).await, ["0", "1", "2", "3", "4"]);
}

async fn a_session_can_outlive_its_process(broker: Broker) {
    let client = || broker.builder(broker.url()).client_id("worker").resume().connect().unwrap();
    let worker = client();
    let jobs = worker.subscribe("jobs").await.unwrap();
    worker.close().await;
    drop(jobs);
    let writer = broker.client();
    writer.publish("jobs", "while away").await.unwrap();
    let worker = client();
    worker.connected().await.unwrap();
    let mut jobs = worker.subscribe("jobs").await.unwrap();
    assert_eq!(texts(&mut jobs, 1).await, ["while away"]);
}

async fn what_an_earlier_process_has_left_is_dropped_unless_it_is_resumed(broker: Broker) {
    let client = || broker.builder(broker.url()).client_id("worker").connect().unwrap();
    let worker = client();
    let jobs = worker.subscribe("jobs").await.unwrap();
    worker.close().await;
    drop(jobs);
    broker.client().publish("jobs", "while away").await.unwrap();
    let worker = client();
    let mut jobs = worker.subscribe("jobs").await.unwrap();
    worker.publish("jobs", "now").await.unwrap();
    assert_eq!(texts(&mut jobs, 1).await, ["now"]);
}

async fn what_cannot_be_sent_is_refused_here(broker: Broker) {
    let client = broker.client();
    for filter in ["", "a/#/b", "a+"] {
        let error = client.subscribe(filter).await.unwrap_err();
        assert!(matches!(error, MqttError::Invalid { .. }), "{error}");
    }
    let error = client.publish("a/+", "").await.unwrap_err();
    assert!(matches!(error, MqttError::Invalid { .. }), "{error}");
    let thrice = Publication { topic: "a".into(), payload: "".into(), qos: 3, retain: false };
    assert!(matches!(client.send(thrice).await.unwrap_err(), MqttError::Invalid { .. }));
    // And nothing has ended the connection.
    client.publish("a", "").await.unwrap();
}
