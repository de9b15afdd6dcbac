//! Rooms with messages, for the tests with clients of tRPC (tests/suite/subscriptions.test.mjs):
//! one app of procedures that is a server of its own, or a function of tests/apps/trpc.
//!
//! Beside the variables that every app has, `TRANSFORMER=superjson` says what clients have;
//! a server reads `PROBE_MS`, after how long a silent client is asked by `PING`, and `KEEP`,
//! how many events of a path are kept. `rooms types` writes the types for TypeScript.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use fanwire::subscriptions::{
    ErrorCode, Filter as _, KeepAlive, Opening, Probe, Publisher, Report, Router, Subscriptions,
    Tracked, Transformer, TrpcError, tracked,
};
use fanwire::superjson::{BigInt, Date, Map, Set};
use fanwire::{App, Result, ServerOptions, run_with, store};
use futures_util::{Stream, stream};
use serde::{Deserialize, Serialize};
use ts_rs::TS;

struct Guest {
    name: String,
    publisher: Option<Publisher>,
}

/// Who has said who it is.
struct Member {
    name: String,
}

#[derive(Deserialize, TS)]
struct Room {
    room: String,
}

#[derive(Serialize, TS)]
struct Message {
    text: String,
    at: Date,
}

/// What is said, and to whom: a room, a user, a user in a room, or all.
#[derive(Deserialize, TS)]
struct Saying {
    path: Kind,
    room: Option<String>,
    user: Option<String>,
    text: String,
}

#[derive(Clone, Copy, Deserialize, TS)]
#[serde(rename_all = "lowercase")]
enum Kind {
    Messages,
    Events,
}

#[derive(Serialize, TS)]
struct Heard {
    delivered: usize,
}

#[derive(Deserialize, TS)]
struct Count {
    count: u64,
}

/// One of each that JSON has no word for.
#[derive(Deserialize, Serialize, TS)]
struct Ledger {
    opened: Date,
    cents: BigInt,
    owners: Set<BTreeSet<String>>,
    entries: Map<BTreeMap<Date, Vec<BigInt>>>,
    closed: Option<Date>,
}

fanwire::subscription! {
    struct Messages("messages"): (Guest, Room) -> Message;
    filter ByRoom("room") { input.room: String }
    filter ByUser("user") { ctx.name: String, input.room: String }
}

fanwire::subscription! {
    struct Events("events"): (Guest, Room) -> Tracked<Message>;
    filter EventsByRoom("room") { input.room: String }
    filter EventsByUser("user") { ctx.name: String, input.room: String }
}

fanwire::subscription! {
    struct Refused("refused"): (Guest, ()) -> String;
}

fanwire::subscription! {
    struct Ledgers("ledgers"): (Guest, Ledger) -> Ledger;
    filter ByOpening("opening") { input.opened: Date, input.cents: BigInt }
}

fn main() -> Result {
    let app = procedures();
    if std::env::args().nth(1).as_deref() == Some("types") {
        std::io::Write::write_all(&mut std::io::stdout(), app.typescript().as_bytes())?;
        return Ok(());
    }
    run_with(App::new("rooms").subscriptions(app.stored(store::from_env()?)), options()?)
}

fn options() -> Result<ServerOptions> {
    let mut options = ServerOptions::from_env()?;
    if let Ok(after) = std::env::var("PROBE_MS") {
        let after = Duration::from_millis(after.parse()?);
        options.keep_alive = Some(KeepAlive { after, by: Probe::Text, ..KeepAlive::default() });
    }
    if let Ok(count) = std::env::var("KEEP") {
        options.max_kept_events = count.parse()?;
    }
    Ok(options)
}

fn procedures() -> Subscriptions<Guest> {
    let transformer = match std::env::var("TRANSFORMER").as_deref() {
        Ok("superjson") => Transformer::SuperJson,
        _ => Transformer::None,
    };
    Router::new()
        .query("whoami", async |guest: Arc<Guest>, ()| Ok(guest.name.clone()))
        .mutation("publish", publish)
        .mutation("keep", keep)
        .subscription(Messages)
        .subscription(Events)
        .subscription(Ledgers)
        .subscription_when(Refused, async |_, _| {
            Err(TrpcError::new(ErrorCode::Forbidden, "not for you"))
        })
        .stream("count", count)
        .stream("breaks", breaks)
        .merge("members", members())
        .context(context)
        .with_transformer(transformer)
}

/// Who comes says who it is by `connectionParams: { user }`, by a header, or by `?user=`.
async fn context(opening: Opening) -> Result<Guest, TrpcError> {
    let said = opening.param("user").or(opening.header("x-user")).or(opening.query("user"));
    match said {
        Some("stranger") => Err(TrpcError::new(ErrorCode::Unauthorized, "who are you")),
        name => Ok(Guest {
            name: name.unwrap_or("nobody").to_owned(),
            publisher: opening.home.publisher().cloned(),
        }),
    }
}

/// Procedures for those who have said who they are.
fn members() -> Router<Guest> {
    Router::new()
        .query("secret", async |member: Arc<Member>, ()| Ok(format!("hello {}", member.name)))
        .within(async |guest: Arc<Guest>, _| match &*guest.name {
            "nobody" => Err(TrpcError::new(ErrorCode::Unauthorized, "say who you are")),
            name => Ok(Member { name: name.to_owned() }),
        })
}

async fn publish(
    guest: Arc<Guest>,
    Saying { path, room, user, text }: Saying,
) -> Result<Heard, TrpcError> {
    let Some(publisher) = &guest.publisher else { return Ok(Heard { delivered: 0 }) };
    let message = Message { text, at: Date::from_millis(0) };
    let Report { delivered, .. } = match path {
        Kind::Messages => match (user, room) {
            (Some(name), Some(room)) => {
                publisher.publish_to(&ByUser { name, room }, &message).await?
            }
            (Some(name), None) => publisher.publish_to(&ByUser::leading((name,)), &message).await?,
            (None, Some(room)) => publisher.publish_to(&ByRoom { room }, &message).await?,
            (None, None) => publisher.publish(Messages, &message).await?,
        },
        Kind::Events => {
            let event = tracked(event_id(), message);
            match (user, room) {
                (Some(name), Some(room)) => {
                    publisher.publish_to(&EventsByUser { name, room }, &event).await?
                }
                (Some(name), None) => {
                    publisher.publish_to(&EventsByUser::leading((name,)), &event).await?
                }
                (None, Some(room)) => publisher.publish_to(&EventsByRoom { room }, &event).await?,
                (None, None) => publisher.publish(Events, &event).await?,
            }
        }
    };
    Ok(Heard { delivered })
}

/// An id that no other process gives.
fn event_id() -> String {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    format!("{}-{}-{count}", Date::now().millis(), std::process::id())
}

/// Sends a ledger to those who watch its like, and gives it back.
async fn keep(guest: Arc<Guest>, ledger: Ledger) -> Result<Ledger, TrpcError> {
    if let Some(publisher) = &guest.publisher {
        let alike = ByOpening { opened: ledger.opened, cents: ledger.cents };
        publisher.publish_to(&alike, &ledger).await?;
    }
    Ok(ledger)
}

fn count(
    _: Arc<Guest>,
    Count { count }: Count,
) -> impl Stream<Item = Result<Tracked<u64>, TrpcError>> {
    stream::iter((0..count).map(|number| Ok(tracked(number.to_string(), number))))
}

fn breaks(_: Arc<Guest>, (): ()) -> impl Stream<Item = Result<&'static str, TrpcError>> {
    stream::iter([Ok("first"), Err(TrpcError::new(ErrorCode::Conflict, "it broke"))])
}
