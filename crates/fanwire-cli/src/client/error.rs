//! How a command that talks with a server fails, and what that is for the shell.

use std::future::Future;
use std::io::{self, ErrorKind, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;

use http::StatusCode;

use crate::EXIT_USAGE;

/// The exit status where no server answers.
const EXIT_NO_SERVER: u8 = 3;

/// Why a command did not do what it was asked to.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CommandError {
    /// Nobody listens, or the network is in the way.
    #[error(
        "no server answers at {address}: {source}; start one with `fanwire dev`, or say where \
        it is with --url"
    )]
    Unreachable { address: String, source: io::Error },
    /// Something else than a Fanwire that serves commands.
    #[error(
        "what answers at {address} does not know `{path}` (HTTP {status}); is it a `fanwire dev` \
        of this version?"
    )]
    Foreign { address: String, path: String, status: StatusCode },
    /// The server refused, and said why.
    #[error("the server refused: {message} (HTTP {status})")]
    Refused { status: StatusCode, message: String },
    /// The connection broke.
    #[error("the connection to the server broke: {0}")]
    Broken(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The server has gone while it was listened to.
    #[error("the server has ended")]
    Ended,
    /// The command line asks for something that cannot be.
    #[error("{0}")]
    Usage(String),
    /// A file cannot be read or written.
    #[error("{}: {source}", path.display())]
    File { path: PathBuf, source: io::Error },
    /// What was asked for went wrong, in words of its own.
    #[error("{0}")]
    Failed(String),
    /// The system does not tell of signals.
    #[error("cannot catch signals: {0}")]
    Signals(#[source] io::Error),
    /// Nobody reads what is printed.
    #[error("cannot print: {0}")]
    Output(#[source] io::Error),
}

// === impl CommandError ===

impl CommandError {
    pub(crate) fn broken(error: impl std::error::Error + Send + Sync + 'static) -> Self {
        Self::Broken(Box::new(error))
    }

    fn exit_code(&self) -> ExitCode {
        match self {
            Self::Unreachable { .. } | Self::Foreign { .. } => ExitCode::from(EXIT_NO_SERVER),
            Self::Usage(_) | Self::File { .. } => ExitCode::from(EXIT_USAGE),
            // `fanwire logs | head` has what it wants.
            Self::Output(error) if error.kind() == ErrorKind::BrokenPipe => ExitCode::SUCCESS,
            _ => ExitCode::FAILURE,
        }
    }
}

/// Runs a command to its end and says how it failed, if it did.
pub(crate) fn run(command: impl Future<Output = Result<ExitCode, CommandError>>) -> ExitCode {
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            anstream::eprintln!("error: cannot start: {error}");
            return ExitCode::FAILURE;
        }
    };
    let done = runtime.block_on(command);
    // A thread that reads standard input does not end before its input.
    runtime.shutdown_background();
    done.unwrap_or_else(|error| {
        let code = error.exit_code();
        if code != ExitCode::SUCCESS {
            anstream::eprintln!("error: {error}");
        }
        code
    })
}

/// Prints text, at once.
pub(crate) fn output(text: &str) -> Result<(), CommandError> {
    let mut stdout = anstream::stdout().lock();
    let printed = stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush());
    printed.map_err(CommandError::Output)
}
