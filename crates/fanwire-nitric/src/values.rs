//! Key-value stores: objects by their keys, in the place of collections since 1.0
//! (reference: nitric.md, section 3). The SDK 1.0 cannot list keys; later ones can.

use std::ops::{Bound, ControlFlow};

use futures_util::{Stream, StreamExt as _, stream};
use prost::Message as _;
use tonic::Status;

use crate::documents::refused;
use crate::items::{ItemKey, Items};
use crate::proto::Empty;
use crate::proto::structure::Struct;
use crate::proto::v1::{
    ScanKeysRequest, ScanKeysResponse, SetValueRequest, Value, ValueRef, ValueRequest,
    ValueResponse,
};
use crate::resources::check_name;

/// What the spaces of stores begin with.
const SPACE: &str = "values";

/// The most keys that are looked up at once.
const KEYS_PER_PAGE: usize = 1000;

/// `GetValue`: a value, or none.
pub(crate) fn get(items: &Items, request: ValueRequest) -> Result<ValueResponse, Status> {
    let reference = request.reference.unwrap_or_default();
    let Some(value) = items.get(&locate(&reference)?) else {
        return Ok(ValueResponse { value: None });
    };
    let content = Struct::decode(value)
        .map_err(|error| Status::data_loss(format!("a value cannot be read: {error}")))?;
    let value = Value { reference: Some(reference), content: Some(content) };
    Ok(ValueResponse { value: Some(value) })
}

/// `SetValue`: a value in the place of the one that may be there.
pub(crate) async fn set(items: &Items, request: SetValueRequest) -> Result<Empty, Status> {
    let item = locate(&request.reference.unwrap_or_default())?;
    let content = request.content.unwrap_or_default();
    items.put(item, content.encode_to_vec().into()).await.map_err(|error| refused(&error))?;
    Ok(Empty {})
}

/// `DeleteKey`: a value, if it is there.
pub(crate) async fn delete(items: &Items, request: ValueRequest) -> Result<Empty, Status> {
    let item = locate(&request.reference.unwrap_or_default())?;
    items.remove(vec![item]).await.map_err(|error| refused(&error))?;
    Ok(Empty {})
}

/// `ScanKeys`: the keys that begin with a text, or all, in their order.
pub(crate) fn scan(
    items: Items,
    request: ScanKeysRequest,
) -> Result<impl Stream<Item = Result<ScanKeysResponse, Status>>, Status> {
    let space = space(&request.store.unwrap_or_default().name)?;
    let prefix = request.prefix;
    let begin = Bound::Included(ItemKey::new(&space, "", &prefix));
    let pages = stream::unfold(Some(begin), move |from| {
        let page = from.map(|from| keys(&items, &space, from, &prefix));
        async move { page }
    });
    Ok(pages.flat_map(stream::iter).map(|key| Ok(ScanKeysResponse { key })))
}

/// A page of the keys of a space that begin with a text, and where the next one begins.
fn keys(
    items: &Items,
    space: &str,
    from: Bound<ItemKey>,
    prefix: &str,
) -> (Vec<String>, Option<Bound<ItemKey>>) {
    let (mut keys, mut next) = (Vec::new(), None);
    items.scan(space, None, from, |key, _| {
        if !key.id.starts_with(prefix) {
            return ControlFlow::Break(());
        }
        keys.push(key.id.clone());
        if keys.len() < KEYS_PER_PAGE {
            return ControlFlow::Continue(());
        }
        next = Some(Bound::Excluded(key.clone()));
        ControlFlow::Break(())
    });
    (keys, next)
}

fn space(store: &str) -> Result<String, Status> {
    check_name("key-value store", store)?;
    Ok(format!("{SPACE}\0{store}"))
}

fn locate(reference: &ValueRef) -> Result<ItemKey, Status> {
    if reference.key.is_empty() {
        return Err(Status::invalid_argument("a value needs a key"));
    }
    Ok(ItemKey::new(&space(&reference.store)?, "", &reference.key))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::v1::Store;

    async fn set_key(items: &Items, store: &str, key: &str) {
        let reference = Some(ValueRef { store: store.to_owned(), key: key.to_owned() });
        set(items, SetValueRequest { reference, content: None }).await.unwrap();
    }

    async fn scanned(items: &Items, prefix: &str) -> Vec<String> {
        let request = ScanKeysRequest {
            store: Some(Store { name: "s".to_owned() }),
            prefix: prefix.to_owned(),
        };
        let keys = scan(items.clone(), request).unwrap();
        keys.map(|key| key.unwrap().key).collect().await
    }

    #[tokio::test]
    async fn keys_are_listed_by_their_beginning_over_many_pages() {
        let items = Items::open(None).unwrap();
        for number in 0..2 * KEYS_PER_PAGE {
            set_key(&items, "s", &format!("b{number:05}")).await;
        }
        for (store, key) in [("s", "a"), ("s", "b"), ("s", "c"), ("t", "b")] {
            set_key(&items, store, key).await;
        }
        assert_eq!(scanned(&items, "").await.len(), 2 * KEYS_PER_PAGE + 3);
        let listed = scanned(&items, "b").await;
        assert_eq!(listed.len(), 2 * KEYS_PER_PAGE + 1);
        assert_eq!((&*listed[0], &*listed[1]), ("b", "b00000"));
        assert_eq!(scanned(&items, "b0000").await.len(), 10);
        assert_eq!(scanned(&items, "x").await, [""; 0]);
    }

    #[tokio::test]
    async fn a_value_that_is_not_there_is_none() {
        let items = Items::open(None).unwrap();
        let request = || {
            let reference = ValueRef { store: "s".to_owned(), key: "k".to_owned() };
            ValueRequest { reference: Some(reference) }
        };
        assert_eq!(get(&items, request()).unwrap(), ValueResponse { value: None });
        set_key(&items, "s", "k").await;
        assert!(get(&items, request()).unwrap().value.is_some());
        delete(&items, request()).await.unwrap();
        delete(&items, request()).await.unwrap();
        assert_eq!(get(&items, request()).unwrap(), ValueResponse { value: None });
        assert!(get(&items, ValueRequest { reference: None }).is_err());
    }
}
