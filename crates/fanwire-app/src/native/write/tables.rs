//! `[tables.NAME]`

use crate::model::{App, AttributeType, Index, Projection, StreamView, Table};
use crate::native::keys::STREAM_VIEWS;
use crate::rules::table::default_table_name;

use super::document::{Document, Literal};

pub(super) fn write(app: &App, document: &mut Document) {
    for (key, table) in &app.tables {
        document.heading(&["tables", key]);
        if table.name != default_table_name(&app.service, &app.stage, key) {
            document.set("name", &table.name);
        }
        document.set("hash", &table.key.hash);
        document.set_some("range", table.key.range.as_ref());
        attributes(table, document);
        document.set_some("ttl", table.ttl_attribute.as_ref());
        document.set_some("stream", table.stream.map(stream));
        for index in &table.global_indexes {
            self::index(key, index, false, document);
        }
        for index in &table.local_indexes {
            self::index(key, index, true, document);
        }
    }
}

/// The types of key attributes, where any is no text.
fn attributes(table: &Table, document: &mut Document) {
    let typed = table.attributes.iter().filter(|(_, kind)| **kind != AttributeType::S);
    let typed: Vec<_> = typed.map(|(name, kind)| (name.clone(), kind.as_str().into())).collect();
    if !typed.is_empty() {
        document.set("attributes", Literal::Table(typed));
    }
}

fn stream(view: StreamView) -> &'static str {
    let names = StreamView::NAMES.iter();
    let mut named = names.zip(STREAM_VIEWS).filter(|(name, _)| **name == view.as_str());
    // The two lists name the same views.
    named.next().map_or(STREAM_VIEWS[0], |(_, word)| word)
}

fn index(table: &str, index: &Index, is_local: bool, document: &mut Document) {
    document.heading(&["tables", table, "indexes", &index.name]);
    if is_local {
        // Its hash key is the table's.
        document.set("local", true);
    } else {
        document.set("hash", one_or_more(&index.key.hash));
    }
    if !index.key.range.is_empty() {
        document.set("range", one_or_more(&index.key.range));
    }
    match &index.projection {
        Projection::All => {}
        Projection::KeysOnly => document.set("projection", "keys"),
        Projection::Include(attributes) => {
            document.set("projection", Literal::texts(attributes));
        }
    }
}

fn one_or_more(attributes: &[String]) -> Literal {
    match attributes {
        [one] => one.into(),
        several => Literal::texts(several),
    }
}
