//! What the plane promises to clients and handlers that are slow, late or gone.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "what fails in a test is to end it")]

mod support;

use std::time::Duration;

use fanwire_app::model::Limits;
use tokio::time::timeout;

use self::support::{PATIENCE, Setting, World, until};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reload_that_takes_room_from_a_client_that_is_sending_does_not_stop_the_shard() {
    let ordered: fn(&mut Limits) = |limits| limits.ordered = true;
    let fewer: fn(&mut Limits) = |limits| limits.max_in_flight = 1;
    for change in [ordered, fewer] {
        let world = World::new(&Setting { answers: 0, ..Setting::default() });
        let mut client = world.connect().await;
        client.send(&["one", "two"]);
        until("two are in the handler", || world.app.messages() == 2);
        world.change(change);
        let before = world.plane.hub_stats().bytes_in;
        let more = client.send(&["three"]);
        world.has_read(before, more);
        // The shard has no time for anything else where it is caught in a circle.
        let asked = timeout(PATIENCE, world.plane.inspect(0, &client.id)).await;
        asked.expect("the shard hangs").unwrap();
        assert_eq!(world.app.messages(), 2);
        world.app.answer(3);
        (0..3).for_each(|_| assert_eq!(client.next(), "xx"));
        world.plane.stop(Duration::ZERO).await;
    }
}
