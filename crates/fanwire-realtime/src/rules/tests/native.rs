//! Rules whose messages a subscriber of this process takes.

use tokio::sync::Semaphore;

use super::*;
use crate::{NativeFailure, NativeMessage};

/// What a subscriber was given, and what it answers.
#[derive(Clone, Default)]
struct Taken {
    messages: Arc<Mutex<Vec<NativeMessage>>>,
    answers: Arc<Mutex<VecDeque<Result<(), NativeFailure>>>>,
    changed: Arc<Notify>,
}

impl Taken {
    fn answering(answers: impl IntoIterator<Item = Result<(), NativeFailure>>) -> Self {
        let taken = Self::default();
        taken.answers.lock().unwrap().extend(answers);
        taken
    }

    /// Natives whose subscriber `f` this is.
    fn natives(&self) -> Natives {
        let taken = self.clone();
        Natives::default().subscriber("f", move |message: NativeMessage| {
            let taken = taken.clone();
            async move {
                taken.messages.lock().unwrap().push(message);
                taken.changed.notify_waiters();
                taken.answers.lock().unwrap().pop_front().unwrap_or(Ok(()))
            }
        })
    }

    /// Waits for that many, and gives their topics and payloads.
    async fn messages(&self, times: usize) -> Vec<String> {
        let taken = async {
            loop {
                let changed = self.changed.notified();
                tokio::pin!(changed);
                changed.as_mut().enable();
                let messages = self.messages.lock().unwrap().clone();
                if messages.len() >= times {
                    return messages;
                }
                changed.await;
            }
        };
        let messages = tokio::time::timeout(PATIENCE * 10, taken).await.unwrap();
        let text = |message: &NativeMessage| {
            format!("{} {}", message.topic, String::from_utf8_lossy(&message.payload))
        };
        messages.iter().map(text).collect()
    }
}

fn plain(filter: &str) -> TopicRule {
    TopicRule::of_filter(filter, "f".to_owned())
}

fn passing() -> Result<(), NativeFailure> {
    Err(NativeFailure::passing("not now"))
}

#[tokio::test]
async fn a_subscriber_of_this_process_gets_the_payload_itself_json_or_not() {
    let taken = Taken::default();
    let f = follow_with(&[("r", plain("a/#"))], taken.natives());
    let payload = Bytes::from_static(b"\xff raw");
    f.publish("a/b", payload.clone());
    taken.messages(1).await;
    let message = taken.messages.lock().unwrap()[0].clone();
    assert_eq!(&*message.topic, "a/b");
    assert_eq!(message.payload.as_ptr(), payload.as_ptr());
    assert_eq!(&*message.publisher.unwrap().principal, "user1");
    assert_eq!(f.stats("r"), RuleStats { taken: 1, called: 1, ..RuleStats::default() });
    assert_eq!(f.seen.calls(), [""; 0]);
}

#[tokio::test]
async fn a_statement_selects_for_it_too() {
    let taken = Taken::default();
    let sql = "SELECT a, topic(2) AS t FROM 'a/+' WHERE a > 1";
    let f = follow_with(&[("r", rule(sql))], taken.natives());
    f.publish("a/b", r#"{"a":1}"#);
    f.publish("a/b", r#"{"a":2,"c":3}"#);
    assert_eq!(taken.messages(1).await, [r#"a/b {"a":2,"t":"b"}"#]);
    f.publish("$aws/rules/r/x/y", r#"{"a":3}"#);
    assert_eq!(taken.messages(2).await[1], r#"x/y {"a":3,"t":"y"}"#);
}

#[tokio::test(start_paused = true)]
async fn what_fails_is_tried_again_as_lambda_does_and_then_given_up() {
    let taken = Taken::answering([passing(), passing(), passing()]);
    let f = follow_with(&[("r", plain("a"))], taken.natives());
    let begun = tokio::time::Instant::now();
    f.publish("a", "1");
    assert_eq!(taken.messages(3).await, ["a 1", "a 1", "a 1"]);
    assert_eq!(begun.elapsed().as_secs(), 180);
    f.seen.told("r: a: not now; tried again in 60s").await;
    f.seen.told("the message is given up: not now").await;
    assert_eq!(f.stats("r"), RuleStats { taken: 1, called: 1, failed: 1, ..RuleStats::default() });
}

#[tokio::test]
async fn what_the_message_is_to_blame_for_is_not_tried_again() {
    let taken = Taken::answering([Err(NativeFailure::lasting("no such room"))]);
    let f = follow_with(&[("r", plain("a"))], taken.natives());
    f.publish("a", "1");
    f.seen.told("r: a: the message is given up: no such room").await;
    f.publish("a", "2");
    assert_eq!(taken.messages(2).await, ["a 1", "a 2"]);
    assert_eq!(f.stats("r").failed, 1);
}

#[tokio::test]
async fn a_panic_is_told_and_ends_nothing_else() {
    let good = Arc::new(Semaphore::new(0));
    let inside = Arc::clone(&good);
    let mut natives = Natives::default().subscriber("f", move |message: NativeMessage| {
        let good = Arc::clone(&inside);
        async move {
            assert_ne!(&message.payload[..], b"bad", "cannot be");
            good.add_permits(1);
            Ok(())
        }
    });
    natives.retry_after.clear();
    let f = follow_with(&[("r", plain("a"))], natives);
    f.publish("a", "bad");
    f.seen.told("panicked").await;
    f.publish("a", "good");
    good.acquire().await.unwrap().forget();
    assert_eq!(f.stats("r"), RuleStats { taken: 2, called: 2, failed: 1, ..RuleStats::default() });
}

#[tokio::test]
async fn no_more_are_worked_on_at_a_time_than_may_be_and_what_has_no_room_is_dropped() {
    let (gate, begun) = (Arc::new(Semaphore::new(0)), Arc::new(Semaphore::new(0)));
    let inside = (Arc::clone(&gate), Arc::clone(&begun));
    let mut natives = Natives::default().subscriber("f", move |_| {
        let (gate, begun) = inside.clone();
        async move {
            begun.add_permits(1);
            gate.acquire().await.unwrap().forget();
            Ok(())
        }
    });
    natives.concurrency = 2;
    let f = follow_with(&[("r", plain("a"))], natives);
    f.publish("a", "1");
    f.publish("a", "2");
    begun.acquire_many(2).await.unwrap().forget();
    // One more is held by the rule's task, the others wait.
    for _ in 0..f.model.limits.max_rule_events + 50 {
        f.publish("a", "{}");
    }
    assert!(f.stats("r").dropped >= 49);
    assert_eq!(begun.available_permits(), 0);
    let taken = f.stats("r").taken;
    gate.add_permits(taken as usize);
    f.rules.finish().await;
    assert_eq!(gate.available_permits(), 0);
}

#[tokio::test]
async fn finishing_waits_for_what_is_worked_on_and_gives_up_what_is_to_be_tried_again() {
    let taken = Taken::answering([passing()]);
    let f = follow_with(&[("r", plain("a"))], taken.natives());
    f.publish("a", "1");
    f.seen.told("tried again in 60s").await;
    for number in 2..=50 {
        f.publish("a", number.to_string());
    }
    f.rules.finish().await;
    assert_eq!(taken.messages(50).await.len(), 50);
}
