//! The stream on which a service is asked: it says which events it handles, and then
//! answers one after the other, or several at once. The two generations differ in their
//! messages and in little else.

use std::collections::HashMap;
use std::sync::Arc;

use prost::Message;
use tokio::sync::{mpsc, oneshot};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Status, Streaming};

use crate::nitric::Shared;
use crate::proto::{Empty, v0, v1};
use crate::resources;
use crate::sockets::{Content, EventKind, Question, SocketEvent};

/// Messages for a service that may wait for its socket.
const MAX_OUTBOUND: usize = 16;

/// Events without an answer that are kept for one stream. Those that nobody waits for any
/// more are forgotten beyond it.
const MAX_UNANSWERED: usize = 4096;

/// One of the two generations: how its messages are read and written.
pub(crate) trait Generation: Send + 'static {
    type Client: Message + Default + 'static;
    type Server: Message + Default + 'static;

    /// Whether several handlers may have one event.
    const SEVERAL: bool;

    fn read(message: Self::Client) -> Said;
    fn event(id: String, event: SocketEvent) -> Self::Server;
    /// What a registration is answered with, where there is anything.
    fn registered(id: String) -> Option<Self::Server>;
}

/// What a service says.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Said {
    /// Which events it handles: the number is the event's.
    Handles {
        id: String,
        socket: String,
        event: i32,
    },
    /// That it handles something that is not served.
    Other {
        what: &'static str,
    },
    Answer {
        id: String,
        success: bool,
    },
    Nothing,
}

/// What a service gets on its stream.
pub(crate) type Outbound<G> = ReceiverStream<Result<<G as Generation>::Server, Status>>;

/// Looks after a stream until it ends, in a task of its own.
pub(crate) fn attend<G: Generation>(
    incoming: Streaming<G::Client>,
    shared: Arc<Shared>,
) -> Outbound<G> {
    let (outbound, receiver) = mpsc::channel(MAX_OUTBOUND);
    tokio::spawn(async move {
        let talking = talk::<G>(incoming, &shared, &outbound);
        tokio::select! {
            ended = talking => {
                if let Err(status) = ended {
                    // The service may be gone.
                    let _ = outbound.send(Err(status)).await;
                }
            }
            // The stream ends without an error.
            () = shared.stopped() => {}
        }
    });
    ReceiverStream::new(receiver)
}

async fn talk<G: Generation>(
    mut incoming: Streaming<G::Client>,
    shared: &Shared,
    outbound: &mpsc::Sender<Result<G::Server, Status>>,
) -> Result<(), Status> {
    let Some(first) = incoming.message().await? else { return Ok(()) };
    let (id, socket, event) = match G::read(first) {
        Said::Handles { id, socket, event } => (id, socket, event),
        Said::Other { what } => {
            shared.announced();
            shared.trouble(&resources::unserved(what));
            // An error would end the whole service: it waits for events that never come.
            while incoming.message().await?.is_some() {}
            return Ok(());
        }
        Said::Answer { .. } | Said::Nothing => {
            return Err(Status::failed_precondition("a stream begins with a registration"));
        }
    };
    let event = EventKind::of(event)
        .ok_or_else(|| Status::invalid_argument(format!("there is no event {event}")))?;
    resources::open_socket(shared, &socket).await?;
    let registered = shared.handlers.register(&socket, event, G::SEVERAL);
    let mut registration = registered.map_err(|error| Status::already_exists(error.to_string()))?;
    shared.announced();
    if let Some(message) = G::registered(id) {
        let _ = outbound.send(Ok(message)).await;
    }
    let mut unanswered = Unanswered::default();
    loop {
        tokio::select! {
            question = registration.questions.recv() => {
                // The registration has the sender.
                let Some(Question { event, answer }) = question else { return Ok(()) };
                let id = unanswered.add(answer);
                if outbound.send(Ok(G::event(id, event))).await.is_err() {
                    return Ok(());
                }
            }
            said = incoming.message() => match said.map(|message| message.map(G::read)) {
                Ok(Some(Said::Answer { id, success })) => unanswered.take(&id, success),
                Ok(Some(_)) => {}
                // The service has ended, well or not.
                Ok(None) | Err(_) => return Ok(()),
            },
        }
    }
}

/// Events of one stream that wait for their answers.
#[derive(Default)]
struct Unanswered {
    asked: u64,
    waiting: HashMap<String, oneshot::Sender<bool>>,
}

impl Unanswered {
    fn add(&mut self, answer: oneshot::Sender<bool>) -> String {
        if self.waiting.len() >= MAX_UNANSWERED {
            self.waiting.retain(|_, answer| !answer.is_closed());
        }
        self.asked += 1;
        let id = self.asked.to_string();
        self.waiting.insert(id.clone(), answer);
        id
    }

    fn take(&mut self, id: &str, success: bool) {
        if let Some(answer) = self.waiting.remove(id) {
            // Nobody may wait any more.
            let _ = answer.send(success);
        }
    }
}

/// SDKs 0.14 to 0.16.
pub(crate) struct V0;

impl Generation for V0 {
    type Client = v0::ClientMessage;
    type Server = v0::ServerMessage;

    const SEVERAL: bool = true;

    fn read(message: v0::ClientMessage) -> Said {
        use v0::{ClientContent, ResponseContext, Worker};
        let id = message.id;
        let init = match message.content {
            None => return Said::Nothing,
            Some(ClientContent::Response(response)) => {
                let success = response.context.is_some_and(|context| {
                    let ResponseContext::Websocket(response) = context;
                    response.success
                });
                return Said::Answer { id, success };
            }
            Some(ClientContent::Init(init)) => init,
        };
        let what = match init.worker {
            Some(Worker::Websocket(v0::WebsocketWorker { socket, event })) => {
                return Said::Handles { id, socket, event };
            }
            Some(Worker::Api(_)) => "API",
            Some(Worker::Subscription(_)) => "topic",
            Some(Worker::Schedule(_)) => "schedule",
            Some(Worker::BucketNotification(_)) => "bucket",
            Some(Worker::Http(_)) => "HTTP app",
            None => "function",
        };
        Said::Other { what }
    }

    fn event(id: String, event: SocketEvent) -> v0::ServerMessage {
        let kind = event.content.kind() as i32;
        let (data, query_params) = match event.content {
            Content::Connect(query) => (bytes::Bytes::new(), query),
            Content::Disconnect => Default::default(),
            Content::Message(body) => (body, HashMap::new()),
        };
        let context = v0::WebsocketTriggerContext {
            socket: event.socket,
            event: kind,
            connection_id: event.connection,
            query_params,
        };
        let trigger = v0::TriggerRequest {
            data,
            mime_type: "application/octet-stream".to_owned(),
            context: Some(v0::TriggerContext::Websocket(context)),
            trace_context: Some(v0::TraceContext::default()),
        };
        v0::ServerMessage { id, content: Some(v0::ServerContent::Trigger(trigger)) }
    }

    fn registered(_: String) -> Option<v0::ServerMessage> {
        None
    }
}

/// SDKs since 1.0.
pub(crate) struct V1;

impl Generation for V1 {
    type Client = v1::ClientMessage;
    type Server = v1::ServerMessage;

    const SEVERAL: bool = false;

    fn read(message: v1::ClientMessage) -> Said {
        use v1::{ClientContent, ResponseContent};
        let id = message.id;
        match message.content {
            None => Said::Nothing,
            Some(ClientContent::Registration(registration)) => {
                let v1::RegistrationRequest { socket_name, event_type } = registration;
                Said::Handles { id, socket: socket_name, event: event_type }
            }
            Some(ClientContent::Response(response)) => {
                let rejected = response.content.is_some_and(|content| {
                    let ResponseContent::Connection(response) = content;
                    response.reject
                });
                Said::Answer { id, success: !rejected }
            }
        }
    }

    fn event(id: String, event: SocketEvent) -> v1::ServerMessage {
        use v1::EventContent;
        let content = match event.content {
            Content::Connect(query_params) => {
                EventContent::Connection(v1::ConnectionEvent { query_params })
            }
            Content::Disconnect => EventContent::Disconnection(Empty {}),
            Content::Message(body) => EventContent::Message(v1::MessageEvent { body }),
        };
        let event = v1::EventRequest {
            socket_name: event.socket,
            connection_id: event.connection,
            event: Some(content),
        };
        v1::ServerMessage { id, content: Some(v1::ServerContent::Event(event)) }
    }

    fn registered(id: String) -> Option<v1::ServerMessage> {
        Some(v1::ServerMessage { id, content: Some(v1::ServerContent::Registered(Empty {})) })
    }
}

/// Looks after a stream of a service of Nitric's that is not served: nothing ever comes,
/// because an error would end the whole service.
pub(crate) fn stand_by(
    mut incoming: Streaming<Empty>,
    what: &'static str,
    shared: Arc<Shared>,
) -> ReceiverStream<Result<Empty, Status>> {
    let (outbound, receiver) = mpsc::channel(1);
    shared.announced();
    shared.trouble(&resources::unserved(what));
    tokio::spawn(async move {
        let ended = async { while let Ok(Some(_)) = incoming.message().await {} };
        tokio::select! {
            () = ended => {}
            () = shared.stopped() => {}
        }
        drop(outbound);
    });
    ReceiverStream::new(receiver)
}
