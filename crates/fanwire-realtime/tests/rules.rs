//! Topic rules with the whole plane and a real function.

#![allow(clippy::unwrap_used, reason = "tests, and helpers of tests")]

use std::sync::{Arc, Mutex};
use std::time::Duration;

use fanwire_app::model::{self, Code, Function, Links, Profile, Runtime, TopicRule};
use fanwire_functions::{FunctionEvent, Functions, HostOptions};
use fanwire_hub::HubOptions;
use fanwire_realtime::{Message, Natives, Observer, Realtime, RealtimeEvent, RealtimeParts, Rules};
use indexmap::IndexMap;
use tempfile::TempDir;
use tokio::sync::Notify;

/// Longer than anything takes: a test that waits this long has failed.
const PATIENCE: Duration = Duration::from_secs(60);

/// What functions said and what was told of rules.
#[derive(Clone, Default)]
struct Log {
    lines: Arc<Mutex<Vec<String>>>,
    changed: Arc<Notify>,
}

impl fanwire_functions::Observer for Log {
    fn observe(&self, event: FunctionEvent<'_>) {
        self.add(event.to_string());
    }
}

impl Observer for Log {
    fn observe(&self, event: &RealtimeEvent<'_>) {
        self.add(format!("{event:?}"));
    }
}

impl Log {
    fn add(&self, line: String) {
        self.lines.lock().unwrap().push(line);
        self.changed.notify_waiters();
    }

    async fn until(&self, part: &str) {
        let seen = async {
            loop {
                let changed = self.changed.notified();
                tokio::pin!(changed);
                changed.as_mut().enable();
                if self.lines.lock().unwrap().iter().any(|line| line.contains(part)) {
                    return;
                }
                changed.await;
            }
        };
        let waited = tokio::time::timeout(PATIENCE, seen).await;
        assert!(waited.is_ok(), "`{part}` was not seen in {:#?}", self.lines.lock().unwrap());
    }
}

/// A function in Node.js that says what it is called with.
fn functions(folder: &TempDir, log: &Log) -> Functions {
    let code =
        "exports.handler = async (event) => { console.log('got ' + JSON.stringify(event)); };";
    std::fs::write(folder.path().join("index.js"), code).unwrap();
    let function = |name: &str| Function {
        name: name.to_owned(),
        code: Code::Handler {
            runtime: Runtime::Node,
            handler: "index.handler".to_owned(),
            root: folder.path().to_owned(),
            identifier: "nodejs20.x".to_owned(),
        },
        timeout: Duration::from_secs(20),
        memory_mb: 256,
        environment: IndexMap::new(),
        links: Links::All,
        concurrency: Some(1),
    };
    let functions = ["f", "e"].map(|name| (name.to_owned(), function(name)));
    Functions::start(&functions.into(), HostOptions::default(), Arc::new(log.clone())).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_published_message_calls_the_functions_of_its_rules() {
    let (folder, log) = (tempfile::tempdir().unwrap(), Log::default());
    let functions = functions(&folder, &log);
    let mut model = model::Realtime::new(Profile::Aws);
    let plain = TopicRule {
        error_function: Some("e".to_owned()),
        ..TopicRule::of_filter("app/dev/chat/#", "f".to_owned())
    };
    let sql = "SELECT upper(text) AS loud, topic() AS topic FROM 'app/+/news' WHERE text <> ''";
    let selecting = TopicRule { sql: sql.to_owned(), ..plain.clone() };
    model.rules.extend([("plain".to_owned(), plain), ("selecting".to_owned(), selecting)]);
    let parts = RealtimeParts {
        limiter: std::sync::Arc::default(),
        hub: HubOptions { shards: 2, ..HubOptions::default() },
        functions: functions.clone(),
        natives: Natives::default(),
        store: None,
        mesh: None,
        observer: Arc::new(log.clone()),
        runtime: tokio::runtime::Handle::current(),
        region: "us-east-1".to_owned(),
        account_id: "123456789012".to_owned(),
    };
    let realtime = Realtime::start(&model, parts).unwrap();
    let rules = Rules::start(&realtime, &model, "123456789012").unwrap();

    let publish = async |topic: &str, payload: &'static str| {
        realtime.publish(Message::new(topic, payload)).await.unwrap();
    };
    publish("app/dev/chat/room1", "{\"text\": \"hi\"}").await;
    log.until("got {\"text\":\"hi\"}").await;
    publish("app/dev/news", "{\"text\":\"new\"}").await;
    log.until("got {\"loud\":\"NEW\",\"topic\":\"app/dev/news\"}").await;
    publish("$aws/rules/selecting/straight", "{\"text\":\"in\"}").await;
    log.until("got {\"loud\":\"IN\",\"topic\":\"straight\"}").await;
    publish("app/dev/chat/room1", "no JSON").await;
    log.until("\"base64OriginalPayload\":\"bm8gSlNPTg==\"").await;

    let of = |name: &str| rules.stats().into_iter().find(|(known, _)| known == name).unwrap().1;
    assert_eq!((of("plain").called, of("plain").failed), (1, 1));
    assert_eq!((of("selecting").called, of("selecting").dropped), (2, 0));
    drop(rules);
    realtime.stop(Duration::from_secs(10)).await;
    functions.shutdown(Duration::from_secs(10)).await;
}
