//! Who is told of what happens in the plane.

use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

use fanwire_wire::trace::{Span, TraceContext};

/// Somebody who is told of what clients do and of what is refused: a log, metrics. Called
/// on shards and on the runtime; it must not block.
pub trait Observer: Send + Sync + 'static {
    /// Something has happened.
    fn observe(&self, event: &RealtimeEvent<'_>);

    /// A function is about to be called for something that its client says is part of a trace,
    /// or of none: the span of that, kept or not, where traces are made.
    fn span(&self, _parent: Option<TraceContext>) -> Option<Span> {
        None
    }

    /// What a [span](Self::span) was begun for is done with.
    fn traced(&self, _call: &TracedCall<'_>) {}
}

/// What a function was called for, as a span of a trace: the function's is a part of it.
#[derive(Debug, Clone, Copy)]
pub struct TracedCall<'a> {
    /// The span.
    pub span: Span,
    /// What was done.
    pub what: TracedWork<'a>,
    /// The client that led to it; empty where it was none.
    pub client_id: &'a str,
    /// How long it took.
    pub took: Duration,
    /// Why it failed; `None` where it did not.
    pub error: Option<&'a str>,
}

/// What functions of the realtime plane are called for.
#[derive(Debug, Clone, Copy)]
pub enum TracedWork<'a> {
    /// A topic rule has given a message to its function, which runs after that.
    Rule {
        /// The rule's name.
        rule: &'a str,
        /// The message's topic.
        topic: &'a str,
    },
    /// An authorizer was asked about a client.
    Authorizer {
        /// The authorizer's name.
        authorizer: &'a str,
    },
}

/// What has happened.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum RealtimeEvent<'a> {
    /// A client's CONNECT is accepted.
    Connected {
        /// Its client id.
        client_id: &'a str,
        /// Its principal; empty where nobody was asked.
        principal: &'a str,
        /// Where it comes from.
        source_ip: IpAddr,
        /// `MQTT 3.1`, `MQTT 3.1.1` or `MQTT 5`, and what it goes over.
        protocol: &'static str,
        /// Whether a session was resumed.
        resumed: bool,
        /// How long the authorizer took, where one was asked.
        authorized_in: Option<Duration>,
    },
    /// A client's CONNECT is refused, or never came.
    Refused {
        /// Its client id, where it got as far as to say it.
        client_id: &'a str,
        /// Where it comes from.
        source_ip: IpAddr,
        /// Why, and what to do.
        why: &'a str,
    },
    /// A client's connection has ended.
    Disconnected {
        /// Its client id.
        client_id: &'a str,
        /// Its principal.
        principal: &'a str,
        /// Why.
        reason: DisconnectReason,
        /// What exactly, where there is more to say.
        detail: &'a str,
    },
    /// A client may not do what it asked for.
    Denied {
        /// Its client id.
        client_id: &'a str,
        /// Its principal.
        principal: &'a str,
        /// Action, resource, the statement that decided, and what would have allowed it.
        explanation: &'a str,
    },
    /// What an authorizer answered is odd, though not wrong.
    Note {
        /// The client id.
        client_id: &'a str,
        /// What.
        note: &'a str,
    },
    /// Messages were dropped for a client that does not take them.
    Dropped {
        /// Its client id.
        client_id: &'a str,
        /// How many.
        messages: u64,
        /// Which bound they met.
        why: &'a str,
    },
    /// Something could not be kept: what waits for it is not acknowledged.
    StoreFailed {
        /// Why.
        why: &'a str,
    },
    /// The keys that tokens are signed with could not be fetched or used.
    KeysFailed {
        /// Why.
        why: &'a str,
    },
    /// A topic rule could not do its work, or dropped messages.
    Rule {
        /// Its name.
        rule: &'a str,
        /// The topic of the message.
        topic: &'a str,
        /// What went wrong, and what to do.
        why: &'a str,
    },
}

/// Why a connection ended, as lifecycle events call it (reference: iot.md, section 6).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DisconnectReason {
    /// Its policy could not be had again, or no longer allows it to be connected.
    AuthError,
    /// It said goodbye.
    ClientInitiated,
    /// It broke the protocol or a limit.
    ClientError,
    /// Its socket ended without a goodbye.
    ConnectionLost,
    /// Another connection has its client id now.
    DuplicateClientId,
    /// It did what its policy does not allow.
    ForbiddenAccess,
    /// It was silent for one and a half times its keep-alive.
    KeepAliveTimeout,
    /// The server is stopping.
    ServerInitiated,
    /// A failure of the server's.
    ServerError,
    /// Somebody asked for it through the API.
    ApiInitiated,
    /// It sent too much.
    Throttled,
    /// A WebSocket may live only so long.
    WebSocketTtlExpiration,
    /// The time is up that its authorizer gave it.
    CustomAuthTtlExpiration,
}

// === impl DisconnectReason ===

impl DisconnectReason {
    /// The name that lifecycle events use.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::AuthError => "AUTH_ERROR",
            Self::ClientInitiated => "CLIENT_INITIATED_DISCONNECT",
            Self::ClientError => "CLIENT_ERROR",
            Self::ConnectionLost => "CONNECTION_LOST",
            Self::DuplicateClientId => "DUPLICATE_CLIENTID",
            Self::ForbiddenAccess => "FORBIDDEN_ACCESS",
            Self::KeepAliveTimeout => "MQTT_KEEP_ALIVE_TIMEOUT",
            Self::ServerInitiated => "SERVER_INITIATED_DISCONNECT",
            Self::ServerError => "SERVER_ERROR",
            Self::ApiInitiated => "API_INITIATED_DISCONNECT",
            Self::Throttled => "THROTTLED",
            Self::WebSocketTtlExpiration => "WEBSOCKET_TTL_EXPIRATION",
            Self::CustomAuthTtlExpiration => "CUSTOMAUTH_TTL_EXPIRATION",
        }
    }
}

impl fmt::Display for DisconnectReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
