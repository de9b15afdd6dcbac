//! Runs an `sst.config.ts` in Node.js, with a program of our own around it that has
//! stand-ins for everything of SST's and of its providers'.
//!
//! The program is an argument of Node's and nothing is written to the disk. It tells what
//! it found over a socket that is its standard input; what the configuration prints goes
//! to our standard error. It has a limited time, and what it tells a limited size.

use std::io::Read;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use indexmap::IndexMap;
use serde_json::json;

use super::description::Description;

/// The program's parts: they share one scope, and are joined as they stand here.
const PROGRAM: &str = concat!(
    include_str!("program/opening.cjs"),
    include_str!("program/allowed.cjs"),
    include_str!("program/outputs.cjs"),
    include_str!("program/placeholders.cjs"),
    include_str!("program/components.cjs"),
    include_str!("program/served.cjs"),
    include_str!("program/others.cjs"),
    include_str!("program/globals.cjs"),
    include_str!("program/transform.cjs"),
    include_str!("program/modules.cjs"),
    include_str!("program/end.cjs"),
);

/// How long a configuration may take.
const TIME_LIMIT: Duration = Duration::from_secs(20);

/// The largest description that is read, in bytes.
const MAX_BYTES: u64 = 16 * 1024 * 1024;

/// What is to be run, and for what.
pub(super) struct Request<'a> {
    pub(super) file: &'a Path,
    pub(super) folder: &'a Path,
    pub(super) stage: &'a str,
    /// The region, where the command line gives one.
    pub(super) region: Option<&'a str>,
    pub(super) account_id: &'a str,
    /// The environment that it sees.
    pub(super) environment: &'a IndexMap<String, String>,
    /// What [`LoadOptions::typescript`](crate::LoadOptions::typescript) is.
    pub(super) typescript: &'a [String],
    pub(super) time_limit: Duration,
}

impl Request<'_> {
    /// The limit of all but tests.
    pub(super) const TIME_LIMIT: Duration = TIME_LIMIT;
}

/// Why there is no description.
#[derive(Debug, thiserror::Error)]
pub(super) enum EvaluateError {
    /// There is nothing to run it with.
    #[error("no `node` on the PATH to run it with")]
    NoNode,
    /// It could not be started.
    #[error("cannot start {}: {source}", program.display())]
    Start {
        /// The program.
        program: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// It took too long.
    #[error("it has not come to an end within {} s", .0.as_secs())]
    TooLong(Duration),
    /// It ended without a word.
    #[error("Node.js ended early: {0}")]
    Ended(String),
    /// What it told makes no sense.
    #[error("what it declares cannot be read: {0}")]
    Malformed(String),
}

/// Runs the configuration and reads what it declares.
pub(super) fn evaluate(request: &Request<'_>) -> Result<Description, EvaluateError> {
    let path = request.environment.get("PATH").map(String::as_str).unwrap_or_default();
    let program = std::env::split_paths(path)
        .map(|folder| folder.join("node"))
        .find(|file| file.is_file())
        .ok_or(EvaluateError::NoNode)?;
    let started = |source| EvaluateError::Start { program: program.clone(), source };
    let (ours, theirs) = UnixStream::pair().map_err(started)?;
    let mut child = command(&program, theirs.into(), request).spawn().map_err(started)?;
    // The command that held the other end of the socket is gone; the child alone has it.
    let told = read(ours, Instant::now() + request.time_limit);
    let status = end(&mut child);
    let told = told?.ok_or(EvaluateError::TooLong(request.time_limit))?;
    if told.is_empty() {
        let how = status.map_or_else(|error| error.to_string(), |status| status.to_string());
        return Err(EvaluateError::Ended(how));
    }
    serde_json::from_slice(&told).map_err(|error| EvaluateError::Malformed(error.to_string()))
}

fn command(program: &Path, stdin: OwnedFd, request: &Request<'_>) -> Command {
    let settings = json!({
        "file": request.file,
        "root": request.folder,
        "stage": request.stage,
        "region": request.region.unwrap_or(super::DEFAULT_REGION),
        "hasRegion": request.region.is_some(),
        "account": request.account_id,
        "typescript": request.typescript,
    });
    let mut command = Command::new(program);
    command
        .args(["--no-warnings", "--experimental-vm-modules", "--eval", PROGRAM, "--"])
        .arg(settings.to_string())
        .current_dir(request.folder)
        .env_clear()
        .envs(request.environment)
        // Whatever is preloaded for functions has no business here.
        .env_remove("NODE_OPTIONS")
        .stdin(Stdio::from(stdin))
        .stdout(Stdio::from(std::io::stderr()))
        .stderr(Stdio::inherit());
    command
}

/// Everything that is told until the other side ends; `None` where that takes too long.
fn read(mut socket: UnixStream, deadline: Instant) -> Result<Option<Vec<u8>>, EvaluateError> {
    let mut told = Vec::new();
    let mut buffer = [0; 64 * 1024];
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Ok(None);
        }
        // A limit of zero would be none at all, and is excluded above.
        let failed = |error: std::io::Error| EvaluateError::Ended(error.to_string());
        socket.set_read_timeout(Some(left)).map_err(failed)?;
        match socket.read(&mut buffer) {
            Ok(0) => return Ok(Some(told)),
            Ok(read) => told.extend_from_slice(buffer.get(..read).unwrap_or_default()),
            Err(error) if is_timeout(&error) => {}
            Err(error) => return Err(failed(error)),
        }
        if told.len() as u64 > MAX_BYTES {
            return Err(EvaluateError::Malformed(format!("it has more than {MAX_BYTES} bytes")));
        }
    }
}

fn is_timeout(error: &std::io::Error) -> bool {
    use std::io::ErrorKind::{Interrupted, TimedOut, WouldBlock};
    matches!(error.kind(), WouldBlock | TimedOut | Interrupted)
}

/// Ends the child, if it has not ended by itself: it has told all that it will.
fn end(child: &mut Child) -> std::io::Result<ExitStatus> {
    if let Some(status) = child.try_wait()? {
        return Ok(status);
    }
    // One that just ends by itself is as good.
    let _ = child.kill();
    child.wait()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(text: &str, time_limit: Duration) -> Result<Description, EvaluateError> {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("sst.config.ts");
        std::fs::write(&file, text).unwrap();
        let environment = [("PATH".to_owned(), std::env::var("PATH").unwrap())].into();
        evaluate(&Request {
            file: &file,
            folder: folder.path(),
            stage: "dev",
            region: None,
            account_id: "000000000000",
            environment: &environment,
            typescript: &[],
            time_limit,
        })
    }

    #[test]
    fn a_loop_without_an_end_is_ended() {
        let limit = Duration::from_millis(700);
        let outcome = outcome("for (;;) {}\n", limit);
        assert!(matches!(outcome, Err(EvaluateError::TooLong(_))), "{outcome:?}");
    }

    #[test]
    fn a_process_that_dies_is_told() {
        let text = "process.kill(process.pid, 'SIGKILL');\nawait new Promise(() => {});\n";
        let outcome = outcome(text, TIME_LIMIT);
        assert!(matches!(outcome, Err(EvaluateError::Ended(_))), "{outcome:?}");
    }

    #[test]
    fn the_program_fits_into_an_argument() {
        // Linux takes 128 KB for one.
        assert!(PROGRAM.len() < 100 * 1024, "{} bytes", PROGRAM.len());
    }
}
