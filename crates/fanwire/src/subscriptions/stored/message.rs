//! A message of a client, and what it is answered.

use std::sync::Arc;

use fanwire_wire::trpc::{
    self, ClientFrame, ClientMessage, Data, Envelope, ErrorCode, ErrorShape, Id, Method, PONG,
    ParseOptions, Response,
};
use futures_util::{StreamExt, stream};
use serde::Deserialize;
use tokio::sync::OnceCell;

use super::records::Begun;
use super::{Stored, connection, delivery, history};
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
    let message = Message { stored, event, context: OnceCell::new() };
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
struct Message<'a, C> {
    stored: &'a Stored<C>,
    event: &'a Event,
    /// Made once for all of a batch, where something is called.
    context: OnceCell<Arc<C>>,
}

// === impl Message ===

impl<C: Send + Sync + 'static> Message<'_, C> {
    async fn answer_all(&self, messages: Vec<ClientMessage<'_>>) -> Result<()> {
        let mut answers = stream::iter(messages)
            .map(|message| self.answer_one(message))
            .buffer_unordered(CONCURRENCY);
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
                let data = Data::new(&value);
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
        };
        self.stored.subscriptions.open(opening).await
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
        let (stored, connection) = (self.stored, &self.event.connection.id);
        let context = stored.write_context.map(|write| write(context)).transpose()?;
        let begun = Begun { connection, envelope, interest, input: call.input, context };
        let written = stored.layout.subscription(&begun)?;
        let lifetime = stored.lifetime.as_secs_f64();
        let by_connection = written.by_connection.lasting(lifetime);
        if !stored.store.put_if(by_connection, Condition::Absent).await.map_err(unwritten)? {
            let id = envelope.id.as_ref().map(Id::to_string).unwrap_or_default();
            return Err(TrpcError::new(ErrorCode::BadRequest, format!("Duplicate id {id}")));
        }
        let by_path = written.by_path.into_iter().map(|item| item.lasting(lifetime)).collect();
        stored.store.put(by_path).await.map_err(unwritten)?;
        match self
            .event
            .home
            .gateway()
            .send(connection, self.text(&Response::STARTED, envelope))
            .await
        {
            Ok(()) => {}
            // It has left, and perhaps was forgotten before this was written.
            Err(SendError::Gone { .. }) => return Ok(stored.forget(connection).await?),
            Err(error) => return Err(error.into()),
        }
        match &call.last_event_id {
            Some(last) if interest.tracked => self.resume(interest, last, envelope).await,
            _ => Ok(()),
        }
    }

    /// Sends what a client has missed while it was away.
    async fn resume(
        &self,
        interest: &Interest,
        last: &str,
        envelope: &Envelope,
    ) -> Result<(), TrpcError> {
        let missed = match history::missed(&*self.stored.store, interest, last).await {
            Ok(missed) => missed,
            Err(error) => {
                if let Some(id) = &envelope.id {
                    self.end(id).await?;
                }
                return Err(error);
            }
        };
        let (gateway, connection) = (self.event.home.gateway(), &self.event.connection.id);
        for sent in missed {
            let response = delivery::response(&sent, self.stored.subscriptions.transformer());
            match gateway.send(connection, self.text(&response, envelope)).await {
                Err(SendError::Gone { .. }) => return Ok(self.stored.forget(connection).await?),
                sent => sent?,
            }
        }
        Ok(())
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

    fn text(&self, response: &Response, envelope: &Envelope) -> Body {
        Body::Text(response.encode(envelope))
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
