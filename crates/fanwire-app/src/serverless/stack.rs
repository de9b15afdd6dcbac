//! The CloudFormation stack that the framework would generate, as far as references
//! in the file look into it.

use indexmap::IndexMap;

use crate::aws_id::{derived_api_id, partition};
use crate::cloudformation::{Resource, Stack};
use crate::decode::refuse;
use crate::diagnostic::Issues;
use crate::node::{Map, Node, Value};

use super::{Service, functions, merged, realtime};

/// The logical id of the WebSocket API.
pub(super) const WEBSOCKETS_API: &str = "WebsocketsApi";

/// Resource types without anything to serve: permissions, capacity, and logs that
/// Fanwire writes itself.
const SILENT_TYPES: [&str; 6] = [
    "AWS::ApplicationAutoScaling::",
    "AWS::IAM::",
    "AWS::Logs::",
    "AWS::Lambda::Permission",
    "AWS::ApiGatewayV2::",
    "AWS::CloudWatch::",
];

/// Properties that hold a resource's name, by type.
const NAME_PROPERTIES: [&str; 14] = [
    "TableName",
    "QueueName",
    "TopicName",
    "BucketName",
    "FunctionName",
    "RoleName",
    "LogGroupName",
    "StateMachineName",
    "DeliveryStreamName",
    "UserPoolName",
    "ClusterName",
    "RuleName",
    "AuthorizerName",
    "Name",
];

/// Models the stack, and lists the declared resources that are not served.
pub(super) fn build(service: &mut Service<'_>, declared: &Map) -> Stack {
    let mut stack = Stack { parameters: pseudo_parameters(service), ..Stack::default() };
    generated(service, &mut stack.resources);
    declared_parameters(service, &mut stack.parameters);
    for (id, entry) in declared {
        let kind = type_of(&entry.node);
        let silent = SILENT_TYPES.iter().any(|silent| kind.starts_with(silent));
        if !silent && !is_table(&entry.node) && !realtime::is_part(kind) {
            service.not_served.add(kind, id);
        }
        // An override of a generated resource stays what it is.
        if !stack.resources.contains_key(id) {
            let name = default_name(service, kind, id);
            stack.resources.insert(id.clone(), resource(service, kind, &name));
        }
    }
    // Names may refer to other resources and to parameters, so they come second.
    // Faults in them are of no interest: the default name stands in.
    for (id, entry) in declared {
        let properties = entry.node.get("Properties");
        let name = NAME_PROPERTIES.iter().find_map(|key| properties?.get(key));
        if let Some(name) = name.and_then(|name| stack.text(name, &mut Issues::default()))
            && !is_generated(id, service)
        {
            let kind = type_of(&entry.node);
            stack.resources.insert(id.clone(), resource(service, kind, &name));
        }
    }
    stack
}

/// The name of a resource that is given none.
fn default_name(service: &Service<'_>, kind: &str, id: &str) -> String {
    let name = format!("{}-{}-{id}", service.name, service.stage);
    // Rules are named with letters, digits and underscores.
    if kind == "AWS::IoT::TopicRule" { name.replace('-', "_") } else { name }
}

/// A resource's type.
pub(super) fn type_of(node: &Node) -> &str {
    node.get("Type").and_then(Node::as_str).unwrap_or("a resource without a Type")
}

/// Whether a resource is a DynamoDB table.
pub(super) fn is_table(node: &Node) -> bool {
    matches!(type_of(node), "AWS::DynamoDB::Table" | "AWS::DynamoDB::GlobalTable")
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
fn declared_parameters(service: &Service<'_>, parameters: &mut IndexMap<String, String>) {
    // Faults in them are of no interest: a parameter that is needed is missed later.
    for (name, entry) in section(service, "Parameters", &mut Issues::default()) {
        if let Some(default) = entry.node.get("Default").and_then(Node::scalar_text) {
            parameters.insert(name, default);
        }
    }
    let given = service.tree.at(&["provider", "stackParameters"]).and_then(Node::as_list);
    for parameter in given.unwrap_or_default() {
        let text = |key: &str| parameter.get(key).and_then(Node::scalar_text);
        if let (Some(name), Some(value)) = (text("ParameterKey"), text("ParameterValue")) {
            parameters.insert(name, value);
        }
    }
}

fn pseudo_parameters(service: &Service<'_>) -> IndexMap<String, String> {
    let Service { name, stage, region, account_id, .. } = service;
    let (partition, suffix) = partition(region);
    let stack = format!("{name}-{stage}");
    let stack_id =
        format!("arn:{partition}:cloudformation:{region}:{account_id}:stack/{stack}/local");
    [
        ("AWS::Region", region.as_str()),
        ("AWS::AccountId", account_id),
        ("AWS::Partition", partition),
        ("AWS::URLSuffix", suffix),
        ("AWS::StackName", &stack),
        ("AWS::StackId", &stack_id),
    ]
    .into_iter()
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .collect()
}

/// What the framework itself adds to the stack.
fn generated(service: &Service<'_>, resources: &mut IndexMap<String, Resource>) {
    let Service { name, stage, .. } = service;
    let api_id = external_api_id(service)
        .unwrap_or_else(|| derived_api_id(name, stage, &super::websocket::api_name(service)));
    let api = resource(service, "AWS::ApiGatewayV2::Api", &api_id);
    resources.insert(WEBSOCKETS_API.to_owned(), api);
    for (id, kind, value) in [
        ("WebsocketsDeploymentStage", "AWS::ApiGatewayV2::Stage", stage.clone()),
        ("IamRoleLambdaExecution", "AWS::IAM::Role", format!("{name}-{stage}-lambdaRole")),
        ("ServerlessDeploymentBucket", "AWS::S3::Bucket", format!("{name}-{stage}-deployment")),
        ("ApiGatewayRestApi", "AWS::ApiGateway::RestApi", derived_api_id(name, stage, "rest")),
        ("HttpApi", "AWS::ApiGatewayV2::Api", derived_api_id(name, stage, "http")),
    ] {
        resources.insert(id.to_owned(), resource(service, kind, &value));
    }
    for (key, entry) in &service.functions {
        let function = functions::full_name(service, key, &entry.node);
        let id = normalized(key);
        let lambda = resource(service, "AWS::Lambda::Function", &function);
        resources.insert(format!("{id}LambdaFunction"), lambda);
        let log_group =
            resource(service, "AWS::Logs::LogGroup", &format!("/aws/lambda/{function}"));
        resources.insert(format!("{id}LogGroup"), log_group);
    }
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

/// What references to a resource give: the forms that AWS documents for the common
/// types, and the name for others.
fn resource(service: &Service<'_>, kind: &str, name: &str) -> Resource {
    let Service { region, account_id, .. } = service;
    let (partition, suffix) = partition(region);
    let arn = |product: &str, path: &str| {
        format!("arn:{partition}:{product}:{region}:{account_id}:{path}")
    };
    let (reference, arn) = match kind {
        "AWS::DynamoDB::Table" | "AWS::DynamoDB::GlobalTable" => {
            (name.to_owned(), arn("dynamodb", &format!("table/{name}")))
        }
        "AWS::Lambda::Function" => (name.to_owned(), arn("lambda", &format!("function:{name}"))),
        "AWS::SQS::Queue" => {
            let url = format!("https://sqs.{region}.{suffix}/{account_id}/{name}");
            (url, arn("sqs", name))
        }
        "AWS::SNS::Topic" => (arn("sns", name), arn("sns", name)),
        "AWS::S3::Bucket" => (name.to_owned(), format!("arn:{partition}:s3:::{name}")),
        "AWS::IAM::Role" => {
            (name.to_owned(), format!("arn:{partition}:iam::{account_id}:role/{name}"))
        }
        "AWS::Logs::LogGroup" => (name.to_owned(), arn("logs", &format!("log-group:{name}:*"))),
        "AWS::IoT::TopicRule" => (name.to_owned(), arn("iot", &format!("rule/{name}"))),
        "AWS::IoT::Authorizer" => (name.to_owned(), arn("iot", &format!("authorizer/{name}"))),
        other => {
            let product = other.split("::").nth(1).unwrap_or("unknown").to_lowercase();
            (name.to_owned(), arn(&product, name))
        }
    };
    let mut attributes = IndexMap::from([("Arn".to_owned(), arn.clone())]);
    let mut add = |key: &str, value: String| drop(attributes.insert(key.to_owned(), value));
    match kind {
        "AWS::DynamoDB::Table" | "AWS::DynamoDB::GlobalTable" => {
            add("StreamArn", format!("{arn}/stream/1970-01-01T00:00:00.000"));
        }
        "AWS::SQS::Queue" => {
            add("QueueName", name.to_owned());
            add("QueueUrl", reference.clone());
        }
        "AWS::SNS::Topic" => {
            add("TopicName", name.to_owned());
            add("TopicArn", arn);
        }
        "AWS::ApiGatewayV2::Api" => {
            add("ApiId", name.to_owned());
            add("ApiEndpoint", format!("wss://{name}.execute-api.{region}.{suffix}"));
        }
        _ => {}
    }
    Resource { reference, attributes }
}
