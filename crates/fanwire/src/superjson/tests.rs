//! What `superjson` is told, and dates.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::{Duration, UNIX_EPOCH};

use proptest::prelude::*;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::*;

/// What is told of a value.
fn told<T: Serialize>(value: &T) -> Value {
    let tree = annotations(value).unwrap();
    tree.map_or(Value::Null, |tree| serde_json::from_str(tree.get()).unwrap())
}

fn epoch() -> Date {
    Date::from_millis(0)
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Post {
    sent_at: Date,
    text: String,
    edits: Vec<Option<Date>>,
    #[serde(flatten)]
    more: BTreeMap<String, Date>,
}

#[derive(Serialize)]
enum Outer {
    Nothing,
    One(Date),
    Two(u8, Date),
    Fields { at: Date },
}

#[derive(Serialize)]
#[serde(tag = "kind")]
enum Tagged {
    At { at: Date },
    Post(Post),
}

#[derive(Serialize)]
#[serde(tag = "kind", content = "of")]
enum Adjacent {
    At(Date),
}

fn post() -> Post {
    let more = BTreeMap::from([("a.b\\c".to_owned(), epoch())]);
    Post { sent_at: epoch(), text: "hi".to_owned(), edits: vec![None, Some(epoch())], more }
}

#[test]
fn values_of_json_have_nothing_told_of_them() {
    for value in [json!(null), json!({ "a": [1, "b", { "c": null }] }), json!([])] {
        assert_eq!(told(&value), Value::Null);
    }
    assert_eq!(told(&Outer::Nothing), Value::Null);
    assert_eq!(told(&HashMap::from([(1, 2)])), Value::Null);
}

#[test]
fn a_value_by_itself_is_told_by_its_kind() {
    assert_eq!(told(&epoch()), json!(["Date"]));
    assert_eq!(told(&Some(BigInt(1))), json!(["bigint"]));
    assert_eq!(told(&Set([1, 2])), json!(["set"]));
    assert_eq!(told(&Map([("a", 1)])), json!(["map"]));
}

#[test]
fn parts_are_told_by_their_paths() {
    let of_post = json!({ "sentAt": ["Date"], "edits": { "1": ["Date"] }, r"a\.b\\c": ["Date"] });
    assert_eq!(told(&post()), of_post);
    assert_eq!(told(&vec![(1, epoch())]), json!({ "0": { "1": ["Date"] } }));
    let deep = Map(BTreeMap::from([(epoch(), Set(BTreeSet::from([BigInt(1)])))]));
    let deep = told(&deep);
    assert_eq!(deep, json!(["map", { "0": { "0": ["Date"], "1": ["set", { "0": ["bigint"] }] } }]));
}

#[test]
fn enums_are_told_as_serde_writes_them() {
    assert_eq!(told(&Outer::One(epoch())), json!({ "One": ["Date"] }));
    assert_eq!(told(&Outer::Two(1, epoch())), json!({ "Two": { "1": ["Date"] } }));
    assert_eq!(told(&Outer::Fields { at: epoch() }), json!({ "Fields": { "at": ["Date"] } }));
    assert_eq!(told(&Tagged::At { at: epoch() }), json!({ "at": ["Date"] }));
    assert_eq!(told(&Tagged::Post(post())), told(&post()));
    assert_eq!(told(&Adjacent::At(epoch())), json!({ "of": ["Date"] }));
}

#[test]
fn what_is_written_is_json_that_reads_as_the_same() {
    #[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
    struct All {
        at: Date,
        big: BigInt,
        set: Set<Vec<BigInt>>,
        map: Map<HashMap<u8, Date>>,
    }
    let all = All {
        at: Date::from_millis(-1),
        big: BigInt(i128::MIN),
        set: Set(vec![BigInt(1)]),
        map: Map(HashMap::from([(7, epoch())])),
    };
    let json = serde_json::to_value(&all).unwrap();
    assert_eq!(
        json,
        json!({
            "at": "1969-12-31T23:59:59.999Z", "big": i128::MIN.to_string(), "set": ["1"],
            "map": [[7, "1970-01-01T00:00:00.000Z"]],
        })
    );
    assert_eq!(serde_json::from_value::<All>(json).unwrap(), all);
    assert_eq!(serde_json::from_str::<BigInt>("7").unwrap(), BigInt(7));
    for no_bigint in ["\"x\"", "\"1.5\"", "1.5", "true"] {
        assert!(serde_json::from_str::<BigInt>(no_bigint).is_err(), "{no_bigint}");
    }
    assert!(serde_json::from_str::<Map<Vec<(u8, u8)>>>("[[1]]").is_err());
}

#[test]
fn dates_are_those_of_javascript() {
    for (millis, text) in [
        (0, "1970-01-01T00:00:00.000Z"),
        (951_782_400_000, "2000-02-29T00:00:00.000Z"),
        (1_795_247_407_881, "2026-11-21T07:50:07.881Z"),
        (-62_198_755_200_000, "-000001-01-01T00:00:00.000Z"),
        (253_402_300_800_000, "+010000-01-01T00:00:00.000Z"),
        (8_640_000_000_000_000, "+275760-09-13T00:00:00.000Z"),
        (-8_640_000_000_000_000, "-271821-04-20T00:00:00.000Z"),
    ] {
        assert_eq!(Date::from_millis(millis).to_string(), text);
        assert_eq!(text.parse(), Ok(Date::from_millis(millis)));
    }
    assert_eq!("2000-01-01T00:00:00Z".parse::<Date>().unwrap().millis(), 946_684_800_000);
    assert_eq!("1970-01-01T00:00:00.5Z".parse::<Date>().unwrap().millis(), 500);
    for no_date in [
        "",
        "Z",
        "T",
        "2000-01-01",
        "2000-02-30T00:00:00Z",
        "2000-13-01T00:00:00Z",
        "é",
        "2000-01-01T24:00:00Z",
        "2000-01-01T00:00:00",
        "2000-01-01T00:00:00.Z",
        "2000-01-01T00:00:00.1x5Z",
        "2000-1-01T00:00:00Z",
        "+275760-09-13T00:00:00.001Z",
        "2000-01-01T00:00:00+01:00",
        "2000-01-01T00:.0:00Z",
        "-2000-01-01T00:00:00Z",
    ] {
        assert!(no_date.parse::<Date>().is_err(), "{no_date}");
    }
}

#[test]
fn a_date_is_the_millisecond_that_a_moment_is_in() {
    let nanos = Duration::from_nanos;
    assert_eq!(Date::from(UNIX_EPOCH + nanos(1_999_999)).millis(), 1);
    assert_eq!(Date::from(UNIX_EPOCH - nanos(1)).millis(), -1);
    assert_eq!(Date::from(UNIX_EPOCH - nanos(1_000_000)).millis(), -1);
}

proptest! {
    #[test]
    fn a_date_is_read_as_it_is_written(millis in -8_640_000_000_000_000i64..=8_640_000_000_000_000) {
        let date = Date::from_millis(millis);
        prop_assert_eq!(date.to_string().parse(), Ok(date));
        prop_assert_eq!(Date::from(date.time()), date);
    }

    #[test]
    fn no_text_is_a_panic(text in "[-+0-9TZ:.é]{0,30}") {
        let _ = text.parse::<Date>();
    }
}
