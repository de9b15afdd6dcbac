//! The connections of this process, as handlers reach them.

use std::sync::{Arc, Weak};

use fanwire_websocket::{
    ApiIndex, Delivered as PlaneDelivered, Group as PlaneGroup, GroupError, ManagementError, Plane,
    Post, Recipients as PlaneRecipients,
};
use fanwire_wire::ws::CloseCode;
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;

use super::{Planes, STOPPED};
use crate::websocket::{Body, Delivered, Gateway, Group, Recipients, SendError};

/// The number of the app's only API.
const API: ApiIndex = 0;

/// The gateway of this process.
#[derive(Debug)]
pub(super) struct OwnGateway {
    planes: Weak<Planes>,
}

// === impl OwnGateway ===

impl OwnGateway {
    pub(super) fn new(planes: &Arc<Planes>) -> Self {
        Self { planes: Arc::downgrade(planes) }
    }

    fn plane(&self) -> Result<Plane, SendError> {
        let planes = self.planes.upgrade();
        let plane = planes.map(|planes| planes.websocket.clone());
        plane.ok_or_else(|| SendError::Failed(STOPPED.to_owned()))
    }

    async fn send_many(&self, to: Recipients, body: Body) -> Result<Delivered, SendError> {
        let recipients = match to {
            Recipients::Ids(ids) => PlaneRecipients { ids, ..PlaneRecipients::default() },
            Recipients::Group(Group::Tag(tag)) => {
                PlaneRecipients { tags: vec![tag], ..PlaneRecipients::default() }
            }
            Recipients::Group(Group::Topic(topic)) => {
                PlaneRecipients { topics: vec![topic], ..PlaneRecipients::default() }
            }
            Recipients::All => {
                let sent = self.plane()?.broadcast(API, post_of(&body));
                return Ok(delivered(sent.map_err(|error| refused("", error))?.await));
            }
        };
        let sent = self.plane()?.post_many(API, recipients, post_of(&body)).await;
        sent.map(delivered).map_err(|error| refused("", error))
    }
}

fn delivered(sent: PlaneDelivered) -> Delivered {
    Delivered { delivered: sent.sent, gone: sent.gone, failed: sent.full.len() }
}

impl Gateway for OwnGateway {
    fn send<'a>(&'a self, to: &'a str, body: Body) -> BoxFuture<'a, Result<(), SendError>> {
        async move {
            let sent = self.plane()?.post(API, to, post_of(&body)).await;
            sent.map_err(|error| refused(to, error))
        }
        .boxed()
    }

    fn send_to(&self, to: Recipients, body: Body) -> BoxFuture<'_, Result<Delivered, SendError>> {
        self.send_many(to, body).boxed()
    }

    fn close<'a>(
        &'a self,
        id: &'a str,
        code: u16,
        reason: &'a str,
    ) -> BoxFuture<'a, Result<(), SendError>> {
        async move {
            let code = CloseCode::new(code).ok_or_else(|| {
                let why = format!("{code} cannot be a close code; 1000 and 4000 to 4999 can");
                SendError::Failed(why)
            })?;
            let closed = self.plane()?.delete(API, id, Some((code, reason.to_owned()))).await;
            closed.map_err(|error| refused(id, error))
        }
        .boxed()
    }

    fn regroup<'a>(
        &'a self,
        id: &'a str,
        group: Group,
        member: bool,
    ) -> BoxFuture<'a, Result<(), SendError>> {
        async move {
            let group = group_of(&group).map_err(|error| SendError::Failed(error.to_string()))?;
            let changed = match member {
                true => self.plane()?.join(API, id, group).await,
                false => self.plane()?.leave(API, id, group).await.map(|_| ()),
            };
            changed.map_err(|error| refused(id, error))
        }
        .boxed()
    }
}

fn post_of(body: &Body) -> Post<'_> {
    match body {
        Body::Text(text) => Post::Text(text),
        Body::Binary(bytes) => Post::Binary(bytes),
    }
}

fn group_of(group: &Group) -> Result<PlaneGroup, GroupError> {
    match group {
        Group::Tag(tag) => PlaneGroup::tag(tag),
        Group::Topic(filter) => PlaneGroup::topic(filter),
    }
}

fn refused(id: &str, error: ManagementError) -> SendError {
    match error {
        ManagementError::Gone => SendError::Gone { id: id.to_owned() },
        ManagementError::TooLarge { .. } => SendError::TooLarge,
        ManagementError::Busy => SendError::Throttled,
        other => SendError::Failed(other.to_string()),
    }
}
