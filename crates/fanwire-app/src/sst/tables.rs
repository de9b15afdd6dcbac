//! `sst.aws.Dynamo`: tables, their indexes, expiry and streams.

use indexmap::IndexMap;

use crate::diagnostic::Issue;
use crate::model::{AttributeType, Projection, StreamView, Table};
use crate::reading::Reading;
use crate::rules::table::{
    IndexDraft, IndexKeyDraft, KeyDraft, Placed, TableDraft, check_table_key,
};
use crate::source::Span;

use super::description::{self, OneOrMore};
use super::places::Places;

/// What SST calls the types of keys' attributes.
const TYPES: [(&str, AttributeType); 3] =
    [("string", AttributeType::S), ("number", AttributeType::N), ("binary", AttributeType::B)];

/// Builds the tables.
pub(super) fn build(
    described: &[description::Table],
    places: &mut Places,
    reading: &mut Reading<'_>,
) -> IndexMap<String, Table> {
    let mut tables = IndexMap::new();
    for each in described {
        let span = places.span(each.place.as_ref(), reading);
        check_table_key(&each.key, span, &mut reading.issues);
        if let Some(draft) = draft(each, span, reading) {
            let table = draft.check(&each.key, &tables, &mut reading.issues);
            tables.insert(each.key.clone(), table);
        }
    }
    tables
}

fn draft(each: &description::Table, span: Span, reading: &mut Reading<'_>) -> Option<TableDraft> {
    let placed = |text: &str| Placed { text: text.to_owned(), span };
    let several =
        |key: &OneOrMore| -> Vec<Placed> { key.texts().iter().map(|text| placed(text)).collect() };
    let mut attributes = Vec::new();
    for (name, kind) in &each.fields {
        let known = TYPES.iter().find(|(known, _)| known == kind);
        if known.is_none() {
            let message = format!("`{kind}` is not a type of the field `{name}`");
            let issue = Issue::error(span, message).expected("one of string, number, binary");
            reading.issues.push(issue.nearest(kind, TYPES.map(|(name, _)| name)));
        }
        attributes.push((placed(name), known.map_or(AttributeType::S, |(_, kind)| *kind)));
    }
    let Some(hash) = several(&each.primary_index.hash_key).into_iter().next() else {
        let message = format!("the primaryIndex of the table `{}` has no hashKey", each.key);
        reading.issues.push(Issue::error(span, message).expected("one of the fields"));
        return None;
    };
    let index = |name: &String, index: &description::Index, hash: Vec<Placed>| IndexDraft {
        name: placed(name),
        key: IndexKeyDraft { hash, range: several(&index.range_key) },
        projection: projection(&index.projection),
        projection_span: span,
    };
    let of_table = vec![hash.clone()];
    let globals = each.global_indexes.iter();
    let globals = globals.map(|(name, it)| index(name, it, several(&it.hash_key)));
    let locals = each.local_indexes.iter();
    let locals = locals.map(|(name, it)| index(name, it, of_table.clone()));
    let (global_indexes, local_indexes): (Vec<_>, Vec<_>) = (globals.collect(), locals.collect());
    if let Some(without) = global_indexes.iter().find(|index| index.key.hash.is_empty()) {
        let message = format!("the index `{}` has no hashKey", without.name.text);
        reading.issues.push(Issue::error(span, message).expected("one of the fields"));
        return None;
    }
    Some(TableDraft {
        name: placed(&each.name),
        attributes,
        key: KeyDraft { hash, range: several(&each.primary_index.range_key).into_iter().next() },
        global_indexes,
        local_indexes,
        ttl_attribute: each.ttl.clone(),
        stream: stream(each, span, reading),
    })
}

fn projection(given: &OneOrMore) -> Projection {
    match given {
        OneOrMore::One(word) if word == "keys-only" => Projection::KeysOnly,
        OneOrMore::More(attributes) => Projection::Include(attributes.clone()),
        OneOrMore::One(_) | OneOrMore::None => Projection::All,
    }
}

fn stream(each: &description::Table, span: Span, reading: &mut Reading<'_>) -> Option<StreamView> {
    let given = each.stream.as_deref()?;
    let view = StreamView::named(&given.to_uppercase().replace('-', "_"));
    if view.is_none() {
        let message = format!("`{given}` is not a view of the stream of `{}`", each.key);
        let expected = "one of keys-only, new-image, old-image, new-and-old-images";
        reading.issues.push(Issue::error(span, message).expected(expected));
    }
    view
}
