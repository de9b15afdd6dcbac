//! `[[listen]]` and `[domains."NAME"]`: where clients connect, and what the names of hosts
//! mean.

use std::net::SocketAddr;
use std::path::PathBuf;

use indexmap::IndexMap;
use serde::Serialize;

use crate::decode::{Key, Kind, Others, Table};
use crate::node::Node;
use crate::reading::{Reading, join};

pub(crate) static LISTEN: Table = Table {
    name: "a listener",
    doc: "Where clients connect: an address, or a Unix socket.",
    others: Others::Refused,
    keys: &[
        Key::new(
            "address",
            Kind::Checked(address),
            "the address and port, such as \"0.0.0.0:443\" or \"[::]:443\"",
        ),
        Key::new(
            "unix",
            Kind::Text,
            "the path of a Unix socket, relative to the file, instead of an address",
        ),
        Key::new(
            "tls",
            Kind::Boolean,
            "whether it speaks TLS, and nothing else; default: whether there is a [tls]",
        ),
        Key::new(
            "proxy_protocol",
            Kind::Boolean,
            "whether each connection begins with a PROXY header, version 1 or 2; default false",
        ),
    ],
};

pub(crate) static DOMAIN: Table = Table {
    name: "a domain",
    doc: "A name of a host, which stands for one API.",
    others: Others::Refused,
    keys: &[
        Key::new("api", Kind::Text, "the name of the WebSocket API; default: the only one"),
        Key::new("stage", Kind::Text, "its stage; default: that of the API"),
    ],
};

/// Where clients connect.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Listener {
    /// The address, or the path of the socket.
    pub at: ListenAt,
    /// Whether it speaks TLS alone. `None`: it does where there are certificates.
    pub tls: Option<bool>,
    /// Whether a PROXY header (<https://www.haproxy.org/download/3.0/doc/proxy-protocol.txt>)
    /// comes first.
    pub proxy_protocol: bool,
}

/// What a listener binds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ListenAt {
    /// A TCP address.
    Address(SocketAddr),
    /// A Unix socket.
    Unix(PathBuf),
}

/// What a name of a host stands for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Domain {
    /// The name of the API. `None`: the only one.
    pub api: Option<String>,
    /// The stage. `None`: the API's.
    pub stage: Option<String>,
}

fn address(text: &str) -> Result<(), String> {
    text.parse::<SocketAddr>()
        .map(drop)
        .map_err(|_| "an address and a port, such as \"0.0.0.0:443\" or \"[::]:443\"".to_owned())
}

/// The listeners of the file. One without a place is told of.
pub(super) fn build(node: Option<&Node>, reading: &mut Reading<'_>) -> Vec<Listener> {
    let Some(node) = node else { return Vec::new() };
    let nodes = node.as_list().unwrap_or(std::slice::from_ref(node));
    nodes.iter().filter_map(|node| listener(node, reading)).collect()
}

fn listener(node: &Node, reading: &mut Reading<'_>) -> Option<Listener> {
    let text = |key: &str| node.get(key).and_then(Node::scalar_text);
    let flag = |key: &str| node.get(key).and_then(Node::boolean);
    let at = match (text("address"), text("unix")) {
        (Some(address), None) => ListenAt::Address(address.parse().ok()?),
        (None, Some(path)) => ListenAt::Unix(join(&reading.folder, &path)),
        _ => {
            let issue = crate::diagnostic::Issue::error(
                node.span,
                "a listener has either an address or a Unix socket",
            );
            reading
                .issues
                .push(issue.expected("address = \"0.0.0.0:443\", or unix = \"fanwire.sock\""));
            return None;
        }
    };
    Some(Listener { at, tls: flag("tls"), proxy_protocol: flag("proxy_protocol").unwrap_or(false) })
}

/// The domains of the file.
pub(super) fn domains(node: Option<&Node>) -> IndexMap<String, Domain> {
    let entries = node.and_then(Node::as_map).into_iter().flatten();
    let domain = |node: &Node| {
        let text = |key: &str| node.get(key).and_then(Node::scalar_text);
        Domain { api: text("api"), stage: text("stage") }
    };
    entries.map(|(name, entry)| (name.to_lowercase(), domain(&entry.node))).collect()
}
