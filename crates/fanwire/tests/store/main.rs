//! One suite for every store: what holds for one holds for all.

#![allow(clippy::unwrap_used, clippy::expect_used)]

#[cfg(all(feature = "dynamodb", feature = "server"))]
mod dynamodb;
mod suite;

use std::sync::Arc;

use fanwire::store::{Item, Key, Memory, Store, StoreError};
use serde_json::json;

#[tokio::test]
async fn memory_is_a_store() {
    suite::run(&|page| Arc::new(Memory::new().pages_of(page))).await;
}

#[tokio::test]
async fn memory_refuses_what_it_has_no_room_for_until_something_expires() {
    let store = Memory::with_room(2);
    let item = |sort: &str, seconds| Item::new(Key::new("p", sort), json!({})).lasting(seconds);
    store.put(vec![item("a", 60.0), item("b", -1.0)]).await.unwrap();
    store.put(vec![item("c", 60.0)]).await.expect("b has expired and leaves room");
    let full = store.put(vec![item("d", 60.0)]).await.unwrap_err();
    assert!(matches!(full, StoreError::Busy(_)), "{full}");
    store.put(vec![item("a", 90.0)]).await.expect("what is there can be replaced");
}

#[cfg(feature = "server")]
mod embedded {
    use super::*;
    use fanwire::store::Embedded;

    #[tokio::test]
    async fn embedded_is_a_store() {
        let folder = tempfile::tempdir().unwrap();
        let store = Embedded::open(folder.path()).unwrap();
        suite::run(&|page| Arc::new(store.clone().pages_of(page))).await;
    }

    #[tokio::test]
    async fn embedded_has_what_it_acknowledged_when_it_is_opened_again() {
        let folder = tempfile::tempdir().unwrap();
        let store = Embedded::open(folder.path()).unwrap();
        // A number that comes back as its neighbour where digits are read in a hurry.
        let item =
            |sort: &str| Item::new(Key::new("p", sort), json!({ "n": 1_795_706_754.010_764_1 }));
        let expired = item("expired").lasting(-1.0);
        let lasting = item("lasting").lasting(60.0);
        store.put(vec![item("a"), item("b"), expired, lasting.clone()]).await.unwrap();
        store.delete(vec![Key::new("p", "a")]).await.unwrap();
        drop(store);

        let again = Embedded::open(folder.path()).unwrap();
        let page = again.query("p", "", None).await.unwrap();
        assert_eq!(page.items, [item("b"), lasting]);
    }
}
