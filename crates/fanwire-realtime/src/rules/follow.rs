//! The task of a rule: message by message, in the order that they came.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use fanwire_app::model::TopicRule;
use fanwire_functions::InvokeError;
use fanwire_rules::{Failure, Rule, Selected, error_payload, uuid};
use fanwire_wire::trace::{Span, TraceContext};

use super::Ground;
use super::backlog::{Backlog, Bounds, Waiting};
use super::invoke::Invoke;
use super::native::Native;
use super::seldom::Seldom;
use crate::{Message, NativeMessage, Observer, RealtimeEvent, TracedCall, TracedWork};

/// What is waited for a function that is throttled, at first and at the most.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// What AWS calls the action that a rule has here.
const ACTION: &str = "LambdaAction";

/// Why `SELECT *` of a payload that is not JSON fails.
const NOT_JSON: &str = "the payload is not JSON, and a function takes nothing else; \
                        select `encode(*, 'base64') AS data`";

/// Evaluates a rule's statement, and calls its function.
pub(super) struct Follower {
    name: String,
    function: String,
    error_function: Option<String>,
    statement: Rule,
    /// Whether the statement selects every payload as it is.
    is_plain: bool,
    /// What takes the messages instead of the function.
    native: Option<Native>,
    functions: Arc<dyn Invoke>,
    observer: Arc<dyn Observer>,
    account_id: Arc<str>,
    failures: Seldom,
    drops: Seldom,
    /// How many dropped messages were told of.
    drops_told: u64,
}

/// Why a task ends before its backlog does.
struct ShuttingDown;

// === impl Follower ===

impl Follower {
    pub(super) fn new(
        name: &str,
        rule: &TopicRule,
        statement: Rule,
        native: Option<Native>,
        ground: &Ground,
    ) -> Self {
        Self {
            name: name.to_owned(),
            function: rule.function.clone(),
            error_function: rule.error_function.clone(),
            statement,
            is_plain: rule.plain_filter().is_some(),
            native,
            functions: Arc::clone(&ground.functions),
            observer: Arc::clone(&ground.observer),
            account_id: Arc::clone(&ground.account_id),
            failures: Seldom::default(),
            drops: Seldom::default(),
            drops_told: 0,
        }
    }

    /// Runs until the rule is gone and its backlog empty, or functions shut down.
    pub(super) async fn run(mut self, mut backlog: Backlog) {
        while let Some(waiting) = backlog.next().await {
            let taken = self.take(&waiting, &backlog).await;
            backlog.done(&waiting);
            if taken.is_err() {
                backlog.counters.dropped();
                backlog.close();
                let lost = backlog.counters.stats().dropped - self.drops_told;
                let why = format!("the server stops; {lost} messages are dropped");
                return self.tell(&waiting.message.topic, &why);
            }
            self.tell_of_drops(&waiting.message.topic, &backlog);
        }
    }

    async fn take(&mut self, waiting: &Waiting, backlog: &Backlog) -> Result<(), ShuttingDown> {
        let message = &waiting.message;
        if let (true, Some(native)) = (self.is_plain, self.native.clone()) {
            // Nothing has to be evaluated, and the payload need not be JSON.
            self.give(&native, waiting, message.payload.clone(), backlog).await;
            return Ok(());
        }
        let (user, account_id) = (user_properties(message), Arc::clone(&self.account_id));
        let client_id = message.publisher.as_ref().and_then(|publisher| publisher.client());
        let trace_id = client_id.is_some().then(|| uuid(fastrand::u128(..)));
        let view = fanwire_rules::Message {
            topic: message.topic.get(waiting.topic_at..).unwrap_or_default(),
            payload: &message.payload,
            client_id,
            principal: principal(message),
            source_ip: None,
            timestamp_ms: i64::try_from(message.published_at).unwrap_or(i64::MAX),
            properties: message.properties.as_ref().map(|properties| fanwire_rules::Properties {
                utf8_payload: properties.utf8_payload,
                content_type: properties.content_type.as_deref(),
                response_topic: properties.response_topic.as_deref(),
                correlation_data: properties.correlation_data.as_deref(),
                user_properties: &user,
            }),
            account_id: &account_id,
            trace_id: trace_id.as_deref(),
            seed: fastrand::u64(..),
        };
        let event = match self.statement.evaluate(&view) {
            Ok(None) => return Ok(()),
            Ok(Some(Selected::Json(Cow::Borrowed(_)))) => message.payload.clone(),
            Ok(Some(Selected::Json(Cow::Owned(json)))) => Bytes::from(json),
            Ok(Some(Selected::Raw(_))) if self.native.is_some() => message.payload.clone(),
            Ok(Some(Selected::Raw(_))) => return self.fail(&view, NOT_JSON, backlog),
            Err(error) => return self.fail(&view, &error.to_string(), backlog),
        };
        if let Some(native) = self.native.clone() {
            self.give(&native, waiting, event, backlog).await;
            return Ok(());
        }
        let began = Instant::now();
        let span = self.observer.span(parent(message));
        let called = self.call(event, &message.topic, span, backlog).await;
        let error = called.as_ref().err().map(InvokeError::to_string);
        if let Some(span) = span {
            self.observer.traced(&TracedCall {
                span,
                what: TracedWork::Rule { rule: &self.name, topic: &message.topic },
                client_id: client_id.unwrap_or_default(),
                took: began.elapsed(),
                error: error.as_deref(),
            });
        }
        match (called, error) {
            (Err(InvokeError::ShuttingDown), _) => Err(ShuttingDown),
            (_, Some(error)) => self.fail(&view, &error, backlog),
            (_, None) => Ok(()),
        }
    }

    /// Gives what was selected to the subscriber of this process, as soon as it has a place.
    async fn give(
        &mut self,
        native: &Native,
        waiting: &Waiting,
        payload: Bytes,
        backlog: &Backlog,
    ) {
        let place = loop {
            match native.place(LONGEST_PAUSE).await {
                Some(place) => break place,
                None => self.tell_of_drops(&waiting.message.topic, backlog),
            }
        };
        let message = &waiting.message;
        // What Basic Ingest puts before a topic is no part of it.
        let topic = match waiting.topic_at {
            0 => Arc::clone(&message.topic),
            at => message.topic.get(at..).unwrap_or_default().into(),
        };
        let publisher = message.publisher.clone();
        native.begin(NativeMessage { topic, payload, publisher }, place);
    }

    /// Gives an event to the function, as soon as that takes it.
    async fn call(
        &mut self,
        event: Bytes,
        topic: &str,
        span: Option<Span>,
        backlog: &Backlog,
    ) -> Result<(), InvokeError> {
        let mut pause = FIRST_PAUSE;
        loop {
            match self.functions.invoke_event(&self.function, event.clone(), span) {
                Ok(()) => {
                    backlog.counters.called();
                    return Ok(());
                }
                Err(InvokeError::Throttled { .. }) => {
                    tokio::time::sleep(pause).await;
                    pause = (pause * 2).min(LONGEST_PAUSE);
                    self.tell_of_drops(topic, backlog);
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// No event came of a message, or its function cannot take it: the error action is
    /// called where there is one.
    fn fail(
        &mut self,
        message: &fanwire_rules::Message<'_>,
        why: &str,
        backlog: &Backlog,
    ) -> Result<(), ShuttingDown> {
        backlog.counters.failed();
        if let Some(untold) = self.failures.happened() {
            let others =
                if untold > 0 { format!(" (and so for {untold} more)") } else { String::new() };
            self.tell(message.topic, &format!("{why}{others}"));
        }
        let Some(error_function) = &self.error_function else { return Ok(()) };
        let resource = self.functions.arn(&self.function);
        let failure = Failure {
            action: ACTION,
            resource: resource.as_deref().unwrap_or(&self.function),
            message: why,
        };
        let payload = error_payload(&self.name, message, &[failure]);
        match self.functions.invoke_event(error_function, Bytes::from(payload), None) {
            Ok(()) => Ok(()),
            Err(InvokeError::ShuttingDown) => Err(ShuttingDown),
            Err(error) => {
                self.tell(message.topic, &format!("its error action failed, too: {error}"));
                Ok(())
            }
        }
    }

    fn tell(&self, topic: &str, why: &str) {
        self.observer.observe(&RealtimeEvent::Rule { rule: &self.name, topic, why });
    }

    /// Tells how many messages the backlog had no room for since it was told last.
    fn tell_of_drops(&mut self, topic: &str, backlog: &Backlog) {
        let dropped = backlog.counters.stats().dropped;
        if dropped == self.drops_told || self.drops.happened().is_none() {
            return;
        }
        let new = dropped - self.drops_told;
        self.drops_told = dropped;
        let Bounds { messages, bytes } = backlog.counters.bounds;
        let why = format!(
            "{new} messages were dropped: its function takes them more slowly than they come, and \
             {messages} messages or {bytes} bytes are kept for it (realtime.limits.max_rule_events, \
             max_rule_bytes)"
        );
        self.tell(topic, &why);
    }
}

/// Who published a message; `None` where nobody was asked.
fn principal(message: &Message) -> Option<&str> {
    message
        .publisher
        .as_ref()
        .map(|publisher| &*publisher.principal)
        .filter(|name| !name.is_empty())
}

/// The trace that a message is part of: its publisher says so in a user property (the W3C's
/// draft of Trace Context for MQTT).
fn parent(message: &Message) -> Option<TraceContext> {
    let user = &message.properties.as_ref()?.user;
    let mut named = user.as_list().iter().filter(|(name, _)| *name == "traceparent");
    TraceContext::from_traceparent(named.next()?.1)
}

fn user_properties(message: &Message) -> Vec<(&str, &str)> {
    message
        .properties
        .as_ref()
        .map_or_else(Vec::new, |properties| properties.user.as_list().iter().collect())
}
