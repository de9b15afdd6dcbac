//! Items as DynamoDB has them.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::AttributeValue;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Map, Number, Value};

use crate::store::{Item, Key, StoreError};

/// What a table calls the keys of its items, and their expiry.
///
/// ```
/// use fanwire::store::Attributes;
///
/// // A table of connections by their ids alone.
/// let connections = Attributes {
///     partition: "connectionId".into(),
///     sort: None,
///     ..Attributes::default()
/// };
/// assert_eq!(connections.expiry, "expireAt");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attributes {
    /// The partition key, `pk` unless said otherwise.
    pub partition: String,
    /// The sort key, `sk` unless said otherwise. `None`: the table has none, and the sort
    /// key of every item is empty.
    pub sort: Option<String>,
    /// The time at which an item is gone, in seconds since the epoch: `expireAt` unless said
    /// otherwise.
    pub expiry: String,
}

type Attribute = HashMap<String, AttributeValue>;

impl Default for Attributes {
    fn default() -> Self {
        Self {
            partition: "pk".to_owned(),
            sort: Some("sk".to_owned()),
            expiry: "expireAt".to_owned(),
        }
    }
}

// === impl Attributes ===

impl Attributes {
    /// A key.
    pub(super) fn key(&self, key: &Key) -> Result<Attribute, StoreError> {
        let mut attributes = Attribute::new();
        attributes.insert(self.partition.clone(), AttributeValue::S(key.partition.clone()));
        match &self.sort {
            Some(_) if key.sort.is_empty() => {
                return Err(StoreError::Refused(
                    "the table has a sort key, and that must not be empty".to_owned(),
                ));
            }
            None if !key.sort.is_empty() => {
                return Err(StoreError::Refused(format!(
                    "the table has no sort key: there is no place for `{}`",
                    key.sort
                )));
            }
            Some(name) => _ = attributes.insert(name.clone(), AttributeValue::S(key.sort.clone())),
            None => {}
        }
        Ok(attributes)
    }

    /// A whole item.
    pub(super) fn item(&self, item: &Item) -> Result<Attribute, StoreError> {
        let mut attributes = self.key(&item.key)?;
        for (name, value) in &item.fields {
            if [Some(&self.partition), self.sort.as_ref(), Some(&self.expiry)].contains(&Some(name))
            {
                return Err(StoreError::Refused(format!(
                    "`{name}` is what the table calls a key or the expiry: name the field otherwise"
                )));
            }
            attributes.insert(name.clone(), write(value));
        }
        if let Some(at) = item.expires_at {
            attributes.insert(self.expiry.clone(), AttributeValue::N(at.to_string()));
        }
        Ok(attributes)
    }

    /// The item that the table has, or the key that it names.
    pub(super) fn read(&self, mut attributes: Attribute) -> Result<Item, StoreError> {
        let mut text = |name: &String| match attributes.remove(name) {
            Some(AttributeValue::S(text)) => Ok(text),
            _ => Err(StoreError::Failed(format!("an item's key `{name}` is no string"))),
        };
        let partition = text(&self.partition)?;
        let sort = self.sort.as_ref().map(&mut text).transpose()?.unwrap_or_default();
        let expires_at = match attributes.remove(&self.expiry) {
            Some(AttributeValue::N(at)) => at.parse().ok(),
            _ => None,
        };
        let mut fields: Vec<_> =
            attributes.into_iter().map(|(name, value)| (name, read(value))).collect();
        // DynamoDB has no order of attributes.
        fields.sort_by(|one, other| one.0.cmp(&other.0));
        Ok(Item { key: Key { partition, sort }, fields: Map::from_iter(fields), expires_at })
    }
}

fn write(value: &Value) -> AttributeValue {
    match value {
        Value::Null => AttributeValue::Null(true),
        Value::Bool(yes) => AttributeValue::Bool(*yes),
        Value::Number(number) => AttributeValue::N(number.to_string()),
        Value::String(text) => AttributeValue::S(text.clone()),
        Value::Array(values) => AttributeValue::L(values.iter().map(write).collect()),
        Value::Object(fields) => AttributeValue::M(
            fields.iter().map(|(name, value)| (name.clone(), write(value))).collect(),
        ),
    }
}

/// Sets become arrays, and bytes text in base64: for tables that others write, too.
fn read(attribute: AttributeValue) -> Value {
    let base64 = |bytes: &[u8]| Value::String(BASE64_STANDARD.encode(bytes));
    match attribute {
        AttributeValue::Bool(yes) => Value::Bool(yes),
        AttributeValue::N(number) => read_number(&number),
        AttributeValue::S(text) => Value::String(text),
        AttributeValue::B(bytes) => base64(bytes.as_ref()),
        AttributeValue::L(values) => values.into_iter().map(read).collect(),
        AttributeValue::M(fields) => {
            let mut fields: Vec<_> =
                fields.into_iter().map(|(name, value)| (name, read(value))).collect();
            fields.sort_by(|one, other| one.0.cmp(&other.0));
            Value::Object(Map::from_iter(fields))
        }
        AttributeValue::Ss(texts) => texts.into_iter().map(Value::String).collect(),
        AttributeValue::Ns(numbers) => numbers.iter().map(|number| read_number(number)).collect(),
        AttributeValue::Bs(values) => values.iter().map(|bytes| base64(bytes.as_ref())).collect(),
        _ => Value::Null,
    }
}

/// An integer where it is one; a number beyond `f64` stays the text that it is.
fn read_number(text: &str) -> Value {
    let integer = text.parse::<i64>().map(Number::from);
    let integer = integer.or_else(|_| text.parse::<u64>().map(Number::from));
    let number = integer.ok().or_else(|| text.parse().ok().and_then(Number::from_f64));
    number.map_or_else(|| Value::String(text.to_owned()), Value::Number)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::Bool),
            any::<i64>().prop_map(Value::from),
            any::<u64>().prop_map(Value::from),
            any::<String>().prop_map(Value::String),
        ];
        leaf.prop_recursive(3, 16, 4, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::Array),
                proptest::collection::btree_map(any::<String>(), inner, 0..4)
                    .prop_map(|fields| Value::Object(Map::from_iter(fields))),
            ]
        })
    }

    proptest! {
        #[test]
        fn a_value_is_read_as_it_was_written(value in value()) {
            prop_assert_eq!(read(write(&value)), value);
        }
    }
}
