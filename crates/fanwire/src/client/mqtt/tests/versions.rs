//! What is different before MQTT 5.

use super::*;

#[test]
fn mqtt_3_1_1_has_no_properties() {
    let options = SessionOptions { version: Version::V3_1_1, ..options() };
    let mut client = Client::with(options);
    client.publish(1, 2);
    client.subscribe(2, "a/b");
    client.open(1);
    assert_eq!(client.sent(), ["connect clean=true"]);
    client.accept(1, false);
    assert_eq!(client.sent(), ["subscribe 1 a/b as None", "publish 2 1"]);
    client.message_of(QoS::AtLeastOnce, 1, 1, false, &[]);
    assert_eq!(client.messages.len(), 1);
    // The session has ended with its connection.
    client.lose(1);
    client.wait();
    client.open(2);
    assert_eq!(client.sent(), ["connect clean=true"]);
}

#[test]
fn before_mqtt_5_a_session_begins_anew_by_a_connection_of_its_own() {
    let options = SessionOptions { version: Version::V3_1_1, is_named: true, ..options() };
    let mut client = Client::with(options.clone());
    client.publish(1, 1);
    client.open(1);
    client.accept(1, false);
    assert_eq!(client.sent(), ["connect clean=true", "disconnect 0"]);
    assert!(!client.session.is_connected());
    assert_eq!((client.closes.len(), client.wait()), (1, Duration::ZERO));
    client.open(2);
    client.accept(2, false);
    assert_eq!(client.sent(), ["connect clean=false", "publish 1 1"]);
    let mut client = Client::with(SessionOptions { resume: true, ..options });
    client.open(1);
    client.accept(1, true);
    assert_eq!(client.sent(), ["connect clean=false"]);
    assert!(client.session.is_connected());
}

#[test]
fn a_broker_without_mqtt_5_is_told_from_one_that_refuses_the_client() {
    let mut client = Client::new();
    client.open(1);
    // CONNACK of 3.1.1: unacceptable protocol version.
    client.session.received(SocketId(1), &[0x20, 2, 0, 1], client.now);
    client.settle();
    assert_eq!(client.refused, [ReasonCode::UnsupportedProtocolVersion]);
}
