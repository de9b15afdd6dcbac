//! QoS 1 and 2, flow control, aliases, expiry.

use fanwire_wire::mqtt::MessageProperties;
use fanwire_wire::mqtt::QoS::{AtLeastOnce, AtMostOnce, ExactlyOnce};
use proptest::prelude::*;
use tokio::sync::oneshot;

use super::*;
use crate::DirectError;
use crate::notice::Notice;

#[test]
fn no_more_are_in_flight_than_the_client_takes_and_each_acknowledgement_makes_room() {
    let mut net = Net::new(1);
    let publisher = net.connect(0, Connecting::v5("p"));
    let client = net.connect(0, Connecting { receive_maximum: 2, ..Connecting::v5("c") });
    net.subscribe(client, "t", AtLeastOnce);
    for n in 1..=4 {
        net.publish(publisher, "t", &n.to_string(), AtLeastOnce);
    }
    let got = net.messages(client);
    assert_eq!(got.iter().map(|got| got.id).collect::<Vec<_>>(), [Some(1), Some(2)]);
    net.acknowledge(client, AckKind::PubAck, 2);
    assert_eq!(net.payloads(client), ["3"]);
    net.acknowledge(client, AckKind::PubAck, 1);
    assert_eq!(net.payloads(client), ["4"]);
}

#[test]
fn a_message_of_qos_2_that_comes_again_is_published_once() {
    let mut net = Net::new(1);
    let client = net.connect(0, Connecting::v3("c"));
    net.subscribe(client, "t", AtMostOnce);
    net.publish(client, "t", "x", ExactlyOnce);
    let again = Publish { dup: true, ..publication("t", "x", ExactlyOnce) };
    net.send(client, |version, bytes| again.encode(version, bytes));
    assert_eq!(net.payloads(client), ["x"]);
    net.acknowledge(client, AckKind::PubRel, 1);
    net.publish(client, "t", "y", ExactlyOnce);
    assert_eq!(net.payloads(client), ["y"]);
}

#[test]
fn a_resumed_session_gets_again_what_it_has_not_acknowledged_and_then_what_waits() {
    let mut net = Net::new(1);
    let publisher = net.connect(0, Connecting::v5("p"));
    let how = Connecting { receive_maximum: 2, ..Connecting::v5("c").persistent() };
    let client = net.connect(0, how.clone());
    net.subscribe(client, "t", ExactlyOnce);
    net.publish(publisher, "t", "1", ExactlyOnce);
    net.acknowledge(publisher, AckKind::PubRel, 1);
    net.publish(publisher, "t", "2", AtLeastOnce);
    net.acknowledge(client, AckKind::PubRec, 1);
    net.lose(client);
    net.publish(publisher, "t", "3", AtLeastOnce);
    let back = net.connect(0, how);
    let packets = net.packets(back);
    assert!(packets[0].starts_with("ConnAck") && packets[0].contains("session_present: true"));
    assert!(packets[1].starts_with("PubRel"), "{packets:?}");
    assert!(packets[2].starts_with("Publish") && packets[2].contains("dup: true"), "{packets:?}");
    assert_eq!(packets.len(), 3);
    net.acknowledge(back, AckKind::PubComp, 1);
    assert_eq!(net.payloads(back), ["3"]);
}

#[test]
fn what_was_in_flight_to_a_client_that_is_away_counts_as_what_waits() {
    let mut net = Net::with(1, |model| model.limits.max_queued_bytes_total = 12_000);
    let publisher = net.connect(0, Connecting::v5("p"));
    let how = Connecting { receive_maximum: 2, ..Connecting::v5("c").persistent() };
    let client = net.connect(0, how.clone());
    net.subscribe(client, "t", AtLeastOnce);
    let payload = "x".repeat(5000);
    for _ in 0..2 {
        net.publish(publisher, "t", &payload, AtLeastOnce);
    }
    assert_eq!(net.brokers[0].queued_bytes, 0);
    net.lose(client);
    assert!((10_000..12_000).contains(&net.brokers[0].queued_bytes));
    // There is no room for this one.
    net.publish(publisher, "t", &payload, AtLeastOnce);
    let back = net.connect(0, how.clone());
    assert_eq!((net.payloads(back).len(), net.brokers[0].queued_bytes), (2, 0));
    // Taken over, and away until it ends.
    let newer = net.connect(0, how);
    assert_eq!((net.payloads(newer).len(), net.brokers[0].queued_bytes), (2, 0));
    net.lose(newer);
    net.pass(3602);
    assert_eq!(net.brokers[0].queued_bytes, 0);
    // One that does not outlive its connection is not counted.
    let brief = net.connect(0, Connecting::v5("b"));
    net.subscribe(brief, "t", AtLeastOnce);
    net.publish(publisher, "t", &payload, AtLeastOnce);
    net.lose(brief);
    assert_eq!(net.brokers[0].queued_bytes, 0);
}

#[test]
fn a_server_uses_the_aliases_that_a_client_takes() {
    let mut net = Net::new(1);
    let client = net.connect(0, Connecting { topic_alias_maximum: 1, ..Connecting::v5("c") });
    net.subscribe(client, "#", AtMostOnce);
    net.messages(client);
    for topic in ["a", "b", "a"] {
        net.publish(client, topic, "", AtMostOnce);
    }
    let packets = net.packets(client);
    assert!(packets[0].contains("topic: \"a\"") && packets[0].contains("topic_alias: Some(1)"));
    assert!(packets[1].contains("topic: \"b\"") && packets[1].contains("topic_alias: None"));
    assert!(packets[2].contains("topic: \"\"") && packets[2].contains("topic_alias: Some(1)"));
}

#[test]
fn a_message_that_has_waited_too_long_is_not_delivered_and_others_say_what_is_left() {
    let mut net = Net::new(1);
    let publisher = net.connect(0, Connecting::v5("p"));
    let how = Connecting::v5("c").persistent();
    let client = net.connect(0, how.clone());
    net.subscribe(client, "t", AtLeastOnce);
    net.lose(client);
    for (payload, expiry) in [("short", 5), ("long", 60)] {
        publish_expiring(&mut net, publisher, payload, expiry);
    }
    net.pass(20);
    let back = net.connect(0, how);
    let packets = net.packets(back);
    assert_eq!(packets.len(), 2, "{packets:?}");
    assert!(packets[1].contains("message_expiry: Some(40)"), "{}", packets[1]);
}

/// Publishes a message of QoS 1 that is of no more use after so many seconds.
fn publish_expiring(net: &mut Net, publisher: Client, payload: &str, expiry: u32) {
    let properties =
        MessageProperties { message_expiry: Some(expiry), ..MessageProperties::default() };
    let publish = Publish { properties, ..publication("t", payload, AtLeastOnce) };
    net.send(publisher, |version, bytes| publish.encode(version, bytes));
}

#[test]
fn the_time_of_day_is_what_the_machine_says_that_it_is_though_it_has_slept() {
    let mut net = Net::new(1);
    let publisher = net.connect(0, Connecting::v5("p"));
    let how = Connecting::v5("c").persistent();
    let client = net.connect(0, how.clone());
    net.subscribe(client, "t", AtLeastOnce);
    net.lose(client);
    publish_expiring(&mut net, publisher, "old", 60);
    assert!(!net.brokers[0].asks_for_time(net.now));
    net.pass(1);
    assert!(net.brokers[0].asks_for_time(net.now));
    let slept_ms = 3_600_000;
    let then = net.brokers[0].now_ms;
    net.brokers[0].tell_time(net.now, then + slept_ms);
    net.pass(1);
    assert_eq!(net.brokers[0].now_ms, then + slept_ms + 1000);
    publish_expiring(&mut net, publisher, "new", 60);
    let back = net.connect(0, how);
    assert_eq!(net.payloads(back), ["new"]);
}

#[test]
fn what_has_expired_takes_no_room_from_what_comes_for_a_client_that_is_away() {
    let mut net = Net::with(1, |model| model.limits.max_queued_messages = 3);
    let publisher = net.connect(0, Connecting::v5("p"));
    let how = Connecting::v5("c").persistent();
    let client = net.connect(0, how.clone());
    net.subscribe(client, "t", AtLeastOnce);
    net.lose(client);
    for payload in ["1", "2"] {
        publish_expiring(&mut net, publisher, payload, 5);
    }
    net.publish(publisher, "t", "3", AtLeastOnce);
    net.publish(publisher, "t", "there is no room for this one", AtLeastOnce);
    net.pass(6);
    for payload in ["4", "5", "nor for this one"] {
        net.publish(publisher, "t", payload, AtLeastOnce);
    }
    let back = net.connect(0, how);
    assert_eq!(net.payloads(back), ["3", "4", "5"]);
    assert_eq!(net.brokers[0].queued_bytes, 0);
}

#[test]
fn what_has_expired_for_one_client_takes_no_room_from_what_comes_for_another() {
    let mut net = Net::with(1, |model| model.limits.max_queued_bytes_total = 12_000);
    let publisher = net.connect(0, Connecting::v5("p"));
    let payload = "x".repeat(5000);
    let how = ["one", "other"].map(|id| Connecting::v5(id).persistent());
    let clients = how.clone().map(|how| net.connect(0, how));
    net.subscribe(clients[0], "t", AtLeastOnce);
    net.lose(clients[0]);
    for _ in 0..2 {
        publish_expiring(&mut net, publisher, &payload, 5);
    }
    net.subscribe(clients[1], "u", AtLeastOnce);
    net.lose(clients[1]);
    net.pass(6);
    for _ in 0..2 {
        net.publish(publisher, "u", &payload, AtLeastOnce);
    }
    let [one, other] = how.map(|how| net.connect(0, how));
    assert_eq!((net.payloads(one).len(), net.payloads(other).len()), (0, 2));
}

/// What may happen to a subscriber and its publisher.
#[derive(Debug, Clone)]
enum Step {
    Publish,
    Acknowledge,
    Leave,
    Return,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => Just(Step::Publish),
        3 => Just(Step::Acknowledge),
        1 => Just(Step::Leave),
        1 => Just(Step::Return),
    ]
}

proptest! {
    #[test]
    fn every_message_of_qos_1_arrives_in_order_whatever_becomes_of_the_connection(
        steps in proptest::collection::vec(step(), 0..60),
        receive_maximum in 1u16..4,
    ) {
        let mut net = Net::new(2);
        let publisher = net.connect(0, Connecting::v5("p"));
        let how = Connecting { receive_maximum, ..Connecting::v5("c").persistent() };
        let mut client = net.connect(1, how.clone());
        net.subscribe(client, "t", AtLeastOnce);
        net.messages(client);
        let (mut connected, mut published) = (true, 0);
        let mut seen: Vec<u64> = Vec::new();
        let mut unacknowledged: Vec<u16> = Vec::new();
        let last = [Step::Return].into_iter().chain((0..200).map(|_| Step::Acknowledge));
        for step in steps.into_iter().chain(last) {
            match step {
                Step::Publish => {
                    published += 1;
                    net.publish(publisher, "t", &published.to_string(), AtLeastOnce);
                }
                Step::Acknowledge if connected && !unacknowledged.is_empty() => {
                    let id = unacknowledged.remove(0);
                    net.acknowledge(client, AckKind::PubAck, id);
                }
                Step::Leave if connected => {
                    net.lose(client);
                    connected = false;
                    unacknowledged.clear();
                }
                Step::Return if !connected => {
                    client = net.connect(1, how.clone());
                    connected = true;
                }
                _ => {}
            }
            if connected {
                for got in net.messages(client) {
                    unacknowledged.push(got.id.unwrap());
                    let number: u64 = got.payload.parse().unwrap();
                    if got.dup {
                        prop_assert!(seen.contains(&number));
                    } else {
                        prop_assert_eq!(number, seen.last().copied().unwrap_or(0) + 1);
                        seen.push(number);
                    }
                }
                prop_assert!(unacknowledged.len() <= usize::from(receive_maximum));
            }
        }
        prop_assert_eq!(seen.len() as u64, published);
    }
}

#[test]
fn what_is_sent_again_keeps_to_the_receive_maximum_of_the_new_connection() {
    let mut net = Net::new(1);
    let how = Connecting::v5("c").persistent();
    let client = net.connect(0, how.clone());
    net.subscribe(client, "t", AtLeastOnce);
    let publisher = net.connect(0, Connecting::v5("p"));
    for payload in ["1", "2", "3", "4"] {
        net.publish(publisher, "t", payload, AtLeastOnce);
    }
    let ids: Vec<_> = net.messages(client).into_iter().map(|got| got.id).collect();
    net.lose(client);
    net.publish(publisher, "t", "5", AtLeastOnce);
    let back = net.connect(0, Connecting { receive_maximum: 2, ..how });
    let mut all = Vec::new();
    for acknowledged in 0..5 {
        let got = net.messages(back);
        assert_eq!(got.len(), if acknowledged == 0 { 2 } else { usize::from(acknowledged < 4) });
        all.extend(got);
        net.acknowledge(back, AckKind::PubAck, all[acknowledged].id.unwrap());
    }
    let payloads: Vec<_> = all.iter().map(|got| (&*got.payload, got.dup)).collect();
    assert_eq!(payloads, [("1", true), ("2", true), ("3", true), ("4", true), ("5", false)]);
    assert_eq!(all.iter().take(4).map(|got| got.id).collect::<Vec<_>>(), ids);
    let flow = net.brokers[0].sessions[back.key as usize].flow.as_ref();
    assert!(flow.is_none_or(|flow| flow.is_empty() && flow.waiting == 0));
}

/// Sends a message to one client; what comes of it is told later.
fn send_direct(net: &mut Net, client_id: &str) -> oneshot::Receiver<Result<(), DirectError>> {
    let (done, outcome) = oneshot::channel();
    let mut message = Message::new("direct", "x");
    message.qos = AtLeastOnce;
    let (client_id, message) = (client_id.into(), Arc::new(message));
    net.brokers[0].noticed(Notice::Direct { client_id, message, done });
    net.settle();
    outcome
}

#[test]
fn a_direct_message_is_confirmed_by_the_client_that_it_is_for() {
    let mut net = Net::new(1);
    let client = net.connect(0, Connecting { receive_maximum: 1, ..Connecting::v5("c") });
    let mut outcome = send_direct(&mut net, "c");
    let got = net.messages(client);
    assert_eq!((&*got[0].topic, got[0].qos), ("direct", AtLeastOnce));
    assert!(outcome.try_recv().is_err(), "it is not acknowledged yet");
    let mut another = send_direct(&mut net, "c");
    assert_eq!(another.try_recv(), Ok(Err(DirectError::Busy)), "one in flight is all it takes");
    net.acknowledge(client, AckKind::PubAck, got[0].id.unwrap());
    assert_eq!(outcome.try_recv(), Ok(Ok(())));
}

#[test]
fn a_direct_message_does_not_wait_for_a_client() {
    let mut net = Net::new(1);
    let client = net.connect(0, Connecting::v5("c").persistent());
    let mut outcome = send_direct(&mut net, "c");
    net.lose(client);
    assert_eq!(outcome.try_recv(), Err(oneshot::error::TryRecvError::Closed));
    assert_eq!(send_direct(&mut net, "c").try_recv(), Ok(Err(DirectError::Away)));
    let again = net.connect(0, Connecting::v5("c").persistent());
    assert_eq!(net.messages(again), []);
}
