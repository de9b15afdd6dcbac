//! What clients do wrong, and what is over their limits or ours.

use fanwire_app::model::Denied;
use fanwire_policy::{Place, PolicyLimits, PolicySet, Subject};
use fanwire_wire::mqtt::QoS::{AtMostOnce, ExactlyOnce};
use fanwire_wire::mqtt::{Filters, Unsubscribe};

use super::*;
use crate::broker::Fault;
use crate::notice::Notice;

fn fault() -> Fault {
    Fault::client(ReasonCode::ProtocolError, "something is wrong")
}

/// A client may do everything to one resource, and nothing else.
fn permit(net: &mut Net, client: Client, resource: &str) {
    let place = Place::new("aws", "us-east-1", "000000000000");
    let document = format!(
        r#"{{"Version":"2012-10-17","Statement":[{{"Effect":"Allow","Action":"iot:*",
        "Resource":"arn:aws:iot:us-east-1:000000000000:{resource}"}}]}}"#
    );
    let document = serde_json::from_str(&document).unwrap();
    let policies = PolicySet::parse(&[document], &place, PolicyLimits::LAX).unwrap();
    let access = Some(Arc::new(Arc::new(policies).bind(&Subject::default())));
    net.brokers[0].refreshed(client.key, client.link, access);
}

#[test]
fn a_fault_of_a_connection_does_not_end_the_one_that_took_over() {
    let mut net = Net::new(1);
    let older = net.connect(0, Connecting::v5("c"));
    let newer = net.connect(0, Connecting::v5("c"));
    assert_eq!(older.key, newer.key);
    net.brokers[0].fail(older.key, older.link, &fault());
    net.settle();
    assert!(!net.is_closed(newer));
}

#[test]
fn a_fault_of_a_connection_whose_session_is_gone_or_away_changes_nothing() {
    let mut net = Net::new(1);
    let gone = net.connect(0, Connecting::v5("gone"));
    let away = net.connect(0, Connecting::v5("away").persistent());
    for client_id in ["gone", "away"] {
        let (done, _) = tokio::sync::oneshot::channel();
        let (clean_session, prevent_will) = (false, false);
        let client_id = client_id.into();
        net.brokers[0].noticed(Notice::Disconnect { client_id, clean_session, prevent_will, done });
    }
    for client in [gone, away] {
        net.brokers[0].fail(client.key, client.link, &fault());
    }
    net.pass(3601);
    assert!(net.brokers[0].session_info("away").is_none(), "it has to end in its time");
}

#[test]
fn a_reason_in_words_is_left_out_where_it_does_not_fit_the_client() {
    let mut net = Net::new(1);
    let roomy = net.connect(0, Connecting::v5("roomy"));
    let narrow = net.connect(0, Connecting { max_packet: 20, ..Connecting::v5("narrow") });
    for (client, words) in [(roomy, true), (narrow, false)] {
        net.packets(client);
        net.brokers[0].fail(client.key, client.link, &fault());
        net.settle();
        let packets = net.packets(client);
        assert_eq!(packets[0].contains("something is wrong"), words, "{packets:?}");
        assert!(packets[0].contains("ProtocolError") || packets[0].contains("protocol error"));
    }
}

#[test]
fn a_message_that_is_repeated_is_not_refused_though_the_policy_has_changed() {
    let mut net = Net::new(1);
    let client = net.connect(0, Connecting::v5("c"));
    let watcher = net.connect(0, Connecting::v5("w"));
    net.subscribe(watcher, "#", AtMostOnce);
    net.publish(client, "t", "first", ExactlyOnce);
    permit(&mut net, client, "topicfilter/nothing");
    net.packets(client);
    net.publish(client, "t", "first", ExactlyOnce);
    let packets = net.packets(client);
    assert!(packets[0].starts_with("PubRec") && packets[0].contains("success"), "{packets:?}");
    assert_eq!(net.payloads(watcher), ["first"]);
}

#[test]
fn the_topics_that_aliases_stand_for_are_bounded() {
    let mut net = Net::new(1);
    let client = net.connect(0, Connecting::v5("c"));
    for (alias, closed) in [(1, false), (1, false), (2, true)] {
        let topic = "a".repeat(40_000);
        let mut publish = publication(&topic, "x", AtMostOnce);
        publish.topic_alias = NonZeroU16::new(alias);
        net.send(client, |version, bytes| publish.encode(version, bytes));
        assert_eq!(net.is_closed(client), closed, "{alias}");
    }
}

#[test]
fn more_filters_than_a_session_can_have_are_not_looked_for() {
    let mut net = Net::with(1, |model| model.limits.max_subscriptions = 3);
    let client = net.connect(0, Connecting::v5("c"));
    for (count, closed) in [(3, false), (4, true)] {
        let filters = vec!["a"; count];
        let unsubscribe = Unsubscribe {
            packet_id: PacketId::MIN,
            user_properties: Default::default(),
            filters: Filters::new(&filters),
        };
        net.send(client, |version, bytes| unsubscribe.encode(version, bytes));
        assert_eq!(net.is_closed(client), closed, "{count}");
    }
}

/// A packet that subscribes to filters, each with its QoS.
fn subscribe_to_each(net: &mut Net, client: Client, filters: &[(&str, QoS)]) {
    let filters: Vec<_> =
        filters.iter().map(|(filter, qos)| (*filter, SubscribeOptions::of(*qos))).collect();
    let subscribe = Subscribe {
        packet_id: PacketId::MIN,
        subscription_id: None,
        user_properties: Default::default(),
        filters: Subscriptions::new(&filters),
    };
    net.send(client, |version, bytes| subscribe.encode(version, bytes));
}

#[test]
fn a_subscribe_that_is_not_acknowledged_subscribes_to_nothing() {
    let mut net = Net::with(1, |model| {
        model.limits.max_qos = 1;
        model.limits.qos2_downgrade = false;
    });
    let client = net.connect(0, Connecting::v3("c"));
    net.packets(client);
    subscribe_to_each(&mut net, client, &[("a", AtMostOnce), ("b", ExactlyOnce)]);
    net.publish(client, "a", "x", AtMostOnce);
    assert_eq!(net.packets(client), [""; 0]);
    assert!(!net.is_closed(client));
}

#[test]
fn a_subscribe_that_ends_the_connection_leaves_nothing_in_the_session() {
    let mut net = Net::with(1, |model| model.limits.denied_subscribe = Denied::Close);
    let client = net.connect(0, Connecting::v5("c").persistent());
    permit(&mut net, client, "topicfilter/a");
    subscribe_to_each(&mut net, client, &[("a", AtMostOnce), ("b", AtMostOnce)]);
    assert!(net.is_closed(client));
    assert_eq!(net.brokers[0].session_info("c").unwrap().subscriptions.len(), 0);
}

/// A broker with retained messages of 1 KB, and a client.
fn with_retained(count: usize) -> (Net, Client) {
    let mut net = Net::new(1);
    for at in 0..count {
        let mut message = Message::new(format!("r/{at:05}"), vec![b'x'; 1024]);
        message.retain = true;
        net.brokers[0].publish_own(&Arc::new(message));
    }
    let client = net.connect(0, Connecting::v5("c"));
    net.packets(client);
    (net, client)
}

fn subscribe_to_all(net: &mut Net, client: Client, times: usize) {
    let filters = [("r/#", SubscribeOptions::of(AtMostOnce))];
    let subscribe = Subscribe {
        packet_id: PacketId::MIN,
        subscription_id: None,
        user_properties: Default::default(),
        filters: Subscriptions::new(&filters),
    };
    net.send_many(client, |version, bytes| {
        (0..times).for_each(|_| subscribe.encode(version, bytes));
    });
}

#[test]
fn retained_messages_are_sent_piece_by_piece_and_all_of_them() {
    let (mut net, client) = with_retained(3000);
    net.links.get_mut(&client.link).unwrap().pieces = 0;
    subscribe_to_all(&mut net, client, 1);
    let topics: Vec<String> = net.messages(client).into_iter().map(|got| got.topic).collect();
    let all: Vec<String> = (0..3000).map(|at| format!("r/{at:05}")).collect();
    assert_eq!(topics, all);
    // Of 64 KB each.
    assert!(net.links[&client.link].pieces >= 3000 / 70);
}

#[test]
fn subscribing_again_and_again_does_not_pile_up_retained_messages() {
    let (mut net, client) = with_retained(3000);
    // It does not read.
    net.brokers[0].congested(client.key, client.link);
    subscribe_to_all(&mut net, client, 500);
    assert_eq!(net.messages(client).len(), 0);
    net.brokers[0].drained(client.key, client.link);
    net.settle();
    assert_eq!(net.messages(client).len(), 3000);
    // It reads, but sends all at once.
    subscribe_to_all(&mut net, client, 500);
    assert!(net.messages(client).len() < 3100);
}

#[test]
fn what_is_left_of_retained_messages_is_sent_on_the_next_connection() {
    for unsubscribes in [false, true] {
        let (mut net, _) = with_retained(3000);
        let client = net.connect(0, Connecting::v5("other").persistent());
        subscribe_in_turn(&mut net, client, "r/#");
        net.brokers[0].congested(client.key, client.link);
        net.settle();
        let first = net.messages(client).len();
        assert!((1..100).contains(&first), "{first}");
        if unsubscribes {
            let unsubscribe = Unsubscribe {
                packet_id: PacketId::MIN,
                user_properties: Default::default(),
                filters: Filters::new(&["r/#"]),
            };
            net.send(client, |version, bytes| unsubscribe.encode(version, bytes));
        }
        net.lose(client);
        let back = net.connect(0, Connecting::v5("other").persistent());
        let rest = if unsubscribes { 0 } else { 3000 - first };
        assert_eq!(net.messages(back).len(), rest);
    }
}

/// A client subscribes in a turn that goes on.
fn subscribe_in_turn(net: &mut Net, client: Client, filter: &str) {
    let filters = [(filter, SubscribeOptions::of(AtMostOnce))];
    let subscribe = Subscribe {
        packet_id: PacketId::MIN,
        subscription_id: None,
        user_properties: Default::default(),
        filters: Subscriptions::new(&filters),
    };
    let packet = fanwire_wire::mqtt::Packet::Subscribe(subscribe);
    net.brokers[0].packet(client.key, client.link, &packet).unwrap();
}

/// Ends a turn, and begins another if there is anything left to do. Says to whom something was
/// sent; `None` where nothing is left.
fn next_turn(net: &mut Net) -> Option<Vec<ConnectionId>> {
    let broker = &mut net.brokers[0];
    let sent = broker.end().sendings.drain(..).map(|sending| sending.link).collect();
    broker.deadline()?;
    broker.expired();
    Some(sent)
}

#[test]
fn retained_messages_that_a_client_does_not_get_are_looked_at_turn_by_turn() {
    let (mut net, client) = with_retained(3000);
    permit(&mut net, client, "topicfilter/*");
    // Topics that do not match are looked at, too.
    for (filter, more) in [("r/#", 2), ("+/+", 2), ("r/+/x", 2), ("r/00000", 0)] {
        subscribe_in_turn(&mut net, client, filter);
        let turns = std::iter::from_fn(|| next_turn(&mut net)).count();
        assert_eq!(turns, more, "{filter}");
    }
}

#[test]
fn clients_that_wait_for_retained_messages_take_turns() {
    let (mut net, client) = with_retained(3000);
    permit(&mut net, client, "topicfilter/*");
    let other = net.connect(0, Connecting::v5("other"));
    subscribe_in_turn(&mut net, client, "r/#");
    subscribe_in_turn(&mut net, other, "r/#");
    let turns: Vec<bool> =
        std::iter::from_fn(|| next_turn(&mut net)).map(|to| to.contains(&other.link)).collect();
    // The acknowledgement, then nothing while the turn is the first one's.
    assert_eq!(turns[..3], [true, false, true]);
}

#[test]
fn what_comes_in_after_a_turn_has_ended_makes_another_turn() {
    let mut net = Net::new(1);
    let client = net.connect(0, Connecting::v5("c"));
    assert_eq!(net.brokers[0].deadline(), None);
    let ping = fanwire_wire::mqtt::Packet::PingReq;
    net.brokers[0].packet(client.key, client.link, &ping).unwrap();
    assert_eq!(net.brokers[0].deadline(), Some(net.now));
    net.settle();
    assert_eq!(net.brokers[0].deadline(), None);
}

#[test]
fn a_client_is_told_where_nothing_can_be_retained() {
    for (most, told) in [(1, false), (0, true)] {
        let mut net = Net::with(1, |model| model.limits.max_retained_messages = most);
        let client = net.connect(0, Connecting::v5("c"));
        let packets = net.packets(client);
        assert_eq!(packets[0].contains("retain_available: false"), told, "{packets:?}");
    }
}
