//! `[tls]`: where certificates come from, and who may connect with which TLS.

use std::path::PathBuf;

use serde::Serialize;

use crate::decode::{Key, Kind, Others, Table};
use crate::diagnostic::Issue;
use crate::node::Node;
use crate::reading::{Reading, join};

/// The production directory of Let's Encrypt.
pub const LETS_ENCRYPT: &str = "https://acme-v02.api.letsencrypt.org/directory";

/// Names that may be asked of an authority: more certificates than one server has use for,
/// and fewer than what authorities grant in a week.
const MAX_DOMAINS: usize = 100;

/// Certificates in files, at the most.
const MAX_CERTIFICATES: usize = 1000;

pub(crate) static TLS: Table = Table {
    name: "tls",
    doc: "Certificates, and what clients must bring.",
    others: Others::Refused,
    keys: &[
        Key::new(
            "certificates",
            Kind::OneOrMore(&CERTIFICATE),
            "certificates in files, which are read again when they change; the names in each decide who is shown it, and the first is for everybody else",
        ),
        Key::new(
            "acme",
            Kind::Table(&ACME),
            "certificates that an authority such as Let's Encrypt issues and renews",
        ),
        Key::new(
            "min_version",
            Kind::Choice(&["1.2", "1.3"]),
            "the oldest TLS that is spoken; default \"1.2\"",
        ),
        Key::new(
            "client_ca",
            Kind::Text,
            "a file with the authorities, in PEM, whose certificates clients present; read again when it changes; default: clients present none",
        ),
        Key::new(
            "client_certificates",
            Kind::Choice(&["required", "optional"]),
            "whether a client may connect without one, where there is a client_ca; default \"required\"",
        ),
    ],
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

pub(crate) static ACME: Table = Table {
    name: "acme",
    doc: "Certificates from an authority that speaks ACME (RFC 8555).",
    others: Others::Refused,
    keys: &[
        Key::required(
            "domains",
            Kind::OneOrMoreTexts,
            "the names to have certificates for, one for each; all must lead to this server's port 443",
        ),
        Key::required(
            "accept_terms",
            Kind::Boolean,
            "true: you agree to the authority's terms of service",
        ),
        Key::new(
            "contact",
            Kind::OneOrMoreTexts,
            "addresses that the authority may write to, such as \"mailto:ops@example.com\"",
        ),
        Key::new(
            "directory",
            Kind::Checked(directory),
            "the URL of the authority's directory; default: Let's Encrypt",
        ),
        Key::new(
            "directory_ca",
            Kind::Text,
            "a file with the certificate, in PEM, that the directory's own is vouched for by; default: the system's",
        ),
        Key::new(
            "eab_id",
            Kind::Text,
            "the id of the account that you have with the authority already (external account binding)",
        ),
        Key::new(
            "eab_key_file",
            Kind::Text,
            "the file with that account's key, in base64url, as the authority gave it",
        ),
    ],
};

/// Where certificates come from, and who may connect with which TLS.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Default)]
pub struct Tls {
    /// Those in files. The first is for clients that ask for no name, or for one that no
    /// certificate has.
    pub certificates: Vec<CertificateFiles>,
    /// Those that an authority issues.
    pub acme: Option<Acme>,
    /// The oldest version that is spoken.
    pub min_version: TlsVersion,
    /// Whose certificates clients present.
    pub client_ca: Option<PathBuf>,
    /// Whether clients may connect without one.
    pub client_certificates: ClientCertificates,
}

/// A certificate in files.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CertificateFiles {
    /// The chain, in PEM.
    pub certificate: PathBuf,
    /// The private key, in PEM.
    pub key: PathBuf,
}

/// A version of TLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Default)]
pub enum TlsVersion {
    /// RFC 5246.
    #[default]
    #[serde(rename = "1.2")]
    V1_2,
    /// RFC 8446.
    #[serde(rename = "1.3")]
    V1_3,
}

/// Whether clients may connect without a certificate, where some are asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Default)]
#[serde(rename_all = "snake_case")]
pub enum ClientCertificates {
    /// They may not.
    #[default]
    Required,
    /// They may, but what they present has to be good.
    Optional,
}

/// Certificates that an authority issues.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Acme {
    /// The names, in lower case; at least one.
    pub domains: Vec<String>,
    /// URLs that the authority may write to.
    pub contact: Vec<String>,
    /// The URL of its directory.
    pub directory: String,
    /// What vouches for the directory's own certificate. `None`: what the system trusts.
    pub directory_ca: Option<PathBuf>,
    /// The account that the operator has with the authority already.
    pub account: Option<ExternalAccount>,
}

/// An account with an authority that was made elsewhere (RFC 8555, section 7.3.4).
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ExternalAccount {
    /// Its id.
    pub id: String,
    /// The file with its key, in base64url. The key itself is read when it is needed.
    pub key_file: PathBuf,
}

fn directory(text: &str) -> Result<(), String> {
    match text.strip_prefix("https://") {
        Some(rest) if !rest.is_empty() => Ok(()),
        _ => Err(format!("a URL that begins with https://, such as \"{LETS_ENCRYPT}\"")),
    }
}

/// What the table says.
pub(super) fn build(node: &Node, reading: &mut Reading<'_>) -> Tls {
    let min_version = match text(node, "min_version").as_deref() {
        Some("1.3") => TlsVersion::V1_3,
        _ => TlsVersion::V1_2,
    };
    let client_certificates = match text(node, "client_certificates").as_deref() {
        Some("optional") => ClientCertificates::Optional,
        _ => ClientCertificates::Required,
    };
    let tls = Tls {
        certificates: certificates(node, reading),
        acme: node.get("acme").map(|node| acme(node, reading)),
        min_version,
        client_ca: path(node, "client_ca", reading),
        client_certificates,
    };
    if tls.certificates.is_empty() && tls.acme.is_none() {
        let issue = Issue::error(node.span, "[tls] has no certificates");
        reading.issues.push(issue.expected("[[tls.certificates]], or [tls.acme]"));
    }
    if let Some(node) = node.get("client_certificates").filter(|_| tls.client_ca.is_none()) {
        let issue = Issue::error(node.span, "nothing says whose certificates clients present");
        reading.issues.push(issue.expected("client_ca = \"clients.pem\" beside it"));
    }
    tls
}

fn certificates(node: &Node, reading: &mut Reading<'_>) -> Vec<CertificateFiles> {
    let Some(node) = node.get("certificates") else { return Vec::new() };
    let nodes = node.as_list().unwrap_or(std::slice::from_ref(node));
    if nodes.len() > MAX_CERTIFICATES {
        let issue = Issue::error(node.span, "there are too many certificates");
        reading.issues.push(issue.expected(format!("at most {MAX_CERTIFICATES}")));
    }
    let files = |node: &Node| {
        let certificate = path(node, "certificate", reading)?;
        Some(CertificateFiles { certificate, key: path(node, "key", reading)? })
    };
    nodes.iter().take(MAX_CERTIFICATES).filter_map(files).collect()
}

fn acme(node: &Node, reading: &mut Reading<'_>) -> Acme {
    if let Some(terms) = node.get("accept_terms").filter(|terms| terms.boolean() == Some(false)) {
        let issue = Issue::error(terms.span, "no certificate is issued without agreement");
        let expected = "accept_terms = true, once you have read the authority's terms of service";
        reading.issues.push(issue.expected(expected));
    }
    let account = match (text(node, "eab_id"), path(node, "eab_key_file", reading)) {
        (Some(id), Some(key_file)) => Some(ExternalAccount { id, key_file }),
        (None, None) => None,
        _ => {
            let issue = Issue::error(node.span, "an external account has an id and a key");
            reading.issues.push(issue.expected("both eab_id and eab_key_file, or neither"));
            None
        }
    };
    Acme {
        domains: domains(node, reading),
        contact: contact(node, reading),
        directory: text(node, "directory").unwrap_or_else(|| LETS_ENCRYPT.to_owned()),
        directory_ca: path(node, "directory_ca", reading),
        account,
    }
}

/// The names to have certificates for. One that cannot have one is told of.
fn domains(node: &Node, reading: &mut Reading<'_>) -> Vec<String> {
    let Some(node) = node.get("domains") else { return Vec::new() };
    let nodes = node.as_list().unwrap_or(std::slice::from_ref(node));
    if nodes.is_empty() || nodes.len() > MAX_DOMAINS {
        let issue = Issue::error(node.span, format!("there are {} domains", nodes.len()));
        reading.issues.push(issue.expected(format!("1 to {MAX_DOMAINS}")));
    }
    let mut domains = Vec::new();
    for node in nodes.iter().take(MAX_DOMAINS) {
        let domain = node.scalar_text().unwrap_or_default().to_ascii_lowercase();
        match unfit(&domain) {
            Some(why) => {
                let issue = Issue::error(node.span, format!("`{domain}` {why}"));
                reading.issues.push(issue.expected("a name such as \"chat.example.com\""));
            }
            None if domains.contains(&domain) => {}
            None => domains.push(domain),
        }
    }
    domains
}

/// Why a name can have no certificate by the challenge that is spoken, TLS-ALPN-01
/// (RFC 8737), if it cannot.
fn unfit(domain: &str) -> Option<&'static str> {
    if domain.starts_with("*.") {
        return Some("is a wildcard, which authorities issue by DNS alone: use files for it");
    }
    if domain.parse::<std::net::IpAddr>().is_ok() {
        return Some("is an address, and no name");
    }
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    let fit = domain.len() <= 253 && domain.contains('.') && domain.split('.').all(is_label);
    (!fit).then_some("is no public name of a host")
}

/// Whom the authority may write to: a bare address of mail is taken for one.
fn contact(node: &Node, reading: &mut Reading<'_>) -> Vec<String> {
    let Some(node) = node.get("contact") else { return Vec::new() };
    let nodes = node.as_list().unwrap_or(std::slice::from_ref(node));
    let mut contact = Vec::new();
    for node in nodes {
        let text = node.scalar_text().unwrap_or_default();
        if text.starts_with("mailto:") {
            contact.push(text);
        } else if text.contains('@') {
            contact.push(format!("mailto:{text}"));
        } else {
            let issue = Issue::error(node.span, format!("`{text}` is no address of mail"));
            reading.issues.push(issue.expected("\"mailto:ops@example.com\""));
        }
    }
    contact
}

fn text(node: &Node, key: &str) -> Option<String> {
    node.get(key).and_then(Node::scalar_text)
}

/// A path that a key names, relative to the file.
fn path(node: &Node, key: &str, reading: &Reading<'_>) -> Option<PathBuf> {
    text(node, key).map(|path| join(&reading.folder, &path))
}
