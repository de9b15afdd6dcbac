//! Rules whose messages are taken by a subscriber of this process: as many at a time as
//! [`Natives::concurrency`] says, each in a task of its own, and again where it fails.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, watch};

use super::backlog::Counters;
use super::seldom::Seldom;
use crate::natives::{NativeMessage, NativeSubscriber, in_a_task};
use crate::{NativeFailure, Natives, Observer, RealtimeEvent};

/// How long a subscriber may work on a message: as long as a function of Lambda's may.
const MAX_TIME: Duration = Duration::from_secs(15 * 60);

/// Messages of a rule that may wait to be tried again; others that fail are given up.
const MAX_RETRIES: usize = 256;

/// What tells the tasks of subscribers to come to an end, and when they have.
#[derive(Debug)]
pub(super) struct Ending {
    closing: watch::Sender<bool>,
    /// Every task has a clone of it. Nothing is ever sent.
    alive: Mutex<Option<mpsc::Sender<()>>>,
    ended: tokio::sync::Mutex<mpsc::Receiver<()>>,
}

/// What keeps [`Ending`] waiting, and is told by it.
#[derive(Debug, Clone)]
struct Life {
    closing: watch::Receiver<bool>,
    _alive: Option<mpsc::Sender<()>>,
}

/// A rule's subscriber, and its bounds.
#[derive(Clone)]
pub(super) struct Native {
    rule: Arc<str>,
    subscriber: Arc<dyn NativeSubscriber>,
    retry_after: Arc<[Duration]>,
    /// The places of messages that are worked on.
    working: Arc<Semaphore>,
    /// The places of messages that wait to be tried again.
    waiting: Arc<Semaphore>,
    counters: Arc<Counters>,
    failures: Arc<Mutex<Seldom>>,
    observer: Arc<dyn Observer>,
    runtime: Handle,
    life: Life,
}

// === impl Ending ===

impl Ending {
    pub(super) fn new() -> Self {
        let (alive, ended) = mpsc::channel(1);
        let closing = watch::channel(false).0;
        Self { closing, alive: Mutex::new(Some(alive)), ended: tokio::sync::Mutex::new(ended) }
    }

    fn life(&self) -> Life {
        let alive = self.alive.lock().unwrap_or_else(PoisonError::into_inner).clone();
        Life { closing: self.closing.subscribe(), _alive: alive }
    }

    /// Waits until all tasks have ended; what waits to be tried again is given up.
    pub(super) async fn wait(&self) {
        self.closing.send_replace(true);
        drop(self.alive.lock().unwrap_or_else(PoisonError::into_inner).take());
        // Nothing is sent: it answers when the last sender is gone.
        while self.ended.lock().await.recv().await.is_some() {}
    }
}

// === impl Native ===

impl Native {
    /// The subscriber that a rule's function key names; `None` where it is a function's.
    pub(super) fn of(
        rule: &str,
        key: &str,
        natives: &Natives,
        counters: &Arc<Counters>,
        ground: &super::Ground,
    ) -> Option<Self> {
        Some(Self {
            rule: rule.into(),
            subscriber: Arc::clone(natives.find_subscriber(key)?),
            retry_after: natives.retry_after.as_slice().into(),
            working: Arc::new(Semaphore::new(natives.concurrency.max(1))),
            waiting: Arc::new(Semaphore::new(MAX_RETRIES)),
            counters: Arc::clone(counters),
            failures: Arc::default(),
            observer: Arc::clone(&ground.observer),
            runtime: ground.runtime.clone(),
            life: ground.ending.life(),
        })
    }

    /// Waits for a place to work on a message, for a while.
    pub(super) async fn place(&self, patience: Duration) -> Option<OwnedSemaphorePermit> {
        let place = Arc::clone(&self.working).acquire_owned();
        // The semaphore is never closed.
        tokio::time::timeout(patience, place).await.ok()?.ok()
    }

    /// Works on a message, and tries it again, in a task of its own.
    pub(super) fn begin(&self, message: NativeMessage, place: OwnedSemaphorePermit) {
        self.counters.called();
        let native = self.clone();
        self.runtime.spawn(async move { native.work(message, place).await });
    }

    async fn work(self, message: NativeMessage, mut place: OwnedSemaphorePermit) {
        let mut closing = self.life.closing.clone();
        let mut delays = self.retry_after.iter();
        loop {
            let outcome = self.attempt(message.clone()).await;
            // While it waits to be tried again, others are worked on.
            drop(place);
            let Err(failure) = outcome else { return };
            let Some(delay) = delays.next().filter(|_| failure.retry) else {
                return self.give_up(&message, &failure.why);
            };
            let Ok(_waiting) = Arc::clone(&self.waiting).try_acquire_owned() else {
                let why = format!("{}; {MAX_RETRIES} others wait to be tried again", failure.why);
                return self.give_up(&message, &why);
            };
            self.tell(&message.topic, &format!("{}; tried again in {delay:?}", failure.why));
            tokio::select! {
                () = tokio::time::sleep(*delay) => {}
                _ = closing.wait_for(|closing| *closing) => {
                    return self.give_up(&message, "the server stops before its next attempt");
                }
            }
            // The semaphore is never closed.
            let Ok(again) = Arc::clone(&self.working).acquire_owned().await else { return };
            place = again;
        }
    }

    async fn attempt(&self, message: NativeMessage) -> Result<(), NativeFailure> {
        let work = in_a_task(&self.runtime, self.subscriber.take(message));
        tokio::time::timeout(MAX_TIME, work).await.unwrap_or_else(|_| {
            Err(NativeFailure::passing(format!("it took longer than {MAX_TIME:?}")))
        })
    }

    fn give_up(&self, message: &NativeMessage, why: &str) {
        self.counters.failed();
        self.tell(&message.topic, &format!("the message is given up: {why}"));
    }

    fn tell(&self, topic: &str, why: &str) {
        let untold = self.failures.lock().unwrap_or_else(PoisonError::into_inner).happened();
        let Some(untold) = untold else { return };
        let others =
            if untold > 0 { format!(" (and {untold} more like it)") } else { String::new() };
        let why = format!("{why}{others}");
        self.observer.observe(&RealtimeEvent::Rule { rule: &self.rule, topic, why: &why });
    }
}
