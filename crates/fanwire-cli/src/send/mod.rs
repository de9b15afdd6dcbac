//! `fanwire send`: a WebSocket client for people, and for scripts.

mod interactive;
mod piped;
mod refusal;

use std::io::IsTerminal as _;
use std::process::ExitCode;
use std::time::Duration;

use futures_util::StreamExt as _;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::{Error, Message};

use crate::args::{SendArgs, ServerArgs};
use crate::client::{self, Address, CommandError, Handshake, Server, Trust, WebSocket};

/// How long a server may take to answer our close.
const CLOSE_PATIENCE: Duration = Duration::from_secs(5);

/// The close code of a connection that ended without any (RFC 6455, section 7.1.5).
const ABNORMAL: u16 = 1006;

/// How a connection ended.
#[derive(Debug)]
struct Closed {
    code: u16,
    reason: String,
}

/// Connects and talks.
pub(crate) fn run(args: &SendArgs) -> ExitCode {
    client::run(async {
        let mut headers = args.headers.clone();
        headers.extend(args.origin.iter().map(|origin| ("Origin".to_owned(), origin.clone())));
        if !headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("User-Agent")) {
            headers.push(("User-Agent".to_owned(), USER_AGENT.to_owned()));
        }
        let handshake = Handshake {
            address: address(args).await?,
            trust: if args.insecure { Trust::Anyone } else { Trust::Known },
            headers,
            protocols: args.subprotocols.clone(),
        };
        let (socket, protocol) = match handshake.open().await? {
            Ok(opened) => opened,
            Err(refused) => {
                anstream::eprintln!("{}", refusal::explain(&refused));
                return Ok(ExitCode::FAILURE);
            }
        };
        if std::io::stdin().is_terminal() && std::io::stdout().is_terminal() {
            interactive::talk(socket, &handshake.address, protocol.as_deref()).await
        } else {
            piped::talk(socket, args).await
        }
    })
}

/// What we call ourselves.
const USER_AGENT: &str = concat!("fanwire/", env!("CARGO_PKG_VERSION"));

/// The URL that was given, or that of the only API there is.
async fn address(args: &SendArgs) -> Result<Address, CommandError> {
    if let Some(url) = &args.url {
        return Address::parse(url);
    }
    let server =
        Server::find(&ServerArgs { url: None, data: args.data.clone(), access_token: None })?;
    let app = server.app().await?;
    let apis = app["apis"].as_array().map(Vec::as_slice).unwrap_or_default();
    let urls: Vec<&str> = apis.iter().filter_map(|api| api["url"].as_str()).collect();
    match urls.as_slice() {
        [only] => Address::parse(only),
        [] => Err(CommandError::Usage("the app has no WebSocket API to connect to".to_owned())),
        several => {
            let list = several.join("\n  ");
            Err(CommandError::Usage(format!("the app has several APIs; name one of:\n  {list}")))
        }
    }
}

/// Says goodbye and waits, within bounds, for the server to do so, too. What still comes
/// before it is given to `received`.
async fn close(
    socket: &mut WebSocket,
    mut received: impl FnMut(Message) -> Result<(), CommandError>,
) -> Result<Closed, CommandError> {
    let goodbye = CloseFrame { code: CloseCode::Normal, reason: "".into() };
    let closing = async {
        // A server that has closed already is read to its end all the same.
        let _ = socket.close(Some(goodbye)).await;
        let mut closed = None;
        while let Some(Ok(message)) = socket.next().await {
            match message {
                Message::Close(frame) => closed = Some(closed_by(frame.as_ref())),
                message => received(message)?,
            }
        }
        Ok(closed.unwrap_or(Closed { code: ABNORMAL, reason: String::new() }))
    };
    match tokio::time::timeout(CLOSE_PATIENCE, closing).await {
        Ok(closed) => closed,
        Err(_) => Ok(Closed { code: ABNORMAL, reason: "no answer to our close".to_owned() }),
    }
}

fn closed_by(frame: Option<&CloseFrame>) -> Closed {
    match frame {
        Some(frame) => Closed { code: frame.code.into(), reason: frame.reason.to_string() },
        None => Closed { code: 1005, reason: String::new() },
    }
}

/// Why nothing more comes, where that is not a close frame.
fn broken(error: Option<Error>) -> Closed {
    let reason = match error {
        None | Some(Error::ConnectionClosed | Error::AlreadyClosed) => String::new(),
        Some(error) => error.to_string(),
    };
    Closed { code: ABNORMAL, reason }
}

// === impl Closed ===

impl Closed {
    /// For people: the code, what it means, and the reason given.
    fn explain(&self) -> String {
        let meaning = match self.code {
            1000 => "normal",
            1001 => "going away: idle too long, at its time limit, or the server stops",
            1002 => "protocol error",
            1003 => "this API takes no binary messages",
            1005 => "no code given",
            1006 => "the connection broke without a goodbye",
            1007 => "text that is not UTF-8",
            1008 => "against the server's policy",
            1009 => "message too large",
            1011 => "the server failed",
            1012 => "the server restarts",
            1013 => "try again later",
            3000..=3999 => "a registered code",
            4000..=4999 => "a code of the app's own",
            _ => "unknown",
        };
        let reason =
            if self.reason.is_empty() { String::new() } else { format!(": {}", self.reason) };
        format!("{} ({meaning}){reason}", self.code)
    }
}
