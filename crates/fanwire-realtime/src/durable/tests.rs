//! That what is written comes back, after the store has been opened again.

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use fanwire_store::{Batch, Store, StoreOptions};
use fanwire_wire::mqtt::{
    PacketId, QoS, RetainHandling, SubscribeOptions, UserPropertiesBuf, Version,
};
use proptest::collection::vec;
use proptest::option::of;
use proptest::prelude::*;

use super::record::{Content, Found, Reached, Transited, decode_message, encode_message};
use super::*;
use crate::Publisher;
use crate::message::Properties;
use crate::plane::shard_of;
use crate::topic::Parent;

/// When these tests take place, in milliseconds since the epoch.
const NOW: u64 = 1_700_000_000_000;

/// A store that is opened again and again.
struct Place {
    folder: tempfile::TempDir,
}

impl Place {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    fn open(&self) -> Durable {
        Durable::open(&store(self.folder.path())).unwrap()
    }

    /// Writes with one keeper, in a process of its own so to speak.
    fn write(&self, write: impl FnOnce(&mut Keeper)) {
        let durable = self.open();
        durable.load(NOW, Parent::Matches).unwrap();
        let mut keeper = durable.keeper();
        write(&mut keeper);
        commit(&mut keeper);
    }

    fn load(&self) -> Recovered {
        self.open().load(NOW, Parent::Matches).unwrap()
    }

    /// Keys of a table, as text.
    fn keys(&self, table: &'static str) -> Vec<String> {
        let store = store(self.folder.path());
        let table = store.table(table).unwrap();
        let mut keys = Vec::new();
        store.for_each(table, &[], |key, _| keys.push(key.escape_ascii().to_string())).unwrap();
        keys
    }
}

fn store(folder: &Path) -> Store {
    Store::open(folder, StoreOptions::default()).unwrap()
}

fn commit(keeper: &mut Keeper) {
    let (done, kept) = std::sync::mpsc::channel();
    keeper.commit(move |kept| done.send(kept).unwrap()).unwrap();
    assert!(kept.recv().unwrap());
    assert!(keeper.is_empty());
}

fn id(id: u16) -> PacketId {
    PacketId::new(id).unwrap()
}

fn message(topic: &str, size: usize) -> Arc<Message> {
    let message = Message::new(topic, vec![b'x'; size]);
    Arc::new(Message { qos: QoS::AtLeastOnce, published_at: NOW, ..message })
}

fn expiring(topic: &str, seconds: u32) -> Arc<Message> {
    let properties = Properties { message_expiry: Some(seconds), ..Properties::default() };
    let message =
        Message { properties: Some(Box::new(properties)), ..(*message(topic, 1)).clone() };
    Arc::new(Message { published_at: NOW - 10_000, ..message })
}

fn entry(message: &Arc<Message>) -> Entry<'_> {
    Entry { message, qos: QoS::AtLeastOnce, retain: false, ids: Some(&[7]) }
}

fn session(expiry: u32, away_since: Option<u64>) -> StoredSession {
    StoredSession {
        version: Version::V5,
        expiry,
        away_since,
        principal: "alice".into(),
        subscriptions: vec![StoredSubscription {
            filter: "sport/#".into(),
            options: SubscribeOptions {
                qos: QoS::AtLeastOnce,
                no_local: true,
                retain_as_published: false,
                retain_handling: RetainHandling::SendIfNew,
            },
            id: Some(7),
        }],
        will: None,
    }
}

#[test]
fn sessions_queues_and_retained_messages_come_back() {
    let place = Place::new();
    let (small, large) = (message("sport/a", 3), message("sport/b", 5000));
    place.write(|keeper| {
        keeper.retain("sport/a", Some(&small));
        keeper.retain("sport/b", Some(&large));
        keeper.retain("sport/c", Some(&small));
        keeper.retain("sport/c", None);
        keeper.session("one", &session(60, Some(NOW - 1000)));
        keeper.session("two", &session(u32::MAX, None));
        keeper.session("gone", &session(60, None));
        keeper.end_session("gone");
        for (seq, message) in [(1, &small), (2, &large), (10, &small)] {
            keeper.enqueue("one", seq, &entry(message));
        }
        keeper.enqueue("two", 1, &entry(&large));
        keeper.dequeue("one", 1, &small);
        keeper.hold("two", id(3));
        keeper.hold("two", id(4));
        keeper.release("two", id(3));
    });

    let recovered = place.load();
    assert_eq!(recovered.retained, [small.clone(), large.clone()]);
    let [one, two] = &recovered.sessions[..] else { panic!("{recovered:?}") };
    assert_eq!((&*one.client_id, &one.session), ("one", &session(60, Some(NOW - 1000))));
    let queued = one.queue.iter().map(|entry| (entry.seq, &entry.message)).collect::<Vec<_>>();
    assert_eq!(queued, [(2, &large), (10, &small)]);
    assert_eq!((one.queue[0].qos, one.queue[0].ids.as_deref()), (QoS::AtLeastOnce, Some(&[7][..])));
    assert_eq!((one.last_seq, two.last_seq), (10, 1));
    assert_eq!((&*two.client_id, &two.session), ("two", &session(u32::MAX, None)));
    assert_eq!(two.unreleased, [id(4)]);
    // The large message is one, in memory as in the store.
    assert!(Arc::ptr_eq(&one.queue[0].message, &two.queue[0].message));
    assert_eq!(place.keys("messages").len(), 1);
}

#[test]
fn a_shared_message_goes_with_its_last_queue() {
    let place = Place::new();
    place.write(|keeper| {
        let large = message("t", 5000);
        for client in ["one", "two", "three"] {
            keeper.session(client, &session(60, None));
            keeper.enqueue(client, 1, &entry(&large));
        }
        // The same content, but another message.
        keeper.enqueue("one", 2, &entry(&message("t", 5000)));
        keeper.dequeue("one", 1, &large);
    });
    assert_eq!(place.keys("messages").len(), 2);

    // Taken up where it was left.
    let durable = place.open();
    let recovered = durable.load(NOW, Parent::Matches).unwrap();
    let mut keeper = durable.keeper();
    let find = |client: &str| {
        let session = recovered.sessions.iter().find(|session| *session.client_id == *client);
        session.unwrap().queue[0].clone()
    };
    keeper.dequeue("two", 1, &find("two").message);
    // A new message must not take the number of one that is in use.
    let new = message("u", 5000);
    keeper.enqueue("two", 2, &entry(&new));
    commit(&mut keeper);
    drop((keeper, durable));
    assert_eq!(place.keys("messages").len(), 3);

    let durable = place.open();
    let recovered = durable.load(NOW, Parent::Matches).unwrap();
    let topics = |client: &str| {
        let session = recovered.sessions.iter().find(|session| *session.client_id == *client);
        session
            .unwrap()
            .queue
            .iter()
            .map(|entry| entry.message.topic.to_string())
            .collect::<Vec<_>>()
    };
    assert_eq!(
        (topics("one"), topics("two"), topics("three")),
        (vec!["t".into()], vec!["u".into()], vec!["t".into()])
    );
    let mut keeper = durable.keeper();
    for session in &recovered.sessions {
        for entry in &session.queue {
            keeper.dequeue(&session.client_id, entry.seq, &entry.message);
        }
    }
    commit(&mut keeper);
    drop((keeper, durable));
    assert!(place.keys("messages").is_empty() && place.keys("queues").is_empty());
}

#[test]
fn an_exchange_of_qos_2_goes_on_where_it_was() {
    let place = Place::new();
    let messages = (0..5).map(|_| message("t", 600)).collect::<Vec<_>>();
    place.write(|keeper| {
        keeper.session("c", &session(60, None));
        for (seq, message) in (1..).zip(&messages) {
            keeper.enqueue("c", seq, &Entry { qos: QoS::ExactlyOnce, ..entry(message) });
            if seq < 5 {
                keeper.sent("c", seq, id(u16::try_from(seq).unwrap() + 100));
            }
        }
        keeper.received("c", 1, id(101), &messages[0]);
        keeper.completed("c", 1);
        keeper.received("c", 2, id(102), &messages[1]);
        // Refused by the client.
        keeper.dequeue("c", 4, &messages[3]);
    });
    let [session] = &place.load().sessions[..] else { panic!() };
    let flights =
        session.in_flight.iter().map(|flight| (flight.seq, flight.id, flight.entry.is_some()));
    assert_eq!(flights.collect::<Vec<_>>(), [(2, id(102), false), (3, id(103), true)]);
    assert_eq!(session.queue.iter().map(|entry| entry.seq).collect::<Vec<_>>(), [5]);
    assert_eq!(place.keys("queues").len(), 4);
}

#[test]
fn what_has_expired_does_not_come_back() {
    let place = Place::new();
    let will = StoredWill { due: NOW + 5000, message: (*message("will", 1)).clone() };
    place.write(|keeper| {
        keeper.retain("old", Some(&expiring("old", 9)));
        keeper.retain("new", Some(&expiring("new", 11)));
        keeper.session(
            "ended",
            &StoredSession { will: Some(Box::new(will.clone())), ..session(1, Some(NOW - 2000)) },
        );
        keeper.enqueue("ended", 1, &entry(&message("t", 5000)));
        keeper.hold("ended", id(1));
        // Connected when the process ended: its time begins now.
        keeper.session("here", &session(1, None));
        keeper.enqueue("here", 1, &entry(&expiring("old", 9)));
        keeper.enqueue("here", 2, &entry(&expiring("new", 11)));
        // What is in flight stays: the client may have it.
        keeper.enqueue("here", 3, &entry(&expiring("old", 9)));
        keeper.sent("here", 3, id(1));
        // No session ever had this.
        keeper.enqueue("nobody", 1, &entry(&message("t", 1)));
    });
    let recovered = place.load();
    assert_eq!(
        recovered.retained.iter().map(|message| &*message.topic).collect::<Vec<_>>(),
        ["new"]
    );
    assert_eq!(recovered.wills, [will.message]);
    assert_eq!(recovered.expired, 3);
    let [here] = &recovered.sessions[..] else { panic!("{recovered:?}") };
    assert_eq!(here.queue.iter().map(|entry| entry.seq).collect::<Vec<_>>(), [2]);
    assert_eq!(here.in_flight.len(), 1);
    assert_eq!(place.keys("retained"), ["new"]);
    assert_eq!(place.keys("sessions"), ["here"]);
    assert_eq!(place.keys("queues").len(), 3);
    assert!(place.keys("messages").is_empty());
    assert_eq!(place.load().expired, 0);
}

#[test]
fn what_was_handed_to_another_shard_is_in_its_queues() {
    let place = Place::new();
    let subscribing = |filters: &[(&str, QoS, Option<u32>)]| {
        let subscriptions = filters.iter().map(|(filter, qos, id)| StoredSubscription {
            filter: (*filter).into(),
            options: SubscribeOptions::of(*qos),
            id: *id,
        });
        StoredSession { subscriptions: subscriptions.collect(), ..session(60, None) }
    };
    let ids = |shard| (0..).map(|n| format!("c{n}")).filter(move |id| shard_of(id, 3) == shard);
    let here = ids(2).take(4).collect::<Vec<_>>();
    let elsewhere = ids(0).next().unwrap();
    let (small, large) = (message("t/a", 1), message("t/a", 5000));
    let [small, large] = [small, large]
        .map(|message| Arc::new(Message { qos: QoS::ExactlyOnce, ..(*message).clone() }));
    place.write(|keeper| {
        let everything = [("t/+", QoS::ExactlyOnce, Some(1)), ("#", QoS::AtLeastOnce, Some(2))];
        keeper.session(&here[0], &subscribing(&everything));
        keeper.session(&here[1], &subscribing(&[("t/b", QoS::ExactlyOnce, None)]));
        keeper.session(&here[2], &subscribing(&[("t/a", QoS::AtMostOnce, None)]));
        keeper.session(&here[3], &subscribing(&[("$share/g/t/a", QoS::ExactlyOnce, None)]));
        keeper.session(&elsewhere, &subscribing(&[("#", QoS::ExactlyOnce, None)]));
        keeper.enqueue(&here[0], 7, &entry(&message("t/0", 1)));
        let all = Destination { shard: 2, shards: 3, client_id: None };
        let whole = |message| Entry { message, qos: QoS::ExactlyOnce, retain: false, ids: None };
        keeper.hand_over(&all, &whole(&large));
        keeper.hand_over(&all, &whole(&small));
        let done = keeper.hand_over(&all, &whole(&small)).unwrap();
        keeper.take_over(&done);
        let old = expiring("t/a", 9);
        keeper.hand_over(&all, &whole(&old));
        let one = Destination { client_id: Some(&here[3]), ..all };
        keeper.hand_over(&one, &Entry { qos: QoS::AtLeastOnce, ids: Some(&[5]), ..whole(&large) });
        let nobody = Destination { client_id: Some("nobody"), ..all };
        keeper.hand_over(&nobody, &whole(&large));
    });
    // What it leads to is the same when it is read again.
    for recovered in [place.load(), place.load()] {
        let queue = |client: &str| {
            let session = recovered.sessions.iter().find(|session| *session.client_id == *client);
            let entries = session.unwrap().queue.iter();
            let entry = |entry: &StoredEntry| {
                (entry.seq, entry.message.payload.len(), entry.qos, entry.ids.clone())
            };
            entries.map(entry).skip_while(|(seq, ..)| *seq == 7).collect::<Vec<_>>()
        };
        let both: Option<Box<[u32]>> = Some(Box::new([1, 2]));
        let got = [(8, 5000, QoS::ExactlyOnce, both.clone()), (9, 1, QoS::ExactlyOnce, both)];
        assert_eq!(queue(&here[0]), got);
        assert_eq!((queue(&here[1]), queue(&here[2]), queue(&elsewhere)), (vec![], vec![], vec![]));
        assert_eq!(queue(&here[3]), [(1, 5000, QoS::AtLeastOnce, Some(Box::from([5_u32])))]);
    }
    assert_eq!((place.keys("transits").len(), place.keys("messages").len()), (0, 1));
}

#[test]
fn an_entry_whose_message_is_gone_was_done_with() {
    let place = Place::new();
    place.write(|keeper| {
        keeper.session("c", &session(60, None));
        keeper.enqueue("c", 1, &entry(&message("t", 5000)));
        keeper.sent("c", 1, id(1));
    });
    {
        let store = store(place.folder.path());
        let mut batch = Batch::new();
        batch.delete(store.table("messages").unwrap(), &[0; 8]);
        store.commit(batch, |_| {}).unwrap();
    }
    let [session] = &place.load().sessions[..] else { panic!() };
    assert!(session.queue.is_empty() && session.in_flight.is_empty());
    assert!(place.keys("queues").is_empty());
}

#[test]
fn a_record_that_makes_no_sense_is_named_and_nothing_is_taken_out() {
    for (table, key, value) in [
        ("retained", &b"sport/\xff"[..], &[9, 9][..]),
        ("sessions", b"c", &[]),
        ("queues", b"c\0q\0\0", &[1]),
        ("queues", b"c", &[1]),
        ("queues", b"c\0zx", &[1]),
        ("messages", b"x", &[1]),
        ("transits", b"x", &[1]),
        ("transits", b"123456780", &[1]),
    ] {
        let place = Place::new();
        place.write(|keeper| {
            keeper.session("c", &session(60, None));
            keeper.retain("old", Some(&expiring("old", 9)));
        });
        {
            let store = store(place.folder.path());
            let mut batch = Batch::new();
            batch.put(store.table(table).unwrap(), key, value);
            store.commit(batch, |_| {}).unwrap();
        }
        let error = place.open().load(NOW, Parent::Matches).unwrap_err();
        let text = error.to_string();
        let named = format!("the record `{}` of the table `{table}`", key.escape_ascii());
        assert!(text.contains(&named), "{text}");
        assert!(place.keys("retained").contains(&"old".to_owned()));
    }
}

#[test]
fn a_keeper_that_is_behind_keeps_its_changes() {
    let place = Place::new();
    let options = StoreOptions { max_waiting_bytes: 100, ..StoreOptions::default() };
    let store = Store::open(place.folder.path(), options).unwrap();
    let durable = Durable::open(&store).unwrap();
    let (release, held) = std::sync::mpsc::channel::<()>();
    let mut keeper = durable.keeper();
    keeper.session("one", &session(60, None));
    keeper
        .commit(move |_| {
            let _ = held.recv();
        })
        .unwrap();
    keeper.session("two", &session(60, None));
    // The first is written, or being written; one of them fits.
    let mut behind = 0;
    while keeper.commit(|_| {}).is_ok() {
        behind += 1;
        assert!(behind < 10);
        keeper.session("two", &session(60, None));
    }
    assert!(!keeper.is_empty());
    assert!(store.room().is_err() && !keeper.is_full());
    drop(release);
    store.flush().unwrap();
    commit(&mut keeper);
    drop((keeper, durable, store));
    assert_eq!(place.keys("sessions"), ["one", "two"]);
}

// === records ===

fn any_qos() -> impl Strategy<Value = QoS> {
    prop_oneof![Just(QoS::AtMostOnce), Just(QoS::AtLeastOnce), Just(QoS::ExactlyOnce)]
}

prop_compose! {
    fn any_properties()(
        utf8_payload: bool,
        message_expiry: Option<u32>,
        content_type: Option<String>,
        response_topic: Option<String>,
        correlation_data: Option<Vec<u8>>,
        pairs: Vec<(String, String)>,
    ) -> Properties {
        let mut user = UserPropertiesBuf::new();
        for (name, value) in &pairs {
            // What no packet can have is left out.
            let _ = user.push(name, value);
        }
        Properties {
            utf8_payload,
            message_expiry,
            content_type: content_type.map(Into::into),
            response_topic: response_topic.map(Into::into),
            correlation_data: correlation_data.map(Bytes::from),
            user,
        }
    }
}

prop_compose! {
    fn any_message()(
        (topic, payload) in any::<(String, Vec<u8>)>(),
        qos in any_qos(),
        retain in any::<bool>(),
        properties in of(any_properties()),
        publisher in any::<Option<(String, String)>>(),
        published_at in any::<u64>(),
    ) -> Message {
        let publisher = publisher.map(|(client_id, principal)| {
            Arc::new(Publisher { client_id: client_id.into(), principal: principal.into() })
        });
        let properties = properties.map(Box::new);
        Message { topic: topic.into(), payload: payload.into(), qos, retain, properties, publisher, published_at, origin: None }
    }
}

prop_compose! {
    fn any_subscription()(
        filter: String,
        qos in any_qos(),
        (no_local, retain_as_published) in any::<(bool, bool)>(),
        retain_handling in prop_oneof![
            Just(RetainHandling::Send), Just(RetainHandling::SendIfNew), Just(RetainHandling::DoNotSend)
        ],
        id: Option<u32>,
    ) -> StoredSubscription {
        let options = SubscribeOptions { qos, no_local, retain_as_published, retain_handling };
        StoredSubscription { filter: filter.into(), options, id }
    }
}

prop_compose! {
    fn any_session()(
        version in prop_oneof![Just(Version::V3_1), Just(Version::V3_1_1), Just(Version::V5)],
        expiry: u32,
        away_since: Option<u64>,
        principal: String,
        subscriptions in vec(any_subscription(), 0..4),
        will in of((any::<u64>(), any_message())),
    ) -> StoredSession {
        let will = will.map(|(due, message)| Box::new(StoredWill { due, message }));
        let principal = principal.into();
        StoredSession { version, expiry, away_since, principal, subscriptions, will }
    }
}

proptest! {
    #[test]
    fn messages_come_back(message in any_message()) {
        prop_assert_eq!(decode_message(&encode_message(&message)), Ok(message));
    }

    #[test]
    fn sessions_come_back(session in any_session()) {
        prop_assert_eq!(StoredSession::decode(&session.encode()), Ok(session));
    }

    #[test]
    fn entries_come_back(
        message in any_message(),
        qos in any_qos(),
        retain: bool,
        ids: Option<Vec<u32>>,
        shared: Option<u64>,
    ) {
        let message = Arc::new(message);
        let bytes = Entry { message: &message, qos, retain, ids: ids.as_deref() }.encode(shared);
        let content = shared.map_or_else(|| Content::Here((*message).clone()), Content::Shared);
        let found = Found { content, qos, retain, ids: ids.map(Into::into) };
        prop_assert_eq!(Found::decode(&bytes), Ok(found));
    }

    #[test]
    fn steps_come_back(id in 1_u16.., received: bool) {
        let reached = Reached { id: PacketId::new(id).unwrap(), received };
        prop_assert_eq!(Reached::decode(&reached.encode()), Ok(reached));
    }

    #[test]
    fn messages_in_transit_come_back(message in any_message(), shards: u16, client_id: Option<String>) {
        let message = Arc::new(message);
        let entry = Entry { message: &message, qos: QoS::ExactlyOnce, retain: true, ids: None };
        let client_id = client_id.filter(|id| !id.is_empty());
        let to = Destination { shard: 0, shards: shards.into(), client_id: client_id.as_deref() };
        let found = Found {
            content: Content::Here((*message).clone()),
            qos: QoS::ExactlyOnce,
            retain: true,
            ids: None,
        };
        let client_id = client_id.as_deref().map(Box::from);
        let transited = Transited { shards: shards.into(), client_id, found };
        prop_assert_eq!(Transited::decode(&to.encode(&entry.encode(None))), Ok(transited));
    }

    #[test]
    fn any_bytes_are_a_record_or_an_error(mut bytes in vec(any::<u8>(), 0..64), known: bool) {
        if known && let Some(first) = bytes.first_mut() {
            *first = 1;
        }
        let _ = (decode_message(&bytes), StoredSession::decode(&bytes));
        let _ = (Found::decode(&bytes), Reached::decode(&bytes), Transited::decode(&bytes));
    }

    #[test]
    fn a_record_that_is_cut_short_or_too_long_is_an_error(session in any_session(), at: prop::sample::Index) {
        let mut bytes = session.encode();
        prop_assert!(StoredSession::decode(&bytes[..at.index(bytes.len())]).is_err());
        bytes.push(0);
        prop_assert!(StoredSession::decode(&bytes).is_err());
    }
}
