//! A message of a client, and what it is answered.

use std::sync::Arc;

use fanwire_wire::trpc::{
    self, ClientFrame, ClientMessage, Data, Envelope, ErrorCode, ErrorShape, Id, Method, PONG,
    ParseOptions, Response,
};
use futures_util::future::BoxFuture;
use futures_util::{FutureExt as _, StreamExt as _, stream};
use serde::Deserialize;
use tokio::sync::{OnceCell, Semaphore};

use super::records::{Begun, SUBSCRIPTION, Written, connection_partition};
use super::{Stored, connection, delivery, resume};
use crate::Result;
use crate::store::{Condition, StoreError};
use crate::subscriptions::{Answer, Call, Interest, Opening, TrpcError};
use crate::websocket::{Body, Event, SendError};

/// How many messages of a batch are worked on at once.
const CONCURRENCY: usize = 16;

/// Answers a message.
pub(super) async fn answer<C: Send + Sync + 'static>(
    stored: &Stored<C>,
    event: &Event,
) -> Result<()> {
    let message = Message { stored, event, context: OnceCell::new(), room: OnceCell::new() };
    let Ok(text) = std::str::from_utf8(event.body.as_bytes()) else {
        return message.refuse("a message must be text").await;
    };
    if is_params(text) {
        return message.take_params(text).await;
    }
    let transformer = stored.subscriptions.transformer();
    let options = ParseOptions { transformer, ..ParseOptions::default() };
    match ClientFrame::parse(text, &options) {
        Ok(ClientFrame::Ping) => {
            connection::said(stored, &event.connection.id).await?;
            message.send(PONG.to_owned()).await
        }
        Ok(ClientFrame::Pong) => Ok(()),
        Ok(ClientFrame::Messages(messages)) => message.answer_all(messages).await,
        Ok(ClientFrame::TooLong(waiting)) => {
            for envelope in waiting {
                let response = Response::batch_too_long(transformer);
                message.send(response.encode(&envelope)).await?;
            }
            Ok(())
        }
        Err(why) => {
            let response = Response::unparsable(&why, transformer);
            message.send(response.encode(&Envelope::default())).await
        }
    }
}

/// Whether it is the message that a v11 client says its connection parameters by.
fn is_params(text: &str) -> bool {
    #[derive(Deserialize)]
    struct Head<'a> {
        method: &'a str,
    }
    text.contains("connectionParams")
        && serde_json::from_str::<Head<'_>>(text).is_ok_and(|it| it.method == "connectionParams")
}

/// A message that is being answered.
pub(super) struct Message<'a, C> {
    pub(super) stored: &'a Stored<C>,
    pub(super) event: &'a Event,
    /// Made once for all of a batch, where something is called.
    context: OnceCell<Arc<C>>,
    /// How many more subscriptions the connection may have; counted where one is begun.
    room: OnceCell<Semaphore>,
}

// === impl Message ===

impl<C: Send + Sync + 'static> Message<'_, C> {
    async fn answer_all(&self, messages: Vec<ClientMessage<'_>>) -> Result<()> {
        // Boxed before they are a stream: one whose items borrow is not `Send` to the compiler.
        let answers = messages.into_iter().map(|message| self.answer_one(message).boxed());
        let answers: Vec<BoxFuture<'_, Result<()>>> = answers.collect();
        let mut answers = stream::iter(answers).buffer_unordered(CONCURRENCY);
        let mut result = Ok(());
        while let Some(answered) = answers.next().await {
            result = result.and(answered);
        }
        result
    }

    async fn answer_one(&self, message: ClientMessage<'_>) -> Result<()> {
        let envelope = message.envelope;
        let Some(id) = &envelope.id else {
            let response = Response::missing_id(self.stored.subscriptions.transformer());
            return self.send(response.encode(&envelope)).await;
        };
        match message.method {
            Method::Stop => self.stop(id, &envelope).await,
            Method::Call(call) => self.call(&call, &envelope).await,
        }
    }

    async fn call(&self, call: &trpc::Call<'_>, envelope: &Envelope) -> Result<()> {
        let transformer = self.stored.subscriptions.transformer();
        let response = match self.try_call(call, envelope).await {
            Ok(Some(response)) => response,
            Ok(None) => return Ok(()),
            Err(error) => {
                self.stored.subscriptions.report(&error, Some(&call.path));
                error.response(Some(&call.path), transformer)
            }
        };
        self.send(response.encode(envelope)).await
    }

    /// Calls a procedure. Gives what is left to be answered.
    async fn try_call(
        &self,
        call: &trpc::Call<'_>,
        envelope: &Envelope,
    ) -> Result<Option<Response>, TrpcError> {
        let subscriptions = &self.stored.subscriptions;
        let context = Arc::clone(self.context.get_or_try_init(|| self.make_context()).await?);
        let owned = Call {
            kind: call.kind,
            path: call.path.as_ref().to_owned(),
            input: call.input.map(ToOwned::to_owned),
            last_event_id: call.last_event_id.as_deref().map(str::to_owned),
        };
        match subscriptions.call(Arc::clone(&context), owned).await? {
            Answer::Value(value) => {
                let data = Data { meta: value.meta.as_deref(), ..Data::new(&value.json) };
                Ok(Some(Response::data(&data, subscriptions.transformer())))
            }
            Answer::Subscribed(interest) => {
                self.begin(call, envelope, &interest, &context).await.map(|()| None)
            }
            Answer::Stream(_) => Err(TrpcError::new(
                ErrorCode::NotImplemented,
                "streams need a server that lives on: this app is served by functions",
            )),
        }
    }

    async fn make_context(&self) -> Result<Arc<C>, TrpcError> {
        let event = self.event;
        let opening = Opening {
            connection: Arc::clone(&event.connection),
            authorizer: Arc::clone(&event.authorizer),
            said: connection::said_whole(self.stored, &event.connection.id).await?,
            home: event.home.clone(),
        };
        self.stored.subscriptions.open(opening).await
    }

    /// How many more subscriptions the connection may have.
    async fn count_room(&self) -> Result<Semaphore, StoreError> {
        let most = self.stored.max_subscriptions.min(Semaphore::MAX_PERMITS);
        let partition = connection_partition(&self.event.connection.id);
        let (mut there, mut after) = (0, None);
        while there < most {
            let page = self.stored.store.query(&partition, SUBSCRIPTION, after).await?;
            there += page.items.len();
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        Ok(Semaphore::new(most.saturating_sub(there)))
    }

    /// Begins a subscription: its records first, so that nothing is missed from the moment
    /// at which the client knows that it has begun.
    async fn begin(
        &self,
        call: &trpc::Call<'_>,
        envelope: &Envelope,
        interest: &Interest,
        context: &C,
    ) -> Result<(), TrpcError> {
        let connection = &self.event.connection.id;
        let room = self.room.get_or_try_init(|| self.count_room()).await?;
        let Ok(place) = room.try_acquire() else {
            let why = "a connection has too many subscriptions; stop some";
            return Err(TrpcError::new(ErrorCode::TooManyRequests, why));
        };
        let write_context = self.stored.write_context;
        let context = write_context.map(|write| write(context)).transpose()?;
        let begun = Begun { connection, envelope, interest, input: call.input, context };
        let mut written = self.stored.layout.subscription(&begun)?;
        let last = call.last_event_id.as_ref().filter(|_| interest.tracked);
        if last.is_some() {
            resume::begin(&mut written);
        }
        self.write(envelope, written.clone()).await?;
        place.forget();
        match self.give(&Response::STARTED, envelope).await {
            Ok(()) => {}
            // It has left, and perhaps was forgotten before this was written.
            Err(SendError::Gone { .. }) => return Ok(self.stored.forget(connection).await?),
            Err(error) => return Err(error.into()),
        }
        let Some(last) = last else { return Ok(()) };
        match self.resume(interest, last, written, envelope).await {
            Err(error) => self.fail(&error, interest, envelope).await,
            resumed => resumed,
        }
    }

    /// Writes the records of a subscription: all of them, or none.
    async fn write(&self, envelope: &Envelope, written: Written) -> Result<(), TrpcError> {
        let stored = self.stored;
        let lifetime = stored.lifetime.as_secs_f64();
        let by_connection = written.by_connection.lasting(lifetime);
        let mut keys = vec![by_connection.key.clone()];
        if !stored.store.put_if(by_connection, Condition::Absent).await.map_err(unwritten)? {
            let id = envelope.id.as_ref().map(Id::to_string).unwrap_or_default();
            return Err(TrpcError::new(ErrorCode::BadRequest, format!("Duplicate id {id}")));
        }
        let by_path: Vec<_> =
            written.by_path.into_iter().map(|item| item.lasting(lifetime)).collect();
        keys.extend(by_path.iter().map(|item| item.key.clone()));
        if let Err(error) = stored.store.put(by_path).await {
            let too_long = matches!(error, StoreError::Refused(_));
            // What cannot be a key was not written, and cannot be deleted either.
            keys.truncate(if too_long { 1 } else { keys.len() });
            stored.store.delete(keys).await?;
            return Err(unwritten(error));
        }
        Ok(())
    }

    /// Ends a subscription that has begun, and tells its client why.
    async fn fail(
        &self,
        error: &TrpcError,
        interest: &Interest,
        envelope: &Envelope,
    ) -> Result<(), TrpcError> {
        let subscriptions = &self.stored.subscriptions;
        subscriptions.report(error, Some(interest.path));
        if let Some(id) = &envelope.id {
            self.end(id).await?;
        }
        let response = error.response(Some(interest.path), subscriptions.transformer());
        self.give(&response, envelope).await?;
        Ok(self.give(&Response::STOPPED, envelope).await?)
    }

    async fn stop(&self, id: &Id, envelope: &Envelope) -> Result<()> {
        // Clients also stop what has ended, and what never began.
        if self.end(id).await? {
            self.send(Response::STOPPED.encode(envelope)).await?;
        }
        Ok(())
    }

    /// Removes the records of a subscription. Says whether there was one.
    async fn end(&self, id: &Id) -> Result<bool, StoreError> {
        let stored = self.stored;
        let key = stored.layout.subscription_key(&self.event.connection.id, id);
        let Some(item) = stored.store.get(&key).await? else { return Ok(false) };
        let filters = |path: &str| stored.subscriptions.filters(path);
        stored.store.delete(delivery::keys_of(stored.layout, &item, &filters)).await?;
        Ok(true)
    }

    async fn take_params(&self, text: &str) -> Result<()> {
        match connection::take_params(self.stored, &self.event.connection.id, text).await? {
            Ok(()) => Ok(()),
            Err(why) => self.refuse(&why.to_string()).await,
        }
    }

    /// Says that a message was none that can be understood.
    async fn refuse(&self, why: &str) -> Result<()> {
        let shape = ErrorShape::new(ErrorCode::ParseError, why);
        let response = Response::error(&shape, self.stored.subscriptions.transformer());
        self.send(response.encode(&Envelope::default())).await
    }

    pub(super) async fn give(
        &self,
        response: &Response,
        envelope: &Envelope,
    ) -> Result<(), SendError> {
        let body = Body::Text(response.encode(envelope));
        self.event.home.gateway().send(&self.event.connection.id, body).await
    }

    /// Sends the client a message. That it has left meanwhile is nobody's fault.
    async fn send(&self, text: String) -> Result<()> {
        match self.event.home.gateway().send(&self.event.connection.id, Body::Text(text)).await {
            Err(SendError::Gone { .. }) => Ok(()),
            sent => Ok(sent?),
        }
    }
}

/// Why a subscription could not be written, as its client is told it.
fn unwritten(error: StoreError) -> TrpcError {
    match error {
        StoreError::Refused(why) => TrpcError::new(
            ErrorCode::PayloadTooLarge,
            format!("the subscription is too large: {why}"),
        ),
        StoreError::Busy(_) => {
            TrpcError::new(ErrorCode::TooManyRequests, "too much is under way; try again later")
        }
        other => other.into(),
    }
}
