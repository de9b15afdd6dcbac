//! The realtime endpoint: the MQTT broker that clients of AWS IoT and of SST's
//! `Realtime` connect to, who may connect, and what is called for a message.

use std::net::SocketAddr;
use std::path::PathBuf;

use indexmap::IndexMap;
use serde::Serialize;

use super::{Profile, RealtimeLimits};

/// The realtime endpoint of an App.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Realtime {
    /// The name by which functions and pages find it: `Resource.NAME` of SST.
    pub name: String,
    /// The path of MQTT over WebSocket. IoT Core and SST: `/mqtt`.
    pub path: String,
    /// The authorizers by the name that clients give in `x-amz-customauthorizer-name`.
    pub authorizers: IndexMap<String, RealtimeAuthorizer>,
    /// The authorizer of a client that names none: one of [`Self::authorizers`].
    pub default_authorizer: Option<String>,
    /// Whether a client without credentials may connect, and may then do everything.
    pub allow_anonymous: bool,
    /// Users by the name that clients give in CONNECT.
    pub users: IndexMap<String, RealtimeUser>,
    /// Whose tokens are taken for a password.
    pub jwt: Option<RealtimeJwt>,
    /// What is called for messages, by the name of the topic rule: letters, digits and
    /// underscores, which are a level of a Basic Ingest topic. `fanwire.toml` and SST
    /// call them subscribers.
    pub rules: IndexMap<String, TopicRule>,
    /// Ports of its own, besides the server's, which speaks MQTT too.
    pub listeners: Vec<RealtimeListener>,
    /// When a message that is acknowledged is safe.
    pub durability: Durability,
    /// What clients may do.
    pub limits: RealtimeLimits,
    /// The App's profile: what decides about AWS's ways that no limit names.
    pub profile: Profile,
}

/// A custom authorizer: a function that is asked about each connection (reference:
/// iot.md, section 2).
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RealtimeAuthorizer {
    /// The function's key in [`App::functions`](super::App::functions).
    pub function: String,
    /// The parameter that carries the token (`tokenKeyName`). Needed where tokens are
    /// signed.
    pub token_key: Option<String>,
    /// The RSA public keys that tokens may be signed with, as PEM texts. With none,
    /// signatures are not asked for (`signingDisabled`).
    pub public_keys: Vec<String>,
}

/// A user of the App's own, without a function.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RealtimeUser {
    /// The password's hash as a PHC string, such as `$argon2id$v=19$…`.
    pub password: String,
    /// What the user may do.
    pub access: AccessList,
}

/// Tokens that are JWTs, verified without a function.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RealtimeJwt {
    /// Where the keys are.
    pub jwks: JwksSource,
    /// What `iss` must be. `None`: it is not looked at.
    pub issuer: Option<String>,
    /// What `aud` must have one of. Empty: it is not looked at.
    pub audience: Vec<String>,
    /// The claim that is the principal, such as `sub`.
    pub principal_claim: String,
    /// What the bearer of a token may do.
    pub access: AccessList,
}

/// Where a JSON Web Key Set is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum JwksSource {
    /// A file, by a path that holds wherever it is used from.
    File(PathBuf),
    /// An `https://` or `http://` URL.
    Url(String),
}

/// What a user or the bearer of a token may do, as patterns of IoT policies: `*` stands
/// for any characters, `/` included, and `?` for one; `+` and `#` are themselves. They
/// may hold `${iot:ClientId}`, `${principal}` and, for tokens, `${claim:NAME}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AccessList {
    /// Client ids that may be used. Another's id takes that one's session over.
    pub connect: Vec<String>,
    /// Topics that may be published to.
    pub publish: Vec<String>,
    /// Topic filters that may be subscribed to.
    pub subscribe: Vec<String>,
    /// Topics whose messages are delivered. Where a file says nothing: what may be
    /// subscribed to.
    pub receive: Vec<String>,
    /// Whether published messages may be retained.
    pub retain: bool,
}

/// A topic rule: a function that is called for messages (reference: iot.md, section 8).
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TopicRule {
    /// The statement in IoT SQL. SST's, and that of a plain filter:
    /// `SELECT * FROM 'FILTER'`.
    pub sql: String,
    /// The version of the language.
    pub sql_version: SqlVersion,
    /// The key of the function that gets what is selected.
    pub function: String,
    /// The key of the function that is told of failures (`errorAction`).
    pub error_function: Option<String>,
    /// Whether the rule is followed (`ruleDisabled`).
    pub enabled: bool,
}

/// The versions of IoT SQL (`awsIotSqlVersion`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub enum SqlVersion {
    /// The first one.
    #[serde(rename = "2015-10-08")]
    V2015_10_08,
    /// The one that everybody uses.
    #[default]
    #[serde(rename = "2016-03-23")]
    V2016_03_23,
}

/// A port of the broker's own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct RealtimeListener {
    /// Where it listens.
    pub address: SocketAddr,
    /// What it speaks.
    pub protocol: RealtimeProtocol,
    /// Whether over TLS, and then nothing else.
    pub tls: bool,
}

/// What a port of the broker's own speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum RealtimeProtocol {
    /// MQTT itself.
    #[default]
    Mqtt,
    /// MQTT in WebSockets, at [`Realtime::path`].
    WebSocket,
}

/// When a QoS 1 or 2 message, a retained message or a session counts as kept, and is
/// acknowledged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Durability {
    /// At once: nothing is stored, and nothing outlives the server.
    Memory,
    /// Once the operating system has it: it outlives the server, however that ends. A
    /// power cut can take what was acknowledged in the last 100 ms.
    #[default]
    Written,
    /// Once the disk has it: it outlives a power cut. Slower by the disk's flush.
    Synced,
}

// === impl Realtime ===

impl Realtime {
    /// The name of an endpoint that is given none.
    pub const DEFAULT_NAME: &str = "Realtime";

    /// The path that every client of AWS IoT uses.
    pub const DEFAULT_PATH: &str = "/mqtt";

    /// The endpoint as it is where a file says nothing but that there is one: nobody
    /// can connect, and nothing is called.
    pub fn new(profile: Profile) -> Self {
        Self {
            name: Self::DEFAULT_NAME.to_owned(),
            path: Self::DEFAULT_PATH.to_owned(),
            authorizers: IndexMap::new(),
            default_authorizer: None,
            allow_anonymous: false,
            users: IndexMap::new(),
            jwt: None,
            rules: IndexMap::new(),
            listeners: Vec::new(),
            durability: Durability::default(),
            limits: RealtimeLimits::of(profile),
            profile,
        }
    }

    /// Whether any client could connect without a signature of AWS's: with an
    /// authorizer, as a user, with a token or with nothing.
    pub fn admits_anyone(&self) -> bool {
        self.allow_anonymous
            || self.jwt.is_some()
            || !self.authorizers.is_empty()
            || !self.users.is_empty()
    }
}

// === impl AccessList ===

impl AccessList {
    /// Everything.
    pub fn unrestricted() -> Self {
        let all = || vec!["*".to_owned()];
        Self { connect: all(), publish: all(), subscribe: all(), receive: all(), retain: true }
    }
}

// === impl TopicRule ===

impl TopicRule {
    /// The rule that a plain filter stands for, as SST makes it.
    pub fn of_filter(filter: &str, function: String) -> Self {
        Self {
            sql: format!("{ALL_FROM}{filter}'"),
            sql_version: SqlVersion::default(),
            function,
            error_function: None,
            enabled: true,
        }
    }

    /// The filter, where the rule is one that a plain filter stands for.
    pub fn plain_filter(&self) -> Option<&str> {
        let filter = self.sql.strip_prefix(ALL_FROM)?.strip_suffix('\'')?;
        (!filter.contains('\'')).then_some(filter)
    }
}

/// What stands before the filter.
const ALL_FROM: &str = "SELECT * FROM '";
