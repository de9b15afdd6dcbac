//! Finding documents.

use std::cmp::Ordering;
use std::collections::VecDeque;
use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_util::Stream;
use futures_util::stream::{self, BoxStream, StreamExt as _, TryStreamExt as _};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::{Collection, CollectionError, Document};
use crate::store::{Cursor, Item};

/// Which documents of a collection are wanted: those for which all of its conditions hold,
/// in the order of their ids.
///
/// Conditions are looked at here, after the documents were read: a narrow
/// [`prefix`](Self::prefix) is what makes a query of many documents cheap.
#[must_use = "a query does nothing until it is streamed or a page of it is asked for"]
pub struct Query<T> {
    collection: Collection<T>,
    prefix: String,
    conditions: Vec<Condition>,
    limit: usize,
}

/// How a field is compared. A field that is not there, or is of another type, compares as
/// nothing: the condition does not hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operator {
    /// `==`
    Equal,
    /// `!=`
    NotEqual,
    /// `<`
    Less,
    /// `<=`
    LessOrEqual,
    /// `>`
    Greater,
    /// `>=`
    GreaterOrEqual,
    /// Of a text, how it begins.
    StartsWith,
}

#[derive(Clone, Debug)]
struct Condition {
    field: String,
    operator: Operator,
    value: Value,
}

/// Some of the documents that a query finds.
#[derive(Clone, Debug, PartialEq)]
pub struct Page<T> {
    /// The documents.
    pub documents: Vec<Document<T>>,
    /// Where the next page begins; `None` after the last.
    pub next: Option<Cursor>,
}

/// The documents that a query finds, as they are read. It is a [`Stream`], and has a
/// [`try_next`](Self::try_next) for those who need no more.
#[must_use = "nothing is read before it is asked for"]
pub struct Documents<T> {
    stream: BoxStream<'static, Result<Document<T>, CollectionError>>,
}

// === impl Query ===

impl<T> Query<T> {
    pub(super) fn new(collection: Collection<T>) -> Self {
        let (prefix, conditions) = (String::new(), Vec::new());
        Self { collection, prefix, conditions, limit: usize::MAX }
    }

    /// Only documents whose id begins so.
    pub fn prefix(mut self, prefix: impl Into<String>) -> Self {
        self.prefix = prefix.into();
        self
    }

    /// Only documents whose field is as this says.
    pub fn r#where(
        mut self,
        field: impl Into<String>,
        operator: Operator,
        value: impl Into<Value>,
    ) -> Self {
        self.conditions.push(Condition { field: field.into(), operator, value: value.into() });
        self
    }

    /// No more than so many documents.
    pub fn limit(mut self, limit: usize) -> Self {
        self.limit = limit;
        self
    }

    /// The ids of the documents, all at once.
    pub async fn ids(self) -> Result<Vec<String>, CollectionError>
    where
        T: 'static,
    {
        self.items().map_ok(|item| item.key.sort).try_collect().await
    }

    /// The items of the documents, read page by page.
    fn items(self) -> BoxStream<'static, Result<Item, CollectionError>>
    where
        T: 'static,
    {
        let reading = Reading { after: None, read: VecDeque::new(), ended: false };
        let limit = self.limit;
        let items = stream::try_unfold((self, reading), async |(query, mut reading)| {
            let item = query.next(&mut reading).await?;
            Ok(item.map(|item| (item, (query, reading))))
        });
        Box::pin(items.take(limit))
    }

    /// The next item that is wanted.
    async fn next(&self, reading: &mut Reading) -> Result<Option<Item>, CollectionError> {
        loop {
            while let Some(item) = reading.read.pop_front() {
                if self.wants(&item.fields) {
                    return Ok(Some(item));
                }
            }
            if reading.ended {
                return Ok(None);
            }
            self.read_on(reading).await?;
        }
    }

    async fn read_on(&self, reading: &mut Reading) -> Result<(), CollectionError> {
        let Collection { store, name, .. } = &self.collection;
        let page = store.query(name, &self.prefix, reading.after.take()).await?;
        reading.ended = page.next.is_none();
        reading.after = page.next;
        reading.read = page.items.into();
        Ok(())
    }

    fn wants(&self, fields: &Map<String, Value>) -> bool {
        self.conditions.iter().all(|condition| condition.holds(fields))
    }
}

/// How far a query has read.
struct Reading {
    after: Option<Cursor>,
    read: VecDeque<Item>,
    ended: bool,
}

impl<T: DeserializeOwned + Send + 'static> Query<T> {
    /// The documents, read as they are asked for.
    pub fn stream(self) -> Documents<T> {
        let collection = self.collection.clone();
        let document = move |item: Result<Item, CollectionError>| collection.document(item?);
        Documents { stream: Box::pin(self.items().map(document)) }
    }

    /// A page of the documents, from behind `after`: where the page before has ended, or
    /// `None` for the first. A page may be short, or empty, with more to come.
    pub async fn page(&self, after: Option<Cursor>) -> Result<Page<T>, CollectionError> {
        let Collection { store, name, .. } = &self.collection;
        let page = store.query(name, &self.prefix, after).await?;
        let mut wanted = page.items.into_iter().filter(|item| self.wants(&item.fields));
        let mut documents = Vec::new();
        for item in wanted.by_ref().take(self.limit) {
            documents.push(self.collection.document(item)?);
        }
        // The limit may end a page before the store does.
        let next = match (wanted.next(), documents.last()) {
            (Some(_), Some(last)) => Some(Cursor(self.collection.key(&last.id))),
            _ => page.next,
        };
        Ok(Page { documents, next })
    }
}

impl<T> fmt::Debug for Query<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Query")
            .field("collection", &self.collection)
            .field("prefix", &self.prefix)
            .field("conditions", &self.conditions)
            .field("limit", &self.limit)
            .finish()
    }
}

// === impl Condition ===

impl Condition {
    fn holds(&self, fields: &Map<String, Value>) -> bool {
        let Some(found) = fields.get(&self.field) else { return false };
        if self.operator == Operator::StartsWith {
            let texts = found.as_str().zip(self.value.as_str());
            return texts.is_some_and(|(found, start)| found.starts_with(start));
        }
        let Some(order) = compare(found, &self.value) else { return false };
        match self.operator {
            Operator::Equal => order.is_eq(),
            Operator::NotEqual => order.is_ne(),
            Operator::Less => order.is_lt(),
            Operator::LessOrEqual => order.is_le(),
            Operator::Greater => order.is_gt(),
            Operator::GreaterOrEqual => order.is_ge(),
            Operator::StartsWith => false,
        }
    }
}

/// The order of two values of one type.
fn compare(one: &Value, other: &Value) -> Option<Ordering> {
    match (one, other) {
        (Value::String(one), Value::String(other)) => Some(one.cmp(other)),
        (Value::Bool(one), Value::Bool(other)) => Some(one.cmp(other)),
        (Value::Number(one), Value::Number(other)) => match (one.as_i64(), other.as_i64()) {
            // As floating point numbers, large ones would be equal that are not.
            (Some(one), Some(other)) => Some(one.cmp(&other)),
            _ => one.as_f64()?.partial_cmp(&other.as_f64()?),
        },
        _ => None,
    }
}

// === impl Documents ===

impl<T> Documents<T> {
    /// The next document; `None` after the last.
    pub async fn try_next(&mut self) -> Result<Option<Document<T>>, CollectionError> {
        self.stream.try_next().await
    }
}

impl<T> Stream for Documents<T> {
    type Item = Result<Document<T>, CollectionError>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.stream.as_mut().poll_next(context)
    }
}

impl<T> fmt::Debug for Documents<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Documents")
    }
}
