//! Topics of the realtime endpoint that connections are subscribed to: how many there are
//! of each filter, on which shards, and the one subscription that serves them all.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fmt;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use fanwire_hub::ConnectionId;

use crate::dispatch::Dispatcher;
use crate::drops::Drops;
use crate::groups::{Group, GroupError, Groups};
use crate::management::Post;
use crate::notice::Notice;
use crate::peer::ApiIndex;

/// Where messages of topics come from: a broker.
pub trait TopicSource: Send + Sync + 'static {
    /// Has `deliver` called for each message whose topic `filter` matches, until what is
    /// returned is dropped. It does not block. `None` while there is no broker.
    fn subscribe(&self, filter: &str, deliver: Deliver) -> Option<TopicSubscription>;
}

/// Takes the payload of a message, and does not block.
pub type Deliver = Arc<dyn Fn(&[u8]) + Send + Sync>;

/// What ends a subscription when it is dropped.
pub type TopicSubscription = Box<dyn Send + Sync>;

/// The topic filters that connections are subscribed to.
pub(crate) struct Topics {
    source: Option<Box<dyn TopicSource>>,
    // A std lock: shards take it when a connection joins or leaves, for a look-up, and for
    // a subscription where it is the first or last.
    filters: Mutex<HashMap<(ApiIndex, Arc<str>), Subscribed>>,
    /// Messages that did not reach a shard, or were none that the API may send.
    dropped: Drops,
}

/// A filter that somebody is subscribed to.
struct Subscribed {
    /// How many connections are, on each shard.
    members: Arc<[AtomicU32]>,
    subscription: Option<TopicSubscription>,
}

/// The way of a filter's messages to the shards.
struct Delivery {
    dispatcher: Dispatcher,
    api: ApiIndex,
    filter: Arc<str>,
    members: Arc<[AtomicU32]>,
}

// === impl Topics ===

impl Topics {
    pub(crate) fn new(source: Option<Box<dyn TopicSource>>) -> Self {
        Self { source, filters: Mutex::default(), dropped: Drops::default() }
    }

    /// Messages that did not reach a shard, or were none that the API may send.
    pub(crate) fn dropped(&self) -> u64 {
        self.dropped.total()
    }

    /// The filters that connections of an API are subscribed to.
    pub(crate) fn of_api(&self, api: ApiIndex) -> Vec<Arc<str>> {
        let filters = self.filters();
        filters.keys().filter(|(of, _)| *of == api).map(|(_, filter)| Arc::clone(filter)).collect()
    }

    fn filters(&self) -> MutexGuard<'_, HashMap<(ApiIndex, Arc<str>), Subscribed>> {
        self.filters.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Dispatcher {
    /// Puts a connection into a group, of those that its shard knows.
    ///
    /// # Errors
    ///
    /// [`GroupError::TooMany`].
    pub(crate) fn join(
        &self,
        groups: &mut Groups,
        id: ConnectionId,
        api: ApiIndex,
        group: &Group,
    ) -> Result<(), GroupError> {
        let is_new = groups.join(id, api, group)?;
        if let Group::Topic(filter) = group
            && is_new
        {
            self.topic_joined(api, filter, id.shard());
        }
        Ok(())
    }

    /// Takes a connection out of a group. Says whether it was in it.
    pub(crate) fn leave(
        &self,
        groups: &mut Groups,
        id: ConnectionId,
        api: ApiIndex,
        group: &Group,
    ) -> bool {
        let was_in = groups.leave(id, group);
        if was_in {
            self.left(group, id, api);
        }
        was_in
    }

    /// Takes a connection that is gone out of all its groups.
    pub(crate) fn leave_all(&self, groups: &mut Groups, id: ConnectionId, api: ApiIndex) {
        for group in groups.leave_all(id) {
            self.left(&group, id, api);
        }
    }

    /// One connection less is in a group.
    fn left(&self, group: &Group, id: ConnectionId, api: ApiIndex) {
        if let Group::Topic(filter) = group {
            self.topic_left(api, filter, id.shard());
        }
    }

    /// One more connection of a shard is subscribed to a topic filter.
    fn topic_joined(&self, api: ApiIndex, filter: &Arc<str>, shard: usize) {
        match self.topics().filters().entry((api, Arc::clone(filter))) {
            Entry::Occupied(entry) => count_up(&entry.get().members, shard),
            Entry::Vacant(entry) => {
                let members: Arc<[AtomicU32]> =
                    (0..self.hub().shards()).map(|_| AtomicU32::default()).collect();
                count_up(&members, shard);
                let subscription = self.subscribe(api, filter, &members);
                entry.insert(Subscribed { members, subscription });
            }
        }
    }

    /// One connection of a shard less is subscribed to a topic filter.
    fn topic_left(&self, api: ApiIndex, filter: &Arc<str>, shard: usize) {
        let mut filters = self.topics().filters();
        let Entry::Occupied(entry) = filters.entry((api, Arc::clone(filter))) else { return };
        let members = &entry.get().members;
        if let Some(count) = members.get(shard) {
            // Under the lock, so that nobody else counts meanwhile.
            count.store(count.load(Ordering::Relaxed).saturating_sub(1), Ordering::Relaxed);
        }
        if members.iter().all(|count| count.load(Ordering::Relaxed) == 0) {
            entry.remove();
        }
    }

    /// Subscribes to every filter again: there is another broker.
    pub(crate) fn resubscribe(&self) {
        for ((api, filter), subscribed) in self.topics().filters().iter_mut() {
            subscribed.subscription = self.subscribe(*api, filter, &subscribed.members);
        }
    }

    fn subscribe(
        &self,
        api: ApiIndex,
        filter: &Arc<str>,
        members: &Arc<[AtomicU32]>,
    ) -> Option<TopicSubscription> {
        let (filter, members) = (Arc::clone(filter), Arc::clone(members));
        let delivery = Delivery { dispatcher: self.clone(), api, filter, members };
        let filter = Arc::clone(&delivery.filter);
        let deliver = Arc::new(move |payload: &[u8]| delivery.deliver(payload));
        self.topics().source.as_ref()?.subscribe(&filter, deliver)
    }
}

fn count_up(members: &[AtomicU32], shard: usize) {
    if let Some(count) = members.get(shard) {
        count.fetch_add(1, Ordering::Relaxed);
    }
}

// === impl Delivery ===

impl Delivery {
    /// Sends a message to the shards that have somebody for it.
    fn deliver(&self, payload: &[u8]) {
        let frame = match self.dispatcher.api(self.api).frame(Post::Body(payload)) {
            Ok(frame) => Arc::new(frame),
            Err(why) => return self.drop_one(&why.to_string()),
        };
        for (shard, members) in self.members.iter().enumerate() {
            if members.load(Ordering::Relaxed) == 0 {
                continue;
            }
            let (filter, frame) = (Arc::clone(&self.filter), Arc::clone(&frame));
            let notice = Notice::Topic { api: self.api, filter, frame };
            if self.dispatcher.hub().notify(shard, notice, payload.len()).is_err() {
                self.drop_one("too much waits for its connections already");
            }
        }
    }

    /// Counts a message that some connections do not get, and tells of it in its time.
    fn drop_one(&self, why: &str) {
        let dropped = self.dispatcher.topics().dropped.count(Instant::now());
        if let Some(messages) = dropped {
            let plural = if messages == 1 { "" } else { "s" };
            let text = format!(
                "{messages} message{plural} of topics dropped, the last for `{}`: {why}",
                self.filter
            );
            self.dispatcher.trouble(&self.dispatcher.api(self.api), &text);
        }
    }
}

impl fmt::Debug for Topics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Topics").field("dropped", &self.dropped).finish_non_exhaustive()
    }
}
