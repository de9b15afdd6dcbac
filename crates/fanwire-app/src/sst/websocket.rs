//! `sst.aws.ApiGatewayWebSocket`: its routes and authorizers.

use indexmap::IndexMap;

use crate::aws_id::derived_api_id;
use crate::diagnostic::Issue;
use crate::model::{Authorizer, Integration, Limits, LogSettings, Profile, Route, WebSocketApi};
use crate::node::{Node, Value};
use crate::reading::Reading;
use crate::rules;
use crate::source::Span;

use super::description::{self, AppFacts, texts};
use super::functions::Names;
use super::places::Places;

/// Builds the APIs.
pub(super) fn build(
    described: &[description::WebSocket],
    facts: &AppFacts,
    functions: &Names,
    profile: Profile,
    places: &mut Places,
    reading: &mut Reading<'_>,
) -> Vec<WebSocketApi> {
    let mut apis = Vec::new();
    for each in described {
        let span = places.span(each.place.as_ref(), reading);
        let selection = text(&each.api.route_selection_expression, span);
        let stage = each.stage.name.clone();
        apis.push(WebSocketApi {
            connect: crate::model::ConnectRules::default(),
            id: derived_api_id(&facts.name, &stage, &each.name),
            name: each.api.name.clone(),
            base_path: (each.path != stage).then(|| each.path.clone()),
            stage,
            route_selection: rules::route_selection(Some(&selection), &mut reading.issues),
            routes: routes(each, functions, places, reading),
            authorizers: authorizers(each, functions, places, reading),
            stage_variables: texts(&each.stage.stage_variables),
            topics: Vec::new(),
            logs: LogSettings::default(),
            limits: Limits::of(profile),
        });
    }
    apis
}

fn routes(
    api: &description::WebSocket,
    functions: &Names,
    places: &mut Places,
    reading: &mut Reading<'_>,
) -> IndexMap<String, Route> {
    let mut routes = IndexMap::new();
    for each in &api.routes {
        let span = places.span(each.place.as_ref(), reading);
        let issues = &mut reading.issues;
        rules::check_route_key(&each.key, span, issues);
        if routes.contains_key(&each.key) {
            let message = format!("the API `{}` has two routes `{}`", api.name, each.key);
            issues.push(Issue::error(span, message).expected("one handler for each route"));
        }
        if let Some(name) = &each.auth {
            rules::check_authorizer_route(&each.key, span, issues);
            let known: Vec<&str> = api.authorizers.iter().map(|it| it.name.as_str()).collect();
            let message = format!("`{name}` is not an authorizer of the API `{}`", api.name);
            rules::check_name_exists("authorizer", name, &known, message, span, issues);
        }
        let function = functions.key(&each.handler);
        let route = Route {
            integration: Integration::Function { function },
            // SST declares no route responses.
            route_response: false,
            authorizer: each.auth.clone(),
        };
        routes.insert(each.key.clone(), route);
    }
    routes
}

fn authorizers(
    api: &description::WebSocket,
    functions: &Names,
    places: &mut Places,
    reading: &mut Reading<'_>,
) -> IndexMap<String, Authorizer> {
    let mut authorizers = IndexMap::new();
    for each in &api.authorizers {
        let span = places.span(each.place.as_ref(), reading);
        let sources: Vec<Node> = each.identity_sources.iter().map(|it| text(it, span)).collect();
        let identity_source = rules::identity_sources(&sources, &mut reading.issues);
        let function = functions.key(&each.handler);
        authorizers.insert(each.name.clone(), Authorizer { function, identity_source });
    }
    authorizers
}

fn text(text: &str, span: Span) -> Node {
    Node::new(Value::Text(text.to_owned()), span)
}
