//! The CloudFormation stack that the framework would generate, as far as references
//! in the file look into it.

use indexmap::IndexMap;

use crate::aws_id::derived_api_id;
use crate::cloudformation::{
    Location, Parameter, Stack, evaluate_conditions, is_silent, is_table, realtime, type_of,
};
use crate::decode::refuse;
use crate::diagnostic::Issues;
use crate::node::{Map, Node, Value};

use super::{Service, functions, merged};

/// The logical id of the WebSocket API.
pub(super) const WEBSOCKETS_API: &str = "WebsocketsApi";

/// That of its route `$connect`.
pub(super) const CONNECT_ROUTE: &str = "SconnectWebsocketsRoute";

/// Models the stack, and lists the declared resources that are not served.
pub(super) fn build(service: &mut Service<'_>, declared: &Map) -> Stack {
    let prefix = format!("{}-{}", service.name, service.stage);
    let mut stack = Stack { region: service.region.clone(), ..Stack::default() };
    {
        let location = service.location(&prefix);
        let pseudo = location.pseudo_parameters(&prefix);
        stack.parameters.extend(pseudo.into_iter().map(|(name, value)| (name, value.into())));
        declared_parameters(service, &mut stack.parameters);
        stack.mappings = section(service, "Mappings", &mut Issues::default());
        let conditions = section(service, "Conditions", &mut Issues::default());
        stack.conditions = evaluate_conditions(&conditions, &stack);
        generated(service, &location, &mut stack);
        location.declare(declared, &mut stack, |id| is_generated(id, service));
    }
    for (id, entry) in &stack.existing(declared) {
        let kind = type_of(&entry.node);
        if id != CONNECT_ROUTE
            && !is_silent(kind)
            && !is_table(&entry.node)
            && !realtime::is_part(kind)
        {
            service.not_served.add(kind, id);
        }
    }
    for id in extensions(service, &mut Issues::default()).keys() {
        if id != CONNECT_ROUTE {
            service.not_served.add("resources.extensions", id);
        }
    }
    stack
}

/// What the file changes of resources that the framework generates, by their logical ids.
pub(super) fn extensions(service: &Service<'_>, issues: &mut Issues) -> Map {
    section(service, "extensions", issues)
}

/// The resources that the file declares, by logical id. Where a part of them cannot be
/// read the App runs without it, and a warning says so: a table may be missing.
pub(super) fn resources(service: &Service<'_>, issues: &mut Issues) -> Map {
    let mut faults = Issues::default();
    let declared = section(service, "Resources", &mut faults);
    for entry in declared.values() {
        if entry.node.as_map().is_none() && entry.node.value != Value::Null {
            refuse(&entry.node, "a resource", &mut faults);
        }
    }
    issues.take_as_warnings(faults, "; what it declares does not exist here");
    declared
}

/// A section of `resources`, such as `Resources`; `resources` may be a list of tables.
fn section(service: &Service<'_>, name: &str, issues: &mut Issues) -> Map {
    let node = service.tree.get("resources");
    // A variable in the place of the whole section is an error already.
    let node = node.filter(|node| !matches!(node.value, Value::Unresolved(_)));
    let Some(node) = node else { return Map::new() };
    let all = merged(node, "a table of resources", issues);
    all.get(name).map_or_else(Map::new, |entry| merged(&entry.node, "a table of resources", issues))
}

/// The template's own parameters that have a value: `provider.stackParameters`, else
/// their default.
fn declared_parameters(service: &Service<'_>, parameters: &mut IndexMap<String, Parameter>) {
    // Faults in them are of no interest: a parameter that is needed is missed later.
    for (name, entry) in section(service, "Parameters", &mut Issues::default()) {
        if let Some(default) = entry.node.get("Default").and_then(Node::scalar_text) {
            parameters.insert(name, default.into());
        }
    }
    let given = service.tree.at(&["provider", "stackParameters"]).and_then(Node::as_list);
    for parameter in given.unwrap_or_default() {
        let text = |key: &str| parameter.get(key).and_then(Node::scalar_text);
        if let (Some(name), Some(value)) = (text("ParameterKey"), text("ParameterValue")) {
            parameters.insert(name, value.into());
        }
    }
}

/// What the framework itself adds to the stack.
fn generated(service: &Service<'_>, location: &Location<'_>, stack: &mut Stack) {
    let Service { name, stage, .. } = service;
    let api_id = external_api_id(service)
        .unwrap_or_else(|| derived_api_id(name, stage, &super::websocket::api_name(service)));
    let mut add = |id: &str, kind: &str, value: &str| {
        stack.resources.insert(id.to_owned(), location.resource(kind, value));
    };
    add(WEBSOCKETS_API, "AWS::ApiGatewayV2::Api", &api_id);
    for (id, kind, value) in [
        ("WebsocketsDeploymentStage", "AWS::ApiGatewayV2::Stage", stage.clone()),
        ("IamRoleLambdaExecution", "AWS::IAM::Role", format!("{name}-{stage}-lambdaRole")),
        ("ServerlessDeploymentBucket", "AWS::S3::Bucket", format!("{name}-{stage}-deployment")),
        ("ApiGatewayRestApi", "AWS::ApiGateway::RestApi", derived_api_id(name, stage, "rest")),
        ("HttpApi", "AWS::ApiGatewayV2::Api", derived_api_id(name, stage, "http")),
    ] {
        add(id, kind, &value);
    }
    for (key, entry) in &service.functions {
        let function = functions::full_name(service, key, &entry.node);
        let id = normalized(key);
        add(&format!("{id}LambdaFunction"), "AWS::Lambda::Function", &function);
        add(&format!("{id}LogGroup"), "AWS::Logs::LogGroup", &format!("/aws/lambda/{function}"));
    }
    let keys = service.functions.keys();
    let logical = keys.map(|key| (format!("{}LambdaFunction", normalized(key)), key.clone()));
    stack.functions.extend(logical);
}

fn is_generated(id: &str, service: &Service<'_>) -> bool {
    id == WEBSOCKETS_API
        || service.functions.keys().any(|key| id == format!("{}LambdaFunction", normalized(key)))
}

/// `provider.apiGateway.websocketApiId`, where it is an id and not a reference.
pub(super) fn external_api_id(service: &Service<'_>) -> Option<String> {
    let node = service.tree.at(&["provider", "apiGateway", "websocketApiId"])?;
    let id = node.scalar_text().filter(|_| node.tag.is_none())?;
    let plain = id.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
    (plain && !id.is_empty()).then_some(id)
}

/// A function's key as logical ids begin with it: `my-fn_1` is `MyDashfnUnderscore1`.
pub(super) fn normalized(key: &str) -> String {
    let key = key.replace('-', "Dash").replace('_', "Underscore");
    let mut letters = key.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}
