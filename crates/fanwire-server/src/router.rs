//! Which of the HTTP APIs answers a request.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use bytes::Bytes;
use fanwire_access::{Excess, Held};
use fanwire_app::App;
use fanwire_dynamodb::DynamoDb;
use fanwire_functions::Functions;
use fanwire_websocket::{Arrival, Plane, Rejection, request_id};
use http::header::{HOST, ToStrError};
use http::{HeaderMap, HeaderValue, Request, StatusCode};
use http_body_util::{BodyExt, Either, Full, LengthLimitError, Limited};
use hyper::body::Incoming;
use tokio::sync::Notify;

use crate::address::{self, Target};
use crate::control::Control;
use crate::domains::Domains;
use crate::guard::Guard;
use crate::head_tap::Head;
use crate::proxy::{Client, TrustedProxies};
use crate::realtime::{Endpoint, RealtimeHost};
use crate::response::{self, Answer};
use crate::telemetry::{self, Telemetry};
use crate::{dynamodb, iot_data, subscriptions};

/// How long a client may take to send the body of a request.
const BODY_TIMEOUT: Duration = Duration::from_secs(30);

/// The body of a call: what still comes, or what had to be read to know who calls.
pub(crate) type CallBody = Either<Incoming, Full<Bytes>>;

/// What requests are answered with.
pub(crate) struct Router {
    guard: Arc<Guard>,
    plane: Plane,
    realtime: Arc<RealtimeHost>,
    subscriptions: Option<subscriptions::Endpoint>,
    functions: Functions,
    /// The embedded DynamoDB, where the App uses it.
    tables: Option<DynamoDb>,
    /// Told when expired items are to go at once.
    sweep: Arc<Notify>,
    /// The proxies whose word for their clients is taken.
    proxies: ArcSwap<TrustedProxies>,
    /// Names of hosts that stand for one API.
    domains: ArcSwap<Domains>,
    account: ArcSwap<Account>,
    control: Control,
    telemetry: Arc<Telemetry>,
    is_open: AtomicBool,
    stopping: AtomicBool,
}

/// Where a request came in.
pub(crate) struct Source {
    /// What is kept of the connection's first request.
    pub(crate) head: Head,
    /// The client, or the nearest proxy: see [`Router::client`].
    pub(crate) peer: SocketAddr,
    /// The port that it connected to.
    pub(crate) port: u16,
    /// Whether it came in by a port of the realtime endpoint's own.
    pub(crate) only_realtime: bool,
    /// The id of the API whose own port it came in by.
    pub(crate) socket: Option<Arc<str>>,
}

/// Where on AWS the App says that it is.
struct Account {
    region: String,
    id: String,
}

impl Account {
    fn of(app: &App) -> Self {
        Self { region: app.region.clone(), id: app.account_id.clone() }
    }
}

/// Why a body could not be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BodyError {
    #[error("the body is over {limit} bytes")]
    TooLarge { limit: usize },
    #[error("the body did not arrive within {BODY_TIMEOUT:?}")]
    TimedOut,
    #[error("the body did not arrive whole")]
    Broken,
}

impl Router {
    pub(crate) fn new(
        app: &App,
        guard: Arc<Guard>,
        planes: (Plane, Arc<RealtimeHost>, Option<subscriptions::Endpoint>),
        functions: Functions,
        tables: Option<DynamoDb>,
        (proxies, domains): (TrustedProxies, Domains),
        (control, telemetry): (Control, Arc<Telemetry>),
    ) -> Self {
        let (plane, realtime, subscriptions) = planes;
        let stopping = AtomicBool::new(false);
        let sweep = Arc::default();
        let account = ArcSwap::from_pointee(Account::of(app));
        Self {
            guard,
            plane,
            realtime,
            subscriptions,
            functions,
            tables,
            sweep,
            proxies: ArcSwap::from_pointee(proxies),
            domains: ArcSwap::from_pointee(domains),
            account,
            control,
            telemetry,
            is_open: AtomicBool::new(false),
            stopping,
        }
    }

    pub(crate) fn guard(&self) -> &Guard {
        &self.guard
    }

    /// What is told of the server.
    pub(crate) fn telemetry(&self) -> &Arc<Telemetry> {
        &self.telemetry
    }

    pub(crate) fn plane(&self) -> &Plane {
        &self.plane
    }

    /// The subscriptions of this process, if it has any.
    pub(crate) fn subscriptions(&self) -> Option<&subscriptions::Endpoint> {
        self.subscriptions.as_ref()
    }

    pub(crate) fn realtime_host(&self) -> &Arc<RealtimeHost> {
        &self.realtime
    }

    /// The realtime endpoint, while the App has one.
    pub(crate) fn realtime(&self) -> Option<Arc<Endpoint>> {
        self.realtime.endpoint()
    }

    /// Whether clients that speak MQTT are expected.
    pub(crate) fn has_realtime(&self) -> bool {
        self.realtime.is_served()
    }

    pub(crate) fn functions(&self) -> &Functions {
        &self.functions
    }

    pub(crate) fn tables(&self) -> Option<&DynamoDb> {
        self.tables.as_ref()
    }

    pub(crate) fn sweep(&self) -> &Arc<Notify> {
        &self.sweep
    }

    /// Moves the clock of connections and tables ahead; says how far it is in all.
    pub(crate) fn advance_clock(&self, by: Duration) -> Duration {
        let ahead = self.plane.advance_clock(by);
        self.realtime.advance_clock(by);
        if let Some(endpoint) = &self.subscriptions {
            endpoint.plane.advance_clock(by);
        }
        self.sweep.notify_one();
        ahead
    }

    pub(crate) fn control_parts(&self) -> &Control {
        &self.control
    }

    /// Tells of a changed App from now on.
    pub(crate) fn apply(&self, app: &App) {
        self.account.store(Arc::new(Account::of(app)));
        self.control.apply(app);
    }

    /// Refuses handshakes from now on. Other requests are still answered: handlers
    /// of `$disconnect` need them.
    pub(crate) fn stop(&self) {
        self.stopping.store(true, Ordering::Relaxed);
    }

    /// From now on clients are served.
    pub(crate) fn open(&self) {
        self.is_open.store(true, Ordering::Relaxed);
    }

    /// Whether clients are served already.
    pub(crate) fn is_open(&self) -> bool {
        self.is_open.load(Ordering::Relaxed)
    }

    pub(crate) fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Relaxed)
    }

    /// The proxies whose word for their clients is taken.
    pub(crate) fn proxies(&self) -> arc_swap::Guard<Arc<TrustedProxies>> {
        self.proxies.load()
    }

    /// Believes these proxies, and has these names of hosts stand for APIs, from now on.
    pub(crate) fn update(&self, proxies: TrustedProxies, domains: Domains) {
        self.proxies.store(Arc::new(proxies));
        self.domains.store(Arc::new(domains));
    }

    /// Holds the address of a connection that begins to its limit. A trusted proxy's is many
    /// clients', and what comes over a Unix socket has none.
    pub(crate) fn knock(&self, peer: SocketAddr) -> Result<Option<Held<IpAddr>>, Excess> {
        if peer.port() == 0 || self.proxies.load().include(peer.ip()) {
            return Ok(None);
        }
        self.guard().limiter().knock(peer.ip())
    }

    /// Whose request it is that came in at `source`.
    pub(crate) fn client(&self, source: &Source, headers: &HeaderMap) -> Client {
        let direct = Client { address: source.peer, tls: source.head.is_tls(), port: source.port };
        self.proxies.load().client(direct, headers)
    }

    pub(crate) fn arrival(&self, source: &Source, headers: &HeaderMap) -> Arrival {
        let Client { address, tls, port } = self.client(source, headers);
        let forwarded = address.ip() != source.peer.ip();
        Arrival { source_ip: address.ip(), port, tls, forwarded }
    }

    /// The ARN of something of a service, as far as the App says where on AWS it is.
    pub(crate) fn arn(&self, service: &str, resource: &str) -> String {
        let account = self.account.load();
        format!("arn:aws:{service}:{}:{}:{resource}", account.region, account.id)
    }

    /// The account that the App says it is of.
    pub(crate) fn account_id(&self) -> String {
        self.account.load().id.clone()
    }

    /// The ARN of who a key or a token is called by.
    pub(crate) fn arn_of_user(&self, name: &str) -> String {
        format!("arn:aws:iam::{}:user/{name}", self.account.load().id)
    }

    pub(crate) fn arn_of_unknown(&self, name: &str) -> String {
        if name.starts_with("arn:") {
            return name.to_owned();
        }
        let account = self.account.load();
        format!("arn:aws:lambda:{}:{}:function:{name}", account.region, account.id)
    }

    /// Sends the last traces, as far as a collector takes them.
    pub(crate) async fn flush_traces(&self) {
        if let Some(traces) = self.telemetry.traces() {
            traces.flush().await;
        }
    }

    pub(crate) async fn answer(&self, request: Request<Incoming>, source: &Source) -> Answer {
        if let Some(id) = &source.socket {
            return self.socket(id, request, source).await;
        }
        let realtime = self.realtime();
        let path = request.uri().path();
        let target =
            self.target(realtime.as_deref(), source.only_realtime, request.headers(), path);
        if let (Target::Realtime, Some(endpoint)) = (&target, &realtime) {
            return self.realtime_upgrade(Arc::clone(endpoint), request, source);
        }
        if let (Target::Subscriptions, Some(endpoint)) = (&target, &self.subscriptions) {
            return self.subscriptions_upgrade(endpoint, request, source);
        }
        if source.only_realtime {
            return response::rejected(Rejection::unknown_stage(&request_id()));
        }
        if !target.is_privileged() {
            return match target {
                Target::Api(api) => self.upgrade(api, request, source).await,
                Target::Health => response::json(StatusCode::OK, r#"{"message":"healthy"}"#),
                Target::Alive => telemetry::alive(),
                Target::Ready => self.telemetry.readiness().into_answer(),
                _ => response::rejected(Rejection::unknown_stage(&request_id())),
            };
        }
        // Who names a custom authorizer is judged by it, wherever the request comes from.
        let judged = target == Target::IotData && iot_data::is_judged(&request);
        let mut request = match judged {
            true => request.map(Either::Left),
            false => match self.admit(&target, request, source).await {
                Ok(request) => request,
                Err(answer) => return *answer,
            },
        };
        let span = self.begin_call(&target, &mut request);
        let answer = self.answer_call(target, request, source).await;
        if let Some(span) = span {
            span.end(&answer);
        }
        answer
    }

    /// Answers a request of somebody who may make it.
    async fn answer_call(
        &self,
        target: Target,
        request: Request<CallBody>,
        source: &Source,
    ) -> Answer {
        match target {
            Target::Connection(api, id) => self.connection(api, &id, request).await,
            Target::Groups(api, group) => self.groups(api, &group, &request).await,
            Target::Connections(api) => self.connections(api, request).await,
            Target::Invoke(name) => self.invoke(&name, request).await,
            Target::InvokeAsync(name) => self.invoke_async(&name, request).await,
            Target::DynamoDb => self.dynamodb(request).await,
            Target::IotData => self.iot_data(request, source).await,
            Target::Control(path) => self.control(&path, request).await,
            Target::Api(_)
            | Target::Health
            | Target::Alive
            | Target::Ready
            | Target::Realtime
            | Target::Subscriptions
            | Target::Unknown => response::rejected(Rejection::unknown_stage(&request_id())),
        }
    }

    /// Answers a request to a port of an API's own, whatever its path.
    async fn socket(&self, id: &str, request: Request<Incoming>, source: &Source) -> Answer {
        let index = self.plane.apis().iter().find(|(_, api)| api.id == id).map(|(at, _)| at);
        match index {
            Some(index) => self.upgrade(index, request, source).await,
            None => response::rejected(Rejection::unknown_stage(&request_id())),
        }
    }

    /// What a request is for.
    pub(crate) fn target(
        &self,
        realtime: Option<&Endpoint>,
        only_realtime: bool,
        headers: &HeaderMap,
        path: &str,
    ) -> Target {
        let host = headers.get(HOST).map(HeaderValue::to_str);
        let host = host.and_then(Result::<&str, ToStrError>::ok).unwrap_or_default();
        let own = realtime.map(|endpoint| endpoint.path.as_str());
        if only_realtime {
            address::resolve(std::iter::empty(), own, host, path)
        } else if dynamodb::is_meant(headers) {
            Target::DynamoDb
        } else if self.subscriptions.as_ref().is_some_and(|endpoint| endpoint.is_at(path)) {
            Target::Subscriptions
        } else {
            let apis = self.plane.apis();
            match self.domains.load().api(host) {
                Some(id) => {
                    address::resolve(apis.iter().filter(|(_, api)| api.id == id), own, host, path)
                }
                None => address::resolve(apis.iter(), own, host, path),
            }
        }
    }

    /// Reads the body of a request.
    pub(crate) async fn body(
        &self,
        request: Request<CallBody>,
        limit: usize,
    ) -> Result<Bytes, BodyError> {
        self.body_of(request.into_body(), limit).await
    }

    /// Reads a body of at most `limit` bytes.
    pub(crate) async fn body_of(&self, body: CallBody, limit: usize) -> Result<Bytes, BodyError> {
        let reading = Limited::new(body, limit).collect();
        match tokio::time::timeout(BODY_TIMEOUT, reading).await {
            Ok(Ok(body)) => Ok(body.to_bytes()),
            Ok(Err(error)) if error.is::<LengthLimitError>() => Err(BodyError::TooLarge { limit }),
            Ok(Err(_)) => Err(BodyError::Broken),
            Err(_) => Err(BodyError::TimedOut),
        }
    }
}
