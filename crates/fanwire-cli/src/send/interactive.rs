//! On a terminal: a line editor with history below, what comes and goes above it.

use std::fs::DirBuilder;
use std::io::Write as _;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::PathBuf;
use std::process::ExitCode;

use anstyle::{AnsiColor, Effects, Style};
use fanwire_server::Authority;
use futures_util::{SinkExt as _, StreamExt as _};
use rustix::termios::{OptionalActions, Termios, tcgetattr, tcsetattr};
use rustyline::config::{BellStyle, Config};
use rustyline::history::FileHistory;
use rustyline::{Editor, ExternalPrinter};
use tokio::sync::mpsc;
use tokio_tungstenite::tungstenite::Message;

use super::{Closed, broken, close, closed_by};
use crate::client::{Address, CommandError, WebSocket, output};
use crate::pretty;

/// Messages typed ahead of the socket at the most.
const TYPED_AHEAD: usize = 64;

/// Lines kept in the history.
const MAX_HISTORY: usize = 1000;

/// Ends the mode in which a terminal marks what is pasted, and begins the line anew.
const PASTE_PLAIN_FROM_START: &str = "\x1b[?2004l\r\x1b[K";

const DIM: Style = Style::new().effects(Effects::DIMMED);
const CYAN: Style = AnsiColor::Cyan.on_default();
const YELLOW: Style = AnsiColor::Yellow.on_default();

/// Talks until one side has enough.
pub(super) async fn talk(
    mut socket: WebSocket,
    address: &Address,
    protocol: Option<&str>,
) -> Result<ExitCode, CommandError> {
    let protocol = protocol.map(|name| format!(", subprotocol {name}")).unwrap_or_default();
    let place = format!("{address}{}", address.path).replacen("http", "ws", 1);
    output(&format!("{DIM}connected to {place}{protocol}; Ctrl-D closes{DIM:#}\n"))?;
    let terminal = SavedTerminal::save();
    let (mut printer, mut typed) = edit_lines()?;
    let closed = loop {
        tokio::select! {
            line = typed.recv() => match line {
                Some(line) => {
                    if let Err(error) = socket.send(Message::text(line)).await {
                        break broken(Some(error));
                    }
                }
                // Ctrl-D: the editor has ended and left the terminal as it was.
                None => {
                    let closed = close(&mut socket, |message| match shown(&message) {
                        Some(text) => output(&format!("{text}\n")),
                        None => Ok(()),
                    });
                    return say_closed(&closed.await?);
                }
            },
            message = socket.next() => match message {
                Some(Ok(Message::Close(frame))) => break closed_by(frame.as_ref()),
                Some(Ok(message)) => {
                    if let Some(text) = shown(&message) {
                        print(&mut printer, &text)?;
                    }
                }
                Some(Err(error)) => break broken(Some(error)),
                None => break broken(None),
            },
        }
    };
    // The editor still reads: it ends with the process, so its terminal is put right here.
    terminal.restore()?;
    say_closed(&closed)
}

fn say_closed(closed: &Closed) -> Result<ExitCode, CommandError> {
    output(&format!("{YELLOW}closed: {}{YELLOW:#}\n", closed.explain()))?;
    Ok(if closed.code == 1006 { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// What is printed of a message that came.
fn shown(message: &Message) -> Option<String> {
    match message {
        Message::Text(text) => Some(format!("{CYAN}<{CYAN:#} {}", pretty::json_or_text(text))),
        Message::Binary(bytes) => {
            let text = String::from_utf8_lossy(bytes);
            Some(format!(
                "{CYAN}<{CYAN:#} {DIM}{} bytes{DIM:#} {}",
                bytes.len(),
                pretty::json_or_text(&text)
            ))
        }
        Message::Ping(_) => Some(format!("{DIM}< ping, answered{DIM:#}")),
        Message::Pong(_) => Some(format!("{DIM}< pong{DIM:#}")),
        Message::Close(_) | Message::Frame(_) => None,
    }
}

fn print(printer: &mut impl ExternalPrinter, text: &str) -> Result<(), CommandError> {
    // The printer writes to the terminal by itself, so the colours are decided on here.
    let text = match anstream::AutoStream::choice(&std::io::stdout()) {
        anstream::ColorChoice::Never => anstream::adapter::strip_str(text).to_string(),
        _ => text.to_owned(),
    };
    printer.print(format!("{text}\n")).map_err(CommandError::broken)
}

/// Reads lines on a thread of its own until Ctrl-D or Ctrl-C, and gives a printer that
/// does not disturb the line that is being typed.
fn edit_lines() -> Result<(impl ExternalPrinter + use<>, mpsc::Receiver<String>), CommandError> {
    let config = Config::builder().bell_style(BellStyle::None).auto_add_history(true);
    let config = config.max_history_size(MAX_HISTORY).map_err(CommandError::broken)?.build();
    let history = FileHistory::with_config(&config);
    let mut editor: Editor<(), FileHistory> =
        Editor::with_history(config, history).map_err(CommandError::broken)?;
    let file = history_file();
    if let Some(file) = &file {
        // There is none the first time.
        let _ = editor.load_history(file);
    }
    let printer = editor.create_external_printer().map_err(CommandError::broken)?;
    let (sender, lines) = mpsc::channel(TYPED_AHEAD);
    std::thread::spawn(move || {
        loop {
            match editor.readline("> ") {
                Ok(line) if line.is_empty() => {}
                Ok(line) => {
                    if let Some(file) = &file {
                        // A history that cannot be kept is no reason to stop talking.
                        let _ = editor.append_history(file);
                    }
                    if sender.blocking_send(line).is_err() {
                        return;
                    }
                }
                Err(_) => return,
            }
        }
    });
    Ok((printer, lines))
}

/// Where what was typed is kept: messages may hold secrets, so the folder is the user's
/// own.
fn history_file() -> Option<PathBuf> {
    let folder = Authority::folder().ok()?;
    DirBuilder::new().recursive(true).mode(0o700).create(&folder).ok()?;
    Some(folder.join("history"))
}

/// How the terminal was before the editor changed it.
struct SavedTerminal(Option<Termios>);

impl SavedTerminal {
    fn save() -> Self {
        Self(tcgetattr(std::io::stdin()).ok())
    }

    fn restore(&self) -> Result<(), CommandError> {
        if let Some(saved) = &self.0 {
            // Nothing better can be done for a terminal that does not take it.
            let _ = tcsetattr(std::io::stdin(), OptionalActions::Drain, saved);
        }
        // As it is: a terminal without colours takes this, too.
        let written = std::io::stdout().write_all(PASTE_PLAIN_FROM_START.as_bytes());
        written.map_err(CommandError::Output)
    }
}
