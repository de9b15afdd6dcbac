use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::*;
use crate::store::Memory;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Player {
    name: String,
    score: i64,
}

fn player(name: &str, score: i64) -> Player {
    Player { name: name.to_owned(), score }
}

async fn five() -> Collection<Player> {
    let players = Collection::new("players", Memory::new().pages_of(2));
    for (id, score) in [("a", 1), ("b", 20), ("c", 3), ("d", 40), ("e", 5)] {
        players.doc(id).set(&player(id, score)).await.unwrap();
    }
    players
}

async fn found(query: Query<Player>) -> Vec<String> {
    let mut documents = query.stream();
    let mut ids = Vec::new();
    while let Some(document) = documents.try_next().await.unwrap() {
        assert_eq!(document.content.name, document.id);
        ids.push(document.id);
    }
    ids
}

#[tokio::test]
async fn a_document_is_there_from_set_to_delete() {
    let players = five().await;
    assert_eq!(players.doc("x").get().await.unwrap(), None);
    players.doc("x").set(&player("x", 1)).await.unwrap();
    players.doc("x").set(&player("x", 2)).await.unwrap();
    assert_eq!(players.doc("x").get().await.unwrap(), Some(player("x", 2)));
    assert!(!players.doc("x").create(&player("x", 3)).await.unwrap());
    players.doc("x").delete().await.unwrap();
    assert_eq!(players.doc("x").get().await.unwrap(), None);
    assert!(players.doc("x").create(&player("x", 3)).await.unwrap());
}

#[tokio::test]
async fn a_query_reads_past_the_end_of_a_page() {
    let players = five().await;
    assert_eq!(found(players.query()).await, ["a", "b", "c", "d", "e"]);
    assert_eq!(found(players.query().limit(3)).await, ["a", "b", "c"]);
    assert_eq!(found(players.query().prefix("d")).await, ["d"]);
    assert_eq!(players.query().ids().await.unwrap().len(), 5);
    assert!(found(players.query().limit(0)).await.is_empty());
}

#[tokio::test]
async fn the_limit_counts_what_was_wanted() {
    let players = five().await;
    let low = || players.query().r#where("score", Operator::Less, 6);
    assert_eq!(found(low()).await, ["a", "c", "e"]);
    assert_eq!(found(low().limit(2)).await, ["a", "c"]);
}

#[tokio::test]
async fn each_operator_compares_values_of_one_type() {
    let players = five().await;
    for (operator, value, expected) in [
        (Operator::Equal, 20, vec!["b"]),
        (Operator::NotEqual, 20, vec!["a", "c", "d", "e"]),
        (Operator::Less, 3, vec!["a"]),
        (Operator::LessOrEqual, 3, vec!["a", "c"]),
        (Operator::Greater, 20, vec!["d"]),
        (Operator::GreaterOrEqual, 20, vec!["b", "d"]),
        (Operator::StartsWith, 2, vec![]),
    ] {
        assert_eq!(found(players.query().r#where("score", operator, value)).await, expected);
    }
    let named = players.query().r#where("name", Operator::StartsWith, "b");
    assert_eq!(found(named).await, ["b"]);
    for field in ["name", "nothing"] {
        let none = players.query().r#where(field, Operator::NotEqual, 20);
        assert!(found(none).await.is_empty(), "{field}");
    }
    let half = players.query().r#where("score", Operator::Greater, 20.5);
    assert_eq!(found(half).await, ["d"]);
}

#[tokio::test]
async fn pages_join_to_the_whole() {
    let players = five().await;
    for limit in 1..=3 {
        let (mut ids, mut after) = (Vec::new(), None);
        for _ in 0..6 {
            let page = players.query().limit(limit).page(after).await.unwrap();
            assert!(page.documents.len() <= limit);
            ids.extend(page.documents.into_iter().map(|document| document.id));
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        assert_eq!(ids, ["a", "b", "c", "d", "e"], "pages of {limit}");
    }
}

#[tokio::test]
async fn a_document_may_have_no_fields_and_no_other_form() {
    let store = Memory::new();
    let ids = Collection::<()>::new("ids", store.clone());
    ids.doc("a").set(&()).await.unwrap();
    assert_eq!(ids.doc("a").get().await.unwrap(), Some(()));
    let maps = Collection::<BTreeMap<String, i64>>::new("ids", store.clone());
    assert_eq!(maps.doc("a").get().await.unwrap(), Some(BTreeMap::new()));
    let numbers = Collection::<i64>::new("numbers", store);
    let refused = numbers.doc("a").set(&1).await.unwrap_err();
    assert!(refused.to_string().contains("`numbers` has to be a struct or a map: it is `1`"));
}

#[tokio::test]
async fn what_is_of_another_type_is_named() {
    let store = Memory::new();
    Collection::<()>::new("players", store.clone()).doc("a").set(&()).await.unwrap();
    let error = Collection::<Player>::new("players", store).doc("a").get().await.unwrap_err();
    assert!(error.to_string().starts_with("document `a` of `players`"), "{error}");
}

#[tokio::test]
async fn documents_expire_where_they_shall() {
    let store = Memory::new();
    let kept = Collection::<()>::new("kept", store.clone());
    kept.doc("a").set(&()).await.unwrap();
    kept.clone().expires_after(Duration::from_secs(60)).doc("b").set(&()).await.unwrap();
    let items = store.query("kept", "", None).await.unwrap().items;
    let expiry: Vec<bool> = items.iter().map(|item| item.expires_at.is_some()).collect();
    assert_eq!(expiry, [false, true]);
}
