//! What the routes of sockets lead to: the services, asked one event after the other.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use fanwire_hub::ConnectionId;
use fanwire_nitric::{Nitric, NotHandled};
use fanwire_websocket::{
    EventType, Native, NativeBody, NativeError, NativeEvent, NativeGrant, NativeReply, NativeResult,
};
use futures_util::FutureExt as _;
use futures_util::future::{BoxFuture, ready};

use super::Sockets;

/// What a client whom a service refuses is told (reference: nitric.md, section 4).
const REFUSED: &str = "Connection Refused";

/// What a client is told whom no service takes (likewise).
const NO_WORKER: &str = "No worker found to handle connection request";

/// The function of this process that asks services.
#[derive(Clone)]
pub(crate) struct SocketHandler {
    nitric: Nitric,
    sockets: Arc<Sockets>,
    turns: Turns,
}

/// Whose turn it is: events of one connection come one after the other, also the last one.
#[derive(Clone, Default)]
struct Turns(Arc<Mutex<HashMap<ConnectionId, Arc<tokio::sync::Mutex<()>>>>>);

/// What is asked.
enum Asked {
    Connect(Vec<(String, String)>),
    Message(Bytes),
    Disconnect,
}

// === impl SocketHandler ===

impl SocketHandler {
    pub(crate) fn new(nitric: Nitric, sockets: Arc<Sockets>) -> Self {
        Self { nitric, sockets, turns: Turns::default() }
    }

    async fn ask(
        self,
        api_id: String,
        id: ConnectionId,
        asked: Asked,
    ) -> NativeResult<NativeReply> {
        let Some(socket) = self.sockets.name_of(&api_id) else {
            return Err(NativeError::new(500, "this is no websocket of Nitric's"));
        };
        let connection = id.to_string();
        let nitric = &self.nitric;
        let is_handshake = matches!(asked, Asked::Connect(_));
        let handled = self
            .turns
            .take(id, async {
                match asked {
                    Asked::Connect(query) => {
                        let query = query.iter().map(|(name, value)| (&**name, &**value));
                        nitric.connect(&socket, &connection, query).await
                    }
                    Asked::Message(body) => nitric.message(&socket, &connection, body).await,
                    Asked::Disconnect => nitric.disconnect(&socket, &connection).await,
                }
            })
            .await;
        match handled {
            Err(why) if is_handshake => Err(refused(why)),
            // The client hears nothing of it; whoever looks at the log does.
            handled => Ok(NativeReply {
                status: handled.map_or_else(status, |()| 200),
                headers: Vec::new(),
                body: None,
            }),
        }
    }
}

fn refused(why: NotHandled) -> NativeError {
    let words = if why == NotHandled::NoHandler { NO_WORKER } else { REFUSED };
    NativeError { words: Some(words.to_owned()), ..NativeError::new(status(why), why.to_string()) }
}

fn status(why: NotHandled) -> u16 {
    if why == NotHandled::NoHandler { 404 } else { 500 }
}

impl Native for SocketHandler {
    fn handle(&self, event: NativeEvent<'_>) -> BoxFuture<'static, NativeResult<NativeReply>> {
        let asked = match event.kind {
            EventType::Connect => {
                let query = event.client.into_iter().flat_map(|client| client.query());
                let owned = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
                Asked::Connect(query.map(owned).collect())
            }
            EventType::Disconnect => Asked::Disconnect,
            EventType::Message => Asked::Message(match event.body {
                NativeBody::Text(text) => text.into(),
                NativeBody::Binary(bytes) => bytes,
            }),
        };
        self.clone().ask(event.api_id.to_owned(), event.connection, asked).boxed()
    }

    fn authorize(&self, _: NativeEvent<'_>) -> BoxFuture<'static, NativeResult<NativeGrant>> {
        // Sockets have no authorizers.
        ready(Err(NativeError::new(500, "Nitric has no authorizers"))).boxed()
    }
}

impl std::fmt::Debug for SocketHandler {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SocketHandler").finish_non_exhaustive()
    }
}

// === impl Turns ===

impl Turns {
    /// Waits for the connection's turn, and for what is done in it.
    async fn take<T>(&self, id: ConnectionId, turn: impl Future<Output = T>) -> T {
        let mine = Arc::clone(self.lock().entry(id).or_default());
        let done = {
            let _turn = mine.lock().await;
            turn.await
        };
        let mut turns = self.lock();
        // The map's and this one: nobody else waits.
        if Arc::strong_count(&mine) <= 2 {
            turns.remove(&id);
        }
        done
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<ConnectionId, Arc<tokio::sync::Mutex<()>>>> {
        // Nothing under the lock leaves it half changed.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
