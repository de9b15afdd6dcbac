//! A table of the App in DynamoDB's words, and what a table that is there lacks of it.

use std::fmt;

use dynoxide::actions::describe_time_to_live::DescribeTimeToLiveRequest;
use dynoxide::{Database, DynoxideError};
use fanwire_app::model::{Index, IndexKey, Projection, Table, TableKey};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

/// What was done to a table, or could not be.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum TableNote {
    /// The table was missing and is there now.
    Created {
        /// The table's name.
        table: String,
    },
    /// An index was missing and is there now.
    IndexAdded {
        /// The table's name.
        table: String,
        /// The index's.
        index: String,
    },
    /// An index that the App declares no more is gone.
    IndexRemoved {
        /// The table's name.
        table: String,
        /// The index's.
        index: String,
    },
    /// Items expire by another attribute now, or not any more.
    TimeToLive {
        /// The table's name.
        table: String,
        /// The attribute.
        attribute: Option<String>,
    },
    /// The table has items by another key: it stays as it is.
    OtherKey {
        /// The table's name.
        table: String,
    },
}

impl TableNote {
    /// Whether the table is not what the App declares.
    pub fn is_warning(&self) -> bool {
        matches!(self, Self::OtherKey { .. })
    }
}

impl fmt::Display for TableNote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Created { table } => write!(f, "table {table} created"),
            Self::IndexAdded { table, index } => {
                write!(f, "index {index} of table {table} created")
            }
            Self::IndexRemoved { table, index } => {
                write!(f, "index {index} of table {table} removed")
            }
            Self::TimeToLive { table, attribute: Some(attribute) } => {
                write!(f, "items of table {table} expire by {attribute}")
            }
            Self::TimeToLive { table, attribute: None } => {
                write!(f, "items of table {table} do not expire any more")
            }
            Self::OtherKey { table } => write!(
                f,
                "table {table} has items under another key than the one declared, and stays as \
                 it is; give the new table another name, or begin with empty tables with `--fresh`"
            ),
        }
    }
}

/// Makes the table what the App declares, as far as no item is lost by it.
pub(crate) fn ensure(
    database: &Database,
    table: &Table,
    notes: &mut Vec<TableNote>,
) -> Result<(), DynoxideError> {
    let name = || table.name.clone();
    match describe(database, &table.name) {
        Err(DynoxideError::ResourceNotFoundException(_)) => {
            database.create_table(request(creation(table))?)?;
            notes.push(TableNote::Created { table: name() });
        }
        Err(error) => return Err(error),
        Ok(present) if has_other_key(&present, table) => {
            notes.push(TableNote::OtherKey { table: name() });
            return Ok(());
        }
        Ok(present) => update_indexes(database, &present, table, notes)?,
    }
    let wanted = table.ttl_attribute.as_deref();
    let present = time_to_live(database, &table.name)?;
    if present.as_deref() != wanted {
        if let Some(old) = &present {
            set_time_to_live(database, &table.name, old, false)?;
        }
        if let Some(attribute) = wanted {
            set_time_to_live(database, &table.name, attribute, true)?;
        }
        let created = notes.last() == Some(&TableNote::Created { table: name() });
        if !created {
            notes.push(TableNote::TimeToLive {
                table: name(),
                attribute: wanted.map(str::to_owned),
            });
        }
    }
    Ok(())
}

/// A typed request of the engine from the JSON that SDKs send.
pub(crate) fn request<R: DeserializeOwned>(value: Value) -> Result<R, DynoxideError> {
    serde_json::from_value(value)
        .map_err(|error| DynoxideError::ValidationException(error.to_string()))
}

/// The names of all tables.
pub(crate) fn table_names(database: &Database) -> Result<Vec<String>, DynoxideError> {
    Ok(database.table_stats()?.into_iter().map(|table| table.table_name).collect())
}

/// The attribute by which a table's items expire.
pub(crate) fn time_to_live(
    database: &Database,
    table: &str,
) -> Result<Option<String>, DynoxideError> {
    let asked = request::<DescribeTimeToLiveRequest>(json!({ "TableName": table }))?;
    Ok(database.describe_time_to_live(asked)?.time_to_live_description.attribute_name)
}

fn set_time_to_live(
    database: &Database,
    table: &str,
    attribute: &str,
    enabled: bool,
) -> Result<(), DynoxideError> {
    let specification = json!({ "AttributeName": attribute, "Enabled": enabled });
    database.update_time_to_live(request(
        json!({ "TableName": table, "TimeToLiveSpecification": specification }),
    )?)?;
    Ok(())
}

/// `Table` of `DescribeTable`'s answer.
pub(crate) fn describe(database: &Database, table: &str) -> Result<Value, DynoxideError> {
    let answer = database.describe_table(request(json!({ "TableName": table }))?)?;
    serde_json::to_value(&answer.table)
        .map_err(|error| DynoxideError::InternalServerError(error.to_string()))
}

fn has_other_key(present: &Value, table: &Table) -> bool {
    let types_differ = table.key.attributes().any(|attribute| {
        let definitions = present["AttributeDefinitions"].as_array();
        let present = definitions.into_iter().flatten().find(|d| d["AttributeName"] == attribute);
        present.is_none_or(|present| present["AttributeType"] != definition(table, attribute))
    });
    present["KeySchema"] != key_schema(&table.key) || types_differ
}

/// Adds the global indexes that are missing and takes those away that are not declared.
/// One that has changed is made anew: an index holds nothing that its table does not.
/// Local indexes stay as they were made, as on AWS.
fn update_indexes(
    database: &Database,
    present: &Value,
    table: &Table,
    notes: &mut Vec<TableNote>,
) -> Result<(), DynoxideError> {
    let name = || table.name.clone();
    let there: Vec<&Value> =
        present["GlobalSecondaryIndexes"].as_array().into_iter().flatten().collect();
    let is_as_declared = |index: &Index| {
        there.iter().any(|there| {
            there["IndexName"] == index.name
                && there["KeySchema"] == index_key_schema(&index.key)
                && there["Projection"] == projection(index)
        })
    };
    for index in there.iter().filter_map(|index| index["IndexName"].as_str()) {
        if !table.global_indexes.iter().any(|wanted| wanted.name == index && is_as_declared(wanted))
        {
            let deletion = json!([{ "Delete": { "IndexName": index } }]);
            let update = json!({ "TableName": name(), "GlobalSecondaryIndexUpdates": deletion });
            database.update_table(request(update)?)?;
            notes.push(TableNote::IndexRemoved { table: name(), index: index.to_owned() });
        }
    }
    for index in table.global_indexes.iter().filter(|index| !is_as_declared(index)) {
        let update = json!({
            "TableName": name(),
            "AttributeDefinitions": definitions(table),
            "GlobalSecondaryIndexUpdates": [{ "Create": index_definition(index) }],
        });
        database.update_table(request(update)?)?;
        notes.push(TableNote::IndexAdded { table: name(), index: index.name.clone() });
    }
    Ok(())
}

/// The request of `CreateTable`.
fn creation(table: &Table) -> Value {
    let mut creation = json!({
        "TableName": table.name,
        "AttributeDefinitions": definitions(table),
        "KeySchema": key_schema(&table.key),
        "BillingMode": "PAY_PER_REQUEST",
    });
    let indexes = |indexes: &[Index]| indexes.iter().map(index_definition).collect::<Vec<_>>();
    if !table.global_indexes.is_empty() {
        creation["GlobalSecondaryIndexes"] = json!(indexes(&table.global_indexes));
    }
    if !table.local_indexes.is_empty() {
        creation["LocalSecondaryIndexes"] = json!(indexes(&table.local_indexes));
    }
    if let Some(view) = table.stream {
        creation["StreamSpecification"] =
            json!({ "StreamEnabled": true, "StreamViewType": view.as_str() });
    }
    creation
}

fn definitions(table: &Table) -> Value {
    let definitions = table
        .attributes
        .iter()
        .map(|(name, kind)| json!({ "AttributeName": name, "AttributeType": kind.as_str() }));
    definitions.collect()
}

fn definition(table: &Table, attribute: &str) -> &'static str {
    // Importers check that keys are defined; the engine refuses an App that is not.
    table.attributes.get(attribute).map_or("", |kind| kind.as_str())
}

fn key_schema(key: &TableKey) -> Value {
    let types = ["HASH", "RANGE"];
    let attributes = key.attributes().zip(types);
    attributes.map(|(name, kind)| json!({ "AttributeName": name, "KeyType": kind })).collect()
}

fn index_key_schema(key: &IndexKey) -> Value {
    let hash = key.hash.iter().map(|name| (name, "HASH"));
    let range = key.range.iter().map(|name| (name, "RANGE"));
    let attributes = hash.chain(range);
    attributes.map(|(name, kind)| json!({ "AttributeName": name, "KeyType": kind })).collect()
}

fn index_definition(index: &Index) -> Value {
    json!({
        "IndexName": index.name,
        "KeySchema": index_key_schema(&index.key),
        "Projection": projection(index),
    })
}

fn projection(index: &Index) -> Value {
    let mut projection = json!({ "ProjectionType": index.projection.as_str() });
    if let Projection::Include(attributes) = &index.projection {
        projection["NonKeyAttributes"] = json!(attributes);
    }
    projection
}
