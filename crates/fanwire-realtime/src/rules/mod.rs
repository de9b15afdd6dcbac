//! Topic rules: functions that are called for messages (reference: iot.md section 8).
//!
//! A rule has a tap at the filter of its statement, a [`Backlog`] that the tap fills on the
//! shards' threads, and a task of the runtime, [`Follower`], that empties it: it evaluates
//! the statement and gives the result to the function, asynchronously, so with the retries
//! of Lambda. A function that is throttled holds its rule up; what the backlog has no room
//! for is dropped, counted, and told. In place of a function there may be a subscriber of
//! this process, [`Native`], which takes as many messages at a time as it may.
//!
//! Basic Ingest is one tap at `$aws/rules/+/#`, which looks the rule up by its name.

mod backlog;
mod follow;
mod ingest;
mod invoke;
mod native;
mod seldom;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;
use fanwire_app::model::{self, TopicRule};
use fanwire_rules::{Rule, SqlError, SqlVersion};
use tokio::runtime::Handle;

use self::backlog::{Backlog, Bounds, Feed};
use self::follow::Follower;
use self::ingest::BasicIngest;
use self::invoke::Invoke;
use self::native::{Ending, Native};
use crate::directory::Directory;
use crate::tap::{Reach, Subscription, Tap};
use crate::{Natives, Observer, Realtime};

pub use self::backlog::RuleStats;

/// The topic rules of an endpoint, which are followed until this is dropped. What waits
/// then is still done.
pub struct Rules {
    ground: Ground,
    followed: Arc<ArcSwap<ByName>>,
    /// Held while the rules change: one change at a time.
    changing: Mutex<()>,
    _basic_ingest: Subscription,
}

/// The rules that are followed, by name.
type ByName = BTreeMap<String, Arc<Followed>>;

/// A rule of the App that cannot be followed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("topic rule `{rule}`: {source}")]
pub struct RuleError {
    /// Its name.
    pub rule: String,
    /// What is wrong with its statement.
    #[source]
    pub source: SqlError,
}

/// What rules stand on.
#[derive(Clone)]
struct Ground {
    directory: Arc<Directory>,
    functions: Arc<dyn Invoke>,
    natives: Natives,
    ending: Arc<Ending>,
    observer: Arc<dyn Observer>,
    runtime: Handle,
    account_id: Arc<str>,
}

/// A rule that is followed. Dropping it ends its task, once that has done what waits.
struct Followed {
    rule: TopicRule,
    feed: Feed,
    _subscription: Option<Subscription>,
}

// === impl Rules ===

impl Rules {
    /// Follows the rules of a model that are enabled.
    ///
    /// # Errors
    ///
    /// Where a statement is wrong; then no rule is followed.
    pub fn start(
        realtime: &Realtime,
        model: &model::Realtime,
        account_id: &str,
    ) -> Result<Self, RuleError> {
        let inner = &realtime.inner;
        let ground = Ground {
            directory: Arc::clone(&inner.directory),
            functions: Arc::new(inner.functions.clone()),
            natives: inner.natives.clone(),
            ending: Arc::new(Ending::new()),
            observer: Arc::clone(&inner.observer),
            runtime: inner.runtime.clone(),
            account_id: account_id.into(),
        };
        Self::start_on(ground, model)
    }

    /// Reads the statements of a model's rules that are enabled, and follows none.
    ///
    /// # Errors
    ///
    /// The first statement that is wrong.
    pub fn check(model: &model::Realtime) -> Result<(), RuleError> {
        enabled(model).try_for_each(|(name, rule)| compile(name, rule).map(drop))
    }

    fn start_on(ground: Ground, model: &model::Realtime) -> Result<Self, RuleError> {
        let followed = Arc::new(ArcSwap::from_pointee(ByName::new()));
        let ingest = BasicIngest::new(&followed, Arc::clone(&ground.observer));
        let basic_ingest = ground.subscribe(ingest::FILTER, Arc::new(ingest));
        let changing = Mutex::new(());
        let rules = Self { ground, followed, changing, _basic_ingest: basic_ingest };
        rules.update(model)?;
        Ok(rules)
    }

    /// Follows the rules of a changed model from now on. Those that are the same keep what
    /// waits for them; of the others that is done as they were.
    ///
    /// # Errors
    ///
    /// Where a statement is wrong; then the rules stay as they were.
    pub fn update(&self, model: &model::Realtime) -> Result<(), RuleError> {
        let _one_at_a_time = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        let before = self.followed.load_full();
        let is_same = |name: &str, rule: &TopicRule| {
            before.get(name).filter(|known| known.rule == *rule).map(Arc::clone)
        };
        let mut followed = ByName::new();
        let mut changed = Vec::new();
        for (name, rule) in enabled(model) {
            match is_same(name, rule) {
                Some(same) => _ = followed.insert(name.clone(), same),
                None => changed.push((name, rule, compile(name, rule)?)),
            }
        }
        let limits = &model.limits;
        let bounds = Bounds { messages: limits.max_rule_events, bytes: limits.max_rule_bytes };
        for (name, rule, statement) in changed {
            followed
                .insert(name.clone(), Arc::new(self.ground.follow(name, rule, statement, bounds)));
        }
        self.followed.store(Arc::new(followed));
        Ok(())
    }

    /// Takes no more messages, and waits until the subscribers of this process are done with
    /// what was taken. Functions see to their own.
    pub async fn finish(&self) {
        self.followed.store(Arc::default());
        self.ground.ending.wait().await;
    }

    /// What became of the messages of each rule that is followed.
    pub fn stats(&self) -> Vec<(String, RuleStats)> {
        let followed = self.followed.load();
        followed.iter().map(|(name, rule)| (name.clone(), rule.feed.stats())).collect()
    }
}

impl std::fmt::Debug for Rules {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Rules").field("stats", &self.stats()).finish_non_exhaustive()
    }
}

// === impl Ground ===

impl Ground {
    fn subscribe(&self, filter: &str, tap: Arc<dyn Tap>) -> Subscription {
        let directory = Arc::clone(&self.directory);
        // Each message is acted upon once: on the node where it comes in.
        let id = directory.add_tap(filter, Reach::Here, tap);
        Subscription { directory, filter: filter.into(), id }
    }

    fn follow(&self, name: &str, rule: &TopicRule, statement: Rule, bounds: Bounds) -> Followed {
        let filter = statement.filter().map(str::to_owned);
        let (feed, backlog) = Backlog::new(bounds);
        let native = Native::of(name, &rule.function, &self.natives, &backlog.counters, self);
        let follower = Follower::new(name, rule, statement, native, self);
        self.runtime.spawn(follower.run(backlog));
        let tap = || Arc::new(feed.tap()) as Arc<dyn Tap>;
        let subscription = filter.map(|filter| self.subscribe(&filter, tap()));
        Followed { rule: rule.clone(), feed, _subscription: subscription }
    }
}

fn enabled(model: &model::Realtime) -> impl Iterator<Item = (&String, &TopicRule)> {
    model.rules.iter().filter(|(_, rule)| rule.enabled)
}

/// Reads a rule's statement.
fn compile(name: &str, rule: &TopicRule) -> Result<Rule, RuleError> {
    let version = match rule.sql_version {
        model::SqlVersion::V2015_10_08 => SqlVersion::V2015_10_08,
        model::SqlVersion::V2016_03_23 => SqlVersion::V2016_03_23,
    };
    Rule::parse(&rule.sql, version).map_err(|source| RuleError { rule: name.to_owned(), source })
}

#[cfg(test)]
mod tests;
