//! Procedures in a server: the plane calls them with values, and what is published goes
//! from the hub to the sockets.

use std::sync::{Arc, Weak};

use fanwire_server::SubscriptionsEndpoint;
use fanwire_subscriptions::{
    Answer as PlaneAnswer, Call as PlaneCall, CallError, Context, Interest as PlaneInterest,
    Observer, Opening as PlaneOpening, Payload as PlanePayload, Procedures,
    Publication as PlanePublication, PublishError as PlanePublishError, StreamEvent,
    SubscriptionsEvent, Tracking,
};
use futures_util::future::BoxFuture;
use futures_util::{FutureExt as _, StreamExt as _};
use tokio::sync::SetOnce;

use super::log::Log;
use super::options::ServerOptions;
use super::{Planes, STOPPED};
use crate::home::Home;
use crate::subscriptions::{
    Answer, AnyProcedures, Audience, Call, Delivery, Endpoint, ErrorCode, Opening, Payload,
    Publication, PublishError, Report, Said, Sent, TrpcError, encode_key,
};
use crate::websocket::{self, Allow, ConnectionInfo, Event, EventKind};

/// The procedures of an app, as the plane calls them.
struct Served {
    procedures: Arc<dyn AnyProcedures>,
    /// What decides who may connect, where the app has a WebSocket API that has one.
    authorizer: Option<websocket::Call<Allow>>,
    home: Arc<SetOnce<Home>>,
}

/// How what is published gets to the subscribers of this process.
pub(super) struct OwnDelivery(pub(super) Weak<Planes>);

/// What the gateway is told of an app's procedures.
pub(super) fn endpoint_of(
    endpoint: Endpoint,
    authorizer: Option<websocket::Call<Allow>>,
    home: &Arc<SetOnce<Home>>,
    options: &ServerOptions,
) -> SubscriptionsEndpoint {
    let procedures = endpoint.procedures;
    let settings = options.subscriptions(procedures.transformer());
    let served = Served { procedures, authorizer, home: Arc::clone(home) };
    SubscriptionsEndpoint {
        settings,
        folder: options.data.as_ref().map(|folder| folder.join("subscriptions")),
        observer: Arc::new(Log),
        ..SubscriptionsEndpoint::new(options.subscriptions_path.clone(), Arc::new(served))
    }
}

// === impl Served ===

impl Procedures for Served {
    fn context(&self, opening: PlaneOpening) -> BoxFuture<'static, Result<Context, CallError>> {
        let (procedures, home) = (Arc::clone(&self.procedures), Arc::clone(&self.home));
        let authorizer = self.authorizer.clone();
        async move {
            let event = event_of(&opening, home.wait().await.clone());
            let authorizer = match authorizer {
                None => serde_json::Map::new(),
                Some(authorizer) => {
                    context_of(authorizer(event.clone()).await.map_err(|error| denied(&error))?)
                }
            };
            let said = Said {
                headers: event.headers,
                query: event.query,
                params: opening.connection_params,
            };
            let authorizer = Arc::new(authorizer);
            let (connection, home) = (event.connection, event.home);
            let opening = Opening { connection, authorizer, said, home };
            procedures.open(opening).await.map_err(|error| failed(&*procedures, &error, None))
        }
        .boxed()
    }

    fn call(
        &self,
        context: Context,
        call: PlaneCall,
    ) -> BoxFuture<'static, Result<PlaneAnswer, CallError>> {
        let procedures = Arc::clone(&self.procedures);
        let PlaneCall { kind, path, input, last_event_id, .. } = call;
        let after = last_event_id.clone();
        let called =
            procedures.call(context, Call { kind, path: path.clone(), input, last_event_id });
        async move {
            match called.await {
                Ok(answer) => Ok(answer_of(answer, after, procedures, path)),
                Err(error) => Err(failed(&*procedures, &error, Some(&path))),
            }
        }
        .boxed()
    }
}

/// The answer as the plane takes it. `after` is the last event that the client had.
fn answer_of(
    answer: Answer,
    after: Option<String>,
    procedures: Arc<dyn AnyProcedures>,
    path: String,
) -> PlaneAnswer {
    match answer {
        Answer::Value(value) => PlaneAnswer::Value(payload_of(value)),
        Answer::Subscribed(interest) => PlaneAnswer::Subscribed(PlaneInterest {
            path: interest.path.to_owned(),
            keys: interest.keys().collect(),
            after: after.filter(|_| interest.tracked),
        }),
        Answer::Stream(stream) => {
            let event = move |sent: Result<Sent, TrpcError>| match sent {
                Ok(Sent { event_id, data }) => {
                    Ok(StreamEvent { id: event_id, data: payload_of(data) })
                }
                Err(error) => Err(failed(&*procedures, &error, Some(&path))),
            };
            PlaneAnswer::Stream(stream.map(event).boxed())
        }
    }
}

/// A value as the plane takes it.
fn payload_of(Payload { json, meta }: Payload) -> PlanePayload {
    let payload = PlanePayload::from(json);
    match meta {
        Some(meta) => payload.with_meta(meta),
        None => payload,
    }
}

/// What the client is told of an error; the app is told of all of it.
fn failed(procedures: &dyn AnyProcedures, error: &TrpcError, path: Option<&str>) -> CallError {
    procedures.report(error, path);
    CallError::new(error.code(), error.message())
}

/// What a client is told whom the authorizer has refused.
fn denied(error: &crate::Error) -> CallError {
    let code = match error.status() {
        401 => ErrorCode::Unauthorized,
        403 => ErrorCode::Forbidden,
        _ => ErrorCode::InternalServerError,
    };
    Log.line(format_args!("subscriptions: the authorizer refused a client: {error}"));
    CallError::new(code, "not authorized")
}

/// What an authorizer says, as API Gateway passes it on.
fn context_of(allow: Allow) -> serde_json::Map<String, serde_json::Value> {
    let mut context = allow.context;
    context.insert("principalId".to_owned(), allow.principal.into());
    context
}

/// The handshake of a client, as the authorizer of a WebSocket API sees one.
fn event_of(opening: &PlaneOpening, home: Home) -> Event {
    let header = |value: &http::HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    let headers = opening.headers.iter().map(|(name, value)| (name.to_string(), header(value)));
    let host = opening.headers.get(http::header::HOST).map(header);
    let agent = opening.headers.get(http::header::USER_AGENT).map(header);
    let query = form_urlencoded::parse(opening.query.as_bytes());
    let connection = ConnectionInfo {
        id: opening.connection.to_string(),
        api_id: "subscriptions".to_owned(),
        stage: super::STAGE.to_owned(),
        domain: host.unwrap_or_default(),
        connected_at: now_ms(),
        source_ip: Some(opening.peer.ip()),
        user_agent: agent,
    };
    Event {
        kind: EventKind::Connect,
        route_key: "$connect".to_owned(),
        request_id: connection.id.clone(),
        connection: Arc::new(connection),
        headers: headers.collect(),
        query: query.into_owned().collect(),
        body: websocket::Body::default(),
        authorizer: Arc::default(),
        closed: None,
        home,
    }
}

fn now_ms() -> u64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.map_or(0, |since| u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

// === impl OwnDelivery ===

impl Delivery for OwnDelivery {
    fn deliver(&self, publication: Publication) -> BoxFuture<'_, Result<Report, PublishError>> {
        let Publication { path, audience, sent, .. } = publication;
        let filter = match audience {
            Audience::Everyone => None,
            Audience::Filter { index, values, .. } => Some((index, encode_key(&values).into())),
        };
        let publication = PlanePublication {
            path: path.to_owned(),
            filter,
            data: payload_of(sent.data),
            tracking: sent.event_id.map_or(Tracking::Untracked, Tracking::Named),
        };
        let plane = self.0.upgrade().and_then(|planes| planes.subscriptions.clone());
        async move {
            let stopped = || PublishError::Failed(STOPPED.to_owned());
            let published = plane.ok_or_else(stopped)?.publish(publication);
            let published = published.await.map_err(|error| match error {
                PlanePublishError::EventId(_) => PublishError::EventId(error.to_string()),
                other => PublishError::Failed(other.to_string()),
            })?;
            // Those that were too slow for it are connections, and among those it was sent to.
            Ok(Report { delivered: published.delivered, ..Report::default() })
        }
        .boxed()
    }
}

// === impl Log ===

impl Observer for Log {
    fn observe(&self, event: &SubscriptionsEvent<'_>) {
        match event {
            SubscriptionsEvent::Refused { connection, peer, why } => {
                self.line(format_args!("subscriptions: {connection} from {peer} refused: {why}"));
            }
            SubscriptionsEvent::Slow { connection, waiting_bytes } => self.line(format_args!(
                "subscriptions: {connection} disconnected: {waiting_bytes} bytes wait for it"
            )),
            SubscriptionsEvent::Missed { connection, path, last_event_id } => {
                self.line(format_args!(
                    "subscriptions: {connection} came back to {path} too late: what came after \
                     `{last_event_id}` is not kept any more"
                ));
            }
            SubscriptionsEvent::StoreFailed { why } => {
                self.line(format_args!("subscriptions: {why}"));
            }
            _ => {}
        }
    }
}
