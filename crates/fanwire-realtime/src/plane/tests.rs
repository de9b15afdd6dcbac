//! What a start does.

use fanwire_app::model::Profile;
use fanwire_functions::{FunctionEvent, HostOptions};
use fanwire_store::StoreOptions;
use fanwire_wire::mqtt::Version;
use indexmap::IndexMap;

use super::*;
use crate::RealtimeEvent;
use crate::durable::{StoredSession, StoredWill};
use crate::message::Properties;

/// Looks away.
struct Nobody;

impl Observer for Nobody {
    fn observe(&self, _: &RealtimeEvent<'_>) {}
}

impl fanwire_functions::Observer for Nobody {
    fn observe(&self, _: FunctionEvent<'_>) {}
}

/// A retained will that is of no more use a minute after it is published.
fn will() -> Message {
    let properties = Properties { message_expiry: Some(60), ..Properties::default() };
    let properties = Some(Box::new(properties));
    Message { retain: true, properties, ..Message::new("will", "gone") }
}

#[tokio::test]
async fn the_will_of_a_session_that_ended_while_nobody_was_there_is_published_at_the_start() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path(), StoreOptions::default()).unwrap();
    let durable = Durable::open(&store).unwrap();
    let mut keeper = durable.keeper();
    let session = StoredSession {
        version: Version::V5,
        expiry: 3600,
        away_since: Some(1),
        principal: "".into(),
        subscriptions: Vec::new(),
        will: Some(Box::new(StoredWill { due: 1, message: will() })),
    };
    keeper.session("c", &session);
    keeper.commit(|kept| assert!(kept)).unwrap();
    store.flush().unwrap();

    let functions = IndexMap::new();
    let functions = Functions::start(&functions, HostOptions::default(), Arc::new(Nobody)).unwrap();
    let hub = HubOptions { shards: 1, ..HubOptions::default() };
    let before = hub.clock.epoch_ms();
    let mut model = model::Realtime::new(Profile::Open);
    model.limits.message_expiry_max = Some(Duration::from_secs(30));
    let parts = RealtimeParts {
        hub,
        functions: functions.clone(),
        natives: Natives::default(),
        store: Some(store),
        mesh: None,
        observer: Arc::new(Nobody),
        runtime: Handle::current(),
        region: "us-east-1".to_owned(),
        account_id: "123456789012".to_owned(),
        limiter: Arc::default(),
    };
    let realtime = Realtime::start(&model, parts).unwrap();
    // The shard does one thing after the other.
    realtime.publish(Message::new("other", "x")).await.unwrap();
    let will = realtime.retained("will").unwrap();
    assert!(will.published_at >= before);
    assert_eq!(will.expires_at(), Some(will.published_at + 30_000));
    realtime.stop(Duration::from_secs(10)).await;
    functions.shutdown(Duration::from_secs(10)).await;
}
