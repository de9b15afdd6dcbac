//! The store that the environment names, so that one `main` has one in every home.

use std::env;
#[cfg(feature = "server")]
use std::path::PathBuf;
use std::sync::Arc;

use super::{Memory, Store, StoreError};

/// The DynamoDB table of an app.
const TABLE: &str = "FANWIRE_TABLE";

/// The folder of an app that is a server.
#[cfg(feature = "server")]
const FOLDER: &str = "FANWIRE_DATA";

/// The store that the environment names: with `FANWIRE_TABLE` that DynamoDB table (feature
/// `dynamodb`; keys `pk` and `sk`, expiry `expireAt`), with `FANWIRE_DATA` a folder, where an
/// app that is a server keeps all else, too. Without either the store is in memory, which is
/// no good to a function: its processes come and go, and share nothing.
///
/// ```
/// let store = fanwire::store::from_env()?;
/// # Ok::<(), fanwire::store::StoreError>(())
/// ```
///
/// # Errors
///
/// Where the folder cannot be used, the feature is not compiled in, or the app is a function
/// and nothing is named.
pub fn from_env() -> Result<Arc<dyn Store>, StoreError> {
    let variable = |name: &str| env::var(name).ok().filter(|value| !value.is_empty());
    if let Some(table) = variable(TABLE) {
        return table_of(&table);
    }
    #[cfg(feature = "server")]
    if let Some(folder) = variable(FOLDER) {
        let folder = PathBuf::from(folder).join("store");
        return Ok(Arc::new(super::Embedded::open(folder)?));
    }
    if variable("AWS_LAMBDA_RUNTIME_API").is_some() {
        return Err(StoreError::Failed(format!(
            "a function's processes share no memory: set {TABLE} to the name of a DynamoDB table"
        )));
    }
    Ok(Arc::new(Memory::new()))
}

#[cfg(feature = "dynamodb")]
fn table_of(table: &str) -> Result<Arc<dyn Store>, StoreError> {
    Ok(Arc::new(deferred::Table::new(table.to_owned())))
}

#[cfg(not(feature = "dynamodb"))]
fn table_of(table: &str) -> Result<Arc<dyn Store>, StoreError> {
    Err(StoreError::Failed(format!(
        "{TABLE} is `{table}`, and the feature `dynamodb` of the crate fanwire is not compiled in"
    )))
}

/// A table whose client is made when it is first needed: that takes a runtime, which a `main`
/// does not have yet when it makes its app.
#[cfg(feature = "dynamodb")]
mod deferred {
    use futures_util::FutureExt as _;
    use futures_util::future::BoxFuture;
    use tokio::sync::OnceCell;

    use crate::store::{Condition, Cursor, DynamoDb, Item, Key, Page, Store, StoreError};

    #[derive(Debug)]
    pub(super) struct Table {
        name: String,
        table: OnceCell<DynamoDb>,
    }

    impl Table {
        pub(super) fn new(name: String) -> Self {
            Self { name, table: OnceCell::new() }
        }

        async fn table(&self) -> &DynamoDb {
            self.table.get_or_init(|| DynamoDb::from_env(self.name.clone())).await
        }
    }

    impl Store for Table {
        fn put(&self, items: Vec<Item>) -> BoxFuture<'_, Result<(), StoreError>> {
            async move { self.table().await.put(items).await }.boxed()
        }

        fn put_if(
            &self,
            item: Item,
            condition: Condition,
        ) -> BoxFuture<'_, Result<bool, StoreError>> {
            async move { self.table().await.put_if(item, condition).await }.boxed()
        }

        fn get<'a>(&'a self, key: &'a Key) -> BoxFuture<'a, Result<Option<Item>, StoreError>> {
            async move { self.table().await.get(key).await }.boxed()
        }

        fn delete(&self, keys: Vec<Key>) -> BoxFuture<'_, Result<(), StoreError>> {
            async move { self.table().await.delete(keys).await }.boxed()
        }

        fn query<'a>(
            &'a self,
            partition: &'a str,
            prefix: &'a str,
            after: Option<Cursor>,
        ) -> BoxFuture<'a, Result<Page, StoreError>> {
            async move { self.table().await.query(partition, prefix, after).await }.boxed()
        }
    }
}
