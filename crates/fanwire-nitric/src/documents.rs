//! Collections: documents by their ids, with one level of collections below them, and
//! queries over them (reference: nitric.md, section 2). What Nitric's SDKs had until 1.0.

use std::collections::HashMap;
use std::ops::{Bound, ControlFlow};

use futures_util::{Stream, StreamExt as _, stream};
use prost::Message as _;
use tonic::Status;

use crate::items::{ItemKey, Items, ItemsError};
use crate::proto::Empty;
use crate::proto::structure::Struct;
use crate::proto::v0::{
    Collection, Document, DocumentKeyRequest, DocumentQueryRequest, DocumentQueryResponse,
    DocumentResponse, DocumentSetRequest, Key,
};
use crate::query::{Condition, conditions};
use crate::resources::check_name;

/// What the spaces of documents begin with.
const SPACE: &str = "documents";

/// The bytes of documents in one answer, as in DynamoDB: the rest comes with the next
/// page. Clients of gRPC take 4 MB in a message.
const MAX_PAGE_BYTES: usize = 1024 * 1024;

/// The members of a paging token.
const AFTER: &str = "after";
const AFTER_PARENT: &str = "after-parent";

/// A collection, checked.
#[derive(Debug, Clone)]
struct Place {
    space: String,
    /// Whose the documents are. For a sub-collection without a parent: everybody's.
    group: Option<String>,
    /// As the request names it.
    collection: Collection,
}

/// What a query asks for.
#[derive(Debug)]
struct Query {
    place: Place,
    conditions: Vec<Condition>,
    /// Documents that are still wanted.
    left: usize,
    after: Option<ItemKey>,
}

/// `Get`: a document, or `NOT_FOUND`.
pub(crate) fn get(items: &Items, request: DocumentKeyRequest) -> Result<DocumentResponse, Status> {
    let key = request.key.unwrap_or_default();
    let (place, item) = locate(&key)?;
    let Some(value) = items.get(&item) else {
        return Err(Status::not_found(format!("there is no document `{}`", key.id)));
    };
    Ok(DocumentResponse { document: Some(document(&place, &item, &value)?) })
}

/// `Set`: a document in the place of the one that may be there.
pub(crate) async fn set(items: &Items, request: DocumentSetRequest) -> Result<Empty, Status> {
    let (_, item) = locate(&request.key.unwrap_or_default())?;
    // `set({})` sends an empty one, which is a document without fields.
    let content = request.content.unwrap_or_default();
    items.put(item, content.encode_to_vec().into()).await.map_err(|error| refused(&error))?;
    Ok(Empty {})
}

/// `Delete`: a document, if it is there, and all in the collections below it.
pub(crate) async fn delete(items: &Items, request: DocumentKeyRequest) -> Result<Empty, Status> {
    let (place, item) = locate(&request.key.unwrap_or_default())?;
    let mut keys = Vec::new();
    if place.collection.parent.is_none() {
        for space in items.spaces(&format!("{}\0", place.space)) {
            items.scan(&space, Some(&item.id), Bound::Unbounded, |key, _| {
                keys.push(key.clone());
                ControlFlow::Continue(())
            });
        }
    }
    keys.push(item);
    items.remove(keys).await.map_err(|error| refused(&error))?;
    Ok(Empty {})
}

/// `Query`: a page of documents, and a token where there may be more.
pub(crate) fn query(
    items: &Items,
    request: DocumentQueryRequest,
) -> Result<DocumentQueryResponse, Status> {
    let token = request.paging_token.clone();
    let mut query = Query::read(request)?;
    query.after = query.place.after(&token);
    let documents = query.page(items)?;
    let paging_token = query.after.map(|key| paging_token(&key)).unwrap_or_default();
    Ok(DocumentQueryResponse { documents, paging_token })
}

/// `QueryStream`: all documents, one after the other.
pub(crate) fn query_stream(
    items: Items,
    request: DocumentQueryRequest,
) -> Result<impl Stream<Item = Result<DocumentResponse, Status>>, Status> {
    let query = Query::read(request)?;
    let pages = stream::unfold(Some(query), move |query| {
        let items = items.clone();
        async move {
            let mut query = query?;
            let page = query.page(&items);
            let more = page.is_ok() && query.after.is_some() && query.left > 0;
            Some((page, more.then_some(query)))
        }
    });
    Ok(pages.flat_map(|page| {
        let answers: Vec<_> = match page {
            Ok(documents) => documents
                .into_iter()
                .map(|document| Ok(DocumentResponse { document: Some(document) }))
                .collect(),
            Err(status) => vec![Err(status)],
        };
        stream::iter(answers)
    }))
}

// === impl Query ===

impl Query {
    fn read(request: DocumentQueryRequest) -> Result<Self, Status> {
        let DocumentQueryRequest { collection, expressions, limit, .. } = request;
        let place = Place::of(&collection.unwrap_or_default(), true)?;
        let limit = usize::try_from(limit)
            .map_err(|_| Status::invalid_argument("a limit is 0, for none, or more"))?;
        let left = if limit == 0 { usize::MAX } else { limit };
        Ok(Self { place, conditions: conditions(expressions)?, left, after: None })
    }

    /// The next documents. `after` is where the page after them begins, if there may be
    /// one.
    fn page(&mut self, items: &Items) -> Result<Vec<Document>, Status> {
        let Self { place, conditions, left, after } = self;
        let from = after.take().map_or(Bound::Unbounded, Bound::Excluded);
        let (mut documents, mut bytes, mut failed) = (Vec::new(), 0, None);
        items.scan(&place.space, place.group.as_deref(), from, |key, value| {
            match matching(place, conditions, key, value) {
                Ok(None) => return ControlFlow::Continue(()),
                Ok(Some(document)) => documents.push(document),
                Err(status) => {
                    failed = Some(status);
                    return ControlFlow::Break(());
                }
            }
            *left -= 1;
            bytes += value.len();
            if *left == 0 || bytes >= MAX_PAGE_BYTES {
                *after = Some(key.clone());
                return ControlFlow::Break(());
            }
            ControlFlow::Continue(())
        });
        failed.map_or(Ok(documents), Err)
    }
}

/// An item as a document, where it is one that is asked for.
fn matching(
    place: &Place,
    conditions: &[Condition],
    key: &ItemKey,
    value: &[u8],
) -> Result<Option<Document>, Status> {
    let document = document(place, key, value)?;
    let content = document.content.as_ref();
    let all_hold = content.is_some_and(|content| conditions.iter().all(|each| each.holds(content)));
    Ok(all_hold.then_some(document))
}

fn document(place: &Place, key: &ItemKey, value: &[u8]) -> Result<Document, Status> {
    let content = Struct::decode(value)
        .map_err(|error| Status::data_loss(format!("a document cannot be read: {error}")))?;
    let mut collection = place.collection.clone();
    if let Some(parent) = &mut collection.parent {
        parent.id.clone_from(&key.group);
    }
    let key = Key { collection: Some(collection), id: key.id.clone() };
    Ok(Document { content: Some(content), key: Some(key) })
}

/// Where a document is.
fn locate(key: &Key) -> Result<(Place, ItemKey), Status> {
    let place = Place::of(key.collection.as_ref().unwrap_or(&Collection::default()), false)?;
    if key.id.is_empty() {
        return Err(Status::invalid_argument("a document needs an id"));
    }
    let item = ItemKey::new(&place.space, place.group.as_deref().unwrap_or_default(), &key.id);
    Ok((place, item))
}

// === impl Place ===

impl Place {
    /// `any_parent`: whether a sub-collection may be that of all parents.
    fn of(collection: &Collection, any_parent: bool) -> Result<Self, Status> {
        check_name("collection", &collection.name)?;
        let Some(parent) = &collection.parent else {
            let space = format!("{SPACE}\0{}", collection.name);
            return Ok(Self { space, group: Some(String::new()), collection: collection.clone() });
        };
        let root = parent.collection.clone().unwrap_or_default();
        check_name("collection", &root.name)?;
        if root.parent.is_some() {
            let why = "collections can be nested once, and no deeper";
            return Err(Status::invalid_argument(why));
        }
        let group = Some(parent.id.clone()).filter(|id| !id.is_empty());
        if group.is_none() && !any_parent {
            return Err(Status::invalid_argument("the parent document needs an id"));
        }
        let space = format!("{SPACE}\0{}\0{}", root.name, collection.name);
        Ok(Self { space, group, collection: collection.clone() })
    }

    /// What a paging token says.
    fn after(&self, token: &HashMap<String, String>) -> Option<ItemKey> {
        let group = token.get(AFTER_PARENT).map(String::as_str).unwrap_or_default();
        token.get(AFTER).map(|id| ItemKey::new(&self.space, group, id))
    }
}

fn paging_token(after: &ItemKey) -> HashMap<String, String> {
    let mut token = HashMap::from([(AFTER.to_owned(), after.id.clone())]);
    if !after.group.is_empty() {
        token.insert(AFTER_PARENT.to_owned(), after.group.clone());
    }
    token
}

/// What the items say, as clients of gRPC hear it.
pub(crate) fn refused(error: &ItemsError) -> Status {
    let text = error.to_string();
    match error {
        ItemsError::TooLarge(_) => Status::invalid_argument(text),
        ItemsError::Full(_) => Status::resource_exhausted(text),
        ItemsError::Failed(_) | ItemsError::Damaged => Status::internal(text),
    }
}

#[cfg(test)]
mod tests;
