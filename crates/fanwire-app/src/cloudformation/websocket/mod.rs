//! API Gateway's resources, `AWS::ApiGatewayV2::…`, as WebSocket APIs.
//!
//! The parts of an API are resources of their own that refer to each other: a route to its
//! integration and its authorizer, all of them to the API. So the properties of all are
//! made plain first, and [`Parts`] finds by what they are referred to. [`routes`] puts
//! together what a route is, [`integration`] what stands behind it.

mod integration;
mod keys;
mod routes;

use std::collections::HashSet;

use indexmap::IndexMap;

use crate::decode::{Table, check};
use crate::diagnostic::{Issue, Issues};
use crate::model::{
    AccessLog, ConnectRules, ExecutionLogLevel, Function, Limits, LogSettings, Profile,
    WebSocketApi,
};
use crate::node::{Entry, Map, Node};
use crate::not_served::Kinds;
use crate::rules;
use crate::source::Span;

use super::{Stack, type_of};

/// What the types of API Gateway's resources begin with.
const PREFIX: &str = "AWS::ApiGatewayV2::";

/// The stage of an API that is given none.
const DEFAULT_STAGE: &str = "dev";

/// What the APIs are made from, and where functions in AWS are added.
pub(crate) struct Source<'a> {
    pub(crate) resources: &'a Map,
    pub(crate) stack: &'a Stack,
    pub(crate) functions: &'a mut IndexMap<String, Function>,
    pub(crate) not_served: &'a mut Kinds,
    pub(crate) profile: Profile,
}

/// The WebSocket APIs among the resources, one for each that has a stage.
pub(crate) fn build(source: Source<'_>, issues: &mut Issues) -> Vec<WebSocketApi> {
    let Source { resources, stack, functions, not_served, profile } = source;
    let parts = Parts::of(resources, stack);
    let mut apis = Vec::new();
    for api in parts.of_kind("Api") {
        let protocol = api.text("ProtocolType");
        if protocol.as_deref() == Some("HTTP") {
            not_served.add("AWS::ApiGatewayV2::Api (HTTP)", api.id);
            continue;
        }
        let mut builder =
            Builder { api, parts: &parts, stack, functions, not_served, profile, issues };
        apis.extend(builder.build());
    }
    tell_of_strays(&parts, not_served, issues);
    separate(&mut apis);
    apis
}

/// A resource of API Gateway's.
struct Part<'a> {
    /// Its logical id.
    id: &'a str,
    /// What its type ends with, such as `Route`.
    kind: &'a str,
    /// What references to it give.
    reference: &'a str,
    /// The place of its logical id.
    place: Span,
    /// Its properties without functions.
    properties: Node,
}

/// All of them.
struct Parts<'a>(Vec<Part<'a>>);

/// One API that is being built.
struct Builder<'a, 's> {
    api: &'a Part<'a>,
    parts: &'a Parts<'a>,
    stack: &'s Stack,
    functions: &'s mut IndexMap<String, Function>,
    not_served: &'s mut Kinds,
    profile: Profile,
    issues: &'s mut Issues,
}

// === impl Part ===

impl<'a> Part<'a> {
    fn of(id: &'a str, entry: &'a Entry, stack: &'a Stack) -> Option<Self> {
        let kind = type_of(&entry.node).strip_prefix(PREFIX)?;
        let empty = || Node::new(crate::node::Value::Map(Map::new()), entry.key);
        let properties = entry.node.get("Properties");
        Some(Self {
            id,
            kind,
            reference: stack.resources.get(id).map_or(id, |resource| &resource.reference),
            place: entry.key,
            properties: properties.map_or_else(empty, |node| stack.resolved(node)),
        })
    }

    fn get(&self, key: &str) -> Option<&Node> {
        self.properties.get(key)
    }

    fn text(&self, key: &str) -> Option<String> {
        self.get(key).and_then(Node::scalar_text)
    }

    /// Where a property is, or else the resource.
    fn place_of(&self, key: &str) -> Span {
        self.get(key).map_or(self.place, |node| node.span)
    }

    /// Reports what a table does not allow; whether it allows all.
    fn check(&self, table: &'static Table, issues: &mut Issues) -> bool {
        let mut found = Issues::default();
        check(&self.properties, table, &mut found);
        // A resource without properties has no place of its own for what is missing.
        let is_sound = !found.has_errors();
        issues.append(found);
        is_sound
    }
}

// === impl Parts ===

impl<'a> Parts<'a> {
    fn of(resources: &'a Map, stack: &'a Stack) -> Self {
        Self(resources.iter().filter_map(|(id, entry)| Part::of(id, entry, stack)).collect())
    }

    fn of_kind<'s>(&'s self, kind: &'static str) -> impl Iterator<Item = &'s Part<'a>> + 's {
        self.0.iter().filter(move |part| part.kind == kind)
    }

    /// The parts of a kind that belong to an API.
    fn of_api<'s>(
        &'s self,
        api: &'s Part<'a>,
        kind: &'static str,
    ) -> impl Iterator<Item = &'s Part<'a>> + 's {
        self.of_kind(kind).filter(|part| part.text("ApiId").as_deref() == Some(api.reference))
    }
}

// === impl Builder ===

impl<'a> Builder<'a, '_> {
    /// The API, where its properties are sound.
    fn build(&mut self) -> Option<WebSocketApi> {
        if !self.api.check(&keys::API, self.issues) {
            return None;
        }
        let stage = self.stage();
        let stage_variables: IndexMap<String, String> = stage
            .and_then(|stage| stage.get("StageVariables")?.as_map())
            .into_iter()
            .flatten()
            .filter_map(|(name, entry)| Some((name.clone(), entry.node.scalar_text()?)))
            .collect();
        let name = self.stage_name(stage);
        let selection = self.api.get("RouteSelectionExpression");
        let route_selection = rules::route_selection(selection, self.issues);
        let mut limits = Limits::of(self.profile);
        let mut connect = ConnectRules::default();
        let (routes, authorizers) = self.routes(&stage_variables, &mut limits, &mut connect);
        Some(WebSocketApi {
            id: self.api.reference.to_owned(),
            name: self.api.text("Name").unwrap_or_else(|| self.api.id.to_owned()),
            base_path: self.base_path(&name),
            stage: name,
            route_selection,
            routes,
            authorizers,
            stage_variables,
            topics: Vec::new(),
            logs: stage.map(logs).unwrap_or_default(),
            limits,
            connect,
        })
    }

    /// The API's stage; the first one, where it has several.
    fn stage(&mut self) -> Option<&'a Part<'a>> {
        let parts = self.parts;
        let mut stages = parts.of_api(self.api, "Stage");
        let first = stages.next();
        for other in stages {
            self.not_served.add("AWS::ApiGatewayV2::Stage (another of the same API)", other.id);
        }
        first.filter(|stage| stage.check(&keys::STAGE, self.issues))
    }

    fn stage_name(&mut self, stage: Option<&Part<'_>>) -> String {
        const EXPECTED: &str = "letters, digits, hyphens and underscores";
        let parts = self.parts;
        let deployments: Vec<_> = parts.of_api(self.api, "Deployment").collect();
        for deployment in &deployments {
            deployment.check(&keys::DEPLOYMENT, self.issues);
        }
        let of_stage = stage.and_then(|stage| Some((stage.text("StageName")?, stage)));
        let of_deployment =
            || deployments.iter().find_map(|part| Some((part.text("StageName")?, *part)));
        let Some((name, part)) = of_stage.or_else(of_deployment) else {
            let message = format!(
                "the API `{}` has no stage; clients reach it at /{DEFAULT_STAGE} here",
                self.api.id
            );
            let help = "give it an AWS::ApiGatewayV2::Stage, as AWS needs one";
            self.issues.push(Issue::warning(self.api.place, message).help(help));
            return DEFAULT_STAGE.to_owned();
        };
        let valid = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
        if name != "$default" && (name.is_empty() || !name.chars().all(valid)) {
            let issue = Issue::error(
                part.place_of("StageName"),
                format!("`{name}` is not a valid name of a stage"),
            );
            self.issues.push(issue.expected(EXPECTED));
        }
        name
    }

    /// The path by which a custom domain would reach the API.
    fn base_path(&mut self, stage: &str) -> Option<String> {
        let parts = self.parts;
        let mut found = None;
        for mapping in parts.of_api(self.api, "ApiMapping") {
            let is_ours = mapping.check(&keys::API_MAPPING, self.issues)
                && mapping.text("Stage").as_deref() == Some(stage);
            let key = mapping.text("ApiMappingKey").filter(|key| !key.is_empty());
            match key.filter(|_| is_ours) {
                Some(key) if !is_segment(&key) || found.is_some() => {
                    self.not_served.add("AWS::ApiGatewayV2::ApiMapping", mapping.id);
                }
                Some(key) => found = Some(key),
                // The root of a domain, or another stage.
                None => {}
            }
        }
        found
    }
}

/// Whether a mapping key is one segment of a path.
fn is_segment(key: &str) -> bool {
    key.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'))
        && !key.chars().all(|c| c == '.')
}

/// `AccessLogSettings` and `DefaultRouteSettings`.
fn logs(stage: &Part<'_>) -> LogSettings {
    let at = |path: &[&str]| stage.properties.at(path);
    let format = at(&["AccessLogSettings", "Format"]).and_then(Node::scalar_text);
    let level = at(&["DefaultRouteSettings", "LoggingLevel"]).and_then(Node::scalar_text);
    let trace = at(&["DefaultRouteSettings", "DataTraceEnabled"]).and_then(Node::boolean);
    LogSettings {
        // A block of YAML ends with a line break, of which each line has one already.
        access: format.map(|format| AccessLog { format: format.trim_end().to_owned(), file: None }),
        execution: match level.as_deref() {
            Some("INFO") => ExecutionLogLevel::Info,
            Some("ERROR") => ExecutionLogLevel::Error,
            _ => ExecutionLogLevel::Off,
        },
        full_execution_data: trace.unwrap_or(false),
    }
}

/// Tells of routes of APIs that are elsewhere.
fn tell_of_strays(parts: &Parts<'_>, not_served: &mut Kinds, issues: &mut Issues) {
    let known: HashSet<&str> = parts.of_kind("Api").map(|api| api.reference).collect();
    for route in parts.of_kind("Route") {
        match route.get("ApiId") {
            Some(node) if node.scalar_text().is_some_and(|id| known.contains(id.as_str())) => {}
            Some(node) if node.scalar_text().is_some() => {
                not_served
                    .add("AWS::ApiGatewayV2::Route (of an API that is not in this file)", route.id);
            }
            _ => drop(route.check(&keys::ROUTE, issues)),
        }
    }
}

/// Gives APIs what tells them apart here, where one server has them all: on AWS each has a
/// host of its own.
fn separate(apis: &mut [WebSocketApi]) {
    let mut names: HashSet<String> = HashSet::new();
    let mut segments: HashSet<String> = HashSet::new();
    for api in apis {
        if !names.insert(api.name.clone()) {
            api.name = format!("{}-{}", api.name, api.id);
            names.insert(api.name.clone());
        }
        if !segments.insert(api.stage.clone()) && api.base_path.is_none() {
            api.base_path = Some(api.name.replace(|c: char| !c.is_ascii_alphanumeric(), "-"));
        }
        segments.extend(api.base_path.clone());
    }
}
