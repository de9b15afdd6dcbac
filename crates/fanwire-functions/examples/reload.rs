//! How long it takes from [`Functions::reload`] until new code can take events, and until
//! the first event on it is answered.
//!
//! `cargo run --release -p fanwire-functions --example reload -- [node|esm|python] [ROUNDS]`

#![allow(clippy::print_stdout, clippy::expect_used, reason = "a measuring program")]

use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use bytes::Bytes;
use fanwire_app::model::{Code, Function, Runtime};
use fanwire_functions::{FunctionEvent, Functions, HostOptions, InvokeOptions, Observer};
use indexmap::IndexMap;

/// Passes on how long each reload took.
struct Reloads(mpsc::Sender<Duration>);

impl Observer for Reloads {
    fn observe(&self, event: FunctionEvent<'_>) {
        match event {
            FunctionEvent::Reloaded { duration, .. } => {
                // The receiver is there until the end.
                let _ = self.0.send(duration);
            }
            FunctionEvent::InitFailed { .. } => panic!("{event}"),
            _ => {}
        }
    }
}

fn main() {
    let mut args = std::env::args().skip(1);
    let kind = args.next().unwrap_or_else(|| "node".to_owned());
    let rounds: u32 = args.next().map_or(50, |text| text.parse().expect("a number"));
    let (runtime, file) = match &*kind {
        "node" => (Runtime::Node, "index.js"),
        "esm" => (Runtime::Node, "index.mjs"),
        "python" => (Runtime::Python, "index.py"),
        other => panic!("`{other}` is neither node nor esm nor python"),
    };
    let code = |n: u32| match &*kind {
        "node" => format!("exports.handler = async () => {n};"),
        "esm" => format!("export const handler = async () => {n};"),
        _ => format!("def handler(event, context): return {n}\n"),
    };
    let folder = tempfile::tempdir().expect("a folder");
    let write = |n| std::fs::write(folder.path().join(file), code(n)).expect("a handler");
    write(0);
    let function = Function {
        name: "bench".to_owned(),
        code: Code::Handler {
            runtime,
            handler: "index.handler".to_owned(),
            root: folder.path().to_owned(),
            identifier: "bench".to_owned(),
        },
        timeout: Duration::from_secs(3),
        memory_mb: 128,
        environment: IndexMap::new(),
        concurrency: Some(1),
    };
    let functions = IndexMap::from([("bench".to_owned(), function)]);
    let tokio = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("tokio");
    tokio.block_on(async {
        let (sender, reloads) = mpsc::channel();
        let options = HostOptions { report_sources: true, ..HostOptions::default() };
        let host = Functions::start(&functions, options, Arc::new(Reloads(sender)))
            .expect("functions start");
        let invoke = || host.invoke("bench", Bytes::from("{}"), InvokeOptions::default());
        invoke().await.expect("an outcome");
        let (mut ready, mut answered) = (Vec::new(), Vec::new());
        for n in 1..=rounds {
            write(n);
            let saved = Instant::now();
            host.reload(["bench"]);
            let outcome = invoke().await.expect("an outcome");
            answered.push(saved.elapsed());
            assert_eq!(outcome.payload, n.to_string());
            ready.push(reloads.recv().expect("a reload"));
        }
        println!("{kind}: ready after {}; answered after {}", spread(ready), spread(answered));
        host.shutdown(Duration::from_secs(1)).await;
    });
}

/// The median and the longest.
fn spread(mut times: Vec<Duration>) -> String {
    times.sort_unstable();
    let (median, longest) = (times[times.len() / 2], times[times.len() - 1]);
    format!("{:.1} ms (longest {:.1} ms)", 1e3 * median.as_secs_f64(), 1e3 * longest.as_secs_f64())
}
