//! The resolution of variables, held against what the Serverless Framework prints
//! for the same files.

use std::path::Path;

use serde_json::Value as Json;

use super::{Format, Resolver, dotenv};
use crate::diagnostic::Issues;
use crate::node::{Node, Value, yaml};
use crate::reading::LoadOptions;
use crate::source::Sources;

/// A tree as the framework prints it: short tags long, whole floats as integers.
fn printed(node: &Node) -> Json {
    let value = match &node.value {
        Value::Null => Json::Null,
        Value::Bool(value) => Json::from(*value),
        Value::Int(value) => Json::from(*value),
        Value::Float(value) if value.fract() == 0.0 => Json::from(*value as i64),
        Value::Float(value) => Json::from(*value),
        Value::Text(text) => Json::from(text.as_str()),
        Value::List(items) => items.iter().map(printed).collect(),
        Value::Map(map) => {
            map.iter().map(|(key, entry)| (key.clone(), printed(&entry.node))).collect()
        }
        Value::Unresolved(issue) => panic!("{issue:?}"),
    };
    match node.tag.as_deref() {
        None => value,
        Some("Ref") => serde_json::json!({ "Ref": value }),
        Some("GetAtt") => {
            let (id, attribute) = value.as_str().unwrap().split_once('.').unwrap();
            serde_json::json!({ "Fn::GetAtt": [id, attribute] })
        }
        Some(tag) => serde_json::json!({ format!("Fn::{tag}"): value }),
    }
}

#[test]
fn every_form_of_a_variable_has_the_value_that_the_framework_prints() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/serverless/variables");
    let read = |name: &str| std::fs::read_to_string(folder.join(name)).unwrap();
    let text = read("serverless.yml");
    let mut options = LoadOptions { stage: Some("prod".to_owned()), ..LoadOptions::default() };
    options.params.insert("cli".to_owned(), "given".to_owned());
    let (mut sources, mut issues) = (Sources::default(), Issues::default());
    let file = sources.add(folder.join("serverless.yml"), text.clone());
    let root = yaml::parse(file, &text, &mut issues).unwrap();
    let mut resolver =
        Resolver::new(&root, &options, Format::Serverless, &folder, &mut sources, &mut issues);
    resolver.add_environment(dotenv::parse(&read(".env"), &options.environment));
    let resolved = resolver.resolve_at(&["custom"]).unwrap();
    let expected: serde_json::Map<String, Json> =
        serde_json::from_str(&read("printed.json")).unwrap();
    let known = resolved.as_map().unwrap();
    assert_eq!(known.len(), expected.len());
    for (key, value) in expected {
        assert_eq!(printed(&known[&key].node), value, "custom.{key}");
    }
}
