//! Much that is published at once: everybody gets what is theirs, once, in its order.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use std::sync::Arc;

use fanwire_subscriptions::{
    Answer, Call, CallError, Context, Interest, Opening, Payload, Procedures, Publication,
    Settings, Tracking,
};
use futures_util::future::{BoxFuture, FutureExt as _, join_all, ready};
use serde_json::{Value, json};
use support::{Client, Server};

/// More than are joined at once.
const BURST: u64 = 150;

/// `room` and `news`, whose input is the name of a room.
struct Rooms;

impl Procedures for Rooms {
    fn context(&self, _: Opening) -> BoxFuture<'static, Result<Context, CallError>> {
        ready(Ok(Arc::new(()) as Context)).boxed()
    }

    fn call(&self, _: Context, call: Call) -> BoxFuture<'static, Result<Answer, CallError>> {
        let room = call.input.as_ref().map_or("", |input| input.get());
        let keys = vec![(0, room.as_bytes().to_vec())];
        let interest = Interest { path: call.path, keys, after: call.last_event_id };
        ready(Ok(Answer::Subscribed(interest))).boxed()
    }
}

fn publication(path: &str, room: Option<&str>, data: u64, tracking: Tracking) -> Publication {
    let filter = room.map(|room| (0, json!(room).to_string().into_bytes()));
    Publication { path: path.into(), filter, data: Payload::new(&data).unwrap(), tracking }
}

/// Publishes all at once; says to how many subscribers each went.
fn publish_all(server: &Server, all: impl Iterator<Item = Publication>) -> Vec<usize> {
    let sent: Vec<_> = all.map(|publication| server.plane.publish(publication)).collect();
    let published = server.runtime.block_on(join_all(sent));
    published.into_iter().map(|published| published.unwrap().delivered).collect()
}

fn next(client: &mut Client, id: u64, count: u64) -> Vec<Value> {
    (0..count).map(|_| client.next_data(id)).collect()
}

#[test]
fn what_is_published_at_once_keeps_its_order_for_everybody_whom_it_is_for() {
    let server = Server::start(Rooms, Settings::default());
    let mut clients: Vec<_> = (1..=3).map(|id| (id, server.connect())).collect();
    for (id, client) in &mut clients {
        client.subscribed(*id, "room", &json!("hall"));
    }
    let mut other = server.connect();
    other.subscribed(1, "room", &json!("attic"));
    let counts = publish_all(
        &server,
        (0..BURST).map(|nth| {
            let room = if nth % 50 == 49 { None } else { Some("hall") };
            publication("room", room, nth, Tracking::Untracked)
        }),
    );
    let expected: Vec<usize> = (0..BURST).map(|nth| if nth % 50 == 49 { 4 } else { 3 }).collect();
    assert_eq!(counts, expected);
    for (id, client) in &mut clients {
        let all: Vec<Value> = (0..BURST).map(|nth| json!(nth)).collect();
        assert_eq!(next(client, *id, BURST), all);
        assert_eq!(client.fence(), Vec::<String>::new());
    }
    assert_eq!(next(&mut other, 1, 3), [json!(49), json!(99), json!(149)]);
    assert_eq!(other.fence(), Vec::<String>::new());
    drop((clients, other));
    server.stop();
}

#[test]
fn several_subscriptions_of_one_client_each_get_all_in_order() {
    let server = Server::start(Rooms, Settings::default());
    let mut client = server.connect();
    for id in [1, 2] {
        client.subscribed(id, "room", &json!("hall"));
    }
    let burst = (0..BURST).map(|nth| publication("room", Some("hall"), nth, Tracking::Untracked));
    assert_eq!(publish_all(&server, burst), vec![2; BURST as usize]);
    let mut got = [Vec::new(), Vec::new()];
    for _ in 0..2 * BURST {
        let message = client.next_json();
        let of = message["id"].as_u64().unwrap() as usize - 1;
        got[of].push(message["result"]["data"].as_u64().unwrap());
    }
    let all: Vec<u64> = (0..BURST).collect();
    assert_eq!(got, [all.clone(), all]);
    drop(client);
    server.stop();
}

#[test]
fn who_comes_back_amid_bursts_misses_nothing_and_gets_nothing_twice() {
    const ROUNDS: u64 = 6;
    let server = Server::start(Rooms, Settings::default());
    // One that stays: there is someone to deliver to all the time.
    let mut witness = server.connect();
    witness.subscribed(1, "news", &json!("hall"));
    let first = server.publish(publication("news", Some("hall"), 0, Tracking::Numbered));
    let (mut last, mut got) = (first.event_id.unwrap(), vec![0]);
    let all: Vec<u64> = (0..=ROUNDS * BURST).collect();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for round in 0..ROUNDS {
                let numbers = round * BURST + 1..=(round + 1) * BURST;
                let publication = |nth| publication("news", Some("hall"), nth, Tracking::Numbered);
                publish_all(&server, numbers.map(publication));
            }
        });
        while got.len() < all.len() {
            let mut client = server.connect();
            client.subscribe(1, "news", &json!("hall"), Some(&last));
            assert_eq!(client.next_json()["result"]["type"], "started");
            for _ in 0..(all.len() - got.len()).min(40) {
                let event = client.next_json();
                event["result"]["id"].as_str().unwrap().clone_into(&mut last);
                got.push(event["result"]["data"]["data"].as_u64().unwrap());
            }
        }
    });
    assert_eq!(got, all);
    for nth in all {
        assert_eq!(witness.next_data(1)["data"], json!(nth));
    }
    drop(witness);
    server.stop();
}
