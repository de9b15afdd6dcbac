//! What a client subscribes to (MQTT 5, 3.8 to 3.11 and 4.8).

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use fanwire_app::model::{Denied, Profile};
use fanwire_policy::{Action, Resource};
use fanwire_wire::mqtt::topic::SharedFilter;
use fanwire_wire::mqtt::{self, ReasonCode, Subscribe, SubscribeOptions, Unsubscribe, Version};

use super::route::Subscriber;
use super::session::{Key, Subscription};
use super::{Broker, Fault};
use crate::DisconnectReason;
use crate::directory::Member;

/// What came of one filter of a SUBSCRIBE.
struct Granted {
    filter: Arc<str>,
    options: SubscribeOptions,
    /// Whether the session had no such subscription before.
    new: bool,
}

impl Broker {
    /// Takes a SUBSCRIBE.
    ///
    /// # Errors
    ///
    /// Where the connection is to be ended for it.
    pub(super) fn subscribe(&mut self, key: Key, subscribe: &Subscribe<'_>) -> Result<(), Fault> {
        self.flush_burst();
        let limits = self.settings.limits();
        if subscribe.filters().count() > limits.max_subscriptions_per_request {
            let what = "more filters than realtime.limits.max_subscriptions_per_request";
            return Err(Fault::client(ReasonCode::QuotaExceeded, what));
        }
        if subscribe.subscription_id.is_some() && !limits.subscription_identifiers {
            let reason = ReasonCode::SubscriptionIdentifiersNotSupported;
            return Err(Fault::client(reason, "a subscription identifier"));
        }
        if self.leaves_unanswered(key, subscribe) {
            return Ok(());
        }
        // One that ends the connection leaves nothing of the others in the session.
        let filters = subscribe.filters();
        let examined: Result<Vec<_>, Fault> =
            filters.map(|(filter, _)| self.examine(key, filter)).collect();
        let mut reasons = Vec::new();
        let mut granted = Vec::new();
        for ((filter, options), examined) in subscribe.filters().zip(examined?) {
            let outcome =
                examined.and_then(|()| self.grant(key, filter, options, subscribe.subscription_id));
            match outcome {
                Ok(new) => {
                    reasons.push(granted_reason(new.options));
                    granted.push(new);
                }
                Err(reason) => reasons.push(reason),
            }
        }
        self.keep_session(key);
        if self.mesh.is_some() && !granted.is_empty() {
            self.wait_until_known();
        }
        let mut packet = Vec::new();
        let version = self.sessions[key as usize].version;
        mqtt::encode_suback(version, subscribe.packet_id, &reasons, &mut packet);
        self.answer(key, &packet);
        self.publish_subscribed(key, granted.iter().map(|new| &*new.filter));
        for new in &granted {
            let Granted { filter, options, new } = new;
            self.send_retained(key, filter, *options, *new, subscribe.subscription_id);
        }
        Ok(())
    }

    /// Whether a request comes to nothing: IoT Core does not acknowledge one of MQTT 3 that
    /// asks for QoS 2, be it for one filter of many (reference: iot.md, section 4).
    fn leaves_unanswered(&self, key: Key, subscribe: &Subscribe<'_>) -> bool {
        let limits = self.settings.limits();
        let v5 = self.sessions[key as usize].version == Version::V5;
        let max_qos = self.settings.max_qos();
        !v5 && !limits.qos2_downgrade
            && subscribe.filters().any(|(_, options)| options.qos > max_qos)
    }

    /// Whether a filter may be subscribed to, whatever the session has already.
    fn examine(&mut self, key: Key, filter: &str) -> Result<Result<(), ReasonCode>, Fault> {
        let limits = self.settings.limits();
        let shared = SharedFilter::parse(filter);
        if shared.is_some() && !limits.shared_subscriptions {
            return Ok(Err(ReasonCode::SharedSubscriptionsNotSupported));
        }
        let plain = shared.map_or(filter, |shared| shared.filter);
        if self.settings.fits(plain).is_err() || !self.may_be_subscribed(plain) {
            return Ok(Err(ReasonCode::TopicFilterInvalid));
        }
        let denied = self.deny_subscription(key, filter)?;
        Ok(denied.map_or(Ok(()), Err))
    }

    /// Subscribes to one filter, or says why not.
    fn grant(
        &mut self,
        key: Key,
        filter: &str,
        mut options: SubscribeOptions,
        id: Option<u32>,
    ) -> Result<Granted, ReasonCode> {
        options.qos = options.qos.min(self.settings.max_qos());
        let limits = self.settings.limits();
        let max_subscriptions = limits.max_subscriptions;
        if let Some(SharedFilter { group, filter }) = SharedFilter::parse(filter) {
            let client_id = &self.sessions[key as usize].client_id;
            let (groups, members) = (limits.max_shared_groups, limits.max_shared_members);
            if !self.directory.may_join(group, filter, client_id, groups, members) {
                return Err(ReasonCode::QuotaExceeded);
            }
        }
        let session = &mut self.sessions[key as usize];
        let known = session.subscriptions.iter().position(|known| *known.filter == *filter);
        if known.is_none() && session.subscriptions.len() >= max_subscriptions {
            return Err(ReasonCode::QuotaExceeded);
        }
        let name: Arc<str> = match known {
            Some(at) => {
                let subscription = &mut session.subscriptions[at];
                (subscription.options, subscription.id) = (options, id);
                Arc::clone(&subscription.filter)
            }
            None => {
                let filter = Arc::from(filter);
                let subscription = Subscription { filter: Arc::clone(&filter), options, id };
                if session.subscriptions.is_empty() {
                    // Most clients have one.
                    session.subscriptions.reserve_exact(1);
                }
                session.subscriptions.push(subscription);
                filter
            }
        };
        self.subscribe_to(key, &name, options, id, known.is_none());
        Ok(Granted { filter: name, options, new: known.is_none() })
    }

    /// Whether clients may subscribe to a filter at all: of IoT Core's reserved topics only
    /// to some (reference: iot.md, section 5).
    fn may_be_subscribed(&self, filter: &str) -> bool {
        self.settings.limits().dollar_topics
            || !filter.starts_with('$')
            || filter.starts_with("$aws/events/")
            || filter.starts_with("$aws/things/")
    }

    fn deny_subscription(&mut self, key: Key, filter: &str) -> Result<Option<ReasonCode>, Fault> {
        let how = self.settings.limits().denied_subscribe;
        let session = &self.sessions[key as usize];
        let v5 = session.version == Version::V5;
        let Some(live) = session.live() else { return Ok(None) };
        let Some(access) = &live.access else { return Ok(None) };
        let resource = Resource::TopicFilter(filter);
        if access.allows(Action::Subscribe, resource) {
            return Ok(None);
        }
        let explanation = access.explain(Action::Subscribe, resource).to_string();
        self.tell_denied(live, &explanation);
        match (how, v5) {
            (Denied::Close, _) | (Denied::ByVersion, false) => Err(Fault {
                reason: ReasonCode::NotAuthorized,
                cause: DisconnectReason::ForbiddenAccess,
                what: explanation.into(),
            }),
            (Denied::Conceal, _) => Ok(Some(ReasonCode::UnspecifiedError)),
            _ => Ok(Some(ReasonCode::NotAuthorized)),
        }
    }

    /// Puts a session among the subscribers of a filter, or gives it other options there.
    pub(super) fn subscribe_to(
        &mut self,
        key: Key,
        filter: &str,
        options: SubscribeOptions,
        id: Option<u32>,
        new: bool,
    ) {
        self.figures.subscriptions.add(u64::from(new));
        if let Some(SharedFilter { group, filter }) = SharedFilter::parse(filter) {
            let member = self.member(key, options, id);
            return self.directory.join(group, filter, member);
        }
        let subscriber = Subscriber { key, options, id };
        let subscribers = self.index.get_or_default(filter);
        if subscribers.is_empty() {
            // Most filters have one.
            subscribers.reserve_exact(1);
        }
        match subscribers.iter_mut().find(|known| !new && known.key == key) {
            Some(known) => *known = subscriber,
            None => subscribers.push(subscriber),
        }
        if new {
            self.directory.add_interest(filter, self.shard);
        }
        let parent = self.settings.parent();
        self.routes.forget(Some(filter), parent);
    }

    fn member(&mut self, key: Key, options: SubscribeOptions, id: Option<u32>) -> Member {
        let shard = self.shard;
        let session = &mut self.sessions[key as usize];
        let connected = session.live().is_some();
        let online = session.online.get_or_insert_with(|| Arc::new(AtomicBool::new(connected)));
        Member {
            shard,
            client_id: Arc::clone(&session.client_id),
            qos: options.qos,
            retain_as_published: options.retain_as_published,
            subscription_id: id,
            online: Arc::clone(online),
        }
    }

    /// Tells other nodes that a member of shared subscriptions has connected, or gone: they
    /// choose by how many are connected here.
    pub(super) fn tell_presence(&self, key: Key) {
        let session = self.sessions.get(key as usize).filter(|session| session.online.is_some());
        let Some(session) = session.filter(|_| self.mesh.is_some()) else { return };
        let filters = session.subscriptions.iter().map(|subscription| &*subscription.filter);
        for SharedFilter { group, filter } in filters.filter_map(SharedFilter::parse) {
            self.directory.presence_changed(group, filter);
        }
    }

    /// Takes an UNSUBSCRIBE.
    ///
    /// # Errors
    ///
    /// Where it has more filters than a session can have.
    pub(super) fn unsubscribe(
        &mut self,
        key: Key,
        unsubscribe: &Unsubscribe<'_>,
    ) -> Result<(), Fault> {
        self.flush_burst();
        if unsubscribe.filters().count() > self.settings.limits().max_subscriptions {
            let what = "an UNSUBSCRIBE of more filters than realtime.limits.max_subscriptions";
            return Err(Fault::client(ReasonCode::QuotaExceeded, what));
        }
        let mut reasons = Vec::new();
        let mut gone = Vec::new();
        for filter in unsubscribe.filters() {
            let subscriptions = &mut self.sessions[key as usize].subscriptions;
            let known = subscriptions.iter().position(|known| *known.filter == *filter);
            reasons.push(match known {
                Some(at) => {
                    gone.push(subscriptions.swap_remove(at).filter);
                    self.unsubscribe_from(key, filter);
                    self.forget_replay(key, filter);
                    ReasonCode::Success
                }
                // IoT Core does not tell (reference: iot.md, section 4).
                None if self.settings.model.profile == Profile::Aws => ReasonCode::Success,
                None => ReasonCode::NoSubscriptionExisted,
            });
        }
        self.keep_session(key);
        let mut packet = Vec::new();
        let version = self.sessions[key as usize].version;
        mqtt::encode_unsuback(version, unsubscribe.packet_id, &reasons, &mut packet);
        self.answer(key, &packet);
        self.publish_unsubscribed(key, gone.iter().map(|filter| &**filter));
        Ok(())
    }
}

fn granted_reason(options: SubscribeOptions) -> ReasonCode {
    match options.qos {
        mqtt::QoS::AtMostOnce => ReasonCode::Success,
        mqtt::QoS::AtLeastOnce => ReasonCode::GrantedQoS1,
        mqtt::QoS::ExactlyOnce => ReasonCode::GrantedQoS2,
    }
}
