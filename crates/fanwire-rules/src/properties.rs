//! No text and no payload makes this crate panic, run away or give what is not JSON.

use proptest::prelude::*;

use crate::rule::{Rule, Selected};
use crate::testing::message;
use crate::version::SqlVersion;
use crate::{Message, Properties};

/// Statements that together use everything.
const STATEMENTS: [&str; 16] = [
    "SELECT * FROM 'a/+/#'",
    "SELECT *, topic(2) AS t, clientid() AS c.d FROM 'a' WHERE a > 1 AND NOT b = 'x'",
    "SELECT VALUE a FROM 'a'",
    "SELECT a + b AS x, a - b AS y, a * b AS z, a / b AS v, a % b AS w FROM 'a'",
    "SELECT a.b.c[0], get(a, b) AS g, a IN b AS i, EXISTS a AS e FROM 'a'",
    "SELECT (SELECT VALUE b FROM a WHERE b <> 1) AS l, {'a': a, 'b': [b, 1.5]} AS o FROM 'a'",
    "SELECT CASE a WHEN b THEN 'x' WHEN 1 THEN a ELSE b END AS c FROM 'a'",
    "SELECT substring(a, b) AS x, substring(a, 1, b) AS y, lpad(a, b) AS z, chr(b) AS c FROM 'a'",
    "SELECT regexp_replace(a, b, '$1') AS x, regexp_substr(a, '(.)+') AS y, regexp_matches(a, b) AS z FROM 'a'",
    "SELECT parse_time(a, b) AS x, parse_time('yyyy-MM-dd z', b, a) AS y, time_to_epoch(a, b) AS z FROM 'a'",
    "SELECT time_to_epoch(a, 'yyyy-MM-dd HH:mm:ss.SSS XXX') AS x, time_to_epoch(a, 'M/d/yy h:m a z') AS y FROM 'a'",
    "SELECT power(a, b) AS x, trunc(a, b) AS y, round(a) AS z, bitand(a, b) AS v, bitnot(a) AS w FROM 'a'",
    "SELECT decode(a, 'base64') AS x, encode(a, 'base64') AS y, transform('enrichArray', a, b) AS z FROM 'a'",
    "SELECT cast(a AS Int) AS x, cast(a AS String) AS y, cast(b AS Boolean) AS z, cast(b AS Decimal) AS w FROM 'a'",
    "SELECT md5(a) AS x, concat(a, b) AS y, replace(a, b, a) AS z, indexof(a, b) AS i, length(a) AS l FROM 'a'",
    "SELECT get_user_properties(a) AS x, get_mqtt_property('content_type') AS y, newuuid() AS u, rand() AS r FROM 'a'",
];

fn payload() -> impl Strategy<Value = Vec<u8>> {
    let leaf = prop_oneof![
        Just("null".to_owned()),
        any::<bool>().prop_map(|b| b.to_string()),
        any::<i64>().prop_map(|n| n.to_string()),
        "-?[0-9]{1,40}(\\.[0-9]{1,40})?([eE]-?[0-9]{1,4})?".prop_map(|n| n),
        "[-0-9a-zA-Z:+/ .'(){}$\\[\\]é😀]{0,12}"
            .prop_map(|text| format!("{text:?}").replace('\'', " ")),
    ];
    let json = leaf.prop_recursive(3, 20, 4, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4)
                .prop_map(|l| format!("[{}]", l.join(","))),
            (inner.clone(), inner).prop_map(|(a, b)| format!("{{\"a\":{a},\"b\":{b}}}")),
        ]
    });
    prop_oneof![
        4 => (json.clone(), json).prop_map(|(a, b)| format!("{{\"a\":{a},\"b\":{b}}}").into_bytes()),
        1 => proptest::collection::vec(any::<u8>(), 0..40),
    ]
}

/// A statement with pieces taken out, doubled and put elsewhere.
fn mutated() -> impl Strategy<Value = String> {
    let edits =
        proptest::collection::vec((any::<u16>(), any::<u16>(), 0u8..5, any::<char>()), 1..6);
    (0..STATEMENTS.len(), 0..STATEMENTS.len(), edits).prop_map(|(one, other, edits)| {
        let mut sql: Vec<char> = STATEMENTS[one].chars().collect();
        let other: Vec<char> = STATEMENTS[other].chars().collect();
        for (at, length, kind, c) in edits {
            let at = usize::from(at) % (sql.len() + 1);
            let end = (at + usize::from(length) % 12).min(sql.len());
            match kind {
                0 => drop(sql.drain(at..end)),
                1 => sql.insert(at, c),
                2 => {
                    let piece = sql[at..end].to_vec();
                    sql.splice(at..at, piece);
                }
                3 => {
                    let from = usize::from(length) % other.len();
                    let piece = other[from..(from + 15).min(other.len())].to_vec();
                    sql.splice(at..at, piece);
                }
                _ => sql.truncate(end.max(1)),
            }
        }
        sql.into_iter().collect()
    })
}

fn evaluate(sql: &str, version: SqlVersion, payload: &[u8]) {
    let Ok(rule) = Rule::parse(sql, version) else { return };
    let properties = Properties { user_properties: &[("a", "1")], ..Properties::default() };
    let message = Message { payload, properties: Some(properties), ..message() };
    if let Ok(Some(Selected::Json(json))) = rule.evaluate(&message) {
        let json = std::str::from_utf8(&json).unwrap();
        // Whole payloads are not looked into, and numbers may be too large for a double.
        assert!(crate::value::is_json(json.as_bytes()), "{sql}: {json}");
    }
}

#[test]
fn all_of_the_statements_are_taken() {
    for sql in STATEMENTS {
        Rule::parse(sql, SqlVersion::default()).unwrap_or_else(|error| panic!("{sql}: {error}"));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1024))]

    #[test]
    fn parsing_never_panics(sql in ".{0,80}") {
        let _ = Rule::parse(&sql, SqlVersion::default());
        let _ = Rule::parse(&format!("SELECT {sql}"), SqlVersion::V2015_10_08);
    }

    #[test]
    fn mutated_statements_never_panic(sql in mutated(), payload in payload()) {
        evaluate(&sql, SqlVersion::default(), &payload);
        if let Err(error) = Rule::parse(&sql, SqlVersion::default()) {
            prop_assert!(error.at.offset <= sql.len());
            prop_assert!(!error.to_string().is_empty());
        }
    }

    #[test]
    fn evaluation_never_panics_and_gives_json(at in 0..STATEMENTS.len(), payload in payload()) {
        evaluate(STATEMENTS[at], SqlVersion::V2016_03_23, &payload);
        evaluate(STATEMENTS[at], SqlVersion::V2015_10_08, &payload);
    }
}
