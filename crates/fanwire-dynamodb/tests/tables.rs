//! The App's tables as a client of the API sees them, over one file.

#![expect(clippy::unwrap_used, reason = "what fails in a test is to end it")]

use bytes::Bytes;
use fanwire_app::model::{AttributeType, Index, IndexKey, Projection, StreamView, Table, TableKey};
use fanwire_dynamodb::{DynamoDb, DynamoDbOptions, OpenError, TableError, TableNote, is_in_use};
use http::{Method, Request, StatusCode};
use serde_json::{Value, json};
use tempfile::TempDir;

fn key(hash: &str, range: Option<&str>) -> TableKey {
    TableKey { hash: hash.to_owned(), range: range.map(str::to_owned) }
}

fn index_key(hash: &str, range: Option<&str>) -> IndexKey {
    let texts = |text: Option<&str>| text.map(str::to_owned).into_iter().collect();
    IndexKey { hash: texts(Some(hash)), range: texts(range) }
}

fn table(attributes: &[&str]) -> Table {
    Table {
        name: "people".to_owned(),
        attributes: attributes.iter().map(|name| ((*name).to_owned(), AttributeType::S)).collect(),
        key: key("pk", None),
        global_indexes: Vec::new(),
        local_indexes: Vec::new(),
        ttl_attribute: Some("expireAt".to_owned()),
        stream: None,
    }
}

fn by_room() -> Index {
    let projection = Projection::Include(vec!["name".to_owned()]);
    Index { name: "byRoom".to_owned(), key: index_key("room", None), projection }
}

fn open(folder: &TempDir) -> DynamoDb {
    DynamoDb::new(DynamoDbOptions { folder: folder.path().join("data"), fresh: false })
}

/// One call as an SDK makes it.
async fn call(tables: &DynamoDb, operation: &str, body: Value) -> (StatusCode, Value) {
    let request = Request::builder()
        .method(Method::POST)
        .uri("/")
        .header("host", "dynamodb.us-east-1.amazonaws.com")
        .header("content-type", "application/x-amz-json-1.0")
        .header("x-amz-target", format!("DynamoDB_20120810.{operation}"))
        .header("x-amz-date", "20260101T000000Z")
        .header(
            "authorization",
            "AWS4-HMAC-SHA256 Credential=a/20260101/us-east-1/dynamodb/aws4_request, \
             SignedHeaders=host, Signature=0",
        )
        .body(Bytes::from(body.to_string()))
        .unwrap();
    let answer = tables.answer(request).await;
    assert!(answer.headers().contains_key("x-amzn-requestid"), "{:?}", answer.headers());
    assert!(!answer.headers().contains_key("server"));
    (answer.status(), serde_json::from_slice(answer.body()).unwrap())
}

async fn put(tables: &DynamoDb, item: Value) {
    let (status, answer) =
        call(tables, "PutItem", json!({ "TableName": "people", "Item": item })).await;
    assert_eq!(status, StatusCode::OK, "{answer}");
}

async fn count(tables: &DynamoDb) -> u64 {
    let (status, answer) = call(tables, "Scan", json!({ "TableName": "people" })).await;
    assert_eq!(status, StatusCode::OK, "{answer}");
    answer["Count"].as_u64().unwrap()
}

#[tokio::test]
async fn a_table_and_its_items_are_there_again_after_a_restart() {
    let folder = TempDir::new().unwrap();
    let tables = open(&folder);
    let created = vec![TableNote::Created { table: "people".to_owned() }];
    assert_eq!(tables.ensure([&table(&["pk"])]).unwrap(), created);
    put(&tables, json!({ "pk": { "S": "ada" } })).await;
    drop(tables);
    let tables = open(&folder);
    assert_eq!(tables.ensure([&table(&["pk"])]).unwrap(), []);
    assert_eq!(count(&tables).await, 1);
}

#[tokio::test]
async fn a_fresh_start_has_no_tables() {
    let folder = TempDir::new().unwrap();
    let tables = open(&folder);
    tables.ensure([&table(&["pk"])]).unwrap();
    drop(tables);
    let options = DynamoDbOptions { folder: folder.path().join("data"), fresh: true };
    let (_, answer) = call(&DynamoDb::new(options), "ListTables", json!({})).await;
    assert_eq!(answer["TableNames"], json!([]));
}

#[tokio::test]
async fn a_second_process_is_told_that_the_tables_are_in_use() {
    let folder = TempDir::new().unwrap();
    let tables = open(&folder);
    tables.ensure([&table(&["pk"])]).unwrap();
    let error = open(&folder).ensure([&table(&["pk"])]).unwrap_err();
    assert!(matches!(error, TableError::Open(OpenError::InUse { .. })), "{error}");
    assert!(error.to_string().contains("--data"), "{error}");
    assert!(is_in_use(&folder.path().join("data")));
    drop(tables);
    assert!(!is_in_use(&folder.path().join("data")));
}

#[tokio::test]
async fn an_app_without_tables_leaves_no_file() {
    let folder = TempDir::new().unwrap();
    let tables = open(&folder);
    tables.ensure([]).unwrap();
    assert_eq!(tables.sweep(1e12).unwrap(), 0);
    assert!(!folder.path().join("data").exists());
}

#[tokio::test]
async fn indexes_and_expiry_follow_the_declaration_and_items_stay() {
    let folder = TempDir::new().unwrap();
    let tables = open(&folder);
    tables.ensure([&table(&["pk"])]).unwrap();
    put(&tables, json!({ "pk": { "S": "ada" }, "room": { "S": "r" }, "age": { "N": "36" } })).await;
    let mut declared = table(&["pk", "room"]);
    declared.global_indexes.push(by_room());
    declared.ttl_attribute = Some("until".to_owned());
    let (people, index) = ("people".to_owned(), "byRoom".to_owned());
    let ttl = |attribute: Option<&str>| TableNote::TimeToLive {
        table: "people".to_owned(),
        attribute: attribute.map(str::to_owned),
    };
    assert_eq!(
        tables.ensure([&declared]).unwrap(),
        [TableNote::IndexAdded { table: people.clone(), index: index.clone() }, ttl(Some("until")),]
    );
    assert_eq!(tables.ensure([&declared]).unwrap(), []);
    let query = json!({
        "TableName": "people", "IndexName": "byRoom", "KeyConditionExpression": "room = :r",
        "ExpressionAttributeValues": { ":r": { "S": "r" } },
    });
    let (status, answer) = call(&tables, "Query", query).await;
    assert_eq!((status, &answer["Count"]), (StatusCode::OK, &json!(1)), "{answer}");
    let mut declared = table(&["pk"]);
    declared.ttl_attribute = None;
    assert_eq!(
        tables.ensure([&declared]).unwrap(),
        [TableNote::IndexRemoved { table: people, index }, ttl(None)]
    );
    assert_eq!(count(&tables).await, 1);
}

#[tokio::test]
async fn a_table_with_items_under_another_key_is_left_alone() {
    let folder = TempDir::new().unwrap();
    let tables = open(&folder);
    tables.ensure([&table(&["pk"])]).unwrap();
    put(&tables, json!({ "pk": { "S": "ada" } })).await;
    let mut declared = table(&["id"]);
    declared.key = key("id", None);
    let notes = tables.ensure([&declared]).unwrap();
    assert_eq!(notes, [TableNote::OtherKey { table: "people".to_owned() }]);
    assert!(notes[0].is_warning() && notes[0].to_string().contains("--fresh"));
    assert_eq!(count(&tables).await, 1);
}

#[tokio::test]
async fn items_end_when_their_time_has_come_fractions_of_it_too() {
    let folder = TempDir::new().unwrap();
    let tables = open(&folder);
    tables.ensure([&table(&["pk"])]).unwrap();
    let now = 1_800_000_000.5;
    for (name, expires) in [
        ("past", json!({ "N": "1799999999" })),
        ("fraction", json!({ "N": "1800000000.25" })),
        ("future", json!({ "N": "1800000001" })),
        ("text", json!({ "S": "1" })),
        ("years ago", json!({ "N": "1600000000" })),
    ] {
        put(&tables, json!({ "pk": { "S": name }, "expireAt": expires })).await;
    }
    put(&tables, json!({ "pk": { "S": "without" } })).await;
    // More than a page of items that stay.
    for number in 0..150 {
        put(&tables, json!({ "pk": { "S": format!("{number}") } })).await;
    }
    assert_eq!(tables.sweep(now).unwrap(), 2);
    assert_eq!(count(&tables).await, 154);
    assert_eq!(tables.sweep(now + 1.0).unwrap(), 1);
    assert_eq!(tables.sweep(now + 1.0).unwrap(), 0);
}

#[tokio::test]
async fn every_part_of_a_declaration_reaches_the_table() {
    let folder = TempDir::new().unwrap();
    let tables = open(&folder);
    let mut declared = table(&["pk", "sk", "room", "at"]);
    declared.attributes.insert("at".to_owned(), AttributeType::N);
    declared.key = key("pk", Some("sk"));
    declared.global_indexes.push(by_room());
    declared.local_indexes.push(Index {
        name: "byTime".to_owned(),
        key: index_key("pk", Some("at")),
        projection: Projection::KeysOnly,
    });
    declared.stream = Some(StreamView::NewImage);
    tables.ensure([&declared]).unwrap();
    assert_eq!(tables.ensure([&declared]).unwrap(), []);
    let (_, answer) = call(&tables, "DescribeTable", json!({ "TableName": "people" })).await;
    let table = &answer["Table"];
    assert_eq!(table["KeySchema"][1], json!({ "AttributeName": "sk", "KeyType": "RANGE" }));
    let global = &table["GlobalSecondaryIndexes"][0];
    let projection = json!({ "ProjectionType": "INCLUDE", "NonKeyAttributes": ["name"] });
    assert_eq!((&global["IndexName"], &global["Projection"]), (&json!("byRoom"), &projection));
    assert_eq!(table["LocalSecondaryIndexes"][0]["KeySchema"][1]["AttributeName"], "at");
    assert_eq!(table["StreamSpecification"]["StreamViewType"], "NEW_IMAGE");
    let (_, answer) = call(&tables, "DescribeTimeToLive", json!({ "TableName": "people" })).await;
    assert_eq!(answer["TimeToLiveDescription"]["AttributeName"], "expireAt");
}

#[tokio::test]
async fn a_mistake_is_answered_in_dynamodbs_words() {
    let folder = TempDir::new().unwrap();
    let tables = open(&folder);
    let (status, answer) =
        call(&tables, "GetItem", json!({ "TableName": "none", "Key": { "pk": { "S": "x" } } }))
            .await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    let kind = answer["__type"].as_str().unwrap();
    assert!(kind.ends_with("#ResourceNotFoundException"), "{answer}");
}
