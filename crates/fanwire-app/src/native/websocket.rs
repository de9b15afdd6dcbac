//! `[websocket]`, or `[[websocket]]` for several.

use std::collections::HashSet;

use indexmap::IndexMap;

use crate::aws_id::derived_api_id;
use crate::decode::units::{duration, is_none, size};
use crate::diagnostic::{Issue, Issues};
use crate::model::{
    AccessLog, Authorizer, ConnectRules, ExecutionLogLevel, HttpIntegration, Integration,
    JwksSource, JwtAuthorizer, Limits, LogSettings, MockIntegration, Route, WebSocketApi,
};
use crate::node::{Entry, Node, Value};
use crate::reading::{Reading, join};
use crate::rules;
use crate::source::Span;

use super::{Project, text_map, texts};

/// The authorizer that is none of the file's: AWS's signatures.
const AWS_IAM: &str = "AWS_IAM";

/// The WebSocket APIs of the App.
pub(super) fn build(project: &Project<'_>, reading: &mut Reading<'_>) -> Vec<WebSocketApi> {
    let Some(node) = project.tree.get("websocket") else { return Vec::new() };
    let nodes = node.as_list().unwrap_or(std::slice::from_ref(node));
    let declared = project.declared_functions();
    let mut seen: HashSet<(&str, String)> = HashSet::new();
    let mut apis = Vec::new();
    for node in nodes.iter().filter(|node| node.as_map().is_some()) {
        let mut api = Api { node, declared: &declared, issues: &mut reading.issues };
        let api = api.build(project, &reading.folder);
        // What reaches an API must reach one alone.
        let id = node.get("id").and_then(Node::scalar_text);
        let keys =
            [("name", Some(api.name.clone())), ("id", id), ("base_path", api.base_path.clone())];
        for (key, value) in keys.into_iter().filter_map(|(key, value)| Some((key, value?))) {
            let message = format!("another WebSocket API has the {key} `{value}`");
            if !seen.insert((key, value)) {
                let place = node.get(key).map_or(node.span, |node| node.span);
                let expected = format!("a {key} of its own for each API");
                reading.issues.push(Issue::error(place, message).expected(expected));
            }
        }
        apis.push(api);
    }
    apis
}

/// One API that is being built.
struct Api<'a> {
    node: &'a Node,
    /// The functions that the file declares.
    declared: &'a [&'a str],
    issues: &'a mut Issues,
}

impl Api<'_> {
    fn build(&mut self, project: &Project<'_>, folder: &std::path::Path) -> WebSocketApi {
        let node = self.node;
        let text = |key: &str| node.get(key).and_then(Node::scalar_text);
        let stage = text("stage").unwrap_or_else(|| project.stage.clone());
        let name = text("name").unwrap_or_else(|| format!("{stage}-{}-websockets", project.name));
        WebSocketApi {
            id: text("id").unwrap_or_else(|| derived_api_id(&project.name, &stage, &name)),
            name,
            stage,
            base_path: text("base_path"),
            route_selection: rules::route_selection(node.get("route_selection"), self.issues),
            routes: self.routes(),
            authorizers: self.authorizers(),
            stage_variables: text_map(node.get("stage_variables")),
            topics: self.topics(),
            logs: logs(node.get("logs"), folder),
            limits: limits(node.get("limits"), Limits::of(project.profile)),
            connect: self.connect(folder),
        }
    }

    fn topics(&mut self) -> Vec<String> {
        let nodes = self.node.get("topics").and_then(Node::as_list).unwrap_or_default();
        for node in nodes {
            // A connection's own id or principal is part of a level, as other text is.
            let filter = node.scalar_text().unwrap_or_default();
            rules::realtime::check_filter(&filter, node.span, self.issues);
        }
        texts(self.node.get("topics"))
    }

    fn authorizers(&mut self) -> IndexMap<String, Authorizer> {
        let mut authorizers = IndexMap::new();
        let described = self.node.get("authorizers").and_then(Node::as_map);
        for (name, entry) in described.into_iter().flatten() {
            let Some(node) = entry.node.get("function") else {
                self.require_jwks(name, entry);
                continue;
            };
            let Some(function) = node.scalar_text() else { continue };
            self.require_function(&function, node.span);
            let sources = entry.node.get("identity_source").and_then(Node::as_list);
            let identity_source = rules::identity_sources(sources.unwrap_or_default(), self.issues);
            authorizers.insert(name.clone(), Authorizer { function, identity_source });
        }
        authorizers
    }

    /// What is no function has keys.
    fn require_jwks(&mut self, name: &str, entry: &Entry) {
        if entry.node.get("jwks").is_none() {
            let message = format!("the authorizer `{name}` has neither a function nor keys");
            let issue = Issue::error(entry.node.span, message);
            self.issues.push(issue.expected("function = \"NAME\", or jwks = \"FILE or URL\""));
        }
    }

    /// What a handshake has to show.
    fn connect(&mut self, folder: &std::path::Path) -> ConnectRules {
        let route = self.node.get("routes").and_then(|routes| routes.get("$connect"));
        let authorizer = route.and_then(|route| route.get("authorizer")?.scalar_text());
        let api_key = route.and_then(|route| route.get("api_key")?.boolean());
        let described = self.node.get("authorizers").and_then(Node::as_map).into_iter().flatten();
        let jwt_authorizers: IndexMap<String, JwtAuthorizer> = described
            .filter_map(|(name, entry)| Some((name.clone(), self.jwt(name, &entry.node, folder)?)))
            .collect();
        ConnectRules {
            iam: authorizer.as_deref() == Some(AWS_IAM),
            api_key: api_key.unwrap_or(false),
            allowed_origins: texts(self.node.get("allowed_origins")),
            jwt: authorizer.filter(|name| jwt_authorizers.contains_key(name)),
            jwt_authorizers,
        }
    }

    /// The tokens that an authorizer takes, where it has keys and no function.
    fn jwt(&mut self, name: &str, node: &Node, folder: &std::path::Path) -> Option<JwtAuthorizer> {
        let text = |key: &str| node.get(key).and_then(Node::scalar_text);
        let jwks = match (text("function"), text("jwks")?) {
            (None, url) if rules::is_http_url(&url) => JwksSource::Url(url),
            (None, path) => {
                let file = join(folder, &path);
                if !file.is_file() {
                    let issue = Issue::error(node.span, format!("there is no file `{path}`"));
                    let expected = "a file with a JSON Web Key Set, or an https:// URL of one";
                    self.issues.push(issue.expected(expected));
                }
                JwksSource::File(file)
            }
            (Some(_), _) => {
                let message = format!("the authorizer `{name}` has a function and keys");
                self.issues.push(Issue::error(node.span, message).expected("one of them"));
                return None;
            }
        };
        let sources = node.get("identity_source").and_then(Node::as_list).unwrap_or_default();
        let audience = node.get("audience");
        Some(JwtAuthorizer {
            jwks,
            issuer: text("issuer"),
            audience: match audience.and_then(Node::scalar_text) {
                Some(one) => vec![one],
                None => texts(audience),
            },
            identity_source: sources
                .first()
                .and_then(Node::scalar_text)
                .unwrap_or_else(|| "route.request.header.Authorization".to_owned()),
        })
    }

    fn require_function(&mut self, name: &str, place: Span) {
        let message = format!("`{name}` is not a function of this file");
        rules::check_function_exists(name, self.declared, message, place, self.issues);
    }

    fn routes(&mut self) -> IndexMap<String, Route> {
        let mut routes = IndexMap::new();
        let described = self.node.get("routes").and_then(Node::as_map);
        for (key, entry) in described.into_iter().flatten() {
            rules::check_route_key(key, entry.key, self.issues);
            if let Some(route) = self.route(key, entry) {
                routes.insert(key.clone(), route);
            }
        }
        routes
    }

    fn route(&mut self, key: &str, entry: &Entry) -> Option<Route> {
        let node = &entry.node;
        if let Value::Text(function) = &node.value {
            self.require_function(function, node.span);
            let integration = Integration::Function { function: function.clone() };
            return Some(Route { integration, route_response: false, authorizer: None });
        }
        node.as_map()?;
        let authorizer = node.get("authorizer");
        if let Some(authorizer) = authorizer {
            self.check_authorizer(key, authorizer);
        }
        let route_response = node.get("response").and_then(Node::boolean).unwrap_or(false);
        // What no function is asked about is no part of the route.
        let asks = |name: &String| self.node.at(&["authorizers", name, "function"]).is_some();
        let authorizer = authorizer.and_then(Node::scalar_text).filter(asks);
        let integration = self.integration(key, entry)?;
        Some(Route { integration, route_response, authorizer })
    }

    fn check_authorizer(&mut self, route: &str, node: &Node) {
        rules::check_authorizer_route(route, node.span, self.issues);
        let Some(name) = node.scalar_text().filter(|name| name != AWS_IAM) else { return };
        let known = self.node.get("authorizers").and_then(Node::as_map);
        let names: Vec<&str> =
            known.into_iter().flat_map(|map| map.keys().map(String::as_str)).collect();
        if !names.contains(&name.as_str()) {
            self.issues.push(
                Issue::error(node.span, format!("there is no authorizer `{name}`"))
                    .expected(match names.as_slice() {
                        [] => format!("a table [websocket.authorizers.{name}]"),
                        names => format!("one of {}", names.join(", ")),
                    })
                    .nearest(&name, names.iter().copied()),
            );
        }
    }

    fn integration(&mut self, key: &str, entry: &Entry) -> Option<Integration> {
        let node = &entry.node;
        let text = |node: &Node, key: &str| node.get(key).and_then(Node::scalar_text);
        match (node.get("function"), node.get("http"), node.get("mock")) {
            (Some(node), None, None) => {
                let function = node.scalar_text()?;
                self.require_function(&function, node.span);
                Some(Integration::Function { function })
            }
            (None, Some(http), None) => {
                let parameters = http.get("request_parameters");
                self.check_parameters(parameters);
                Some(Integration::Http(HttpIntegration {
                    url: text(http, "url")?,
                    method: text(http, "method").unwrap_or_else(|| "POST".to_owned()),
                    request_parameters: text_map(parameters),
                    timeout: http.get("timeout").and_then(duration),
                }))
            }
            (None, None, Some(mock)) => {
                let status = mock.get("status").and_then(Node::integer).unwrap_or(200);
                Some(Integration::Mock(MockIntegration {
                    status: u16::try_from(status).unwrap_or(200),
                    body: text(mock, "body").unwrap_or_default(),
                }))
            }
            (None, None, None) => {
                let issue =
                    Issue::error(entry.key, format!("nothing stands behind the route `{key}`"));
                self.issues.push(issue.expected("one of function, http and mock"));
                None
            }
            _ => {
                let message = format!("several things stand behind the route `{key}`");
                let issue = Issue::error(entry.key, message);
                self.issues.push(issue.expected("one of function, http and mock"));
                None
            }
        }
    }

    /// Checks the forms of request parameters (API Gateway, "Request parameter
    /// mapping").
    fn check_parameters(&mut self, node: Option<&Node>) {
        const TARGETS: [&str; 3] = [
            "integration.request.header.",
            "integration.request.querystring.",
            "integration.request.path.",
        ];
        const SOURCES: [&str; 3] = ["context.", "stageVariables.", "route.request."];
        let begins = |text: &str, forms: &[&str]| {
            forms.iter().any(|form| text.strip_prefix(form).is_some_and(|name| !name.is_empty()))
        };
        for (target, entry) in node.and_then(Node::as_map).into_iter().flatten() {
            if !begins(target, &TARGETS) {
                let message = format!("`{target}` is not a parameter of a request");
                let expected = format!("a name after one of {}", TARGETS.join(", "));
                self.issues.push(Issue::error(entry.key, message).expected(expected));
            }
            let Some(source) = entry.node.scalar_text() else { continue };
            let quoted = source.len() > 1 && source.starts_with('\'') && source.ends_with('\'');
            if !quoted && !begins(&source, &SOURCES) {
                let message = format!("`{source}` is not a source of a parameter");
                let expected =
                    "context.NAME, stageVariables.NAME, route.request.… or 'text' in single quotes";
                self.issues.push(Issue::error(entry.node.span, message).expected(expected));
            }
        }
    }
}

fn logs(node: Option<&Node>, folder: &std::path::Path) -> LogSettings {
    let Some(node) = node else { return LogSettings::default() };
    let access = node.get("access");
    let format = match access.map(|access| (access.boolean(), access.as_str())) {
        None | Some((Some(false), _)) => None,
        Some((_, Some(format))) if !matches!(format, "true" | "false") => Some(format),
        Some(_) => Some(AccessLog::DEFAULT_FORMAT),
    };
    let file = node.get("access_file").and_then(Node::as_str).map(|file| folder.join(file));
    LogSettings {
        access: format.map(|format| AccessLog { format: format.to_owned(), file }),
        execution: match node.get("execution").and_then(Node::as_str) {
            Some("error") => ExecutionLogLevel::Error,
            Some("info") => ExecutionLogLevel::Info,
            _ => ExecutionLogLevel::Off,
        },
        full_execution_data: node
            .get("full_execution_data")
            .and_then(Node::boolean)
            .unwrap_or(false),
    }
}

/// The limits that the file gives, over the profile's.
fn limits(node: Option<&Node>, profile: Limits) -> Limits {
    let mut limits = profile;
    let Some(node) = node else { return limits };
    let flag = |key: &str, limit: &mut bool| {
        *limit = node.get(key).and_then(Node::boolean).unwrap_or(*limit);
    };
    let bytes = |key: &str, limit: &mut usize| {
        *limit = node.get(key).and_then(size).unwrap_or(*limit);
    };
    let time = |key: &str, limit: &mut Option<std::time::Duration>| match node.get(key) {
        Some(node) if is_none(node) => *limit = None,
        Some(node) => *limit = duration(node).or(*limit),
        None => {}
    };
    time("idle_timeout", &mut limits.idle_timeout);
    flag("idle_counts_control_frames", &mut limits.idle_counts_control_frames);
    time("max_lifetime", &mut limits.max_lifetime);
    bytes("max_frame_bytes", &mut limits.max_frame_bytes);
    bytes("max_message_bytes", &mut limits.max_message_bytes);
    let mut integration = Some(limits.integration_timeout);
    time("integration_timeout", &mut integration);
    limits.integration_timeout = integration.unwrap_or(limits.integration_timeout);
    let integer = |key: &str| node.get(key).and_then(Node::integer);
    if let Some(most) = integer("max_in_flight").and_then(|most| u32::try_from(most).ok()) {
        limits.max_in_flight = most;
    }
    flag("ordered", &mut limits.ordered);
    bytes("max_outbound_bytes", &mut limits.max_outbound_bytes);
    if let Some(most) = integer("max_connections").and_then(|most| usize::try_from(most).ok()) {
        limits.max_connections = most;
    }
    flag("binary", &mut limits.binary);
    flag("compression", &mut limits.compression);
    flag("broadcast", &mut limits.broadcast);
    limits
}
