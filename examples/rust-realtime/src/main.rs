//! SST's realtime chat, in Rust: rooms are topics, and a subscriber listens in.

use fanwire::realtime::{Any, Grant, Message, Realtime};
use fanwire::{Home, Result, run};
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize)]
struct Said {
    text: String,
}

fanwire::topic! {
    /// What is said in a room.
    struct Room { name: String } = "chat/{name}/said": Said
}

fn main() -> Result {
    run(Realtime::new("chat").authorizer(authorize).subscriber(Room::filter(Any), answer))
}

/// Whoever knows the word may be in every room.
async fn authorize(token: String) -> Result<Grant> {
    match token.as_str() {
        "open sesame" => {
            Ok(Grant::new().principal("ali").subscribe(["chat/*"]).publish(["chat/*"]))
        }
        _ => Ok(Grant::refuse()),
    }
}

/// Answers who greets the room.
async fn answer(message: Message<Said, Room>, home: Home) -> Result {
    if message.payload.text == "hello" {
        home.publish(&message.topic, &Said { text: "welcome".to_owned() }).await?;
    }
    Ok(())
}
