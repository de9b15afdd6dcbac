//! A topic has the parameters of its declaration.

fanwire::topic! {
    struct Seat { room: String, number: u32 } = "seats/{room}/{number}": bool
}

fn main() {
    let _ = Seat { hall: "hall".into(), number: 1 };
    let _ = Seat::filter("hall");
}
