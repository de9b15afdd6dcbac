//! One App, served: a listener, the HTTP APIs behind it, and the planes.
//!
//! # Brief overview
//!
//! - [`Server::start`] binds, starts the hub, the functions host and the planes, and
//!   [`Server::stop`] takes them down again in bounded time. [`Server::apply`] serves an
//!   App that has changed without losing its connections.
//! - `listener` accepts connections on the server's `port` and on those of the realtime
//!   endpoint, and `http_connection` speaks HTTP, 1.1 and 2; a WebSocket handshake leaves
//!   HTTP there and its socket goes to a shard. `mqtt` is the way to the broker.
//! - `listening` has the listeners of a server in production; `gate` takes in what comes over
//!   Unix sockets and behind PROXY headers, which `proxy` reads; `domains` are names of hosts
//!   that stand for one API.
//! - `tls` is what makes the same port speak TLS: [`Authority`] is where its certificates
//!   come from on a developer's machine, and [`Certificates`] on a network.
//! - `guard` is who may call the APIs that let a caller act on others, or look inside.
//! - `cluster` is the glue to other nodes that serve the same App.
//! - `telemetry` is what the server tells of itself: metrics, health, who called what.
//! - `address` says which API a URL means; `upgrade`, `management`, `groups`,
//!   `subscriptions`,
//!   `lambda_api`, `iot_data` and `dynamodb` answer for it, and `control` for what AWS has not: what the
//!   `fanwire` command asks.

mod address;
mod apply;
mod call_span;
mod cluster;
mod control;
mod domains;
mod door;
mod dynamodb;
mod endpoints;
mod gate;
mod groups;
mod guard;
mod head_tap;
mod http_connection;
mod iot_data;
mod jwks;
mod lambda_api;
mod listener;
mod listening;
mod management;
mod mqtt;
mod nitric;
mod opening;
mod port;
mod proxy;
mod query;
mod realtime;
mod response;
mod router;
mod server;
mod subscriptions;
mod succession;
mod telemetry;
mod tls;
mod upgrade;

pub use self::apply::{Applied, ApplyError, LiveSettings, PreparedSettings};
pub use self::control::{Feed, Listening, Logs, describe_decision, question_of};
pub use self::guard::{GuardError, GuardEvent, GuardObserver, GuardOptions};
pub use fanwire_cluster::{Cluster, ClusterOptions, Credentials, NatsTls};
pub use fanwire_nitric::Observer as NitricObserver;

pub use self::domains::{DomainError, Domains};
pub use self::listener::Sharing;
pub use self::listening::{ListenAt, ListenerOptions, ListenerTls, RealtimeListeners};
pub use self::proxy::{NoNetwork, TrustedProxies};

pub use self::nitric::{NitricError, NitricOptions, ServedSocket};
pub use self::realtime::RealtimeError;
pub use self::server::{Observers, Server, ServerOptions, StartError};
pub use self::subscriptions::{SubscriptionsEndpoint, SubscriptionsError};
pub use self::succession::Predecessor;
pub use self::telemetry::{
    AuditError, AuditOptions, Check, Health, TelemetryOptions, TraceError, TraceOptions,
};
pub use self::tls::{
    AcmeError, Authority, CertificateError, CertificateEvent, CertificateFacts,
    CertificateObserver, Certificates, PairError, TlsError,
};
