//! `[cluster]`: the nodes that serve the app together, linked by NATS.

use std::path::PathBuf;
use std::time::Duration;

use serde::Serialize;

use super::secret::{self, Secret};
use crate::decode::units::duration;
use crate::decode::{Key, Kind, Others, Table};
use crate::diagnostic::Issue;
use crate::native::texts;
use crate::node::Node;
use crate::reading::{Reading, join};

/// The shortest lease: with less, a busy machine would be taken for a dead one.
const SHORTEST_LEASE: Duration = Duration::from_secs(2);

/// The longest: nobody waits longer than that for a dead node's clients to be looked after.
const LONGEST_LEASE: Duration = Duration::from_secs(600);

pub(crate) static CLUSTER: Table = Table {
    name: "cluster",
    doc: "The nodes that serve the app together, linked by NATS.",
    others: Others::Refused,
    keys: &[
        Key::required(
            "nats",
            Kind::OneOrMoreTexts,
            "the NATS servers, such as \"nats://10.0.0.5:4222\" or \"tls://…\"",
        ),
        Key::new(
            "name",
            Kind::Text,
            "the cluster's name: nodes that share it, and an app, work together; default: the app's name and stage",
        ),
        Key::new("node", Kind::Text, "what this node is called; default: the host's name"),
        Key::new(
            "address",
            Kind::Text,
            "where clients reach this node, for people that look; default: where it listens",
        ),
        Key::new(
            "credentials",
            Kind::Text,
            "a `.creds` file with who this node is to NATS, relative to the file",
        ),
        Key::new("user", Kind::Text, "the user that this node is to NATS, instead"),
        Key::new(
            "password",
            Kind::Text,
            "the user's password; better in a variable, ${env:NAME}, or in a file",
        ),
        Key::new("password_file", Kind::Text, "a file that holds the password, instead"),
        Key::new("token", Kind::Text, "a token for NATS, instead of a user"),
        Key::new("token_file", Kind::Text, "a file that holds the token, instead"),
        Key::new("nkey_file", Kind::Text, "a file with the seed of an NKey, instead of a user"),
        Key::new("tls", Kind::Table(&CLUSTER_TLS), "TLS with NATS; default: as the URLs say"),
        Key::new(
            "replicas",
            Kind::Integer(1, 5),
            "on how many NATS servers sessions and records are kept: 1, 3 or 5; default 1",
        ),
        Key::new(
            "lease",
            Kind::Duration,
            "after what time without a sign of life a node is declared dead, 2s to 600s; default \"6s\"",
        ),
    ],
};

pub(crate) static CLUSTER_TLS: Table = Table {
    name: "TLS with NATS",
    doc: "Certificates for the connection to NATS.",
    others: Others::Refused,
    keys: &[
        Key::new(
            "required",
            Kind::Boolean,
            "whether NATS without TLS is refused, whatever the URLs say; default false",
        ),
        Key::new(
            "ca",
            Kind::Text,
            "a file with authorities that are trusted besides the system's, in PEM",
        ),
        Key::new("certificate", Kind::Text, "the file with this node's certificate, in PEM"),
        Key::new("key", Kind::Text, "the file with its private key, in PEM"),
    ],
};

/// The nodes that serve the app together.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Cluster {
    /// The NATS servers' URLs. May hold passwords.
    pub nats: Vec<Secret>,
    /// The cluster's name. `None`: the App's service and stage.
    pub name: Option<String>,
    /// What this node is called. `None`: as its host.
    pub node: Option<String>,
    /// Where clients reach this node. `None`: where it listens.
    pub address: Option<String>,
    /// Who this node is to NATS.
    pub credentials: NatsCredentials,
    /// TLS with NATS.
    pub tls: ClusterTls,
    /// On how many NATS servers records are kept.
    pub replicas: usize,
    /// After what time without a sign of life a node is declared dead.
    pub lease: Duration,
}

/// Who a node is to NATS.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Default)]
pub enum NatsCredentials {
    /// Nobody, or who the URL says.
    #[default]
    None,
    /// A user with a password.
    User {
        /// The user.
        user: String,
        /// Their password.
        password: Secret,
    },
    /// A token.
    Token(Secret),
    /// A `.creds` file.
    File(PathBuf),
    /// The seed of an NKey.
    NKey(Secret),
}

/// TLS with NATS.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Default)]
pub struct ClusterTls {
    /// Whether NATS without TLS is refused.
    pub required: bool,
    /// Authorities that are trusted besides the system's.
    pub ca: Option<PathBuf>,
    /// This node's certificate and its key.
    pub certificate: Option<(PathBuf, PathBuf)>,
}

/// What the table says.
pub(super) fn build(node: &Node, reading: &mut Reading<'_>) -> Cluster {
    let nats = match node.get("nats") {
        Some(node) if node.as_list().is_some() => texts(Some(node)),
        Some(node) => node.scalar_text().into_iter().collect(),
        None => Vec::new(),
    };
    let text = |key: &str| node.get(key).and_then(Node::scalar_text);
    Cluster {
        nats: nats.into_iter().map(Secret::new).collect(),
        name: text("name"),
        node: text("node"),
        address: text("address"),
        credentials: credentials(node, reading),
        tls: tls(node, reading),
        replicas: replicas(node, reading),
        lease: lease(node, reading),
    }
}

fn credentials(node: &Node, reading: &mut Reading<'_>) -> NatsCredentials {
    let text = |key: &str| node.get(key).and_then(Node::scalar_text);
    let ways = [
        &["credentials"][..],
        &["user", "password", "password_file"],
        &["token", "token_file"],
        &["nkey_file"],
    ];
    let given = ways.iter().filter_map(|keys| keys.iter().find_map(|key| node.entry(key)));
    if let Some(second) = given.clone().nth(1) {
        let message = "there is more than one way to say who this node is to NATS";
        let issue = Issue::error(second.node.span, message)
            .expected("one of `credentials`, `user`, `token` and `nkey_file`");
        reading.issues.push(issue);
        return NatsCredentials::None;
    }
    let password = node.entry("password").or_else(|| node.entry("password_file"));
    let user = node.entry("user");
    if user.is_some() != password.is_some() {
        let span = user.or(password).map_or(node.span, |given| given.node.span);
        let message = "to NATS, this node is a user with a password";
        let issue = Issue::error(span, message)
            .expected("`user`, and `password` or `password_file` beside it");
        reading.issues.push(issue);
        return NatsCredentials::None;
    }
    // What cannot be read has been told of.
    let mut secret = |name| secret::read(node, name, reading).ok().flatten();
    let (password, token, nkey) = (secret("password"), secret("token"), secret("nkey"));
    match (text("credentials"), text("user"), token, nkey) {
        (Some(path), ..) => NatsCredentials::File(join(&reading.folder, &path)),
        (_, Some(user), ..) => {
            NatsCredentials::User { user, password: password.unwrap_or_else(|| Secret::new("")) }
        }
        (_, _, Some(token), _) => NatsCredentials::Token(token),
        (_, _, _, Some(seed)) => NatsCredentials::NKey(seed),
        _ => NatsCredentials::None,
    }
}

fn tls(node: &Node, reading: &mut Reading<'_>) -> ClusterTls {
    let Some(node) = node.get("tls") else { return ClusterTls::default() };
    let path = |key: &str| {
        node.get(key).and_then(Node::scalar_text).map(|path| join(&reading.folder, &path))
    };
    let pair = (path("certificate"), path("key"));
    let ca = path("ca");
    let certificate = match pair {
        (Some(certificate), Some(key)) => Some((certificate, key)),
        (None, None) => None,
        _ => {
            let message = "a certificate for NATS is a file with it and one with its key";
            let issue = Issue::error(node.span, message).expected("both `certificate` and `key`");
            reading.issues.push(issue);
            None
        }
    };
    ClusterTls {
        required: node.get("required").and_then(Node::boolean).unwrap_or_default(),
        ca,
        certificate,
    }
}

fn replicas(node: &Node, reading: &mut Reading<'_>) -> usize {
    let Some(node) = node.get("replicas") else { return 1 };
    let replicas = node.scalar_text().and_then(|text| text.parse().ok()).unwrap_or(1);
    if replicas % 2 == 0 {
        let message = format!("{replicas} replicas agree on no more than {} do", replicas - 1);
        reading.issues.push(Issue::error(node.span, message).expected("1, 3 or 5"));
    }
    replicas
}

fn lease(node: &Node, reading: &mut Reading<'_>) -> Duration {
    let default = Duration::from_secs(6);
    let Some(node) = node.get("lease") else { return default };
    let lease = duration(node).unwrap_or(default);
    if !(SHORTEST_LEASE..=LONGEST_LEASE).contains(&lease) {
        let message = format!("a lease of {lease:?}");
        reading.issues.push(Issue::error(node.span, message).expected("2s to 600s"));
    }
    lease
}
