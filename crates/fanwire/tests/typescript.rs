//! The types that clients in TypeScript get.

#![allow(clippy::unwrap_used)]

use std::collections::HashMap;

use fanwire::subscriptions::{Router, Subscriptions, Tracked, Transformer};
use futures_util::stream;
use serde::{Deserialize, Serialize};
use ts_rs::TS;

#[derive(Deserialize, Serialize, TS)]
#[serde(rename_all = "camelCase")]
struct Watch {
    room_name: String,
    since: Option<u64>,
}

#[derive(Deserialize, Serialize, TS)]
#[serde(tag = "kind", rename_all = "camelCase")]
enum News {
    Joined { who: Member },
    Counted { rooms: HashMap<String, u32> },
}

#[derive(Deserialize, Serialize, TS)]
struct Member {
    id: u64,
    name: String,
}

fanwire::subscription! {
    struct RoomNews("rooms.news"): ((), Watch) -> News;
    filter Room("room") { input.room_name: String }
}

fanwire::subscription! {
    struct Ticks("ticks"): ((), ()) -> Tracked<u32>;
}

fn app() -> Subscriptions<()> {
    let rooms = Router::new().subscription(RoomNews).mutation("join", |_ctx, watch: Watch| async {
        let name = watch.room_name;
        Ok(Member { id: 1, name })
    });
    Router::new()
        .query("greeting", |_ctx, name: String| async move { Ok(format!("hello {name}")) })
        .query("members", |_ctx, (): ()| async { Ok(Vec::<Member>::new()) })
        .subscription(Ticks)
        .stream("countdown", |_ctx, from: u32| stream::iter((0..from).rev().map(Ok)))
        .merge("rooms", rooms)
        .context(|_| async { Ok(()) })
}

/// What `tsc` is given by the Node tests, too: they run this with `FANWIRE_TYPES` set.
#[test]
fn a_router_is_a_module_of_types() {
    let module = app().typescript();
    let expected = include_str!("typescript/app_router.ts");
    if let Some(file) = std::env::var_os("FANWIRE_TYPES") {
        std::fs::write(file, &module).unwrap();
    }
    assert_eq!(module, expected);
}

#[test]
fn a_transformer_is_named() {
    let module = app().with_transformer(Transformer::SuperJson).typescript();
    assert!(module.contains("import superjson from \"superjson\";\n"));
    assert!(module.contains("initTRPC.create({ transformer: superjson })"));
}
