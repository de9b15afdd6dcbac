//! What an item may be, the same in every store: DynamoDB's limits, so that what works on
//! one works on all.

use super::{Item, Key, StoreError};

/// The longest partition key, in bytes.
pub(super) const MAX_PARTITION_BYTES: usize = 2048;
/// The longest sort key, in bytes.
pub(super) const MAX_SORT_BYTES: usize = 1024;
/// The largest item, in bytes: its key and its fields as JSON.
pub(super) const MAX_ITEM_BYTES: usize = 400 * 1024;

/// Whether an item can be of that key.
pub(super) fn check_key(key: &Key) -> Result<(), StoreError> {
    let (partition, sort) = (key.partition.len(), key.sort.len());
    if partition == 0 {
        return Err(StoreError::Refused("a partition key must not be empty".to_owned()));
    }
    if partition > MAX_PARTITION_BYTES {
        return Err(StoreError::Refused(format!(
            "a partition key of {partition} bytes: {MAX_PARTITION_BYTES} are the most"
        )));
    }
    if sort > MAX_SORT_BYTES {
        return Err(StoreError::Refused(format!(
            "a sort key of {sort} bytes: {MAX_SORT_BYTES} are the most"
        )));
    }
    Ok(())
}

/// Whether an item can be written. Gives its size in bytes.
pub(super) fn check_item(item: &Item) -> Result<usize, StoreError> {
    check_key(&item.key)?;
    if item.expires_at.is_some_and(|at| !at.is_finite()) {
        return Err(StoreError::Refused("an expiry must be a finite number".to_owned()));
    }
    let fields = serde_json::to_string(&item.fields)
        .map_err(|error| StoreError::Refused(error.to_string()))?;
    let size = item.key.partition.len() + item.key.sort.len() + fields.len();
    if size > MAX_ITEM_BYTES {
        return Err(StoreError::Refused(format!(
            "an item of {size} bytes: {MAX_ITEM_BYTES} are the most"
        )));
    }
    Ok(size)
}
