//! From a session to a route and back: what happens to a message, and to the news
//! that a connection is gone.
//!
//! Sessions run on shard threads and must not wait; everything here that waits runs
//! as a task of the runtime.

use std::fmt;
use std::sync::Arc;
use std::time::Instant;

use arc_swap::ArcSwap;
use bytes::Bytes;
use fanwire_access::Limiter;
use fanwire_app::model::{ExecutionLogLevel, Integration, Route};
use fanwire_hub::{Clock, ConnectionId, Hub};
use fanwire_wire::trace::TraceContext;
use fanwire_wire::ws::SharedFrame;
use tokio::runtime::Handle;
use tokio::sync::{Notify, Semaphore};

use crate::access_log::{IntegrationFigures, Variables};
use crate::api::{Api, DISCONNECT};
use crate::apis::Apis;
use crate::event::{DisconnectCause, EventType, Request};
use crate::figures::{AllFigures, Figures};
use crate::frame;
use crate::integration::{About, Answer, Event, Failure, Input, Integrations, Parameters, Run};
use crate::nodes::Nodes;
use crate::notice::Newcomer;
use crate::observer::{Observer, RequestRecord};
use crate::peer::{ApiIndex, Peer};
use crate::selected::{Incoming, Selected};
use crate::session::{Command, WebSocketSession};
use crate::topics::Topics;
use crate::traffic::{Id, Payload, Traffic};

/// `$disconnect` events that may be in integrations at once. A server that stops has
/// one for each connection; the rest wait for their turn.
const MAX_DISCONNECTS: usize = 64;

/// What every part of the plane shares. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Dispatcher {
    shared: Arc<Shared>,
}

struct Shared {
    apis: ArcSwap<Apis>,
    hub: Hub<WebSocketSession>,
    integrations: Integrations,
    observer: Arc<dyn Observer>,
    runtime: Handle,
    disconnects: Semaphore,
    disconnects_left: DisconnectsLeft,
    topics: Topics,
    limiter: Arc<Limiter>,
    figures: AllFigures,
    nodes: Option<Box<dyn Nodes>>,
}

/// How many `$disconnect` events are still to be delivered, with those of handshakes that
/// are under way.
#[derive(Default)]
struct DisconnectsLeft {
    count: std::sync::atomic::AtomicUsize,
    none: Notify,
}

/// A handshake that is under way: `$connect` may say yes yet, and is then owed an end.
pub(crate) struct Owed(Dispatcher);

/// What became of a request, for the records of it.
pub(crate) struct Concluded<'a> {
    pub(crate) api: &'a Api,
    pub(crate) peer: &'a Peer,
    pub(crate) request: &'a Request,
    pub(crate) route_key: &'a str,
    pub(crate) route: Option<&'a Route>,
    pub(crate) status: u16,
    pub(crate) error: Option<&'a str>,
    pub(crate) run: Option<&'a Run>,
    pub(crate) started: Instant,
    pub(crate) cause: Option<&'a DisconnectCause>,
}

/// Tells the session that its message is done with, whatever happens to the task.
struct InFlight<'a> {
    hub: &'a Hub<WebSocketSession>,
    id: ConnectionId,
    reply: Option<SharedFrame>,
}

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        // At most as many as the session lets its client have in flight.
        self.hub.reply(self.id, Command::Reply(self.reply.take()));
    }
}

// === impl Dispatcher ===

impl Dispatcher {
    pub(crate) fn new(
        apis: Apis,
        hub: Hub<WebSocketSession>,
        integrations: Integrations,
        observer: Arc<dyn Observer>,
        runtime: Handle,
        topics: Topics,
        (limiter, nodes): (Arc<Limiter>, Option<Box<dyn Nodes>>),
    ) -> Self {
        let disconnects = Semaphore::new(MAX_DISCONNECTS);
        let disconnects_left = DisconnectsLeft::default();
        let apis = ArcSwap::from_pointee(apis);
        let figures = AllFigures::new(hub.shards());
        let shared = Shared {
            apis,
            hub,
            integrations,
            observer,
            runtime,
            disconnects,
            disconnects_left,
            topics,
            limiter,
            figures,
            nodes,
        };
        Self { shared: Arc::new(shared) }
    }

    /// What clients are held to.
    pub(crate) fn limiter(&self) -> &Limiter {
        &self.shared.limiter
    }

    /// What the shard of a connection counts with.
    pub(crate) fn figures(&self, connection: ConnectionId) -> &Figures {
        self.shared.figures.of(connection.shard())
    }

    /// What all shards have counted.
    pub(crate) fn all_figures(&self) -> &AllFigures {
        &self.shared.figures
    }

    /// The APIs as they are now.
    pub(crate) fn apis(&self) -> Apis {
        Apis::clone(&self.shared.apis.load())
    }

    pub(crate) fn set_apis(&self, apis: Apis) {
        self.shared.apis.store(Arc::new(apis));
    }

    /// An API by its number, as it is now: another request may find it changed.
    pub(crate) fn api(&self, index: ApiIndex) -> Arc<Api> {
        Arc::clone(self.shared.apis.load().get(index))
    }

    /// The time that events tell.
    pub(crate) fn clock(&self) -> &Clock {
        self.shared.hub.clock()
    }

    pub(crate) fn hub(&self) -> &Hub<WebSocketSession> {
        &self.shared.hub
    }

    pub(crate) fn topics(&self) -> &Topics {
        &self.shared.topics
    }

    /// A connection that its shard is to expect.
    pub(crate) fn newcomer(&self, peer: &Peer) -> Newcomer {
        Newcomer { dispatcher: self.clone(), id: peer.id, api: peer.api }
    }

    /// The other nodes, in a cluster.
    pub(crate) fn nodes(&self) -> Option<&dyn Nodes> {
        self.shared.nodes.as_deref()
    }

    pub(crate) fn integrations(&self) -> &Integrations {
        &self.shared.integrations
    }

    pub(crate) fn runtime(&self) -> &Handle {
        &self.shared.runtime
    }

    /// Tells whoever records what passes, if anybody does.
    pub(crate) fn traffic<'t>(&self, traffic: impl FnOnce() -> Traffic<'t>) {
        if self.shared.observer.wants_traffic() {
            self.shared.observer.traffic(&traffic());
        }
    }

    /// Tells of something that an API got wrong.
    pub(crate) fn trouble(&self, api: &Api, text: &str) {
        self.shared.observer.trouble(&api.model, text);
    }

    /// A request begins. A message and an end are not parts of the handshake's trace, which
    /// may be long over: each begins a trace of its own.
    pub(crate) fn request(&self, kind: EventType, parent: Option<TraceContext>) -> Request {
        Request::new(kind, self.clock().epoch_ms(), self.shared.observer.span(parent))
    }

    /// A text message has come.
    pub(crate) fn text(&self, peer: &Arc<Peer>, body: String) {
        self.frame_in(peer, Payload::Text(&body));
        self.spawn_message(peer, Incoming::Text(body));
    }

    /// A binary message has come, which only an API that allows it lets through.
    pub(crate) fn binary(&self, peer: &Arc<Peer>, payload: &[u8]) {
        self.frame_in(peer, Payload::Binary(payload));
        self.spawn_message(peer, Incoming::Binary(Bytes::copy_from_slice(payload)));
    }

    /// A connection that was established is gone.
    pub(crate) fn disconnected(&self, peer: Arc<Peer>, cause: DisconnectCause) {
        self.shared.disconnects_left.add();
        let dispatcher = self.clone();
        self.shared.runtime.spawn(async move {
            dispatcher.end(&peer, &cause).await;
            dispatcher.shared.disconnects_left.remove();
        });
    }

    /// A handshake begins, and is under way until this is dropped.
    pub(crate) fn owe(&self) -> Owed {
        self.shared.disconnects_left.add();
        Owed(self.clone())
    }

    /// Waits until every `$disconnect` so far is delivered.
    pub(crate) async fn disconnects_delivered(&self) {
        self.shared.disconnects_left.wait().await;
    }

    fn frame_in(&self, peer: &Peer, payload: Payload<'_>) {
        self.traffic(|| Traffic::FrameIn { connection: Id(peer.id), payload });
    }

    fn spawn_message(&self, peer: &Arc<Peer>, incoming: Incoming) {
        let dispatcher = self.clone();
        let peer = Arc::clone(peer);
        self.shared.runtime.spawn(async move { dispatcher.message(&peer, incoming).await });
    }

    async fn message(&self, peer: &Peer, incoming: Incoming) {
        let mut in_flight = InFlight { hub: &self.shared.hub, id: peer.id, reply: None };
        let api = &*self.api(peer.api);
        let request = self.request(EventType::Message, None);
        let started = Instant::now();
        let key = match &incoming {
            Incoming::Text(text) => api.model.route_selection.evaluate(text),
            Incoming::Binary(_) | Incoming::Nothing => None,
        };
        let Some((route_key, route)) = api.message_route(key.as_deref()) else {
            in_flight.reply = Some(error_frame(frame::FORBIDDEN, peer, &request));
            let error = "no route takes this message, and there is no $default";
            self.conclude(&Concluded {
                api,
                peer,
                request: &request,
                route_key: key.as_deref().unwrap_or_default(),
                route: None,
                status: 403,
                error: Some(error),
                run: None,
                started,
                cause: None,
            });
            return;
        };
        let selected = Selected { api, peer, request: &request, route_key, route, cause: None };
        let outcome = self.run(&selected, incoming).await;
        in_flight.reply = match &outcome {
            Ok(answer) => answer.body.as_ref().filter(|_| route.route_response).map(frame::of_body),
            Err(_) => Some(error_frame(frame::INTERNAL_SERVER_ERROR, peer, &request)),
        };
        // The client waits for this one; the records can be made after it.
        drop(in_flight);
        self.conclude(&Concluded {
            api,
            peer,
            request: &request,
            route_key,
            route: Some(route),
            status: outcome.as_ref().map_or(500, |answer| answer.status),
            error: outcome.as_ref().err().map(|failure| failure.why.as_str()),
            run: Some(run_of(&outcome)),
            started,
            cause: None,
        });
    }

    /// Tells of a connection's end, unless another node does.
    async fn end(&self, peer: &Peer, cause: &DisconnectCause) {
        match (self.nodes(), peer.stay) {
            (Some(nodes), Some(stay)) => {
                // What was not told stays on record: this node leaves it to another.
                if nodes.may_tell(stay).await && self.disconnect(peer, cause).await {
                    nodes.forget(peer.id, stay);
                }
            }
            // There is nobody else who could.
            _ => {
                self.disconnect(peer, cause).await;
            }
        }
    }

    /// Tells of a connection's end. `false` where that was not tried, because the functions
    /// are shutting down.
    pub(crate) async fn disconnect(&self, peer: &Peer, cause: &DisconnectCause) -> bool {
        let api = &*self.api(peer.api);
        let request = self.request(EventType::Disconnect, None);
        let started = Instant::now();
        let route = api.route(DISCONNECT).map(|(_, route)| route);
        let outcome = match route {
            // The semaphore is never closed.
            Some(route) => {
                let _turn = self.shared.disconnects.acquire().await;
                let (request, route_key, cause) = (&request, DISCONNECT, Some(cause));
                let selected = Selected { api, peer, request, route_key, route, cause };
                Some(self.run(&selected, Incoming::Nothing).await)
            }
            None => None,
        };
        let outcome = outcome.as_ref();
        self.conclude(&Concluded {
            api,
            peer,
            request: &request,
            route_key: DISCONNECT,
            route,
            status: outcome.map_or(200, |outcome| outcome.as_ref().map_or(500, |a| a.status)),
            error: outcome.and_then(|outcome| outcome.as_ref().err()).map(|f| f.why.as_str()),
            run: outcome.map(run_of),
            started,
            cause: Some(cause),
        });
        !matches!(outcome, Some(Err(Failure { shutting_down: true, .. })))
    }

    /// Runs the integration of a selected route.
    async fn run(&self, selected: &Selected<'_>, incoming: Incoming) -> Result<Answer, Failure> {
        let Selected { api, peer, request, route_key, route, .. } = *selected;
        let integrations = self.integrations();
        let native = integrations.native_of(&route.integration);
        let (event, body, is_base64_encoded) = match native {
            Some(native) => {
                (Event::Native(native, selected.values(incoming)), String::new(), false)
            }
            None => {
                let (body, is_base64_encoded) = incoming.encoded();
                (selected.json(&body, is_base64_encoded), body, is_base64_encoded)
            }
        };
        self.log_execution(api, request, || match &event {
            Event::Json(event) => {
                format!("endpoint request for {route_key}: {}", String::from_utf8_lossy(event))
            }
            Event::Native(..) | Event::None => format!("endpoint request for {route_key}"),
        });
        let parameters = RouteParameters { api, peer, request, route_key, body: &body };
        let input = Input {
            about: About { connection: peer.id, request: &request.id },
            event,
            body: &body,
            is_base64_encoded,
            binary: api.model.limits.binary,
            parameters: &parameters,
            trace_id: Some(request.trace_id()),
        };
        integrations.run(&route.integration, input, api.timeout()).await
    }

    /// Everything that is told about a request once its outcome is known.
    pub(crate) fn conclude(&self, concluded: &Concluded<'_>) {
        let Concluded { api, peer, request, route_key, status, error, run, .. } = *concluded;
        let integration = run.map(|run| IntegrationFigures {
            latency_ms: millis(run.latency),
            status,
            request_id: run.invocation_id.as_deref().unwrap_or("-"),
        });
        if let Some(format) = &api.access_log {
            let context = api.context();
            let cause = concluded.cause;
            let variables = Variables {
                api: context,
                peer,
                request,
                route_key,
                status,
                error,
                integration,
                cause,
            };
            self.shared.observer.access(&api.model, &format.render(&variables));
        }
        self.log_outcome(api, request, route_key, status, error);
        // Without a run the route was found and its function not called.
        let function = match (concluded.route.map(|route| &route.integration), run) {
            (Some(Integration::Function { function }), Some(_)) => Some(function.as_str()),
            _ => None,
        };
        self.shared.observer.request(&RequestRecord {
            api: &api.model,
            event_type: request.kind,
            route_key,
            connection_id: &peer.id.to_string(),
            request_id: &request.id,
            function,
            invocation_id: run.and_then(|run| run.invocation_id.as_deref()),
            status,
            duration: concluded.started.elapsed(),
            error,
            closed: concluded.cause.map(|cause| (cause.code, &*cause.reason)),
            span: request.span,
        });
    }

    /// What goes into an integration, where the API wants its execution logged whole.
    pub(crate) fn log_execution(
        &self,
        api: &Api,
        request: &Request,
        line: impl FnOnce() -> String,
    ) {
        let logs = &api.model.logs;
        if logs.execution == ExecutionLogLevel::Info && logs.full_execution_data {
            self.shared.observer.execution(&api.model, &request.id, &line());
        }
    }

    fn log_outcome(
        &self,
        api: &Api,
        request: &Request,
        route_key: &str,
        status: u16,
        error: Option<&str>,
    ) {
        let line = match (api.model.logs.execution, error) {
            (ExecutionLogLevel::Off, _) | (ExecutionLogLevel::Error, None) => return,
            (_, Some(error)) => {
                format!("execution of {route_key} failed with status {status}: {error}")
            }
            (ExecutionLogLevel::Info, None) => {
                format!("completed {route_key} with status {status}")
            }
        };
        self.shared.observer.execution(&api.model, &request.id, &line);
    }
}

impl fmt::Debug for Dispatcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Dispatcher").field("apis", &self.apis()).finish_non_exhaustive()
    }
}

fn error_frame(message: &str, peer: &Peer, request: &Request) -> SharedFrame {
    SharedFrame::text(&frame::error_json(message, &peer.id.to_string(), &request.id))
}

fn run_of(outcome: &Result<Answer, Failure>) -> &Run {
    match outcome {
        Ok(answer) => &answer.run,
        Err(failure) => &failure.run,
    }
}

fn millis(duration: std::time::Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

// === impl Owed ===

impl Drop for Owed {
    fn drop(&mut self) {
        self.0.shared.disconnects_left.remove();
    }
}

impl fmt::Debug for Owed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Owed")
    }
}

// === impl DisconnectsLeft ===

impl DisconnectsLeft {
    fn add(&self) {
        self.count.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    }

    fn remove(&self) {
        if self.count.fetch_sub(1, std::sync::atomic::Ordering::AcqRel) == 1 {
            self.none.notify_waiters();
        }
    }

    async fn wait(&self) {
        loop {
            let none = self.none.notified();
            if self.count.load(std::sync::atomic::Ordering::Acquire) == 0 {
                return;
            }
            none.await;
        }
    }
}

/// The sources of request parameters, for a message or a disconnect.
#[derive(Debug)]
struct RouteParameters<'a> {
    api: &'a Api,
    peer: &'a Peer,
    request: &'a Request,
    route_key: &'a str,
    body: &'a str,
}

impl Parameters for RouteParameters<'_> {
    fn get(&self, source: &str) -> Option<String> {
        if source == "route.request.body" {
            return Some(self.body.to_owned());
        }
        if let Some(path) = source.strip_prefix("route.request.body.") {
            let selection = format!("$request.body.{path}");
            let selection: fanwire_app::selection::RouteSelection = selection.parse().ok()?;
            return selection.evaluate(self.body);
        }
        context_parameter(self.api, self.peer, self.request, self.route_key, source)
    }
}

/// The value of `context.…` or `stageVariables.…`.
pub(crate) fn context_parameter(
    api: &Api,
    peer: &Peer,
    request: &Request,
    route_key: &str,
    source: &str,
) -> Option<String> {
    if let Some(name) = source.strip_prefix("stageVariables.") {
        return api.model.stage_variables.get(name).cloned();
    }
    let name = source.strip_prefix("context.")?;
    let variables = Variables {
        api: api.context(),
        peer,
        request,
        route_key,
        status: 200,
        error: None,
        integration: None,
        cause: None,
    };
    variables.get(name)
}
