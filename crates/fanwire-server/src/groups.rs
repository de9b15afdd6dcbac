//! What `@connections` can do beyond AWS: one call for many connections, and the tags and
//! topics that they are addressed by. Documented in `docs/bridges.md`.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use fanwire_websocket::{
    ApiIndex, Delivered, Group, GroupError, ManagementError, Post, Recipients, request_id,
};
use http::header::CONTENT_TYPE;
use http::{HeaderMap, Method, Request, StatusCode};
use serde::Deserialize;

use crate::address::{GroupKind, GroupPath};
use crate::management::{MAX_BODY_BYTES, not_allowed, refused, unreadable};
use crate::query::Query;
use crate::response::{self, Answer};
use crate::router::{CallBody, Router};

/// The type of a body that says itself whom it is for.
const ENVELOPE: &str = "application/vnd.fanwire.post+json";

/// A message and whom it is for: more of them than a URL has room for.
#[derive(Debug, Deserialize)]
struct Envelope {
    #[serde(flatten)]
    recipients: Recipients,
    /// The message, where it is text.
    text: Option<String>,
    /// The message, where it is any bytes.
    base64: Option<String>,
}

impl Router {
    /// Answers a call about many connections of an API, or about all: a broadcast, where it
    /// allows one.
    pub(crate) async fn connections(&self, api: ApiIndex, request: Request<CallBody>) -> Answer {
        let gateway_id = request_id();
        let answer = if request.method() == Method::POST {
            self.post_to_many(api, request, &gateway_id).await
        } else {
            not_allowed("POST")
        };
        response::with_gateway_ids(answer, &gateway_id)
    }

    async fn post_to_many(
        &self,
        api: ApiIndex,
        request: Request<CallBody>,
        gateway_id: &str,
    ) -> Answer {
        let (head, body) = request.into_parts();
        let body = match self.body_of(body, MAX_BODY_BYTES).await {
            Ok(body) => body,
            Err(error) => return unreadable(&error),
        };
        let (recipients, message) = match addressed(&head.headers, head.uri.query(), body) {
            Ok(addressed) => addressed,
            Err(why) => {
                let body = response::message(&why);
                return response::error(StatusCode::BAD_REQUEST, "BadRequestException", body);
            }
        };
        let Some(recipients) = recipients else {
            return match self.plane().broadcast(api, Post::Body(&message)) {
                Ok(done) => delivered(&done.await),
                Err(error) => refused(&error, "", gateway_id),
            };
        };
        match self.plane().post_many(api, recipients, Post::Body(&message)).await {
            Ok(done) => delivered(&done),
            Err(ManagementError::InvalidId(id)) => {
                refused(&ManagementError::InvalidId(id.clone()), &id, gateway_id)
            }
            Err(error) => refused(&error, "", gateway_id),
        }
    }

    /// Answers a call about the tags or topics of one connection.
    pub(crate) async fn groups(
        &self,
        api: ApiIndex,
        path: &GroupPath,
        request: &Request<CallBody>,
    ) -> Answer {
        let gateway_id = request_id();
        let answer = match (request.method(), &path.name) {
            (&Method::GET, None) => self.list_groups(api, path).await,
            (&Method::PUT | &Method::POST, Some(name)) => self.join(api, path, name).await,
            (&Method::DELETE, Some(name)) => self.leave(api, path, name).await,
            (_, None) => Ok(not_allowed("GET, or a name behind the path")),
            (_, Some(_)) => Ok(not_allowed("PUT, POST or DELETE")),
        };
        let answer = answer.unwrap_or_else(|error| refused(&error, &path.id, &gateway_id));
        response::with_gateway_ids(answer, &gateway_id)
    }

    async fn list_groups(
        &self,
        api: ApiIndex,
        path: &GroupPath,
    ) -> Result<Answer, ManagementError> {
        let groups = self.plane().groups(api, &path.id).await?;
        let names = groups.iter().filter(|group| path.kind.is_of(group)).map(Group::name);
        let names: Vec<&str> = names.collect();
        let body = serde_json::json!({ path.kind.name(): names });
        Ok(response::json(StatusCode::OK, body.to_string()))
    }

    async fn join(
        &self,
        api: ApiIndex,
        path: &GroupPath,
        name: &str,
    ) -> Result<Answer, ManagementError> {
        self.plane().join(api, &path.id, path.kind.group(name)?).await?;
        Ok(response::json(StatusCode::NO_CONTENT, ""))
    }

    async fn leave(
        &self,
        api: ApiIndex,
        path: &GroupPath,
        name: &str,
    ) -> Result<Answer, ManagementError> {
        // Whether it was in it or not, it is not any more.
        self.plane().leave(api, &path.id, path.kind.group(name)?).await?;
        Ok(response::json(StatusCode::NO_CONTENT, ""))
    }
}

/// What became of a message for many.
fn delivered(done: &Delivered) -> Answer {
    // Numbers and strings only: this cannot fail.
    response::json(StatusCode::OK, serde_json::to_vec(done).unwrap_or_default())
}

/// Whom a body is for, and the message. `None` where nobody is named: then it is for all.
fn addressed(
    headers: &HeaderMap,
    query: Option<&str>,
    body: Bytes,
) -> Result<(Option<Recipients>, Bytes), String> {
    let kind = headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    if kind.split(';').next().is_some_and(|kind| kind.trim().eq_ignore_ascii_case(ENVELOPE)) {
        let envelope: Envelope = serde_json::from_slice(&body)
            .map_err(|error| format!("the body is no {ENVELOPE}: {error}"))?;
        return envelope.open();
    }
    let query = Query::new(query);
    let recipients = Recipients {
        ids: query.all("id").collect(),
        tags: query.all("tag").collect(),
        topics: query.all("topic").collect(),
    };
    Ok((Some(recipients).filter(|recipients| !recipients.is_empty()), body))
}

// === impl Envelope ===

impl Envelope {
    fn open(self) -> Result<(Option<Recipients>, Bytes), String> {
        let message = match (self.text, self.base64) {
            (Some(text), None) => Bytes::from(text),
            (None, Some(encoded)) => {
                let decoded = STANDARD.decode(encoded);
                decoded.map_err(|_| "`base64` is not base64".to_owned())?.into()
            }
            _ => return Err("expected one of `text` and `base64`".to_owned()),
        };
        // An empty list means nobody, and not all.
        Ok((Some(self.recipients), message))
    }
}

// === impl GroupKind ===

impl GroupKind {
    fn name(self) -> &'static str {
        match self {
            Self::Tags => "tags",
            Self::Topics => "topics",
        }
    }

    fn group(self, name: &str) -> Result<Group, GroupError> {
        match self {
            Self::Tags => Group::tag(name),
            Self::Topics => Group::topic(name),
        }
    }

    fn is_of(self, group: &Group) -> bool {
        match group {
            Group::Tag(_) => self == Self::Tags,
            Group::Topic(_) => self == Self::Topics,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    fn strings(texts: &[&str]) -> Vec<String> {
        texts.iter().map(|text| (*text).to_owned()).collect()
    }

    #[test]
    fn the_query_names_recipients_and_the_body_is_the_message() {
        let read = |query| addressed(&HeaderMap::new(), query, Bytes::from_static(b"hi")).unwrap();
        let (recipients, message) = read(Some("tag=room%201&id=a%3D&topic=x/y&tag=b"));
        let expected = Recipients {
            ids: strings(&["a="]),
            tags: strings(&["room 1", "b"]),
            topics: strings(&["x/y"]),
        };
        assert_eq!((recipients, &message[..]), (Some(expected), &b"hi"[..]));
        assert_eq!(read(None).0, None, "for all");
    }

    #[test]
    fn an_envelope_says_itself_whom_it_is_for() {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(ENVELOPE));
        let read = |body: &'static str| addressed(&headers, None, Bytes::from(body));
        let (recipients, message) = read(r#"{"ids":["a="],"text":"hi"}"#).unwrap();
        assert_eq!(recipients.unwrap().ids, ["a="]);
        assert_eq!(&message[..], b"hi");
        let (recipients, message) = read(r#"{"tags":[],"base64":"AP8="}"#).unwrap();
        assert!(recipients.unwrap().is_empty(), "nobody, and not all");
        assert_eq!(&message[..], [0, 255]);
        for wrong in ["{}", r#"{"text":"a","base64":"AA=="}"#, r#"{"base64":"?"}"#, "[", "hi"] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }
}
