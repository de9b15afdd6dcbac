//! What one node asks of another about clients of the other: everything that the data plane
//! can do, one message each way.
//!
//! An errand is its description in JSON, and the message where there is one; an answer is
//! JSON. Nobody knows which node a client is on, so all are asked at once, and the first
//! that has it settles the matter.

use std::collections::BTreeSet;
use std::time::Duration;

use bytes::Bytes;
use fanwire_hub::Busy;
use serde::{Deserialize, Serialize};
use tokio::task::JoinSet;

use crate::durable::code::{Corrupt, Reader, Writer};
use crate::durable::record::{read_message, write_message};
use crate::listing::SessionInfo;
use crate::mesh::Node;
use crate::{DirectError, Message, Realtime};

/// Sessions that another node lists, at the most.
const MAX_LISTED: usize = 2_000;

/// The same, in bytes: NATS takes messages of a megabyte.
const MAX_LISTED_BYTES: usize = 768 * 1024;

/// What is to be done. Names are never given another meaning: nodes of several versions
/// work together while they are updated one after the other.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Errand {
    /// Tell of a client's session.
    Session { client_id: String },
    /// Tell of all sessions.
    Sessions,
    /// End the connection of a client.
    Disconnect { client_id: String, clean_session: bool, prevent_will: bool },
    /// Send a client the message that follows.
    Direct { client_id: String, patience_ms: u64 },
}

/// What has become of it.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Reply {
    Session(Option<Box<SessionInfo>>),
    /// With `more` not all of them.
    Sessions {
        sessions: Vec<SessionInfo>,
        more: bool,
    },
    Disconnected(bool),
    Delivered,
    Refused(Refusal),
    /// Nobody has looked.
    Busy,
}

/// [`DirectError`], as far as the asked node can find it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Refusal {
    Away,
    Forbidden,
    Busy,
    TooLong,
    Unconfirmed,
}

/// Nodes that may have a client, which none of the others has, and that do not answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "the client may be on a node that does not answer, or whose sessions are being taken over \
     ({}); try again later", .nodes.join(", ")
)]
pub struct Unreachable {
    /// What people call them.
    pub nodes: Vec<String>,
}

/// Why nothing can be said, or done, about a client.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ClientError {
    /// Too much waits for its shard. Nobody's fault; try again later.
    #[error(transparent)]
    Busy(#[from] Busy),
    /// It may be where nobody can ask. What was asked for may have been done.
    #[error(transparent)]
    Unreachable(#[from] Unreachable),
}

// === impl Realtime ===

impl Realtime {
    /// Does what another node asks about a client of this one; says what came of it.
    pub async fn run_errand(&self, errand: Bytes) -> Bytes {
        let reply = match Errand::decode(&errand) {
            Ok((errand, message)) => self.run(errand, message).await,
            // Of a newer version, which is not to take it for an answer.
            Err(Corrupt(_)) => Reply::Busy,
        };
        // Texts and numbers only: this cannot fail.
        serde_json::to_vec(&reply).unwrap_or_default().into()
    }

    async fn run(&self, errand: Errand, message: Option<Message>) -> Reply {
        match (errand, message) {
            (Errand::Session { client_id }, _) => match self.session_here(&client_id).await {
                Ok(session) => Reply::Session(session.map(Box::new)),
                Err(Busy) => Reply::Busy,
            },
            (Errand::Sessions, _) => match self.sessions_here(MAX_LISTED).await {
                Ok((sessions, more)) => listed(sessions, more),
                Err(Busy) => Reply::Busy,
            },
            (Errand::Disconnect { client_id, clean_session, prevent_will }, _) => {
                let ended = self.disconnect_here(&client_id, clean_session, prevent_will).await;
                ended.map_or(Reply::Busy, Reply::Disconnected)
            }
            (Errand::Direct { client_id, patience_ms }, Some(message)) => {
                let patience = Duration::from_millis(patience_ms);
                match self.send_direct_here(&client_id, message, patience).await {
                    Ok(()) => Reply::Delivered,
                    Err(error) => Refusal::of(&error).map_or(Reply::Busy, Reply::Refused),
                }
            }
            (Errand::Direct { .. }, None) => Reply::Busy,
        }
    }

    /// Has all other nodes do an errand at once, until `settle` has what it needs.
    ///
    /// # Errors
    ///
    /// Where nobody had it: the nodes that have not answered, which may have it; or none.
    pub(crate) async fn ask_others<T>(
        &self,
        errand: &Errand,
        message: Option<&Message>,
        patience: Duration,
        mut settle: impl FnMut(Node, Reply) -> Option<T>,
    ) -> Result<T, Vec<Node>> {
        let (Some(nodes), Some(mesh)) = (&self.inner.nodes, &self.inner.mesh) else {
            return Err(Vec::new());
        };
        let (living, dead) = mesh.peers();
        let mut unheard: BTreeSet<Node> = living.iter().chain(&dead).copied().collect();
        let errand = errand.encode(message);
        let mut asked = JoinSet::new();
        for node in living {
            let answer = nodes.ask(node, errand.clone(), patience);
            asked.spawn_on(async move { (node, answer.await) }, &self.inner.runtime);
        }
        while let Some(answered) = asked.join_next().await {
            let Ok((node, Some(answer))) = answered else { continue };
            match serde_json::from_slice(&answer) {
                // One of a newer version says what this one does not know.
                Ok(Reply::Busy) | Err(_) => continue,
                Ok(reply) => {
                    unheard.remove(&node);
                    if let Some(settled) = settle(node, reply) {
                        return Ok(settled);
                    }
                }
            }
        }
        Err(unheard.into_iter().collect())
    }

    /// What people call a node of the cluster.
    pub(crate) fn name_of(&self, node: Node) -> Option<String> {
        Some(self.inner.nodes.as_ref()?.name(node))
    }

    /// Nothing, where all nodes were heard.
    pub(crate) fn all_heard(&self, unheard: &[Node]) -> Result<(), Unreachable> {
        let nodes: Vec<String> = unheard.iter().filter_map(|node| self.name_of(*node)).collect();
        if nodes.is_empty() { Ok(()) } else { Err(Unreachable { nodes }) }
    }
}

/// As many sessions as go in one answer.
fn listed(mut sessions: Vec<SessionInfo>, mut more: bool) -> Reply {
    let mut bytes = 0;
    let fitting = sessions.iter().take_while(|session| {
        bytes += serde_json::to_vec(session).map_or(0, |text| text.len() + 1);
        bytes <= MAX_LISTED_BYTES
    });
    let fitting = fitting.count().min(MAX_LISTED);
    more |= fitting < sessions.len();
    sessions.truncate(fitting);
    Reply::Sessions { sessions, more }
}

// === impl Errand ===

impl Errand {
    fn encode(&self, message: Option<&Message>) -> Bytes {
        let mut writer = Writer::default();
        // Texts and numbers only: this cannot fail.
        writer.bytes(&serde_json::to_vec(self).unwrap_or_default());
        if let Some(message) = message {
            write_message(message, &mut writer);
        }
        writer.finish().into()
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<(Self, Option<Message>), Corrupt> {
        let mut reader = Reader::new(bytes);
        let errand = serde_json::from_slice(reader.bytes()?);
        let errand = errand.map_err(|_| Corrupt("an errand that this version does not know"))?;
        let message = match errand {
            Self::Direct { .. } => Some(read_message(&mut reader)?),
            _ => None,
        };
        reader.finish()?;
        Ok((errand, message))
    }
}

// === impl Refusal ===

impl Refusal {
    /// `None` where nobody has looked for the client.
    fn of(error: &DirectError) -> Option<Self> {
        Some(match error {
            DirectError::Away => Self::Away,
            DirectError::Forbidden => Self::Forbidden,
            DirectError::Busy => Self::Busy,
            DirectError::TooLong => Self::TooLong,
            DirectError::Unconfirmed => Self::Unconfirmed,
            // The asking node has judged the message: its version, or settings, are others.
            DirectError::Message(_) | DirectError::Unreachable(_) => return None,
        })
    }

    /// `None` where the client is not there.
    pub(crate) fn into_error(self) -> Option<DirectError> {
        match self {
            Self::Away => None,
            Self::Forbidden => Some(DirectError::Forbidden),
            Self::Busy => Some(DirectError::Busy),
            Self::TooLong => Some(DirectError::TooLong),
            Self::Unconfirmed => Some(DirectError::Unconfirmed),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn session(client_id: &str, principal: usize) -> SessionInfo {
        serde_json::from_value(serde_json::json!({
            "clientId": client_id, "principal": "\n".repeat(principal), "connected": true,
            "protocol": "MQTT 5", "keepAlive": 0, "cleanStart": true, "sessionExpiry": 0,
            "subscriptions": [], "queued": 0, "inFlight": 0, "dropped": 0,
        }))
        .unwrap()
    }

    #[test]
    fn an_errand_survives_its_bytes_and_other_bytes_are_none() {
        let errand = Errand::Direct { client_id: "c".into(), patience_ms: 1_000 };
        let message = Message::new("t", "p");
        let bytes = errand.encode(Some(&message));
        let (read, carried) = Errand::decode(&bytes).unwrap();
        assert!(
            matches!(read, Errand::Direct { client_id, patience_ms: 1_000 } if client_id == "c")
        );
        assert_eq!(carried.unwrap().payload, "p");
        assert!(matches!(
            Errand::decode(&Errand::Sessions.encode(None)),
            Ok((Errand::Sessions, None))
        ));
        for end in 0..bytes.len() {
            assert!(Errand::decode(&bytes[..end]).is_err(), "cut at {end}");
        }
        assert!(Errand::decode(&[&bytes[..], b"x"].concat()).is_err());
    }

    #[test]
    fn a_list_ends_where_an_answer_has_no_room_and_says_so() {
        let few = vec![session("a", 1), session("b", 1)];
        let Reply::Sessions { sessions, more: false } = listed(few, false) else { panic!() };
        assert_eq!(sessions.len(), 2);
        // A line feed is two bytes in JSON.
        let large = vec![session("a", 1), session("b", MAX_LISTED_BYTES / 2)];
        let reply = listed(large, false);
        let Reply::Sessions { sessions, more: true } = reply else { panic!("{reply:?}") };
        assert_eq!(sessions.len(), 1);
        let many = (0..=MAX_LISTED).map(|_| session("c", 0)).collect();
        let Reply::Sessions { sessions, more: true } = listed(many, false) else { panic!() };
        assert_eq!(sessions.len(), MAX_LISTED);
    }
}
