//! Time to live: which items have expired, and their end.
//!
//! DynamoDB takes an item out some time after the moment that its TTL attribute names:
//! a number, in seconds since the epoch. Apps write fractions there too (the tRPC
//! library does), which the engine's own sweep passes over; and the engine asks the
//! machine for the time, where `fanwire dev` can offer another. So this looks itself.

use std::collections::HashMap;

use dynoxide::actions::delete_item::DeleteItemRequest;
use dynoxide::actions::scan::ScanRequest;
use dynoxide::{AttributeValue, Database, DynoxideError};
use serde_json::json;

use crate::database::TableError;
use crate::definition::{request, table_names, time_to_live};

/// Items looked at while other requests wait.
const PAGE: usize = 100;

/// An item that expired longer ago than this is left alone (DynamoDB Developer Guide,
/// "Time to Live": timestamps more than five years in the past).
const TOO_OLD_SECONDS: f64 = 5.0 * 365.25 * 86_400.0;

/// Ends every item that expired before `now`; says how many.
pub(crate) fn sweep(database: &Database, now: f64) -> Result<usize, TableError> {
    let mut ended = 0;
    let refused = |table: &str, error: &DynoxideError| TableError::Refused {
        table: table.to_owned(),
        why: error.to_string(),
    };
    for table in table_names(database).map_err(|error| refused("*", &error))? {
        ended += sweep_table(database, &table, now).map_err(|error| refused(&table, &error))?;
    }
    Ok(ended)
}

fn sweep_table(database: &Database, table: &str, now: f64) -> Result<usize, DynoxideError> {
    let Some(attribute) = time_to_live(database, table)? else { return Ok(0) };
    let keys = key_attributes(database, table)?;
    // A comparison with a number holds for numbers only.
    let condition = json!({
        "ExpressionAttributeNames": { "#ttl": attribute },
        "ExpressionAttributeValues": {
            ":now": { "N": format!("{now:.3}") },
            ":old": { "N": format!("{:.3}", now - TOO_OLD_SECONDS) },
        },
    });
    let mut ended = 0;
    let mut after: Option<HashMap<String, AttributeValue>> = None;
    loop {
        let mut page = condition.clone();
        page["TableName"] = json!(table);
        page["Limit"] = json!(PAGE);
        page["FilterExpression"] = json!("#ttl < :now AND #ttl > :old");
        if let Some(after) = &after {
            page["ExclusiveStartKey"] = json!(after);
        }
        let found = database.scan(request::<ScanRequest>(page)?)?;
        for item in found.items.unwrap_or_default() {
            let key: HashMap<_, _> =
                item.into_iter().filter(|(name, _)| keys.contains(name)).collect();
            ended += usize::from(end(database, table, &key, &condition)?);
        }
        match found.last_evaluated_key {
            Some(key) => after = Some(key),
            None => return Ok(ended),
        }
    }
}

/// Deletes an item, unless somebody has given it more time since it was found.
fn end(
    database: &Database,
    table: &str,
    key: &HashMap<String, AttributeValue>,
    condition: &serde_json::Value,
) -> Result<bool, DynoxideError> {
    let mut deletion = condition.clone();
    deletion["TableName"] = json!(table);
    deletion["Key"] = json!(key);
    deletion["ConditionExpression"] = json!("#ttl < :now AND #ttl > :old");
    match database.delete_item(request::<DeleteItemRequest>(deletion)?) {
        Ok(_) => Ok(true),
        Err(DynoxideError::ConditionalCheckFailedException(..)) => Ok(false),
        Err(error) => Err(error),
    }
}

fn key_attributes(database: &Database, table: &str) -> Result<Vec<String>, DynoxideError> {
    let described = database.describe_table(request(json!({ "TableName": table }))?)?;
    Ok(described.table.key_schema.into_iter().map(|key| key.attribute_name).collect())
}
