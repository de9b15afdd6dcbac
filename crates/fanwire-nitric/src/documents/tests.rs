//! Documents by their keys, and by queries.

use super::*;
use crate::proto::structure::{Kind, Value};
use crate::proto::v0::{Expression, ExpressionValue, Operand};

fn collection(name: &str) -> Collection {
    Collection { name: name.to_owned(), parent: None }
}

fn below(parent: &str, name: &str) -> Collection {
    let parent = Key { collection: Some(collection("users")), id: parent.to_owned() };
    Collection { name: name.to_owned(), parent: Some(Box::new(parent)) }
}

fn key(collection: &Collection, id: &str) -> Option<Key> {
    Some(Key { collection: Some(collection.clone()), id: id.to_owned() })
}

async fn set_number(items: &Items, collection: &Collection, id: &str, number: f64) {
    let value = Value { kind: Some(Kind::Number(number)) };
    let content = Some(Struct { fields: [("n".to_owned(), value)].into() });
    set(items, DocumentSetRequest { key: key(collection, id), content }).await.unwrap();
}

fn asking(collection: &Collection, limit: i32) -> DocumentQueryRequest {
    DocumentQueryRequest { collection: Some(collection.clone()), limit, ..Default::default() }
}

fn ids(documents: &[Document]) -> String {
    let id = |document: &Document| {
        let key = document.key.as_ref().unwrap();
        let parent = key.collection.as_ref().unwrap().parent.as_ref();
        let parent = parent.map(|parent| format!("{}/", parent.id)).unwrap_or_default();
        format!("{parent}{}", key.id)
    };
    documents.iter().map(id).collect::<Vec<_>>().join(" ")
}

#[tokio::test]
async fn a_document_without_fields_is_a_document() {
    let items = Items::open(None).unwrap();
    let users = collection("users");
    let request = || DocumentKeyRequest { key: key(&users, "ada") };
    assert_eq!(get(&items, request()).unwrap_err().code(), tonic::Code::NotFound);
    set(&items, DocumentSetRequest { key: key(&users, "ada"), content: Some(Struct::default()) })
        .await
        .unwrap();
    let found = get(&items, request()).unwrap().document.unwrap();
    assert_eq!((found.content, found.key), (Some(Struct::default()), key(&users, "ada")));
    assert_eq!(ids(&query(&items, asking(&users, 0)).unwrap().documents), "ada");
}

#[tokio::test]
async fn pages_follow_each_other_until_there_is_no_more() {
    let items = Items::open(None).unwrap();
    let users = collection("users");
    for (number, id) in ["a", "b", "c", "d", "e"].into_iter().enumerate() {
        set_number(&items, &users, id, number as f64).await;
    }
    let expression = Expression {
        operand: "n".to_owned(),
        operator: "!=".to_owned(),
        value: Some(ExpressionValue { kind: Some(Operand::Int(2)) }),
    };
    let (mut token, mut pages) = (HashMap::new(), Vec::new());
    for _ in 0..3 {
        let request = DocumentQueryRequest {
            expressions: vec![expression.clone()],
            paging_token: token,
            ..asking(&users, 2)
        };
        let answer = query(&items, request).unwrap();
        pages.push(ids(&answer.documents));
        token = answer.paging_token;
    }
    assert_eq!(pages, ["a b", "d e", ""]);
    assert_eq!(token, HashMap::new());
    assert!(query(&items, asking(&users, -1)).is_err());
}

#[tokio::test]
async fn collections_below_documents_have_one_level_and_go_with_their_parent() {
    let items = Items::open(None).unwrap();
    let users = collection("users");
    for (parent, id) in [("ada", "1"), ("ada", "2"), ("grace", "1")] {
        set_number(&items, &users, parent, 0.0).await;
        set_number(&items, &below(parent, "orders"), id, 0.0).await;
    }
    let listed = |of: &str| ids(&query(&items, asking(&below(of, "orders"), 0)).unwrap().documents);
    assert_eq!(listed("ada"), "ada/1 ada/2");
    assert_eq!(listed(""), "ada/1 ada/2 grace/1", "of all parents");
    assert_eq!(ids(&query(&items, asking(&users, 0)).unwrap().documents), "ada grace");
    delete(&items, DocumentKeyRequest { key: key(&users, "ada") }).await.unwrap();
    assert_eq!(listed(""), "grace/1");
    let parent = Key { collection: Some(below("ada", "orders")), id: "1".to_owned() };
    let deeper = Collection { name: "lines".to_owned(), parent: Some(Box::new(parent)) };
    let refused = get(&items, DocumentKeyRequest { key: key(&deeper, "1") }).unwrap_err();
    assert_eq!(refused.code(), tonic::Code::InvalidArgument);
}

#[tokio::test]
async fn a_stream_has_all_pages_up_to_the_limit() {
    let items = Items::open(None).unwrap();
    let users = collection("users");
    let text = "x".repeat(MAX_PAGE_BYTES / 4);
    for id in 0..10 {
        let value = Value { kind: Some(Kind::Text(text.clone())) };
        let content = Some(Struct { fields: [("text".to_owned(), value)].into() });
        let request = DocumentSetRequest { key: key(&users, &id.to_string()), content };
        set(&items, request).await.unwrap();
    }
    let page = query(&items, asking(&users, 0)).unwrap();
    assert_eq!((page.documents.len(), page.paging_token.len()), (4, 1), "a page is bounded");
    for (limit, expected) in [(0, 10), (7, 7)] {
        let answers = query_stream(items.clone(), asking(&users, limit)).unwrap();
        assert_eq!(answers.count().await, expected);
    }
}
