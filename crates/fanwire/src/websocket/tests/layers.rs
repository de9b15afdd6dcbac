use tower::util::{MapErrLayer, MapRequestLayer};

use super::*;
use crate::Error;

#[tokio::test]
async fn a_layer_changes_events_on_their_way_and_the_last_one_first() {
    let add = |letter: &'static str| {
        MapRequestLayer::new(move |mut event: Event| {
            let text = String::from_utf8(event.body.as_bytes().to_vec()).unwrap();
            event.body = Body::Text(text + letter);
            event
        })
    };
    let echo = async |Text(text): Text| text;
    let app = WebSocket::new().message(echo).layer(add("1")).layer(add("2"));
    assert_eq!(said(app, message("", &Arc::default())).await, "21");
}

#[tokio::test]
async fn a_layer_sees_the_route_that_was_chosen() {
    let seen = Arc::new(std::sync::Mutex::new(String::new()));
    let noting = Arc::clone(&seen);
    let note = MapRequestLayer::new(move |event: Event| {
        noting.lock().unwrap().clone_from(&event.route_key);
        event
    });
    let app = WebSocket::new().route("say", async || "").layer(note);
    reply(app, message(r#"{"action":"say"}"#, &Arc::default())).await.unwrap();
    assert_eq!(*seen.lock().unwrap(), "say");
}

#[tokio::test]
async fn an_error_keeps_its_status_through_a_layer_that_boxes_it() {
    type Boxed = Box<dyn std::error::Error + Send + Sync>;
    let boxing = MapErrLayer::new(|error: Error| -> Boxed { error.into() });
    let app = WebSocket::new()
        .message(async || -> Result { Err(Error::new(418, "teapot")) })
        .layer(boxing);
    let error = reply(app, message("", &Arc::default())).await.unwrap_err();
    assert_eq!((error.status(), error.to_string().as_str()), (418, "teapot"));
}

/// Answers in the place of the app, in a type of error of its own.
#[derive(Clone)]
struct Closed<T>(T);

impl<T: tower::Service<Event>> tower::Service<Event> for Closed<T> {
    type Response = Reply;
    type Error = std::fmt::Error;
    type Future = std::future::Ready<Result<Reply, std::fmt::Error>>;

    fn poll_ready(
        &mut self,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Result<(), Self::Error>> {
        std::task::Poll::Ready(Ok(()))
    }

    fn call(&mut self, event: Event) -> Self::Future {
        std::future::ready(match event.kind {
            EventKind::Connect => Ok(Reply::status(503)),
            _ => Err(std::fmt::Error),
        })
    }
}

#[tokio::test]
async fn a_layer_may_answer_in_the_place_of_the_app() {
    let app = || WebSocket::new().layer(tower::layer::layer_fn(Closed));
    let gateway = Arc::default();
    let refused = reply(app(), event(EventKind::Connect, &gateway)).await.unwrap();
    assert_eq!(refused.status, 503);
    let error = reply(app(), message("", &gateway)).await.unwrap_err();
    assert_eq!(error.status(), 500);
    assert!(error.downcast_ref::<std::fmt::Error>().is_some());
}
