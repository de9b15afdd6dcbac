//! Which service handles which event of which socket. Handlers come and go with the
//! processes of services; an event that finds its handler gone waits a while for the next
//! process.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::timeout;

use crate::nitric::NotHandled;
use crate::proto::QueryParams;

/// How long an event waits for a handler that was there before: a service that is started
/// anew is back within that time.
const RETURN_PATIENCE: Duration = Duration::from_secs(10);

/// Events that may wait to be sent on one stream; beyond, those that cause them wait.
const MAX_WAITING: usize = 64;

/// The most kinds of events that are handled: sockets times three.
const MAX_SLOTS: usize = 3 * 256;

/// The most handlers of one event.
const MAX_HANDLERS: usize = 16;

/// What happens to a connection; the numbers are those of both generations.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum EventKind {
    Connect = 0,
    Disconnect = 1,
    Message = 2,
}

/// An event of a socket.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct SocketEvent {
    pub(crate) socket: String,
    pub(crate) connection: String,
    pub(crate) content: Content,
}

/// What an event holds.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Content {
    Connect(QueryParams),
    Disconnect,
    Message(Bytes),
}

/// An event on its way to a handler.
pub(crate) struct Question {
    pub(crate) event: SocketEvent,
    /// Told whether the handler succeeded; dropped where it is gone.
    pub(crate) answer: oneshot::Sender<bool>,
}

/// Why a handler cannot be had.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum RegisterError {
    #[error("websocket handler already registered, socket: {socket} eventType: {event:?}")]
    Taken { socket: String, event: EventKind },
    #[error("there are too many handlers")]
    TooMany,
}

/// Who handles what.
pub(crate) struct Handlers {
    slots: watch::Sender<Slots>,
    numbers: AtomicU64,
}

/// Handlers by socket and event. One without any had some before.
type Slots = HashMap<(String, EventKind), Vec<Handler>>;

struct Handler {
    number: u64,
    questions: mpsc::Sender<Question>,
}

/// A handler that is registered for as long as this lives.
pub(crate) struct Registration<'h> {
    handlers: &'h Handlers,
    key: (String, EventKind),
    number: u64,
    /// The events that it is to handle.
    pub(crate) questions: mpsc::Receiver<Question>,
}

// === impl EventKind ===

impl EventKind {
    /// The event of a number on the wire.
    pub(crate) fn of(number: i32) -> Option<Self> {
        [Self::Connect, Self::Disconnect, Self::Message]
            .into_iter()
            .find(|kind| *kind as i32 == number)
    }
}

impl Content {
    pub(crate) fn kind(&self) -> EventKind {
        match self {
            Self::Connect(_) => EventKind::Connect,
            Self::Disconnect => EventKind::Disconnect,
            Self::Message(_) => EventKind::Message,
        }
    }
}

// === impl Handlers ===

impl Handlers {
    pub(crate) fn new() -> Self {
        Self { slots: watch::Sender::default(), numbers: AtomicU64::default() }
    }

    /// Has a handler take the events of a kind. Where there are `several`, the one that
    /// came first has them until it goes; else a second one is refused.
    pub(crate) fn register(
        &self,
        socket: &str,
        event: EventKind,
        several: bool,
    ) -> Result<Registration<'_>, RegisterError> {
        let key = (socket.to_owned(), event);
        let number = self.numbers.fetch_add(1, Ordering::Relaxed);
        let (sender, questions) = mpsc::channel(MAX_WAITING);
        let mut result = Ok(());
        self.slots.send_modify(|slots| {
            result = add(slots, &key, Handler { number, questions: sender }, several);
        });
        result.map(|()| Registration { handlers: self, key, number, questions })
    }

    /// Gives an event to its handler, and says whether that succeeded.
    ///
    /// That a service has gone shows only when its stream ends. A handshake that was given to
    /// such a one is given to the next, as one that comes later is: its client has been told
    /// nothing yet.
    pub(crate) async fn ask(&self, event: SocketEvent) -> Result<bool, NotHandled> {
        if event.content.kind() == EventKind::Connect {
            match self.ask_once(event.clone()).await {
                Err(NotHandled::Lost) => {}
                asked => return asked,
            }
        }
        self.ask_once(event).await
    }

    async fn ask_once(&self, event: SocketEvent) -> Result<bool, NotHandled> {
        let key = (event.socket.clone(), event.content.kind());
        let mut slots = self.slots.subscribe();
        let is_decided = |slots: &Slots| slots.get(&key).is_none_or(|slot| !slot.is_empty());
        let handler = match timeout(RETURN_PATIENCE, slots.wait_for(is_decided)).await {
            Ok(Ok(slots)) => {
                slots.get(&key).and_then(|slot| slot.first()?.questions.clone().into())
            }
            // The sender is in `self`, so it is the time that is up.
            Ok(Err(_)) | Err(_) => return Err(NotHandled::Away),
        };
        let Some(handler): Option<mpsc::Sender<Question>> = handler else {
            return Err(NotHandled::NoHandler);
        };
        let (answer, answered) = oneshot::channel();
        handler.send(Question { event, answer }).await.map_err(|_| NotHandled::Lost)?;
        answered.await.map_err(|_| NotHandled::Lost)
    }
}

fn add(
    slots: &mut Slots,
    key: &(String, EventKind),
    handler: Handler,
    several: bool,
) -> Result<(), RegisterError> {
    if slots.len() >= MAX_SLOTS && !slots.contains_key(key) {
        return Err(RegisterError::TooMany);
    }
    let slot = slots.entry(key.clone()).or_default();
    match slot.len() {
        0 => {}
        _ if !several => {
            return Err(RegisterError::Taken { socket: key.0.clone(), event: key.1 });
        }
        MAX_HANDLERS.. => return Err(RegisterError::TooMany),
        _ => {}
    }
    slot.push(handler);
    Ok(())
}

impl Drop for Registration<'_> {
    fn drop(&mut self) {
        self.handlers.slots.send_modify(|slots| {
            if let Some(slot) = slots.get_mut(&self.key) {
                slot.retain(|handler| handler.number != self.number);
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(socket: &str) -> SocketEvent {
        let content = Content::Message(Bytes::from_static(b"hi"));
        SocketEvent { socket: socket.to_owned(), connection: "c".to_owned(), content }
    }

    /// Answers one event.
    async fn answer(mut registration: Registration<'_>, success: bool) -> Registration<'_> {
        let question = registration.questions.recv().await.unwrap();
        question.answer.send(success).unwrap();
        registration
    }

    #[tokio::test]
    async fn an_event_finds_the_handler_of_its_socket_and_kind() {
        let handlers = Handlers::new();
        let registration = handlers.register("a", EventKind::Message, false).unwrap();
        let (asked, registration) =
            tokio::join!(handlers.ask(message("a")), answer(registration, false));
        assert_eq!(asked, Ok(false));
        assert_eq!(handlers.ask(message("b")).await, Err(NotHandled::NoHandler));
        drop(registration);
    }

    #[tokio::test(start_paused = true)]
    async fn an_event_waits_for_a_handler_that_was_there_and_not_for_ever() {
        let handlers = Handlers::new();
        drop(handlers.register("a", EventKind::Message, false).unwrap());
        let back = async {
            tokio::time::sleep(RETURN_PATIENCE / 2).await;
            answer(handlers.register("a", EventKind::Message, false).unwrap(), true).await
        };
        let (asked, registration) = tokio::join!(handlers.ask(message("a")), back);
        assert_eq!(asked, Ok(true));
        drop(registration);
        assert_eq!(handlers.ask(message("a")).await, Err(NotHandled::Away));
    }

    #[tokio::test]
    async fn an_event_whose_handler_goes_is_lost() {
        let handlers = Handlers::new();
        let mut registration = handlers.register("a", EventKind::Message, false).unwrap();
        let going = async {
            registration.questions.recv().await.unwrap();
        };
        let (asked, ()) = tokio::join!(handlers.ask(message("a")), going);
        assert_eq!(asked, Err(NotHandled::Lost));
    }

    #[tokio::test]
    async fn a_handshake_whose_handler_goes_is_left_to_the_next() {
        let handlers = Handlers::new();
        let handshake = SocketEvent { content: Content::Connect(HashMap::new()), ..message("a") };
        let mut gone = handlers.register("a", EventKind::Connect, false).unwrap();
        let going = async {
            gone.questions.recv().await.unwrap();
            drop(gone);
            answer(handlers.register("a", EventKind::Connect, false).unwrap(), true).await
        };
        let (asked, registration) = tokio::join!(handlers.ask(handshake), going);
        assert_eq!(asked, Ok(true));
        drop(registration);
    }

    #[tokio::test]
    async fn a_second_handler_is_refused_or_takes_over() {
        let handlers = Handlers::new();
        let first = handlers.register("a", EventKind::Message, true).unwrap();
        let taken = handlers.register("a", EventKind::Message, false).err();
        let event = EventKind::Message;
        assert_eq!(taken, Some(RegisterError::Taken { socket: "a".to_owned(), event }));
        let second = handlers.register("a", EventKind::Message, true).unwrap();
        drop(first);
        let (asked, _second) = tokio::join!(handlers.ask(message("a")), answer(second, true));
        assert_eq!(asked, Ok(true));
    }
}
