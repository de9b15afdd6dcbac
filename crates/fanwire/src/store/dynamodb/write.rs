//! Many writes in few requests.

use std::collections::HashMap;
use std::time::Duration;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::WriteRequest;
use futures_util::{StreamExt, TryStreamExt, stream};

use super::failure::failure;
use crate::store::{Key, StoreError};

/// What one request may have: DynamoDB's limit.
const BATCH: usize = 25;

/// How many requests are under way at once.
const CONCURRENCY: usize = 4;

/// How often what was left undone is tried again before the store is said to be busy.
const RETRIES: u32 = 10;

/// The wait before the first retry; it doubles.
const FIRST_WAIT: Duration = Duration::from_millis(25);

/// The longest wait between two.
const LONGEST_WAIT: Duration = Duration::from_secs(2);

/// Writes or deletes items. Of several writes with one key the last counts: DynamoDB
/// refuses two in a request.
pub(super) async fn all(
    client: &Client,
    table: &str,
    requests: Vec<(Key, WriteRequest)>,
) -> Result<(), StoreError> {
    let requests: HashMap<_, _> = requests.into_iter().collect();
    let requests: Vec<_> = requests.into_values().collect();
    let batches: Vec<_> = requests.chunks(BATCH).map(<[WriteRequest]>::to_vec).collect();
    stream::iter(batches)
        .map(|batch| write(client, table, batch))
        .buffer_unordered(CONCURRENCY)
        .try_collect()
        .await
}

/// Writes a batch, and what DynamoDB had no capacity for again.
async fn write(
    client: &Client,
    table: &str,
    mut left: Vec<WriteRequest>,
) -> Result<(), StoreError> {
    for attempt in 0..=RETRIES {
        if attempt > 0 {
            tokio::time::sleep(wait(attempt)).await;
        }
        let request = client.batch_write_item().request_items(table, left);
        let answer = request.send().await.map_err(failure)?;
        let unprocessed = answer.unprocessed_items.unwrap_or_default();
        left = unprocessed.into_values().flatten().collect();
        if left.is_empty() {
            return Ok(());
        }
    }
    Err(StoreError::Busy(format!("{} items were left unwritten", left.len())))
}

/// The wait before a retry: some of a time that doubles, so that those who were refused
/// together do not come back together.
fn wait(attempt: u32) -> Duration {
    let longest = FIRST_WAIT.saturating_mul(1 << (attempt - 1).min(16)).min(LONGEST_WAIT);
    longest.mul_f64(fastrand::f64() / 2.0 + 0.5)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_to_two_seconds_and_no_further() {
        assert!(wait(1) <= FIRST_WAIT && wait(1) >= FIRST_WAIT / 2);
        assert!(wait(RETRIES) <= LONGEST_WAIT && wait(RETRIES) >= LONGEST_WAIT / 2);
    }
}
