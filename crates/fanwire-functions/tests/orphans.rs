//! No process of a function outlives its host, however the host ends.
//!
//! Run without arguments this program is the test. It starts itself as a host (with the
//! argument `host`), which starts itself as the watchdog (`watchdog`).

#![allow(clippy::print_stdout, clippy::unwrap_used, reason = "a test, though without a harness")]

use std::io::{BufRead, BufReader};
use std::os::fd::OwnedFd;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use fanwire_app::model::{Code, Function, Links, Runtime};
use fanwire_functions::{
    CommandLine, FunctionEvent, Functions, HostOptions, InvokeOptions, Observer, watchdog,
};
use indexmap::IndexMap;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, pidfd_open};

const PATIENCE: Duration = Duration::from_secs(60);

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    match args.first().map(String::as_str) {
        Some("watchdog") => watchdog::main(),
        Some("host") => host(Path::new(&args[1])),
        // The test harness's own arguments, such as a filter, choose nothing here.
        _ => {
            for signal in ["KILL", "TERM", "INT"] {
                nothing_is_left_after(signal);
                println!("a host ended by SIG{signal} left nothing behind");
            }
        }
    }
}

/// Starts a host with three functions, each with a child of its own; ends the host with
/// a signal; and waits until every one of those processes is gone.
fn nothing_is_left_after(signal: &str) {
    let folder = tempfile::tempdir().unwrap();
    let mut host = Command::new(std::env::current_exe().unwrap())
        .arg("host")
        .arg(folder.path())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut pids = Vec::new();
    for line in BufReader::new(host.stdout.take().unwrap()).lines() {
        let line = line.unwrap();
        if line == "all running" {
            break;
        }
        if let Some(pid) = line.strip_prefix("pid ") {
            pids.push(Pid::from_raw(pid.parse().unwrap()).unwrap());
        }
    }
    assert_eq!(pids.len(), 6, "three functions and their children: {pids:?}");
    // Held from while they run: a number could be given to another process later.
    let open = |pid: &Pid| pidfd_open(*pid, PidfdFlags::empty()).unwrap();
    let processes: Vec<OwnedFd> = pids.iter().map(open).collect();
    assert!(!processes.iter().any(|process| has_ended(process, Duration::ZERO)), "{pids:?}");

    let status = Command::new("kill").arg(format!("-{signal}")).arg(host.id().to_string()).status();
    assert!(status.unwrap().success());
    host.wait().unwrap();
    for (process, pid) in processes.iter().zip(&pids) {
        assert!(has_ended(process, PATIENCE), "process {pid:?} outlived its host (SIG{signal})");
    }
}

/// Whether a process ends within `patience`, which makes its descriptor readable.
fn has_ended(process: &OwnedFd, patience: Duration) -> bool {
    let patience = Timespec::try_from(patience).unwrap();
    poll(&mut [PollFd::new(process, PollFlags::IN)], Some(&patience)).unwrap() == 1
}

/// Tells the pids that functions print.
struct Pids;

impl Observer for Pids {
    fn observe(&self, event: FunctionEvent<'_>) {
        if let FunctionEvent::Line { text, .. } = event
            && let Some((_, pid)) = text.split_once("pid ")
        {
            println!("pid {pid}");
        }
    }
}

fn host(folder: &Path) {
    let node = "
        const { spawn } = require('child_process');
        exports.handler = () => {
            console.log('pid', process.pid);
            console.log('pid', spawn('sleep', ['600'], { stdio: 'ignore' }).pid);
            return new Promise(() => setInterval(() => {}, 1000));
        };";
    let python = "
import os, subprocess, time
def handler(event, context):
    print('pid', os.getpid())
    print('pid', subprocess.Popen(['sleep', '600']).pid)
    time.sleep(600)
";
    let shell = "echo pid $$; sleep 600 & echo pid $!; wait";
    std::fs::write(folder.join("index.js"), node).unwrap();
    std::fs::write(folder.join("index.py"), python).unwrap();
    let handler = |runtime| Code::Handler {
        runtime,
        handler: "index.handler".to_owned(),
        root: folder.to_owned(),
        identifier: "any".to_owned(),
    };
    let command = Code::Command {
        command: vec!["sh".to_owned(), "-c".to_owned(), shell.to_owned()],
        root: folder.to_owned(),
        handler: String::new(),
        build: None,
    };
    let codes = [handler(Runtime::Node), handler(Runtime::Python), command];
    let functions: IndexMap<String, Function> = codes
        .into_iter()
        .enumerate()
        .map(|(n, code)| {
            let function = Function {
                name: format!("f{n}"),
                code,
                timeout: Duration::from_secs(600),
                memory_mb: 128,
                environment: IndexMap::new(),
                links: Links::All,
                concurrency: Some(1),
            };
            (format!("f{n}"), function)
        })
        .collect();
    let program = std::env::current_exe().unwrap();
    let watchdog = CommandLine { program, args: vec!["watchdog".to_owned()] };
    let options = HostOptions {
        watchdog: Some(watchdog),
        init_timeout: Duration::from_secs(600),
        ..HostOptions::default()
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let (told, mut lines) = tokio::sync::mpsc::unbounded_channel();
        let host = Functions::start(&functions, options, Arc::new(Counted(told))).unwrap();
        for key in functions.keys() {
            host.invoke_event(key, Bytes::from("{}"), InvokeOptions::default()).unwrap();
        }
        for _ in 0..6 {
            lines.recv().await.unwrap();
        }
        println!("all running");
        std::future::pending::<()>().await;
    });
}

/// Tells the pids, and that there was one.
struct Counted(tokio::sync::mpsc::UnboundedSender<()>);

impl Observer for Counted {
    fn observe(&self, event: FunctionEvent<'_>) {
        Pids.observe(event);
        if matches!(event, FunctionEvent::Line { text, .. } if text.contains("pid ")) {
            self.0.send(()).unwrap();
        }
    }
}
