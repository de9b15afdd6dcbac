//! New code, and other functions, while the host runs.

use std::time::{Duration, Instant};

use bytes::Bytes;
use fanwire_app::model::{Code, Function, Runtime};
use fanwire_functions::{HostOptions, HostUpdate, InvokeError, InvokeOptions, Outcome};
use indexmap::IndexMap;
use serde_json::{Value, json};
use tokio::task::JoinHandle;

use crate::support::{Fixture, folder, function, gone, handler_with, host, node};

/// Code whose event ends when a file appears; the result is the text and the process.
fn held(text: &str) -> String {
    format!(
        "const fs = require('fs');
        exports.handler = async (event) => {{
            console.log('running');
            while (event.until && !fs.existsSync(event.until)) await new Promise((done) => setTimeout(done, 2));
            return ['{text}', process.pid, process.env.GREETING];
        }};"
    )
}

impl Fixture {
    fn write(&self, file: &str, text: &str) {
        std::fs::write(self.folder.path().join(file), text).unwrap();
    }

    fn release_file(&self) -> String {
        self.folder.path().join("release").display().to_string()
    }

    fn spawn(&self, event: &Value) -> JoinHandle<Result<Outcome, InvokeError>> {
        let (host, event) = (self.host.clone(), Bytes::from(event.to_string()));
        tokio::spawn(async move { host.invoke("f", event, InvokeOptions::default()).await })
    }

    fn spawn_long(&self) -> JoinHandle<Result<Outcome, InvokeError>> {
        self.spawn(&json!({ "until": self.release_file() }))
    }

    fn reload(&self) {
        self.host.reload(["f"]);
    }
}

fn value(outcome: &Outcome) -> Value {
    assert_eq!(outcome.error, None, "{:?}", outcome.payload);
    serde_json::from_slice(&outcome.payload).unwrap()
}

#[tokio::test]
async fn the_next_event_runs_new_code() {
    let f = node("index.handler", &held("old"));
    let old = f.result("{}").await;
    f.write("index.js", &held("new"));
    assert_eq!(f.result("{}").await, old, "nobody asked for new code yet");
    f.reload();
    let new = f.result("{}").await;
    assert_eq!(new[0], "new");
    assert_eq!(f.log.count("f: reloaded in "), 1);
    gone(i32::try_from(old[1].as_i64().unwrap()).unwrap()).await;
    assert_eq!(f.result("{}").await, new, "one process for both");
}

#[tokio::test]
async fn an_event_in_progress_ends_on_its_process_and_holds_up_nobody() {
    let f = node("index.handler", &held("old"));
    let running = f.spawn_long();
    f.log.until("running", 1).await;
    f.write("index.js", &held("new"));
    f.reload();
    // One process at most: the old one must not count.
    let new = f.result("{}").await;
    assert_eq!(new[0], "new");
    f.reload();
    assert_eq!(f.result("{}").await[0], "new");
    f.write("release", "");
    let old = value(&running.await.unwrap().unwrap());
    assert_eq!(old[0], "old");
    gone(i32::try_from(old[1].as_i64().unwrap()).unwrap()).await;
    f.log.until("ended: signal: killed", 2).await;
    assert_eq!(f.log.count("started"), 3);
}

#[tokio::test]
async fn events_in_line_get_new_processes() {
    let f = node("index.handler", &held("old"));
    let running = f.spawn_long();
    f.log.until("running", 1).await;
    let waiting = [f.spawn(&json!({})), f.spawn(&json!({}))];
    tokio::task::yield_now().await;
    f.write("index.js", &held("new"));
    f.reload();
    for event in waiting {
        assert_eq!(value(&event.await.unwrap().unwrap())[0], "new");
    }
    f.write("release", "");
    assert_eq!(value(&running.await.unwrap().unwrap())[0], "old");
}

#[tokio::test]
async fn a_start_in_progress_is_given_up() {
    let f = node("index.handler", "console.log('loading'); for (;;) {}");
    let waiting = f.spawn(&json!({}));
    f.log.until("loading", 1).await;
    f.write("index.js", &held("new"));
    f.reload();
    assert_eq!(value(&waiting.await.unwrap().unwrap())[0], "new");
    f.log.until("ended: signal: killed", 1).await;
    assert_eq!(f.log.count("init failed"), 0);
}

#[tokio::test]
async fn a_mistake_shows_at_once_and_its_correction_too() {
    let f = node("index.handler", &held("old"));
    f.result("{}").await;
    f.write("index.js", "exports.handler = async () => {\n  let a = ;\n}");
    f.reload();
    f.log.until("f: init failed: ", 1).await;
    let payload = f.failure("{}").await;
    assert_eq!(payload["errorType"], "Runtime.UserCodeSyntaxError");
    for _ in 0..5 {
        f.failure("{}").await;
    }
    f.write("index.js", &held("new"));
    let fixed = Instant::now();
    f.reload();
    f.log.until("f: reloaded in ", 1).await;
    // The pause after so many failed starts is two seconds.
    assert!(fixed.elapsed() < Duration::from_millis(1900), "{:?}", fixed.elapsed());
    assert_eq!(f.result("{}").await[0], "new");
}

#[tokio::test]
async fn a_function_that_never_ran_is_not_started() {
    let f = node("index.handler", &held("new"));
    f.reload();
    f.host.reload(["unknown"]);
    f.result("{}").await;
    assert_eq!((f.log.count("started"), f.log.count("reloaded")), (1, 0));
}

#[tokio::test]
async fn python_is_reloaded_as_well() {
    let code = |text: &str| format!("def handler(event, context): return '{text}'\n");
    let f = handler_with(
        Runtime::Python,
        "index.handler",
        &[("index.py", "from other import handler"), ("other.py", &code("0"))],
        HostOptions { report_sources: true, ..HostOptions::default() },
        |function| {
            // As on a developer's machine.
            function.environment.insert("PYTHONDONTWRITEBYTECODE".to_owned(), String::new());
        },
    );
    assert_eq!(f.result("{}").await, "0");
    // Within the same second at times, and of the same length: Python's cache must not
    // hide it.
    for n in ["1", "2", "3"] {
        f.write("other.py", &code(n));
        f.reload();
        assert_eq!(f.result("{}").await, n);
    }
}

#[tokio::test]
async fn a_syntax_error_names_its_file_and_its_line() {
    let bad = "const a = 1;\nconst f = async () => {\n  let a = ;\n};\n";
    let (js, python) = (Runtime::Node, Runtime::Python);
    for (runtime, good, file) in [
        (js, ("index.js", "exports.handler = async () => 1;"), "index.js"),
        (js, ("index.js", "require('./bad'); exports.handler = async () => 1;"), "bad.js"),
        (js, ("index.mjs", "export const handler = async () => 1;"), "index.mjs"),
        (js, ("index.mjs", "import './bad.mjs'; export const handler = async () => 1;"), "bad.mjs"),
        (python, ("index.py", "def handler(event, context): return 1\n"), "index.py"),
        (python, ("index.py", "import bad\ndef handler(event, context): return 1\n"), "bad.py"),
    ] {
        let options = HostOptions { report_sources: true, ..HostOptions::default() };
        let valid = if runtime == js { "" } else { "\n" };
        let f = handler_with(
            runtime,
            "index.handler",
            &[good, ("bad.js", ""), ("bad.mjs", ""), ("bad.py", valid)],
            options,
            |_| {},
        );
        f.result("1").await;
        f.write(file, if runtime == js { bad } else { "\n\nlet a = \n" });
        f.reload();
        f.log.until("f: init failed: ", 1).await;
        let told = f
            .log
            .lines()
            .into_iter()
            .find_map(|(_, text)| text.contains("init failed").then_some(text));
        let told = told.unwrap();
        let root = f.folder.path().display();
        let place = if runtime == js {
            format!("{root}/{file}:3\n")
        } else {
            format!("File \"{root}/{file}\" Line 3\n")
        };
        assert!(told.contains(&place), "{told}");
        assert!(told.contains("let a = "), "{told}");
    }
}

#[tokio::test]
async fn what_is_built_is_built_again() {
    let script = "#!/bin/sh\nwhile :; do
        head=$(mktemp); curl -sS -D \"$head\" -o /dev/null \"http://$AWS_LAMBDA_RUNTIME_API/2018-06-01/runtime/invocation/next\"
        id=$(tr -d '\\r' < \"$head\" | sed -n 's/^Lambda-Runtime-Aws-Request-Id: //p')
        curl -sS -o /dev/null -d \"\\\"$(cat built)\\\"\" \"http://$AWS_LAMBDA_RUNTIME_API/2018-06-01/runtime/invocation/$id/response\"
    done\n";
    let made = folder(&[("source", "old"), ("run.sh", script)]);
    let built = function(Code::Command {
        command: vec!["sh".to_owned(), "run.sh".to_owned()],
        root: made.path().to_owned(),
        handler: String::new(),
        build: Some(["cp", "source", "built"].map(str::to_owned).to_vec()),
    });
    let f = host(made, built, HostOptions::default());
    assert_eq!(f.result("{}").await, "old");
    f.write("source", "new");
    f.reload();
    assert_eq!(f.result("{}").await, "new");
}

#[tokio::test]
async fn shutting_down_waits_for_events_on_old_code() {
    let f = node("index.handler", &held("old"));
    let running = f.spawn_long();
    f.log.until("running", 1).await;
    f.reload();
    f.result("{}").await;
    let host = f.host.clone();
    let shutdown = tokio::spawn(async move { host.shutdown(Duration::from_secs(60)).await });
    while !matches!(f.spawn(&json!({})).await.unwrap(), Err(InvokeError::ShuttingDown)) {}
    f.write("release", "");
    assert_eq!(value(&running.await.unwrap().unwrap())[0], "old");
    shutdown.await.unwrap();
}

// === Updates ===

fn update(environment: &[(&str, &str)]) -> HostUpdate {
    let HostOptions { region, account_id, .. } = HostOptions::default();
    let pairs = environment.iter();
    let environment = pairs.map(|(name, value)| ((*name).into(), (*value).into())).collect();
    HostUpdate { region, account_id, environment, redirect: None }
}

/// Functions of the same file, each with its `GREETING`.
fn functions(f: &Fixture, greetings: &[(&str, &str)]) -> IndexMap<String, Function> {
    let of = |greeting: &str| {
        let mut function = function(Code::Handler {
            runtime: Runtime::Node,
            handler: "index.handler".to_owned(),
            root: f.folder.path().to_owned(),
            identifier: "nodejs20.x".to_owned(),
        });
        function.environment.insert("GREETING".to_owned(), greeting.to_owned());
        function
    };
    greetings.iter().map(|(key, greeting)| ((*key).to_owned(), of(greeting))).collect()
}

impl Fixture {
    async fn of(&self, key: &str) -> Value {
        let invoked = self.host.invoke(key, Bytes::from("{}"), InvokeOptions::default());
        value(&invoked.await.unwrap())
    }
}

#[tokio::test]
async fn an_update_concerns_only_the_functions_that_changed() {
    let f = node("index.handler", &held("code"));
    let serve = |greetings| f.host.update(&functions(&f, greetings), update(&[])).unwrap();
    let changes = serve(&[("f", "hello"), ("g", "hello")]);
    assert_eq!(
        (changes.added, changes.changed, changes.removed.len()),
        (vec!["g".to_owned()], vec![], 0)
    );
    let (f_before, g_before) = (f.of("f").await, f.of("g").await);
    assert!(serve(&[("f", "hello"), ("g", "hello")]).is_empty());
    let changes = serve(&[("f", "hello"), ("g", "bye")]);
    assert_eq!(changes.changed, ["g"]);
    assert_eq!(f.of("f").await, f_before);
    let g_after = f.of("g").await;
    assert_eq!((&g_after[2], g_after[1] != g_before[1]), (&json!("bye"), true));
    f.log.until("g: reloaded in ", 1).await;

    let changes = f
        .host
        .update(&functions(&f, &[("f", "hello"), ("g", "bye")]), update(&[("GREETING", "all")]));
    assert_eq!(changes.unwrap().changed, ["f", "g"]);
    assert_eq!((&f.of("f").await[2], &f.of("g").await[2]), (&json!("all"), &json!("all")));
}

#[tokio::test]
async fn a_removed_functions_events_end_and_no_more_are_taken() {
    let f = node("index.handler", &held("code"));
    let running = f.spawn_long();
    f.log.until("running", 1).await;
    let waiting = f.spawn(&json!({}));
    tokio::task::yield_now().await;
    let changes = f.host.update(&IndexMap::new(), update(&[])).unwrap();
    assert_eq!(changes.removed, ["f"]);
    let refused = f.spawn(&json!({})).await.unwrap();
    assert!(matches!(refused, Err(InvokeError::NotFound { .. })), "{refused:?}");
    assert_eq!(f.host.resolve("f"), None);
    f.write("release", "");
    let (running, waiting) = (running.await.unwrap().unwrap(), waiting.await.unwrap().unwrap());
    let pid = value(&running)[1].as_i64().unwrap();
    assert_eq!(value(&waiting)[1], pid);
    gone(i32::try_from(pid).unwrap()).await;
}

#[tokio::test]
async fn an_update_that_cannot_be_served_changes_nothing() {
    let f = node("index.handler", &held("code"));
    let before = f.result("{}").await;
    let mut wrong = functions(&f, &[("f", "other")]);
    wrong.insert("g".to_owned(), function(Code::Http { url: "ftp://example.invalid".to_owned() }));
    let error = f.host.update(&wrong, update(&[])).unwrap_err().to_string();
    assert!(error.starts_with("function `g`: "), "{error}");
    assert_eq!(f.result("{}").await, before);
}

#[tokio::test]
async fn a_function_may_move_away_and_back() {
    let f = node("index.handler", &held("code"));
    let before = f.result("{}").await;
    let away = function(Code::Http { url: "http://127.0.0.1:1/".to_owned() });
    f.host.update(&IndexMap::from([("f".to_owned(), away)]), update(&[])).unwrap();
    let refused = f.spawn(&json!({})).await.unwrap();
    assert!(matches!(refused, Err(InvokeError::Unreachable { .. })), "{refused:?}");
    gone(i32::try_from(before[1].as_i64().unwrap()).unwrap()).await;
    f.host.update(&functions(&f, &[("f", "hello")]), update(&[])).unwrap();
    assert_eq!(f.result("{}").await[0], "code");
}
