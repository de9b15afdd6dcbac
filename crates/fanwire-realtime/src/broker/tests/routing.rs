//! Where messages go.

use fanwire_wire::mqtt::QoS::{AtLeastOnce, AtMostOnce, ExactlyOnce};
use fanwire_wire::mqtt::{Packet, SubscribeOptions};

use super::*;

#[test]
fn what_is_published_in_a_row_reaches_all_receivers_as_one_shared_piece() {
    let mut net = Net::new(1);
    let publisher = net.connect(0, Connecting::v5("p"));
    let receivers: Vec<Client> =
        (0..3).map(|n| net.connect(0, Connecting::v5(&format!("r{n}")))).collect();
    for receiver in &receivers {
        net.subscribe(*receiver, "t", AtMostOnce);
        net.messages(*receiver);
        net.links.insert(receiver.link, Received::default());
    }
    net.send_many(publisher, |version, bytes| {
        for payload in ["1", "2", "3"] {
            publication("t", payload, AtMostOnce).encode(version, bytes);
        }
    });
    let places: Vec<_> = receivers.iter().map(|r| net.links[&r.link].places.clone()).collect();
    assert!(places.iter().all(|place| place.len() == 1 && *place == places[0]), "{places:?}");
    for receiver in receivers {
        assert_eq!(net.payloads(receiver), ["1", "2", "3"]);
    }
}

#[test]
fn a_subscription_bears_on_what_is_published_after_it_and_its_end_likewise() {
    let mut net = Net::new(1);
    let publisher = net.connect(0, Connecting::v5("p"));
    let early = net.connect(0, Connecting::v5("early"));
    net.subscribe(early, "a/b", AtMostOnce);
    net.publish(publisher, "a/b", "1", AtMostOnce);
    let late = net.connect(0, Connecting::v3("late"));
    net.subscribe(late, "a/+", AtMostOnce);
    net.publish(publisher, "a/b", "2", AtMostOnce);
    net.lose(early);
    net.publish(publisher, "a/b", "3", AtMostOnce);
    assert_eq!(net.payloads(early), ["1", "2"]);
    assert_eq!(net.payloads(late), ["2", "3"]);
}

#[test]
fn overlapping_subscriptions_make_one_delivery_with_the_most_that_was_granted() {
    let mut net = Net::new(1);
    let client = net.connect(0, Connecting::v5("c"));
    net.subscribe_with(client, "a/#", SubscribeOptions::of(AtMostOnce), Some(7));
    net.subscribe_with(client, "a/b", SubscribeOptions::of(ExactlyOnce), Some(9));
    net.packets(client);
    net.publish(client, "a/b", "x", AtLeastOnce);
    let packets = net.packets(client);
    let publish = packets.iter().find(|packet| packet.starts_with("Publish")).unwrap();
    assert!(publish.contains("AtLeastOnce") && publish.contains("[9, 7]"), "{publish}");
    assert_eq!(packets.iter().filter(|packet| packet.starts_with("Publish")).count(), 1);
}

#[test]
fn a_client_that_wants_none_of_its_own_gets_those_of_others() {
    let mut net = Net::new(1);
    let own = net.connect(0, Connecting::v5("own"));
    let other = net.connect(0, Connecting::v5("other"));
    let options = SubscribeOptions { no_local: true, ..SubscribeOptions::of(AtMostOnce) };
    net.subscribe_with(own, "t", options, None);
    net.publish(own, "t", "mine", AtMostOnce);
    net.publish(other, "t", "yours", AtMostOnce);
    assert_eq!(net.payloads(own), ["yours"]);
}

#[test]
fn shards_without_subscribers_hear_nothing_and_those_with_hear_everything_in_order() {
    let mut net = Net::new(3);
    let publisher = net.connect(0, Connecting::v5("p"));
    let far = net.connect(2, Connecting::v5("far"));
    net.subscribe(far, "t/#", AtLeastOnce);
    net.send_many(publisher, |version, bytes| {
        for payload in ["1", "2", "3"] {
            publication("t/x", payload, AtMostOnce).encode(version, bytes);
        }
    });
    assert_eq!(net.payloads(far), ["1", "2", "3"]);
    net.brokers[0].begin(net.now);
    let (_, route) = net.brokers[0].route("t/x");
    assert_eq!(route.elsewhere.shards.iter(3, 0).collect::<Vec<_>>(), [2]);
}

#[test]
fn a_shared_subscription_gives_each_message_to_one_member_wherever_it_lives() {
    let mut net = Net::new(2);
    let publisher = net.connect(0, Connecting::v5("p"));
    let members: Vec<Client> =
        (0..4).map(|n| net.connect(n % 2, Connecting::v5(&format!("m{n}")))).collect();
    for member in &members {
        net.subscribe(*member, "$share/g/t", AtMostOnce);
    }
    let outsider = net.connect(1, Connecting::v5("o"));
    net.subscribe(outsider, "t", AtMostOnce);
    for n in 0..8 {
        net.publish(publisher, "t", &n.to_string(), AtMostOnce);
    }
    let counts: Vec<usize> = members.iter().map(|m| net.payloads(*m).len()).collect();
    assert_eq!(counts, [2; 4]);
    assert_eq!(net.payloads(outsider).len(), 8);
    net.lose(members[0]);
    net.publish(publisher, "t", "x", AtMostOnce);
    let rest: usize = members[1..].iter().map(|m| net.payloads(*m).len()).sum();
    assert_eq!(rest, 1);
}

#[test]
fn a_retained_message_meets_later_subscriptions_until_it_is_cleared() {
    let mut net = Net::new(2);
    let publisher = net.connect(0, Connecting::v5("p"));
    let retained = Publish { retain: true, ..publication("t/a", "kept", AtLeastOnce) };
    net.send(publisher, |version, bytes| retained.encode(version, bytes));
    let first = net.connect(1, Connecting::v5("first"));
    net.subscribe(first, "t/+", AtMostOnce);
    let got = net.messages(first);
    assert_eq!((got.len(), got[0].retain, got[0].qos), (1, true, AtMostOnce));
    let empty = Publish { retain: true, ..publication("t/a", "", AtMostOnce) };
    net.send(publisher, |version, bytes| empty.encode(version, bytes));
    assert_eq!(net.messages(first).len(), 1);
    let second = net.connect(1, Connecting::v5("second"));
    net.subscribe(second, "t/+", AtMostOnce);
    assert_eq!(net.payloads(second), [""; 0]);
}

#[test]
fn a_receiver_that_does_not_read_loses_messages_of_qos_0_and_keeps_the_others() {
    let mut net = Net::new(1);
    let publisher = net.connect(0, Connecting::v5("p"));
    let (slow, other) =
        (net.connect(0, Connecting::v5("slow")), net.connect(0, Connecting::v5("o")));
    net.subscribe(slow, "t", AtLeastOnce);
    net.subscribe(other, "t", AtMostOnce);
    net.brokers[0].congested(slow.key, slow.link);
    net.publish(publisher, "t", "lost", AtMostOnce);
    net.publish(publisher, "t", "waits", AtLeastOnce);
    assert_eq!(net.payloads(slow), [""; 0]);
    assert_eq!(net.payloads(other), ["lost", "waits"]);
    net.brokers[0].drained(slow.key, slow.link);
    net.settle();
    assert_eq!(net.payloads(slow), ["waits"]);
}

/// Clients that subscribe to `t`, with a subscription identifier or without one.
fn crowd(net: &mut Net, count: usize, topic_alias_maximum: u16, id: Option<u32>) -> Vec<Client> {
    let mut clients = Vec::new();
    for number in 0..count {
        let client_id = format!("c{number}");
        let how = Connecting { topic_alias_maximum, ..Connecting::v5(&client_id) };
        let client = net.connect(0, how);
        net.subscribe_with(client, "t", SubscribeOptions::of(AtMostOnce), id);
        net.packets(client);
        net.links.get_mut(&client.link).unwrap().places.clear();
        clients.push(client);
    }
    clients
}

#[test]
fn many_receivers_share_bytes_though_they_take_aliases() {
    let mut net = Net::new(1);
    let publisher = net.connect(0, Connecting::v5("p"));
    let clients = crowd(&mut net, 100, 10, None);
    net.publish(publisher, "t", "x", AtMostOnce);
    let places: Vec<_> = clients.iter().map(|each| net.links[&each.link].places.clone()).collect();
    assert_eq!(places[0].len(), 1);
    assert!(places.iter().all(|each| *each == places[0]));
    assert_eq!(net.payloads(clients[99]), ["x"]);
}

#[test]
fn what_one_turn_writes_for_receivers_with_bytes_of_their_own_is_bounded() {
    let mut net = Net::new(1);
    let publisher = net.connect(0, Connecting::v5("p"));
    let clients = crowd(&mut net, 100, 0, Some(7));
    let payload = "x".repeat(1_000_000);
    net.publish(publisher, "t", &payload, AtMostOnce);
    let got = clients.iter().filter(|each| !net.messages(**each).is_empty()).count();
    assert!((60..80).contains(&got), "{got}");
    let lost: u64 = (0..100)
        .map(|number| net.brokers[0].session_info(&format!("c{number}")).unwrap().dropped)
        .sum();
    assert_eq!(lost, 100 - got as u64);
    // The next turn begins anew.
    net.publish(publisher, "t", "small", AtMostOnce);
    assert!(clients.iter().all(|each| net.payloads(*each) == ["small"]));
}

#[test]
fn what_one_turn_has_no_room_for_at_qos_1_is_sent_in_the_next() {
    let mut net = Net::new(1);
    let publisher = net.connect(0, Connecting::v5("p"));
    let clients = crowd(&mut net, 100, 0, None);
    for client in &clients {
        net.subscribe(*client, "t", AtLeastOnce);
        net.packets(*client);
    }
    let payload = "x".repeat(1_000_000);
    let packet = Packet::Publish(publication("t", &payload, AtLeastOnce));
    let broker = &mut net.brokers[0];
    broker.begin(net.now);
    broker.packet(publisher.key, publisher.link, &packet).unwrap();
    let sent: usize = broker.end().sendings.iter().map(|sending| sending.bytes.len()).sum();
    assert!((60_000_000..80_000_000).contains(&sent), "{sent}");
    broker.output().sendings.clear();
    broker.begin(net.now);
    broker.expired();
    let rest: usize = broker.end().sendings.iter().map(|sending| sending.bytes.len()).sum();
    assert!(sent + rest > 100_000_000, "{sent} and {rest}");
    broker.output().sendings.clear();
    assert_eq!(broker.deadline().filter(|at| *at <= net.now), None, "nothing is left");
}
