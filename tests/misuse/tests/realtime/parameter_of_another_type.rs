//! A parameter has its type, in topics and in filters.

use fanwire::realtime::Any;

fanwire::topic! {
    struct Seat { room: String, number: u32 } = "seats/{room}/{number}": bool
}

fn main() {
    let _ = Seat { room: "hall".into(), number: "one" };
    let _ = Seat::filter(Any, "one");
}
