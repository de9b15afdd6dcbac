//! The reference tables of a file's documentation, as its schema has them.

use std::collections::BTreeSet;

use serde_json::Value as Json;

/// Asserts that the last section of a page lists every key of a file as its schema does.
#[track_caller]
pub(crate) fn assert_documents(page: &str, schema: &Json, file: &str) {
    let mut expected = String::new();
    reference(schema, file, file, &mut expected);
    let shown = page.split_once("## Reference\n\n").map_or("", |(_, shown)| shown);
    assert!(shown.trim_end() == expected.trim_end(), "the reference should be:\n\n{expected}");
}

/// Adds the table of one schema, and those below it.
fn reference(schema: &Json, file: &str, heading: &str, out: &mut String) {
    let variants = schema["anyOf"].as_array().into_iter().flatten();
    let schema = variants.clone().find(|variant| variant["type"] == "object").unwrap_or(schema);
    let Some(properties) = schema["properties"].as_object() else { return };
    out.push_str(&format!("### {heading}\n\n| key | value | meaning |\n|---|---|---|\n"));
    let required = schema["required"].as_array().into_iter().flatten();
    let required: BTreeSet<&str> = required.filter_map(Json::as_str).collect();
    for (key, value) in properties {
        let star = if required.contains(key.as_str()) { " (required)" } else { "" };
        let meaning = value["description"].as_str().unwrap().replace('|', "\\|");
        out.push_str(&format!("| `{key}`{star} | {} | {meaning} |\n", kind(value)));
    }
    out.push('\n');
    for (key, value) in properties {
        let heading = heading.trim_matches(['[', ']']);
        let heading = if heading == file { String::new() } else { format!("{heading}.") };
        reference(value, file, &format!("[{heading}{key}]"), out);
        reference(&value["additionalProperties"], file, &format!("[{heading}{key}.NAME]"), out);
        reference(&value["items"], file, &format!("[[{heading}{key}]]"), out);
    }
}

/// What a value is, in words.
fn kind(value: &Json) -> String {
    if value["type"].is_null() && value["enum"].is_null() && value["anyOf"].is_null() {
        return "a table".to_owned();
    }
    if let Some(words) = value["enum"].as_array() {
        let words: Vec<_> = words.iter().filter_map(Json::as_str).collect();
        return format!("`{}`", words.join("`, `"));
    }
    if let Some(form) = value["$comment"].as_str() {
        return if form.contains("bytes") { "size".to_owned() } else { "time".to_owned() };
    }
    match (value["type"].as_str(), value["type"].as_array()) {
        (Some("array"), _) if value["items"]["type"] == "object" => "list of tables".to_owned(),
        (Some("array"), _) => "list of texts".to_owned(),
        (Some("object"), _) => "table".to_owned(),
        (Some("string"), _) => "text".to_owned(),
        (Some(other), _) => other.to_owned(),
        (None, Some(types)) => {
            let types: Vec<_> = types.iter().filter_map(Json::as_str).collect();
            types.join(" or ").replace("string", "text")
        }
        (None, None) => {
            let variants = value["anyOf"].as_array().unwrap();
            let is_table = variants.iter().any(|variant| variant["type"] == "object");
            let kinds: Vec<_> = variants.iter().map(kind).collect();
            if is_table { "table".to_owned() } else { kinds.join(" or ") }
        }
    }
}
