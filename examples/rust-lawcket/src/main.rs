//! lawcket's README, in Rust: connections are kept in a table by a plugin, and every message
//! is answered.

use fanwire::websocket::{Connection, ConnectionSync, WebSocket};
use fanwire::{Result, run, store};

fn main() -> Result {
    // Fixed fields as lawcket has them, and one that is of the connection, which it has not.
    let sync = ConnectionSync::new(store::from_env()?)
        .field("channel", "#general")
        .computed("userAgent", |event| event.connection.user_agent.clone());
    run(WebSocket::new().plugin(sync).message(hello))
}

async fn hello(connection: Connection) -> Result {
    println!("{:?}", connection.info());
    Ok(connection.send(r#"{"message":"hello from server"}"#).await?)
}
