//! What happens at the realtime endpoint, owned, as a record of the log.
//!
//! Each client that comes and goes makes two of them, and thousands may come in a second: a
//! record is small, and made with few allocations.

use std::borrow::Cow;
use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

use fanwire_realtime::RealtimeEvent;
use serde::ser::SerializeMap as _;
use serde::{Serialize, Serializer};
use serde_json::Value;

/// Something that happened at the realtime endpoint.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct RealtimeRecord {
    /// What: `connected`, `refused`, `disconnected`, `denied`, and so on.
    pub(crate) event: Cow<'static, str>,
    /// Whose, where it is a client's; empty otherwise.
    pub(crate) client_id: Box<str>,
    /// The client's principal; empty where nobody was asked.
    pub(crate) principal: Box<str>,
    /// What else is known, by the names that JSON has for it.
    facts: Vec<(Cow<'static, str>, Fact)>,
    /// Why, for people, where something went wrong or is odd.
    pub(crate) why: Option<Box<str>>,
    /// How often it happened, the last time like this.
    pub(crate) times: u64,
}

/// One thing that is known of an event.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
enum Fact {
    Address(IpAddr),
    Flag(bool),
    Count(u64),
    Milliseconds(f64),
    Text(Cow<'static, str>),
}

/// The events that tell of nothing wrong.
const GOOD: [&str; 2] = ["connected", "disconnected"];

// === impl RealtimeRecord ===

impl RealtimeRecord {
    pub(crate) fn of(event: &RealtimeEvent<'_>) -> Self {
        let record = |event: &'static str, client_id: &str, principal: &str| Self {
            event: Cow::Borrowed(event),
            client_id: client_id.into(),
            principal: principal.into(),
            facts: Vec::new(),
            why: None,
            times: 1,
        };
        match event {
            RealtimeEvent::Connected {
                client_id,
                principal,
                source_ip,
                protocol,
                resumed,
                authorized_in,
            } => {
                let mut connected = record("connected", client_id, principal);
                // What most have: room for that and no more.
                connected.facts.reserve_exact(2);
                connected
                    .fact("sourceIp", Fact::Address(*source_ip))
                    .fact("protocol", Fact::Text(Cow::Borrowed(protocol)))
                    .fact_if("resumed", resumed.then_some(Fact::Flag(true)))
                    .fact_if("authorizedMs", authorized_in.map(Fact::milliseconds))
            }
            RealtimeEvent::Refused { client_id, source_ip, why } => {
                record("refused", client_id, "")
                    .fact("sourceIp", Fact::Address(*source_ip))
                    .why(why)
            }
            RealtimeEvent::Disconnected { client_id, principal, reason, detail } => {
                let reason = Fact::Text(Cow::Borrowed(reason.as_str()));
                let mut disconnected = record("disconnected", client_id, principal);
                disconnected.facts.reserve_exact(1);
                disconnected.fact("reason", reason).why(detail)
            }
            RealtimeEvent::Denied { client_id, principal, explanation } => {
                record("denied", client_id, principal).why(explanation)
            }
            RealtimeEvent::Note { client_id, note } => record("note", client_id, "").why(note),
            RealtimeEvent::Dropped { client_id, messages, why } => {
                record("dropped", client_id, "").fact("messages", Fact::Count(*messages)).why(why)
            }
            RealtimeEvent::StoreFailed { why } => record("store-failed", "", "").why(why),
            RealtimeEvent::KeysFailed { why } => record("keys-failed", "", "").why(why),
            RealtimeEvent::Rule { rule, topic, why } => record("rule", "", "")
                .fact("rule", Fact::text(rule))
                .fact("topic", Fact::text(topic))
                .why(why),
            // One that this program does not know yet is shown as it is.
            other => record("event", "", "").why(&format!("{other:?}")),
        }
    }

    /// Whether it tells of something that went wrong.
    pub(crate) fn is_bad(&self) -> bool {
        !GOOD.contains(&&*self.event)
    }

    /// Whose looping makes this come over and over, a client's or a rule's. `None` for what
    /// comes once a connection.
    pub(super) fn repeats(&self) -> Option<&str> {
        match &*self.event {
            "connected" | "disconnected" => None,
            "rule" => match self.get("rule")? {
                Fact::Text(rule) => Some(rule),
                _ => None,
            },
            _ => Some(&self.client_id),
        }
    }

    /// How many messages it tells of, where it counts them.
    pub(super) fn messages(&self) -> Option<u64> {
        match self.get("messages")? {
            Fact::Count(count) => Some(*count),
            _ => None,
        }
    }

    /// Becomes what is told of this and an earlier one of its kind: this one, with the sum
    /// of what they count.
    pub(super) fn join(&mut self, earlier: &Self) {
        let Some(before) = earlier.messages() else { return };
        for (name, fact) in &mut self.facts {
            if let ("messages", Fact::Count(now)) = (&**name, fact) {
                *now += before;
            }
        }
    }

    /// Reads what was written as JSON.
    pub(super) fn of_json(line: &Value) -> Option<Self> {
        let text = |name: &str| line[name].as_str().map(Box::from);
        let known = ["type", "event", "clientId", "principal", "why", "times", "time"];
        let facts = line.as_object()?.iter().filter(|(name, _)| !known.contains(&name.as_str()));
        let facts = facts.filter_map(|(name, fact)| Some((name.clone().into(), Fact::of(fact)?)));
        Some(Self {
            event: line["event"].as_str()?.to_owned().into(),
            client_id: text("clientId").unwrap_or_default(),
            principal: text("principal").unwrap_or_default(),
            facts: facts.collect(),
            why: text("why"),
            times: line["times"].as_u64().unwrap_or(1),
        })
    }

    /// The facts for people, in one line.
    pub(super) fn described(&self) -> String {
        let mut parts: Vec<String> = self
            .facts
            .iter()
            .map(|(name, fact)| match &**name {
                "resumed" => "session resumed".to_owned(),
                "authorizedMs" => format!("authorized in {fact} ms"),
                "messages" => format!("{fact} messages"),
                _ => fact.to_string(),
            })
            .collect();
        if self.times > 1 {
            parts.push(format!("{} times", self.times));
        }
        parts.join(" ")
    }

    fn get(&self, name: &str) -> Option<&Fact> {
        self.facts.iter().find(|(known, _)| known == name).map(|(_, fact)| fact)
    }

    fn fact(mut self, name: &'static str, fact: Fact) -> Self {
        self.facts.push((Cow::Borrowed(name), fact));
        self
    }

    fn fact_if(self, name: &'static str, fact: Option<Fact>) -> Self {
        match fact {
            Some(fact) => self.fact(name, fact),
            None => self,
        }
    }

    fn why(mut self, why: &str) -> Self {
        self.why = (!why.is_empty()).then(|| Box::from(why));
        self
    }
}

/// As it stands in the log, but for its time.
impl Serialize for RealtimeRecord {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("type", "realtime")?;
        map.serialize_entry("event", &self.event)?;
        let texts = [("clientId", &self.client_id), ("principal", &self.principal)];
        for (name, text) in texts.into_iter().filter(|(_, text)| !text.is_empty()) {
            map.serialize_entry(name, text)?;
        }
        for (name, fact) in &self.facts {
            map.serialize_entry(name, fact)?;
        }
        if let Some(why) = &self.why {
            map.serialize_entry("why", why)?;
        }
        if self.times > 1 {
            map.serialize_entry("times", &self.times)?;
        }
        map.end()
    }
}

// === impl Fact ===

impl Fact {
    fn text(text: &str) -> Self {
        Self::Text(Cow::Owned(text.to_owned()))
    }

    fn milliseconds(took: Duration) -> Self {
        Self::Milliseconds(took.as_secs_f64() * 1000.0)
    }

    /// What a value of JSON stands for.
    fn of(value: &Value) -> Option<Self> {
        let number = || value.as_u64().map(Self::Count).or(value.as_f64().map(Self::Milliseconds));
        let flag = || value.as_bool().map(Self::Flag);
        let text = || value.as_str().map(Self::text);
        number().or_else(flag).or_else(text)
    }
}

impl fmt::Display for Fact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(address) => address.fmt(f),
            Self::Flag(flag) => flag.fmt(f),
            Self::Count(count) => count.fmt(f),
            Self::Milliseconds(took) => write!(f, "{took:.1}"),
            Self::Text(text) => text.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_told_and_read_again() {
        let event = RealtimeEvent::Connected {
            client_id: "c",
            principal: "p",
            source_ip: [127, 0, 0, 1].into(),
            protocol: "MQTT 5",
            resumed: true,
            authorized_in: Some(std::time::Duration::from_micros(1500)),
        };
        let record = RealtimeRecord::of(&event);
        assert_eq!(record.described(), "127.0.0.1 MQTT 5 session resumed authorized in 1.5 ms");
        assert!(!record.is_bad());
        let again = |record: &RealtimeRecord| {
            let line = serde_json::to_value(record).unwrap();
            let again = RealtimeRecord::of_json(&line).unwrap();
            assert_eq!(serde_json::to_value(&again).unwrap(), line);
            again.described()
        };
        assert_eq!(again(&record), record.described());
        let denied = RealtimeEvent::Denied { client_id: "c", principal: "", explanation: "no" };
        let record = RealtimeRecord::of(&denied);
        assert!(record.is_bad());
        assert_eq!(again(&record), "");
    }
}
