//! `[tls]`: where certificates come from.

use std::path::PathBuf;

use serde::Serialize;

use crate::decode::{Key, Kind, Others, Table};
use crate::node::Node;
use crate::reading::{Reading, join};

pub(crate) static TLS: Table = Table {
    name: "tls",
    doc: "Certificates.",
    others: Others::Refused,
    keys: &[Key::new(
        "certificates",
        Kind::ListOf(&CERTIFICATE),
        "certificates in files, which are read again when they change",
    )],
};

pub(crate) static CERTIFICATE: Table = Table {
    name: "a certificate",
    doc: "A certificate and its key, in files.",
    others: Others::Refused,
    keys: &[
        Key::required(
            "certificate",
            Kind::Text,
            "the file with the certificate and those that vouch for it, in PEM, relative to the file",
        ),
        Key::required("key", Kind::Text, "the file with its private key, in PEM"),
    ],
};

/// Where certificates come from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Default)]
pub struct Tls {
    /// Those in files.
    pub certificates: Vec<CertificateFiles>,
}

/// A certificate in files.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CertificateFiles {
    /// The chain, in PEM.
    pub certificate: PathBuf,
    /// The private key, in PEM.
    pub key: PathBuf,
}

/// What the table says.
pub(super) fn build(node: &Node, reading: &mut Reading<'_>) -> Tls {
    let certificates = node.get("certificates").and_then(Node::as_list).unwrap_or_default();
    let path = |node: &Node, key: &str| {
        node.get(key).and_then(Node::scalar_text).map(|path| join(&reading.folder, &path))
    };
    let files = |node: &Node| {
        Some(CertificateFiles { certificate: path(node, "certificate")?, key: path(node, "key")? })
    };
    Tls { certificates: certificates.iter().filter_map(files).collect() }
}
