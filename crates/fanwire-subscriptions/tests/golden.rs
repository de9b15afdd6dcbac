//! The frames of the real server of tRPC (tests/golden/trpc), sent to ours: the same come back.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use std::path::Path;
use std::sync::Arc;

use fanwire_subscriptions::{
    Answer, Call, CallError, Context, ErrorCode, Opening, Payload, ProcedureType, Procedures,
    Settings, StreamEvent, Transformer,
};
use futures_util::StreamExt as _;
use futures_util::future::{BoxFuture, FutureExt as _};
use futures_util::stream;
use serde::Deserialize;
use serde_json::{Value, json};
use support::{Client, Server};

/// The app of tests/golden/trpc/router.mjs.
struct App;

impl Procedures for App {
    fn context(&self, opening: Opening) -> BoxFuture<'static, Result<Context, CallError>> {
        let params = opening.connection_params.unwrap_or_default();
        let token = params.into_iter().find(|(name, _)| name == "token");
        let token = token.map_or_else(|| "nobody".to_owned(), |(_, token)| token);
        async move {
            match &*token {
                "bad" => Err(CallError::new(ErrorCode::Unauthorized, "who are you")),
                _ => Ok(Arc::new(token) as Context),
            }
        }
        .boxed()
    }

    fn call(&self, context: Context, call: Call) -> BoxFuture<'static, Result<Answer, CallError>> {
        async move { answer(&context, &call) }.boxed()
    }
}

fn answer(context: &Context, call: &Call) -> Result<Answer, CallError> {
    use ProcedureType::{Mutation, Query, Subscription};
    let input: Value = match &call.input {
        Some(input) => serde_json::from_str(input.get()).unwrap(),
        None => Value::Null,
    };
    let error = |code, why: &str| CallError::new(code, why);
    let event = |i: u64| Ok(StreamEvent { id: None, data: value(&json!({ "i": i })) });
    let once = move || stream::iter([event(0)]);
    match (call.kind, &*call.path) {
        (Query, "fence") => Ok(Answer::Value(value(&Value::Null))),
        (Query, "hello") => {
            Ok(Answer::Value(value(&json!(format!("hello {}", input.as_str().unwrap())))))
        }
        (Mutation, "add") => {
            let sum = input["a"].as_i64().unwrap() + input["b"].as_i64().unwrap();
            Ok(Answer::Value(value(&json!({ "sum": sum }))))
        }
        (Query, "nothing") => Ok(Answer::Value(Payload::undefined())),
        (Query, "epoch") => {
            let at = value(&json!({ "at": "1970-01-01T00:00:00.000Z" }));
            let meta = serde_json::value::to_raw_value(&json!({ "at": ["Date"] })).unwrap();
            Ok(Answer::Value(at.with_meta(meta)))
        }
        (Query, "fails") => Err(error(ErrorCode::Unauthorized, "nope")),
        (Mutation, "breaks") => Err(error(ErrorCode::InternalServerError, "boom \"quoted\"")),
        (Query, "whoami") => {
            Ok(Answer::Value(value(&json!(context.downcast_ref::<String>().unwrap()))))
        }
        (Query, "nested.deeper") => Ok(Answer::Value(value(&json!([1, 2])))),
        (Subscription, "ticks") => Ok(Answer::Stream(stream::iter([event(0), event(1)]).boxed())),
        (Subscription, "forever") => Ok(Answer::Stream(once().chain(stream::pending()).boxed())),
        (Subscription, "conflict") => {
            let end = stream::iter([Err(error(ErrorCode::Conflict, "changed"))]);
            Ok(Answer::Stream(once().chain(end).boxed()))
        }
        (Subscription, "refused") => Err(error(ErrorCode::Forbidden, "not yours")),
        (Subscription, "tracked") => {
            let last: u64 = call.last_event_id.as_deref().unwrap_or("0").parse().unwrap();
            let event = |i: u64| {
                Ok(StreamEvent { id: Some(i.to_string()), data: value(&json!({ "i": i })) })
            };
            let events = stream::iter([event(last + 1), event(last + 2)]);
            Ok(Answer::Stream(events.chain(stream::pending()).boxed()))
        }
        (kind, path) => Err(CallError::no_such_procedure(kind, path)),
    }
}

fn value(json: &Value) -> Payload {
    Payload::new(json).unwrap()
}

#[derive(Deserialize)]
struct Case {
    name: String,
    query: String,
    transcript: Vec<Step>,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Step {
    Send(String),
    Receive(String),
    Reconnect(#[expect(dead_code, reason = "it is always so")] bool),
    Closed(u16),
}

/// Where the servers differ, clients do not, and ours is as the newer one.
fn differs(version: &str, case: &str, expected: &str) -> bool {
    // v10 says again that a subscription has stopped which had ended by itself.
    version == "10.45"
        && case == "a subscription that ends"
        && expected == r#"{"id":12,"result":{"type":"stopped"}}"#
}

/// What JavaScript says of a text that is no JSON is its own.
fn same(expected: &str, got: &str) -> bool {
    let (mut expected, mut got) = (expected.to_owned(), got.to_owned());
    for text in [&mut expected, &mut got] {
        if let Some(from) = text.find("Unexpected token").or_else(|| text.find("expected value")) {
            let to = text.find(r#"","code":-32700"#).unwrap();
            text.replace_range(from..to, "no JSON");
        }
    }
    expected == got
}

fn replay(server: &Server, version: &str, case: &Case) -> Result<(), String> {
    let mut client = server.connect_to(&case.query);
    let wrong = |what: String| Err(format!("{version}, {}: {what}", case.name));
    let mut steps = case.transcript.iter().peekable();
    let mut stops = 0;
    while let Some(step) = steps.next() {
        match step {
            Step::Send(text) => client.send(text),
            Step::Reconnect(_) => {
                // Until it is on its shard, the connection is not one of all.
                client.fence();
                server.plane.reconnect_all();
            }
            Step::Receive(expected) => {
                stops += u8::from(differs(version, &case.name, expected));
                if stops == 2 {
                    continue;
                }
                match client.next() {
                    Ok(got) if same(expected, &got) => {}
                    got => return wrong(format!("{expected}\n  expected, got {got:?}")),
                }
            }
            Step::Closed(code) => match client.next() {
                Err(got) if got == *code => return Ok(()),
                got => return wrong(format!("close {code} expected, got {got:?}")),
            },
        }
        let waits = matches!(steps.peek(), None | Some(Step::Send(_)));
        if waits && !matches!(step, Step::Send(_)) {
            nothing_more(&mut client).or_else(wrong)?;
        }
    }
    nothing_more(&mut client).or_else(wrong)
}

fn nothing_more(client: &mut Client) -> Result<(), String> {
    match &client.fence()[..] {
        [] => Ok(()),
        more => Err(format!("more came: {more:?}")),
    }
}

#[test]
fn every_frame_is_that_of_the_server_of_trpc() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden/trpc");
    let mut wrong = Vec::new();
    let mut count = 0;
    for (transformer, suffix) in [(Transformer::None, ""), (Transformer::SuperJson, "-superjson")] {
        let server = Server::start(App, Settings { transformer, ..Settings::default() });
        for version in ["10.45", "11.25"] {
            let file = folder.join(format!("{version}{suffix}.json"));
            let cases: Vec<Case> =
                serde_json::from_str(&std::fs::read_to_string(file).unwrap()).unwrap();
            count += cases.len();
            wrong.extend(cases.iter().filter_map(|case| replay(&server, version, case).err()));
        }
        server.stop();
    }
    assert!(wrong.is_empty(), "{} of {count} differ:\n{}", wrong.len(), wrong.join("\n"));
    assert!(count > 150);
}
