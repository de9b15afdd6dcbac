//! A store in a table of Amazon DynamoDB.

mod attributes;
mod failure;
mod write;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::retry::RetryConfig;
use aws_sdk_dynamodb::types::{AttributeValue, DeleteRequest, PutRequest, WriteRequest};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;

pub use self::attributes::Attributes;
use self::failure::failure;
use super::index::has_expired;
use super::limits::{check_item, check_key};
use super::{Condition, Cursor, Item, Key, Page, Store, StoreError, now};

/// How often the SDK tries a request, the first time among them: throttling passes in
/// seconds.
const ATTEMPTS: u32 = 8;

/// A store in a table of Amazon DynamoDB, or of what speaks its API: Fanwire's embedded one,
/// say. The table needs a partition key and, unless [`Attributes`] say otherwise, a sort
/// key, both strings: `pk` and `sk`; and `expireAt` as its time to live, so that it removes
/// what has expired.
///
/// Reads are strongly consistent: what was written is found. Items are native ones, so that
/// other programs can work on the same table. DynamoDB knows no difference between the
/// numbers 1 and 1.0, so neither does this store.
///
/// ```no_run
/// use fanwire::store::{DynamoDb, Item, Key, Store};
/// use serde_json::json;
///
/// # async fn example() -> Result<(), fanwire::store::StoreError> {
/// let store = DynamoDb::from_env("my-table").await;
/// store.put(vec![Item::new(Key::new("user#1", "profile"), json!({ "name": "Ann" }))]).await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct DynamoDb {
    client: Client,
    table: String,
    attributes: Attributes,
    /// Items that a page is made of at most.
    page: Option<i32>,
}

// === impl DynamoDb ===

impl DynamoDb {
    /// The table of that name, with credentials, region and endpoint of the environment, as
    /// every AWS SDK has them.
    pub async fn from_env(table: impl Into<String>) -> Self {
        let retries = RetryConfig::standard().with_max_attempts(ATTEMPTS);
        let version = aws_config::BehaviorVersion::latest();
        let config = aws_config::defaults(version).retry_config(retries).load().await;
        Self::new(Client::new(&config), table)
    }

    /// The table of that name, by a client of one's own: it says how often a throttled
    /// request is tried again.
    pub fn new(client: Client, table: impl Into<String>) -> Self {
        Self { client, table: table.into(), attributes: Attributes::default(), page: None }
    }

    /// Says what the table calls its keys and its expiry.
    #[must_use]
    pub fn with_attributes(mut self, attributes: Attributes) -> Self {
        self.attributes = attributes;
        self
    }

    /// Answers queries in pages of at most so many items, expired ones among them. Unless
    /// said otherwise a page is 1 MB.
    #[must_use]
    pub fn pages_of(mut self, items: usize) -> Self {
        self.page = Some(i32::try_from(items.max(1)).unwrap_or(i32::MAX));
        self
    }

    async fn put_all(&self, items: Vec<Item>) -> Result<(), StoreError> {
        let mut requests = Vec::with_capacity(items.len());
        for item in items {
            check_item(&item)?;
            let put = PutRequest::builder().set_item(Some(self.attributes.item(&item)?)).build();
            // It has what it needs: an item.
            let put = put.map_err(|error| StoreError::Refused(error.to_string()))?;
            requests.push((item.key, WriteRequest::builder().put_request(put).build()));
        }
        write::all(&self.client, &self.table, requests).await
    }

    async fn put_one_if(&self, item: &Item, condition: Condition) -> Result<bool, StoreError> {
        check_item(item)?;
        let expression = match condition {
            Condition::Absent => "attribute_not_exists(#p) OR #e <= :now",
            Condition::Present => {
                "attribute_exists(#p) AND (attribute_not_exists(#e) OR #e > :now)"
            }
        };
        let put = self.client.put_item().table_name(&self.table);
        let put = put
            .set_item(Some(self.attributes.item(item)?))
            .condition_expression(expression)
            .expression_attribute_names("#p", &self.attributes.partition)
            .expression_attribute_names("#e", &self.attributes.expiry)
            .expression_attribute_values(":now", number(now()));
        match put.send().await {
            Ok(_) => Ok(true),
            Err(error) if failure::is_unmet(&error) => Ok(false),
            Err(error) => Err(failure(error)),
        }
    }

    async fn get_one(&self, key: &Key) -> Result<Option<Item>, StoreError> {
        check_key(key)?;
        let get = self.client.get_item().table_name(&self.table).consistent_read(true);
        let found = get.set_key(Some(self.attributes.key(key)?)).send().await.map_err(failure)?;
        let item = found.item.map(|item| self.attributes.read(item)).transpose()?;
        Ok(item.filter(|item| !has_expired(item, now())))
    }

    async fn delete_all(&self, keys: Vec<Key>) -> Result<(), StoreError> {
        let mut requests = Vec::with_capacity(keys.len());
        for key in keys {
            check_key(&key)?;
            let delete = DeleteRequest::builder().set_key(Some(self.attributes.key(&key)?)).build();
            // It has what it needs: a key.
            let delete = delete.map_err(|error| StoreError::Refused(error.to_string()))?;
            requests.push((key, WriteRequest::builder().delete_request(delete).build()));
        }
        write::all(&self.client, &self.table, requests).await
    }

    async fn query_page(
        &self,
        partition: &str,
        prefix: &str,
        after: Option<Cursor>,
    ) -> Result<Page, StoreError> {
        let mut query = self
            .client
            .query()
            .table_name(&self.table)
            .consistent_read(true)
            .set_limit(self.page)
            .expression_attribute_names("#p", &self.attributes.partition)
            .expression_attribute_values(":p", AttributeValue::S(partition.to_owned()))
            .filter_expression("attribute_not_exists(#e) OR #e > :now")
            .expression_attribute_names("#e", &self.attributes.expiry)
            .expression_attribute_values(":now", number(now()));
        query = match &self.attributes.sort {
            // An empty string is no key: nothing begins with it as far as DynamoDB knows.
            Some(sort) if !prefix.is_empty() => query
                .key_condition_expression("#p = :p AND begins_with(#s, :s)")
                .expression_attribute_names("#s", sort)
                .expression_attribute_values(":s", AttributeValue::S(prefix.to_owned())),
            None if !prefix.is_empty() => return Ok(Page::default()),
            _ => query.key_condition_expression("#p = :p"),
        };
        if let Some(Cursor(key)) = after {
            query = query.set_exclusive_start_key(Some(self.attributes.key(&key)?));
        }
        let found = query.send().await.map_err(failure)?;
        let items = found.items.unwrap_or_default().into_iter();
        let items = items.map(|item| self.attributes.read(item)).collect::<Result<_, _>>()?;
        let next = found.last_evaluated_key.filter(|key| !key.is_empty());
        let next = next.map(|key| self.attributes.read(key)).transpose()?;
        Ok(Page { items, next: next.map(|item| Cursor(item.key)) })
    }
}

impl Store for DynamoDb {
    fn put(&self, items: Vec<Item>) -> BoxFuture<'_, Result<(), StoreError>> {
        self.put_all(items).boxed()
    }

    fn put_if(&self, item: Item, condition: Condition) -> BoxFuture<'_, Result<bool, StoreError>> {
        async move { self.put_one_if(&item, condition).await }.boxed()
    }

    fn get<'a>(&'a self, key: &'a Key) -> BoxFuture<'a, Result<Option<Item>, StoreError>> {
        self.get_one(key).boxed()
    }

    fn delete(&self, keys: Vec<Key>) -> BoxFuture<'_, Result<(), StoreError>> {
        self.delete_all(keys).boxed()
    }

    fn query<'a>(
        &'a self,
        partition: &'a str,
        prefix: &'a str,
        after: Option<Cursor>,
    ) -> BoxFuture<'a, Result<Page, StoreError>> {
        self.query_page(partition, prefix, after).boxed()
    }
}

fn number(number: f64) -> AttributeValue {
    AttributeValue::N(number.to_string())
}
