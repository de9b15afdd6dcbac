//! Clients that come and go: taking over, wills, expiry.

use fanwire_wire::mqtt::Disconnect;
use fanwire_wire::mqtt::QoS::{AtLeastOnce, AtMostOnce};

use super::*;

fn with_will(client_id: &str, delay: u32) -> Connecting<'_> {
    let will = Message::new("will", "gone");
    Connecting { will: Some((will, delay)), ..Connecting::v5(client_id) }
}

fn watcher(net: &mut Net) -> Client {
    let watcher = net.connect(0, Connecting::v5("watcher"));
    net.subscribe(watcher, "will", AtMostOnce);
    net.messages(watcher);
    watcher
}

#[test]
fn a_will_is_published_unless_the_client_said_goodbye() {
    let mut net = Net::new(1);
    let watcher = watcher(&mut net);
    let polite = net.connect(0, with_will("polite", 0));
    net.send(polite, |version, bytes| Disconnect::default().encode(version, bytes));
    assert!(net.is_closed(polite));
    assert_eq!(net.payloads(watcher), [""; 0]);
    let lost = net.connect(0, with_will("lost", 0));
    net.lose(lost);
    assert_eq!(net.payloads(watcher), ["gone"]);
}

#[test]
fn a_delayed_will_is_not_published_where_the_client_comes_back() {
    let mut net = Net::new(1);
    let watcher = watcher(&mut net);
    let how = with_will("c", 10).persistent();
    let client = net.connect(0, how.clone());
    net.lose(client);
    net.pass(9);
    let back = net.connect(0, how);
    net.pass(60);
    assert_eq!(net.payloads(watcher), [""; 0]);
    net.lose(back);
    net.pass(12);
    assert_eq!(net.payloads(watcher), ["gone"]);
}

#[test]
fn a_will_is_due_when_its_session_ends_at_the_latest() {
    let mut net = Net::new(1);
    let watcher = watcher(&mut net);
    let how = Connecting { session_expiry: 5, clean_start: false, ..with_will("c", 3600) };
    let client = net.connect(0, how);
    net.lose(client);
    net.pass(6);
    assert_eq!(net.payloads(watcher), ["gone"]);
    assert!(net.brokers[0].session_info("c").is_none());
}

#[test]
fn a_client_id_has_one_connection_and_the_newest_wins() {
    let mut net = Net::new(1);
    let watcher = watcher(&mut net);
    let older = net.connect(0, with_will("c", 0));
    net.packets(older);
    let newer = net.connect(0, Connecting::v5("c"));
    assert!(net.is_closed(older) && !net.is_closed(newer));
    let told = net.packets(older);
    assert!(told[0].contains("session taken over"), "{told:?}");
    assert_eq!(net.payloads(watcher), ["gone"]);
    // What is left of the older one changes nothing.
    net.lose(older);
    net.subscribe(newer, "t", AtMostOnce);
    net.publish(newer, "t", "x", AtMostOnce);
    assert_eq!(net.payloads(newer), ["x"]);
}

#[test]
fn a_session_ends_in_its_time_and_leaves_nothing() {
    let mut net = Net::new(1);
    let how = Connecting { session_expiry: 30, clean_start: false, ..Connecting::v5("c") };
    let client = net.connect(0, how.clone());
    net.subscribe(client, "t/#", AtLeastOnce);
    net.lose(client);
    let publisher = net.connect(0, Connecting::v5("p"));
    net.publish(publisher, "t/x", "1", AtLeastOnce);
    net.pass(31);
    assert_eq!(net.brokers[0].queued_bytes, 0);
    assert!(net.brokers[0].index.is_empty());
    let back = net.connect(0, how);
    let packets = net.packets(back);
    assert!(packets[0].contains("session_present: false") && packets.len() == 1, "{packets:?}");
}

#[test]
fn a_clean_start_forgets_the_session_of_before() {
    let mut net = Net::new(1);
    let client = net.connect(0, Connecting::v3("c").persistent());
    net.subscribe(client, "t", AtLeastOnce);
    net.lose(client);
    let clean = net.connect(0, Connecting::v3("c"));
    net.packets(clean);
    net.publish(clean, "t", "x", AtMostOnce);
    assert_eq!(net.payloads(clean), [""; 0]);
}

#[test]
fn a_will_tells_who_published_it_and_cannot_pass_for_somebody_else() {
    let mut net = Net::with(1, |model| model.limits.publisher_properties = true);
    let watcher = watcher(&mut net);
    net.packets(watcher);
    let mut will = Message::new("will", "gone");
    will.publisher = Some(Arc::new(Publisher { client_id: "c".into(), principal: "ada".into() }));
    let user = &mut will.properties.get_or_insert_default().user;
    user.push("fanwire-principal", "root").unwrap();
    let client = net.connect(0, Connecting { will: Some((will, 0)), ..Connecting::v5("c") });
    net.lose(client);
    let packets = net.packets(watcher);
    assert!(packets[0].contains("ada") && !packets[0].contains("root"), "{packets:?}");
}

#[test]
fn who_publishes_without_a_connection_cannot_pass_for_somebody_either() {
    let mut net = Net::with(1, |model| model.limits.publisher_properties = true);
    let watcher = net.connect(0, Connecting::v5("w"));
    net.subscribe(watcher, "t", AtMostOnce);
    let by_http = Publisher { client_id: "".into(), principal: "ada".into() };
    for publisher in [None, Some(Arc::new(by_http))] {
        net.packets(watcher);
        let mut message = Message::new("t", "x");
        let user = &mut message.properties.get_or_insert_default().user;
        user.push("fanwire-principal", "root").unwrap();
        user.push("FANWIRE-client-id", "root").unwrap();
        user.push("colour", "red").unwrap();
        message.publisher = publisher.clone();
        net.brokers[0].publish_own(&Arc::new(message));
        net.settle();
        let packets = net.packets(watcher);
        assert!(packets[0].contains("colour") && !packets[0].contains("root"), "{packets:?}");
        assert_eq!(packets[0].contains("ada"), publisher.is_some(), "{packets:?}");
        assert!(!packets[0].to_lowercase().contains("client-id"), "{packets:?}");
    }
}
