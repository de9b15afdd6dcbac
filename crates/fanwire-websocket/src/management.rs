//! The management API: what `@connections` does, apart from HTTP
//! (reference: api-gateway.md, section 13).

use fanwire_hub::{ConnectionId, Reach};
use fanwire_wire::ws::{CloseCode, SharedFrame};
use serde::{Deserialize, Serialize};
use tokio::sync::{mpsc, oneshot};

use crate::Plane;
use crate::api::Api;
use crate::errand::{Errand, PostKind, Reply};
use crate::groups::GroupError;
use crate::many::Delivered;
use crate::notice::Broadcast;
use crate::peer::ApiIndex;
use crate::session::{Command, Posted};
use crate::timestamp;
use crate::traffic::{Payload, Traffic};

/// Why a management call is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ManagementError {
    /// 410: no such connection, not any more, or not yet.
    #[error("the connection is gone")]
    Gone,
    /// 400: text that cannot be a connection id.
    #[error("Invalid connectionId: {0}")]
    InvalidId(String),
    /// 400: a body that is not text, for an API that takes text only.
    #[error("the message is not valid UTF-8; this API takes text only")]
    NotText,
    /// 413: a body over the API's limit.
    #[error("the message is over {limit} bytes")]
    TooLarge {
        /// The limit, in bytes.
        limit: usize,
    },
    /// 429: the connection does not read what it has, or the server is too busy.
    #[error("too much is waiting for this connection")]
    Busy,
    /// 503: the connection is on a node that cannot be reached now. What was asked may have
    /// been done.
    #[error("the node that has the connection cannot be reached")]
    Away,
    /// 403: this API does not allow it.
    #[error("Forbidden")]
    Forbidden,
    /// 400: more names than one call may have.
    #[error("one call can name {limit}")]
    TooMany {
        /// How many it can.
        limit: usize,
    },
    /// 400: a tag or a topic filter that cannot be one, or too many of them.
    #[error(transparent)]
    Group(GroupError),
}

/// What `GET @connections/{id}` answers.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ConnectionInfo {
    connected_at: String,
    identity: Identity,
    last_active_at: String,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Identity {
    source_ip: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    user_agent: Option<String>,
}

/// A message for clients.
#[derive(Debug, Clone, Copy)]
pub enum Post<'a> {
    /// Text where it is UTF-8, as the body of a management call is.
    Body(&'a [u8]),
    /// Text.
    Text(&'a str),
    /// Bytes, whatever they are.
    Binary(&'a [u8]),
}

/// What the deletion of a connection tells its client, where the caller says nothing.
const CLOSED_NORMALLY: &str = "Connection Closed Normally";

/// The fewest characters of text that may be a connection id, known or not.
const MIN_ID_LENGTH: usize = 8;

impl Plane {
    /// Sends a message to a connection. Returns once it is accepted for delivery.
    ///
    /// # Errors
    ///
    /// Each variant of [`ManagementError`] but `Forbidden`.
    pub async fn post(
        &self,
        api: ApiIndex,
        connection_id: &str,
        post: Post<'_>,
    ) -> Result<(), ManagementError> {
        // Whatever is wrong with the message is wrong with it on every node.
        let frame = self.dispatcher.api(api).frame(post)?;
        let id = parse_id(connection_id)?;
        if let Some(node) = self.elsewhere(id)? {
            let (api, id, kind) = (self.api_id(api), id.to_string(), PostKind::of(post));
            return self.ask(node, &Errand::Post { api, id, kind }, post.bytes()).await.map(drop);
        }
        self.post_frame(api, id, frame, post.bytes().len()).await
    }

    /// Sends a message to a connection of this node.
    pub(crate) async fn post_here(
        &self,
        api: ApiIndex,
        id: ConnectionId,
        post: Post<'_>,
    ) -> Result<(), ManagementError> {
        let frame = self.dispatcher.api(api).frame(post)?;
        self.post_frame(api, id, frame, post.bytes().len()).await
    }

    async fn post_frame(
        &self,
        api: ApiIndex,
        id: ConnectionId,
        frame: SharedFrame,
        bytes: usize,
    ) -> Result<(), ManagementError> {
        let (done, answer) = oneshot::channel();
        let command = Command::Post { api, frame, done };
        let hub = self.dispatcher.hub();
        hub.command(id, command, bytes).map_err(|_| ManagementError::Busy)?;
        match answer.await {
            Ok(Posted::Accepted) => Ok(()),
            Ok(Posted::Full) => Err(ManagementError::Busy),
            Err(_) => Err(ManagementError::Gone),
        }
    }

    /// Sends a message to every connection of an API that allows it, on all nodes. What is
    /// returned waits until the shards have done so, and may be dropped.
    ///
    /// # Errors
    ///
    /// `Forbidden`, `TooLarge`, `NotText` or `Busy`; then nobody gets it.
    pub fn broadcast(
        &self,
        api: ApiIndex,
        post: Post<'_>,
    ) -> Result<impl Future<Output = Delivered> + Send + use<>, ManagementError> {
        let here = self.broadcast_here(api, post)?;
        let errand = Errand::Broadcast { api: self.api_id(api), kind: PostKind::of(post) };
        let others = self.dispatcher.nodes().map(|_| {
            // Whoever does not wait for it wants it done all the same.
            self.dispatcher.runtime().spawn(self.ask_all(&errand, post.bytes()))
        });
        Ok(async move {
            let mut delivered = here.await;
            if let Some(others) = others {
                for (_, reply) in others.await.unwrap_or_default() {
                    delivered.add(reply);
                }
            }
            delivered
        })
    }

    /// Sends a message to every connection of an API on this node.
    pub(crate) fn broadcast_here(
        &self,
        api: ApiIndex,
        post: Post<'_>,
    ) -> Result<impl Future<Output = Delivered> + Send + use<>, ManagementError> {
        let model = &self.dispatcher.api(api).model;
        if !model.limits.broadcast {
            return Err(ManagementError::Forbidden);
        }
        let frame = self.dispatcher.api(api).frame(post)?;
        let payload = || Payload::of_bytes(post.bytes());
        self.dispatcher.traffic(|| Traffic::Broadcast { api: &model.name, payload: payload() });
        let audience = fanwire_hub::Audience(api);
        let hub = self.dispatcher.hub();
        let (done, mut answers) = mpsc::unbounded_channel();
        let sent = hub.broadcast(audience, Broadcast { frame, done }, post.bytes().len());
        sent.map_err(|_| ManagementError::Busy)?;
        Ok(async move {
            let mut delivered = Delivered::default();
            // At most one of each shard; the senders are gone once all of them have answered.
            while let Some(Reach { sent, full }) = answers.recv().await {
                delivered.sent += sent;
                delivered.full.extend(full.iter().map(ToString::to_string));
            }
            delivered
        })
    }

    /// Tells about a connection.
    ///
    /// # Errors
    ///
    /// `Gone`, `InvalidId`, `Busy` or `Away`.
    pub async fn inspect(
        &self,
        api: ApiIndex,
        connection_id: &str,
    ) -> Result<ConnectionInfo, ManagementError> {
        let id = parse_id(connection_id)?;
        if let Some(node) = self.elsewhere(id)? {
            let errand = Errand::Inspect { api: self.api_id(api), id: id.to_string() };
            return match self.ask(node, &errand, &[]).await? {
                Reply::Info(info) => Ok(info),
                _ => Err(ManagementError::Away),
            };
        }
        self.inspect_here(api, id).await
    }

    pub(crate) async fn inspect_here(
        &self,
        api: ApiIndex,
        id: ConnectionId,
    ) -> Result<ConnectionInfo, ManagementError> {
        let (done, answer) = oneshot::channel();
        self.command(id, Command::Inspect { api, done })?;
        let found = answer.await.map_err(|_| ManagementError::Gone)?;
        let peer = &found.peer;
        Ok(ConnectionInfo {
            connected_at: timestamp::iso8601(peer.connected_at),
            identity: Identity {
                source_ip: peer.source_ip.to_string(),
                user_agent: peer.user_agent.as_deref().map(str::to_owned),
            },
            last_active_at: timestamp::iso8601(peer.connected_at + found.active_after_ms),
        })
    }

    /// Closes a connection, with a code and reason of the caller's or 1000.
    ///
    /// # Errors
    ///
    /// `Gone`, `InvalidId`, `Busy` or `Away`.
    pub async fn delete(
        &self,
        api: ApiIndex,
        connection_id: &str,
        close: Option<(CloseCode, String)>,
    ) -> Result<(), ManagementError> {
        let id = parse_id(connection_id)?;
        if let Some(node) = self.elsewhere(id)? {
            let close = close.map(|(code, reason)| (code.get(), reason));
            let errand = Errand::Delete { api: self.api_id(api), id: id.to_string(), close };
            return self.ask(node, &errand, &[]).await.map(drop);
        }
        self.delete_here(api, id, close).await
    }

    pub(crate) async fn delete_here(
        &self,
        api: ApiIndex,
        id: ConnectionId,
        close: Option<(CloseCode, String)>,
    ) -> Result<(), ManagementError> {
        let (code, reason) =
            close.unwrap_or_else(|| (CloseCode::NORMAL, CLOSED_NORMALLY.to_owned()));
        let (done, answer) = oneshot::channel();
        self.command(id, Command::Delete { api, code, reason: reason.into(), done })?;
        answer.await.map_err(|_| ManagementError::Gone)
    }

    /// Asks something of a connection of this node.
    pub(crate) fn command(
        &self,
        id: ConnectionId,
        command: Command,
    ) -> Result<(), ManagementError> {
        self.dispatcher.hub().command(id, command, 0).map_err(|_| ManagementError::Busy)
    }
}

impl Api {
    /// A message as a frame, for connections of this API.
    pub(crate) fn frame(&self, post: Post<'_>) -> Result<SharedFrame, ManagementError> {
        let limits = &self.model.limits;
        if post.bytes().len() > limits.max_message_bytes {
            return Err(ManagementError::TooLarge { limit: limits.max_message_bytes });
        }
        match post {
            Post::Text(text) => Ok(SharedFrame::text(text)),
            Post::Binary(bytes) if limits.binary => Ok(SharedFrame::binary(bytes)),
            Post::Body(bytes) | Post::Binary(bytes) => match str::from_utf8(bytes) {
                Ok(text) => Ok(SharedFrame::text(text)),
                Err(_) if limits.binary => Ok(SharedFrame::binary(bytes)),
                Err(_) => Err(ManagementError::NotText),
            },
        }
    }
}

// === impl Post ===

impl<'a> Post<'a> {
    pub(crate) fn bytes(self) -> &'a [u8] {
        match self {
            Self::Text(text) => text.as_bytes(),
            Self::Body(bytes) | Self::Binary(bytes) => bytes,
        }
    }
}

/// Text that has the form of a connection id and is none of ours names a connection
/// that is gone; other text is malformed.
pub(crate) fn parse_id(text: &str) -> Result<ConnectionId, ManagementError> {
    if let Ok(id) = text.parse() {
        return Ok(id);
    }
    let core = text.trim_end_matches('=');
    let padding = text.len() - core.len();
    let plausible = core.len() >= MIN_ID_LENGTH
        && padding <= 2
        && core.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'));
    Err(if plausible { ManagementError::Gone } else { ManagementError::InvalidId(text.to_owned()) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_of_the_right_form_is_gone_and_any_other_text_malformed() {
        for text in ["JC1dgf9yoAMCK-g", "abcdefgh", "abcdefgh==", "R1kmxc2VNjMCFIA_xx"] {
            assert_eq!(parse_id(text), Err(ManagementError::Gone), "{text}");
        }
        for text in ["", "abc", "a b c d e f g h", "abcdefgh===", "äöüäöüäöü", "../../etc"]
        {
            let invalid = ManagementError::InvalidId(text.to_owned());
            assert_eq!(parse_id(text), Err(invalid), "{text}");
        }
    }
}
