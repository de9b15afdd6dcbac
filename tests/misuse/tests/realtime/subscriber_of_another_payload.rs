//! A subscriber of a typed filter takes what its messages carry.

use fanwire::realtime::{Any, Message, Realtime};

fanwire::topic! {
    struct Seat { room: String, number: u32 } = "seats/{room}/{number}": bool
}

async fn count(_: Message<String, Seat>) {}

fn main() {
    let _ = Realtime::new("seats").subscriber(Seat::filter(Any, Any), count);
}
