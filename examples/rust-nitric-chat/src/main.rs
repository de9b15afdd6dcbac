//! Nitric's chat, in Rust: what one says, all others hear.

use fanwire::collection::Collection;
use fanwire::websocket::{Body, Connection, State, WebSocket};
use fanwire::{Result, run, store};

type Connections = State<Collection<()>>;

fn main() -> Result {
    let connections = Collection::new("connections", store::from_env()?);
    run(WebSocket::with_state(connections).connect(enter).disconnect(leave).message(tell))
}

async fn enter(connection: Connection, State(connections): Connections) -> Result {
    Ok(connections.doc(connection.id()).set(&()).await?)
}

async fn leave(connection: Connection, State(connections): Connections) -> Result {
    Ok(connections.doc(connection.id()).delete().await?)
}

async fn tell(connection: Connection, State(connections): Connections, message: Body) -> Result {
    let mut all = connections.query().stream();
    while let Some(other) = all.try_next().await? {
        // One that left unseen is no reason not to tell the others.
        if other.id != connection.id()
            && connection.to(&other.id).send(message.clone()).await.is_err()
        {
            connections.doc(other.id).delete().await?;
        }
    }
    Ok(())
}
