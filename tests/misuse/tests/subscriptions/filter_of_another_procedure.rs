//! Publishing what one procedure sends to a filter of another.

use fanwire::subscriptions::{Filter, PublishError, Publisher, Router};
use serde::{Deserialize, Serialize};
use ts_rs::TS;

struct AppContext {
    user_id: String,
}

#[derive(Deserialize, Serialize, TS)]
struct Watch {
    name: String,
}

fanwire::subscription! {
    struct MySubscription("mySubscription"): (AppContext, Watch) -> String;
    filter UserIdAndName("userIdAndName") { ctx.user_id: String, input.name: String }
}

fanwire::subscription! {
    struct Counted("counted"): (AppContext, Watch) -> u32;
    filter CountedName("name") { input.name: String }
}

async fn publish(publisher: &Publisher) -> Result<(), PublishError> {
    let other = CountedName { name: "name1".into() };
    publisher.publish_to(&other, &"hi".to_owned()).await?;
    Ok(())
}

fn main() {
    let _ = (publish, Router::<AppContext>::new(), CountedName::INFO);
}
