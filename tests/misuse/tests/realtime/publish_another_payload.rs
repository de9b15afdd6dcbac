//! A topic's messages carry what its declaration says.

use fanwire::Home;

fanwire::topic! {
    struct Seat { room: String, number: u32 } = "seats/{room}/{number}": bool
}

async fn take(home: Home) {
    let seat = Seat { room: "hall".into(), number: 1 };
    let _ = home.publish(&seat, &"taken").await;
}

fn main() {}
