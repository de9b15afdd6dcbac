//! Node.js handlers: the semantics of AWS's Node.js runtime.

use std::time::Duration;

use fanwire_app::model::Runtime;
use fanwire_functions::{FunctionErrorKind, HostOptions, InvokeOptions};
use serde_json::{Value, json};

use crate::support::{handler, handler_with, node};

#[tokio::test]
async fn a_promise_a_callback_and_a_plain_return_each_give_their_result() {
    let code = "
        exports.promise = async (event) => ({ got: event });
        exports.later = (event) => new Promise((done) => setTimeout(done, 5, event));
        exports.callback = (event, context, callback) => setTimeout(callback, 5, null, event);
        exports.nothing = () => {};
        exports.ignored = () => 'a value that is no promise is not the result';
        exports.undefined = async () => undefined;
        exports.legacy = (event, context) => context.succeed(event);
        exports.done = (event, context) => context.done(null, event);
    ";
    for (name, expected) in [
        ("promise", json!({ "got": 1 })),
        ("later", json!(1)),
        ("callback", json!(1)),
        ("nothing", Value::Null),
        ("ignored", Value::Null),
        ("undefined", Value::Null),
        ("legacy", json!(1)),
        ("done", json!(1)),
    ] {
        let f = node(&format!("index.{name}"), code);
        assert_eq!(f.result("1").await, expected, "{name}");
        assert_eq!(f.result("1").await, expected, "{name}, the second time");
    }
}

#[tokio::test]
async fn a_callback_waits_for_the_event_loop_unless_told_not_to() {
    let code = "
        let ended = 0;
        exports.waits = (event, context, callback) => {
            setTimeout(() => { ended += 1; }, 30);
            callback(null, 'called');
            if (event.look) return;
        };
        exports.doesNot = (event, context, callback) => {
            context.callbackWaitsForEmptyEventLoop = false;
            setTimeout(() => {}, 600000);
            callback(null, 'called');
        };
        exports.promise = async () => { setTimeout(() => {}, 600000); return 'called'; };
    ";
    let f = node("index.waits", code);
    let outcome = f.invoke("{}").await;
    assert_eq!(outcome.payload, "\"called\"");
    assert!(outcome.duration >= Duration::from_millis(30), "{:?}", outcome.duration);
    // Neither a promise nor an opted-out callback waits for the ten-minute timer.
    assert_eq!(node("index.doesNot", code).result("{}").await, "called");
    assert_eq!(node("index.promise", code).result("{}").await, "called");
}

#[tokio::test]
async fn the_context_has_every_field() {
    let f = node(
        "index.handler",
        "exports.handler = async (event, context) => ({
            ...context,
            keys: Object.keys(context).sort(),
            remaining: context.getRemainingTimeInMillis(),
            memoryType: typeof context.memoryLimitInMB,
            trace: process.env._X_AMZN_TRACE_ID,
            stdin: require('fs').readFileSync(0, 'utf8'),
        });",
    );
    let options = InvokeOptions {
        trace_id: Some("Root=1-5759e988-bd862e3fe1be46a994272793".to_owned()),
        client_context: Some(r#"{"custom":{"é":1}}"#.to_owned()),
        ..InvokeOptions::default()
    };
    let outcome = f.invoke_with("{}", options).await;
    let value: Value = serde_json::from_slice(&outcome.payload).unwrap();
    assert_eq!(value["functionName"], "app-dev-f");
    assert_eq!(value["functionVersion"], "$LATEST");
    assert_eq!(value["memoryLimitInMB"], "256");
    assert_eq!(value["memoryType"], "string");
    assert_eq!(value["logGroupName"], "/aws/lambda/app-dev-f");
    assert!(value["logStreamName"].as_str().unwrap().contains("[$LATEST]"));
    assert_eq!(
        value["invokedFunctionArn"],
        "arn:aws:lambda:us-east-1:000000000000:function:app-dev-f"
    );
    assert_eq!(value["awsRequestId"], outcome.request_id);
    assert_eq!(value["callbackWaitsForEmptyEventLoop"], true);
    assert_eq!(value["clientContext"], json!({ "custom": { "é": 1 } }));
    assert_eq!(value["trace"], "Root=1-5759e988-bd862e3fe1be46a994272793");
    assert_eq!(value["stdin"], "");
    let remaining = value["remaining"].as_f64().unwrap();
    assert!(remaining > 10_000.0 && remaining <= 20_000.0, "{remaining}");
    let keys: Vec<String> = serde_json::from_value(value["keys"].clone()).unwrap();
    for key in ["identity", "tenantId", "succeed", "fail", "done", "getRemainingTimeInMillis"] {
        assert!(keys.iter().any(|found| found == key), "{key} in {keys:?}");
    }
}

#[tokio::test]
async fn errors_have_the_payload_of_awss_runtime() {
    let code = "
        class Teapot extends Error { constructor(m) { super(m); this.name = 'Teapot'; this.code = 418; } }
        exports.thrown = () => { throw new Teapot('boom'); };
        exports.rejected = async () => { throw new Teapot('boom'); };
        exports.called = (event, context, callback) => callback(new Teapot('boom'));
        exports.failed = (event, context) => context.fail(new Teapot('boom'));
        exports.text = (event, context, callback) => callback('Unauthorized');
        exports.thrownText = async () => { throw 'Unauthorized'; };
        exports.failedWithNothing = (event, context) => context.fail();
        exports.circular = async () => { const a = {}; a.a = a; return a; };
    ";
    for name in ["thrown", "rejected", "called", "failed"] {
        let f = node(&format!("index.{name}"), code);
        let payload = f.failure("{}").await;
        assert_eq!(payload["errorType"], "Teapot", "{name}");
        assert_eq!(payload["errorMessage"], "boom", "{name}");
        let trace: Vec<String> = serde_json::from_value(payload["trace"].clone()).unwrap();
        assert_eq!(trace[0], "Teapot: boom", "{name}");
        assert!(trace[1].contains("index.js"), "{name}: {trace:?}");
        assert_eq!(f.log.count("\tERROR\tInvoke Error \t{\"errorType\":\"Teapot\""), 1, "{name}");
        assert_eq!(f.log.count("\"code\":418"), 1, "{name}");
        f.failure("{}").await;
        assert_eq!(f.log.count("started"), 1, "{name}: a failed event does not end the process");
    }
    for name in ["text", "thrownText"] {
        let payload = node(&format!("index.{name}"), code).failure("{}").await;
        let expected =
            json!({ "errorType": "string", "errorMessage": "Unauthorized", "trace": [] });
        assert_eq!(payload, expected, "{name}");
    }
    let payload = node("index.failedWithNothing", code).failure("{}").await;
    assert_eq!(payload["errorMessage"], "handled");
    let payload = node("index.circular", code).failure("{}").await;
    assert_eq!(payload["errorMessage"], "Unable to stringify response body");
}

#[tokio::test]
async fn handlers_are_found_as_on_lambda() {
    let returns = |what: &str| format!("exports.handler = async () => '{what}';");
    let esm = |what: &str| format!("export const handler = async () => '{what}';");
    let (cjs, mjs) = (returns("cjs"), esm("esm"));
    let package = r#"{ "type": "module" }"#;
    for (text, files, expected) in [
        ("index.handler", vec![("index.js", &*cjs)], "cjs"),
        ("src/a/index.handler", vec![("src/a/index.js", &*cjs)], "cjs"),
        ("./src/index.handler", vec![("src/index.js", &*cjs)], "cjs"),
        ("index.handler", vec![("index.cjs", &*cjs)], "cjs"),
        ("index.handler", vec![("index.mjs", &*mjs)], "esm"),
        ("index.handler", vec![("index.js", &*mjs), ("package.json", package)], "esm"),
        ("src/index.handler", vec![("src/index.js", &*mjs), ("package.json", package)], "esm"),
        ("index.handler", vec![("index.cjs", &*cjs), ("package.json", package)], "cjs"),
        ("lib.handler", vec![("node_modules/lib/index.js", &*cjs)], "cjs"),
        (
            "index.nested.deep.handler",
            vec![("index.js", "exports.nested = { deep: { handler: async () => 'nested' } };")],
            "nested",
        ),
        (
            "index.handler",
            vec![(
                "index.mjs",
                "const v = await Promise.resolve('tla'); export const handler = async () => v;",
            )],
            "tla",
        ),
    ] {
        let f = handler(Runtime::Node, text, &files);
        assert_eq!(f.result("{}").await, expected, "{text} in {files:?}");
    }
}

#[tokio::test]
async fn handlers_that_cannot_be_loaded_say_why() {
    for (text, code, kind, message) in [
        ("missing.handler", "", "Runtime.ImportModuleError", "Error: Cannot find module 'missing'"),
        (
            "index.handler",
            "require('nope')",
            "Runtime.ImportModuleError",
            "Error: Cannot find module 'nope'",
        ),
        (
            "index.other",
            "exports.handler = 1",
            "Runtime.HandlerNotFound",
            "index.other is undefined or not exported",
        ),
        (
            "index.handler",
            "exports.handler = 1",
            "Runtime.HandlerNotFound",
            "index.handler is not a function",
        ),
        ("index", "", "Runtime.MalformedHandlerName", "Bad handler"),
        (
            "../index.handler",
            "",
            "Runtime.MalformedHandlerName",
            "'../index.handler' is not a valid handler name",
        ),
        (
            "index.handler",
            "exports.handler = ;",
            "Runtime.UserCodeSyntaxError",
            "SyntaxError: Unexpected token",
        ),
        ("index.handler", "throw new TypeError('at load')", "TypeError", "at load"),
        (
            "index.handler",
            "setImmediate(() => { throw new TypeError('late') }); require('child_process').execSync('true'); exports.handler = 1",
            "Runtime.HandlerNotFound",
            "",
        ),
    ] {
        let f = node(text, code);
        let payload = f.failure("{}").await;
        assert_eq!(payload["errorType"], kind, "{text}: {payload}");
        let told = payload["errorMessage"].as_str().unwrap();
        assert!(told.starts_with(message), "{text}: {told}");
        assert!(payload["trace"].is_array(), "{payload}");
        // The next event tries again.
        assert_eq!(f.failure("{}").await["errorType"], kind);
        f.log.until("process", 4).await;
    }
}

#[tokio::test]
async fn an_unhandled_rejection_fails_the_event_and_ends_the_process() {
    let f = node(
        "index.handler",
        "exports.handler = (event) => event.good ? Promise.resolve('good')
            : new Promise(() => { Promise.reject(new Error('lost')); setTimeout(() => {}, 60000); });",
    );
    let payload = f.failure("{}").await;
    assert_eq!(payload["errorType"], "Runtime.UnhandledPromiseRejection");
    assert_eq!(payload["errorMessage"], "Error: lost");
    f.log.until("exit status 128", 1).await;
    assert_eq!(f.result(r#"{"good":true}"#).await, "good");
}

#[tokio::test]
async fn an_uncaught_exception_fails_the_event_and_ends_the_process() {
    let f = node(
        "index.handler",
        "exports.handler = (event) => event.good ? Promise.resolve('good')
            : new Promise(() => setTimeout(() => { throw new RangeError('late'); }, 1));",
    );
    let payload = f.failure("{}").await;
    assert_eq!(payload["errorType"], "RangeError");
    f.log.until("exit status 129", 1).await;
    assert_eq!(f.result(r#"{"good":true}"#).await, "good");
}

#[tokio::test]
async fn a_handler_that_exits_or_is_killed_is_a_runtime_exit_error() {
    let f = node(
        "index.handler",
        "exports.handler = async (event) => {
            if (event.exit !== undefined) process.exit(event.exit);
            if (event.kill) { process.kill(process.pid, event.kill); await new Promise(() => setInterval(() => {}, 1000)); }
            return 'good';
        };",
    );
    for (event, how) in [
        (r#"{"exit":3}"#, "Runtime exited with error: exit status 3"),
        (r#"{"exit":0}"#, "Runtime exited without providing a reason"),
        (r#"{"kill":"SIGKILL"}"#, "Runtime exited with error: signal: killed"),
    ] {
        let outcome = f.invoke(event).await;
        let payload: Value = serde_json::from_slice(&outcome.payload).unwrap();
        assert_eq!(payload["errorType"], "Runtime.ExitError");
        assert_eq!(
            payload["errorMessage"],
            format!("RequestId: {} Error: {how}", outcome.request_id)
        );
        assert_eq!(outcome.error, Some(FunctionErrorKind::Unhandled));
    }
    assert_eq!(f.result("{}").await, "good");
}

#[tokio::test]
async fn an_event_that_takes_too_long_ends_the_process_with_what_it_started() {
    let f = handler_with(
        Runtime::Node,
        "index.handler",
        &[(
            "index.js",
            "exports.handler = async (event) => {
            if (event.good) return 'good';
            const child = require('child_process').spawn('sleep', ['600']);
            console.log('child', child.pid);
            if (event.spin) for (;;) {}
            await new Promise(() => setInterval(() => {}, 1000));
        };",
        )],
        HostOptions::default(),
        |function| function.timeout = Duration::from_millis(1500),
    );
    for event in ["{}", r#"{"spin":true}"#] {
        let outcome = f.invoke(event).await;
        let payload: Value = serde_json::from_slice(&outcome.payload).unwrap();
        assert_eq!(payload["errorType"], "Sandbox.Timedout");
        let message = payload["errorMessage"].as_str().unwrap();
        let end = format!("Z {} Task timed out after 1.50 seconds", outcome.request_id);
        assert!(message.ends_with(&end), "{message}");
        let lines = f.log.of(&outcome.request_id);
        let child = lines.iter().find_map(|line| line.split("child ").nth(1)).unwrap();
        crate::support::gone(child.parse().unwrap()).await;
    }
    assert_eq!(f.result(r#"{"good":true}"#).await, "good");
}

#[tokio::test]
async fn lines_belong_to_their_event_and_come_before_its_end() {
    let f = node(
        "index.handler",
        "console.log('loading');
        exports.handler = async (event) => {
            console.log('log', { a: 1 }, event.n);
            console.error('error\\nwith two lines');
            require('fs').writeSync(1, 'native\\n');
            process.stdout.write('raw ');
            process.stdout.write(Buffer.from('bytes\\nno end'));
            process.stderr.write('err\\n', () => {});
        };",
    );
    for n in 0..3 {
        let outcome = f.invoke(&format!(r#"{{"n":{n}}}"#)).await;
        let id = &outcome.request_id;
        let lines = f.log.of(id);
        assert_eq!(lines[0], format!("START RequestId: {id} Version: $LATEST"));
        let (moment, rest) = lines[1].split_once('\t').unwrap();
        assert_eq!(rest, format!("{id}\tINFO\tlog {{ a: 1 }} {n}"));
        assert_eq!((moment.len(), &moment[23..]), (24, "Z"), "{moment}");
        assert!(lines[2].ends_with(&format!("\t{id}\tERROR\terror\nwith two lines")), "{lines:?}");
        for line in ["raw bytes", "no end", "native", "err"] {
            assert!(lines.iter().any(|found| found == line), "{line} in {lines:?}");
        }
        let end = &lines[lines.len() - 2];
        assert_eq!(end, &format!("END RequestId: {id}"));
        let report = lines.last().unwrap();
        assert!(report.starts_with(&format!("REPORT RequestId: {id}\tDuration: ")), "{report}");
        assert!(report.contains(" ms\tMemory Size: 256 MB\tMax Memory Used: "), "{report}");
        assert_eq!(report.contains("\tInit Duration: "), n == 0, "{report}");
    }
    let lines = f.log.lines();
    let loading = lines.iter().find(|(_, text)| text.ends_with("\tundefined\tINFO\tloading"));
    assert_eq!(loading.unwrap().0, None);
}

#[tokio::test]
async fn the_log_tail_is_there_when_asked_for() {
    let f = node(
        "index.handler",
        "exports.handler = async () => { console.log('x'.repeat(3000)); console.log('last'); };",
    );
    let options = InvokeOptions { want_log_tail: true, ..InvokeOptions::default() };
    let outcome = f.invoke_with("{}", options).await;
    let tail = outcome.log_tail.unwrap();
    assert!(tail.starts_with("START RequestId: "), "{tail}");
    assert!(tail.contains("\tINFO\tlast\n"), "{tail}");
    assert!(tail.contains("\nREPORT RequestId: "), "{tail}");
    assert!(f.invoke("{}").await.log_tail.is_none());
}

#[tokio::test]
async fn large_events_and_results_pass_up_to_the_limit() {
    let f = node(
        "index.handler",
        "exports.handler = async (event) => event.size ? 'é'.repeat(1) + 'x'.repeat(event.size) : event.text.length;",
    );
    let long = format!(r#"{{"text":"{}"}}"#, "é".repeat(3_000_000));
    assert_eq!(f.result(&long).await, 3_000_000);
    let limit = fanwire_functions::MAX_PAYLOAD;
    // Two quotes and a letter of two bytes around it.
    let exact = f.invoke(&format!(r#"{{"size":{}}}"#, limit - 4)).await;
    assert_eq!((exact.payload.len(), exact.error), (limit, None));
    let payload = f.failure(&format!(r#"{{"size":{}}}"#, limit - 3)).await;
    assert_eq!(payload["errorType"], "Function.ResponseSizeTooLarge");
    assert_eq!(
        payload["errorMessage"],
        format!(
            "Response payload size ({} bytes) exceeded maximum allowed payload size ({limit} bytes).",
            limit + 1
        )
    );
    assert_eq!(f.result(r#"{"text":"after"}"#).await, 5);
    assert_eq!(f.log.count("started"), 1, "one process for all of them");
}

#[tokio::test]
async fn a_log_larger_than_the_socket_does_not_block_a_large_event() {
    let f = node(
        "index.handler",
        "exports.handler = async (event) => { for (let n = 0; n < 200; n++) console.log('x'.repeat(10000)); return event.text.length; };",
    );
    let long = format!(r#"{{"text":"{}"}}"#, "x".repeat(4_000_000));
    assert_eq!(f.result(&long).await, 4_000_000);
    assert_eq!(f.result(&long).await, 4_000_000);
}

#[tokio::test]
async fn streamed_responses_are_collected() {
    let code = "
        exports.stream = awslambda.streamifyResponse(async (event, stream, context) => {
            stream.setContentType('text/plain');
            stream.write('a');
            await new Promise((done) => setTimeout(done, 1));
            stream.write('b');
            stream.end('c');
        });
        exports.http = awslambda.streamifyResponse(async (event, stream) => {
            stream = awslambda.HttpResponseStream.from(stream, { statusCode: 201 });
            stream.write('body');
            stream.end();
        });
        exports.pipeline = awslambda.streamifyResponse(async (event, stream) => {
            await require('stream/promises').pipeline(require('stream').Readable.from(['p', 'q']), stream);
        });
        exports.fails = awslambda.streamifyResponse(async () => { throw new Error('midway'); });
        exports.stuck = awslambda.streamifyResponse((event, stream) => { stream.write('s'); return new Promise(() => {}); });
        exports.unended = awslambda.streamifyResponse(async (event, stream) => { stream.write('x'); });
    ";
    for (name, expected) in [
        ("stream", "abc"),
        ("http", "{\"statusCode\":201}\0\0\0\0\0\0\0\0body"),
        ("pipeline", "pq"),
        ("unended", "x"),
        ("stuck", "s"),
    ] {
        let outcome = node(&format!("index.{name}"), code).invoke("{}").await;
        assert_eq!((&outcome.payload[..], outcome.error), (expected.as_bytes(), None), "{name}");
    }
    assert_eq!(node("index.fails", code).failure("{}").await["errorMessage"], "midway");
}

#[tokio::test]
async fn a_childs_standard_input_is_not_the_channel() {
    let f = node(
        "index.handler",
        "const { spawnSync } = require('child_process');
        exports.handler = async () => {
            const inherited = spawnSync('cat', { stdio: ['inherit', 'pipe', 'pipe'] });
            const open = spawnSync('sh', ['-c', 'for n in 3 4 5 6 7 8 9; do readlink /proc/self/fd/$n; done']);
            return { read: inherited.stdout.toString(), descriptors: open.stdout.toString() };
        };",
    );
    for _ in 0..2 {
        let value = f.result("{}").await;
        assert_eq!(value["read"], "");
        assert_eq!(value["descriptors"], "", "no descriptor but the three standard ones");
    }
}

#[tokio::test]
async fn between_events_nothing_runs() {
    let f = node(
        "index.handler",
        "let ticks = 0;
        setInterval(() => { ticks += 1; }, 1);
        exports.handler = async () => ticks;",
    );
    let first = f.result("{}").await.as_i64().unwrap();
    // Another function takes a while; meanwhile this one must not count.
    let other = node(
        "index.handler",
        "exports.handler = () => new Promise((done) => setTimeout(done, 100));",
    );
    other.result("{}").await;
    let second = f.result("{}").await.as_i64().unwrap();
    assert!(second - first < 10, "{first} then {second}");
}
