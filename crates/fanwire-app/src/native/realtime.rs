//! `[realtime]`

use indexmap::IndexMap;

use crate::diagnostic::{Issue, Issues};
use crate::model::{
    AccessList, Durability, JwksSource, Realtime, RealtimeAuthorizer, RealtimeJwt,
    RealtimeListener, RealtimeProtocol, RealtimeUser, SqlVersion, TopicRule, WebSocketApi,
};
use crate::node::{Entry, Node};
use crate::reading::Reading;
use crate::rules::{self, is_http_url, realtime as checks};
use crate::source::Span;

use super::{Project, keys, realtime_limits, texts};

/// The largest file with a public key that is read, in bytes.
const MAX_KEY_BYTES: u64 = 64 * 1024;

/// What the hash of a password begins with.
const HASH_PREFIXES: [&str; 3] = ["$argon2id$", "$argon2i$", "$argon2d$"];

/// The realtime endpoint of the App, where the file has one.
pub(super) fn build(
    project: &Project<'_>,
    apis: &[WebSocketApi],
    reading: &mut Reading<'_>,
) -> Option<Realtime> {
    let entry = project.tree.entry("realtime")?;
    let node = &entry.node;
    node.as_map()?;
    let mut builder = Builder { node, declared: project.declared_functions(), reading };
    let realtime = builder.build(project);
    builder.check_path(&realtime.path, apis);
    if !realtime.admits_anyone() {
        builder.warn_of_closed(entry.key);
    }
    Some(realtime)
}

/// An endpoint that is being built.
struct Builder<'a, 'o> {
    node: &'a Node,
    /// The functions that the file declares.
    declared: Vec<&'a str>,
    reading: &'a mut Reading<'o>,
}

impl<'a> Builder<'a, '_> {
    fn build(&mut self, project: &Project<'_>) -> Realtime {
        let node = self.node;
        let text = |key: &str| node.get(key).and_then(Node::scalar_text);
        let defaults = Realtime::new(project.profile);
        Realtime {
            name: text("name").unwrap_or(defaults.name),
            path: text("path").unwrap_or(defaults.path),
            authorizers: self.authorizers(),
            default_authorizer: self.default_authorizer(),
            allow_anonymous: flag(node, "allow_anonymous", false),
            users: self.users(),
            jwt: self.jwt(),
            rules: self.subscribers(),
            listeners: self.listeners(),
            durability: durability(node),
            limits: realtime_limits::read(
                node.get("limits"),
                defaults.limits,
                &mut self.reading.issues,
            ),
            profile: project.profile,
        }
    }

    /// The entries of a table of the endpoint.
    fn entries(&self, key: &str) -> impl Iterator<Item = (&'a String, &'a Entry)> + use<'a> {
        let map = self.node.get(key).and_then(Node::as_map).into_iter().flatten();
        map.filter(|(_, entry)| entry.node.as_map().is_some())
    }

    fn authorizers(&mut self) -> IndexMap<String, RealtimeAuthorizer> {
        let mut authorizers = IndexMap::new();
        for (name, entry) in self.entries("authorizers") {
            let node = &entry.node;
            let Some(function) = self.function(node, "function") else { continue };
            let token_key = node.get("token_key").and_then(Node::scalar_text);
            let keys = node.get("public_keys").and_then(Node::as_list).unwrap_or_default();
            if let (None, Some(first)) = (&token_key, keys.first()) {
                let message = format!("the authorizer `{name}` has keys and no token to verify");
                let expected = "token_key = \"NAME\", the parameter that carries the token";
                self.reading.issues.push(Issue::error(first.span, message).expected(expected));
            }
            let public_keys = keys.iter().filter_map(|key| self.public_key(key)).collect();
            let authorizer = RealtimeAuthorizer { function, token_key, public_keys };
            authorizers.insert(name.clone(), authorizer);
        }
        authorizers
    }

    /// A public key: the text itself, or that of the file which it names.
    fn public_key(&mut self, node: &Node) -> Option<String> {
        let text = node.scalar_text()?;
        let pem = if text.trim_start().starts_with("-----") {
            Ok(text.clone())
        } else {
            self.read_key(&text)
        };
        let fault = match pem {
            Ok(pem) => match checks::check_public_key(&pem) {
                Ok(()) => return Some(pem),
                Err(fault) => format!("this {fault}"),
            },
            Err(fault) => format!("`{text}` cannot be read as a public key: {fault}"),
        };
        let expected = format!("{}, or the path of a file that holds one", checks::PUBLIC_KEY);
        self.reading.issues.push(Issue::error(node.span, fault).expected(expected));
        None
    }

    fn read_key(&mut self, path: &str) -> Result<String, String> {
        let path = self.reading.folder.join(path);
        self.reading.files.push(path.clone());
        let size = std::fs::metadata(&path).map_err(|error| error.to_string())?.len();
        if size > MAX_KEY_BYTES {
            return Err(format!("it is larger than {MAX_KEY_BYTES} bytes"));
        }
        std::fs::read_to_string(&path).map_err(|error| error.to_string())
    }

    fn default_authorizer(&mut self) -> Option<String> {
        let node = self.node.get("default_authorizer")?;
        let name = node.scalar_text()?;
        let names: Vec<&str> = self.entries("authorizers").map(|(name, _)| name.as_str()).collect();
        if !names.contains(&name.as_str()) {
            let expected = match names.as_slice() {
                [] => format!("a table [realtime.authorizers.{name}]"),
                names => format!("one of {}", names.join(", ")),
            };
            let issue = Issue::error(node.span, format!("there is no authorizer `{name}`"));
            let issue = issue.expected(expected).nearest(&name, names.iter().copied());
            self.reading.issues.push(issue);
        }
        Some(name)
    }

    fn users(&mut self) -> IndexMap<String, RealtimeUser> {
        let mut users = IndexMap::new();
        for (name, entry) in self.entries("users") {
            let access = access(&entry.node, false, &mut self.reading.issues);
            let Some(password) = entry.node.get("password").and_then(Node::scalar_text) else {
                continue;
            };
            if !is_password_hash(&password) {
                // At the user's name and not at the password: whoever reads the message
                // need not see it.
                let message = format!("the password of `{name}` is not a hash");
                let issue = Issue::error(entry.key, message);
                let issue = issue.expected("password = \"$argon2id$v=19$…\"");
                self.reading.issues.push(issue.help("`fanwire password` makes it"));
            }
            users.insert(name.clone(), RealtimeUser { password, access });
        }
        users
    }

    fn jwt(&mut self) -> Option<RealtimeJwt> {
        let node = self.node.get("jwt")?;
        let text = |key: &str| node.get(key).and_then(Node::scalar_text);
        let access = access(node, true, &mut self.reading.issues);
        let jwks = self.jwks(node.get("jwks")?)?;
        let audience = node.get("audience");
        Some(RealtimeJwt {
            jwks,
            issuer: text("issuer"),
            audience: match audience.and_then(Node::scalar_text) {
                Some(one) => vec![one],
                None => texts(audience),
            },
            principal_claim: text("principal_claim").unwrap_or_else(|| "sub".to_owned()),
            access,
        })
    }

    fn jwks(&mut self, node: &Node) -> Option<JwksSource> {
        let text = node.scalar_text()?;
        if is_http_url(&text) {
            return Some(JwksSource::Url(text));
        }
        let path = self.reading.folder.join(&text);
        self.reading.files.push(path.clone());
        if !path.is_file() {
            let issue = Issue::error(node.span, format!("there is no file `{text}`"));
            let expected = "a file with a JSON Web Key Set, or an https:// URL of one";
            self.reading.issues.push(issue.expected(expected));
        }
        Some(JwksSource::File(path))
    }

    fn subscribers(&mut self) -> IndexMap<String, TopicRule> {
        let mut rules = IndexMap::new();
        for (name, entry) in self.entries("subscribers") {
            checks::check_rule_name(name, entry.key, &mut self.reading.issues);
            if let Some(rule) = self.subscriber(name, entry) {
                rules.insert(name.clone(), rule);
            }
        }
        rules
    }

    fn subscriber(&mut self, name: &str, entry: &Entry) -> Option<TopicRule> {
        let node = &entry.node;
        let error_function = self.function(node, "error_function");
        let function = self.function(node, "function");
        let issues = &mut self.reading.issues;
        let (filter, sql) = (node.get("filter"), node.get("sql"));
        let rule = match (filter, sql) {
            (Some(node), None) => {
                let filter = node.scalar_text()?;
                checks::check_filter(&filter, node.span, issues);
                TopicRule::of_filter(&filter, function?)
            }
            (None, Some(node)) => {
                let sql = node.scalar_text()?;
                checks::check_sql(&sql, node.span, issues);
                TopicRule { sql, ..TopicRule::of_filter("", function?) }
            }
            (filter, _) => {
                let (what, place) = match filter {
                    Some(filter) => ("both a filter and a statement", filter.span),
                    None => ("nothing to listen to", entry.key),
                };
                let issue = Issue::error(place, format!("the subscriber `{name}` has {what}"));
                issues.push(issue.expected("one of filter and sql"));
                return None;
            }
        };
        let version = node.get("sql_version").and_then(Node::scalar_text);
        Some(TopicRule {
            sql_version: match version.as_deref() {
                Some(version) if version == keys::SQL_VERSIONS[0] => SqlVersion::V2015_10_08,
                _ => SqlVersion::V2016_03_23,
            },
            error_function,
            enabled: flag(node, "enabled", true),
            ..rule
        })
    }

    fn listeners(&mut self) -> Vec<RealtimeListener> {
        let mut listeners: Vec<RealtimeListener> = Vec::new();
        for node in self.node.get("listen").and_then(Node::as_list).unwrap_or_default() {
            let Some(given) = node.get("address") else { continue };
            let Some(address) = given.scalar_text().and_then(|text| text.parse().ok()) else {
                continue;
            };
            if listeners.iter().any(|known| known.address == address) {
                let issue = Issue::error(given.span, format!("{address} is listened at already"));
                self.reading.issues.push(issue.expected("an address of its own for each"));
            }
            let protocol = match node.get("protocol").and_then(Node::as_str) {
                Some("websocket") => RealtimeProtocol::WebSocket,
                _ => RealtimeProtocol::Mqtt,
            };
            listeners.push(RealtimeListener { address, protocol, tls: flag(node, "tls", false) });
        }
        listeners
    }

    /// The function that a key names, which has to exist.
    fn function(&mut self, node: &Node, key: &str) -> Option<String> {
        let node = node.get(key)?;
        let name = node.scalar_text()?;
        let message = format!("`{name}` is not a function of this file");
        let issues = &mut self.reading.issues;
        rules::check_function_exists(&name, &self.declared, message, node.span, issues);
        Some(name)
    }

    /// The first segment of a path says what it is about.
    fn check_path(&mut self, path: &str, apis: &[WebSocketApi]) {
        let first = path.trim_start_matches('/').split('/').next().unwrap_or_default();
        let reaches =
            |api: &&WebSocketApi| api.stage == first || api.base_path.as_deref() == Some(first);
        let Some(api) = apis.iter().find(reaches) else { return };
        let place = self.node.get("path").map_or(self.node.span, |node| node.span);
        let message = format!("`{path}` is a path of the WebSocket API `{}` too", api.name);
        let issue = Issue::error(place, message);
        self.reading.issues.push(issue.expected("a path of its own for the realtime endpoint"));
    }

    fn warn_of_closed(&mut self, place: Span) {
        let message = "no client can connect to the realtime endpoint, unless AWS's signatures \
            let it in";
        let help = "give it [realtime.authorizers.NAME], [realtime.users.NAME], [realtime.jwt] \
            or allow_anonymous = true";
        self.reading.issues.push(Issue::warning(place, message).help(help));
    }
}

/// What a user or the bearer of a token may do; variables of tokens exist with `claims`.
fn access(node: &Node, claims: bool, issues: &mut Issues) -> AccessList {
    let mut patterns = |key: &str| {
        let list = node.get(key).and_then(Node::as_list)?;
        for item in list {
            if let Some(pattern) = item.scalar_text() {
                checks::check_pattern(&pattern, claims, item.span, issues);
            }
        }
        Some(texts(node.get(key)))
    };
    let subscribe = patterns("subscribe").unwrap_or_default();
    AccessList {
        connect: patterns("connect").unwrap_or_else(|| vec!["*".to_owned()]),
        publish: patterns("publish").unwrap_or_default(),
        receive: patterns("receive").unwrap_or_else(|| subscribe.clone()),
        subscribe,
        retain: flag(node, "retain", false),
    }
}

/// Whether a text is a hash as `$argon2id$v=19$m=…,t=…,p=…$SALT$HASH`.
fn is_password_hash(text: &str) -> bool {
    let parts: Vec<&str> = text.split('$').skip(1).collect();
    HASH_PREFIXES.iter().any(|prefix| text.starts_with(prefix))
        && matches!(parts.len(), 4 | 5)
        && parts.iter().all(|part| !part.is_empty() && !part.contains(char::is_whitespace))
}

fn durability(node: &Node) -> Durability {
    let given = node.get("durability").and_then(Node::scalar_text);
    let at = keys::DURABILITIES.iter().position(|word| Some(*word) == given.as_deref());
    match at {
        Some(0) => Durability::Memory,
        Some(2) => Durability::Synced,
        _ => Durability::default(),
    }
}

fn flag(node: &Node, key: &str, default: bool) -> bool {
    node.get(key).and_then(Node::boolean).unwrap_or(default)
}
