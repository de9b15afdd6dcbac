//! Running the programs that keep stores of certificates.

use std::ffi::OsStr;
use std::io::ErrorKind;
use std::path::Path;
use std::process::{Command, Stdio};

/// Folders that hold administrators' programs, which not every user's `PATH` names.
const ADMINISTRATORS: &str = "/usr/local/sbin:/usr/sbin:/sbin";

/// What came of a program.
pub(super) enum Ran {
    /// It did what it was asked, and printed this.
    Done(String),
    /// It did not, and this is why.
    Failed(String),
    /// It is not installed.
    Missing,
}

/// Runs a program that asks nothing: a question is answered by the end of its input.
pub(super) fn run<S: AsRef<OsStr>>(
    program: impl AsRef<OsStr>,
    args: impl IntoIterator<Item = S>,
) -> Ran {
    let mut path = std::env::var_os("PATH").unwrap_or_default();
    path.push(":");
    path.push(ADMINISTRATORS);
    let ran = Command::new(program).args(args).env("PATH", path).stdin(Stdio::null()).output();
    match ran {
        Ok(output) if output.status.success() => {
            Ran::Done(String::from_utf8_lossy(&output.stdout).into_owned())
        }
        Ok(output) => {
            let said = String::from_utf8_lossy(&output.stderr);
            let last = said.lines().map(str::trim).rfind(|line| !line.is_empty());
            Ran::Failed(last.map_or_else(|| output.status.to_string(), str::to_owned))
        }
        Err(error) if error.kind() == ErrorKind::NotFound => Ran::Missing,
        Err(error) => Ran::Failed(error.to_string()),
    }
}

/// How to do by hand, as the administrator, what this program may not do.
pub(super) fn by_sudo(args: &[&OsStr]) -> String {
    let mut line = "sudo".to_owned();
    for arg in args {
        line.push(' ');
        line.push_str(&quoted(arg));
    }
    line
}

/// A word as a shell takes it.
pub(super) fn quoted(word: impl AsRef<OsStr>) -> String {
    let text = Path::new(word.as_ref()).display().to_string();
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-:=,+@".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        return text;
    }
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_quoted_where_a_shell_would_take_them_apart() {
        assert_eq!(quoted("/usr/bin/a-b.c"), "/usr/bin/a-b.c");
        assert_eq!(quoted("Fanwire local CA"), "'Fanwire local CA'");
        assert_eq!(quoted("it's"), r"'it'\''s'");
    }
}
