//! QoS 2: each message once, however often connections are lost.

use std::collections::HashSet;

use tokio::time::timeout;

use crate::broker::{Broker, PATIENCE, cut, everywhere, texts};
use crate::line::Line;

/// How many writers and readers there are, each with a line that is cut at a time of its own.
const PAIRS: usize = 8;

/// How many messages each writer publishes.
const MESSAGES: usize = 24;

everywhere! {
    messages_of_qos_2_are_read_once_however_often_connections_are_lost
}

async fn messages_of_qos_2_are_read_once_however_often_connections_are_lost(broker: Broker) {
    let pairs = (0..PAIRS).map(|nth| pair(&broker, nth));
    timeout(PATIENCE, futures_util::future::join_all(pairs)).await.unwrap();
}

async fn pair(broker: &Broker, nth: usize) {
    let topic = format!("log/{nth}");
    let line = Line::to(broker.tcp()).await;
    let (reader, writer) = (broker.over(&line), broker.over(&line));
    let mut messages = reader.subscribe_exactly_once(&topic).await.unwrap();
    let numbers: HashSet<String> = (0..MESSAGES).map(|n| n.to_string()).collect();
    let publishing = numbers.iter().map(|number| {
        let (writer, topic) = (&writer, &topic);
        async move { writer.publish_exactly_once(topic, number.clone()).await.unwrap() }
    });
    let reading = async {
        let mut got = Vec::new();
        for part in [nth, MESSAGES / 2] {
            got.extend(texts(&mut messages, part).await);
            cut(&line, &reader).await;
            cut(&line, &writer).await;
            line.mend();
        }
        got.extend(texts(&mut messages, MESSAGES / 2 - nth).await);
        got
    };
    let (got, _) = tokio::join!(reading, futures_util::future::join_all(publishing));
    // What came twice would come before this.
    broker.client().publish_exactly_once(&topic, "end").await.unwrap();
    assert_eq!(texts(&mut messages, 1).await, ["end"]);
    assert_eq!(HashSet::from_iter(got), numbers);
}
