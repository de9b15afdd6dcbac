//! `[access]`: who may call the APIs of management, of data and of functions.
//!
//! Keys sign requests as AWS's SDKs do; tokens are shown as they are, by the command line
//! and by consoles; API keys go with handshakes, where they tell whose usage plan counts. Each
//! may also be in a file of its own, which is read again whenever it changes.

use std::path::{Path, PathBuf};

use indexmap::IndexSet;
use serde::Serialize;

use super::permission::{self, Permission};
use super::secret::{self, Secret};
use crate::decode::{Key, Kind, Others, Table, check};
use crate::diagnostic::{Diagnostic, Issue, LoadError};
use crate::native::texts;
use crate::node::{Entry, Node, toml};
use crate::reading::{LoadOptions, Reading, join};
use crate::variables::{Format, Resolver};

/// The APIs that can be opened to everybody, by the names that the file has for them.
pub(crate) const OPENABLE: [&str; 6] =
    ["connections", "data", "invoke", "dynamodb", "control", "mqtt"];

/// The shortest secret: 16 characters of 6 bits each are 96 bits.
const SHORTEST_SECRET: usize = 16;

/// Keys, tokens and API keys of one file, each.
const MOST: usize = 10_000;

const KEYS: Key =
    Key::new("keys", Kind::Tables(&KEY), "keys that requests are signed with, by name");
const TOKENS: Key = Key::new(
    "tokens",
    Kind::Tables(&TOKEN),
    "tokens of bearers, by name: for `fanwire` commands and consoles",
);
const API_KEYS: Key =
    Key::new("api_keys", Kind::Tables(&API_KEY), "API keys that clients connect with, by name");

pub(crate) static ACCESS: Table = Table {
    name: "access",
    doc: "Who may call the APIs of management, of data and of functions.",
    others: Others::Refused,
    keys: &[
        Key::new(
            "allow_anonymous",
            Kind::TextList,
            "what everybody may use who reaches the server: \"connections\", \"data\", \"invoke\", \"dynamodb\", \"control\", or \"mqtt\" for a broker whose app lets anybody in; default: none",
        ),
        KEYS,
        TOKENS,
        API_KEYS,
        Key::new(
            "keys_file",
            Kind::Text,
            "a file with more `keys`, `tokens` and `api_keys`, relative to this one, which is read again when it changes",
        ),
    ],
};

/// The file that `keys_file` names.
static KEYS_FILE: Table = Table {
    name: "a file of keys",
    doc: "Keys and tokens that come and go while the server runs.",
    others: Others::Refused,
    keys: &[KEYS, TOKENS, API_KEYS],
};

const ALLOW: &str = "what it may do: \"ACTION RESOURCE\", such as \"execute-api:ManageConnections chat/prod\", \"iot:Publish orders/*\", \"lambda:InvokeFunction resize\", \"dynamodb:*\" or \"fanwire:Read\"; without a resource, to anything";

pub(crate) static KEY: Table = Table {
    name: "a key",
    doc: "What requests are signed with: AWS's Signature Version 4.",
    others: Others::Refused,
    keys: &[
        Key::required("id", Kind::Checked(key_id), "the access key id"),
        Key::new(
            "secret",
            Kind::Text,
            "the secret access key; better in a variable, ${env:NAME}, or in a file",
        ),
        Key::new("secret_file", Kind::Text, "a file that holds the secret access key, instead"),
        Key::new(
            "session_token",
            Kind::Text,
            "the session token that requests have to carry; default: none",
        ),
        Key::new("session_token_file", Kind::Text, "a file that holds the session token, instead"),
        Key::new(
            "expires",
            Kind::Checked(date),
            "when the key is over, such as \"2030-01-31T12:00:00Z\"; default: never",
        ),
        Key::required("allow", Kind::TextList, ALLOW),
    ],
};

pub(crate) static TOKEN: Table = Table {
    name: "a token",
    doc: "What a bearer shows (RFC 6750).",
    others: Others::Refused,
    keys: &[
        Key::new(
            "token",
            Kind::Text,
            "the token, which is better in a variable, ${env:NAME}, or in a file",
        ),
        Key::new("token_file", Kind::Text, "a file that holds the token, instead"),
        Key::new("sha256", Kind::Checked(hash), "the token's SHA-256 in hexadecimal, instead"),
        Key::new(
            "expires",
            Kind::Checked(date),
            "when the token is over, such as \"2030-01-31T12:00:00Z\"; default: never",
        ),
        Key::required("allow", Kind::TextList, ALLOW),
    ],
};

pub(crate) static API_KEY: Table = Table {
    name: "an API key",
    doc: "What clients send as `x-api-key` where an API's $connect asks for it.",
    others: Others::Refused,
    keys: &[
        Key::new(
            "value",
            Kind::Text,
            "the key, which is better in a variable, ${env:NAME}, or in a file",
        ),
        Key::new("value_file", Kind::Text, "a file that holds the key, instead"),
        Key::new(
            "plan",
            Kind::Text,
            "the usage plan that counts for it, of [limits.usage_plans]; default: none",
        ),
    ],
};

/// Who may call what.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Default)]
pub struct Access {
    /// APIs that everybody may call.
    pub allow_anonymous: Vec<String>,
    /// Keys and tokens of the settings.
    pub credentials: Credentials,
    /// The file with more of them.
    pub keys_file: Option<PathBuf>,
}

/// Keys and tokens.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Default)]
pub struct Credentials {
    /// What requests are signed with.
    pub keys: Vec<AccessKey>,
    /// What bearers show.
    pub tokens: Vec<AccessToken>,
    /// What clients connect with.
    pub api_keys: Vec<ApiKey>,
    /// The environment variables that a file of keys has its secrets from.
    #[serde(skip)]
    pub variables: IndexSet<String>,
}

/// A key that requests are signed with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AccessKey {
    /// What people call it.
    pub name: String,
    /// The access key id.
    pub id: String,
    /// The secret access key.
    pub secret: Secret,
    /// The session token that requests have to carry.
    pub session_token: Option<Secret>,
    /// When it is over, in seconds since 1970.
    pub expires_at: Option<u64>,
    /// What it may do.
    pub allow: Vec<Permission>,
}

/// A token that bearers show.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AccessToken {
    /// What people call it.
    pub name: String,
    /// The token, or its hash.
    pub token: TokenText,
    /// When it is over, in seconds since 1970.
    pub expires_at: Option<u64>,
    /// What it may do.
    pub allow: Vec<Permission>,
}

/// A token, as it is known here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum TokenText {
    /// Itself.
    Plain(Secret),
    /// Its SHA-256, in hexadecimal.
    Sha256(String),
}

/// A key that clients connect with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ApiKey {
    /// What people call it.
    pub name: String,
    /// The key.
    pub value: Secret,
    /// The usage plan that counts for it.
    pub plan: Option<String>,
}

fn key_id(text: &str) -> Result<(), String> {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    if (1..=128).contains(&text.len()) && text.chars().all(fits) {
        return Ok(());
    }
    Err("1 to 128 letters, digits, `-` and `_`".to_owned())
}

fn hash(text: &str) -> Result<(), String> {
    if text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Ok(());
    }
    Err("64 hexadecimal digits, such as `sha256sum` writes them".to_owned())
}

fn date(text: &str) -> Result<(), String> {
    seconds_of(text)
        .map(drop)
        .ok_or_else(|| "a date and time, such as \"2030-01-31T12:00:00Z\"".to_owned())
}

fn seconds_of(text: &str) -> Option<u64> {
    u64::try_from(text.parse::<jiff::Timestamp>().ok()?.as_second()).ok()
}

/// Reads a file of keys, as [`Access::keys_file`] names it.
///
/// # Errors
///
/// Where the file cannot be used, with as many faults as can be told at once.
pub fn read_keys(path: &Path, options: &LoadOptions) -> Result<Credentials, LoadError> {
    let text = std::fs::read_to_string(path).map_err(|error| {
        Diagnostic::about_file(path.to_owned(), format!("cannot be read: {error}"))
    })?;
    let mut reading = Reading::new(path, text.clone(), options);
    let root = toml::parse(reading.file_id, &text, &mut reading.issues);
    let mut credentials = Credentials::default();
    if !reading.issues.has_errors() {
        let tree = {
            let Reading { folder, options, sources, issues, files, variables, .. } = &mut reading;
            let mut resolver =
                Resolver::new(&root, options, Format::Native, folder, sources, issues);
            let tree = resolver.resolve_root();
            files.extend(resolver.included_files());
            *variables = resolver.asked_for(&secret::KEYS);
            tree
        };
        check(&tree, &KEYS_FILE, &mut reading.issues);
        credentials = credentials_of(&tree, &mut reading);
        credentials.variables = std::mem::take(&mut reading.variables);
    }
    if reading.issues.has_errors() {
        let diagnostics = reading.issues.into_diagnostics(&reading.sources);
        return Err(LoadError { diagnostics, files: reading.files });
    }
    Ok(credentials)
}

/// What the table says.
pub(super) fn build(node: &Node, reading: &mut Reading<'_>) -> Access {
    for item in node.get("allow_anonymous").and_then(Node::as_list).unwrap_or_default() {
        let name = item.scalar_text().unwrap_or_default();
        if !OPENABLE.contains(&name.as_str()) {
            let issue = Issue::error(item.span, format!("there is no API `{name}` to open"));
            let issue = issue.expected(OPENABLE.map(|name| format!("`{name}`")).join(", "));
            reading.issues.push(issue.nearest(&name, OPENABLE));
        }
    }
    let keys_file = node.get("keys_file").and_then(Node::scalar_text);
    Access {
        allow_anonymous: texts(node.get("allow_anonymous")),
        credentials: credentials_of(node, reading),
        keys_file: keys_file.map(|path| join(&reading.folder, &path)),
    }
}

fn credentials_of(node: &Node, reading: &mut Reading<'_>) -> Credentials {
    Credentials {
        keys: each(node, "keys", reading, key),
        tokens: each(node, "tokens", reading, token),
        api_keys: each(node, "api_keys", reading, api_key),
        variables: IndexSet::new(),
    }
}

/// What `build` makes of each entry of a table.
fn each<T>(
    node: &Node,
    name: &str,
    reading: &mut Reading<'_>,
    build: fn(&str, &Entry, &mut Reading<'_>) -> Option<T>,
) -> Vec<T> {
    let Some(table) = node.get(name) else { return Vec::new() };
    let entries: Vec<_> = table.as_map().into_iter().flatten().collect();
    if entries.len() > MOST {
        let message = format!("there are {} entries in `{name}`", entries.len());
        reading.issues.push(Issue::error(table.span, message).expected(format!("at most {MOST}")));
        return Vec::new();
    }
    entries.into_iter().filter_map(|(name, entry)| build(name, entry, reading)).collect()
}

fn key(name: &str, entry: &Entry, reading: &mut Reading<'_>) -> Option<AccessKey> {
    let node = &entry.node;
    let allow = permission::read(node, reading);
    let session_token = secret::read(node, "session_token", reading).ok()?;
    let secret = needed(name, entry, "secret", reading)?;
    Some(AccessKey {
        name: name.to_owned(),
        id: node.get("id").and_then(Node::scalar_text)?,
        secret,
        session_token,
        expires_at: expires_at(node),
        allow,
    })
}

fn token(name: &str, entry: &Entry, reading: &mut Reading<'_>) -> Option<AccessToken> {
    let node = &entry.node;
    let allow = permission::read(node, reading);
    let token = match node.get("sha256").and_then(Node::scalar_text) {
        Some(hash) => TokenText::Sha256(hash.to_ascii_lowercase()),
        None => TokenText::Plain(needed(name, entry, "token", reading)?),
    };
    Some(AccessToken { name: name.to_owned(), token, expires_at: expires_at(node), allow })
}

fn api_key(name: &str, entry: &Entry, reading: &mut Reading<'_>) -> Option<ApiKey> {
    let value = needed(name, entry, "value", reading)?;
    let plan = entry.node.get("plan").and_then(Node::scalar_text);
    Some(ApiKey { name: name.to_owned(), value, plan })
}

fn expires_at(node: &Node) -> Option<u64> {
    seconds_of(&node.get("expires").and_then(Node::scalar_text)?)
}

/// A secret that has to be there and not be found by trying. Faults are told with the place of
/// the name: the line of the secret is not shown.
fn needed(name: &str, entry: &Entry, key: &str, reading: &mut Reading<'_>) -> Option<Secret> {
    let (message, expected) = match secret::read(&entry.node, key, reading).ok()? {
        Some(secret) if secret.reveal().chars().count() >= SHORTEST_SECRET => return Some(secret),
        Some(_) => (
            format!("the `{key}` of `{name}` is so short that it is found by trying"),
            format!("at least {SHORTEST_SECRET} characters"),
        ),
        None => (
            format!("`{name}` has no `{key}`"),
            format!("`{key}_file`, or `{key}` from a variable, ${{env:NAME}}"),
        ),
    };
    reading.issues.push(Issue::error(entry.key, message).expected(expected));
    None
}
