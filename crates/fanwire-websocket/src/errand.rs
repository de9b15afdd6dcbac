//! What one node asks of another about the other's connections: everything that the
//! management API can do, one message each way.
//!
//! An errand is its length, its description in JSON, and the payload where there is one; an
//! answer is JSON. APIs go by their ids, since each node counts them for itself.

use bytes::{Buf, BufMut, Bytes, BytesMut};
use fanwire_hub::ConnectionId;
use fanwire_wire::ws::CloseCode;
use serde::{Deserialize, Serialize};

use crate::Plane;
use crate::groups::{Group, GroupError};
use crate::listing::ListedConnection;
use crate::management::{ConnectionInfo, ManagementError, Post};
use crate::many::{Delivered, Recipients};
use crate::nodes::NodeError;
use crate::peer::ApiIndex;

/// What is to be done. Names are never given another meaning: nodes of several versions
/// work together while they are updated one after the other.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Errand {
    Post { api: String, id: String, kind: PostKind },
    Inspect { api: String, id: String },
    Delete { api: String, id: String, close: Option<(u16, String)> },
    Join { api: String, id: String, group: GroupName },
    Leave { api: String, id: String, group: GroupName },
    Groups { api: String, id: String },
    Broadcast { api: String, kind: PostKind },
    Many { api: String, recipients: Recipients, kind: PostKind },
    List { limit: usize },
    Find { id: String },
}

/// What has become of it.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Reply {
    Done,
    Info(ConnectionInfo),
    Was(bool),
    Groups(Vec<GroupName>),
    Delivered(Delivered),
    Listed(Vec<ListedConnection>),
    Refused(Refusal),
}

/// How a message is to be taken.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) enum PostKind {
    Body,
    Text,
    Binary,
}

/// The name of a group.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum GroupName {
    Tag(String),
    Topic(String),
}

/// [`ManagementError`], as far as the asked node can find it.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Refusal {
    Gone,
    NotText,
    TooLarge(usize),
    Busy,
    Forbidden,
    TooManyGroups,
    Away,
}

impl Plane {
    /// Does what another node asks about a connection of this one; says what came of it.
    pub async fn run_errand(&self, errand: Bytes) -> Bytes {
        let reply = match decode(errand) {
            Some((errand, payload)) => self.run(errand, &payload).await,
            // Of a newer version, which is not to wait for it.
            None => Err(ManagementError::Away),
        };
        let reply = reply.unwrap_or_else(|error| Reply::Refused(Refusal::of(&error)));
        // Texts and numbers only: this cannot fail.
        serde_json::to_vec(&reply).unwrap_or_default().into()
    }

    async fn run(&self, errand: Errand, payload: &[u8]) -> Result<Reply, ManagementError> {
        match errand {
            Errand::Post { api, id, kind } => {
                let (api, id) = (self.api_of(&api)?, here(&id)?);
                self.post_here(api, id, kind.post(payload)?).await?;
                Ok(Reply::Done)
            }
            Errand::Inspect { api, id } => {
                Ok(Reply::Info(self.inspect_here(self.api_of(&api)?, here(&id)?).await?))
            }
            Errand::Delete { api, id, close } => {
                let close = close.and_then(|(code, why)| Some((CloseCode::new(code)?, why)));
                self.delete_here(self.api_of(&api)?, here(&id)?, close).await?;
                Ok(Reply::Done)
            }
            Errand::Join { api, id, group } => {
                self.join_here(self.api_of(&api)?, here(&id)?, group.group()?).await?;
                Ok(Reply::Done)
            }
            Errand::Leave { api, id, group } => {
                let left = self.leave_here(self.api_of(&api)?, here(&id)?, group.group()?);
                Ok(Reply::Was(left.await?))
            }
            Errand::Groups { api, id } => {
                let groups = self.groups_here(self.api_of(&api)?, here(&id)?).await?;
                Ok(Reply::Groups(groups.iter().map(GroupName::of).collect()))
            }
            Errand::Broadcast { api, kind } => {
                let done = self.broadcast_here(self.api_of(&api)?, kind.post(payload)?)?;
                Ok(Reply::Delivered(done.await))
            }
            Errand::Many { api, recipients, kind } => {
                let api = self.api_of(&api)?;
                let done = self.post_many_here(api, recipients, kind.post(payload)?);
                Ok(Reply::Delivered(done.await?))
            }
            Errand::List { limit } => Ok(Reply::Listed(self.list_here(limit).await?)),
            Errand::Find { id } => Ok(Reply::Listed(vec![self.find_here(here(&id)?).await?])),
        }
    }

    fn api_of(&self, id: &str) -> Result<ApiIndex, ManagementError> {
        let apis = self.apis();
        let found = apis.iter().find(|(_, model)| model.id == id).map(|(index, _)| index);
        found.ok_or(ManagementError::Gone)
    }

    /// The id by which other nodes know an API.
    pub(crate) fn api_id(&self, api: ApiIndex) -> String {
        self.dispatcher.api(api).model.id.clone()
    }

    /// Where a connection is: `None` is here. Where this node is alone, there is nowhere else.
    pub(crate) fn elsewhere(&self, id: ConnectionId) -> Result<Option<u16>, ManagementError> {
        let hub = self.dispatcher.hub();
        if hub.is_here(id) {
            return Ok(None);
        }
        match self.dispatcher.nodes() {
            Some(_) => Ok(Some(id.node())),
            None => Err(ManagementError::Gone),
        }
    }

    /// Has another node do an errand.
    pub(crate) async fn ask(
        &self,
        node: u16,
        errand: &Errand,
        payload: &[u8],
    ) -> Result<Reply, ManagementError> {
        let Some(nodes) = self.dispatcher.nodes() else { return Err(ManagementError::Gone) };
        of_answer(nodes.ask(node, encode(errand, payload)).await)
    }

    /// Has all other nodes do an errand; what is returned needs nothing of the plane.
    pub(crate) fn ask_all(
        &self,
        errand: &Errand,
        payload: &[u8],
    ) -> impl Future<Output = Vec<(u16, Result<Reply, ManagementError>)>> + Send + use<> {
        let asked = self.dispatcher.nodes().map(|nodes| nodes.ask_all(encode(errand, payload)));
        async move {
            let Some(asked) = asked else { return Vec::new() };
            let answers = asked.await.into_iter();
            answers.map(|(node, answer)| (node, of_answer(answer))).collect()
        }
    }
}

fn of_answer(answer: Result<Bytes, NodeError>) -> Result<Reply, ManagementError> {
    let answer = answer.map_err(|error| match error {
        NodeError::Gone => ManagementError::Gone,
        NodeError::Away => ManagementError::Away,
    })?;
    match serde_json::from_slice(&answer) {
        Ok(Reply::Refused(refusal)) => Err(refusal.into_error()),
        Ok(reply) => Ok(reply),
        Err(_) => Err(ManagementError::Away),
    }
}

/// A connection id that another node has found to be one.
fn here(id: &str) -> Result<ConnectionId, ManagementError> {
    id.parse().map_err(|_| ManagementError::Gone)
}

fn encode(errand: &Errand, payload: &[u8]) -> Bytes {
    // Texts and numbers only: this cannot fail.
    let about = serde_json::to_vec(errand).unwrap_or_default();
    let mut out = BytesMut::with_capacity(4 + about.len() + payload.len());
    // Bounded by what a call can name.
    out.put_u32(u32::try_from(about.len()).unwrap_or(u32::MAX));
    out.put_slice(&about);
    out.put_slice(payload);
    out.freeze()
}

fn decode(mut bytes: Bytes) -> Option<(Errand, Bytes)> {
    let length = bytes.try_get_u32().ok()? as usize;
    let about = (length <= bytes.len()).then(|| bytes.split_to(length))?;
    Some((serde_json::from_slice(&about).ok()?, bytes))
}

// === impl PostKind ===

impl PostKind {
    pub(crate) fn of(post: Post<'_>) -> Self {
        match post {
            Post::Body(_) => Self::Body,
            Post::Text(_) => Self::Text,
            Post::Binary(_) => Self::Binary,
        }
    }

    fn post(self, payload: &[u8]) -> Result<Post<'_>, ManagementError> {
        Ok(match self {
            Self::Body => Post::Body(payload),
            Self::Binary => Post::Binary(payload),
            Self::Text => {
                Post::Text(str::from_utf8(payload).map_err(|_| ManagementError::NotText)?)
            }
        })
    }
}

// === impl GroupName ===

impl GroupName {
    pub(crate) fn of(group: &Group) -> Self {
        match group {
            Group::Tag(name) => Self::Tag(name.to_string()),
            Group::Topic(name) => Self::Topic(name.to_string()),
        }
    }

    pub(crate) fn group(&self) -> Result<Group, ManagementError> {
        Ok(match self {
            Self::Tag(name) => Group::tag(name)?,
            Self::Topic(name) => Group::topic(name)?,
        })
    }
}

// === impl Refusal ===

impl Refusal {
    fn of(error: &ManagementError) -> Self {
        match error {
            ManagementError::Gone | ManagementError::InvalidId(_) => Self::Gone,
            ManagementError::NotText => Self::NotText,
            ManagementError::TooLarge { limit } => Self::TooLarge(*limit),
            ManagementError::Busy => Self::Busy,
            ManagementError::Forbidden => Self::Forbidden,
            ManagementError::Group(GroupError::TooMany) => Self::TooManyGroups,
            // The asking node has checked names and numbers: its version has other limits.
            ManagementError::Group(_) | ManagementError::TooMany { .. } | ManagementError::Away => {
                Self::Away
            }
        }
    }

    fn into_error(self) -> ManagementError {
        match self {
            Self::Gone => ManagementError::Gone,
            Self::NotText => ManagementError::NotText,
            Self::TooLarge(limit) => ManagementError::TooLarge { limit },
            Self::Busy => ManagementError::Busy,
            Self::Forbidden => ManagementError::Forbidden,
            Self::TooManyGroups => ManagementError::Group(GroupError::TooMany),
            Self::Away => ManagementError::Away,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_errand_survives_its_bytes_and_other_bytes_are_none() {
        let errand = Errand::Post { api: "a".into(), id: "b".into(), kind: PostKind::Binary };
        let (read, payload) = decode(encode(&errand, b"\x00\xff")).unwrap();
        assert!(matches!(read, Errand::Post { api, id, .. } if api == "a" && id == "b"));
        assert_eq!(&payload[..], b"\x00\xff");
        for wrong in [&b""[..], b"\x00\x00\x00\x09{}", b"\xff\xff\xff\xff", b"\x00\x00\x00\x02{}"] {
            assert!(decode(Bytes::from_static(wrong)).is_none(), "{wrong:?}");
        }
    }
}
