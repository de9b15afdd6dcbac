//! The handle to the plane, and the way of a handshake through it: authorizer,
//! `$connect`, and only then a connection (reference: api-gateway.md, section 5).

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use fanwire_access::{Counted, Excess, Limiter};
use fanwire_app::model::{Route, WebSocketApi};
use fanwire_functions::{Functions, InvokeError, InvokeOptions};
use fanwire_hub::{Audience, Ending, Hub, HubStats, Reservation, Session as _, Transport};
use fanwire_wire::ws::{CloseCode, WireForm, handshake::negotiate_deflate};
use tokio::runtime::Handle;
use tokio::sync::oneshot;

use crate::api::{Api, CONNECT};
use crate::apis::Apis;
use crate::authorizer::{self, Refusal};
use crate::dispatch::{Concluded, Dispatcher, Owed, context_parameter};
use crate::event::{self, DisconnectCause, EventType, Request};
use crate::figures::WebSocketStats;
use crate::first_groups;
use crate::groups::Group;
use crate::handshake::ClientRequest;
use crate::integration::http::HttpBackend;
use crate::integration::{
    About, Answer, Event, Failure, Input, Integrations, Parameters, Run, error_message,
};
use crate::native::{Native, NativeError, NativeEvent, Natives};
use crate::nodes::Nodes;
use crate::notice::Notice;
use crate::observer::Observer;
use crate::peer::{ApiIndex, Authorized, Peer, Place};
use crate::rejection::Rejection;
use crate::session::{Command, Common, WebSocketSession};
use crate::topics::{TopicSource, Topics};
use crate::traffic::{Id, Side, Traffic};

/// The WebSocket APIs of an App, over a hub and a functions host. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Plane {
    pub(crate) dispatcher: Dispatcher,
}

/// What the plane needs of its surroundings.
pub struct PlaneParts {
    /// Where connections live.
    pub hub: Hub<WebSocketSession>,
    /// What runs the functions.
    pub functions: Functions,
    /// The functions that are Rust in this process; they come before those of the same key.
    pub natives: Natives,
    /// Who is told of requests.
    pub observer: Arc<dyn Observer>,
    /// Where events are dispatched.
    pub runtime: Handle,
    /// For ARNs.
    pub region: String,
    /// For ARNs.
    pub account_id: String,
    /// Where the topics are that connections can be subscribed to. `None`: there are none.
    pub topics: Option<Box<dyn TopicSource>>,
    /// What addresses, principals and connections may ask for.
    pub limiter: Arc<Limiter>,
    /// The other nodes that serve the same App. `None`: this one is alone.
    pub nodes: Option<Box<dyn Nodes>>,
}

/// The gateway's answer to a handshake.
#[derive(Debug)]
pub enum Handshake {
    /// 101, with these headers beside those of the protocol itself.
    Accepted {
        /// Names and values from the `$connect` handler and the extension's.
        headers: Vec<(String, String)>,
        /// What becomes a connection once the 101 is on its way.
        pending: Pending,
    },
    /// An HTTP error.
    Refused(Rejection),
}

/// An accepted handshake. Either it is opened, or the API hears of a disconnect.
#[derive(Debug)]
pub struct Pending {
    dispatcher: Dispatcher,
    peer: Arc<Peer>,
    form: WireForm,
    /// Whether it has tags or topics already.
    in_groups: bool,
    /// Taken when the connection opens.
    reservation: Option<Reservation<WebSocketSession>>,
    /// Let go of once somebody else sees to it that its end is told.
    _owed: Owed,
}

// === impl Plane ===

impl Plane {
    /// Makes the APIs of an App ready.
    pub fn new(apis: Vec<WebSocketApi>, parts: PlaneParts) -> Self {
        let PlaneParts { hub, functions, natives, observer, runtime, .. } = parts;
        let apis = Apis::new(apis, &parts.region, &parts.account_id);
        let integrations = Integrations {
            functions,
            natives,
            http: HttpBackend::default(),
            observer: Arc::clone(&observer),
            runtime: runtime.clone(),
        };
        let topics = Topics::new(parts.topics);
        let further = (parts.limiter, parts.nodes);
        let dispatcher =
            Dispatcher::new(apis, hub, integrations, observer, runtime, topics, further);
        Self { dispatcher }
    }

    /// The APIs and their numbers, as they are now.
    pub fn apis(&self) -> Apis {
        self.dispatcher.apis()
    }

    /// Serves other APIs from now on. Connections to an API whose id stays live on: their
    /// next message finds the new routes, and the new limits hold at once. Those to an API
    /// that is gone are closed with 1001.
    pub fn update(&self, apis: Vec<WebSocketApi>, region: &str, account_id: &str) {
        let (apis, gone) = self.apis().changed(apis, region, account_id);
        self.dispatcher.set_apis(apis);
        for number in gone {
            self.close_all(number);
        }
        self.dispatcher.hub().review();
    }

    /// Holds a client's address to its limits, before anything is asked for it. Where it is
    /// over one, [`connect`](Self::connect) refuses it.
    pub fn arrive(&self, client: ClientRequest) -> ClientRequest {
        let now = self.dispatcher.clock().now();
        let arrived = self.dispatcher.limiter().arrive(client.source_ip, now);
        client.arrived(arrived)
    }

    /// Takes a handshake for one of the APIs through its authorizer and `$connect`.
    ///
    /// It runs to its end even where the caller stops waiting: a handler that has
    /// stored a connection must hear of its end.
    pub async fn connect(&self, api: ApiIndex, client: ClientRequest) -> Handshake {
        let dispatcher = self.dispatcher.clone();
        let request = dispatcher.request(EventType::Connect, client.trace());
        let connecting = Connecting { dispatcher, client, request };
        let request_id = connecting.request.id.clone();
        let task = self.dispatcher.runtime().spawn(connecting.run(api));
        match task.await {
            Ok(handshake) => handshake,
            // Only a defect of ours, or the runtime's end.
            Err(_) => Handshake::Refused(Rejection::internal(&request_id)),
        }
    }

    /// Moves the clock that connections live in ahead: what was due in that time happens
    /// now. Says how far it is ahead in all.
    pub fn advance_clock(&self, by: Duration) -> Duration {
        let hub = self.dispatcher.hub();
        hub.advance(by);
        hub.clock().ahead()
    }

    /// What its shards have moved.
    pub fn hub_stats(&self) -> HubStats {
        self.dispatcher.hub().stats()
    }

    /// What the plane has done: what its sessions have counted, and what broadcasts of the hub
    /// have given to them.
    pub fn stats(&self) -> WebSocketStats {
        let hub = self.dispatcher.hub().stats();
        let mut stats = self.dispatcher.all_figures().sum();
        stats.routed += hub.broadcast + hub.dropped;
        stats.sent += hub.broadcast;
        stats.slow_client += hub.dropped;
        stats
    }

    /// How many connections an API has now, with those that are yet to be let in.
    pub fn connections_of(&self, api: ApiIndex) -> usize {
        self.dispatcher.api(api).connections.load(Ordering::Relaxed)
    }

    /// Closes every connection with 1001: this node was declared dead, and whoever declared it
    /// so tells of their ends.
    pub fn close_everyone(&self) {
        for (number, _) in self.apis().iter() {
            self.close_all(number);
        }
    }

    /// Closes every connection of an API.
    fn close_all(&self, number: ApiIndex) {
        let close = move || Command::Delete {
            api: number,
            code: CloseCode::GOING_AWAY,
            reason: "Going away".into(),
            // Nobody waits for it.
            done: oneshot::channel().0,
        };
        // Shards that are too busy for it keep the connections; their messages are
        // answered as the API last said.
        let _ = self.dispatcher.hub().each(Audience(number), usize::MAX, close);
    }

    /// Says goodbye to all clients, those whose handshakes are under way included, then waits
    /// until their `$disconnect` events are delivered; both within `grace`.
    pub async fn stop(&self, grace: Duration) {
        let deadline = tokio::time::Instant::now() + grace;
        let hub = self.dispatcher.hub().clone();
        // Half of the time for the clients, so that the handlers have the other half.
        let stopped = tokio::task::spawn_blocking(move || hub.stop(grace / 2));
        // Where it does not come to an end, the time is up anyway.
        let _ = tokio::time::timeout_at(deadline, stopped).await;
        let _ = tokio::time::timeout_at(deadline, self.dispatcher.disconnects_delivered()).await;
    }
}

/// A handshake on its way.
struct Connecting {
    dispatcher: Dispatcher,
    client: ClientRequest,
    request: Request,
}

impl Connecting {
    async fn run(mut self, index: ApiIndex) -> Handshake {
        let (started, owed) = (Instant::now(), self.dispatcher.owe());
        let api = &*self.dispatcher.api(index);
        let place = Place::take(&api.connections, api.model.limits.max_connections);
        let (Some(place), Ok(reservation)) = (place, self.dispatcher.hub().reserve()) else {
            return Handshake::Refused(Rejection::too_many(&self.request.id));
        };
        let mut peer = Peer {
            id: reservation.id(),
            api: index,
            connected_at: self.request.at,
            source_ip: self.client.source_ip,
            user_agent: self.client.header("User-Agent").map(Into::into),
            domain: Arc::clone(&self.client.domain),
            authorizer: None,
            identity: Vec::new(),
            stay: None,
            _place: place,
            counted: Counted::default(),
        };
        let connection = Id(peer.id);
        self.dispatcher.traffic(|| self.client.traffic(connection, &api.model.name));
        let route = api.route(CONNECT).map(|(_, route)| route);
        let arrived = std::mem::replace(&mut self.client.arrived, Ok(Counted::default()));
        let arrived = arrived.and_then(|counted| {
            peer.counted = counted;
            self.recognise(&mut peer)
        });
        let outcome = match arrived {
            Ok(()) => self.decide(api, &mut peer, route).await,
            Err(excess) => Err(self.too_many(excess)),
        };
        let (status, error, run) = match &outcome {
            Ok(Some(answer)) => (answer.status, None, Some(&answer.run)),
            Ok(None) => (200, None, None),
            Err(refused) => {
                (refused.rejection.status, Some(refused.why.as_str()), refused.run.as_ref())
            }
        };
        let request = &self.request;
        self.dispatcher.conclude(&Concluded {
            api,
            peer: &peer,
            request,
            route_key: CONNECT,
            route,
            status,
            error,
            run,
            started,
            cause: None,
        });
        match outcome {
            Ok(answer) => {
                // Before the client hears that it is connected: from then on it may rely on it.
                if let Some(nodes) = self.dispatcher.nodes().filter(|_| api.tells_ends()) {
                    peer.stay = nodes.keep(peer.id, api.record_of(&peer)).await;
                }
                self.dispatcher.traffic(|| Traffic::Connected { connection });
                self.accept(api, peer, (reservation, owed), answer)
            }
            Err(Refused { rejection, .. }) => {
                let Rejection { status, body, .. } = &rejection;
                self.dispatcher.traffic(|| Traffic::Refused { connection, status: *status, body });
                Handshake::Refused(rejection)
            }
        }
    }

    /// Takes over what is known of the client already.
    fn recognise(&self, peer: &mut Peer) -> Result<(), Excess> {
        let Some(voucher) = &self.client.voucher else { return Ok(()) };
        peer.identity.clone_from(&voucher.identity);
        if let (Some(principal), Some(context)) = (&voucher.principal, &voucher.authorizer) {
            peer.authorizer = Some(Box::new(Authorized {
                context: context.clone(),
                principal: principal.clone(),
                latency_ms: 0,
            }));
        }
        match &voucher.principal {
            Some(principal) => self.know(peer, principal),
            None => Ok(()),
        }
    }

    /// Holds who the client is to its limits.
    fn know(&self, peer: &mut Peer, principal: &str) -> Result<(), Excess> {
        let counted = std::mem::take(&mut peer.counted);
        peer.counted = self.dispatcher.limiter().know(counted, principal)?;
        Ok(())
    }

    fn too_many(&self, excess: Excess) -> Refused {
        let rejection = Rejection::too_many(&self.request.id);
        Refused { rejection, why: excess.to_string(), run: None }
    }

    /// The authorizer, then `$connect`. `Ok(None)` where there is no `$connect`.
    async fn decide(
        &self,
        api: &Api,
        peer: &mut Peer,
        route: Option<&Route>,
    ) -> Result<Option<Answer>, Refused> {
        let Some(route) = route else { return Ok(None) };
        if let Some(name) = &route.authorizer {
            let authorized = self.authorize(api, peer, name).await?;
            let known = self.know(peer, &authorized.principal);
            known.map_err(|excess| self.too_many(excess))?;
            peer.authorizer = Some(Box::new(authorized));
        }
        let integrations = self.dispatcher.integrations();
        let event = match integrations.native_of(&route.integration) {
            Some(native) => Event::Native(native, self.values(api, peer)),
            None => {
                let event = event::connect(api.context(), peer, &self.request, &self.client);
                self.dispatcher.log_execution(api, &self.request, || {
                    format!("endpoint request for {CONNECT}: {}", String::from_utf8_lossy(&event))
                });
                Event::Json(event)
            }
        };
        let parameters =
            ConnectParameters { api, peer, request: &self.request, client: &self.client };
        let input = Input {
            about: self.about(peer),
            event,
            body: "",
            is_base64_encoded: false,
            binary: api.model.limits.binary,
            parameters: &parameters,
            trace_id: self.trace_id(),
        };
        let outcome = integrations.run(&route.integration, input, api.timeout()).await;
        match outcome {
            Ok(answer) if (200..300).contains(&answer.status) => Ok(Some(answer)),
            Ok(answer) => Err(Refused {
                rejection: Rejection::by_handler(answer.status, &peer.id, &self.request.id),
                why: format!("$connect answered {}", answer.status),
                run: Some(answer.run),
            }),
            Err(Failure { status, why, words, run, .. }) => {
                let rejection = match status {
                    _ if let Some(words) = words => {
                        Rejection::in_words(status, words, &self.request.id)
                    }
                    500.. => Rejection::by_failure(status, &peer.id, &self.request.id),
                    _ => Rejection::by_handler(status, &peer.id, &self.request.id),
                };
                Err(Refused { rejection, why, run: Some(run) })
            }
        }
    }

    /// The handshake as a function of this process takes it.
    fn values<'a>(&'a self, api: &'a Api, peer: &'a Peer) -> NativeEvent<'a> {
        NativeEvent::of(api, peer, &self.request, CONNECT).with_client(&self.client)
    }

    async fn authorize(&self, api: &Api, peer: &Peer, name: &str) -> Result<Authorized, Refused> {
        let refuse = |refusal: Refusal, why: String| Refused {
            rejection: Rejection::by_authorizer(&refusal, &self.request.id),
            why,
            run: None,
        };
        let Some(authorizer) = api.model.authorizers.get(name) else {
            // Importers check this; an App built by hand may still name nothing.
            let why = format!("there is no authorizer `{name}`");
            return Err(refuse(Refusal::Failed(why.clone()), why));
        };
        let context = |name: &str| {
            let source = format!("context.{name}");
            context_parameter(api, peer, &self.request, CONNECT, &source)
        };
        let variables = &api.model.stage_variables;
        if let Some(source) =
            authorizer::missing_identity(authorizer, &self.client, variables, context)
        {
            let why = format!("identity source {source} is missing; the authorizer was not called");
            return Err(refuse(Refusal::Unauthorized, why));
        }
        if let Some(native) = self.dispatcher.integrations().natives.get(&authorizer.function) {
            return self
                .ask_native(api, peer, name, native)
                .await
                .map_err(|(refusal, why)| refuse(refusal, why));
        }
        let arn = &api.connect_arn;
        let event = event::authorizer(api.context(), peer, &self.request, &self.client, arn);
        let options = InvokeOptions { trace_id: self.trace_id(), ..InvokeOptions::default() };
        let started = Instant::now();
        let integrations = self.dispatcher.integrations();
        let about = self.about(peer);
        let invocation = integrations.invoke(about, &authorizer.function, event, options);
        let outcome = match tokio::time::timeout(api.timeout(), invocation).await {
            Ok(outcome) => outcome.map_err(|error: InvokeError| error.to_string()),
            Err(_) => Err(format!("no answer within {:?}", api.timeout())),
        };
        let latency_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
        match outcome {
            Err(why) => {
                Err(refuse(Refusal::Failed(why.clone()), format!("authorizer {name}: {why}")))
            }
            Ok(outcome) if outcome.error.is_some() => {
                let why = format!("authorizer {name}: {}", error_message(&outcome.payload));
                Err(refuse(authorizer::judge_error(&outcome.payload), why))
            }
            Ok(outcome) => {
                authorizer::judge(&outcome.payload, arn, latency_ms).map_err(|refusal| {
                    let why = format!("authorizer {name}: {}", refusal.explain(arn));
                    refuse(refusal, why)
                })
            }
        }
    }

    /// Asks an authorizer of this process.
    async fn ask_native(
        &self,
        api: &Api,
        peer: &Peer,
        name: &str,
        native: &Arc<dyn Native>,
    ) -> Result<Authorized, (Refusal, String)> {
        let started = Instant::now();
        let deciding = native.authorize(self.values(api, peer));
        // As a task of its own, like any function.
        let task = self.dispatcher.runtime().spawn(deciding);
        let failed = |why: String| {
            let why = format!("authorizer {name}: {why}");
            (Refusal::Failed(why.clone()), why)
        };
        let decision = match tokio::time::timeout(api.timeout(), task).await {
            Err(_) => return Err(failed(format!("no answer within {:?}", api.timeout()))),
            Ok(Err(panic)) => return Err(failed(format!("it panicked: {panic}"))),
            Ok(Ok(decision)) => decision,
        };
        let latency_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
        match decision {
            Ok(grant) => authorizer::of_native(grant, latency_ms).map_err(failed),
            Err(NativeError { status: 401, why, .. }) => Err((Refusal::Unauthorized, why)),
            Err(NativeError { status: 403, why, .. }) => {
                Err((Refusal::Denied { explicit: true }, why))
            }
            Err(NativeError { why, .. }) => Err(failed(why)),
        }
    }

    fn accept(
        &self,
        api: &Api,
        peer: Peer,
        (mut reservation, owed): (Reservation<WebSocketSession>, Owed),
        answer: Option<Answer>,
    ) -> Handshake {
        // Before the client can hear of it, and tell somebody else.
        reservation.expect(Audience(peer.api));
        let mut headers = answer.map(|answer| answer.headers).unwrap_or_default();
        let offers = self.client.header("Sec-WebSocket-Extensions");
        let deflate = offers.filter(|_| api.model.limits.compression).and_then(negotiate_deflate);
        let groups = self.first_groups(api, &peer, &mut headers);
        // Extensions are the gateway's business, whatever a handler answers.
        headers.retain(|(name, _)| !name.eq_ignore_ascii_case("Sec-WebSocket-Extensions"));
        if let Some(deflate) = deflate {
            headers.push(("Sec-WebSocket-Extensions".to_owned(), deflate.to_string()));
        }
        let form = deflate.map_or(WireForm::Plain, |deflate| deflate.wire_form());
        let in_groups = !groups.is_empty();
        if in_groups {
            let newcomer = self.dispatcher.newcomer(&peer);
            // One a connection, and before anything else that is asked of it.
            let notice = Notice::Begin { newcomer, groups };
            self.dispatcher.hub().notify_anyway(peer.id.shard(), notice, 0);
        }
        let pending = Pending {
            dispatcher: self.dispatcher.clone(),
            peer: Arc::new(peer),
            form,
            in_groups,
            reservation: Some(reservation),
            _owed: owed,
        };
        Handshake::Accepted { headers, pending }
    }

    /// The groups that a connection begins with: what `$connect` says in headers, which are
    /// not for the client, and the topics that the API has for everybody.
    fn first_groups(
        &self,
        api: &Api,
        peer: &Peer,
        headers: &mut Vec<(String, String)>,
    ) -> Box<[Group]> {
        let (groups, wrong) = first_groups::of(&api.model, peer, headers);
        for why in wrong {
            self.dispatcher.trouble(api, &format!("connection {}: {why}", peer.id));
        }
        groups.into()
    }

    fn about(&self, peer: &Peer) -> About<'_> {
        About { connection: peer.id, request: &self.request.id }
    }

    fn trace_id(&self) -> Option<String> {
        let given = self.client.header("X-Amzn-Trace-Id").filter(|_| self.request.span.is_none());
        given.map(str::to_owned).or_else(|| Some(self.request.trace_id()))
    }
}

/// Why a handshake is refused: what the client gets, and what people read.
struct Refused {
    rejection: Rejection,
    why: String,
    run: Option<Run>,
}

// === impl Pending ===

impl Pending {
    /// Makes the connection live: over `transport` the 101 was sent, and `early` is what
    /// the client sent after its request.
    pub fn open(mut self, transport: Transport, early: Vec<u8>) {
        // This node was declared dead meanwhile, and the connection with it.
        if !self.dispatcher.hub().is_here(self.peer.id) {
            return;
        }
        if let Some(reservation) = self.reservation.take() {
            let peer = Arc::clone(&self.peer);
            let dispatcher = self.dispatcher.clone();
            let now = self.dispatcher.clock().now();
            let session = WebSocketSession::new(peer, dispatcher, self.form, now);
            let attached = self.dispatcher.hub().attach(reservation, transport, session, early);
            if let Err(late) = attached {
                // The handler believes in a connection, so it hears of its end.
                late.closed(Ending::HubStopped, &mut Common::default());
            }
        }
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        // The client left between `$connect` and the 101. The handler believes in a
        // connection, so it hears of its end.
        if self.reservation.is_some() {
            if self.in_groups {
                let notice = Notice::Forget(self.dispatcher.newcomer(&self.peer));
                self.dispatcher.hub().notify_anyway(self.peer.id.shard(), notice, 0);
            }
            let cause = DisconnectCause { code: 1006, reason: "".into() };
            self.dispatcher.traffic(|| Traffic::Close {
                connection: Id(self.peer.id),
                code: cause.code,
                reason: &cause.reason,
                by: Side::Client,
            });
            self.dispatcher.disconnected(Arc::clone(&self.peer), cause);
        }
    }
}

/// The sources of request parameters, for a handshake.
#[derive(Debug)]
struct ConnectParameters<'a> {
    api: &'a Api,
    peer: &'a Peer,
    request: &'a Request,
    client: &'a ClientRequest,
}

impl Parameters for ConnectParameters<'_> {
    fn get(&self, source: &str) -> Option<String> {
        if let Some(name) = source.strip_prefix("route.request.header.") {
            return self.client.header(name).map(str::to_owned);
        }
        if let Some(name) = source.strip_prefix("route.request.querystring.") {
            return self.client.query_parameter(name).map(str::to_owned);
        }
        context_parameter(self.api, self.peer, self.request, CONNECT, source)
    }
}
