//! Tables of DynamoDB: of the embedded one, or of whichever `FANWIRE_TEST_DYNAMODB` names by
//! its URL, as `tests/suite/stores.test.mjs` does with one that has nothing in common with it.

use std::sync::Arc;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::{BehaviorVersion, Credentials, Region, retry::RetryConfig};
use aws_sdk_dynamodb::types::{
    AttributeDefinition, AttributeValue, BillingMode, KeySchemaElement, KeyType,
    ScalarAttributeType,
};
use fanwire::store::{Attributes, Condition, DynamoDb, Item, Key, Store, StoreError};
use fanwire_app::model::WebSocketApi;
use fanwire_app::{LoadOptions, load};
use fanwire_dynamodb::DynamoDbOptions;
use fanwire_functions::Silent;
use fanwire_realtime::RealtimeEvent;
use fanwire_server::{Observers, Server, ServerOptions};
use fanwire_websocket::RequestRecord;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::suite;

fn client(endpoint: &str) -> Client {
    let config = aws_sdk_dynamodb::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("us-east-1"))
        .credentials_provider(Credentials::new("any", "any", None, None, "test"))
        .retry_config(RetryConfig::standard())
        .endpoint_url(endpoint);
    Client::from_conf(config.build())
}

/// A DynamoDB, and what keeps it going.
struct Tables {
    endpoint: String,
    _embedded: Option<(Server, tempfile::TempDir)>,
}

impl Tables {
    async fn start() -> Self {
        if let Ok(endpoint) = std::env::var("FANWIRE_TEST_DYNAMODB") {
            return Self { endpoint, _embedded: None };
        }
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("fanwire.toml"), "name = \"tables\"\n").unwrap();
        let app = load(folder.path(), &LoadOptions::default()).unwrap().app;
        let options = ServerOptions {
            address: ([127, 0, 0, 1], 0).into(),
            tables: Some(DynamoDbOptions { folder: folder.path().join("data"), fresh: true }),
            ..ServerOptions::default()
        };
        let server = Server::start(&app, options, observers()).await.unwrap();
        let endpoint = format!("http://{}", server.address());
        Self { endpoint, _embedded: Some((server, folder)) }
    }

    fn client(&self) -> Client {
        client(&self.endpoint)
    }
}

fn observers() -> Observers {
    let nobody = Arc::new(Nobody);
    Observers {
        websocket: nobody.clone(),
        functions: Arc::new(Silent),
        realtime: nobody,
        nitric: None,
        logs: None,
    }
}

/// Looks away.
struct Nobody;

impl fanwire_websocket::Observer for Nobody {
    fn request(&self, _: &RequestRecord<'_>) {}

    fn access(&self, _: &WebSocketApi, _: &str) {}

    fn trouble(&self, _: &WebSocketApi, _: &str) {}

    fn execution(&self, _: &WebSocketApi, _: &str, _: &str) {}
}

impl fanwire_realtime::Observer for Nobody {
    fn observe(&self, _: &RealtimeEvent<'_>) {}
}

/// Makes a table with these keys, with a name of its own.
async fn table(client: &Client, keys: &[&str]) -> String {
    let name = format!("t{:016x}", fastrand::u64(..));
    let mut create =
        client.create_table().table_name(&name).billing_mode(BillingMode::PayPerRequest);
    for (key, kind) in keys.iter().zip([KeyType::Hash, KeyType::Range]) {
        let attribute = AttributeDefinition::builder()
            .attribute_name(*key)
            .attribute_type(ScalarAttributeType::S);
        let element = KeySchemaElement::builder().attribute_name(*key).key_type(kind);
        create = create
            .attribute_definitions(attribute.build().unwrap())
            .key_schema(element.build().unwrap());
    }
    create.send().await.unwrap();
    for _ in 0..1000 {
        let table = client.describe_table().table_name(&name).send().await.unwrap().table.unwrap();
        if table.table_status.unwrap().as_str() == "ACTIVE" {
            return name;
        }
        tokio::task::yield_now().await;
    }
    panic!("the table {name} is never active");
}

#[tokio::test]
async fn dynamodb_is_a_store() {
    let tables = Tables::start().await;
    let client = tables.client();
    let store = DynamoDb::new(client.clone(), table(&client, &["pk", "sk"]).await);
    suite::run(&|page| Arc::new(store.clone().pages_of(page))).await;
}

#[tokio::test]
async fn a_table_may_have_other_names_and_no_sort_key() {
    let tables = Tables::start().await;
    let client = tables.client();
    let attributes =
        Attributes { partition: "connectionId".to_owned(), sort: None, expiry: "ttl".to_owned() };
    let name = table(&client, &["connectionId"]).await;
    let store = DynamoDb::new(client, name).with_attributes(attributes);
    let item = Item::new(Key::new("c1", ""), json!({ "pk": "free", "sk": 1 })).lasting(60.0);
    assert!(store.put_if(item.clone(), Condition::Absent).await.unwrap());
    assert!(!store.put_if(item.clone(), Condition::Absent).await.unwrap());
    assert_eq!(store.get(&item.key).await.unwrap().as_ref(), Some(&item));
    assert_eq!(store.query("c1", "", None).await.unwrap().items, std::slice::from_ref(&item));
    assert_eq!(store.query("c1", "a", None).await.unwrap().items, []);
    store.delete(vec![item.key.clone()]).await.unwrap();
    assert_eq!(store.get(&item.key).await.unwrap(), None);
    for unfit in [
        Item::new(Key::new("c1", "sort"), json!({})),
        Item::new(Key::new("c1", ""), json!({ "ttl": 1 })),
    ] {
        let refused = store.put(vec![unfit]).await.unwrap_err();
        assert!(matches!(refused, StoreError::Refused(_)), "{refused}");
    }
}

#[tokio::test]
async fn items_are_native_ones_that_others_read_and_write() {
    let tables = Tables::start().await;
    let client = tables.client();
    let name = table(&client, &["pk", "sk"]).await;
    let store = DynamoDb::new(client.clone(), name.clone());
    let text = |text: &str| AttributeValue::S(text.to_owned());
    let expiry = "4102444800.881";
    client
        .put_item()
        .table_name(&name)
        .item("pk", text("a"))
        .item("sk", text("theirs"))
        .item("tags", AttributeValue::Ss(vec!["one".to_owned()]))
        .item("bytes", AttributeValue::B(vec![0xff].into()))
        .item("expireAt", AttributeValue::N(expiry.to_owned()))
        .send()
        .await
        .unwrap();
    let theirs = store.get(&Key::new("a", "theirs")).await.unwrap().unwrap();
    assert_eq!(theirs.expires_at, Some(4_102_444_800.881), "a fraction, as JavaScript writes it");
    assert_eq!(json!(theirs.fields), json!({ "bytes": "/w==", "tags": ["one"] }));

    let ours =
        Item { key: Key::new("a", "ours"), ..Item::new(Key::new("", ""), json!({ "n": 7 })) };
    store.put(vec![Item { expires_at: theirs.expires_at, ..ours }]).await.unwrap();
    let key = [("pk".to_owned(), text("a")), ("sk".to_owned(), text("ours"))];
    let get = client.get_item().table_name(&name).set_key(Some(key.into())).consistent_read(true);
    let read = get.send().await.unwrap().item.unwrap();
    assert_eq!(read["n"], AttributeValue::N("7".to_owned()));
    assert_eq!(read["expireAt"], AttributeValue::N(expiry.to_owned()));
}

#[tokio::test]
async fn what_a_batch_left_unwritten_is_written_again() {
    let left =
        r#"{"UnprocessedItems":{"t":[{"PutRequest":{"Item":{"pk":{"S":"a"},"sk":{"S":"1"}}}}]}}"#;
    let (endpoint, requests) = scripted(vec![(200, left), (200, left), (200, "{}")]).await;
    let store = DynamoDb::new(client(&endpoint), "t");
    let items = (0..3).map(|n| Item::new(Key::new("a", n.to_string()), json!({})));
    store.put(items.collect()).await.unwrap();
    let puts: Vec<_> =
        requests.await.unwrap().iter().map(|text| text.matches("PutRequest").count()).collect();
    assert_eq!(puts, [3, 1, 1]);
}

#[tokio::test]
async fn what_was_throttled_is_tried_again() {
    let throttled = r#"{"__type":"com.amazonaws.dynamodb.v20120810#ProvisionedThroughputExceededException","message":"slow down"}"#;
    let (endpoint, requests) = scripted(vec![(400, throttled), (200, "{}")]).await;
    let store = DynamoDb::new(client(&endpoint), "t");
    assert_eq!(store.get(&Key::new("a", "1")).await.unwrap(), None);
    assert_eq!(requests.await.unwrap().len(), 2);

    let (endpoint, _) = scripted(vec![(400, throttled); 3]).await;
    let store = DynamoDb::new(client(&endpoint), "t");
    let busy = store.get(&Key::new("a", "1")).await.unwrap_err();
    assert!(matches!(busy, StoreError::Busy(_)), "{busy}");
}

/// An endpoint that answers so, one connection and request after the other; and what it was
/// asked.
async fn scripted(
    answers: Vec<(u16, &'static str)>,
) -> (String, tokio::task::JoinHandle<Vec<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let requests = tokio::spawn(async move {
        let mut requests = Vec::new();
        for (status, body) in answers {
            let (mut stream, _) = listener.accept().await.unwrap();
            requests.push(read_request(&mut stream).await);
            let answer = format!(
                "HTTP/1.1 {status} X\r\ncontent-type: application/x-amz-json-1.0\r\n\
                 content-length: {}\r\nconnection: close\r\n\r\n{body}",
                body.len()
            );
            stream.write_all(answer.as_bytes()).await.unwrap();
        }
        requests
    });
    (endpoint, requests)
}

/// The body of a request.
async fn read_request(stream: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&bytes);
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head.lines().find_map(|line| {
                line.to_lowercase().strip_prefix("content-length: ")?.parse::<usize>().ok()
            });
            if body.len() >= length.unwrap_or_default() {
                return body.to_owned();
            }
        }
        assert_ne!(stream.read_buf(&mut bytes).await.unwrap(), 0, "it ended within a request");
    }
}
