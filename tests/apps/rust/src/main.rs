//! The AWS SDK for Rust as a handler uses it: DynamoDB and credentials come from the environment, the gateway is where the
//! event says it is.

use std::collections::HashMap;

use aws_config::SdkConfig;
use aws_sdk_apigatewaymanagement as gateway;
use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError;
use aws_sdk_dynamodb::types::{AttributeValue, Put, TransactWriteItem};
use aws_sdk_dynamodb::{Client, primitives::Blob};
use lambda_runtime::{Error, LambdaEvent, run, service_fn};
use serde::Deserialize;
use serde_json::{Value, json};

/// The parts of API Gateway's event that this app looks at.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Event {
    request_context: RequestContext,
    body: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RequestContext {
    route_key: String,
    connection_id: String,
    domain_name: String,
    stage: String,
}

/// What a client sends.
#[derive(Deserialize)]
#[serde(tag = "do", rename_all = "camelCase")]
enum Message {
    /// Puts an item that is not there yet.
    Put { pk: String, sk: String },
    /// Puts several such items, or none.
    Transact { pk: String, sks: Vec<String> },
    /// Lists the sort keys that begin so.
    Query { pk: String, start: String },
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let config = aws_config::load_from_env().await;
    let app = App { notes: Client::new(&config), table: std::env::var("TABLE")?, config };
    run(service_fn(|event: LambdaEvent<Event>| app.handle(event.payload))).await
}

struct App {
    config: SdkConfig,
    notes: Client,
    table: String,
}

impl App {
    async fn handle(&self, event: Event) -> Result<Value, Error> {
        let body = match event.request_context.route_key.as_str() {
            "$connect" => json!(null),
            "post" => self.post(&event).await?,
            _ => {
                self.store(serde_json::from_str(event.body.as_deref().unwrap_or_default())?).await?
            }
        };
        Ok(json!({ "statusCode": 200, "body": body.to_string() }))
    }

    /// Posts the message back, by the address that handlers hard-code.
    async fn post(&self, event: &Event) -> Result<Value, Error> {
        let RequestContext { domain_name, stage, connection_id, .. } = &event.request_context;
        let endpoint = format!("https://{domain_name}/{stage}");
        let config = gateway::config::Builder::from(&self.config).endpoint_url(endpoint).build();
        let data = gateway::primitives::Blob::new(event.body.as_deref().unwrap_or_default());
        let api = gateway::Client::from_conf(config);
        api.post_to_connection().connection_id(connection_id).data(data).send().await?;
        Ok(Value::Null)
    }

    async fn store(&self, message: Message) -> Result<Value, Error> {
        match message {
            Message::Put { pk, sk } => self.put(&pk, &sk).await,
            Message::Transact { pk, sks } => self.transact(&pk, &sks).await,
            Message::Query { pk, start } => self.query(pk, start).await,
        }
    }

    async fn put(&self, pk: &str, sk: &str) -> Result<Value, Error> {
        let put = self.notes.put_item().table_name(&self.table).set_item(Some(item(pk, sk)));
        let sent = put.condition_expression("attribute_not_exists(pk)").send().await;
        match sent.map_err(|error| error.into_service_error()) {
            Ok(_) => Ok(json!("put")),
            Err(PutItemError::ConditionalCheckFailedException(_)) => Ok(json!("taken")),
            Err(other) => Err(other.into()),
        }
    }

    async fn transact(&self, pk: &str, sks: &[String]) -> Result<Value, Error> {
        let mut transaction = self.notes.transact_write_items();
        for sk in sks {
            let put = Put::builder().table_name(&self.table).set_item(Some(item(pk, sk)));
            let put = put.condition_expression("attribute_not_exists(pk)").build()?;
            transaction = transaction.transact_items(TransactWriteItem::builder().put(put).build());
        }
        match transaction.send().await.map_err(|error| error.into_service_error()) {
            Ok(_) => Ok(json!("all put")),
            Err(TransactWriteItemsError::TransactionCanceledException(cancelled)) => {
                let reasons = cancelled.cancellation_reasons().iter();
                Ok(reasons.map(|reason| json!(reason.code())).collect())
            }
            Err(other) => Err(other.into()),
        }
    }

    async fn query(&self, pk: String, start: String) -> Result<Value, Error> {
        let query = self.notes.query().table_name(&self.table);
        let query = query.key_condition_expression("pk = :pk AND begins_with(sk, :start)");
        let query = query.expression_attribute_values(":pk", AttributeValue::S(pk));
        let found =
            query.expression_attribute_values(":start", AttributeValue::S(start)).send().await?;
        let sk = |item: &HashMap<String, AttributeValue>| {
            // Bytes come back as they were put: the sort key once more.
            let bytes = item.get("bytes").and_then(|bytes| bytes.as_b().ok());
            json!(bytes.map(|bytes| String::from_utf8_lossy(bytes.as_ref()).into_owned()))
        };
        Ok(found.items().iter().map(sk).collect())
    }
}

/// An item with every kind of value that keys do not have.
fn item(pk: &str, sk: &str) -> HashMap<String, AttributeValue> {
    let text = |value: &str| AttributeValue::S(value.to_owned());
    HashMap::from([
        ("pk".to_owned(), text(pk)),
        ("sk".to_owned(), text(sk)),
        ("bytes".to_owned(), AttributeValue::B(Blob::new(sk))),
        ("names".to_owned(), AttributeValue::Ss(vec!["Ada".to_owned(), "Grace".to_owned()])),
        ("expireAt".to_owned(), AttributeValue::N("4102444800.5".to_owned())),
    ])
}
