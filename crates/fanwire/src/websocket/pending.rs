//! Tags and topics for a connection that is not there yet: while `connect`'s handler runs.

use std::sync::{Arc, Mutex, PoisonError};

use futures_util::future::BoxFuture;

use super::{Body, Delivered, Gateway, Group, Recipients, Reply, SendError};

/// A gateway that keeps in mind what a pending connection shall be in, where the gateway
/// itself says that there is no such connection. It goes out as headers of the handshake's
/// answer (docs/bridges.md).
#[derive(Debug)]
pub(super) struct PendingGateway {
    inner: Arc<dyn Gateway>,
    id: String,
    groups: Mutex<Vec<Group>>,
}

// === impl PendingGateway ===

impl PendingGateway {
    pub(super) fn new(inner: Arc<dyn Gateway>, id: String) -> Self {
        Self { inner, id, groups: Mutex::default() }
    }

    /// Has the reply say what the connection begins with.
    pub(super) fn complete(&self, mut reply: Reply) -> Reply {
        for group in &*self.groups.lock().unwrap_or_else(PoisonError::into_inner) {
            reply = match group {
                Group::Tag(tag) => reply.tag(tag),
                Group::Topic(filter) => reply.topic(filter),
            };
        }
        reply
    }

    fn note(&self, group: Group, member: bool) {
        let mut groups = self.groups.lock().unwrap_or_else(PoisonError::into_inner);
        groups.retain(|known| *known != group);
        if member {
            groups.push(group);
        }
    }
}

impl Gateway for PendingGateway {
    fn send<'a>(&'a self, to: &'a str, body: Body) -> BoxFuture<'a, Result<(), SendError>> {
        self.inner.send(to, body)
    }

    fn send_to(&self, to: Recipients, body: Body) -> BoxFuture<'_, Result<Delivered, SendError>> {
        self.inner.send_to(to, body)
    }

    fn close<'a>(
        &'a self,
        id: &'a str,
        code: u16,
        reason: &'a str,
    ) -> BoxFuture<'a, Result<(), SendError>> {
        self.inner.close(id, code, reason)
    }

    fn regroup<'a>(
        &'a self,
        id: &'a str,
        group: Group,
        member: bool,
    ) -> BoxFuture<'a, Result<(), SendError>> {
        Box::pin(async move {
            // Asked first, because one that has no groups says so.
            match self.inner.regroup(id, group.clone(), member).await {
                Err(error) if error.is_gone() && id == self.id => {
                    self.note(group, member);
                    Ok(())
                }
                done => done,
            }
        })
    }
}
