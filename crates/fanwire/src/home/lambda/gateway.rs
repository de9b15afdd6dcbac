//! Connections through the management API: AWS's, or Fanwire's, which can do more
//! (docs/bridges.md).

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use futures_util::future::BoxFuture;
use futures_util::stream::{self, StreamExt};
use http::{Method, StatusCode, Uri};
use serde::Deserialize;
use serde_json::{Value, json};

use super::http::{Answer, Call, Http};
use super::sign::{Credentials, Scope, encoded, is_aws};
use crate::websocket::{Body, Delivered, Gateway, Group, Recipients, SendError};

/// Messages that are on their way to single connections at once.
const CONCURRENT_POSTS: usize = 64;
/// Ids in one call of Fanwire's.
const IDS_IN_A_CALL: usize = 10_000;
/// The type of a body that says itself whom it is for.
const ENVELOPE: &str = "application/vnd.fanwire.post+json";
/// The type of a body that is the message.
const OCTETS: &str = "application/octet-stream";

const NO_ENDPOINT: &str = "it is not known where it is: outside of a connection's events, \
     set AWS_ENDPOINT_URL_APIGATEWAYMANAGEMENTAPI to the API's URL with its stage, such as \
     https://abcd123.execute-api.eu-west-1.amazonaws.com/dev";
const NO_GROUPS: SendError = SendError::Unsupported(
    "the gateway has no tags, topics or broadcasts: AWS never has; Fanwire has them where \
     `limits.broadcast` is on, as with `profile = \"open\"`. Keep connections in a store: \
     `ConnectionSync`",
);

/// A management API.
#[derive(Debug)]
pub(crate) struct ManagementApi {
    http: Arc<Http>,
    credentials: Credentials,
    region: String,
    /// What stands before `/@connections`, if that is known.
    base: Option<String>,
    /// Whether it is AWS's own, which knows no calls but those that AWS documents.
    on_aws: bool,
    /// Whether calls that only Fanwire knows are worth trying.
    extended: AtomicBool,
}

// === impl ManagementApi ===

impl ManagementApi {
    /// The API at `base`, such as `https://abcd123.execute-api.eu-west-1.amazonaws.com/dev`.
    pub(crate) fn new(
        http: Arc<Http>,
        credentials: Credentials,
        region: String,
        base: Option<&str>,
    ) -> Self {
        let base = base.map(|base| base.trim_end_matches('/').to_owned());
        let uri = base.as_ref().and_then(|base| base.parse::<Uri>().ok());
        let host = uri.and_then(|uri| uri.host().map(str::to_owned));
        let on_aws = host.is_some_and(|host| is_aws(&host));
        let extended = AtomicBool::new(!on_aws);
        Self { http, credentials, region, base, on_aws, extended }
    }

    async fn call(
        &self,
        method: Method,
        path: &str,
        content_type: Option<&'static str>,
        body: Bytes,
    ) -> Result<Answer, SendError> {
        let no_endpoint = || SendError::Failed(NO_ENDPOINT.to_owned());
        let base = self.base.as_ref().ok_or_else(no_endpoint)?;
        let url = format!("{base}/@connections{path}");
        let call = Call { method, url, content_type, body };
        let scope = Scope { region: &self.region, service: "execute-api" };
        let answer = self.http.call(&call, &self.credentials, scope).await;
        answer.map_err(|error| SendError::Failed(error.to_string()))
    }

    async fn post(&self, id: &str, body: Bytes) -> Result<(), SendError> {
        let path = format!("/{}", encoded(id));
        let answer = self.call(Method::POST, &path, Some(OCTETS), body).await?;
        done(&answer, id)
    }

    /// One call for each, which is all that AWS has.
    async fn post_each(&self, ids: Vec<String>, body: &Bytes) -> Delivered {
        let posts = ids.into_iter().map(|id| async move {
            let sent = self.post(&id, body.clone()).await;
            (id, sent)
        });
        let mut posts = stream::iter(posts).buffer_unordered(CONCURRENT_POSTS);
        let mut delivered = Delivered::default();
        while let Some((id, sent)) = posts.next().await {
            match sent {
                Ok(()) => delivered.delivered += 1,
                Err(error) if error.is_gone() => delivered.gone.push(id),
                Err(_) => delivered.failed += 1,
            }
        }
        delivered
    }

    /// One call for many, whom the body names.
    async fn post_many(
        &self,
        recipients: Value,
        body: &Body,
    ) -> Result<Option<Delivered>, SendError> {
        let mut envelope = recipients;
        match body {
            Body::Text(text) => envelope["text"] = json!(text),
            Body::Binary(bytes) => envelope["base64"] = json!(STANDARD.encode(bytes)),
        }
        self.post_extended(ENVELOPE, envelope.to_string().into()).await
    }

    /// A call that only Fanwire has. `None`: this is not Fanwire, or it does not allow it.
    async fn post_extended(
        &self,
        content_type: &'static str,
        body: Bytes,
    ) -> Result<Option<Delivered>, SendError> {
        if !self.extended.load(Ordering::Relaxed) {
            return Ok(None);
        }
        let answer = self.call(Method::POST, "", Some(content_type), body).await?;
        if self.is_unknown(answer.status) {
            return Ok(None);
        }
        done(&answer, "")?;
        let Reached { sent, gone, full } = serde_json::from_slice(&answer.body).unwrap_or_default();
        Ok(Some(Delivered { delivered: sent, gone, failed: full.len() }))
    }

    /// Whether an answer means that the gateway has no such call; then none is tried again.
    fn is_unknown(&self, status: StatusCode) -> bool {
        let unknown = matches!(
            status,
            StatusCode::FORBIDDEN
                | StatusCode::NOT_FOUND
                | StatusCode::METHOD_NOT_ALLOWED
                | StatusCode::NOT_IMPLEMENTED
        );
        if unknown {
            self.extended.store(false, Ordering::Relaxed);
        }
        unknown
    }

    async fn send_to_ids(&self, ids: Vec<String>, body: Body) -> Result<Delivered, SendError> {
        let mut all = Delivered::default();
        let mut rest = ids;
        while !rest.is_empty() {
            let later = rest.split_off(rest.len().min(IDS_IN_A_CALL));
            let delivered = match self.post_many(json!({ "ids": rest }), &body).await? {
                Some(delivered) => delivered,
                None => self.post_each(rest, &body.clone().into_bytes()).await,
            };
            all.delivered += delivered.delivered;
            all.gone.extend(delivered.gone);
            all.failed += delivered.failed;
            rest = later;
        }
        Ok(all)
    }
}

impl Gateway for ManagementApi {
    fn send<'a>(&'a self, to: &'a str, body: Body) -> BoxFuture<'a, Result<(), SendError>> {
        Box::pin(self.post(to, body.into_bytes()))
    }

    fn send_to(&self, to: Recipients, body: Body) -> BoxFuture<'_, Result<Delivered, SendError>> {
        Box::pin(async move {
            let sent = match to {
                Recipients::Ids(ids) => return self.send_to_ids(ids, body).await,
                Recipients::Group(Group::Tag(tag)) => {
                    self.post_many(json!({ "tags": [tag] }), &body).await
                }
                Recipients::Group(Group::Topic(topic)) => {
                    self.post_many(json!({ "topics": [topic] }), &body).await
                }
                Recipients::All => self.post_extended(OCTETS, body.into_bytes()).await,
            };
            sent?.ok_or(NO_GROUPS)
        })
    }

    fn close<'a>(
        &'a self,
        id: &'a str,
        code: u16,
        reason: &'a str,
    ) -> BoxFuture<'a, Result<(), SendError>> {
        Box::pin(async move {
            let mut path = format!("/{}", encoded(id));
            if !self.on_aws {
                path = format!("{path}?code={code}&reason={}", encoded(reason));
            }
            done(&self.call(Method::DELETE, &path, None, Bytes::new()).await?, id)
        })
    }

    fn regroup<'a>(
        &'a self,
        id: &'a str,
        group: Group,
        member: bool,
    ) -> BoxFuture<'a, Result<(), SendError>> {
        Box::pin(async move {
            if self.on_aws {
                return Err(NO_GROUPS);
            }
            let (kind, name) = match &group {
                Group::Tag(tag) => ("tags", tag),
                Group::Topic(filter) => ("topics", filter),
            };
            let path = format!("/{}/{kind}/{}", encoded(id), encoded(name));
            let method = if member { Method::PUT } else { Method::DELETE };
            let answer = self.call(method, &path, None, Bytes::new()).await?;
            match answer.status {
                StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED => Err(NO_GROUPS),
                _ => done(&answer, id),
            }
        })
    }
}

/// What became of a message for many, as Fanwire says it.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Reached {
    sent: usize,
    gone: Vec<String>,
    full: Vec<String>,
}

/// What an answer means (reference: api-gateway.md, section 13).
fn done(answer: &Answer, id: &str) -> Result<(), SendError> {
    match answer.status {
        status if status.is_success() => Ok(()),
        StatusCode::GONE => Err(SendError::Gone { id: id.to_owned() }),
        StatusCode::PAYLOAD_TOO_LARGE => Err(SendError::TooLarge),
        StatusCode::TOO_MANY_REQUESTS => Err(SendError::Throttled),
        status => Err(SendError::Failed(format!("it answered {status}: {}", told(&answer.body)))),
    }
}

/// The start of what an answer says.
pub(super) fn told(body: &[u8]) -> String {
    const TOLD: usize = 200;
    String::from_utf8_lossy(body).trim().chars().take(TOLD).collect()
}
