//! The control API, `/_fanwire/…`: what the `fanwire` command asks of a running server.
//! AWS has nothing like it.
//!
//! It shows what clients send and handlers log, so only who has a token may ask, or, where it
//! is open, programs on this machine: a request that a web page caused is refused, and so is one for a host name that
//! somebody's DNS points here.

mod app;
mod feed;
mod policy;
mod realtime;
mod tap;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use fanwire_app::App;
use fanwire_websocket::ManagementError;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, HOST};
use http::{HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::Either;

use self::app::AppFacts;
pub use self::feed::{Feed, Listening};
pub use self::policy::{describe_decision, question_of};
use self::realtime::Subscribers;
pub(crate) use self::tap::Tap;
use crate::guard::Caller;
use crate::iot_data::DataError;
use crate::query::Query;
use crate::response::{self, Answer};
use crate::router::{CallBody, Router};

/// Connections listed at the most.
const MAX_LISTED: usize = 10_000;

/// A log that can be listened to while it is written.
pub trait Logs: Send + Sync + 'static {
    /// Its last `backlog` records, as far as they are kept, and those that come, one JSON
    /// object a line. `None` where too many listen already.
    fn listen(&self, backlog: usize) -> Option<Listening>;
}

/// What the control API answers from.
pub(crate) struct Control {
    app: AppFacts,
    logs: Option<Arc<dyn Logs>>,
    traffic: Feed,
    subscribers: Subscribers,
}

/// Why a request is refused.
enum Refusal {
    Unknown,
    ForeignHost,
    NoTime,
    Method(&'static str),
    Busy,
    Connection(ManagementError),
    Realtime(DataError),
}

// === impl Control ===

impl Control {
    pub(crate) fn new(app: &App, logs: Option<Arc<dyn Logs>>, traffic: Feed) -> Self {
        Self { app: AppFacts::of(app), logs, traffic, subscribers: Subscribers::default() }
    }

    /// Tells of a changed App from now on.
    pub(crate) fn apply(&self, app: &App) {
        self.app.set(app);
    }
}

impl Router {
    /// Answers a request to the control API. `path` is what follows `/_fanwire`.
    pub(crate) async fn control(&self, path: &[String], request: Request<CallBody>) -> Answer {
        self.try_control(path, request).await.unwrap_or_else(Refusal::into_answer)
    }

    async fn try_control(
        &self,
        path: &[String],
        request: Request<CallBody>,
    ) -> Result<Answer, Refusal> {
        let query = Query::new(request.uri().query());
        let host = request.headers().get(HOST).and_then(|host| host.to_str().ok());
        // Who has shown who it is may call from anywhere.
        let is_known = request.extensions().get::<Caller>().is_some();
        let host = host.filter(|host| is_known || is_local(host)).ok_or(Refusal::ForeignHost)?;
        let path: Vec<&str> = path.iter().map(String::as_str).collect();
        let control = self.control_parts();
        match (request.method(), path.as_slice()) {
            (&Method::GET, ["app"]) => Ok(json(&control.app.describe(self.plane(), host))),
            (&Method::GET, ["status"]) => Ok(json(&self.telemetry().status())),
            (&Method::GET, ["connections"]) => {
                let connections = self.plane().list(MAX_LISTED).await;
                let connections = connections.map_err(Refusal::Connection)?;
                Ok(json(&serde_json::json!({
                    "connections": connections,
                    "droppedTopicMessages": self.plane().dropped_topic_messages(),
                })))
            }
            (&Method::GET, ["connections", id]) => {
                Ok(json(&self.plane().find(id).await.map_err(Refusal::Connection)?))
            }
            (&Method::GET, ["logs"]) => {
                let logs = control.logs.as_ref().ok_or(Refusal::Unknown)?;
                let backlog = query.get("backlog").and_then(|n| n.parse().ok()).unwrap_or(0);
                let listening = logs.listen(backlog);
                stream(match query.get("follow").as_deref() {
                    Some("false") => listening.map(Listening::without_more),
                    _ => listening,
                })
            }
            (&Method::POST, ["clock"]) => {
                let by = query.get("advance_ms");
                let by = by.and_then(|by| by.parse().ok()).ok_or(Refusal::NoTime)?;
                let ahead = self.advance_clock(Duration::from_millis(by));
                Ok(json(&serde_json::json!({ "aheadMs": ahead.as_millis() })))
            }
            (&Method::GET, ["traffic"]) => stream(control.traffic.listen([])),
            (_, ["clock"]) => Err(Refusal::Method("POST")),
            (_, ["app" | "connections" | "logs" | "status" | "traffic"] | ["connections", _]) => {
                Err(Refusal::Method("GET"))
            }
            (_, path) => self.control_realtime(path, request).await,
        }
    }
}

/// Whether a `Host` names this machine whatever a DNS server says: `localhost`, a name
/// under it, or an address.
fn is_local(host: &str) -> bool {
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split_once(']').map_or(rest, |(address, _)| address),
        None => host.split_once(':').map_or(host, |(name, _)| name),
    };
    let name = name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase();
    name == "localhost" || name.ends_with(".localhost") || name.parse::<IpAddr>().is_ok()
}

fn json(value: &impl serde::Serialize) -> Answer {
    // Text and numbers only: this cannot fail.
    response::json(StatusCode::OK, serde_json::to_vec(value).unwrap_or_default())
}

fn stream(listening: Option<Listening>) -> Result<Answer, Refusal> {
    let mut response = Response::new(Either::Right(listening.ok_or(Refusal::Busy)?));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-ndjson"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(response)
}

// === impl Refusal ===

impl Refusal {
    fn into_answer(self) -> Answer {
        let (status, kind, text) = match self {
            Self::Unknown => {
                let text = "the control API has app, clock, connections, logs, policy, \
                    publish, retained, sessions, status, subscribe and traffic";
                (StatusCode::NOT_FOUND, "NotFoundException", text.to_owned())
            }
            Self::NoTime => {
                let text = "expected `advance_ms`, a number of milliseconds, in the query";
                (StatusCode::BAD_REQUEST, "BadRequestException", text.to_owned())
            }
            Self::ForeignHost => {
                let text = "the control API answers to localhost and to addresses only";
                (StatusCode::FORBIDDEN, "ForbiddenException", text.to_owned())
            }
            Self::Method(expected) => {
                let text = format!("expected {expected}");
                (StatusCode::METHOD_NOT_ALLOWED, "BadRequestException", text)
            }
            Self::Busy => {
                let text = "too many listen already; end one of them";
                (StatusCode::TOO_MANY_REQUESTS, "TooManyRequestsException", text.to_owned())
            }
            Self::Realtime(error) => return error.into_answer(),
            Self::Connection(error) => match error {
                ManagementError::Gone => (StatusCode::GONE, "GoneException", error.to_string()),
                ManagementError::Busy => {
                    let status = StatusCode::TOO_MANY_REQUESTS;
                    (status, "LimitExceededException", error.to_string())
                }
                ManagementError::Away => {
                    let status = StatusCode::SERVICE_UNAVAILABLE;
                    (status, "ServiceUnavailableException", error.to_string())
                }
                error => (StatusCode::BAD_REQUEST, "BadRequestException", error.to_string()),
            },
        };
        response::error(status, kind, response::message(&text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_hosts_that_no_dns_server_can_point_here_are_local() {
        for host in [
            "localhost",
            "LOCALHOST:3001",
            "abc.execute-api.localhost:3001",
            "localhost.",
            "127.0.0.1:3001",
            "[::1]:3001",
            "192.168.1.7",
        ] {
            assert!(is_local(host), "{host}");
        }
        for host in
            ["", "evil.example", "localhost.evil.example:3001", "notlocalhost", "127.1.evil"]
        {
            assert!(!is_local(host), "{host}");
        }
    }
}
