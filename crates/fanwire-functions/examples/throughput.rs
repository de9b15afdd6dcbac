//! How many tiny events a second go through one process, and what they cost.
//!
//! `cargo run --release -p fanwire-functions --example throughput -- [node|python] [EVENTS] [CALLERS]`

#![allow(clippy::print_stdout, clippy::expect_used, reason = "a measuring program")]

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use fanwire_app::model::{Code, Function, Links, Runtime};
use fanwire_functions::{Functions, HostOptions, InvokeOptions, Silent};
use indexmap::IndexMap;

fn main() {
    let mut args = std::env::args().skip(1);
    let runtime = match args.next().as_deref() {
        None | Some("node") => Runtime::Node,
        Some("python") => Runtime::Python,
        Some(other) => panic!("`{other}` is neither node nor python"),
    };
    let mut number = |default| args.next().map_or(default, |text| text.parse().expect("a number"));
    let (events, callers): (usize, usize) = (number(100_000), number(1));

    let folder = tempfile::tempdir().expect("a folder");
    let (file, code) = match runtime {
        Runtime::Node => ("index.js", "exports.handler = async () => ({ statusCode: 200 })"),
        Runtime::Python => ("index.py", "def handler(event, context): return {'statusCode': 200}"),
    };
    std::fs::write(folder.path().join(file), code).expect("a handler");
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
        links: Links::All,
        concurrency: Some(1),
    };
    let functions = IndexMap::from([("bench".to_owned(), function)]);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("tokio");
    runtime.block_on(run(functions, events, callers));
}

async fn run(functions: IndexMap<String, Function>, events: usize, callers: usize) {
    let host = Functions::start(&functions, HostOptions::default(), Arc::new(Silent))
        .expect("functions start");
    let event = Bytes::from(
        r#"{"requestContext":{"routeKey":"$default","connectionId":"abc="},"body":"hello"}"#,
    );
    let first =
        host.invoke("bench", event.clone(), InvokeOptions::default()).await.expect("an outcome");
    println!("init {:?}, {}", first.init_duration, String::from_utf8_lossy(&first.payload));

    let (started, cpu) = (Instant::now(), own_cpu());
    let tasks: Vec<_> = (0..callers)
        .map(|_| {
            let (host, event) = (host.clone(), event.clone());
            tokio::spawn(async move {
                for _ in 0..events / callers {
                    let outcome = host.invoke("bench", event.clone(), InvokeOptions::default());
                    assert!(outcome.await.expect("an outcome").error.is_none());
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.expect("no panic");
    }
    let (elapsed, cpu) = (started.elapsed(), own_cpu() - cpu);
    let done = (events / callers * callers) as f64;
    println!(
        "{:.0} events/s with {callers} callers; host CPU {:.1} µs an event, wall {:.1} µs",
        done / elapsed.as_secs_f64(),
        cpu.as_secs_f64() * 1e6 / done,
        elapsed.as_secs_f64() * 1e6 / done,
    );
    host.shutdown(Duration::from_secs(1)).await;
}

/// The CPU time of this process, its functions not included.
fn own_cpu() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let ticks: u64 = stat
        .rsplit(')')
        .next()
        .unwrap_or("")
        .split_whitespace()
        .skip(11)
        .take(2)
        .filter_map(|field| field.parse::<u64>().ok())
        .sum();
    // USER_HZ is 100 on every Linux.
    Duration::from_millis(ticks * 10)
}
