//! A function's `build` command: run before its first process.

use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;

use crate::environment::of_a_tool;
use crate::lines::{Lines, Tail};
use crate::link::Written;
use crate::observer::{FunctionEvent, Stream};
use crate::output::Output;
use crate::process::{Launch, Started};
use crate::spec::Spec;
use crate::worker::InitFailure;

/// Runs the command unless it succeeded before in this generation or a later one. Its output is told as lines of the
/// function; its failure is the function's init error, and the next start tries again.
pub(crate) async fn build(
    spec: &Arc<Spec>,
    generation: u64,
    command: &[String],
    root: &Path,
) -> Result<(), InitFailure> {
    let mut built = spec.built.lock().await;
    if built.is_some_and(|built| built >= generation) {
        return Ok(());
    }
    let failed = |why: String| InitFailure::NotStarted(format!("`{}` {why}", command.join(" ")));
    let Some((program, args)) = command.split_first() else {
        return Err(InitFailure::NotStarted("the function's `build` command is empty".to_owned()));
    };
    let launch = Launch {
        program: program.into(),
        args: args.iter().map(Into::into).collect(),
        folder: root.to_owned(),
        // The developer's own: a compiler is no function.
        environment: of_a_tool(std::env::vars_os(), &spec.options.withheld).collect(),
    };
    let started =
        spec.processes.spawn(launch, |_, _| {}).map_err(|error| failed(error.to_string()))?;
    let mut tail = Tail::default();
    let limit = spec.options.build_timeout;
    let exit = tokio::time::timeout(limit, follow(spec, started, &mut tail)).await;
    match exit {
        Ok(None) => {
            *built = Some(generation);
            Ok(())
        }
        Ok(Some(how)) => Err(failed(format!("failed: {how}\n{}", tail.into_text()))),
        Err(_) => Err(failed(format!("took longer than {} s", limit.as_secs()))),
    }
}

/// Tells the command's lines until it ends; then how it failed, if it did.
async fn follow(spec: &Spec, started: Started, tail: &mut Tail) -> Option<String> {
    let Started { mut process, stdout, stderr } = started;
    let mut output = Output::new(stdout, stderr);
    let mut lines = [Lines::default(), Lines::default()];
    let mut tell = |stream: Stream, text: &str| {
        tail.push(text);
        let function = &*spec.key;
        spec.observe(FunctionEvent::Line { function, request_id: None, stream, text });
    };
    let exit = std::future::poll_fn(|cx| {
        let exit = process.poll_exit(cx);
        output.poll(cx, &mut |written| {
            if let Written::Native(stream, bytes) = written {
                lines[stream as usize].push(bytes, |text| tell(stream, text));
            }
        });
        exit
    })
    .await;
    lines[0].flush(|text| tell(Stream::Stdout, text));
    lines[1].flush(|text| tell(Stream::Stderr, text));
    match exit {
        crate::payload::Exit::Silent => None,
        crate::payload::Exit::Failed(how) => {
            let mut told = String::new();
            // Writing to a string cannot fail.
            let _ = write!(told, "{how}");
            Some(told)
        }
    }
}
