//! SAM's own types as CloudFormation's: what the transform `AWS::Serverless-2016-10-31`
//! makes of them (reference: SAM's developer guide, "Generated CloudFormation resources").
//! Functions keep their type, because where their code is only SAM's can say.

use crate::cloudformation::{Location, Stack, is_function, type_of};
use crate::decode::{check, refuse};
use crate::diagnostic::Issues;
use crate::node::{Entry, Map, Node, Value};
use crate::not_served::Kinds;
use crate::source::Span;

use super::keys;

/// SAM's types, and the section of `Globals` that holds for each.
const GLOBALS: [(&str, &str); 3] = [
    ("AWS::Serverless::Function", "Function"),
    ("AWS::Serverless::WebSocketApi", "WebSocketApi"),
    ("AWS::Serverless::SimpleTable", "SimpleTable"),
];

/// The stage of an `AWS::Serverless::WebSocketApi` that is given none.
const DEFAULT_STAGE: &str = "default";

/// The resources of the template, in CloudFormation's types.
pub(super) fn resources(
    root: &Node,
    declared: &Map,
    not_served: &mut Kinds,
    issues: &mut Issues,
) -> Map {
    let mut expansion = Expansion { resources: Map::new(), not_served, issues };
    for (id, entry) in declared {
        let mut entry = entry.clone();
        let globals = GLOBALS.iter().find(|(kind, _)| *kind == type_of(&entry.node));
        if let Some(globals) = globals.and_then(|(_, name)| root.at(&["Globals", name])) {
            add_globals(&mut entry, globals);
        }
        match type_of(&entry.node) {
            "AWS::Serverless::SimpleTable" => expansion.simple_table(id, &entry),
            "AWS::Serverless::WebSocketApi" => expansion.websocket_api(id, &entry),
            "AWS::Serverless::Function" => {
                expansion.events(id, &entry);
                expansion.resources.insert(id.clone(), entry);
            }
            _ => drop(expansion.resources.insert(id.clone(), entry)),
        }
    }
    expansion.resources
}

/// What SAM adds to every stack, by logical id and type.
pub(super) fn implicit(resources: &Map) -> Vec<(String, &'static str)> {
    let apis = [
        ("ServerlessRestApi", "AWS::Serverless::Api"),
        ("ServerlessHttpApi", "AWS::Serverless::HttpApi"),
    ];
    let functions =
        resources.iter().filter(|(_, entry)| type_of(&entry.node) == "AWS::Serverless::Function");
    let roles = functions.map(|(id, _)| (format!("{id}Role"), "AWS::IAM::Role"));
    let apis = apis.map(|(id, kind)| (id.to_owned(), kind));
    roles.chain(apis).filter(|(id, _)| !resources.contains_key(id)).collect()
}

/// The aliases and versions of functions that are published, as references see them:
/// `Ref: Name.Alias`, and the stages of APIs.
pub(super) fn add_aliases(resources: &Map, location: &Location<'_>, stack: &mut Stack) {
    for (id, entry) in resources {
        let properties = entry.node.get("Properties");
        let alias = properties.and_then(|properties| properties.get("AutoPublishAlias"));
        let Some(alias) = alias.and_then(|alias| stack.text(alias, &mut Issues::default())) else {
            continue;
        };
        let Some(name) = stack.resources.get(id).map(|function| function.reference.clone()) else {
            continue;
        };
        for (suffix, qualifier) in [("Alias", alias.as_str()), ("Version", "1")] {
            let full = format!("{name}:{qualifier}");
            let mut published = location.resource("AWS::Lambda::Function", &full);
            published.reference = published.attributes.get("Arn").cloned().unwrap_or(full);
            if let Some(function) = stack.resources.get_mut(id) {
                function.attributes.insert(suffix.to_owned(), published.reference.clone());
            }
            stack.resources.insert(format!("{id}.{suffix}"), published.clone());
            if suffix == "Alias" {
                stack.resources.insert(format!("{id}Alias{alias}"), published);
            }
        }
    }
}

/// Puts `Globals` under the properties of a resource, as SAM does: a resource's own value
/// wins, tables are put together, and lists one after the other.
fn add_globals(entry: &mut Entry, globals: &Node) {
    let Value::Map(resource) = &mut entry.node.value else { return };
    let place = entry.key;
    let properties = resource
        .entry("Properties".to_owned())
        .or_insert_with(|| Entry { key: place, node: Node::new(Value::Map(Map::new()), place) });
    properties.node = merged(globals, &properties.node);
}

fn merged(global: &Node, own: &Node) -> Node {
    if is_function(global) || is_function(own) {
        return own.clone();
    }
    match (&global.value, &own.value) {
        (Value::Map(global), Value::Map(map)) => {
            let mut all = global.clone();
            for (key, entry) in map {
                let node = match global.get(key) {
                    Some(inherited) => merged(&inherited.node, &entry.node),
                    None => entry.node.clone(),
                };
                all.insert(key.clone(), Entry { key: entry.key, node });
            }
            Node { value: Value::Map(all), ..own.clone() }
        }
        (Value::List(global), Value::List(list)) => {
            let items = global.iter().chain(list).cloned().collect();
            Node { value: Value::List(items), ..own.clone() }
        }
        (_, Value::Null) => global.clone(),
        _ => own.clone(),
    }
}

struct Expansion<'a> {
    resources: Map,
    not_served: &'a mut Kinds,
    issues: &'a mut Issues,
}

impl Expansion<'_> {
    /// Adds a resource in the place of one of SAM's.
    fn add(&mut self, id: &str, kind: &str, properties: Node) {
        let place = properties.span;
        let resource = table(&[("Type", text(kind, place)), ("Properties", properties)], place);
        self.resources.insert(id.to_owned(), Entry { key: place, node: resource });
    }

    fn simple_table(&mut self, id: &str, entry: &Entry) {
        let place = entry.key;
        let empty = Node::new(Value::Map(Map::new()), place);
        let properties = entry.node.get("Properties").unwrap_or(&empty);
        check(properties, &keys::SIMPLE_TABLE, self.issues);
        let key = properties.get("PrimaryKey");
        let part = |name: &str| key.and_then(|key| key.get(name)).cloned();
        let name = part("Name").unwrap_or_else(|| text("id", place));
        let kind = part("Type").unwrap_or_else(|| text("String", place));
        let kind = match kind.as_str() {
            Some("Number") => text("N", kind.span),
            Some("Binary") => text("B", kind.span),
            Some("String") => text("S", kind.span),
            _ => {
                refuse(&kind, "one of String, Number, Binary", self.issues);
                text("S", kind.span)
            }
        };
        let definition = table(&[("AttributeName", name.clone()), ("AttributeType", kind)], place);
        let schema = table(&[("AttributeName", name), ("KeyType", text("HASH", place))], place);
        let mut described = vec![
            ("AttributeDefinitions", list(vec![definition], place)),
            ("KeySchema", list(vec![schema], place)),
        ];
        described.extend(properties.get("TableName").map(|name| ("TableName", name.clone())));
        self.add(id, "AWS::DynamoDB::Table", table(&described, place));
    }

    /// The events of a function: topic rules are resources, others are not served.
    fn events(&mut self, id: &str, entry: &Entry) {
        let events = entry.node.at(&["Properties", "Events"]).and_then(Node::as_map);
        for (name, event) in events.into_iter().flatten() {
            let kind = event.node.get("Type").and_then(Node::as_str).unwrap_or("an event");
            if kind != "IoTRule" {
                self.not_served.add(kind, id);
                continue;
            }
            let place = event.key;
            let property = |name: &str| event.node.at(&["Properties", name]).cloned();
            let function = table(
                &[("Fn::GetAtt", list(vec![text(id, place), text("Arn", place)], place))],
                place,
            );
            let action = table(&[("Lambda", table(&[("FunctionArn", function)], place))], place);
            let mut payload = vec![("Actions", list(vec![action], place))];
            payload.extend(property("Sql").map(|sql| ("Sql", sql)));
            payload.extend(property("AwsIotSqlVersion").map(|it| ("AwsIotSqlVersion", it)));
            let rule = table(&[("TopicRulePayload", table(&payload, place))], place);
            self.add(&format!("{id}{name}"), "AWS::IoT::TopicRule", rule);
        }
        let has_url = entry.node.at(&["Properties", "FunctionUrlConfig"]).is_some();
        if has_url {
            self.not_served.add("FunctionUrlConfig", id);
        }
    }

    fn websocket_api(&mut self, id: &str, entry: &Entry) {
        let place = entry.key;
        let Some(properties) = entry.node.get("Properties") else {
            check(&table(&[], place), &keys::WEBSOCKET_API, self.issues);
            return;
        };
        check(properties, &keys::WEBSOCKET_API, self.issues);
        let given = |names: &[&'static str]| -> Vec<(&'static str, Node)> {
            names.iter().filter_map(|name| Some((*name, properties.get(name)?.clone()))).collect()
        };
        let mut api = given(&["Name", "RouteSelectionExpression"]);
        api.push(("ProtocolType", text("WEBSOCKET", place)));
        self.add(id, "AWS::ApiGatewayV2::Api", table(&api, place));
        let stage_name =
            properties.get("StageName").cloned().unwrap_or_else(|| text(DEFAULT_STAGE, place));
        let mut stage = given(&["StageVariables", "AccessLogSettings", "DefaultRouteSettings"]);
        stage.extend([("ApiId", reference(id, place)), ("StageName", stage_name.clone())]);
        let known_name = stage_name.as_str().filter(|_| stage_name.tag.is_none());
        let stage_id = format!("{id}{}Stage", known_name.unwrap_or_default());
        self.add(&stage_id, "AWS::ApiGatewayV2::Stage", table(&stage, place));
        self.domain(id, properties, &stage_name);
        let authorization = self.authorization(id, properties);
        let Some(routes) = properties.get("Routes") else { return };
        let Some(routes) = routes.as_map().filter(|_| routes.tag.is_none()) else {
            return refuse(routes, "a table of routes", self.issues);
        };
        for (key, route) in routes {
            let authorization = if key == "$connect" { authorization.as_slice() } else { &[] };
            self.route(id, key, route, authorization);
        }
    }

    /// What `$connect` says of its authorizer, which is added.
    fn authorization(&mut self, id: &str, properties: &Node) -> Vec<(&'static str, Node)> {
        let Some(auth) = properties.get("Auth") else { return Vec::new() };
        let place = auth.span;
        let kind = auth.get("AuthType").cloned();
        let is_custom = kind.as_ref().is_none_or(|kind| kind.as_str() == Some("CUSTOM"));
        let Some(arn) = auth.get("AuthArn").filter(|_| is_custom) else {
            return kind.into_iter().map(|kind| ("AuthorizationType", kind)).collect();
        };
        let authorizer = format!("{id}Authorizer");
        let mut described = vec![
            ("ApiId", reference(id, place)),
            ("AuthorizerType", text("REQUEST", place)),
            ("AuthorizerUri", arn.clone()),
        ];
        let given = |name: &'static str| Some((name, auth.get(name)?.clone()));
        described.extend(["IdentitySource", "Name"].into_iter().filter_map(given));
        self.add(&authorizer, "AWS::ApiGatewayV2::Authorizer", table(&described, place));
        vec![
            ("AuthorizationType", text("CUSTOM", place)),
            ("AuthorizerId", reference(&authorizer, place)),
        ]
    }

    fn route(
        &mut self,
        id: &str,
        key: &str,
        route: &Entry,
        authorization: &[(&'static str, Node)],
    ) {
        let place = route.key;
        let node = &route.node;
        check(node, &keys::WEBSOCKET_ROUTE, self.issues);
        let given = |name: &str, as_name: &'static str| Some((as_name, node.get(name)?.clone()));
        let plain = key.replace(|c: char| !c.is_ascii_alphanumeric(), "");
        let (route_id, integration_id) =
            (format!("{id}{plain}Route"), format!("{id}{plain}Integration"));
        let mut integration =
            vec![("ApiId", reference(id, place)), ("IntegrationType", text("AWS_PROXY", place))];
        integration.extend(given("FunctionArn", "IntegrationUri"));
        integration.extend(given("IntegrationTimeout", "TimeoutInMillis"));
        self.add(&integration_id, "AWS::ApiGatewayV2::Integration", table(&integration, place));
        let mut described = vec![
            ("ApiId", reference(id, place)),
            ("RouteKey", text(key, place)),
            ("Target", reference(&integration_id, place)),
        ];
        described.extend_from_slice(authorization);
        described.extend(given("ApiKeyRequired", "ApiKeyRequired"));
        let expression = "RouteResponseSelectionExpression";
        described.extend(given(expression, expression));
        self.add(&route_id, "AWS::ApiGatewayV2::Route", table(&described, place));
        if node.get(expression).is_some() {
            let response = [
                ("ApiId", reference(id, place)),
                ("RouteId", reference(&route_id, place)),
                ("RouteResponseKey", text("$default", place)),
            ];
            let kind = "AWS::ApiGatewayV2::RouteResponse";
            self.add(&format!("{route_id}Response"), kind, table(&response, place));
        }
    }

    /// The paths of a custom domain.
    fn domain(&mut self, id: &str, properties: &Node, stage: &Node) {
        let paths = properties.at(&["Domain", "BasePath"]);
        let paths = paths.map(|node| node.as_list().unwrap_or(std::slice::from_ref(node)));
        for (at, path) in paths.unwrap_or_default().iter().enumerate() {
            let key = match path.as_str() {
                Some(text) => {
                    Node { value: Value::Text(text.trim_matches('/').to_owned()), ..path.clone() }
                }
                None => path.clone(),
            };
            let mapping = [
                ("ApiId", reference(id, path.span)),
                ("ApiMappingKey", key),
                ("Stage", stage.clone()),
            ];
            let kind = "AWS::ApiGatewayV2::ApiMapping";
            self.add(&format!("{id}{at}ApiMapping"), kind, table(&mapping, path.span));
        }
    }
}

fn text(text: &str, place: Span) -> Node {
    Node::new(Value::Text(text.to_owned()), place)
}

fn list(items: Vec<Node>, place: Span) -> Node {
    Node::new(Value::List(items), place)
}

fn table(entries: &[(&str, Node)], place: Span) -> Node {
    let entries = entries.iter();
    let entries = entries
        .map(|(key, node)| ((*key).to_owned(), Entry { key: node.span, node: node.clone() }));
    Node::new(Value::Map(entries.collect()), place)
}

/// `Ref: id`
fn reference(id: &str, place: Span) -> Node {
    table(&[("Ref", text(id, place))], place)
}
