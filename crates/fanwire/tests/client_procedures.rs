//! The tRPC client, against procedures of our own.

#![cfg(all(feature = "client", feature = "server"))]
#![allow(clippy::unwrap_used, reason = "tests")]

mod line;

use std::time::Duration;

use fanwire::client::{CallError, ErrorCode, Trpc};
use fanwire::subscriptions::{Router, Subscriptions, Tracked, TrpcError, tracked};
use fanwire::{App, Server, ServerOptions};
use tokio::time::timeout;

use self::line::Line;

const PATIENCE: Duration = Duration::from_secs(30);

fanwire::subscription! {
    struct News("news"): ((), ()) -> Tracked<String>;
}

fn procedures() -> Subscriptions<()> {
    Router::new()
        .subscription(News)
        .mutation("refuse", |_, ()| async move {
            Err::<(), _>(TrpcError::new(ErrorCode::Conflict, "not now"))
        })
        .context(|opening| async move {
            match opening.query("token") {
                Some("right") => Ok(()),
                _ => Err(TrpcError::new(ErrorCode::Unauthorized, "who are you?")),
            }
        })
}

async fn serve() -> Server {
    let options = ServerOptions::default().with_address(([127, 0, 0, 1], 0));
    Server::start(App::new("news").subscriptions(procedures()), options).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn tracked_events_are_neither_lost_nor_told_twice_when_the_connection_is() {
    let server = serve().await;
    let line = Line::to(server.address()).await;
    let url = format!("ws://{}/trpc?token=right", line.address);
    let client = Trpc::connect(url).unwrap();
    let mut news = client.subscribe::<String>("news", &()).await.unwrap();
    let publisher = server.home().publisher().unwrap();
    // Who has had none has no place to come back to.
    publisher.publish(News, &tracked("0", "news 0".to_owned())).await.unwrap();
    assert_eq!(timeout(PATIENCE, news.next()).await.unwrap().unwrap().unwrap().data, "news 0");
    let mut published = 0_u32;
    for _ in 0..3 {
        // One that may be on its way when the line is cut, and one that nobody can be told of.
        for cut in [false, true] {
            if cut {
                line.cut();
            }
            published += 1;
            let event = tracked(published.to_string(), format!("news {published}"));
            publisher.publish(News, &event).await.unwrap();
        }
        line.mend();
        for number in published - 1..=published {
            let event = timeout(PATIENCE, news.next()).await.unwrap().unwrap().unwrap();
            assert_eq!(event.id, Some(number.to_string()));
            assert_eq!(event.data, format!("news {number}"));
        }
    }
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn errors_of_procedures_have_their_codes() {
    let server = serve().await;
    let client = Trpc::connect(format!("ws://{}/trpc?token=right", server.address())).unwrap();
    let error = client.mutate::<()>("refuse", &()).await.unwrap_err();
    assert_eq!(error.code(), Some(ErrorCode::Conflict), "{error}");
    let error = client.subscribe::<()>("olds", &()).await.unwrap_err();
    assert_eq!(error.code(), Some(ErrorCode::NotFound), "{error}");
    client.clone().close().await;
    assert!(matches!(client.connected().await, Err(CallError::Closed)));
    server.stop().await;
}
