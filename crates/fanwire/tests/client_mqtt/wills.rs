//! What is published for clients that vanish.

use std::time::{Duration, Instant};

use fanwire::client::{MessageProperties, Will};

use crate::broker::{Broker, Version, bounded, cut, everywhere, next, url_of};
use crate::line::Line;

everywhere! {
    a_client_that_vanishes_leaves_its_will
}

async fn a_client_that_vanishes_leaves_its_will(broker: Broker) {
    let line = Line::to(broker.tcp()).await;
    let watcher = broker.client();
    let mut wills = watcher.subscribe_exactly_once("status/#").await.unwrap();
    let properties = MessageProperties {
        utf8_payload: true,
        content_type: Some("text/plain".to_owned()),
        response_topic: Some("answers".to_owned()),
        correlation_data: Some("7".into()),
        user_properties: vec![("why".to_owned(), "it vanished".to_owned())],
        ..MessageProperties::default()
    };
    let will = Will::new("status/1", "gone").exactly_once().retain().properties(properties.clone());
    let worker = broker.builder(url_of(&line)).will(will).connect().unwrap();
    worker.connected().await.unwrap();
    cut(&line, &worker).await;
    let will = next(&mut wills).await;
    assert_eq!((&*will.topic, &will.payload[..], will.qos), ("status/1", &b"gone"[..], 2));
    if broker.version == Version::V5 {
        assert_eq!(will.properties, properties);
    }
    assert!(next(&mut watcher.subscribe("status/1").await.unwrap()).await.retained);
    // Who says goodbye leaves none.
    let polite = broker.builder(broker.url()).will(Will::new("status/2", "gone"));
    let polite = polite.connect().unwrap();
    polite.connected().await.unwrap();
    polite.close().await;
    let mut wills = watcher.subscribe("status/+").await.unwrap();
    watcher.publish("status/3", "").await.unwrap();
    let topics = [next(&mut wills).await.topic, next(&mut wills).await.topic];
    assert_eq!(topics, ["status/1", "status/3"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn fanwires_broker_waits_for_those_who_may_come_back() {
    bounded(wills_wait(Broker::fanwire().await)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn mosquitto_waits_for_those_who_may_come_back() {
    bounded(wills_wait(Broker::mosquitto().await)).await;
}

async fn wills_wait(broker: Broker) {
    let (line, other) = (Line::to(broker.tcp()).await, Line::to(broker.tcp()).await);
    let watcher = broker.client();
    let mut wills = watcher.subscribe("status/+").await.unwrap();
    let worker = |line, topic: &str, seconds| {
        let will = Will::new(topic, "gone").delay(Duration::from_secs(seconds));
        broker.builder(url_of(line)).will(will).connect().unwrap()
    };
    let back = worker(&line, "status/back", 2);
    let away = worker(&other, "status/away", 3);
    back.connected().await.unwrap();
    away.connected().await.unwrap();
    // It comes back at once, for it finds the line mended.
    line.cut();
    line.mend();
    let gone = Instant::now();
    cut(&other, &away).await;
    assert_eq!(next(&mut wills).await.topic, "status/away");
    assert!(gone.elapsed() > Duration::from_secs(2));
}
