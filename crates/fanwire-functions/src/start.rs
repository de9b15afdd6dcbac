//! Starting one process of a function.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use fanwire_app::model::{Code, Handler, Runtime};
use serde_json::json;

use crate::build::build;
use crate::environment::{self, Environment};
use crate::link::ChannelLink;
use crate::output::Output;
use crate::payload::Exit;
use crate::process::{Launch, Started};
use crate::runtime_api::ApiLink;
use crate::spec::Spec;
use crate::worker::{InitFailure, Link, Worker};
use crate::{bootstrap, channel};

/// Starts a process and waits until its handler is loaded. What is built is built once a
/// generation.
pub(crate) async fn start(
    spec: &Arc<Spec>,
    generation: u64,
    on_exit: impl FnOnce(u32, &Exit) + Send + 'static,
) -> Result<Box<Worker>, InitFailure> {
    let mut worker = match &spec.function.code {
        Code::Handler { .. } => start_handler(spec, on_exit).await?,
        Code::Inline { runtime, source, root, .. } => {
            write_inline(*runtime, source, root).map_err(|error| not_started(&error))?;
            start_handler(spec, on_exit).await?
        }
        Code::Command { .. } => start_command(spec, generation, on_exit).await?,
        _ => return Err(not_started(&"not a function with a process")),
    };
    match worker.initialise().await {
        Ok(()) => Ok(worker),
        Err(failure) => {
            spec.runtime.spawn(worker.linger());
            Err(failure)
        }
    }
}

async fn start_handler(
    spec: &Arc<Spec>,
    on_exit: impl FnOnce(u32, &Exit) + Send + 'static,
) -> Result<Box<Worker>, InitFailure> {
    let Some(Handler { runtime, handler, root, identifier }) = spec.function.code.handler() else {
        return Err(not_started(&"not a handler"));
    };
    let root = std::path::absolute(root).map_err(|error| not_started(&error))?;
    let environment = environment(spec, handler, &root, Some(identifier));
    let plan = bootstrap::plan(
        runtime,
        handler,
        &root,
        settings(spec),
        environment.get(OsStr::new("PATH")),
        environment.get(OsStr::new("VIRTUAL_ENV")),
    )
    .map_err(|error| not_started(&error))?;
    if let Some(port) = spec.inspect() {
        spec.processes.free_port(port).await;
    }
    let launch =
        Launch { program: plan.program.into(), args: plan.args, folder: root, environment };
    let (started, stream) =
        spec.processes.spawn_with_channel(launch, on_exit).map_err(|error| not_started(&error))?;
    let Started { process, stdout, stderr } = started;
    if let Some(port) = spec.inspect() {
        spec.processes.has_port(port, process.pid());
    }
    let configure = channel::configure(&plan.settings);
    let link = ChannelLink::new(stream, &configure, spec.options.max_payload)
        .map_err(|error| not_started(&error))?;
    let output = Output::new(stdout, stderr);
    Ok(Box::new(Worker::new(Arc::clone(spec), process, Link::Channel(link), output)))
}

/// Puts code that stands in the project file where a bootstrap finds it: in the file
/// `index`, below the project's folder, so that packages of the project are found too.
fn write_inline(runtime: Runtime, source: &str, root: &Path) -> std::io::Result<()> {
    let file = root.join(match runtime {
        Runtime::Node => "index.js",
        Runtime::Python => "index.py",
    });
    if std::fs::read(&file).is_ok_and(|known| known == source.as_bytes()) {
        return Ok(());
    }
    std::fs::create_dir_all(root)?;
    if runtime == Runtime::Node {
        // Whatever the project's own package.json says, as on Lambda.
        std::fs::write(root.join("package.json"), "{}\n")?;
    }
    // Another process of the function may look while it is written.
    let written = root.join(format!("new-{:016x}", fastrand::u64(..)));
    std::fs::write(&written, source)?;
    std::fs::rename(written, file)
}

/// What the bootstrap is told about the function and the host.
fn settings(spec: &Spec) -> serde_json::Value {
    let redirect = spec.options.redirect.as_ref();
    let redirect = redirect.map(|to| json!({ "port": to.port, "hosts": to.hosts }));
    json!({ "arn": spec.arn, "redirect": redirect, "sources": spec.options.report_sources, "inspect": spec.inspect(), "compiler": spec.options.typescript })
}

async fn start_command(
    spec: &Arc<Spec>,
    generation: u64,
    on_exit: impl FnOnce(u32, &Exit) + Send + 'static,
) -> Result<Box<Worker>, InitFailure> {
    let Code::Command { command, root, handler, build: build_command } = &spec.function.code else {
        return Err(not_started(&"not a command"));
    };
    let root = std::path::absolute(root).map_err(|error| not_started(&error))?;
    if let Some(command) = build_command {
        build(spec, generation, command, &root).await?;
    }
    let mut environment = environment(spec, handler, &root, None);
    let Some((program, args)) = command.split_first() else {
        return Err(not_started(&"the function's `command` is empty"));
    };
    let program = locate(program, &root, environment.get(OsStr::new("PATH")))?;
    let link = ApiLink::start(&spec.arn, spec.options.max_payload)
        .await
        .map_err(|error| not_started(&format!("cannot serve the Lambda Runtime API: {error}")))?;
    environment.insert("AWS_LAMBDA_RUNTIME_API".into(), link.address().to_string().into());
    let args = args.iter().map(Into::into).collect();
    let launch = Launch { program: program.into(), args, folder: root, environment };
    let started = spec.processes.spawn(launch, on_exit).map_err(|error| not_started(&error))?;
    let Started { process, stdout, stderr } = started;
    let output = Output::new(stdout, stderr);
    Ok(Box::new(Worker::new(Arc::clone(spec), process, Link::RuntimeApi(link), output)))
}

/// The file of a program: relative to `root` with a path separator, else on the `PATH`.
fn locate(program: &str, root: &Path, path: Option<&OsString>) -> Result<PathBuf, InitFailure> {
    if program.contains('/') {
        let file = root.join(program);
        if file.is_file() {
            return Ok(file);
        }
        return Err(not_started(&format!(
            "there is no {}; build it, or correct the function's `command`",
            file.display()
        )));
    }
    bootstrap::find_program(program, path).ok_or_else(|| {
        not_started(&format!(
            "no `{program}` on the PATH; install it, or give its path in `command`"
        ))
    })
}

fn environment(spec: &Spec, handler: &str, root: &Path, runtime: Option<&str>) -> Environment {
    let log_stream = environment::log_stream();
    let inherited = std::env::vars_os();
    environment::of(&spec.function, handler, root, runtime, &spec.options, inherited, &log_stream)
}

fn not_started(why: &dyn std::fmt::Display) -> InitFailure {
    InitFailure::NotStarted(why.to_string())
}
