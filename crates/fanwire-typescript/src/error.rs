//! Why a file is not compiled.

use std::io;
use std::path::{Path, PathBuf};

use oxc_diagnostics::{Diagnostics, OxcDiagnostic};

/// Why a file is not compiled.
#[derive(Debug, thiserror::Error)]
pub enum CompileError {
    /// It cannot be read.
    #[error("{} cannot be read: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// It is longer than anybody writes.
    #[error("{} is longer than {most} bytes", path.display())]
    TooLong {
        /// The file.
        path: PathBuf,
        /// The limit.
        most: u64,
    },
    /// More files are imported than anybody has.
    #[error("{} imports more than {most} files of its project", entry.display())]
    TooMany {
        /// The file that was asked for.
        entry: PathBuf,
        /// The limit.
        most: usize,
    },
    /// It is not the language that its name says.
    #[error("{}:{line}:{column}: {message}", path.display())]
    Syntax {
        /// The file.
        path: PathBuf,
        /// From 1.
        line: usize,
        /// From 1, in characters.
        column: usize,
        /// What is wrong, and what may help.
        message: String,
    },
}

impl CompileError {
    /// The first of the errors found in a text, if there is one.
    pub(crate) fn first(path: &Path, text: &str, found: &Diagnostics) -> Option<Self> {
        found.errors().next().map(|diagnostic| Self::syntax(path, text, diagnostic))
    }

    fn syntax(path: &Path, text: &str, diagnostic: &OxcDiagnostic) -> Self {
        let at = diagnostic.labels.first().map_or(0, |label| label.offset() as usize);
        let before = text.get(..at).unwrap_or(text);
        let line = before.rsplit('\n').next().unwrap_or(before);
        let help = diagnostic.help.as_ref().map(|help| format!(" ({help})")).unwrap_or_default();
        Self::Syntax {
            path: path.to_owned(),
            line: before.matches('\n').count() + 1,
            column: line.chars().count() + 1,
            message: format!("{}{help}", diagnostic.message),
        }
    }
}
