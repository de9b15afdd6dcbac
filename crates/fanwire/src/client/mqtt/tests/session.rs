//! What a session does.

use proptest::prelude::*;

use super::*;

#[test]
fn what_waits_for_the_connection_is_sent_when_the_broker_accepts() {
    let mut client = Client::new();
    client.subscribe(1, "a/+");
    client.publish(2, 0);
    client.open(1);
    assert_eq!(client.sent(), ["connect clean=true"]);
    client.accept(1, false);
    assert_eq!(client.sent(), ["subscribe 1 a/+ as Some(1)", "publish 0 2"]);
    assert_eq!(client.done(), [2]);
    client.suback(1, 1, ReasonCode::GrantedQoS1);
    assert_eq!(client.done(), [1]);
}

#[test]
fn no_more_publications_are_under_way_than_the_broker_takes() {
    let mut client = Client::connected();
    for token in 1..=4 {
        client.publish(token, 1);
    }
    assert_eq!(client.sent(), ["publish 1 1", "publish 2 2"]);
    assert_eq!(client.session.waiting(), 2);
    client.puback(1, 1);
    assert_eq!(client.sent(), ["publish 3 3"]);
    assert_eq!(client.done(), [1]);
    // Of one that is not under way.
    client.puback(1, 99);
    assert!(client.done().is_empty() && client.sent().is_empty());
}

#[test]
fn a_session_that_is_there_is_gone_on_with() {
    let mut client = Client::connected();
    client.subscribe(1, "a/b");
    client.suback(1, 1, ReasonCode::GrantedQoS1);
    client.publish(2, 1);
    client.publish(3, 1);
    client.publish(4, 1);
    client.lose(1);
    client.session.unsubscribe("never known");
    assert_eq!(client.wait(), Duration::ZERO);
    client.sent.clear();
    client.open(2);
    assert_eq!(client.sent(), ["connect clean=false"]);
    client.accept(2, true);
    assert_eq!(client.sent(), ["publish 2 2 dup", "publish 3 3 dup"]);
    client.puback(2, 2);
    assert_eq!(client.sent(), ["publish 4 4"]);
}

#[test]
fn a_session_that_is_lost_is_made_again() {
    let mut client = Client::connected();
    client.subscribe(1, "a/b");
    client.suback(1, 1, ReasonCode::GrantedQoS1);
    client.publish(2, 1);
    client.reconnect(2, false);
    assert_eq!(client.sent(), ["subscribe 3 a/b as Some(1)", "publish 2 2"]);
    // Given back while there is no connection, it is given back when there is.
    client.lose(2);
    client.session.unsubscribe("a/b");
    client.wait();
    client.open(3);
    client.sent.clear();
    client.accept(3, true);
    assert_eq!(client.sent(), ["unsubscribe a/b", "publish 2 2 dup"]);
}

#[test]
fn a_message_is_acknowledged_when_it_is_read() {
    let mut client = Client::connected();
    let id = client.subscribe(1, "a/b");
    client.sent.clear();
    client.message(1, 7, false, &[id]);
    assert!(client.sent().is_empty());
    client.read();
    assert_eq!(client.sent(), ["puback 7"]);
    // Nobody has subscribed to this: it is nothing, and no reason to send it again.
    client.message(1, 8, false, &[99]);
    assert!(client.messages.is_empty());
    assert_eq!(client.sent(), ["puback 8"]);
}

#[test]
fn a_message_that_comes_again_is_not_told_again() {
    let mut client = Client::connected();
    let id = client.subscribe(1, "a/b");
    client.suback(1, 1, ReasonCode::GrantedQoS1);
    client.message(1, 7, false, &[id]);
    client.message(1, 8, false, &[id]);
    client.lose(1);
    // Read while nobody can be told.
    client.read();
    client.wait();
    client.open(2);
    client.accept(2, true);
    client.sent.clear();
    client.message(2, 7, true, &[id]);
    client.message(2, 8, true, &[id]);
    assert_eq!(client.messages.len(), 1);
    assert_eq!(client.sent(), ["puback 7"]);
    client.read();
    assert_eq!(client.sent(), ["puback 8"]);
    // What was read of a session that is lost is not said to the next.
    client.message(2, 9, false, &[id]);
    client.reconnect(3, false);
    client.sent.clear();
    client.message(3, 9, false, &[id]);
    client.read();
    assert!(client.sent().is_empty());
    client.read();
    assert_eq!(client.sent(), ["puback 9"]);
}

#[test]
fn what_an_earlier_process_was_sent_waits_for_whoever_subscribes_again() {
    let mut client = Client::with(SessionOptions { resume: true, ..options() });
    client.open(1);
    assert_eq!(client.sent(), ["connect clean=false"]);
    client.accept(1, true);
    client.message(1, 1, true, &[1]);
    client.message(1, 2, true, &[1]);
    assert!(client.messages.is_empty() && client.sent().is_empty());
    client.subscribe(1, "c");
    assert!(client.messages.is_empty());
    let id = client.subscribe(2, "a/+");
    assert_eq!(client.messages.len(), 2);
    assert!(client.messages.iter().all(|(_, subscriptions, _)| *subscriptions == [id]));
    client.sent.clear();
    client.read();
    client.read();
    assert_eq!(client.sent(), ["puback 1", "puback 2"]);
    // What was on its way when it was given back is nothing to wait for.
    client.session.unsubscribe("a/+");
    client.settle();
    client.sent.clear();
    client.message(1, 3, false, &[id]);
    assert_eq!(client.sent(), ["puback 3"]);
}

#[test]
fn a_broker_that_sends_much_more_than_it_may_is_left() {
    let mut client = Client::connected();
    let id = client.subscribe(1, "a/b");
    for packet_id in 1..=11 {
        client.message(1, packet_id, false, &[id]);
    }
    assert_eq!(client.messages.len(), 10);
    assert_eq!(client.refused, [ReasonCode::ReceiveMaximumExceeded]);
    assert_eq!(client.sent().last().unwrap(), "disconnect 147");
    assert_eq!(client.closes, [SocketId(1)]);
}

#[test]
fn without_ids_the_topic_says_who_is_meant() {
    let mut client = Client::connected();
    let (one, _, all) =
        (client.subscribe(1, "a/b"), client.subscribe(2, "c"), client.subscribe(3, "$share/g/#"));
    client.message(1, 1, false, &[]);
    let (_, mut subscriptions, _) = client.messages.remove(0);
    subscriptions.sort_unstable();
    assert_eq!(subscriptions, [one, all]);
}

#[test]
fn a_filter_that_is_refused_is_forgotten() {
    let mut client = Client::connected();
    client.subscribe(1, "a/b");
    client.suback(1, 1, ReasonCode::NotAuthorized);
    let (1, Err(MqttError::Refused { topic, reason, .. })) = client.done.remove(0) else {
        panic!("it is refused");
    };
    assert_eq!((&*topic, reason), ("a/b", Some(0x87)));
    client.reconnect(2, false);
    assert!(client.sent().is_empty());
}

#[test]
fn a_silent_broker_is_asked_and_given_up() {
    let mut client = Client::connected();
    client.pass(Duration::from_secs(29));
    assert!(client.sent().is_empty());
    client.pass(Duration::from_secs(1));
    assert_eq!(client.sent(), ["ping"]);
    client.hear(1, &ServerPacket::PingResp);
    client.pass(Duration::from_secs(30));
    assert_eq!(client.sent(), ["ping"]);
    client.pass(Duration::from_secs(10));
    assert_eq!(client.closes, [SocketId(1)]);
    assert!(!client.session.is_connected());
}

#[test]
fn a_broker_that_throws_us_out_again_and_again_is_given_time() {
    let mut client = Client::connected();
    let taken_over = Disconnect { reason: ReasonCode::SessionTakenOver, ..Disconnect::default() };
    let mut waits = Vec::new();
    for socket in 1..=4 {
        client.hear(socket, &ServerPacket::Disconnect(taken_over));
        waits.push(client.wait().as_secs());
        client.open(socket + 1);
        client.accept(socket + 1, true);
    }
    assert_eq!(client.refused, [ReasonCode::SessionTakenOver; 4]);
    assert!(
        waits[0] == 0 && (1..=2).contains(&waits[1]) && (6..=8).contains(&waits[3]),
        "{waits:?}"
    );
    client.pass(super::super::session::PROVEN_AFTER);
    client.lose(5);
    assert_eq!(client.wait(), Duration::ZERO);
}

#[test]
fn who_is_not_let_in_hears_why() {
    let mut client = Client::new();
    client.open(1);
    let connack = ConnAck { reason: ReasonCode::NotAuthorized, ..ConnAck::default() };
    client.hear(1, &ServerPacket::ConnAck(connack));
    assert_eq!(client.refused, [ReasonCode::NotAuthorized]);
    assert_eq!((client.closes.len(), client.session.failures()), (1, 1));
    assert!(client.wait() > Duration::from_secs(1));
}

#[test]
fn shutting_down_says_goodbye_and_ends_what_waits() {
    let mut client = Client::connected();
    client.subscribe(1, "a");
    client.publish(2, 1);
    client.sent.clear();
    client.session.shut_down();
    client.settle();
    assert_eq!(client.sent(), ["disconnect 0"]);
    assert_eq!(client.closes, [SocketId(1)]);
    let closed =
        |(_, result): &(u64, Result<(), MqttError>)| matches!(result, Err(MqttError::Closed));
    assert!(client.done.len() == 2 && client.done.iter().all(closed));
    assert_eq!(client.session.deadline(), None);
}

proptest! {
    #[test]
    fn nothing_that_a_broker_sends_is_a_panic(
        pieces in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..40), 0..8),
        accepted: bool,
    ) {
        let mut client = if accepted { Client::connected() } else { Client::new() };
        if !accepted {
            client.open(1);
        }
        client.subscribe(1, "#");
        for piece in pieces {
            client.session.received(SocketId(1), &piece, client.now);
            client.settle();
        }
    }
}
