use proptest::prelude::*;
use serde_json::value::{RawValue, to_raw_value};
use serde_json::{Value, json};

use super::*;

const SUPERJSON: ParseOptions =
    ParseOptions { transformer: Transformer::SuperJson, max_batch: 2048 };

fn parse(text: &str) -> Result<Vec<ClientMessage<'_>>, String> {
    match ClientFrame::parse(text, &ParseOptions::default()) {
        Ok(ClientFrame::Messages(messages)) => Ok(messages),
        Ok(other) => panic!("{other:?}"),
        Err(error) => Err(error.to_string()),
    }
}

fn only(text: &str) -> ClientMessage<'_> {
    let mut messages = parse(text).unwrap();
    assert_eq!(messages.len(), 1);
    messages.remove(0)
}

fn raw(json: &str) -> Box<RawValue> {
    RawValue::from_string(json.to_owned()).unwrap()
}

#[test]
fn a_call_is_borrowed_from_its_text() {
    let text = r#"{"id":1,"method":"query","params":{"path":"a.b","input":{"n":[1, 2]}}}"#;
    let message = only(text);
    let Method::Call(call) = message.method else { panic!("{message:?}") };
    assert_eq!(call.kind, ProcedureType::Query);
    assert!(matches!(call.path, std::borrow::Cow::Borrowed("a.b")));
    let input = call.input.unwrap().get();
    assert_eq!(input, r#"{"n":[1, 2]}"#);
    assert!(text.as_bytes().as_ptr_range().contains(&input.as_ptr()));
    assert!(call.last_event_id.is_none());
}

#[test]
fn of_members_with_one_name_the_last_counts_and_others_are_ignored() {
    let message = only(
        r#"{"id":1,"x":[{}],"\u0069d":"two","method":"mutation","params":{"path":"p","path":"q\n","lastEventId":"3"}}"#,
    );
    assert_eq!(message.envelope.id.unwrap().to_string(), r#""two""#);
    let Method::Call(call) = message.method else { panic!() };
    assert_eq!((&*call.path, call.last_event_id.as_deref()), ("q\n", Some("3")));
}

#[test]
fn ids_are_repeated_as_they_were_spelled() {
    for id in ["0", "1", "18446744073709551615", "-1", "1.0", "1e3", r#""a\u0062""#, r#""""#] {
        let text = format!(r#"{{"id":{id},"method":"subscription.stop"}}"#);
        let message = only(&text);
        assert!(matches!(message.method, Method::Stop));
        let stopped = Response::STOPPED.encode(&message.envelope);
        assert_eq!(stopped, format!(r#"{{"id":{id},"result":{{"type":"stopped"}}}}"#));
    }
    assert_ne!(Id::new(&raw("1")), Id::new(&raw("\"1\"")));
    assert_eq!(Id::new(&raw("12")), Some(Id::from(12)));
}

#[test]
fn jsonrpc_is_repeated_where_the_client_said_it() {
    let message = only(r#"{"jsonrpc":"2.0","id":5,"method":"subscription.stop"}"#);
    assert_eq!(
        Response::STARTED.encode(&message.envelope),
        r#"{"id":5,"jsonrpc":"2.0","result":{"type":"started"}}"#,
    );
}

#[test]
fn an_empty_batch_is_nothing_and_a_batch_is_its_messages() {
    assert_eq!(parse(" [ ] ").unwrap().len(), 0);
    let stop = r#"{"id":1,"method":"subscription.stop"}"#;
    assert_eq!(parse(&format!("[{stop},{stop}]")).unwrap().len(), 2);
}

#[test]
fn bare_texts_of_v11_are_known() {
    let parse = |text| ClientFrame::parse(text, &ParseOptions::default());
    assert!(matches!(parse("PING"), Ok(ClientFrame::Ping)));
    assert!(matches!(parse("PONG"), Ok(ClientFrame::Pong)));
    assert!(matches!(parse("PING "), Err(ParseError::Json(_))));
}

#[test]
fn faults_have_the_words_of_the_server_of_trpc() {
    let long = format!(r#"{{"id":"{}","method":"subscription.stop"}}"#, "x".repeat(MAX_ID_BYTES));
    for (text, words) in [
        ("1", "Not an object"),
        ("null", "Not an object"),
        ("[[]]", "Not an object"),
        (r#"{"method":"query","params":{"path":"a"}}"#, "Invalid request id"),
        (r#"{"id":true,"method":"query"}"#, "Invalid request id"),
        (r#"{"id":{},"method":"query"}"#, "Invalid request id"),
        (r#"{"id":1e999,"method":"query"}"#, "Invalid request id"),
        (r#"{"id":"\ud800","method":"query"}"#, "Invalid request id"),
        (&long, "Invalid request id"),
        (r#"{"id":1,"jsonrpc":"1.0","method":"query"}"#, "Must be JSONRPC 2.0"),
        (r#"{"id":1,"jsonrpc":null,"method":"query"}"#, "Must be JSONRPC 2.0"),
        (r#"{"id":1}"#, "Invalid procedure type"),
        (r#"{"id":1,"method":"subscribe","params":{}}"#, "Invalid procedure type"),
        (r#"{"id":1,"method":"query"}"#, "Not an object"),
        (r#"{"id":1,"method":"query","params":[]}"#, "Not an object"),
        (r#"{"id":1,"method":"query","params":{}}"#, "Invalid string"),
        (r#"{"id":1,"method":"query","params":{"path":1}}"#, "Invalid string"),
        (r#"{"id":1,"method":"query","params":{"path":"a","lastEventId":1}}"#, "Invalid string"),
        (r#"[{"id":1,"method":"subscription.stop"},{"id":[]}]"#, "Invalid request id"),
    ] {
        assert_eq!(parse(text).unwrap_err(), words, "{text}");
    }
    for text in ["", "hello", "{", "[{}", "{}{}", "[1"] {
        assert!(ClientFrame::parse(text, &ParseOptions::default()).is_err(), "{text}");
    }
}

#[test]
fn a_missing_id_is_answered_with_null() {
    let message = only(r#"{"id":null,"method":"query","params":{"path":"a"}}"#);
    assert_eq!(
        Response::missing_id(Transformer::None).encode(&message.envelope),
        r#"{"id":null,"error":{"message":"`id` is required","code":-32700,"data":{"code":"PARSE_ERROR","httpStatus":400}}}"#,
    );
}

#[test]
fn a_batch_beyond_the_most_names_who_waits_among_its_first_messages() {
    let options = ParseOptions { max_batch: 3, ..ParseOptions::default() };
    let text = r#"[{"id":1,"method":"query"},{"id":2,"method":"subscription.stop"},7,{"id":4}]"#;
    let Ok(ClientFrame::TooLong(waiting)) = ClientFrame::parse(text, &options) else { panic!() };
    assert_eq!(waiting, [Envelope::from(Id::from(1))]);
}

#[test]
fn superjson_is_taken_off_inputs() {
    let call = |input: &str| {
        let text = format!(r#"{{"id":1,"method":"query","params":{{"path":"a"{input}}}}}"#);
        match ClientFrame::parse(&text, &SUPERJSON).map_err(|error| error.to_string())? {
            ClientFrame::Messages(messages) => match &messages[0].method {
                Method::Call(call) => Ok(call.input.map(|input| input.get().to_owned())),
                Method::Stop => panic!(),
            },
            _ => panic!(),
        }
    };
    let undefined = r#","input":{"json":null,"meta":{"values":["undefined"]}}"#;
    assert_eq!(call(undefined), Ok(None));
    assert_eq!(call(""), Ok(None));
    assert_eq!(call(r#","input":{"json":null}"#), Ok(Some("null".to_owned())));
    let date = r#","input":{"json":{"d":"1970-01-01"},"meta":{"values":{"d":["Date"]}}}"#;
    assert_eq!(call(date), Ok(Some(r#"{"d":"1970-01-01"}"#.to_owned())));
    assert_eq!(call(r#","input":7"#), Ok(None));
    assert!(call(r#","input":null"#).is_err_and(|error: String| error.contains("transformer")));
}

#[test]
fn superjson_is_put_around_data_and_errors() {
    let one = Envelope::from(Id::from(1));
    let (data, meta) = (raw(r#"{"d":"1970"}"#), raw(r#"{"d":["Date"]}"#));
    let sent = |data: &Data<'_>| Response::data(data, Transformer::SuperJson).encode(&one);
    assert_eq!(
        sent(&Data { meta: Some(&meta), ..Data::new(&data) }),
        r#"{"id":1,"result":{"type":"data","data":{"json":{"d":"1970"},"meta":{"values":{"d":["Date"]},"v":1}}}}"#,
    );
    assert_eq!(
        sent(&Data { meta: Some(&meta), ..Data::tracked("7", &data) }),
        r#"{"id":1,"result":{"type":"data","data":{"json":{"id":"7","data":{"d":"1970"}},"meta":{"values":{"data":{"d":["Date"]}},"v":1}},"id":"7"}}"#,
    );
    assert_eq!(
        sent(&Data::default()),
        r#"{"id":1,"result":{"type":"data","data":{"json":null,"meta":{"values":["undefined"],"v":1}}}}"#,
    );
    let error = ErrorShape::new(ErrorCode::Forbidden, "no");
    assert_eq!(
        Response::error(&error, Transformer::SuperJson).encode(&one),
        r#"{"id":1,"error":{"json":{"message":"no","code":-32003,"data":{"code":"FORBIDDEN","httpStatus":403}}}}"#,
    );
    assert_eq!(
        Response::data(&Data::default(), Transformer::None).encode(&one),
        r#"{"id":1,"result":{"type":"data"}}"#,
    );
}

#[test]
fn an_error_says_what_its_formatter_adds() {
    let more = raw(r#" {"zodError": {"a":1}} "#);
    let error = ErrorShape {
        path: Some("a\"b"),
        data: Some(&more),
        ..ErrorShape::new(ErrorCode::BadRequest, "line\n")
    };
    let text = Response::error(&error, Transformer::None).encode(&Envelope::default());
    let value: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(
        value,
        json!({ "id": null, "error": { "message": "line\n", "code": -32600, "data": {
            "code": "BAD_REQUEST", "httpStatus": 400, "path": "a\"b", "zodError": { "a": 1 },
        } } }),
    );
}

#[test]
fn the_server_asks_to_reconnect_by_a_method() {
    let text = Response::RECONNECT.encode(&Envelope::default());
    assert_eq!(text, r#"{"id":null,"method":"reconnect"}"#);
}

#[test]
fn connection_parameters_are_strings_or_null() {
    let read = |text: &str| connection_params(text).map_err(|error| error.to_string());
    let named = |name: &str, value: &str| Ok(Some(vec![(name.to_owned(), value.to_owned())]));
    assert_eq!(read(r#"{"method":"connectionParams","data":{"token":"T"}}"#), named("token", "T"));
    assert_eq!(read(r#"{"method":"connectionParams","data":null}"#), Ok(None));
    let malformed = Err("Malformed TRPCConnectionParamsMessage".to_owned());
    let shape = Err("Invalid connection params shape".to_owned());
    for (text, expected) in [
        ("PONG", &malformed),
        ("[]", &malformed),
        ("1", &malformed),
        (r#"{"method":"connectionParams"}"#, &shape),
        (r#"{"data":[]}"#, &shape),
        (r#"{"data":{"a":1}}"#, &shape),
    ] {
        assert_eq!(&read(text), expected, "{text}");
    }
}

#[test]
fn every_error_code_is_known_by_its_key() {
    for code in ErrorCode::ALL {
        assert_eq!(code.key().parse(), Ok(code));
        assert!((400..=504).contains(&code.http_status()) && code.number() <= -32001);
    }
    assert!("NOPE".parse::<ErrorCode>().is_err());
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        ".{0,12}".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec(("[a-z]{1,6}", inner), 0..4)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn a_call_survives_its_text(
        id in prop_oneof![any::<u64>().prop_map(Value::from), ".{0,20}".prop_map(Value::from)],
        path in ".{0,20}",
        input in proptest::option::of(any_json()),
        last in proptest::option::of(".{0,20}"),
        jsonrpc: bool,
    ) {
        let mut message = json!({ "id": id, "method": "subscription", "params": { "path": path } });
        if let Some(input) = &input { message["params"]["input"] = input.clone(); }
        if let Some(last) = &last { message["params"]["lastEventId"] = json!(last); }
        if jsonrpc { message["jsonrpc"] = json!("2.0"); }
        let text = message.to_string();
        let parsed = only(&text);
        let Method::Call(call) = parsed.method else { panic!() };
        prop_assert_eq!(&*call.path, &path);
        prop_assert_eq!(call.last_event_id.as_deref(), last.as_deref());
        let read = call.input.map(|raw| serde_json::from_str::<Value>(raw.get()).unwrap());
        prop_assert_eq!(read, input);
        let answer: Value = serde_json::from_str(&Response::STARTED.encode(&parsed.envelope)).unwrap();
        prop_assert_eq!(&answer["id"], &id);
        prop_assert_eq!(answer.get("jsonrpc").is_some(), jsonrpc);
    }

    #[test]
    fn whatever_is_sent_is_json_and_says_the_same(
        value in any_json(),
        event_id in proptest::option::of(".{0,20}"),
        message in ".{0,40}",
        path in proptest::option::of(".{0,20}"),
    ) {
        let json = to_raw_value(&value).unwrap();
        let data = Data { event_id: event_id.as_deref(), ..Data::new(&json) };
        let text = Response::data(&data, Transformer::None).encode(&Envelope::default());
        let sent: Value = serde_json::from_str(&text).unwrap();
        match &event_id {
            None => prop_assert_eq!(&sent["result"]["data"], &value),
            Some(id) => {
                prop_assert_eq!(&sent["result"]["data"], &json!({ "id": id, "data": value }));
                prop_assert_eq!(&sent["result"]["id"], &json!(id));
            }
        }
        let error = ErrorShape { path: path.as_deref(), ..ErrorShape::new(ErrorCode::Conflict, &message) };
        let text = Response::error(&error, Transformer::None).encode(&Envelope::default());
        let sent: Value = serde_json::from_str(&text).unwrap();
        prop_assert_eq!(&sent["error"]["message"], &json!(message));
    }

    #[test]
    fn arbitrary_text_is_refused_or_read(text in ".{0,60}", max_batch in 0usize..4) {
        let _ = ClientFrame::parse(&text, &ParseOptions { max_batch, ..SUPERJSON });
        let _ = connection_params(&text);
    }

    #[test]
    fn arbitrary_json_is_refused_or_read(value in any_json(), max_batch in 0usize..4) {
        let text = value.to_string();
        let _ = ClientFrame::parse(&text, &ParseOptions { max_batch, ..SUPERJSON });
        let _ = connection_params(&text);
    }
}
