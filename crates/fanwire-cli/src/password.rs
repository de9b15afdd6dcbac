//! `fanwire password`: the hash of a password, for `[realtime.users]` of `fanwire.toml`.

use std::io::{self, BufRead, IsTerminal, Read, Write};
use std::process::ExitCode;

use fanwire_policy::hash_password;
use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};

/// The longest password that is taken from a pipe, in bytes.
const MAX_BYTES: u64 = 4096;

/// Asks for a password, or takes it from a pipe, and prints its hash.
pub(crate) fn run() -> ExitCode {
    match hash() {
        Ok(hash) => {
            anstream::println!("{hash}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            anstream::eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn hash() -> io::Result<String> {
    let password = if io::stdin().is_terminal() { ask_twice()? } else { piped()? };
    if password.is_empty() {
        return Err(io::Error::other("the password is empty; expected at least one character"));
    }
    let mut salt = [0; 16];
    getrandom::fill(&mut salt).map_err(io::Error::other)?;
    Ok(hash_password(password.as_bytes(), &salt))
}

/// A password from a pipe, without the end of its line.
fn piped() -> io::Result<String> {
    let mut text = String::new();
    io::stdin().lock().take(MAX_BYTES).read_to_string(&mut text)?;
    Ok(text.trim_end_matches(['\r', '\n']).to_owned())
}

fn ask_twice() -> io::Result<String> {
    let hidden = Hidden::begin()?;
    let password = ask("password: ")?;
    let again = ask("again: ")?;
    drop(hidden);
    if password != again {
        return Err(io::Error::other("the two are not the same; type it again"));
    }
    Ok(password)
}

fn ask(prompt: &str) -> io::Result<String> {
    anstream::eprint!("{prompt}");
    io::stderr().flush()?;
    let mut line = String::new();
    io::stdin().lock().read_line(&mut line)?;
    anstream::eprintln!();
    Ok(line.trim_end_matches(['\r', '\n']).to_owned())
}

/// Shows nothing of what is typed, until it is dropped.
struct Hidden(Termios);

impl Hidden {
    fn begin() -> io::Result<Self> {
        let before = tcgetattr(io::stdin())?;
        let mut hidden = before.clone();
        hidden.local_modes.remove(LocalModes::ECHO);
        tcsetattr(io::stdin(), OptionalActions::Flush, &hidden)?;
        Ok(Self(before))
    }
}

impl Drop for Hidden {
    fn drop(&mut self) {
        // A terminal that is gone shows nothing anyway.
        let _ = tcsetattr(io::stdin(), OptionalActions::Flush, &self.0);
    }
}
