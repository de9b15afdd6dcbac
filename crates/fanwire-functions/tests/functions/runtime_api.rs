//! The Lambda Runtime API, spoken by a process that is nothing but a client of it: a
//! Python script over a raw connection.

use std::time::Duration;

use fanwire_app::model::Code;
use fanwire_functions::{FunctionErrorKind, HostOptions, InvokeOptions};
use serde_json::{Value, json};

use crate::support::{Fixture, folder, function, host};

/// A client with a `call` that gives status, headers and body.
const CLIENT: &str = "
import http.client, json, os, sys
api = http.client.HTTPConnection(os.environ['AWS_LAMBDA_RUNTIME_API'])
def call(method, path, body=None, headers={}, **more):
    api.request(method, '/2018-06-01/runtime/' + path, body, headers, **more)
    answer = api.getresponse()
    return answer.status, dict(answer.getheaders()), answer.read()
def next():
    status, headers, body = call('GET', 'invocation/next')
    assert status == 200, status
    return headers['Lambda-Runtime-Aws-Request-Id'], headers, body
def respond(id, value):
    return call('POST', 'invocation/' + id + '/response', json.dumps(value))
";

fn client(code: &str) -> Fixture {
    let script = format!("{CLIENT}{code}");
    let folder = folder(&[("client.py", &script)]);
    let mut made = function(Code::Command {
        command: vec!["python3".to_owned(), "-u".to_owned(), "client.py".to_owned()],
        root: folder.path().to_owned(),
        handler: "the.handler".to_owned(),
        build: None,
    });
    made.timeout = Duration::from_secs(20);
    host(folder, made, HostOptions::default())
}

#[tokio::test]
async fn an_event_comes_with_every_header_and_its_response_is_accepted() {
    let f = client(
        "
while True:
    id, headers, body = next()
    accepted = respond(id, {'headers': headers, 'event': json.loads(body), 'handler': os.environ['_HANDLER'],
                            'stdin': sys.stdin.read(), 'greeting': os.environ['GREETING']})
    print('accepted', accepted[0], accepted[2].decode())
",
    );
    let options = InvokeOptions {
        trace_id: Some("Root=1-x".to_owned()),
        client_context: Some(r#"{"custom":{}}"#.to_owned()),
        ..InvokeOptions::default()
    };
    let outcome = f.invoke_with(r#"{"a":1}"#, options).await;
    let value: Value = serde_json::from_slice(&outcome.payload).unwrap();
    let headers = &value["headers"];
    assert_eq!(headers["Lambda-Runtime-Aws-Request-Id"], outcome.request_id);
    assert_eq!(
        headers["Lambda-Runtime-Invoked-Function-Arn"],
        "arn:aws:lambda:us-east-1:000000000000:function:app-dev-f"
    );
    assert_eq!(headers["Lambda-Runtime-Trace-Id"], "Root=1-x");
    assert_eq!(headers["Lambda-Runtime-Client-Context"], r#"{"custom":{}}"#);
    assert_eq!(headers["Content-Type"], "application/json");
    let deadline: u64 = headers["Lambda-Runtime-Deadline-Ms"].as_str().unwrap().parse().unwrap();
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    let left = deadline - u64::try_from(now.as_millis()).unwrap();
    assert!(left > 10_000 && left <= 20_000, "{left}");
    assert_eq!(value["event"], json!({ "a": 1 }));
    assert_eq!((&value["handler"], &value["stdin"]), (&json!("the.handler"), &json!("")));
    assert_eq!(value["greeting"], "hello");

    let outcome = f.invoke("{}").await;
    let value: Value = serde_json::from_slice(&outcome.payload).unwrap();
    assert!(value["headers"].get("Lambda-Runtime-Client-Context").is_none());
    f.log.until(r#"accepted 202 {"status":"OK"}"#, 1).await;
}

#[tokio::test]
async fn errors_pass_and_the_process_goes_on() {
    let f = client(
        "
while True:
    id, _, body = next()
    kind = {'Lambda-Runtime-Function-Error-Type': 'Function.Teapot'}
    text = '' if body == b'0' else json.dumps({'errorMessage': 'boom', 'errorType': 'Teapot', 'stackTrace': []})
    assert call('POST', 'invocation/' + id + '/error', text, kind)[0] == 202
",
    );
    let payload = f.failure("1").await;
    assert_eq!(payload, json!({ "errorMessage": "boom", "errorType": "Teapot", "stackTrace": [] }));
    assert_eq!(f.failure("0").await["errorType"], "Function.Teapot");
    assert_eq!(f.log.count("started"), 1);
}

#[tokio::test]
async fn wrong_ids_and_wrong_states_are_refused() {
    let f = client(
        "
early = respond('none', 1)
id, _, _ = next()
wrong = respond('00000000-0000-4000-8000-000000000000', 1)
again = call('GET', 'invocation/next')
late_init = call('POST', 'init/error', '{}')
restore = call('GET', 'restore/next')
method = call('PUT', 'invocation/next')
def told(answer): return [answer[0], json.loads(answer[2])['errorType']]
respond(id, [told(a) for a in (early, wrong, again, late_init, restore, method)])
twice = respond(id, 'twice')
id, _, _ = next()
respond(id, told(twice))
next()
",
    );
    let expected = json!([
        [400, "InvalidRequestID"],
        [400, "InvalidRequestID"],
        [403, "InvalidStateTransition"],
        [403, "InvalidStateTransition"],
        [404, "NotFound"],
        [405, "MethodNotAllowed"],
    ]);
    assert_eq!(f.result("{}").await, expected);
    assert_eq!(f.result("{}").await, json!([403, "InvalidStateTransition"]));
}

#[tokio::test]
async fn init_errors_reach_the_caller_and_the_next_event_tries_again() {
    let f = client(
        "
body = json.dumps({'errorMessage': 'no module', 'errorType': 'Runtime.ImportModuleError', 'stackTrace': []})
assert call('POST', 'init/error', body)[0] == 202
sys.exit(1)
",
    );
    for attempt in 1..=2 {
        assert_eq!(f.failure("{}").await["errorMessage"], "no module");
        assert_eq!(f.log.count("started"), attempt);
    }
}

#[tokio::test]
async fn responses_over_the_limit_are_refused_and_the_process_goes_on() {
    let f = client(
        "
id, _, _ = next()
status, _, body = call('POST', 'invocation/' + id + '/response', b'x' * 6291557)
id, _, _ = next()
respond(id, [status, json.loads(body)])
next()
",
    );
    let payload = f.failure("{}").await;
    assert_eq!(
        payload["errorMessage"],
        "Response payload size (6291557 bytes) exceeded maximum allowed payload size (6291556 bytes)."
    );
    let message = "Exceeded maximum allowed payload size (6291556 bytes).";
    let refused = json!({ "errorMessage": message, "errorType": "RequestEntityTooLarge" });
    assert_eq!(f.result("{}").await, json!([413, refused]));
}

#[tokio::test]
async fn streamed_responses_are_collected_and_their_midstream_errors_told() {
    let f = client(
        "
import base64, socket
def stream(id, chunks, trailers):
    head = 'POST /2018-06-01/runtime/invocation/' + id + '/response HTTP/1.1\\r\\nHost: x\\r\\n'
    head += 'Lambda-Runtime-Function-Response-Mode: streaming\\r\\nTransfer-Encoding: chunked\\r\\n'
    head += 'Trailer: ' + ', '.join(trailers or ['X']) + '\\r\\n\\r\\n'
    body = ''.join('%x\\r\\n%s\\r\\n' % (len(c), c) for c in chunks) + '0\\r\\n'
    body += ''.join('%s: %s\\r\\n' % pair for pair in trailers.items()) + '\\r\\n'
    host, port = os.environ['AWS_LAMBDA_RUNTIME_API'].split(':')
    with socket.create_connection((host, int(port))) as raw:
        raw.sendall((head + body).encode())
        assert b' 202 ' in raw.recv(4096)
id, _, _ = next()
stream(id, ['\"ab', 'cd\"'], {})
id, _, _ = next()
error = base64.b64encode(b'{\"errorMessage\":\"midway\",\"errorType\":\"E\"}').decode()
stream(id, ['partial'], {'Lambda-Runtime-Function-Error-Type': 'E', 'Lambda-Runtime-Function-Error-Body': error})
next()
",
    );
    assert_eq!(f.result("{}").await, "abcd");
    assert_eq!(f.failure("{}").await["errorMessage"], "midway");
}

#[tokio::test]
async fn results_that_are_no_json_pass_as_they_are() {
    let f = client(
        "id, _, _ = next()\ncall('POST', 'invocation/' + id + '/response', b'\\xff not json')\nnext()\n",
    );
    let outcome = f.invoke("{}").await;
    assert_eq!((&outcome.payload[..], outcome.error), (&b"\xff not json"[..], None));
}

#[tokio::test]
async fn time_outs_and_crashes_have_lambdas_payloads_and_lines_their_event() {
    let folder = folder(&[(
        "client.py",
        &format!(
            "{CLIENT}
import time
while True:
    id, _, body = next()
    print('got', body.decode())
    print('to stderr', file=sys.stderr)
    if body == b'1': time.sleep(600)
    if body == b'2': sys.exit(7)
    respond(id, 'good')
"
        ),
    )]);
    let mut made = function(Code::Command {
        command: vec!["python3".to_owned(), "-u".to_owned(), "client.py".to_owned()],
        root: folder.path().to_owned(),
        handler: String::new(),
        build: None,
    });
    made.timeout = Duration::from_millis(1500);
    let f = host(folder, made, HostOptions::default());
    let outcome = f.invoke("0").await;
    let lines = f.log.of(&outcome.request_id);
    assert!(lines.iter().any(|line| line == "got 0"), "{lines:?}");
    assert!(lines.iter().any(|line| line == "to stderr"), "{lines:?}");
    assert!(lines.last().unwrap().starts_with("REPORT"), "{lines:?}");
    let payload = f.failure("1").await;
    assert_eq!(payload["errorType"], "Sandbox.Timedout");
    assert!(
        payload["errorMessage"].as_str().unwrap().ends_with("Task timed out after 1.50 seconds")
    );
    let outcome = f.invoke("2").await;
    assert_eq!(outcome.error, Some(FunctionErrorKind::Unhandled));
    let payload: Value = serde_json::from_slice(&outcome.payload).unwrap();
    assert_eq!(payload["errorType"], "Runtime.ExitError");
    assert!(payload["errorMessage"].as_str().unwrap().ends_with("exit status 7"), "{payload}");
    assert_eq!(f.result("0").await, "good");
}

#[tokio::test]
async fn commands_that_cannot_start_say_why() {
    let failure = async |command: &[&str], build: Option<&[&str]>| {
        let owned = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
        let folder = folder(&[]);
        let made = function(Code::Command {
            command: owned(command),
            root: folder.path().to_owned(),
            handler: String::new(),
            build: build.map(owned),
        });
        let f = host(folder, made, HostOptions::default());
        f.failure("{}").await["errorMessage"].as_str().unwrap().to_owned()
    };
    let message = failure(&["./bootstrap"], None).await;
    assert!(
        message.ends_with("bootstrap; build it, or correct the function's `command`"),
        "{message}"
    );
    let message = failure(&["no-such-program"], None).await;
    assert!(message.starts_with("no `no-such-program` on the PATH"), "{message}");
    let message = failure(&["true"], Some(&["sh", "-c", "echo why it failed >&2; exit 3"])).await;
    assert!(message.ends_with("failed: exit status 3\nwhy it failed\n"), "{message}");
    let message = failure(&["true"], None).await;
    assert!(message.ends_with("Runtime exited without providing a reason"), "{message}");
}

#[tokio::test]
async fn the_build_command_runs_once_before_the_first_process() {
    let script = format!(
        "{CLIENT}
while True:
    id, _, body = next()
    if body == b'2': sys.exit(1)
    respond(id, open('built').read())
"
    );
    let folder = folder(&[("client.py", &script)]);
    let words = |text: &str| text.split('|').map(str::to_owned).collect::<Vec<_>>();
    let made = function(Code::Command {
        command: words("python3|client.py"),
        root: folder.path().to_owned(),
        handler: String::new(),
        build: Some(words("sh|-c|echo building; echo x >> built")),
    });
    let f = host(folder, made, HostOptions::default());
    assert_eq!(f.result("1").await, "x\n");
    f.failure("2").await;
    assert_eq!(f.result("1").await, "x\n");
    assert_eq!(f.log.count("building"), 1);
}
