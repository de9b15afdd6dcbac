//! What happens at the realtime endpoint, owned: an object of JSON, or a line for people.

use std::fmt;
use std::net::IpAddr;

use fanwire_realtime::RealtimeEvent;
use serde::{Deserialize, Serialize};

/// What has happened.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub(crate) enum RealtimeRecord {
    Connected {
        client_id: String,
        principal: String,
        source_ip: IpAddr,
        protocol: String,
        resumed: bool,
        /// How long its authorizer took, where one was asked.
        authorized_ms: Option<f64>,
    },
    Refused {
        client_id: String,
        source_ip: IpAddr,
        why: String,
    },
    Disconnected {
        client_id: String,
        principal: String,
        reason: String,
        detail: String,
    },
    Denied {
        client_id: String,
        principal: String,
        explanation: String,
    },
    Note {
        client_id: String,
        note: String,
    },
    Dropped {
        client_id: String,
        messages: u64,
        why: String,
    },
    StoreFailed {
        why: String,
    },
    Rule {
        rule: String,
        topic: String,
        why: String,
    },
}

// === impl RealtimeRecord ===

impl RealtimeRecord {
    /// `None` for what is not told.
    pub(crate) fn of(event: &RealtimeEvent<'_>) -> Option<Self> {
        Some(match *event {
            RealtimeEvent::Connected {
                client_id,
                principal,
                source_ip,
                protocol,
                resumed,
                authorized_in,
            } => Self::Connected {
                client_id: client_id.to_owned(),
                principal: principal.to_owned(),
                source_ip,
                protocol: protocol.to_owned(),
                resumed,
                authorized_ms: authorized_in.map(|time| time.as_secs_f64() * 1000.0),
            },
            RealtimeEvent::Refused { client_id, source_ip, why } => {
                Self::Refused { client_id: client_id.to_owned(), source_ip, why: why.to_owned() }
            }
            RealtimeEvent::Disconnected { client_id, principal, reason, detail } => {
                Self::Disconnected {
                    client_id: client_id.to_owned(),
                    principal: principal.to_owned(),
                    reason: reason.as_str().to_owned(),
                    detail: detail.to_owned(),
                }
            }
            RealtimeEvent::Denied { client_id, principal, explanation } => Self::Denied {
                client_id: client_id.to_owned(),
                principal: principal.to_owned(),
                explanation: explanation.to_owned(),
            },
            RealtimeEvent::Note { client_id, note } => {
                Self::Note { client_id: client_id.to_owned(), note: note.to_owned() }
            }
            RealtimeEvent::Dropped { client_id, messages, why } => {
                Self::Dropped { client_id: client_id.to_owned(), messages, why: why.to_owned() }
            }
            RealtimeEvent::StoreFailed { why } => Self::StoreFailed { why: why.to_owned() },
            RealtimeEvent::Rule { rule, topic, why } => {
                Self::Rule { rule: rule.to_owned(), topic: topic.to_owned(), why: why.to_owned() }
            }
            _ => return None,
        })
    }

    /// What of this kind may come over and over from the same client or rule, by a name for
    /// the kind, and who that is. `None` for what comes once a connection.
    pub(super) fn repeats(&self) -> Option<(&'static str, &str)> {
        match self {
            Self::Connected { .. } | Self::Disconnected { .. } => None,
            // Whoever is refused chose its id: it would get around a bound for each of them.
            Self::Refused { .. } => Some(("refused", "")),
            Self::Denied { client_id, .. } => Some(("denied", client_id)),
            Self::Note { client_id, .. } => Some(("note", client_id)),
            Self::Dropped { client_id, .. } => Some(("dropped", client_id)),
            Self::StoreFailed { .. } => Some(("store", "")),
            Self::Rule { rule, .. } => Some(("rule", rule)),
        }
    }

    /// Becomes what is told of this and an earlier one of its kind: the later one, with the
    /// sum of what they count.
    pub(super) fn join(&mut self, earlier: &Self) {
        if let (Self::Dropped { messages, .. }, Self::Dropped { messages: before, .. }) =
            (self, earlier)
        {
            *messages += before;
        }
    }

    /// The bytes of its longest text.
    pub(super) fn size(&self) -> usize {
        match self {
            Self::Connected { .. } => 0,
            Self::Disconnected { detail: text, .. }
            | Self::Denied { explanation: text, .. }
            | Self::Note { note: text, .. }
            | Self::Refused { why: text, .. }
            | Self::Dropped { why: text, .. }
            | Self::StoreFailed { why: text }
            | Self::Rule { why: text, .. } => text.len(),
        }
    }

    /// What a line for people begins with, in twelve columns.
    pub(crate) fn title(&self) -> &'static str {
        match self {
            Self::Connected { .. } => "MQTT connect",
            Self::Refused { .. } => "MQTT refused",
            Self::Disconnected { .. } => "MQTT close",
            Self::Denied { .. } => "MQTT denied",
            Self::Note { .. } => "MQTT note",
            Self::Dropped { .. } => "MQTT dropped",
            Self::StoreFailed { .. } => "MQTT store",
            Self::Rule { .. } => "MQTT rule",
        }
    }

    /// The client that it is about, or the rule.
    pub(crate) fn whose(&self) -> &str {
        match self {
            Self::Connected { client_id, .. }
            | Self::Refused { client_id, .. }
            | Self::Disconnected { client_id, .. }
            | Self::Denied { client_id, .. }
            | Self::Note { client_id, .. }
            | Self::Dropped { client_id, .. } => client_id,
            Self::Rule { rule, .. } => rule,
            Self::StoreFailed { .. } => "",
        }
    }

    /// Whether somebody should look at it.
    pub(crate) fn is_trouble(&self) -> bool {
        !matches!(self, Self::Connected { .. } | Self::Disconnected { .. } | Self::Note { .. })
    }
}

/// What is said beside the title and the client.
impl fmt::Display for RealtimeRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Connected { principal, source_ip, protocol, resumed, authorized_ms, .. } => {
                write_principal(f, principal)?;
                write!(f, "{protocol} from {source_ip}")?;
                if *resumed {
                    f.write_str(" session resumed")?;
                }
                authorized_ms.map_or(Ok(()), |millis| write!(f, " {millis:.1} ms"))
            }
            Self::Refused { source_ip, why, .. } => write!(f, "from {source_ip} {why}"),
            Self::Disconnected { principal, reason, detail, .. } => {
                write_principal(f, principal)?;
                f.write_str(reason)?;
                if detail.is_empty() { Ok(()) } else { write!(f, " {detail}") }
            }
            Self::Denied { principal, explanation, .. } => {
                write_principal(f, principal)?;
                f.write_str(explanation)
            }
            Self::Note { note, .. } => f.write_str(note),
            Self::Dropped { messages, why, .. } => write!(f, "{messages} messages: {why}"),
            Self::StoreFailed { why } => f.write_str(why),
            Self::Rule { topic, why, .. } => write!(f, "`{topic}`: {why}"),
        }
    }
}

fn write_principal(f: &mut fmt::Formatter<'_>, principal: &str) -> fmt::Result {
    if principal.is_empty() { Ok(()) } else { write!(f, "principal {principal} ") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connect_is_told_in_a_line() {
        let event = RealtimeEvent::Connected {
            client_id: "c1",
            principal: "ada",
            source_ip: "127.0.0.1".parse().unwrap(),
            protocol: "MQTT 5",
            resumed: false,
            authorized_in: Some(std::time::Duration::from_micros(12_340)),
        };
        let record = RealtimeRecord::of(&event).unwrap();
        assert_eq!(record.to_string(), "principal ada MQTT 5 from 127.0.0.1 12.3 ms");
        assert_eq!((record.title(), record.whose()), ("MQTT connect", "c1"));
        assert_eq!(record.repeats(), None);
    }
}
