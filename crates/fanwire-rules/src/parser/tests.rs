//! Statements, whole: what they select, and how they are refused.

use crate::Message;
use crate::error::EvaluateError;
use crate::rule::{Rule, Selected};
use crate::testing::{message, refusal, select, value_in};
use crate::version::SqlVersion;

const COLOR: &str = r#"{"color":{"red":255,"green":0},"temperature":50,"name":"lamp"}"#;

#[track_caller]
fn selects(sql: &str, payload: &str, expected: &str) {
    assert_eq!(select(sql, payload), expected, "{sql}");
}

#[test]
fn everything_is_passed_on_byte_for_byte() {
    for payload in [
        "{ \"a\" : 1.50,\n\"a\":1e2, \"n\":123456789012345678901234567890 }",
        " [1] ",
        "\"x\"",
        "null",
    ] {
        selects("SELECT * FROM 'a'", payload, payload);
        selects("select value * from 'a'", payload, payload);
        selects("SELECT * FROM 'a' WHERE true", payload, payload);
    }
}

#[test]
fn a_payload_that_is_not_json_is_raw() {
    for sql in [
        "SELECT * FROM 'a'",
        "SELECT VALUE * FROM 'a'",
        "SELECT * FROM 'a' WHERE topic(1) = 'things'",
    ] {
        let rule = Rule::parse(sql, SqlVersion::default()).unwrap();
        for payload in [&b"not JSON"[..], b"", b"\xFF\x00", b"{\"a\":1} x"] {
            let selected = rule.evaluate(&Message { payload, ..message() }).unwrap();
            assert_eq!(selected, Some(Selected::Raw(payload)), "{sql}");
        }
    }
}

#[test]
fn a_raw_payload_beside_other_columns_is_base64() {
    let sql = "SELECT *, topic(1) AS t FROM 'a'";
    selects(sql, "raw!", r#"{"payload":"cmF3IQ==","t":"things"}"#);
    selects(sql, "[1]", r#"{"payload":[1],"t":"things"}"#);
    selects(sql, "{\"a\":1}", r#"{"a":1,"t":"things"}"#);
    selects("SELECT clientid() AS c FROM 'a'", "raw!", r#"{"c":"client-1"}"#);
}

#[test]
fn members_of_a_payload_that_is_not_json_are_an_error() {
    for sql in
        ["SELECT a FROM 'a'", "SELECT * FROM 'a' WHERE a = 1", "SELECT length(*) AS l FROM 'a'"]
    {
        let rule = Rule::parse(sql, SqlVersion::default()).unwrap();
        let error = rule.evaluate(&Message { payload: b"raw", ..message() }).unwrap_err();
        assert_eq!(error, EvaluateError::NotJson, "{sql}");
        assert!(error.to_string().contains("encode(*, 'base64') AS data"));
    }
}

#[test]
fn columns_are_named_by_as_or_by_their_last_part() {
    selects("SELECT name FROM 'a/b'", COLOR, r#"{"name":"lamp"}"#);
    selects("SELECT color.red FROM 'a/b'", COLOR, r#"{"red":255}"#);
    selects(
        "SELECT color.red AS red_value, name as n FROM 'a'",
        COLOR,
        r#"{"red_value":255,"n":"lamp"}"#,
    );
    selects("SELECT upper( name ) FROM 'a'", COLOR, r#"{"upper( name )":"LAMP"}"#);
    selects("SELECT (temperature - 32) * 5 / 9 AS celsius FROM 'a'", COLOR, r#"{"celsius":10}"#);
    selects(
        "SELECT *, 15 AS speed, 'x' AS name FROM 'a'",
        r#"{"name":1,"b":2}"#,
        r#"{"name":"x","b":2,"speed":15}"#,
    );
}

#[test]
fn an_alias_with_points_makes_objects() {
    let sql = "SELECT name AS d.name, temperature AS d.t.value, 1 AS e FROM 'a'";
    selects(sql, COLOR, r#"{"d":{"name":"lamp","t":{"value":50}},"e":1}"#);
    selects("SELECT 1 AS a, 2 AS a.b FROM 'x'", "{}", r#"{"a":{"b":2}}"#);
}

#[test]
fn undefined_columns_are_left_out() {
    selects(
        "SELECT a, name, b.c.d, isUndefined(a) AS u FROM 'a'",
        COLOR,
        r#"{"name":"lamp","u":true}"#,
    );
    selects("SELECT VALUE missing FROM 'a'", COLOR, "\"\"");
    selects("SELECT null AS n, [missing, 1] AS l FROM 'a'", COLOR, r#"{"n":null,"l":[1]}"#);
}

#[test]
fn select_value_gives_what_is_no_object() {
    selects("SELECT VALUE name FROM 'a'", COLOR, "\"lamp\"");
    selects("SELECT VALUE color FROM 'a'", COLOR, r#"{"red":255,"green":0}"#);
    selects("SELECT VALUE [temperature, 1] FROM 'a'", COLOR, "[50,1]");
    selects("SELECT VALUE arr FROM 'topic'", r#"{"arr":[1,2]}"#, "[1,2]");
}

#[test]
fn keywords_may_be_members() {
    let payload = r#"{"value":1,"case":2,"end":3,"a":{"from":4,"select":5},"timestamp":6}"#;
    selects(
        "SELECT value, case, end, timestamp FROM 'a'",
        payload,
        r#"{"value":1,"case":2,"end":3,"timestamp":6}"#,
    );
    selects("SELECT value FROM 'a'", payload, r#"{"value":1}"#);
    selects("SELECT value + 1 AS v FROM 'a'", payload, r#"{"v":2}"#);
    selects("SELECT value * 2 AS v FROM 'a'", payload, r#"{"v":2}"#);
    selects(
        "SELECT value AS v, a.from, a.select FROM 'a'",
        payload,
        r#"{"v":1,"from":4,"select":5}"#,
    );
    selects(
        "SELECT a FROM 'a' WHERE value = 1 AND end = 3",
        payload,
        r#"{"a":{"from":4,"select":5}}"#,
    );
}

#[test]
fn where_has_to_be_true() {
    for (condition, taken) in [
        ("temperature > 40", true),
        ("temperature > 60", false),
        ("missing > 40", false),
        ("missing", false),
        ("'true'", true),
        ("1", false),
        ("name = 'lamp' AND NOT color.red = 0", true),
        ("topic(2) = 'myThings'", true),
        ("temperature > 40 AND missing = 1", false),
    ] {
        let expected = if taken { r#"{"n":"lamp"}"# } else { "(nothing)" };
        selects(&format!("SELECT name AS n FROM 'a' WHERE {condition}"), COLOR, expected);
    }
    selects("SELECT name AS n FROM 'a' WHERE n = 'lamp'", COLOR, "(nothing)");
}

#[test]
fn case_takes_the_first_that_is_equal() {
    let sql = "SELECT CASE color WHEN 'green' THEN 'go' WHEN 'yellow' THEN 'caution' ELSE 'off' END AS i FROM 'a'";
    selects(sql, r#"{"color":"yellow"}"#, r#"{"i":"caution"}"#);
    selects(sql, r#"{"color":"blue"}"#, r#"{"i":"off"}"#);
    selects(sql, "{}", "{}");
    selects("SELECT CASE 1 WHEN 2 THEN 3 END AS i FROM 'a'", "{}", "{}");
    assert!(refusal("SELECT CASE a ELSE 1 END FROM 'a'").contains("needs a WHEN"));
    assert!(refusal("SELECT CASE a WHEN 1 2 END FROM 'a'").contains("expected THEN"));
}

#[test]
fn nested_queries_go_through_arrays_and_objects() {
    let payload = r#"{"e":[{"n":"temperature","v":22.5},{"n":"light","v":135}],"o":{"a":1,"b":2}}"#;
    selects(
        "SELECT (SELECT VALUE n FROM e) AS s FROM 'a'",
        payload,
        r#"{"s":["temperature","light"]}"#,
    );
    selects(
        "SELECT (SELECT v FROM e WHERE n = 'temperature') AS t FROM 'a'",
        payload,
        r#"{"t":[{"v":22.5}]}"#,
    );
    selects(
        "SELECT get((SELECT v FROM e WHERE n = 'light'), 0).v AS t FROM 'a'",
        payload,
        r#"{"t":135}"#,
    );
    selects("SELECT (SELECT a FROM o) AS o FROM 'a'", payload, r#"{"o":{"a":1}}"#);
    selects(
        "SELECT (SELECT * FROM e WHERE v > 100) AS e FROM 'a'",
        payload,
        r#"{"e":[{"n":"light","v":135}]}"#,
    );
    selects("SELECT (SELECT a FROM missing) AS o FROM 'a'", payload, "{}");
    selects(
        "SELECT 1 AS x FROM 'a' WHERE EXISTS (SELECT * FROM e WHERE v > 100)",
        payload,
        r#"{"x":1}"#,
    );
    selects(
        "SELECT 1 AS x FROM 'a' WHERE 'light' IN (SELECT VALUE n FROM e)",
        payload,
        r#"{"x":1}"#,
    );
    selects(
        "SELECT 1 AS x FROM 'a' WHERE EXISTS (SELECT * FROM e WHERE v > 200)",
        payload,
        "(nothing)",
    );
    selects(
        "SELECT (SELECT VALUE * FROM l WHERE 1 = 1) AS l FROM 'a'",
        r#"{"l":[1,null,2]}"#,
        r#"{"l":[1,null,2]}"#,
    );
}

#[test]
fn literals_and_indexes() {
    let payload = r#"{"l":[47.606,-122.332],"m":[[1],[2,3]]}"#;
    selects(
        "SELECT {'lat': get(l, 0), 'deep': {\"a\": [1, 'x', true, null]}} AS o FROM 'a'",
        payload,
        r#"{"o":{"lat":47.606,"deep":{"a":[1,"x",true,null]}}}"#,
    );
    selects(
        "SELECT m[1][0] AS x, l[0 + 1] AS y, l[5] AS z, [] AS e, {} AS o FROM 'a'",
        payload,
        r#"{"x":2,"y":-122.332,"e":[],"o":{}}"#,
    );
}

#[test]
fn casts_convert_between_numbers_booleans_and_texts() {
    let of = |expression: &str, version| value_in(expression, "{}", version);
    for (expression, expected) in [
        ("cast(true AS Int)", "1"),
        ("cast(1.9 AS integer)", "1"),
        ("cast(-1.5 as int)", "-2"),
        ("cast('5E1' AS Int)", "50"),
        ("cast('x' AS Int)", "undefined"),
        ("cast(5 AS String)", "\"5\""),
        ("cast(null AS Text)", "undefined"),
        ("cast([1] AS nvarchar)", "\"[1]\""),
        ("cast('1.5' AS Double)", "1.5"),
    ] {
        assert_eq!(
            of(expression, SqlVersion::V2015_10_08.max(SqlVersion::V2016_03_23)),
            expected,
            "{expression}"
        );
    }
    assert_eq!(of("cast(10 AS Decimal)", SqlVersion::V2016_03_23), "10");
    assert_eq!(of("cast(10 AS Double)", SqlVersion::V2015_10_08), "10.0");
    assert_eq!(of("cast(0 AS Boolean)", SqlVersion::V2016_03_23), "false");
    assert_eq!(of("cast('TRUE' AS Bool)", SqlVersion::V2016_03_23), "true");
    assert!(Rule::parse("SELECT cast(0 AS Boolean) FROM 'a'", SqlVersion::V2015_10_08).is_err());
    assert!(refusal("SELECT cast(a AS Date) FROM 'a'").contains("types are"));
}

#[test]
fn from_is_one_topic_filter_in_quotes_or_nothing() {
    let filter = |sql| Rule::parse(sql, SqlVersion::default()).unwrap().filter().map(str::to_owned);
    assert_eq!(filter("SELECT * FROM 'a/+/b/#'").as_deref(), Some("a/+/b/#"));
    assert_eq!(
        filter("SELECT * FROM \"$aws/events/#\" WHERE true").as_deref(),
        Some("$aws/events/#")
    );
    assert_eq!(filter("SELECT *"), None);
    assert_eq!(filter("SELECT * WHERE a = 1"), None);
    for (sql, part) in [
        ("SELECT * FROM a", "single quotes"),
        ("SELECT * FROM topic/#", "single quotes"),
        ("SELECT * FROM", "single quotes"),
        ("SELECT * FROM ''", "it is empty"),
        ("SELECT * FROM 'a/#/b'", "alone at the end"),
        ("SELECT * FROM 'a#'", "alone at the end"),
        ("SELECT * FROM 'a/b+'", "a level of its own"),
        ("SELECT * FROM 'a', 'b'", "one topic filter"),
    ] {
        assert!(refusal(sql).contains(part), "{sql}: {}", refusal(sql));
    }
}

#[test]
fn a_mistake_is_shown_with_its_place_and_the_remedy() {
    for (sql, expected) in [
        (
            "SELEC * FROM 'a'",
            "line 1, column 1: unexpected `SELEC`; a rule is `SELECT … FROM 'topic/filter' WHERE …`",
        ),
        (
            "SELECT a,\n  upercase(b)\nFROM 'a'",
            "line 2, column 3: there is no function `upercase`; docs/topic-rules.md lists the functions",
        ),
        (
            "SELECT uper(b) FROM 'a'",
            "line 1, column 8: there is no function `uper`; did you mean `upper`?",
        ),
        (
            "SELECT lenght(b) FROM 'a'",
            "line 1, column 8: there is no function `lenght`; did you mean `length`?",
        ),
        (
            "SELECT a b FROM 'a'",
            "line 1, column 10: unexpected `b`; expected `,`, AS, FROM, WHERE or the end",
        ),
        (
            "SELECT FROM 'a'",
            "line 1, column 8: unexpected `FROM`; expected a name, a value or a function",
        ),
        ("SELECT (1 FROM 'a'", "line 1, column 11: unexpected `FROM`; expected `)`"),
        (
            "SELECT * FROM 'a' WHERE",
            "line 1, column 24: the statement ends here; expected a name, a value or a function",
        ),
        (
            "SELECT * FROM 'a' WHERE a LIKE 'b'",
            "line 1, column 27: unexpected `LIKE`; expected an operator, or the end",
        ),
        (
            "SELECT a.'b' FROM 'a'",
            "line 1, column 10: unexpected `'b'`; expected a name; `get(object, 'any key')` takes others",
        ),
        (
            "SELECT topic(1, 2) FROM 'a'",
            "line 1, column 8: `topic` with 2 arguments; it takes 0 to 1",
        ),
        (
            "SELECT VALUE a, b FROM 'a'",
            "line 1, column 15: unexpected `,`; SELECT VALUE takes one expression",
        ),
    ] {
        assert_eq!(refusal(sql), expected);
    }
}

#[test]
fn functions_that_reach_outside_are_refused_when_the_rule_is_read() {
    for name in [
        "aws_lambda",
        "get_dynamodb",
        "get_secret",
        "get_thing_shadow",
        "machinelearning_predict",
        "get_registry_data",
    ] {
        let refused = refusal(&format!("SELECT {name}('a', b) AS x FROM 'a'"));
        assert!(
            refused.contains(&format!("`{name}` is not served"))
                && refused.contains("the rule's function"),
            "{refused}"
        );
    }
    assert!(refusal("SELECT md2(a) FROM 'a'").contains("`sha256` is"));
}

#[test]
fn what_came_in_2016_is_refused_in_2015() {
    for sql in [
        "SELECT [1] AS a FROM 'a'",
        "SELECT {'a': 1} AS a FROM 'a'",
        "SELECT (SELECT a FROM b) AS a FROM 'a'",
        "SELECT encode(*, 'base64') AS a FROM 'a'",
        "SELECT decode(a, 'base64') AS a FROM 'a'",
        "SELECT length(a) FROM 'a'",
    ] {
        let refused = Rule::parse(sql, SqlVersion::V2015_10_08).unwrap_err().to_string();
        assert!(refused.contains("since 2016-03-23"), "{refused}");
    }
}

#[test]
fn hostile_statements_are_refused_and_long_ones_are_not() {
    let deep = |open: &str, close: &str| {
        format!("SELECT {}1{} AS a FROM 'a'", open.repeat(600), close.repeat(600))
    };
    for sql in [
        deep("(", ")"),
        deep("[", "]"),
        deep("-", ""),
        deep("NOT ", ""),
        deep("abs(", ")"),
        deep("a[", "]"),
        deep("CASE 1 WHEN 1 THEN ", " END"),
        deep("EXISTS ", ""),
        deep("(SELECT VALUE 1 FROM ", ")"),
        deep("{'a': ", "}"),
        deep("1 + ", ""),
        deep("cast(", " AS Int)"),
    ] {
        let refused = refusal(&sql);
        assert!(
            refused.contains("nested too deeply") || refused.contains("too many operators"),
            "{refused}"
        );
    }
    assert!(refusal(&"x".repeat(20_000)).contains("bytes"));
    assert!(
        refusal(&format!("SELECT 1 AS {} FROM 'a'", ["a"; 40].join(".")))
            .contains("too many parts")
    );
    let sum = format!("SELECT {} AS a FROM 'a'", ["1"; 501].join("+"));
    selects(&sum, "{}", r#"{"a":501}"#);
    let path = format!("SELECT {} AS a FROM 'a'", ["a"; 5000].join("."));
    selects(&path, "{}", "{}");
}

#[test]
fn the_deepest_statements_and_payloads_are_evaluated() {
    let nested =
        |times: usize, open: &str, close: &str| open.repeat(times) + "a" + &close.repeat(times);
    let deep = nested(100, "[", "]").replace('a', "");
    let payload = format!("{{\"a\":{deep}}}");
    for value in [
        nested(30, "concat(", ")"),
        nested(60, "(", ")"),
        nested(25, "CASE 1 WHEN 1 THEN ", " END"),
    ] {
        selects(&format!("SELECT {value} AS a FROM 'x'"), &payload, &payload);
    }
    let sql = format!("SELECT {} AS a FROM 'x'", nested(20, "(SELECT VALUE * FROM ", ")"));
    selects(&sql, &payload, &payload);
    let expected = format!("{{\"a\":{}}}", nested(60, "[", "]").replace('a', &deep));
    selects(&format!("SELECT {} AS a FROM 'x'", nested(60, "[", "]")), &payload, &expected);
}

#[test]
fn the_work_of_a_message_is_bounded() {
    let payload = format!("{{\"l\":[{}]}}", vec!["[1,2]"; 150_000].join(","));
    let sql = "SELECT (SELECT VALUE [*[0] + *[1]] FROM l) AS s FROM 'a'";
    assert!(refusal(sql).contains("by itself"), "{}", refusal(sql));
    let sql = format!("SELECT {} AS s FROM 'a'", vec!["l"; 100].join(" = l AND "));
    assert!(select(&sql, &payload).contains("units of work"));
    let long = format!("\"{}\"", "x".repeat(crate::MAX_RESULT_BYTES));
    assert!(select("SELECT 1 AS a, b FROM 'a'", &long).contains("longer than"));
    let controls = format!("{{\"a\":\"{}\"}}", "\\u0001".repeat(170_000));
    assert!(select("SELECT concat(a, a) AS b FROM 'a'", &controls).contains("longer than"));
}

#[test]
fn everything_has_no_limit_where_it_is_only_passed_on() {
    let long = format!("\"{}\"", "x".repeat(2 * crate::MAX_RESULT_BYTES));
    selects("SELECT * FROM 'a'", &long, &long);
}
