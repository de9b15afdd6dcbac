//! The JSON Schema (2020-12) of a table.

use serde_json::{Map, Value, json};

use super::units::{DURATION_FORM, SIZE_FORM};
use super::{Key, Kind, Others, Table};

/// The schema of a file whose root is `table`.
pub(crate) fn json_schema(table: &Table, title: &str) -> Value {
    let mut schema = table_schema(table);
    schema["$schema"] = "https://json-schema.org/draft/2020-12/schema".into();
    schema["title"] = title.into();
    schema
}

fn table_schema(table: &Table) -> Value {
    let properties: Map<String, Value> =
        table.keys.iter().map(|key| (key.name.to_owned(), key_schema(key))).collect();
    let required: Vec<_> =
        table.keys.iter().filter(|key| key.required).map(|key| key.name).collect();
    let mut schema = json!({
        "type": "object",
        "description": table.doc,
        "properties": properties,
        "additionalProperties": table.others != Others::Refused,
    });
    if !required.is_empty() {
        schema["required"] = json!(required);
    }
    schema
}

fn key_schema(key: &Key) -> Value {
    let mut schema = kind_schema(key.kind);
    schema["description"] = key.doc.into();
    schema
}

fn kind_schema(kind: Kind) -> Value {
    let named = |values: Value| json!({ "type": "object", "additionalProperties": values });
    match kind {
        Kind::Text | Kind::Checked(_) | Kind::Reference => json!({ "type": "string" }),
        Kind::Choice(words) => json!({ "enum": words }),
        Kind::Boolean => json!({ "type": "boolean" }),
        Kind::Integer(least, most) => {
            json!({ "type": "integer", "minimum": least, "maximum": most })
        }
        Kind::IntegerOrNone(least, most) => {
            json!({ "anyOf": [kind_schema(Kind::Integer(least, most)), { "enum": ["none"] }] })
        }
        Kind::Duration | Kind::DurationOrNone => {
            json!({ "type": ["number", "string"], "$comment": DURATION_FORM })
        }
        Kind::Size | Kind::SizeOrNone => {
            json!({ "type": ["integer", "string"], "$comment": SIZE_FORM })
        }
        Kind::TextList => json!({ "type": "array", "items": { "type": "string" } }),
        Kind::OneOrMoreTexts => {
            json!({ "anyOf": [{ "type": "string" }, kind_schema(Kind::TextList)] })
        }
        Kind::ChoiceOrTextList(words) => {
            json!({ "anyOf": [{ "enum": words }, kind_schema(Kind::TextList)] })
        }
        Kind::ChoiceMap(words) => named(json!({ "enum": words })),
        Kind::TextMap | Kind::ReferenceMap => {
            named(json!({ "type": ["string", "number", "boolean"] }))
        }
        Kind::ValueMaps => named(json!({ "type": "object" })),
        Kind::Table(table) => table_schema(table),
        Kind::Tables(table) => named(table_schema(table)),
        Kind::ListOf(table) => json!({ "type": "array", "items": table_schema(table) }),
        Kind::OneOrMore(table) => {
            let one = table_schema(table);
            json!({ "anyOf": [one.clone(), { "type": "array", "items": one }] })
        }
        Kind::TextOrTables(table) => {
            named(json!({ "anyOf": [{ "type": "string" }, table_schema(table)] }))
        }
        Kind::BooleanOrTable(table) => {
            json!({ "anyOf": [{ "type": "boolean" }, table_schema(table)] })
        }
        Kind::TextOrBoolean => json!({ "type": ["string", "boolean"] }),
        Kind::Any | Kind::Ignored => json!({}),
    }
}
