//! What a store has to do.

use std::sync::Arc;

use fanwire::store::{Condition, Cursor, Item, Key, Store, StoreError};
use serde_json::{Value, json};

/// Makes a store that answers queries in pages of so many items; all that it makes may
/// share their items.
pub(crate) type Make<'a> = &'a dyn Fn(usize) -> Arc<dyn Store>;

/// Runs the suite.
pub(crate) async fn run(make: Make<'_>) {
    an_item_is_read_as_it_was_written(&*make(100)).await;
    a_put_replaces_the_whole_item(&*make(100)).await;
    what_has_expired_is_not_there(&*make(100)).await;
    a_conditional_write_looks_first(&*make(100)).await;
    one_of_many_conditional_writers_wins(&*make(100)).await;
    a_query_gives_a_prefix_in_order(&*make(100)).await;
    pages_join_to_the_whole(&*make(3)).await;
    expired_items_do_not_end_a_query(&*make(2)).await;
    many_items_are_written_and_removed_at_once(&*make(1000)).await;
    what_is_too_large_is_refused(&*make(100)).await;
}

async fn an_item_is_read_as_it_was_written(store: &dyn Store) {
    let fields = json!({
        "text": "żółw #1", "empty": "", "int": 42, "negative": -7, "big": 9_007_199_254_740_991_i64,
        "float": 1.5, "yes": true, "none": null, "list": [1, "two", [], {}], "map": { "a": { "b": [null] } },
    });
    let item = Item { expires_at: Some(4_102_444_800.881), ..item("read", "a", fields) };
    store.put(vec![item.clone()]).await.unwrap();
    assert_eq!(store.get(&item.key).await.unwrap(), Some(item));
    assert_eq!(store.get(&Key::new("read", "b")).await.unwrap(), None);
}

async fn a_put_replaces_the_whole_item(store: &dyn Store) {
    store.put(vec![item("whole", "a", json!({ "old": 1 })).lasting(60.0)]).await.unwrap();
    let new = item("whole", "a", json!({ "new": 2 }));
    store.put(vec![new.clone()]).await.unwrap();
    assert_eq!(store.get(&new.key).await.unwrap(), Some(new));
}

async fn what_has_expired_is_not_there(store: &dyn Store) {
    let expired = item("expired", "a", json!({})).lasting(-1.0);
    let key = expired.key.clone();
    store.put(vec![expired.clone(), item("expired", "b", json!({})).lasting(60.0)]).await.unwrap();
    assert_eq!(store.get(&key).await.unwrap(), None);
    assert_eq!(sorts(&all(store, "expired", "").await), ["b"]);
    assert!(!store.put_if(expired, Condition::Present).await.unwrap(), "it counts as absent");
    let again = item("expired", "a", json!({}));
    assert!(store.put_if(again, Condition::Absent).await.unwrap(), "its place is free");
}

async fn a_conditional_write_looks_first(store: &dyn Store) {
    let one = item("if", "a", json!({ "n": 1 }));
    let two = item("if", "a", json!({ "n": 2 }));
    assert!(!store.put_if(one.clone(), Condition::Present).await.unwrap());
    assert!(store.put_if(one.clone(), Condition::Absent).await.unwrap());
    assert!(!store.put_if(two.clone(), Condition::Absent).await.unwrap());
    assert_eq!(store.get(&one.key).await.unwrap(), Some(one));
    assert!(store.put_if(two.clone(), Condition::Present).await.unwrap());
    assert_eq!(store.get(&two.key).await.unwrap(), Some(two));
}

async fn one_of_many_conditional_writers_wins(store: &dyn Store) {
    let writes =
        (0..16).map(|n| store.put_if(item("race", "a", json!({ "n": n })), Condition::Absent));
    let won = futures_util::future::join_all(writes).await;
    assert_eq!(won.into_iter().filter(|won| *won.as_ref().unwrap()).count(), 1);
}

async fn a_query_gives_a_prefix_in_order(store: &dyn Store) {
    let written = ["b#2", "a#1", "b#10", "b", "c#1", "ä#1", "b#"];
    store.put(written.iter().map(|sort| item("order", sort, json!({}))).collect()).await.unwrap();
    store.put(vec![item("order2", "b#3", json!({}))]).await.unwrap();
    assert_eq!(sorts(&all(store, "order", "b#").await), ["b#", "b#10", "b#2"]);
    let whole = ["a#1", "b", "b#", "b#10", "b#2", "c#1", "ä#1"];
    assert_eq!(sorts(&all(store, "order", "").await), whole);
    assert!(all(store, "nothing", "").await.is_empty());
}

async fn pages_join_to_the_whole(store: &dyn Store) {
    let names: Vec<_> = (0..10).map(|n| format!("x{n}")).collect();
    store.put(names.iter().map(|name| item("pages", name, json!({}))).collect()).await.unwrap();
    let first = store.query("pages", "x", None).await.unwrap();
    assert_eq!((sorts(&first.items), first.next.is_some()), (vec!["x0", "x1", "x2"], true));
    assert_eq!(sorts(&all(store, "pages", "x").await), names);
    let behind = Some(Cursor(Key::new("pages", "x7")));
    assert_eq!(sorts(&store.query("pages", "x", behind).await.unwrap().items), ["x8", "x9"]);
}

async fn expired_items_do_not_end_a_query(store: &dyn Store) {
    let items = (0..9).map(|n| {
        let item = item("gaps", &format!("{n}"), json!({}));
        if n % 4 == 0 { item } else { item.lasting(-1.0) }
    });
    store.put(items.collect()).await.unwrap();
    assert_eq!(sorts(&all(store, "gaps", "").await), ["0", "4", "8"]);
}

async fn many_items_are_written_and_removed_at_once(store: &dyn Store) {
    let items: Vec<_> = (0..130).map(|n| item("many", &format!("{n:03}"), json!({}))).collect();
    store.put(items.clone()).await.unwrap();
    assert_eq!(all(store, "many", "").await, items);
    let keys = items.iter().skip(1).map(|item| item.key.clone());
    store.delete(keys.chain([Key::new("many", "absent")]).collect()).await.unwrap();
    assert_eq!(sorts(&all(store, "many", "").await), ["000"]);
    store.put(Vec::new()).await.unwrap();
    store.delete(Vec::new()).await.unwrap();
    let twice = vec![item("many", "t", json!({ "n": 1 })), item("many", "t", json!({ "n": 2 }))];
    store.put(twice).await.expect("of two items with one key the last counts");
    assert_eq!(store.get(&Key::new("many", "t")).await.unwrap().unwrap().fields["n"], 2);
    store.delete(vec![Key::new("many", "t"); 2]).await.expect("a key named twice is no fault");
}

async fn what_is_too_large_is_refused(store: &dyn Store) {
    let long = "k".repeat(2049);
    for unfit in [
        item("", "a", json!({})),
        item(&long, "a", json!({})),
        item("large", &long, json!({})),
        item("large", "a", json!({ "text": "x".repeat(410_000) })),
    ] {
        let refused = store.put(vec![unfit]).await.unwrap_err();
        assert!(matches!(refused, StoreError::Refused(_)), "{refused}");
    }
}

/// What is in a partition, page by page.
async fn all(store: &dyn Store, partition: &str, prefix: &str) -> Vec<Item> {
    let mut items = Vec::new();
    let mut after = None;
    for _ in 0..1000 {
        let page = store.query(partition, prefix, after).await.unwrap();
        items.extend(page.items);
        match page.next {
            Some(next) => after = Some(next),
            None => return items,
        }
    }
    panic!("a query of `{partition}` does not end");
}

fn item(partition: &str, sort: &str, fields: Value) -> Item {
    Item::new(Key::new(partition, sort), fields)
}

fn sorts(items: &[Item]) -> Vec<&str> {
    items.iter().map(|item| item.key.sort.as_str()).collect()
}
