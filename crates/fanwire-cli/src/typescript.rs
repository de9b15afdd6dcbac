//! The compiler of TypeScript that functions' processes run: this program with a hidden
//! argument and the path of a file.

use std::io::{BufWriter, Write as _, stdout};
use std::path::PathBuf;
use std::process::ExitCode;

use fanwire_typescript::{CompileError, compile};

use crate::EXIT_USAGE;

/// Writes what a file is compiled to, with all that it imports of its project, as JSON.
pub(crate) fn run() -> ExitCode {
    let file = std::env::args_os().nth(2).map(PathBuf::from).unwrap_or_default();
    let compiled = match compile(&file) {
        Ok(compiled) => compiled,
        Err(error) => {
            anstream::eprintln!("{}", told(&error));
            return ExitCode::from(EXIT_USAGE);
        }
    };
    let mut output = BufWriter::new(stdout().lock());
    let written = serde_json::to_writer(&mut output, &compiled).map_err(std::io::Error::from);
    // Whoever asked is gone if this fails.
    if written.and_then(|()| output.flush()).is_ok() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// The form in which esbuild and tsx tell a fault, whose columns begin at 0: functions'
/// processes look for it.
fn told(error: &CompileError) -> String {
    match error {
        CompileError::Syntax { path, line, column, message } => {
            format!("{}:{line}:{}: ERROR: {message}", path.display(), column.saturating_sub(1))
        }
        other => other.to_string(),
    }
}
