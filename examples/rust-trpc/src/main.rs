//! tRPC subscriptions with filters, in Rust: whoever watches a name is sent what is published
//! for it.

use std::sync::Arc;

use fanwire::subscriptions::{ErrorCode, Opening, Publisher, Router, TrpcError};
use fanwire::{App, Result, run, store};
use serde::{Deserialize, Serialize};
use ts_rs::TS;

struct AppContext {
    user_id: String,
    publisher: Option<Publisher>,
}

#[derive(Deserialize, Serialize, TS)]
struct Watch {
    name: String,
}

#[derive(Deserialize, Serialize, TS)]
struct Greeting {
    name: String,
    text: String,
}

fanwire::subscription! {
    struct MySubscription("mySubscription"): (AppContext, Watch) -> String;
    filter Named("named") { input.name: String }
    filter UserIdAndName("userIdAndName") { ctx.user_id: String, input.name: String }
}

fn main() -> Result {
    let procedures = Router::new()
        .subscription(MySubscription)
        .query("whoAmI", async |ctx: Arc<AppContext>, ()| Ok(ctx.user_id.clone()))
        .mutation("greet", greet)
        .context(context);
    if std::env::args().nth(1).as_deref() == Some("types") {
        std::io::Write::write_all(&mut std::io::stdout(), procedures.typescript().as_bytes())?;
        return Ok(());
    }
    run(App::new("trpc").subscriptions(procedures.stored(store::from_env()?)))
}

/// Clients say who they are: `connectionParams: { userId: 'user1' }`, or `?userId=user1`.
async fn context(opening: Opening) -> Result<AppContext, TrpcError> {
    let user_id = opening.param("userId").or(opening.query("userId")).map(str::to_owned);
    let unknown = || TrpcError::new(ErrorCode::Unauthorized, "say who you are");
    let publisher = opening.home.publisher().cloned();
    Ok(AppContext { user_id: user_id.ok_or_else(unknown)?, publisher })
}

/// Greets everybody who watches the name. Says how many that are.
async fn greet(
    ctx: Arc<AppContext>,
    Greeting { name, text }: Greeting,
) -> Result<usize, TrpcError> {
    let Some(publisher) = &ctx.publisher else { return Ok(0) };
    let text = format!("{}: {text}", ctx.user_id);
    Ok(publisher.publish_to(&Named { name }, &text).await?.delivered)
}
