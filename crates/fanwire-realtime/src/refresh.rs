//! Asking an authorizer again, for a connection that lives on (`refreshAfterInSeconds`;
//! reference: iot.md, section 2).

use std::net::IpAddr;
use std::sync::Weak;
use std::time::Instant;

use fanwire_hub::ConnectionId;
use fanwire_policy::Subject;
use fanwire_wire::mqtt::{Connect, Version};

use crate::handshake::{Arrival, Question, bind};
use crate::plane::Inner;
use crate::session::Command;
use crate::{Realtime, RealtimeEvent};

/// What is needed to ask again.
pub(crate) struct Refresh {
    plane: Weak<Inner>,
    /// What was asked the first time, and is asked again.
    question: Question,
    owner: Owner,
    /// When to ask; `None` while it is asked.
    pub(crate) due: Option<Instant>,
}

/// Who the policy is for.
#[derive(Debug, Clone)]
pub(crate) struct Owner {
    client_id: Box<str>,
    principal: Box<str>,
    source_ip: IpAddr,
    domain_name: Option<Box<str>>,
    persistent: bool,
    will_topic: Option<Box<str>>,
}

// === impl Owner ===

impl Owner {
    pub(crate) fn of(
        client_id: &str,
        principal: &str,
        arrival: &Arrival,
        connect: &Connect<'_>,
    ) -> Self {
        let persistent = match connect.version {
            Version::V5 => connect.properties.session_expiry.is_some_and(|expiry| expiry > 0),
            _ => !connect.clean_start,
        };
        Self {
            client_id: client_id.into(),
            principal: principal.into(),
            source_ip: arrival.peer.ip(),
            domain_name: arrival.domain_name().map(Into::into),
            persistent,
            will_topic: connect.will.map(|will| will.topic.into()),
        }
    }

    pub(crate) fn subject(&self) -> Subject<'_> {
        Subject {
            client_id: &self.client_id,
            source_ip: Some(self.source_ip),
            principal: Some(&self.principal).filter(|name| !name.is_empty()).map(|name| &**name),
            domain_name: self.domain_name.as_deref(),
            persistent: self.persistent,
            will_topic: self.will_topic.as_deref(),
            ..Subject::default()
        }
    }
}

// === impl Refresh ===

impl Refresh {
    pub(crate) fn new(plane: &Realtime, question: Question, owner: Owner, due: Instant) -> Self {
        let plane = std::sync::Arc::downgrade(&plane.inner);
        Self { plane, question, owner, due: Some(due) }
    }

    /// Asks, on the runtime; the connection hears of the answer.
    pub(crate) fn ask(&self, id: ConnectionId) {
        let Some(inner) = self.plane.upgrade() else { return };
        let (question, owner) = (self.question.clone(), self.owner.clone());
        let plane = Realtime { inner };
        let runtime = plane.inner.runtime.clone();
        runtime.spawn(async move {
            let command = match plane.put(&question).await {
                Ok(answer) => {
                    plane.tell_notes(&owner.client_id, &answer.notes);
                    let now = plane.inner.hub.clock().now();
                    Command::Refreshed {
                        access: bind(&plane.share(answer.policies), &owner.subject()),
                        again: answer.refresh_after.map(|after| now + after),
                    }
                }
                Err(why) => {
                    let explanation = format!("its policy cannot be had again: {why}");
                    plane.inner.observer.observe(&RealtimeEvent::Denied {
                        client_id: &owner.client_id,
                        principal: &owner.principal,
                        explanation: &explanation,
                    });
                    Command::RefreshFailed
                }
            };
            // One for each connection and time that it asks.
            plane.inner.hub.reply(id, command);
        });
    }
}
