//! What a request asks for, in IAM's terms: actions, and what they are done to.

use bytes::Bytes;
use fanwire_access::Question;
use fanwire_websocket::ApiIndex;
use http::Method;
use http::request::Parts;
use percent_encoding::percent_decode_str;
use serde_json::Value;

use crate::address::{GroupKind, Target};
use crate::query::Query;
use crate::router::Router;

/// The services whose signatures are for a target, the usual one first, and the name that
/// settings have for it.
pub(super) fn services(target: &Target) -> (&'static [&'static str], &'static str) {
    match target {
        Target::Invoke(_) | Target::InvokeAsync(_) => (&["lambda"], "invoke"),
        Target::DynamoDb => (&["dynamodb"], "dynamodb"),
        // Its documentation names the second for some of its operations.
        Target::IotData => (&["iotdata", "iotdevicegateway"], "data"),
        Target::Control(_) => (&["fanwire", "execute-api"], "control"),
        _ => (&["execute-api"], "connections"),
    }
}

impl Router {
    /// What has to be allowed for a request to be answered. Nothing: it asks for nothing that
    /// there is.
    pub(super) fn questions(&self, target: &Target, head: &Parts, body: &Bytes) -> Vec<Question> {
        match target {
            Target::Connection(api, id) => {
                vec![self.on_connections(*api, &head.method, &format!("@connections/{id}"))]
            }
            Target::Groups(api, group) => {
                let kind = if group.kind == GroupKind::Tags { "tags" } else { "topics" };
                let path = format!("@connections/{}/{kind}", group.id);
                vec![self.on_connections(*api, &head.method, &path)]
            }
            Target::Connections(api) => {
                vec![self.on_connections(*api, &head.method, "@connections")]
            }
            Target::Invoke(name) => vec![self.on_function("lambda:InvokeFunction", name)],
            Target::InvokeAsync(name) => vec![self.on_function("lambda:InvokeAsync", name)],
            Target::DynamoDb => self.on_tables(head, body),
            Target::IotData => self.on_data(head),
            Target::Control(path) => vec![on_control(&head.method, path)],
            _ => Vec::new(),
        }
    }

    /// ARNs as <https://docs.aws.amazon.com/apigateway/latest/developerguide/apigateway-websocket-control-access-iam.html>
    /// has them.
    fn on_connections(&self, api: ApiIndex, method: &Method, path: &str) -> Question {
        let action = "execute-api:ManageConnections".to_owned();
        let apis = self.plane().apis();
        let Some((_, api)) = apis.iter().find(|(index, _)| *index == api) else {
            return Question { action, arn: "*".to_owned(), names: Vec::new() };
        };
        let place = format!("{}/{method}/{path}", api.stage);
        let mut names = Vec::new();
        for name in [&api.id, &api.name] {
            names.extend([
                name.clone(),
                format!("{name}/{}", api.stage),
                format!("{name}/{place}"),
            ]);
        }
        Question { action, arn: self.arn("execute-api", &format!("{}/{place}", api.id)), names }
    }

    fn on_function(&self, action: &str, asked: &str) -> Question {
        let key = self.functions().resolve(asked);
        let arn = key.as_deref().and_then(|key| self.functions().arn(key));
        let arn = arn.unwrap_or_else(|| self.arn_of_unknown(asked));
        let full_name = arn.rsplit(':').next().unwrap_or_default().to_owned();
        let names = key.into_iter().chain([full_name]).collect();
        Question { action: action.to_owned(), arn, names }
    }

    /// The actions of <https://docs.aws.amazon.com/service-authorization/latest/reference/list_awsiot.html>
    /// for the data plane.
    fn on_data(&self, head: &Parts) -> Vec<Question> {
        let path = head.uri.path();
        let segments: Vec<&str> = path.split('/').filter(|segment| !segment.is_empty()).collect();
        let rest = percent_decode_str(crate::address::behind(path, 1)).decode_utf8_lossy();
        let question = |action: &str, kind: &str, name: &str| Question {
            action: format!("iot:{action}"),
            arn: self.arn("iot", &format!("{kind}/{name}")),
            names: vec![name.to_owned()],
        };
        let client = |id: &str| percent_decode_str(id).decode_utf8_lossy().into_owned();
        match (&head.method, segments.as_slice()) {
            (_, ["topics", ..]) => {
                let retain = Query::new(head.uri.query()).get("retain");
                let mut asked = vec![question("Publish", "topic", &rest)];
                if retain.is_some_and(|retain| retain != "false") {
                    asked.push(question("RetainPublish", "topic", &rest));
                }
                asked
            }
            (_, ["retainedMessage"]) => vec![Question {
                action: "iot:ListRetainedMessages".to_owned(),
                arn: "*".to_owned(),
                names: Vec::new(),
            }],
            (_, ["retainedMessage", ..]) => vec![question("GetRetainedMessage", "topic", &rest)],
            (_, ["connections", id, "subscriptions"]) => {
                vec![question("ListSubscriptions", "client", &client(id))]
            }
            (_, ["connections", id, "messages"]) => {
                vec![question("SendDirectMessage", "client", &client(id))]
            }
            (&Method::DELETE, ["connections", id]) => {
                vec![question("DeleteConnection", "client", &client(id))]
            }
            (_, ["connections", id]) => vec![question("GetConnection", "client", &client(id))],
            _ => Vec::new(),
        }
    }

    /// One question for each table that a request names. What names none has to be allowed on
    /// all of them.
    fn on_tables(&self, head: &Parts, body: &Bytes) -> Vec<Question> {
        let target = head.headers.get("x-amz-target").and_then(|value| value.to_str().ok());
        let operation = target.and_then(|target| target.split('.').next_back()).unwrap_or_default();
        let body: Value = serde_json::from_slice(body).unwrap_or_default();
        let mut asked = Vec::new();
        for (action, table) in tables_of(operation, &body) {
            let question = Question {
                action: format!("dynamodb:{action}"),
                arn: self.arn("dynamodb", &format!("table/{table}")),
                names: vec![table.to_owned()],
            };
            if !asked.contains(&question) {
                asked.push(question);
            }
        }
        if asked.is_empty() {
            let action = format!("dynamodb:{operation}");
            asked.push(Question { action, arn: "*".to_owned(), names: Vec::new() });
        }
        asked
    }
}

/// `fanwire:Control` for what changes something, `fanwire:Read` for the rest; on the path.
fn on_control(method: &Method, path: &[String]) -> Question {
    let action = if *method == Method::GET { "fanwire:Read" } else { "fanwire:Control" };
    let names = path.first().cloned().into_iter().collect();
    Question { action: action.to_owned(), arn: "*".to_owned(), names }
}

/// What one operation on one table names it by. Others name several, or none that could be
/// told from the request: the text of a statement, a shard iterator.
const NAMES_OF_A_TABLE: [&str; 4] = ["TableName", "TableArn", "ResourceArn", "StreamArn"];
const ON_ONE_TABLE: [&str; 18] = [
    "CreateTable",
    "DeleteItem",
    "DeleteTable",
    "DescribeStream",
    "DescribeTable",
    "DescribeTimeToLive",
    "GetItem",
    "GetShardIterator",
    "ListTagsOfResource",
    "PutItem",
    "Query",
    "Scan",
    "SearchVectors",
    "TagResource",
    "UntagResource",
    "UpdateItem",
    "UpdateTable",
    "UpdateTimeToLive",
];

/// The tables that a request is about, each with the action that is done to it. What else a body
/// has is not looked at: it could name a table that the operation does not touch. The parts of a
/// transaction are actions of their own (DynamoDB Developer Guide, "Using IAM with DynamoDB
/// transactions").
fn tables_of<'r>(operation: &'r str, body: &'r Value) -> Vec<(&'r str, &'r str)> {
    match operation {
        "BatchGetItem" | "BatchWriteItem" => {
            let items = body.get("RequestItems").and_then(Value::as_object);
            items
                .into_iter()
                .flat_map(|items| items.keys().map(|it| (operation, bare(it))))
                .collect()
        }
        "TransactGetItems" | "TransactWriteItems" => {
            let parts = body.get("TransactItems").and_then(Value::as_array).into_iter().flatten();
            parts.filter_map(Value::as_object).flatten().map(part_of_a_transaction).collect()
        }
        operation if ON_ONE_TABLE.contains(&operation) => {
            let names = NAMES_OF_A_TABLE.into_iter();
            let names = names.filter_map(|name| body.get(name).and_then(Value::as_str));
            names.map(|table| (operation, bare(table))).collect()
        }
        _ => Vec::new(),
    }
}

fn part_of_a_transaction<'r>((kind, part): (&'r String, &'r Value)) -> (&'r str, &'r str) {
    let action = match kind.as_str() {
        "Get" => "GetItem",
        "Put" => "PutItem",
        "Update" => "UpdateItem",
        "Delete" => "DeleteItem",
        _ => "ConditionCheckItem",
    };
    (action, bare(part.get("TableName").and_then(Value::as_str).unwrap_or_default()))
}

/// The name of a table that may be given by its ARN, or by that of something of its.
fn bare(table: &str) -> &str {
    match table.split_once(":table/") {
        Some((_, rest)) => rest.split('/').next().unwrap_or_default(),
        None => table,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_table_that_a_request_names_is_asked_for() {
        let put = json!({ "TableName": "arn:aws:dynamodb:eu-west-1:1:table/chat" });
        assert_eq!(tables_of("PutItem", &put), [("PutItem", "chat")]);
        let batch = json!({ "RequestItems": { "a": {}, "b": {} } });
        let expected = [("BatchGetItem", "a"), ("BatchGetItem", "b")];
        assert_eq!(tables_of("BatchGetItem", &batch), expected);
        let transaction = json!({ "TransactItems": [
            { "Put": { "TableName": "a" } },
            { "ConditionCheck": { "TableName": "b" }, "Delete": { "TableName": "c" } },
        ] });
        let expected = [("PutItem", "a"), ("ConditionCheckItem", "b"), ("DeleteItem", "c")];
        assert_eq!(tables_of("TransactWriteItems", &transaction), expected);
        let stream = json!({ "StreamArn": "arn:aws:dynamodb:r:1:table/chat/stream/2020" });
        assert_eq!(tables_of("DescribeStream", &stream), [("DescribeStream", "chat")]);
        assert_eq!(tables_of("ListTables", &json!({})), []);
        assert_eq!(tables_of("ListTables", &Value::Null), []);
    }

    #[test]
    fn a_table_that_an_operation_does_not_touch_is_no_answer() {
        let decoy = json!({ "TableName": "chat", "Statement": "SELECT * FROM \"secrets\"" });
        let operations =
            ["ExecuteStatement", "ExecuteTransaction", "BatchExecuteStatement", "GetRecords"];
        for operation in operations.into_iter().chain(["ListTables", "ListStreams", "Unknown"]) {
            assert_eq!(tables_of(operation, &decoy), [], "{operation}");
        }
        let mixed = json!({
            "TableName": "chat",
            "RequestItems": { "a": {} },
            "TransactItems": [{ "Put": { "TableName": "b" } }],
        });
        assert_eq!(tables_of("BatchWriteItem", &mixed), [("BatchWriteItem", "a")]);
        assert_eq!(tables_of("TransactWriteItems", &mixed), [("PutItem", "b")]);
        assert_eq!(tables_of("Scan", &mixed), [("Scan", "chat")]);
    }
}
