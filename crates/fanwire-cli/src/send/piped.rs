//! Without a terminal: lines in, messages out.

use std::io::BufRead as _;
use std::process::ExitCode;
use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_tungstenite::tungstenite::Message;

use super::{Closed, broken, close, closed_by};
use crate::args::SendArgs;
use crate::client::{CommandError, WebSocket, output};

/// How long to wait for the messages of `--wait`, where nothing else is said.
const WAIT: Duration = Duration::from_secs(30);

/// A silence this long is taken for the end, where nobody says what to wait for.
const SILENCE: Duration = Duration::from_secs(1);

/// Lines read ahead of the socket at the most.
const READ_AHEAD: usize = 64;

/// What to wait for once the input has ended.
struct Patience {
    /// Messages, all in all.
    count: Option<usize>,
    until: Option<Instant>,
}

/// Sends each line of standard input, and prints each message.
pub(super) async fn talk(mut socket: WebSocket, args: &SendArgs) -> Result<ExitCode, CommandError> {
    let mut lines = read_lines();
    let mut received = 0;
    let mut patience = None;
    loop {
        if args.wait.is_some_and(|count| received >= count) && patience.is_some() {
            break;
        }
        let deadline = patience.as_ref().and_then(|patience: &Patience| patience.until);
        tokio::select! {
            line = lines.recv(), if patience.is_none() => match line {
                Some(line) => {
                    socket.send(Message::text(line?)).await.map_err(CommandError::broken)?;
                }
                None => patience = Some(Patience::new(args)),
            },
            message = socket.next() => match message {
                Some(Ok(Message::Close(frame))) => {
                    return Ok(ended(&closed_by(frame.as_ref()), received, args));
                }
                Some(Ok(message)) => {
                    received += usize::from(print(message)?);
                    if let Some(patience) = &mut patience {
                        patience.heard(args);
                    }
                }
                Some(Err(error)) => return Ok(ended(&broken(Some(error)), received, args)),
                None => return Ok(ended(&broken(None), received, args)),
            },
            () = at(deadline) => break,
        }
    }
    let closed = close(&mut socket, |message| {
        print(message).map(|count| {
            received += usize::from(count);
        })
    })
    .await?;
    Ok(ended(&closed, received, args))
}

async fn at(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}

/// Prints a message that carries something, as it came; says whether it was one.
fn print(message: Message) -> Result<bool, CommandError> {
    match message {
        Message::Text(text) => output(&format!("{text}\n")).map(|()| true),
        Message::Binary(bytes) => {
            output(&format!("{}\n", String::from_utf8_lossy(&bytes))).map(|()| true)
        }
        _ => Ok(false),
    }
}

/// The exit status; says on standard error how it ended, where that is of interest.
fn ended(closed: &Closed, received: usize, args: &SendArgs) -> ExitCode {
    let missing = args.wait.filter(|count| received < *count);
    if let Some(count) = missing {
        anstream::eprintln!("error: {received} of {count} messages came");
    }
    if closed.code != 1000 {
        anstream::eprintln!("closed: {}", closed.explain());
    }
    let broken = matches!(closed.code, 1002 | 1003 | 1006..=1011);
    if missing.is_some() || broken { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

/// The lines of standard input, read by a thread of their own: there is no other way to
/// wait for them.
fn read_lines() -> mpsc::Receiver<Result<String, CommandError>> {
    let (sender, lines) = mpsc::channel(READ_AHEAD);
    std::thread::spawn(move || {
        for line in std::io::stdin().lock().lines() {
            let line =
                line.map_err(|source| CommandError::File { path: "standard input".into(), source });
            let failed = line.is_err();
            if sender.blocking_send(line).is_err() || failed {
                return;
            }
        }
    });
    lines
}

// === impl Patience ===

impl Patience {
    fn new(args: &SendArgs) -> Self {
        let wait = match (args.timeout, args.wait) {
            (Some(timeout), _) => timeout,
            (None, Some(_)) => WAIT,
            (None, None) => SILENCE,
        };
        Self { count: args.wait, until: Instant::now().checked_add(wait) }
    }

    /// A message has come: where only silence ends it, the silence begins anew.
    fn heard(&mut self, args: &SendArgs) {
        if self.count.is_none() && args.timeout.is_none() {
            self.until = Instant::now().checked_add(SILENCE);
        }
    }
}
