//! The recorded clients, connected again.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures_util::{SinkExt as _, StreamExt as _};
use tokio::sync::mpsc;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;

use super::recording::Payload;
use crate::client::{Address, CommandError, Handshake, Trust, WebSocket};
use crate::record::REDACTED;

/// Headers that a handshake makes itself, or that the gateway adds.
const NOT_REPEATED: [&str; 12] = [
    "connection",
    "content-length",
    "host",
    "sec-websocket-extensions",
    "sec-websocket-key",
    "sec-websocket-version",
    "upgrade",
    "x-amzn-trace-id",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-port",
    "x-forwarded-proto",
];

/// What a client is to do.
#[derive(Debug)]
pub(super) enum Act {
    Send(Payload),
    /// Close with a code and reason, with neither, or without saying anything.
    Close(u16, String),
}

/// One client, on a task of its own. It ends when this is dropped.
#[derive(Debug)]
pub(super) struct Client {
    acts: mpsc::UnboundedSender<Act>,
}

// === impl Client ===

impl Client {
    /// Connects, as recorded, to `address`.
    pub(super) fn connect(
        address: Address,
        headers: &[(String, String)],
        given: &[(String, String)],
    ) -> Self {
        let handshake = Handshake {
            address,
            trust: Trust::Known,
            headers: repeated(headers, given),
            protocols: Vec::new(),
        };
        // No more than the recording has.
        let (acts, todo) = mpsc::unbounded_channel();
        tokio::spawn(live(handshake, todo));
        Self { acts }
    }

    pub(super) fn act(&self, act: Act) {
        // A client that was closed by the server has nothing left to do; that it should
        // have shows in what is missing.
        let _ = self.acts.send(act);
    }
}

/// The recorded headers that are to be sent again, and those given in their place.
fn repeated(headers: &[(String, String)], given: &[(String, String)]) -> Vec<(String, String)> {
    let named = |list: &[(String, String)], name: &str| {
        list.iter().any(|(other, _)| other.eq_ignore_ascii_case(name))
    };
    let kept = headers.iter().filter(|(name, value)| {
        let made = NOT_REPEATED.iter().any(|other| other.eq_ignore_ascii_case(name));
        !made && value != REDACTED && !named(given, name)
    });
    kept.chain(given).cloned().collect()
}

/// The life of a client: what it receives is seen at the server.
async fn live(handshake: Handshake, mut todo: mpsc::UnboundedReceiver<Act>) {
    // A refusal is seen at the server, too.
    let Ok(Ok((mut socket, _))) = handshake.open().await else { return };
    loop {
        tokio::select! {
            act = todo.recv() => match act {
                Some(Act::Send(payload)) => {
                    let Ok(message) = message(&payload) else { return };
                    if socket.send(message).await.is_err() {
                        return;
                    }
                }
                Some(Act::Close(1006, _)) | None => return,
                Some(Act::Close(code, reason)) => return close(socket, code, reason).await,
            },
            received = socket.next() => match received {
                Some(Ok(_)) => {}
                Some(Err(_)) | None => return,
            },
        }
    }
}

async fn close(mut socket: WebSocket, code: u16, reason: String) {
    let frame = match code {
        1005 => None,
        code => Some(CloseFrame { code: code.into(), reason: reason.into() }),
    };
    if socket.close(frame).await.is_ok() {
        while let Some(Ok(_)) = socket.next().await {}
    }
}

fn message(payload: &Payload) -> Result<Message, CommandError> {
    match (&payload.text, &payload.base64) {
        (Some(text), _) => Ok(Message::text(text.as_str())),
        (None, Some(base64)) => {
            let bytes = STANDARD.decode(base64).map_err(CommandError::broken)?;
            Ok(Message::binary(bytes))
        }
        (None, None) => Ok(Message::text("")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_clients_own_headers_are_sent_again() {
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let recorded = [
            pair("Host", "h"),
            pair("HeaderAuth1", "v"),
            pair("Authorization", REDACTED),
            pair("X-Forwarded-For", "1.2.3.4"),
            pair("x-mine", "old"),
        ];
        let given = [pair("X-Mine", "new")];
        assert_eq!(repeated(&recorded, &given), [pair("HeaderAuth1", "v"), pair("X-Mine", "new")]);
    }
}
