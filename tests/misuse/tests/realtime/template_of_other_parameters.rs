//! A template has the fields of its topic for parameters, each as a whole level.

fanwire::topic! {
    struct Unknown { room: String } = "seats/{hall}": bool
}

fanwire::topic! {
    struct Missing { room: String, number: u32 } = "seats/{room}": bool
}

fanwire::topic! {
    struct Part { room: String } = "seats/room-{room}": bool
}

fanwire::topic! {
    struct Wildcard { room: String } = "seats/{room}/#": bool
}

fn main() {}
