//! An authorizer returns a grant.

use fanwire::realtime::Realtime;

async fn authorize(token: String) -> bool {
    token == "secret"
}

fn main() {
    let _ = Realtime::new("chat").authorizer(authorize);
}
