//! Records as the TypeScript library `aws-trpc-subscriptions` has them (reference: trpc.md,
//! section 1.2), so that both work on one table.
//!
//! Two traits of that library are kept out: what its publishers would confuse, such as
//! `name1` with `name10`, is told apart here by the fields of the records.

use fanwire_wire::trpc::{Envelope, Id};
use serde_json::{Map, Value};

use super::records::{
    Begun, Range, SUBSCRIPTION, Subscriber, Written, connection_partition, string_id,
};
use super::resume::Treatment;
use crate::store::{Item, Key};
use crate::subscriptions::{Audience, FilterField, FilterInfo, FilterSide, Scalar, TrpcError};

/// Why a subscription cannot be written so that the TypeScript library finds it.
#[derive(Debug, thiserror::Error)]
#[error(
    "the filter `{filter}` is on `{field}`, which the {side} does not have as JSON: name it in \
     the filter (`{rust}: … = \"name\"`) as serde does"
)]
struct NoSuchField {
    filter: &'static str,
    field: String,
    side: &'static str,
    rust: &'static str,
}

pub(super) fn write(begun: &Begun<'_>) -> Result<Written, TrpcError> {
    let id = begun.envelope.id.as_ref().map(id_text).unwrap_or_default();
    let input = begun.input.map(|input| serde_json::from_str(input.get())).transpose()?;
    let mut fields = Map::new();
    fields.insert("type".to_owned(), "subscription".into());
    if let Some(context) = begun.context.clone().filter(|context| !context.is_null()) {
        fields.insert("ctx".to_owned(), context);
    }
    if let Some(input) = input {
        fields.insert("input".to_owned(), input);
    }
    fields.insert("id".to_owned(), id.clone().into());
    fields.insert("path".to_owned(), begun.interest.path.into());
    fields.insert("connectionId".to_owned(), begun.connection.into());
    for (filter, values) in begun.interest.filters.iter().zip(&begun.interest.values) {
        check(&fields, filter, values)?;
    }

    let key = Key::new(connection_partition(begun.connection), format!("{SUBSCRIPTION}{id}"));
    let by_connection = Item { key, fields: fields.clone(), expires_at: None };
    let keys = by_path(&by_connection, |_| begun.interest.filters);
    let by_path =
        keys.into_iter().map(|key| Item { key, fields: fields.clone(), expires_at: None });
    Ok(Written { by_path: by_path.collect(), by_connection })
}

/// Whether the TypeScript library will find the values that we do.
fn check(
    fields: &Map<String, Value>,
    filter: &FilterInfo,
    values: &[Scalar],
) -> Result<(), NoSuchField> {
    for (field, value) in filter.fields.iter().zip(values) {
        if value_of(fields, field) != value.to_js() && *value != Scalar::Null {
            return Err(NoSuchField {
                filter: filter.name,
                field: field.wire_name(),
                side: side_name(field.side),
                rust: field.name,
            });
        }
    }
    Ok(())
}

pub(super) fn by_path(item: &Item, filters: impl Fn(&str) -> &'static [FilterInfo]) -> Vec<Key> {
    let text = |name: &str| item.fields.get(name).and_then(Value::as_str);
    let (Some(path), Some(connection), Some(id)) = (text("path"), text("connectionId"), text("id"))
    else {
        return Vec::new();
    };
    let partition = format!("path#{path}");
    let tail = format!("connection#{connection}#subscription#{id}");
    let filters = filters(path);
    if filters.is_empty() {
        return vec![Key::new(partition, tail)];
    }
    let sort = |filter: &FilterInfo| {
        let values = filter.fields.iter().map(|field| value_of(&item.fields, field));
        format!("{}{tail}", prefix(filter, values.collect::<Vec<_>>()))
    };
    filters.iter().map(|filter| Key::new(partition.clone(), sort(filter))).collect()
}

pub(super) fn range(path: &str, audience: &Audience) -> Range {
    let prefix = match audience {
        Audience::Everyone => String::new(),
        Audience::Filter { info, values, .. } => {
            prefix(info, values.iter().map(Scalar::to_js).collect())
        }
    };
    Range { partition: format!("path#{path}"), prefix }
}

/// A key begins like another one as soon as a value does, or has a `#` in it: so the fields
/// decide.
pub(super) fn read(fields: &Map<String, Value>, audience: &Audience) -> Option<Subscriber> {
    if let Audience::Filter { info, values, .. } = audience {
        let same =
            |(field, value): (&FilterField, &Scalar)| value_of(fields, field) == value.to_js();
        if !info.fields.iter().zip(values).all(same) {
            return None;
        }
    }
    let id = string_id(fields.get("id")?.as_str()?)?;
    Some(Subscriber {
        connection: fields.get("connectionId")?.as_str()?.to_owned(),
        envelope: Envelope { id: Some(id), jsonrpc: true },
        treatment: Treatment::of(fields),
    })
}

/// The sort key of a filter, up to the last of `values` and the `#` behind it.
fn prefix(filter: &FilterInfo, values: Vec<String>) -> String {
    let mut key = format!("name#{}#", filter.name);
    let mut side = None;
    for (field, value) in filter.fields.iter().zip(values) {
        if side.replace(field.side) != Some(field.side) {
            key.push_str(side_name(field.side));
            key.push('#');
        }
        key.push_str(&field.wire_name());
        key.push('#');
        key.push_str(&value);
        key.push('#');
    }
    key
}

/// The value of a field as JavaScript writes it in a template.
fn value_of(fields: &Map<String, Value>, field: &FilterField) -> String {
    let side = fields.get(side_name(field.side));
    side.and_then(|side| side.get(field.wire_name())).map_or_else(|| "undefined".to_owned(), to_js)
}

fn to_js(value: &Value) -> String {
    match value {
        Value::Null => "null".to_owned(),
        Value::Bool(yes) => yes.to_string(),
        // `1.0` is 1 in JavaScript; other fractions are no values of our filters.
        Value::Number(number) => match number.as_f64() {
            Some(float) if number.is_f64() => float.to_string(),
            _ => number.to_string(),
        },
        Value::String(text) => text.clone(),
        Value::Array(elements) => {
            let element = |element: &Value| match element {
                Value::Null => String::new(),
                other => to_js(other),
            };
            elements.iter().map(element).collect::<Vec<_>>().join(",")
        }
        Value::Object(_) => "[object Object]".to_owned(),
    }
}

fn side_name(side: FilterSide) -> &'static str {
    match side {
        FilterSide::Context => "ctx",
        FilterSide::Input => "input",
    }
}

/// An id as JavaScript writes it: a string without its quotes.
pub(super) fn id_text(id: &Id) -> String {
    let json = id.to_string();
    serde_json::from_str(&json).unwrap_or(json)
}
