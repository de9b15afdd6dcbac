//! The smallest function: what a client says, it hears.

use fanwire::websocket::{Text, WebSocket};

fn main() -> fanwire::Result {
    fanwire::run(WebSocket::new().message(async |Text(text): Text| text))
}
