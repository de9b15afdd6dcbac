//! Rules with functions that only note what they are called with, and one that is real.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use fanwire_app::model::{self, Profile, TopicRule};
use fanwire_functions::{InvokeError, ThrottleReason};
use fanwire_wire::trace::Span;
use tokio::runtime::Handle;
use tokio::sync::Notify;

use super::invoke::Invoke;
use super::native::Ending;
use super::{Ground, RuleStats, Rules};
use fanwire_wire::mqtt::UserProperties;

use crate::directory::Directory;
use crate::topic::Parent;
use crate::{Message, Natives, Observer, Properties, Publisher, RealtimeEvent};

mod native;

/// Longer than anything takes: a test that waits this long has failed.
const PATIENCE: Duration = Duration::from_secs(60);

/// What functions were called with and what was told, and how calls are refused.
#[derive(Default)]
struct Seen {
    calls: Mutex<Vec<(String, Bytes)>>,
    told: Mutex<Vec<String>>,
    /// Answers to the next calls; afterwards they are taken.
    refusals: Mutex<VecDeque<InvokeError>>,
    /// Whether every call is refused as throttled.
    throttled: Mutex<bool>,
    changed: Notify,
}

struct Fixture {
    seen: Arc<Seen>,
    directory: Arc<Directory>,
    rules: Rules,
    model: model::Realtime,
}

fn throttled() -> InvokeError {
    InvokeError::Throttled { key: "f".to_owned(), reason: ThrottleReason::Queued(1) }
}

impl Invoke for Seen {
    fn invoke_event(&self, key: &str, event: Bytes, _: Option<Span>) -> Result<(), InvokeError> {
        self.changed.notify_waiters();
        if *self.throttled.lock().unwrap() {
            return Err(throttled());
        }
        if let Some(refusal) = self.refusals.lock().unwrap().pop_front() {
            return Err(refusal);
        }
        self.calls.lock().unwrap().push((key.to_owned(), event));
        Ok(())
    }

    fn arn(&self, key: &str) -> Option<String> {
        Some(format!("arn:aws:lambda:us-east-1:123456789012:function:{key}"))
    }
}

impl Observer for Seen {
    fn observe(&self, event: &RealtimeEvent<'_>) {
        if let RealtimeEvent::Rule { rule, topic, why } = event {
            self.told.lock().unwrap().push(format!("{rule}: {topic}: {why}"));
            self.changed.notify_waiters();
        }
    }
}

impl Seen {
    async fn until(&self, what: &str, holds: impl Fn(&Self) -> bool) {
        let seen = async {
            loop {
                let changed = self.changed.notified();
                tokio::pin!(changed);
                changed.as_mut().enable();
                if holds(self) {
                    return;
                }
                changed.await;
            }
        };
        if tokio::time::timeout(PATIENCE, seen).await.is_err() {
            panic!("{what}: {:?}, told {:?}", self.calls(), self.told.lock().unwrap());
        }
    }

    /// Waits for that many calls, and gives them as `function event`.
    async fn called(&self, times: usize) -> Vec<String> {
        self.until("calls", |seen| seen.calls.lock().unwrap().len() >= times).await;
        self.calls()
    }

    fn calls(&self) -> Vec<String> {
        let calls = self.calls.lock().unwrap();
        calls
            .iter()
            .map(|(key, event)| format!("{key} {}", String::from_utf8_lossy(event)))
            .collect()
    }

    async fn told(&self, part: &str) -> String {
        let is_told =
            |seen: &Self| seen.told.lock().unwrap().iter().any(|line| line.contains(part));
        self.until(part, is_told).await;
        let told = self.told.lock().unwrap();
        told.iter().find(|line| line.contains(part)).unwrap().clone()
    }
}

impl Fixture {
    fn publish(&self, topic: &str, payload: impl Into<Bytes>) {
        self.publish_message(Message { publisher: publisher(), ..Message::new(topic, payload) });
    }

    fn publish_message(&self, message: Message) {
        let message = Arc::new(message);
        for (_, tap) in self.directory.elsewhere(&message.topic, Parent::Matches, 0).taps {
            tap.deliver(&message);
        }
    }

    fn stats(&self, rule: &str) -> RuleStats {
        self.rules.stats().into_iter().find(|(name, _)| name == rule).unwrap().1
    }
}

fn publisher() -> Option<Arc<Publisher>> {
    Some(Arc::new(Publisher { client_id: "client-1".into(), principal: "user1".into() }))
}

fn rule(sql: &str) -> TopicRule {
    TopicRule { sql: sql.to_owned(), ..TopicRule::of_filter("", "f".to_owned()) }
}

fn model(rules: &[(&str, TopicRule)]) -> model::Realtime {
    let mut model = model::Realtime::new(Profile::Aws);
    model.rules.extend(rules.iter().map(|(name, rule)| ((*name).to_owned(), rule.clone())));
    model
}

/// Rules that are followed. Must be called inside a runtime.
fn follow(rules: &[(&str, TopicRule)]) -> Fixture {
    follow_with(rules, Natives::default())
}

fn follow_with(rules: &[(&str, TopicRule)], natives: Natives) -> Fixture {
    let (seen, directory) = (Arc::new(Seen::default()), Arc::new(Directory::default()));
    let ground = Ground {
        directory: Arc::clone(&directory),
        functions: Arc::clone(&seen) as _,
        natives,
        ending: Arc::new(Ending::new()),
        observer: Arc::clone(&seen) as _,
        runtime: Handle::current(),
        account_id: "123456789012".into(),
    };
    let model = model(rules);
    let rules = Rules::start_on(ground, &model).unwrap();
    Fixture { seen, directory, rules, model }
}

#[tokio::test]
async fn a_function_gets_the_bare_result() {
    let sql = "SELECT a, topic(2) AS t, clientid() AS c, principal() AS p FROM 'a/+' WHERE a > 1";
    let f = follow(&[("r", rule(sql)), ("whole", TopicRule::of_filter("a/#", "g".to_owned()))]);
    f.publish("a/b", r#"{"a":1}"#);
    f.publish("a/b", r#"{"a":2, "b":3}"#);
    f.publish("b/b", r#"{"a":2}"#);
    let mut calls = f.seen.called(3).await;
    calls.sort();
    let result = r#"f {"a":2,"t":"b","c":"client-1","p":"user1"}"#;
    assert_eq!(calls, [result, r#"g {"a":1}"#, r#"g {"a":2, "b":3}"#]);
    assert_eq!(f.stats("r"), RuleStats { taken: 2, called: 1, ..RuleStats::default() });
}

#[tokio::test]
async fn a_payload_that_is_selected_whole_is_shared_with_its_subscribers() {
    let f = follow(&[("r", TopicRule::of_filter("a", "f".to_owned()))]);
    let payload = Bytes::from_static(b"{\"a\": 1.0}");
    f.publish("a", payload.clone());
    f.seen.called(1).await;
    assert_eq!(f.seen.calls.lock().unwrap()[0].1.as_ptr(), payload.as_ptr());
}

#[tokio::test]
async fn a_rule_sees_properties_and_who_did_not_publish() {
    let sql = "SELECT get_user_properties('k') AS k, get_mqtt_property('content_type') AS t, \
               clientid() AS c, principal() AS p, accountid() AS a, timestamp() AS at FROM 'a'";
    let f = follow(&[("r", rule(sql))]);
    let properties = Properties {
        content_type: Some("text/plain".into()),
        user: UserProperties::new(&[("k", "1"), ("k", "2")]).into(),
        ..Properties::default()
    };
    f.publish_message(Message {
        properties: Some(Box::new(properties)),
        published_at: 1_481_825_251_155,
        ..Message::new("a", "{}")
    });
    let expected =
        r#"f {"k":["1","2"],"t":"text/plain","c":"n/a","a":"123456789012","at":1481825251155}"#;
    assert_eq!(f.seen.called(1).await, [expected]);
}

#[tokio::test]
async fn a_payload_that_is_not_json_calls_the_error_action() {
    let with_error = TopicRule {
        error_function: Some("e".to_owned()),
        ..TopicRule::of_filter("a/b", "f".to_owned())
    };
    let f = follow(&[("r", with_error)]);
    f.publish("a/b", "raw");
    let call = f.seen.called(1).await.remove(0);
    let payload: serde_json::Value =
        serde_json::from_str(call.strip_prefix("e ").unwrap()).unwrap();
    assert_eq!(payload["ruleName"], "r");
    assert_eq!(payload["topic"], "a/b");
    assert_eq!(payload["clientId"], "client-1");
    assert_eq!(payload["base64OriginalPayload"], "cmF3");
    let failure = &payload["failures"][0];
    assert_eq!(failure["failedAction"], "LambdaAction");
    assert_eq!(failure["failedResource"], "arn:aws:lambda:us-east-1:123456789012:function:f");
    assert!(failure["errorMessage"].as_str().unwrap().contains("encode(*, 'base64') AS data"));
}

#[tokio::test]
async fn a_payload_that_is_not_json_is_told_with_what_to_write_instead() {
    let names = rule("SELECT a FROM 'x'");
    let f = follow(&[("r", TopicRule::of_filter("a", "f".to_owned())), ("names", names)]);
    f.publish("a", "raw");
    let told = f.seen.told("r: a: ").await;
    assert!(told.contains("encode(*, 'base64') AS data"), "{told}");
    f.publish("x", "raw");
    let told = f.seen.told("names: x: ").await;
    assert!(told.contains("encode(*, 'base64') AS data"), "{told}");
    assert_eq!(f.seen.calls(), [""; 0]);
    assert_eq!(f.stats("r"), RuleStats { taken: 1, failed: 1, ..RuleStats::default() });
}

#[tokio::test]
async fn failures_are_told_once_a_second() {
    let f = follow(&[("r", TopicRule::of_filter("a", "f".to_owned()))]);
    for _ in 0..100 {
        f.publish("a", "raw");
    }
    f.publish("a", "{}");
    f.seen.called(1).await;
    assert_eq!(f.stats("r").failed, 100);
    assert!(f.seen.told.lock().unwrap().len() < 50);
}

#[tokio::test]
async fn what_a_function_cannot_take_fails_and_a_failed_error_action_is_told() {
    let rule = TopicRule { error_function: Some("e".to_owned()), ..rule("SELECT * FROM 'a'") };
    let f = follow(&[("r", rule)]);
    let refusals = [
        InvokeError::PayloadTooLarge { size: 3, limit: 2 },
        InvokeError::NotFound { key: "e".to_owned() },
    ];
    f.seen.refusals.lock().unwrap().extend(refusals);
    f.publish("a", "{}");
    f.seen.told("over the limit of 2").await;
    f.seen.told("its error action failed, too: no function `e`").await;
    f.publish("a", "[]");
    assert_eq!(f.seen.called(1).await, ["f []"]);
}

#[tokio::test]
async fn a_throttled_function_holds_its_rule_up_and_nothing_is_lost() {
    let f = follow(&[("r", rule("SELECT * FROM 'a'"))]);
    f.seen.refusals.lock().unwrap().extend([throttled(), throttled()]);
    for payload in ["1", "2", "3"] {
        f.publish("a", payload);
    }
    assert_eq!(f.seen.called(3).await, ["f 1", "f 2", "f 3"]);
    assert_eq!(f.stats("r"), RuleStats { taken: 3, called: 3, ..RuleStats::default() });
}

#[tokio::test]
async fn a_full_backlog_drops_counts_and_tells() {
    let f = follow(&[("r", rule("SELECT * FROM 'a'"))]);
    *f.seen.throttled.lock().unwrap() = true;
    for _ in 0..f.model.limits.max_rule_events + 50 {
        f.publish("a", "{}");
    }
    let told = f.seen.told("messages were dropped").await;
    assert!(told.starts_with("r: a: 50 "), "{told}");
    assert_eq!(f.stats("r").taken, f.model.limits.max_rule_events as u64);
    assert_eq!(f.stats("r").dropped, 50);
    *f.seen.throttled.lock().unwrap() = false;
    f.seen.called(f.model.limits.max_rule_events).await;
    f.publish("a", "{}");
    f.seen.called(f.model.limits.max_rule_events + 1).await;
}

#[tokio::test]
async fn long_messages_fill_a_backlog_sooner() {
    let f = follow(&[("r", rule("SELECT * FROM 'a'"))]);
    *f.seen.throttled.lock().unwrap() = true;
    let payload = Bytes::from(vec![b'1'; f.model.limits.max_rule_bytes / 4]);
    for _ in 0..5 {
        f.publish("a", payload.clone());
    }
    assert_eq!(f.stats("r"), RuleStats { taken: 3, dropped: 2, ..RuleStats::default() });
    *f.seen.throttled.lock().unwrap() = false;
    f.seen.called(3).await;
    f.publish("a", payload);
    f.seen.called(4).await;
}

#[tokio::test]
async fn basic_ingest_goes_straight_to_the_rule_that_it_names() {
    let sql = "SELECT *, topic() AS t, topic(2) AS second FROM 'never/this'";
    let f = follow(&[("My_Rule", rule(sql)), ("all", TopicRule::of_filter("#", "g".to_owned()))]);
    f.publish("$aws/rules/My_Rule/buildings/five", r#"{"a":1}"#);
    assert_eq!(f.seen.called(1).await, [r#"f {"a":1,"t":"buildings/five","second":"five"}"#]);
    f.publish("$aws/rules/my_rule/x", "{}");
    let told = f.seen.told("there is no topic rule of this name").await;
    assert!(told.starts_with("my_rule: $aws/rules/my_rule/x: "), "{told}");
}

#[tokio::test]
async fn a_rule_without_from_is_reached_by_basic_ingest_alone() {
    let f = follow(&[("r", rule("SELECT VALUE topic()"))]);
    f.publish("a", "{}");
    f.publish("$aws/rules/r/a/b", "raw");
    assert_eq!(f.seen.called(1).await, [r#"f "a/b""#]);
}

#[tokio::test]
async fn a_rule_that_is_not_enabled_is_not_followed() {
    let off = TopicRule { enabled: false, ..rule("SELECT * FROM 'a'") };
    let unreadable = TopicRule { enabled: false, ..rule("SELECT aws_lambda() FROM 'a'") };
    let f = follow(&[
        ("off", off),
        ("unreadable", unreadable),
        ("on", rule("SELECT VALUE 1 FROM 'a'")),
    ]);
    f.publish("a", "{}");
    f.publish("$aws/rules/off/a", "{}");
    f.seen.told("off: ").await;
    assert_eq!(f.seen.called(1).await, ["f 1"]);
}

#[tokio::test]
async fn changed_rules_are_followed_and_the_same_keep_what_waits() {
    let f = follow(&[
        ("same", rule("SELECT VALUE 'same' FROM 'a'")),
        ("changed", rule("SELECT VALUE 'before' FROM 'a'")),
        ("gone", rule("SELECT VALUE 'gone' FROM 'b'")),
    ]);
    f.publish("a", "{}");
    f.publish("b", "{}");
    let changed = model(&[
        ("same", rule("SELECT VALUE 'same' FROM 'a'")),
        ("changed", rule("SELECT VALUE 'after' FROM 'a'")),
    ]);
    f.rules.update(&changed).unwrap();
    f.publish("a", "{}");
    f.publish("b", "{}");
    let mut calls = f.seen.called(5).await;
    calls.sort();
    assert_eq!(calls, ["f \"after\"", "f \"before\"", "f \"gone\"", "f \"same\"", "f \"same\""]);
    assert_eq!(f.stats("same").taken, 2);
    assert_eq!(f.stats("changed").taken, 1);
    assert_eq!(f.rules.stats().len(), 2);
}

#[tokio::test]
async fn a_wrong_statement_is_refused_and_the_rules_stay_as_they_were() {
    let f = follow(&[("r", rule("SELECT VALUE 1 FROM 'a'"))]);
    let mut wrong = f.model.clone();
    wrong.rules.insert("wrong".to_owned(), rule("SELECT uper(a) FROM 'a'"));
    wrong.rules.insert("r".to_owned(), rule("SELECT VALUE 2 FROM 'a'"));
    let error = f.rules.update(&wrong).unwrap_err();
    assert_eq!(Rules::check(&wrong), Err(error.clone()));
    assert_eq!(Rules::check(&f.model), Ok(()));
    assert_eq!(
        error.to_string(),
        "topic rule `wrong`: line 1, column 8: there is no function `uper`; did you mean `upper`?"
    );
    f.publish("a", "{}");
    assert_eq!(f.seen.called(1).await, ["f 1"]);
}

#[tokio::test]
async fn what_waits_when_functions_shut_down_is_told() {
    let f = follow(&[("r", rule("SELECT * FROM 'a'"))]);
    f.seen.refusals.lock().unwrap().push_back(InvokeError::ShuttingDown);
    for _ in 0..3 {
        f.publish("a", "{}");
    }
    f.seen.told("r: a: the server stops; 3 messages are dropped").await;
    assert_eq!(f.seen.calls(), [""; 0]);
    f.publish("a", "{}");
    assert_eq!(f.stats("r").dropped, 4);
}
