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
        let mut reasons = Vec::new();
        let mut granted = Vec::new();
        for (filter, options) in subscribe.filters() {
            match self.grant(key, filter, options, subscribe.subscription_id)? {
                Some(Ok(new)) => {
                    reasons.push(granted_reason(new.options));
                    granted.push(new);
                }
                Some(Err(reason)) => reasons.push(reason),
                // IoT Core does not acknowledge what asks for QoS 2.
                None => return Ok(()),
            }
        }
        self.keep_session(key);
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

    /// Subscribes to one filter, or says why not.
    fn grant(
        &mut self,
        key: Key,
        filter: &str,
        mut options: SubscribeOptions,
        id: Option<u32>,
    ) -> Result<Option<Result<Granted, ReasonCode>>, Fault> {
        let settings = Arc::clone(&self.settings);
        let limits = settings.limits();
        let v5 = self.sessions[key as usize].version == Version::V5;
        if options.qos as u8 > limits.max_qos {
            if !limits.qos2_downgrade && !v5 {
                return Ok(None);
            }
            options.qos = settings.max_qos();
        }
        let shared = SharedFilter::parse(filter);
        if shared.is_some() && !limits.shared_subscriptions {
            return Ok(Some(Err(ReasonCode::SharedSubscriptionsNotSupported)));
        }
        let plain = shared.map_or(filter, |shared| shared.filter);
        if settings.fits(plain).is_err() || !self.may_be_subscribed(plain) {
            return Ok(Some(Err(ReasonCode::TopicFilterInvalid)));
        }
        if let Some(denied) = self.deny_subscription(key, filter, limits.denied_subscribe, v5)? {
            return Ok(Some(Err(denied)));
        }
        if let Some(SharedFilter { group, filter }) = shared {
            let client_id = &self.sessions[key as usize].client_id;
            let (groups, members) = (limits.max_shared_groups, limits.max_shared_members);
            if !self.directory.may_join(group, filter, client_id, groups, members) {
                return Ok(Some(Err(ReasonCode::QuotaExceeded)));
            }
        }
        let session = &mut self.sessions[key as usize];
        let known = session.subscriptions.iter().position(|known| *known.filter == *filter);
        if known.is_none() && session.subscriptions.len() >= limits.max_subscriptions {
            return Ok(Some(Err(ReasonCode::QuotaExceeded)));
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
        Ok(Some(Ok(Granted { filter: name, options, new: known.is_none() })))
    }

    /// Whether clients may subscribe to a filter at all: of IoT Core's reserved topics only
    /// to some (reference: iot.md, section 5).
    fn may_be_subscribed(&self, filter: &str) -> bool {
        self.settings.limits().dollar_topics
            || !filter.starts_with('$')
            || filter.starts_with("$aws/events/")
            || filter.starts_with("$aws/things/")
    }

    fn deny_subscription(
        &mut self,
        key: Key,
        filter: &str,
        how: Denied,
        v5: bool,
    ) -> Result<Option<ReasonCode>, Fault> {
        let Some(live) = self.sessions[key as usize].live() else { return Ok(None) };
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
