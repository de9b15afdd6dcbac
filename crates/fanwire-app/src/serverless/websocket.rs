//! `websocket` events as the routes of one WebSocket API.

use indexmap::IndexMap;

use crate::cloudformation::{Stack, targets};
use crate::decode::{check, refuse};
use crate::diagnostic::{Issue, Issues};
use crate::model::{
    AccessLog, Authorizer, ConnectRules, ExecutionLogLevel, Function, IdentitySource, Integration,
    Limits, LogSettings, Route, WebSocketApi,
};
use crate::node::{Map, Node, Value};
use crate::reading::Reading;
use crate::rules;
use crate::source::Span;

use super::{Service, keys, stack};

/// What a handshake must carry where an authorizer does not say.
const DEFAULT_IDENTITY_SOURCE: &str = "Auth";

/// The events that are served; `iot` ones are another module's.
const EVENTS: [&str; 2] = ["websocket", "iot"];

/// The API's name.
pub(super) fn api_name(service: &Service<'_>) -> String {
    let given = service.tree.at(&["provider", "websocketsApiName"]).and_then(Node::scalar_text);
    given.unwrap_or_else(|| format!("{}-{}-websockets", service.stage, service.name))
}

/// The WebSocket API, where any function has a `websocket` event. Adds a function
/// for each authorizer that is in AWS, and lists the events that are not served.
pub(super) fn build(
    service: &mut Service<'_>,
    stack: &Stack,
    resources: &Map,
    functions: &mut IndexMap<String, Function>,
    reading: &mut Reading<'_>,
) -> Option<WebSocketApi> {
    let issues = &mut reading.issues;
    let mut routes = Routes {
        service,
        stack,
        functions,
        issues,
        routes: IndexMap::new(),
        authorizers: IndexMap::new(),
        places: IndexMap::new(),
    };
    routes.collect();
    let Routes { mut routes, authorizers, .. } = routes;
    let connect = routes.get_mut("$connect").map(|route| {
        let rules = connect_rules(service, resources, issues);
        // A route has one kind of authorization.
        route.authorizer = route.authorizer.take().filter(|_| !rules.iam);
        rules
    });
    let selection = service.tree.at(&["provider", "websocketsApiRouteSelectionExpression"]);
    let selection = rules::route_selection(selection, issues);
    let logs = logs(service);
    if routes.is_empty() {
        return None;
    }
    let id = stack.resources.get(stack::WEBSOCKETS_API).map(|api| api.reference.clone());
    Some(WebSocketApi {
        connect: connect.unwrap_or_default(),
        id: id.unwrap_or_default(),
        name: api_name(service),
        stage: service.stage.clone(),
        base_path: None,
        route_selection: selection,
        routes,
        authorizers,
        stage_variables: IndexMap::new(),
        topics: Vec::new(),
        logs,
        limits: Limits::of(reading.options.profile.unwrap_or_default()),
    })
}

/// What a handshake has to show. Events have no form for it: people change the route that the
/// framework generates, under `resources.extensions` or as a resource of the same logical id.
fn connect_rules(service: &Service<'_>, resources: &Map, issues: &mut Issues) -> ConnectRules {
    let mut rules = ConnectRules::default();
    let extensions = stack::extensions(service, issues);
    for changes in [resources, &extensions] {
        let Some(changed) = changes.get(stack::CONNECT_ROUTE) else { continue };
        let Some(properties) = changed.node.get("Properties") else { continue };
        check(properties, &keys::CONNECT_ROUTE, issues);
        if let Some(required) = properties.get("ApiKeyRequired").and_then(Node::boolean) {
            rules.api_key = required;
        }
        let Some(kind) = properties.get("AuthorizationType") else { continue };
        rules.iam = kind.as_str() == Some("AWS_IAM");
        if rules.iam {
            crate::rules::note_signatures(kind.span, issues);
        } else if kind.as_str() == Some("CUSTOM") {
            let message = "an authorizer of one's own on the generated route is not served";
            let expected = "`authorizer` in the websocket event";
            issues.push(Issue::error(kind.span, message).expected(expected));
        }
    }
    rules
}

/// `provider.logs.websocket`: nothing unless it is given; everything where it is true.
fn logs(service: &Service<'_>) -> LogSettings {
    let node = service.tree.at(&["provider", "logs", "websocket"]);
    let Some(node) = node.filter(|node| node.boolean() != Some(false)) else {
        return LogSettings::default();
    };
    let on = |key: &str| node.get(key).and_then(Node::boolean).unwrap_or(true);
    let text = |key: &str| node.get(key).and_then(Node::scalar_text);
    let format = text("format").unwrap_or_else(|| AccessLog::DEFAULT_FORMAT.to_owned());
    let execution = match text("level").as_deref() {
        _ if !on("executionLogging") => ExecutionLogLevel::Off,
        Some("ERROR") => ExecutionLogLevel::Error,
        _ => ExecutionLogLevel::Info,
    };
    LogSettings {
        access: on("accessLogging").then_some(AccessLog { format, file: None }),
        execution,
        full_execution_data: on("fullExecutionData"),
    }
}

/// The routes and authorizers that were found so far.
struct Routes<'a, 'n> {
    service: &'a mut Service<'n>,
    stack: &'a Stack,
    functions: &'a mut IndexMap<String, Function>,
    issues: &'a mut Issues,
    routes: IndexMap<String, Route>,
    authorizers: IndexMap<String, Authorizer>,
    /// Which function has a route already.
    places: IndexMap<String, String>,
}

impl Routes<'_, '_> {
    fn collect(&mut self) {
        for (key, entry) in self.service.functions.clone() {
            let Some(events) = entry.node.get("events") else { continue };
            let Some(events) = events.as_list() else {
                refuse(events, "a list of events", self.issues);
                continue;
            };
            for event in events {
                self.event(&key, event);
            }
        }
    }

    fn event(&mut self, function: &str, event: &Node) {
        match &event.value {
            Value::Map(map) => {
                for (kind, entry) in map {
                    match kind.as_str() {
                        "websocket" if !entry.node.is_falsy() => self.route(function, &entry.node),
                        known if EVENTS.contains(&known) => {}
                        _ => self.other_event(kind, function, entry.key),
                    }
                }
            }
            Value::Text(kind) => self.other_event(kind, function, event.span),
            Value::Null => {}
            _ => refuse(event, "an event, such as websocket: $connect", self.issues),
        }
    }

    fn other_event(&mut self, kind: &str, function: &str, place: Span) {
        if crate::diagnostic::nearest(kind, EVENTS).is_some() {
            let issue = Issue::error(place, format!("unknown event `{kind}`"));
            self.issues.push(issue.nearest(kind, EVENTS));
        } else {
            self.service.not_served.add(kind, function);
        }
    }

    /// `websocket: key` or `websocket: {route: key, …}`
    fn route(&mut self, function: &str, node: &Node) {
        let route_node = match &node.value {
            Value::Map(_) => {
                check(node, &keys::WEBSOCKET_EVENT, self.issues);
                let Some(route) = node.get("route") else { return };
                route
            }
            _ => node,
        };
        let Some(key) = route_node.scalar_text() else {
            return refuse(route_node, "a route key, such as $connect", self.issues);
        };
        let place = route_node.span;
        rules::check_route_key(&key, place, self.issues);
        if let Some(other) = self.places.get(&key) {
            let message = format!("the route `{key}` is already on the function `{other}`");
            self.issues.push(Issue::error(place, message).expected("each route once"));
            return;
        }
        self.places.insert(key.clone(), function.to_owned());
        self.refuse_image(function, &format!("the route `{key}`"), place);
        let authorizer = node.get("authorizer").filter(|node| !node.is_falsy());
        if let Some(authorizer) = authorizer {
            rules::check_authorizer_route(&key, authorizer.span, self.issues);
        }
        let route = Route {
            integration: Integration::Function { function: function.to_owned() },
            route_response: node.get("routeResponseSelectionExpression").is_some(),
            authorizer: authorizer.and_then(|authorizer| self.authorizer(authorizer)),
        };
        self.routes.insert(key, route);
    }

    /// An authorizer in any of its forms; returns its name.
    fn authorizer(&mut self, node: &Node) -> Option<String> {
        let (name_node, arn_node) = match &node.value {
            Value::Map(map) if !map.keys().any(|key| key == "Ref" || key.starts_with("Fn::")) => {
                check(node, &keys::AUTHORIZER, self.issues);
                (node.get("name"), node.get("arn"))
            }
            Value::Text(text) if node.tag.is_none() => match text.starts_with("arn:") {
                true => (None, Some(node)),
                false => (Some(node), None),
            },
            _ => {
                refuse(node, "a function's name, an ARN, or a table with name or arn", self.issues);
                return None;
            }
        };
        let name = name_node.and_then(Node::scalar_text);
        let (name, function) = match (name, arn_node) {
            (name, Some(arn)) => self.authorizer_by_arn(name, arn)?,
            (Some(name), None) => {
                self.require_function(&name, name_node.unwrap_or(node).span);
                (name.clone(), name)
            }
            (None, None) => {
                let issue = Issue::error(node.span, "an authorizer has neither a name nor an ARN");
                self.issues.push(issue.expected("name: a function of this file, or arn: an ARN"));
                return None;
            }
        };
        let identity_source = self.identity_source(node.get("identitySource"));
        self.authorizers.insert(name.clone(), Authorizer { function, identity_source });
        Some(name)
    }

    fn require_function(&mut self, name: &str, place: Span) {
        let known: Vec<&str> = self.service.functions.keys().map(String::as_str).collect();
        let message = format!("the authorizer `{name}` is not a function of this file");
        rules::check_function_exists(name, &known, message, place, self.issues);
        self.refuse_image(name, &format!("the authorizer `{name}`"), place);
    }

    /// Reports that a function is needed which Fanwire does not run.
    fn refuse_image(&mut self, function: &str, user: &str, place: Span) {
        let described = self.service.functions.get(function);
        let image = described.is_some_and(|entry| entry.node.get("image").is_some());
        if image && !self.functions.contains_key(function) {
            let message = format!("{user} is on a container image, which Fanwire does not run");
            let issue = Issue::error(place, message);
            self.issues.push(issue.help("give the function a handler and a runtime"));
        }
    }

    /// An authorizer that is given by its ARN: a function of this App where the ARN is
    /// one's own, else a function in AWS. Returns its name and the function's key.
    fn authorizer_by_arn(&mut self, name: Option<String>, node: &Node) -> Option<(String, String)> {
        let plain = node.tag.is_none() && node.as_str().is_some();
        if name.is_none() && !plain {
            let issue = Issue::error(node.span, "an authorizer with a computed ARN has no name");
            self.issues.push(issue.expected("`name` beside `arn`"));
        }
        let arn = self.stack.text(node, self.issues)?;
        if !arn.starts_with("arn:") && plain {
            let issue = Issue::error(node.span, format!("`{arn}` is not an ARN"));
            self.issues.push(issue.expected("text that begins with arn:"));
        }
        let name = name.unwrap_or_else(|| targets::last_part(&arn).to_owned());
        let own = self.stack.function_of(&arn);
        let key = own.unwrap_or_else(|| targets::add_remote(&name, &arn, self.functions));
        Some((name, key))
    }

    fn identity_source(&mut self, node: Option<&Node>) -> Vec<IdentitySource> {
        let Some(node) = node else {
            return vec![IdentitySource::Header(DEFAULT_IDENTITY_SOURCE.to_owned())];
        };
        // AJV, which the framework checks with, takes one value for a list of one.
        let items = node.as_list().unwrap_or(std::slice::from_ref(node));
        rules::identity_sources(items, self.issues)
    }
}
