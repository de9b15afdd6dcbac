//! A chat whose people have names: who comes and goes, and what is said, everybody hears.

use fanwire::collection::Collection;
use fanwire::websocket::{Allow, Connection, Json, Principal, Query, Reply, State, WebSocket};
use fanwire::{Error, Result, run, store};
use serde::{Deserialize, Serialize};

#[derive(Clone, Serialize, Deserialize)]
struct Person {
    name: String,
}

#[derive(Deserialize)]
struct Door {
    name: Option<String>,
}

#[derive(Deserialize)]
struct Say {
    text: String,
}

#[derive(Serialize)]
#[serde(rename_all = "lowercase")]
enum News {
    Joined(String),
    Left(String),
    Said { from: String, text: String },
}

type People = Collection<Person>;

fn main() -> Result {
    let people = People::new("people", store::from_env()?);
    run(WebSocket::with_state(people)
        .authorizer(name)
        .connect(enter)
        .disconnect(leave)
        .route("say", say)
        .message(async || r#"{"try": {"action": "say", "text": "hello"}}"#))
}

/// Everybody may enter who says a name, as `?name=Ada`.
async fn name(Query(Door { name }): Query<Door>) -> Result<Allow> {
    let name = name.filter(|name| !name.is_empty());
    name.map(Allow::new).ok_or_else(|| Error::new(401, "no name"))
}

async fn enter(
    connection: Connection,
    Principal(name): Principal,
    State(people): State<People>,
) -> Result {
    tell(&connection, &people, &News::Joined(name.clone())).await?;
    Ok(people.doc(connection.id()).set(&Person { name }).await?)
}

async fn leave(
    connection: Connection,
    Principal(name): Principal,
    State(people): State<People>,
) -> Result {
    people.doc(connection.id()).delete().await?;
    tell(&connection, &people, &News::Left(name)).await
}

async fn say(
    connection: Connection,
    Principal(from): Principal,
    Json(Say { text }): Json<Say>,
    State(people): State<People>,
) -> Result<Reply> {
    tell(&connection, &people, &News::Said { from, text }).await?;
    Ok(Reply::default())
}

/// Tells everybody, and forgets those who have left unseen.
async fn tell(connection: &Connection, people: &People, news: &News) -> Result {
    let ids = people.query().ids().await?;
    let told = connection.to_many(ids).send_json(news).await?;
    for id in told.gone {
        people.doc(id).delete().await?;
    }
    Ok(())
}
