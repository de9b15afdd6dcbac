//! QoS 2: each message once, whatever is lost.

use std::collections::{BTreeSet, VecDeque};

use proptest::prelude::*;

use super::*;

/// A broker that keeps its session, and loses what is on its way when a connection ends.
#[derive(Default)]
struct Broker {
    socket: u64,
    to_client: VecDeque<(&'static str, u16, u32)>,
    from_client: VecDeque<String>,
    /// Ids of the client's that have yet to be released.
    taken: BTreeSet<u16>,
    got: Vec<String>,
    /// What the client has yet to acknowledge: the message, or that its id is released.
    under_way: VecDeque<(&'static str, u16, u32)>,
    last_sent: u16,
}

impl Broker {
    fn publish(&mut self) {
        if self.under_way.len() < 8 {
            self.last_sent += 1;
            let publish = ("publish", self.last_sent, u32::from(self.last_sent));
            self.under_way.push_back(publish);
            self.to_client.push_back(publish);
        }
    }

    /// Takes the client's next packet.
    fn hear(&mut self) {
        let Some(packet) = self.from_client.pop_front() else { return };
        let words: Vec<&str> = packet.split(' ').collect();
        let id = words.get(1).and_then(|id| id.parse().ok()).unwrap_or(0);
        match words[0] {
            "publish" => {
                if self.taken.insert(id) {
                    self.got.push(words[2].to_owned());
                }
                self.to_client.push_back(("pubrec", id, 0));
            }
            "pubrel" => {
                self.taken.remove(&id);
                self.to_client.push_back(("pubcomp", id, 0));
            }
            "pubrec" => {
                let waiting = self.under_way.iter_mut().find(|(_, known, _)| *known == id);
                *waiting.unwrap() = ("pubrel", id, 0);
                self.to_client.push_back(("pubrel", id, 0));
            }
            "pubcomp" => self.under_way.retain(|(_, known, _)| *known != id),
            other => panic!("{other}"),
        }
    }

    /// Gives the client the next packet.
    fn tell(&mut self, client: &mut Client) {
        let Some((kind, id, n)) = self.to_client.pop_front() else { return };
        match kind {
            "publish" => client.hear(
                self.socket,
                &ServerPacket::Publish(Publish {
                    // Whether it is marked is of no account with QoS 2.
                    qos: QoS::ExactlyOnce,
                    topic: "a/b",
                    packet_id: PacketId::new(id),
                    payload: n.to_string().as_bytes(),
                    ..Publish::default()
                }),
            ),
            "pubrec" => client.pubrec(self.socket, id, ReasonCode::Success),
            "pubrel" => client.pubrel(self.socket, id),
            _ => client.pubcomp(self.socket, id),
        }
        self.from_client.extend(client.sent());
    }

    fn cut(&mut self, client: &mut Client) {
        self.socket += 1;
        client.reconnect(self.socket, true);
        self.from_client = client.sent().into();
        self.to_client = self.under_way.clone();
    }
}

/// Reads one, and says whether there was one.
fn read(client: &mut Client, read: &mut Vec<String>) -> bool {
    let Some((message, ..)) = client.messages.first() else { return false };
    read.push(String::from_utf8(message.payload.to_vec()).unwrap());
    client.read();
    true
}

proptest! {
    #[test]
    fn each_message_is_told_once_whatever_is_lost(
        steps in proptest::collection::vec(0..20_u8, 0..200),
    ) {
        let mut client = Client::connected();
        client.subscribe(1, "a/b");
        client.suback(1, 1, ReasonCode::GrantedQoS2);
        client.sent.clear();
        let mut broker = Broker { socket: 1, ..Broker::default() };
        let (mut published, mut got) = (1, Vec::new());
        client.done();
        for step in steps {
            match step {
                0..=6 => broker.hear(),
                7..=12 => broker.tell(&mut client),
                13..=14 => _ = read(&mut client, &mut got),
                15..=16 => {
                    published += 1;
                    client.publish(published, 2);
                }
                17..=18 => broker.publish(),
                _ => broker.cut(&mut client),
            }
            broker.from_client.extend(client.sent());
        }
        for _ in 0..10_000 {
            while read(&mut client, &mut got) {}
            broker.from_client.extend(client.sent());
            broker.hear();
            broker.tell(&mut client);
        }
        let sent: Vec<String> = (2..=published).map(|n| n.to_string()).collect();
        prop_assert_eq!(&broker.got, &sent);
        prop_assert_eq!(client.done(), (2..=published).collect::<Vec<_>>());
        let told: Vec<String> = (1..=broker.last_sent).map(|n| n.to_string()).collect();
        prop_assert_eq!(got, told);
    }
}

#[test]
fn a_publication_of_qos_2_is_done_when_its_id_is_free() {
    let mut client = Client::connected();
    client.publish(1, 2);
    client.publish(2, 2);
    client.publish(3, 2);
    assert_eq!(client.sent(), ["publish 1 1", "publish 2 2"]);
    client.pubrec(1, 1, ReasonCode::Success);
    assert_eq!(client.sent(), ["pubrel 1 0"]);
    assert!(client.done().is_empty());
    // The broker has the first, and has to be told of the second again; in their order.
    client.reconnect(2, true);
    assert_eq!(client.sent(), ["pubrel 1 0", "publish 2 2 dup"]);
    client.pubcomp(2, 1);
    assert_eq!((client.done(), client.sent()), (vec![1], vec!["publish 3 3".to_owned()]));
    client.pubrec(2, 2, ReasonCode::QuotaExceeded);
    let (2, Err(MqttError::Refused { reason: Some(151), .. })) = client.done.remove(0) else {
        panic!("it is refused");
    };
    // What it says of ids that are not in use.
    client.pubrec(2, 9, ReasonCode::Success);
    assert_eq!(client.sent(), ["pubrel 9 146"]);
    client.pubcomp(2, 9);
    client.pubcomp(2, 3);
    assert!(client.done().is_empty());
    // To a broker that has lost the session what it had is done, and the rest new.
    client.publish(4, 2);
    client.pubrec(2, 3, ReasonCode::Success);
    client.reconnect(3, false);
    assert_eq!((client.done(), client.sent()), (vec![3], vec!["publish 4 4".to_owned()]));
}

#[test]
fn a_message_of_qos_2_is_told_once() {
    let mut client = Client::connected();
    let id = client.subscribe(1, "a/b");
    client.suback(1, 1, ReasonCode::GrantedQoS2);
    client.sent.clear();
    let twice = QoS::ExactlyOnce;
    client.message_of(twice, 1, 7, false, &[id]);
    client.message_of(twice, 1, 8, false, &[id]);
    client.message_of(twice, 1, 9, false, &[id]);
    assert!(client.sent().is_empty());
    client.read();
    assert_eq!(client.sent(), ["pubrec 7 0"]);
    client.lose(1);
    // Read while nobody can be told.
    client.read();
    client.wait();
    client.open(2);
    client.accept(2, true);
    client.sent.clear();
    for packet_id in [7, 8, 9] {
        client.message_of(twice, 2, packet_id, true, &[id]);
    }
    assert_eq!(client.messages.len(), 1);
    assert_eq!(client.sent(), ["pubrec 7 0", "pubrec 8 0"]);
    client.pubrel(2, 7);
    client.pubrel(2, 7);
    assert_eq!(client.sent(), ["pubcomp 7 0", "pubcomp 7 146"]);
    // The id is free, and another message has it.
    client.message_of(twice, 2, 7, false, &[id]);
    assert_eq!(client.messages.len(), 2);
}
