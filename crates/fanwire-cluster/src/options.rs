//! How a node comes into a cluster, and the limits it keeps to.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

/// Bounds of what a node holds for the cluster. Where they can be met, the errors say so.
pub mod limits {
    use std::time::Duration;

    /// Bytes of messages to one peer that it has not acknowledged yet. More is refused with
    /// [`SendError::WindowFull`](crate::SendError::WindowFull).
    pub const LINK_WINDOW_BYTES: usize = 16 << 20;

    /// Messages to one peer that it has not acknowledged yet.
    pub const LINK_WINDOW_MESSAGES: usize = 65_536;

    /// Bytes of messages that go to a peer in one message of NATS, where there are several.
    pub const LINK_FRAME_BYTES: usize = 64 << 10;

    /// Time after which what a peer has not received is sent again.
    pub const LINK_RESEND: Duration = Duration::from_millis(500);

    /// Time after which a peer that says nothing about what it received is asked.
    pub const LINK_PROBE: Duration = Duration::from_secs(2);

    /// Requests of other nodes that are being answered at once; more wait.
    pub const REQUESTS_AT_ONCE: usize = 1_024;

    /// Time for the answer to a request, where the caller says nothing.
    pub const REQUEST_TIMEOUT: Duration = Duration::from_secs(5);

    /// The longest part of a record's key as it is, in bytes as JetStream has them; longer
    /// ones become their hash.
    pub const KEY_PART_BYTES: usize = 128;

    /// Writes of one writer of records that wait for their acknowledgement at once; more wait.
    /// So few that a disk which takes two milliseconds for each has them all in one second.
    pub const WRITES_AT_ONCE: usize = 512;

    /// Writes of all writers that wait for their acknowledgement at once. Far more than the
    /// writers that there are come to: one that waited here would hold up what it has sent,
    /// and all others with it.
    pub const WRITES_IN_FLIGHT: usize = 1 << 20;

    /// Events that one receiver may leave unread before it misses some.
    pub const UNREAD_EVENTS: usize = 1_024;

    /// Declared deaths that are remembered, so that the dead are not listened to.
    pub const REMEMBERED_DEATHS: usize = 4_096;

    /// How long a deleted record's marker stays, for those that watch.
    pub const MARKER_LIFE: Duration = Duration::from_secs(3_600);

    /// Numbers that are tried for a node before it gives up.
    pub const NODE_IDS_TRIED: usize = 4_096;

    /// Time that planes have for letting go of what a fenced node had.
    pub const FENCE_PATIENCE: Duration = Duration::from_secs(10);

    /// The least time between two questions to NATS whether it is there.
    pub const LEAST_PING_INTERVAL: Duration = Duration::from_millis(250);

    /// The least `max_payload` of a nats-server: its default. Whoever sends something that is
    /// put together of many, or cut into pieces, counts on it.
    pub const LEAST_MAX_PAYLOAD: usize = 1 << 20;

    /// Time for NATS to answer while a node joins.
    pub const JOIN_PATIENCE: Duration = Duration::from_secs(10);
}

/// How a node comes into a cluster.
#[derive(Debug, Clone)]
pub struct ClusterOptions {
    /// The NATS servers' URLs, such as `nats://10.0.0.5:4222`; the scheme `tls` asks for TLS.
    pub servers: Vec<String>,
    /// The cluster's name. Nodes that share it work together. Any text.
    pub name: String,
    /// What this node is called, such as its host's name.
    pub node_name: String,
    /// Where clients reach this node, such as `10.0.0.5:3001`.
    pub address: String,
    /// Who this node is to NATS.
    pub credentials: Credentials,
    /// Certificates, where they are not the system's.
    pub tls: NatsTls,
    /// On how many NATS servers records are kept: 1, 3 or 5.
    pub replicas: usize,
    /// Time after which a node that says nothing is declared dead. Not under two seconds.
    pub lease: Duration,
}

/// Who a node is to NATS.
#[derive(Clone, Default)]
pub enum Credentials {
    /// Nobody, or who the URL says.
    #[default]
    None,
    /// A user with a password.
    User {
        /// The user.
        user: String,
        /// Their password.
        password: String,
    },
    /// A token.
    Token(String),
    /// A `.creds` file with a JWT and its key.
    File(PathBuf),
    /// The seed of an NKey.
    NKey(String),
}

impl Credentials {
    /// The settings that they come from, as they are told of where NATS does not take them.
    pub(crate) fn setting(&self) -> &'static str {
        match self {
            Self::None => "what the URL in `nats` says",
            Self::User { .. } => "`user` and its password",
            Self::Token(_) => "`token`",
            Self::File(_) => "the file in `credentials`",
            Self::NKey(_) => "the seed in `nkey_file`",
        }
    }
}

/// TLS with NATS.
#[derive(Debug, Clone, Default)]
pub struct NatsTls {
    /// Whether NATS without TLS is refused, whatever the URLs say.
    pub required: bool,
    /// Authorities that are trusted besides the system's, as PEM.
    pub authorities: Option<PathBuf>,
    /// The certificate that this node shows, as PEM, and its key.
    pub certificate: Option<(PathBuf, PathBuf)>,
}

impl Default for ClusterOptions {
    fn default() -> Self {
        Self {
            servers: vec!["nats://127.0.0.1:4222".to_owned()],
            name: "fanwire".to_owned(),
            node_name: "node".to_owned(),
            address: String::new(),
            credentials: Credentials::None,
            tls: NatsTls::default(),
            replicas: 1,
            lease: Duration::from_secs(6),
        }
    }
}

// Secrets are not for logs.
impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => f.write_str("None"),
            Self::User { user, .. } => write!(f, "User({user})"),
            Self::Token(_) => f.write_str("Token"),
            Self::File(path) => write!(f, "File({})", path.display()),
            Self::NKey(_) => f.write_str("NKey"),
        }
    }
}
