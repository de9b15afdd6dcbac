//! What happens at the realtime endpoint, owned, as a record of the log.

use fanwire_realtime::RealtimeEvent;
use serde_json::{Map, Value, json};

/// Something that happened at the realtime endpoint.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct RealtimeRecord {
    /// What: `connected`, `refused`, `disconnected`, `denied`, and so on.
    pub(crate) event: String,
    /// Whose, where it is a client's; empty otherwise.
    pub(crate) client_id: String,
    /// The client's principal; empty where nobody was asked.
    pub(crate) principal: String,
    /// What else is known, by the names that JSON has for it.
    pub(crate) facts: Map<String, Value>,
    /// Why, for people, where something went wrong or is odd.
    pub(crate) why: Option<String>,
    /// How often it happened, the last time like this.
    pub(crate) times: u64,
}

/// The events that tell of nothing wrong.
const GOOD: [&str; 2] = ["connected", "disconnected"];

// === impl RealtimeRecord ===

impl RealtimeRecord {
    pub(crate) fn of(event: &RealtimeEvent<'_>) -> Self {
        let record = |event: &str, client_id: &str, principal: &str| Self {
            event: event.to_owned(),
            client_id: client_id.to_owned(),
            principal: principal.to_owned(),
            facts: Map::new(),
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
            } => record("connected", client_id, principal)
                .fact("sourceIp", json!(source_ip))
                .fact("protocol", json!(protocol))
                .fact("resumed", json!(resumed))
                .fact("authorizedMs", json!(authorized_in.map(|took| took.as_secs_f64() * 1000.0))),
            RealtimeEvent::Refused { client_id, source_ip, why } => {
                record("refused", client_id, "").fact("sourceIp", json!(source_ip)).why(why)
            }
            RealtimeEvent::Disconnected { client_id, principal, reason, detail } => {
                record("disconnected", client_id, principal)
                    .fact("reason", json!(reason.as_str()))
                    .why(detail)
            }
            RealtimeEvent::Denied { client_id, principal, explanation } => {
                record("denied", client_id, principal).why(explanation)
            }
            RealtimeEvent::Note { client_id, note } => record("note", client_id, "").why(note),
            RealtimeEvent::Dropped { client_id, messages, why } => {
                record("dropped", client_id, "").fact("messages", json!(messages)).why(why)
            }
            RealtimeEvent::StoreFailed { why } => record("store-failed", "", "").why(why),
            RealtimeEvent::KeysFailed { why } => record("keys-failed", "", "").why(why),
            RealtimeEvent::Rule { rule, topic, why } => record("rule", "", "")
                .fact("rule", json!(rule))
                .fact("topic", json!(topic))
                .why(why),
            // One that this program does not know yet is shown as it is.
            other => record("event", "", "").why(&format!("{other:?}")),
        }
    }

    /// Whether it tells of something that went wrong.
    pub(crate) fn is_bad(&self) -> bool {
        !GOOD.contains(&self.event.as_str())
    }

    /// Whose looping makes this come over and over, a client's or a rule's. `None` for what
    /// comes once a connection.
    pub(super) fn repeats(&self) -> Option<&str> {
        match self.event.as_str() {
            "connected" | "disconnected" => None,
            "rule" => self.facts.get("rule").and_then(Value::as_str),
            _ => Some(&self.client_id),
        }
    }

    /// Becomes what is told of this and an earlier one of its kind: this one, with the sum
    /// of what they count.
    pub(super) fn join(&mut self, earlier: &Self) {
        let count = |record: &Self| record.facts.get("messages").and_then(Value::as_u64);
        if let (Some(now), Some(before)) = (count(self), count(earlier)) {
            self.facts["messages"] = json!(now + before);
        }
    }

    /// The record as JSON, without its time.
    pub(super) fn to_json(&self) -> Value {
        let mut value = json!({ "type": "realtime", "event": self.event });
        let texts = [("clientId", &self.client_id), ("principal", &self.principal)];
        for (name, text) in texts.into_iter().filter(|(_, text)| !text.is_empty()) {
            value[name] = json!(text);
        }
        for (name, fact) in &self.facts {
            value[name] = fact.clone();
        }
        if let Some(why) = &self.why {
            value["why"] = json!(why);
        }
        if self.times > 1 {
            value["times"] = json!(self.times);
        }
        value
    }

    /// Reads what [`to_json`](Self::to_json) wrote.
    pub(super) fn of_json(line: &Value) -> Option<Self> {
        let text = |name: &str| line[name].as_str().map(str::to_owned);
        let known = ["type", "event", "clientId", "principal", "why", "times", "time"];
        let facts = line.as_object()?.iter().filter(|(name, _)| !known.contains(&name.as_str()));
        Some(Self {
            event: text("event")?,
            client_id: text("clientId").unwrap_or_default(),
            principal: text("principal").unwrap_or_default(),
            facts: facts.map(|(name, fact)| (name.clone(), fact.clone())).collect(),
            why: text("why"),
            times: line["times"].as_u64().unwrap_or(1),
        })
    }

    /// The facts for people, in one line.
    pub(super) fn described(&self) -> String {
        let mut parts = Vec::new();
        for (name, fact) in &self.facts {
            let text = fact.as_str().map_or_else(|| fact.to_string(), str::to_owned);
            match (name.as_str(), fact) {
                (_, Value::Null) | ("resumed", Value::Bool(false)) => {}
                ("resumed", _) => parts.push("session resumed".to_owned()),
                ("authorizedMs", fact) => {
                    let took = fact.as_f64().unwrap_or_default();
                    parts.push(format!("authorized in {took:.1} ms"));
                }
                ("messages", _) => parts.push(format!("{text} messages")),
                _ => parts.push(text),
            }
        }
        if self.times > 1 {
            parts.push(format!("{} times", self.times));
        }
        parts.join(" ")
    }

    fn fact(mut self, name: &str, value: Value) -> Self {
        self.facts.insert(name.to_owned(), value);
        self
    }

    fn why(mut self, why: &str) -> Self {
        self.why = Some(why.to_owned()).filter(|why| !why.is_empty());
        self
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
        assert_eq!(RealtimeRecord::of_json(&record.to_json()), Some(record));
        let denied = RealtimeEvent::Denied { client_id: "c", principal: "", explanation: "no" };
        let record = RealtimeRecord::of(&denied);
        assert!(record.is_bad());
        assert_eq!(RealtimeRecord::of_json(&record.to_json()), Some(record));
    }
}
