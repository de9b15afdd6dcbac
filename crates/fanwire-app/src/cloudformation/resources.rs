//! Resources as references see them: names, ARNs, URLs and ids in the forms that AWS
//! gives them.

use indexmap::IndexMap;

use crate::aws_id::{derived_api_id, partition};
use crate::diagnostic::Issues;
use crate::node::{Map, Node};

use super::{Resource, Stack};

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
const NAME_PROPERTIES: [&str; 15] = [
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
    "StageName",
    "Name",
];

/// Types that are referred to by an id, whatever their name is.
const BY_ID: [&str; 6] = [
    "AWS::ApiGatewayV2::Api",
    "AWS::ApiGatewayV2::Authorizer",
    "AWS::ApiGateway::RestApi",
    "AWS::Serverless::Api",
    "AWS::Serverless::HttpApi",
    "AWS::Serverless::WebSocketApi",
];

/// Where a stack is, and what the names of its resources begin with.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Location<'a> {
    pub(crate) region: &'a str,
    pub(crate) account_id: &'a str,
    /// What AWS would put before the logical id of a resource that is given no name.
    pub(crate) prefix: &'a str,
}

/// A resource's type.
pub(crate) fn type_of(node: &Node) -> &str {
    node.get("Type").and_then(Node::as_str).unwrap_or("a resource without a Type")
}

/// Whether a resource is a DynamoDB table.
pub(crate) fn is_table(node: &Node) -> bool {
    matches!(type_of(node), "AWS::DynamoDB::Table" | "AWS::DynamoDB::GlobalTable")
}

/// Whether a type of resource has nothing that could be served.
pub(crate) fn is_silent(kind: &str) -> bool {
    SILENT_TYPES.iter().any(|silent| kind.starts_with(silent))
}

impl Location<'_> {
    /// The parameters that every stack has.
    pub(crate) fn pseudo_parameters(&self, stack: &str) -> Vec<(String, String)> {
        let Self { region, account_id, .. } = self;
        let (partition, suffix) = partition(region);
        let stack_id =
            format!("arn:{partition}:cloudformation:{region}:{account_id}:stack/{stack}/local");
        let values = [
            ("AWS::Region", *region),
            ("AWS::AccountId", account_id),
            ("AWS::Partition", partition),
            ("AWS::URLSuffix", suffix),
            ("AWS::StackName", stack),
            ("AWS::StackId", &stack_id),
        ];
        values.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec()
    }

    /// Adds the resources that a template declares to those that references can see.
    /// `is_fixed` says of which ones the name is known already.
    pub(crate) fn declare(
        &self,
        declared: &Map,
        stack: &mut Stack,
        is_fixed: impl Fn(&str) -> bool,
    ) {
        for (id, entry) in declared {
            // An override of a generated resource stays what it is.
            if !stack.resources.contains_key(id) {
                let kind = type_of(&entry.node);
                let resource = self.resource(kind, &self.name(kind, id));
                stack.resources.insert(id.clone(), resource);
            }
        }
        // Names may refer to other resources and to parameters, so they come second.
        // Faults in them are of no interest: the default name stands in.
        for (id, entry) in declared {
            let kind = type_of(&entry.node);
            if BY_ID.contains(&kind) || is_fixed(id) {
                continue;
            }
            let properties = entry.node.get("Properties");
            let name = NAME_PROPERTIES.iter().find_map(|key| properties?.get(key));
            if let Some(name) = name.and_then(|name| stack.text(name, &mut Issues::default())) {
                stack.resources.insert(id.clone(), self.resource(kind, &name));
            }
        }
    }

    /// The name, or the id, of a resource that is given none.
    pub(crate) fn name(&self, kind: &str, id: &str) -> String {
        let name = format!("{}-{id}", self.prefix);
        match kind {
            // Rules are named with letters, digits and underscores.
            "AWS::IoT::TopicRule" => name.replace('-', "_"),
            "AWS::ApiGatewayV2::Authorizer" => id.to_owned(),
            kind if BY_ID.contains(&kind) => derived_api_id(self.prefix, "", id),
            // What is referred to by nothing but these references.
            kind if kind.starts_with("AWS::ApiGatewayV2::") => id.to_owned(),
            _ => name,
        }
    }

    /// What references to a resource give: the forms that AWS documents for the common
    /// types, and the name for others.
    pub(crate) fn resource(&self, kind: &str, name: &str) -> Resource {
        let Self { region, account_id, .. } = self;
        let (partition, suffix) = partition(region);
        let arn = |product: &str, path: &str| {
            format!("arn:{partition}:{product}:{region}:{account_id}:{path}")
        };
        let (reference, arn) = match kind {
            "AWS::DynamoDB::Table" | "AWS::DynamoDB::GlobalTable" => {
                (name.to_owned(), arn("dynamodb", &format!("table/{name}")))
            }
            "AWS::Lambda::Function" | "AWS::Serverless::Function" => {
                (name.to_owned(), arn("lambda", &format!("function:{name}")))
            }
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
            "AWS::ApiGatewayV2::Authorizer" => add("AuthorizerId", name.to_owned()),
            _ => {}
        }
        Resource { reference, attributes }
    }
}
