//! The app that is measured: one procedure, whose subscribers are in a room.

use std::io::BufRead as _;
use std::net::{Ipv4Addr, SocketAddr};

use fanwire::subscriptions::{Router, Subscriptions};
use fanwire::{App, Server, ServerOptions};
use futures_util::future::join_all;
use serde::{Deserialize, Serialize};
use ts_rs::TS;

use super::ROOM;
use crate::Result;
use crate::server::PUBLISH;

/// What a subscriber asks for.
#[derive(Deserialize, Serialize, TS)]
pub(super) struct Watch {
    room: String,
}

fanwire::subscription! {
    pub(super) struct Messages("messages"): ((), Watch) -> String;
    pub(super) filter ByRoom("byRoom") { input.room: String }
}

fn procedures() -> Subscriptions<()> {
    Router::new().subscription(Messages).context(|_| async { Ok(()) })
}

/// Those in the room.
pub(super) fn room() -> ByRoom {
    ByRoom { room: ROOM.to_owned() }
}

/// Serves it natively, and publishes as standard input says, until that ends:
/// `publish COUNT TEXT`.
pub(crate) fn serve(port: u16) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let app = App::new("bench").subscriptions(procedures());
    let options = ServerOptions::default().with_address(address);
    let server =
        runtime.block_on(Server::start(app, options)).map_err(|error| error.to_string())?;
    let publisher = server.home().publisher().ok_or("the server has no procedures")?.clone();
    let room = room();
    for line in std::io::stdin().lock().lines() {
        let line = line?;
        let mut words = line.splitn(3, ' ');
        let (Some(PUBLISH), Some(count), Some(text)) = (words.next(), words.next(), words.next())
        else {
            return Err(format!("unknown command: {line}").into());
        };
        let text = text.to_owned();
        let published = (0..count.parse()?).map(|_| publisher.publish_to(&room, &text));
        for published in runtime.block_on(join_all(published)) {
            published?;
        }
    }
    runtime.block_on(server.stop());
    Ok(())
}

/// Serves it as a function, whose subscribers are in the table that the environment names.
pub(crate) fn function() -> Result<()> {
    let procedures = procedures().stored(fanwire::store::from_env()?);
    let app = App::new("bench").subscriptions(procedures);
    fanwire::run(app).map_err(|error| error.to_string().into())
}
