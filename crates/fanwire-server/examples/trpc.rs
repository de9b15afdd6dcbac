//! A server of procedures written by hand, for the tests with clients of tRPC
//! (tests/suite/subscriptions.test.mjs). Who writes an app uses the crate `fanwire`.
//!
//! Its settings come from the environment: `PORT`; `DATA`, the folder of the history;
//! `TRANSFORMER=superjson`; `PROBE_MS`, after how long a silent client is asked by `PING`;
//! `KEEP`, how many events of a path are kept.

#![allow(clippy::print_stdout, reason = "it says where it listens")]

use std::error::Error;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use fanwire_app::model::WebSocketApi;
use fanwire_app::{App, LoadOptions};
use fanwire_functions::Silent;
use fanwire_realtime::RealtimeEvent;
use fanwire_server::{Observers, Server, ServerOptions, SubscriptionsEndpoint};
use fanwire_subscriptions::{
    Answer, Call, CallError, Context, ErrorCode, Interest, KeepAlive, Opening, Payload, Probe,
    ProcedureType, Procedures, Publication, StreamEvent, Subscriptions, Tracking, Transformer,
};
use fanwire_websocket::RequestRecord;
use futures_util::future::{BoxFuture, FutureExt as _, ready};
use futures_util::{StreamExt as _, stream};
use serde::Deserialize;
use serde_json::value::to_raw_value;
use serde_json::{Value, json};

/// The filter by room.
const ROOM: u16 = 0;
/// The filter by user and room.
const USER: u16 = 1;

/// The app. What it publishes with is there once the server has started.
#[derive(Clone)]
struct Rooms {
    plane: Arc<OnceLock<Subscriptions>>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Input {
    path: String,
    room: Option<String>,
    user: Option<String>,
    text: String,
    count: u64,
}

impl Procedures for Rooms {
    fn context(&self, opening: Opening) -> BoxFuture<'static, Result<Context, CallError>> {
        let params = opening.connection_params.unwrap_or_default().into_iter();
        let user = params.filter(|(name, _)| name == "user").map(|(_, user)| user).next();
        let in_query = opening.query.split('&').find_map(|each| each.strip_prefix("user="));
        let user = user.or_else(|| in_query.map(str::to_owned)).unwrap_or("nobody".to_owned());
        ready(match &*user {
            "stranger" => Err(CallError::new(ErrorCode::Unauthorized, "who are you")),
            _ => Ok(Arc::new(user) as Context),
        })
        .boxed()
    }

    fn call(&self, context: Context, call: Call) -> BoxFuture<'static, Result<Answer, CallError>> {
        let app = self.clone();
        async move {
            let user = context.downcast_ref::<String>().map_or("", String::as_str);
            app.answer(user, call).await
        }
        .boxed()
    }
}

impl Rooms {
    async fn answer(&self, user: &str, call: Call) -> Result<Answer, CallError> {
        use ProcedureType::{Mutation, Query, Subscription};
        let json = call.input.as_ref().map_or("{}", |input| input.get());
        let input: Input = serde_json::from_str(json)
            .map_err(|error| CallError::new(ErrorCode::BadRequest, error.to_string()))?;
        match (call.kind, &*call.path) {
            (Query, "whoami") => value(&json!(user)),
            (Mutation, "publish") => self.publish(input).await,
            (Subscription, "messages" | "events") => {
                let room = input.room.unwrap_or_default();
                let keys = vec![(ROOM, key(&[&room])), (USER, key(&[user, &room]))];
                let after = call.last_event_id.filter(|_| call.path == "events");
                Ok(Answer::Subscribed(Interest { path: call.path, keys, after }))
            }
            (Subscription, "count") => Ok(Answer::Stream(
                stream::iter(0..input.count)
                    .map(|i| Ok(StreamEvent { id: Some(i.to_string()), data: payload(&json!(i))? }))
                    .boxed(),
            )),
            (Subscription, "breaks") => {
                let first = payload(&json!("first"))?;
                let failure = CallError::new(ErrorCode::Conflict, "it broke");
                let events = [Ok(StreamEvent { id: None, data: first }), Err(failure)];
                Ok(Answer::Stream(stream::iter(events).boxed()))
            }
            (Subscription, "refused") => Err(CallError::new(ErrorCode::Forbidden, "not for you")),
            (kind, path) => Err(CallError::no_such_procedure(kind, path)),
        }
    }

    /// Publishes to a room, to a user, to a user's subscriptions to a room, or to all.
    async fn publish(&self, input: Input) -> Result<Answer, CallError> {
        let filter = match (&input.user, &input.room) {
            (Some(user), Some(room)) => Some((USER, key(&[user, room]))),
            (Some(user), None) => Some((USER, key(&[user]))),
            (None, Some(room)) => Some((ROOM, key(&[room]))),
            (None, None) => None,
        };
        let tracking =
            if input.path == "events" { Tracking::Numbered } else { Tracking::Untracked };
        let data = payload(&json!({ "text": input.text, "at": "1970-01-01T00:00:00.000Z" }))?
            .with_meta(to_raw_value(&json!({ "at": ["Date"] })).map_err(|error| failed(&error))?);
        let plane = self.plane.get().ok_or_else(|| failed(&"the server is starting"))?;
        let publication = Publication { path: input.path, filter, data, tracking };
        let published = plane.publish(publication).await.map_err(|error| failed(&error))?;
        value(&json!({ "delivered": published.delivered }))
    }
}

/// Fields in their order, each with its end, so that none is the beginning of another.
fn key(fields: &[&str]) -> Vec<u8> {
    fields.iter().flat_map(|field| field.bytes().chain([0])).collect()
}

fn payload(json: &Value) -> Result<Payload, CallError> {
    Payload::new(json).map_err(|error| failed(&error))
}

fn value(json: &Value) -> Result<Answer, CallError> {
    payload(json).map(Answer::Value)
}

fn failed(why: &dyn std::fmt::Display) -> CallError {
    CallError::new(ErrorCode::InternalServerError, why.to_string())
}

/// Looks away.
struct Nobody;

impl fanwire_websocket::Observer for Nobody {
    fn request(&self, _: &RequestRecord<'_>) {}

    fn access(&self, _: &WebSocketApi, _: &str) {}

    fn trouble(&self, _: &WebSocketApi, _: &str) {}

    fn execution(&self, _: &WebSocketApi, _: &str, _: &str) {}
}

impl fanwire_realtime::Observer for Nobody {
    fn observe(&self, _: &RealtimeEvent<'_>) {}
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let set = |name: &str| std::env::var(name).ok();
    let plane = Arc::default();
    let procedures = Arc::new(Rooms { plane: Arc::clone(&plane) });
    let mut endpoint = SubscriptionsEndpoint::new("/trpc", procedures);
    endpoint.folder = set("DATA").map(PathBuf::from);
    if set("TRANSFORMER").as_deref() == Some("superjson") {
        endpoint.settings.transformer = Transformer::SuperJson;
    }
    if let Some(after) = set("PROBE_MS") {
        let after = Duration::from_millis(after.parse()?);
        let patience = Duration::from_secs(5);
        endpoint.settings.keep_alive = Some(KeepAlive { after, patience, by: Probe::Text });
    }
    if let Some(count) = set("KEEP") {
        endpoint.settings.history.max_events_per_path = count.parse()?;
    }
    let port: u16 = set("PORT").map_or(Ok(0), |port| port.parse())?;
    let options = ServerOptions {
        address: SocketAddr::from(([127, 0, 0, 1], port)),
        subscriptions: Some(endpoint),
        ..ServerOptions::default()
    };
    let observers = Observers {
        websocket: Arc::new(Nobody),
        functions: Arc::new(Silent),
        realtime: Arc::new(Nobody),
        logs: None,
    };
    let server = Server::start(&nothing_else()?, options, observers).await?;
    if let Some(subscriptions) = server.subscriptions() {
        // It is set here and nowhere else.
        let _ = plane.set(subscriptions.clone());
    }
    println!("ws://{}/trpc", server.address());
    tokio::signal::ctrl_c().await?;
    server.stop(Duration::from_secs(3)).await;
    Ok(())
}

/// An App without anything that the server would serve besides.
fn nothing_else() -> Result<App, Box<dyn Error>> {
    let file = std::env::temp_dir().join(format!("fanwire-trpc-{}.toml", std::process::id()));
    std::fs::write(&file, "name = \"trpc\"\n")?;
    let loaded = fanwire_app::load(&file, &LoadOptions::default());
    std::fs::remove_file(&file)?;
    Ok(loaded?.app)
}
