//! Python handlers: the semantics of AWS's Python runtime.

use std::time::Duration;

use fanwire_app::model::Runtime;
use fanwire_functions::{HostOptions, InvokeOptions};
use serde_json::{Value, json};

use crate::support::{gone, handler, handler_with, python};

#[tokio::test]
async fn the_context_has_every_field() {
    let f = python(
        "import os, sys
def handler(event, context):
    return {
        'event': event,
        'fields': {name: getattr(context, name) for name in (
            'aws_request_id', 'function_name', 'function_version', 'memory_limit_in_mb',
            'log_group_name', 'log_stream_name', 'invoked_function_arn', 'tenant_id')},
        'remaining': context.get_remaining_time_in_millis(),
        'identity': [context.identity.cognito_identity_id, context.identity.cognito_identity_pool_id],
        'custom': context.client_context.custom,
        'client': context.client_context.client.app_title,
        'trace': os.environ['_X_AMZN_TRACE_ID'],
        'stdin': sys.stdin.read(),
        'path': sys.path[0] == os.environ['LAMBDA_TASK_ROOT'],
        'greeting': os.environ['GREETING'],
    }
",
    );
    let options = InvokeOptions {
        trace_id: Some("Root=1-x".to_owned()),
        client_context: Some(r#"{"custom":{"é":1},"client":{"app_title":"t"}}"#.to_owned()),
        ..InvokeOptions::default()
    };
    let outcome = f.invoke_with(r#"{"a":"é"}"#, options).await;
    let value: Value = serde_json::from_slice(&outcome.payload).unwrap();
    assert_eq!(value["event"], json!({ "a": "é" }));
    let fields = &value["fields"];
    assert_eq!(fields["aws_request_id"], outcome.request_id);
    assert_eq!(fields["function_name"], "app-dev-f");
    assert_eq!(fields["function_version"], "$LATEST");
    assert_eq!(fields["memory_limit_in_mb"], "256");
    assert_eq!(fields["log_group_name"], "/aws/lambda/app-dev-f");
    let arn = "arn:aws:lambda:us-east-1:000000000000:function:app-dev-f";
    assert_eq!(fields["invoked_function_arn"], arn);
    assert_eq!(fields["tenant_id"], Value::Null);
    assert!(value["remaining"].as_i64().unwrap() > 10_000);
    assert_eq!(value["identity"], json!([null, null]));
    assert_eq!((&value["custom"], &value["client"]), (&json!({ "é": 1 }), &json!("t")));
    assert_eq!(value["trace"], "Root=1-x");
    assert_eq!(value["stdin"], "");
    assert_eq!(value["path"], true);
    assert_eq!(value["greeting"], "hello");
}

#[tokio::test]
async fn results_become_json_as_on_lambda() {
    let f = python(
        "from decimal import Decimal
def handler(event, context):
    return {
        'decimal': lambda: {'d': Decimal('12345678901234567890.123456789'), 's': '\"'},
        'bytes': lambda: b'{\"raw\": true}',
        'none': lambda: None,
        'set': lambda: {1},
    }[event]()
",
    );
    let outcome = f.invoke("\"decimal\"").await;
    assert_eq!(outcome.payload, r#"{"d": 12345678901234567890.123456789, "s": "\""}"#);
    assert_eq!(f.invoke("\"bytes\"").await.payload, r#"{"raw": true}"#);
    assert_eq!(f.result("\"none\"").await, Value::Null);
    let payload = f.failure("\"set\"").await;
    assert_eq!(payload["errorType"], "Runtime.MarshalError");
    assert_eq!(
        payload["errorMessage"],
        "Unable to marshal response: Object of type set is not JSON serializable"
    );
}

#[tokio::test]
async fn errors_have_the_payload_of_awss_runtime() {
    let f = python(
        "class Teapot(Exception): pass
def handler(event, context):
    raise Teapot('boom')
",
    );
    let outcome = f.invoke("{}").await;
    let payload: Value = serde_json::from_slice(&outcome.payload).unwrap();
    assert_eq!(payload["errorMessage"], "boom");
    assert_eq!(payload["errorType"], "Teapot");
    assert_eq!(payload["requestId"], outcome.request_id);
    let trace: Vec<String> = serde_json::from_value(payload["stackTrace"].clone()).unwrap();
    assert_eq!(trace.len(), 1, "{trace:?}");
    assert!(trace[0].contains("index.py\", line 3, in handler"), "{trace:?}");
    let lines = f.log.of(&outcome.request_id);
    assert!(
        lines[1].starts_with("[ERROR] Teapot: boom\nTraceback (most recent call last):\n"),
        "{lines:?}"
    );
    f.failure("{}").await;
    assert_eq!(f.log.count("started"), 1, "a failed event does not end the process");
}

#[tokio::test]
async fn handlers_are_found_as_on_lambda() {
    let code = "def handler(event, context):\n    return __name__\n";
    for (text, file, expected) in [
        ("index.handler", "index.py", "index"),
        ("pkg.mod.handler", "pkg/mod.py", "pkg.mod"),
        ("pkg/mod.handler", "pkg/mod.py", "pkg.mod"),
    ] {
        let f = handler(Runtime::Python, text, &[(file, code)]);
        assert_eq!(f.result("{}").await, expected, "{text}");
    }
}

#[tokio::test]
async fn handlers_that_cannot_be_loaded_say_why() {
    for (text, code, kind, message) in [
        (
            "missing.handler",
            "",
            "Runtime.ImportModuleError",
            "Unable to import module 'missing': No module named 'missing'",
        ),
        (
            "index.handler",
            "import nope",
            "Runtime.ImportModuleError",
            "Unable to import module 'index': No module named 'nope'",
        ),
        ("index.other", "", "Runtime.HandlerNotFound", "Handler 'other' missing on module 'index'"),
        (
            "index",
            "",
            "Runtime.MalformedHandlerName",
            "Bad handler 'index': not enough values to unpack (expected 2, got 1)",
        ),
        (
            "index.handler",
            "def handler(:",
            "Runtime.UserCodeSyntaxError",
            "Syntax error in module 'index': ",
        ),
        (
            "sys.handler",
            "",
            "Runtime.BuiltInModuleConflict",
            "Cannot use built-in module sys as a handler module",
        ),
        ("index.handler", "raise ValueError('at load')", "ValueError", "at load"),
    ] {
        let f = handler(Runtime::Python, text, &[("index.py", code)]);
        let payload = f.failure("{}").await;
        assert_eq!(payload["errorType"], kind, "{text}: {payload}");
        let told = payload["errorMessage"].as_str().unwrap();
        assert!(told.starts_with(message), "{text}: {told}");
        assert_eq!(payload["requestId"], "", "{payload}");
    }
}

#[tokio::test]
async fn lines_belong_to_their_event_and_come_before_its_end() {
    let f = python(
        "import logging, os, subprocess, sys, threading
print('loading')
logging.getLogger().setLevel(logging.INFO)
def handler(event, context):
    print('printed', event)
    print('no end', end='')
    print('error', file=sys.stderr)
    logging.info('logged %s', 1)
    thread = threading.Thread(target=print, args=('threaded',))
    thread.start(); thread.join()
    subprocess.run(['echo', 'child'])
    if os.fork() == 0:
        print('forked', flush=True)
        os._exit(0)
    os.wait()
",
    );
    for n in 0..2 {
        let outcome = f.invoke(&n.to_string()).await;
        let id = &outcome.request_id;
        let lines = f.log.of(id);
        assert_eq!(lines[0], format!("START RequestId: {id} Version: $LATEST"));
        for line in [&*format!("printed {n}"), "error", "child"] {
            assert!(lines.iter().any(|found| found == line), "{line} in {lines:?}");
        }
        for part in ["no end", "threaded", "forked"] {
            assert!(lines.iter().any(|found| found.contains(part)), "{part} in {lines:?}");
        }
        let logged = lines.iter().find(|line| line.starts_with("[INFO]\t")).unwrap();
        assert!(logged.ends_with(&format!("Z\t{id}\tlogged 1")), "{logged}");
        assert!(lines[lines.len() - 1].starts_with("REPORT"), "{lines:?}");
    }
    assert_eq!(f.log.lines().iter().find(|(_, text)| text == "loading").unwrap().0, None);
}

#[tokio::test]
async fn exits_and_time_outs_end_the_process_and_the_next_event_gets_another() {
    let f = handler_with(
        Runtime::Python,
        "index.handler",
        &[(
            "index.py",
            "import subprocess, sys, time
def handler(event, context):
    if event == 'exit': sys.exit(4)
    if event == 'slow':
        print('child', subprocess.Popen(['sleep', '600']).pid)
        time.sleep(600)
    return 'good'
",
        )],
        HostOptions::default(),
        |function| function.timeout = Duration::from_millis(1500),
    );
    let payload = f.failure("\"exit\"").await;
    assert_eq!(payload["errorType"], "Runtime.ExitError");
    assert!(payload["errorMessage"].as_str().unwrap().ends_with("exit status 4"), "{payload}");
    let outcome = f.invoke("\"slow\"").await;
    let payload: Value = serde_json::from_slice(&outcome.payload).unwrap();
    assert_eq!(payload["errorType"], "Sandbox.Timedout");
    let lines = f.log.of(&outcome.request_id);
    let child = lines.iter().find_map(|line| line.strip_prefix("child ")).unwrap();
    gone(child.parse().unwrap()).await;
    assert_eq!(f.result("1").await, "good");
}

#[tokio::test]
async fn large_events_and_results_pass() {
    let f = python("def handler(event, context): return 'x' * len(event)\n");
    let long = format!("\"{}\"", "y".repeat(5_000_000));
    let outcome = f.invoke(&long).await;
    assert_eq!((outcome.payload.len(), outcome.error), (5_000_002, None));
}

#[tokio::test]
async fn the_projects_virtual_environment_goes_first() {
    let f =
        python("import sys\ndef handler(event, context): return sys.argv[0] and sys.executable\n");
    let environment = f.folder.path().join(".venv/bin");
    std::fs::create_dir_all(&environment).unwrap();
    let marker = environment.join("python");
    std::fs::write(&marker, "#!/bin/sh\necho chosen >&2\nexec python3 \"$@\"\n").unwrap();
    let executable = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(&marker, executable).unwrap();
    f.result("{}").await;
    assert_eq!(f.log.count("chosen"), 1);
}
