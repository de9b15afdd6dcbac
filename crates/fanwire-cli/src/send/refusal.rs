//! What a refused handshake means, and what to do.

use std::fmt::Write as _;

use anstyle::{AnsiColor, Style};

use crate::client::Refused;
use crate::pretty;

const RED: Style = AnsiColor::Red.on_default();

/// The status, the body, and what they mean.
pub(super) fn explain(refused: &Refused) -> String {
    let Refused { status, body } = refused;
    let mut text = format!("{RED}refused: HTTP {status}{RED:#}");
    // Writing to a String cannot fail.
    if !body.is_empty() {
        let _ = write!(text, "\n{}", pretty::json_or_text(body.trim_end()));
    }
    let _ = write!(text, "\n{}", meaning(*status, body));
    text
}

fn meaning(status: u16, body: &str) -> &'static str {
    match status {
        200..=299 => "this address answers HTTP, but makes no WebSocket of it",
        301 | 302 | 307 | 308 => "the address has moved; connect to where it points",
        400 => "$connect refused, or this is no handshake that the server understands",
        401 => {
            "the authorizer was not called because an identity source is missing, or it said \
            Unauthorized; give what it wants with -H 'Name: value' or in the query string"
        }
        403 if body.contains("not authorized") => {
            "the authorizer's policy does not allow this client to connect; `fanwire logs` says \
            which statement decided"
        }
        403 => "there is no such stage or API at this address, or $connect refused",
        404 => "nothing is at this address; `fanwire dev` prints where its APIs are",
        410 => "the connection is gone",
        426 => "the server wants another version of the protocol",
        429 => "there are too many connections, or too many attempts; try again later",
        502 => {
            "$connect answered something that is no result, or failed; see `fanwire logs --errors`"
        }
        503 => "the server is stopping or overloaded; try again later",
        504 => "$connect took too long; see `fanwire logs --errors`",
        500.. => "the authorizer or $connect failed; see `fanwire logs --errors`",
        _ => "the server does not take this handshake",
    }
}
