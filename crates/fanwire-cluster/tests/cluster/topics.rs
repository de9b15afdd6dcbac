//! Topics and filters as subjects, matched by nats-server itself.

use std::collections::BTreeSet;

use fanwire_cluster::fixture::NatsServer;
use fanwire_cluster::topics::{subject_of, subjects_of};
use futures_util::StreamExt;

use crate::{nodes, soon};

const FILTERS: &[&str] = &[
    "a", "a/#", "a/+", "a/b", "+/b", "+", "#", "+/+", "/", "/+", "+/", "//", "a//b", "a/+/b", "!",
    "a/!", "$SYS/#", "$SYS/+", "$SYS/a", "a.b", "a b/c", "*/>", "a/*", "%/%20", "ü/ö", "a/\u{1}",
];

const TOPICS: &[&str] = &[
    "a", "a/b", "a/b/c", "b", "/", "//", "/b", "a/", "a//b", "a/x/b", "!", "a/!", "$SYS/a", "$SYS",
    "$other", "a.b", "a b/c", "*/>", "a/*", "%/%20", "ü/ö", "a/\u{1}", "a/\t",
];

/// MQTT 3.1.1, 4.7.
fn matches(filter: &str, topic: &str) -> bool {
    if topic.starts_with('$') != filter.starts_with('$') {
        return false;
    }
    let (filter, topic): (Vec<_>, Vec<_>) =
        (filter.split('/').collect(), topic.split('/').collect());
    let levels = filter.iter().take_while(|level| **level != "#").count();
    let same = filter[..levels].iter().zip(&topic).all(|(f, t)| *f == "+" || f == t);
    same && topic.len() >= levels && (levels < filter.len() || topic.len() == levels)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nats_matches_subjects_as_mqtt_matches_topics() {
    let server = NatsServer::start().await;
    let [a, b] = nodes(&server).await;
    let long = format!("a/{}", "b/".repeat(30_000));
    let mut filters: Vec<String> = FILTERS.iter().map(|filter| (*filter).to_owned()).collect();
    filters.push(long.clone());
    let mut topics: Vec<String> = TOPICS.iter().map(|topic| (*topic).to_owned()).collect();
    topics.extend([long.clone(), format!("{long}c")]);
    let mut listening = Vec::new();
    for filter in &filters {
        for subject in subjects_of(filter) {
            listening.push((filter, b.subscribe(&subject).await.unwrap()));
        }
    }
    let mut end = b.subscribe("end").await.unwrap();
    b.flush().await.unwrap();
    for topic in &topics {
        a.publish(&subject_of(topic), topic.as_bytes()).unwrap();
    }
    a.publish("end", b"").unwrap();
    soon("the end", end.next()).await.unwrap();
    b.flush().await.unwrap();
    let mut got = BTreeSet::new();
    for (filter, subscription) in &mut listening {
        while let Some(Some(publication)) =
            futures_util::FutureExt::now_or_never(subscription.next())
        {
            let topic = String::from_utf8(publication.payload.to_vec()).unwrap();
            assert!(got.insert((filter.to_string(), topic)), "each comes once");
        }
    }
    for filter in &filters {
        for topic in &topics {
            let came = got.contains(&(filter.clone(), topic.clone()));
            if matches(filter, topic) {
                assert!(came, "{filter:.40} {topic:.40}");
            } else if topic.len() < 1_000 {
                assert!(!came, "{filter:.40} {topic:.40}");
            }
        }
    }
}
