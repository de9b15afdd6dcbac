use std::sync::Mutex;

use tokio::sync::Barrier;

use super::*;
use crate::Error;

/// Keeps which of its hooks ran, and fails where it shall.
#[derive(Clone, Debug, Default)]
struct Witness {
    seen: Arc<Mutex<Vec<&'static str>>>,
    fails: bool,
}

impl Witness {
    fn note(&self, hook: &'static str) -> Result {
        self.seen.lock().unwrap().push(hook);
        if self.fails { Err(Error::new(403, "the plugin says no")) } else { Ok(()) }
    }

    fn seen(&self) -> Vec<&'static str> {
        std::mem::take(&mut self.seen.lock().unwrap())
    }
}

impl Plugin for Witness {
    async fn connect(&self, _: &Event) -> Result {
        self.note("connect")
    }

    async fn message(&self, _: &Event) -> Result {
        self.note("message")
    }

    async fn close(&self, _: &Event) -> Result {
        self.note("close")
    }

    async fn refused(&self, _: &Event) -> Result {
        self.note("refused")
    }
}

#[tokio::test]
async fn plugins_see_what_happens_with_or_without_a_handler() {
    let (witness, gateway) = (Witness::default(), Arc::new(Recording::default()));
    let app = || WebSocket::new().message(async || "hello").plugin(witness.clone());
    for kind in [EventKind::Connect, EventKind::Message, EventKind::Disconnect] {
        reply(app(), event(kind, &gateway)).await.unwrap();
    }
    assert_eq!(witness.seen(), ["connect", "message", "close"]);
    let endpoint = app().into_endpoint();
    assert!(endpoint.has_connect && endpoint.has_disconnect);
}

#[tokio::test]
async fn an_error_of_a_plugin_is_the_errors_of_all() {
    let (kind, gateway) = (Witness::default(), Arc::new(Recording::default()));
    let strict = Witness { fails: true, ..Witness::default() };
    let app = WebSocket::new().plugin(kind.clone()).plugin(strict.clone());
    let error = reply(app, event(EventKind::Connect, &gateway)).await.unwrap_err();
    assert_eq!((error.status(), error.to_string().as_str()), (403, "the plugin says no"));
    assert_eq!(kind.seen(), ["connect", "refused"]);
    assert_eq!(strict.seen(), ["connect", "refused"]);
}

#[tokio::test]
async fn plugins_hear_that_a_handler_has_refused_a_client() {
    let gateway = Arc::new(Recording::default());
    let refusing = async || Reply::status(401);
    let failing = async || -> Result { Err(Error::new(500, "broken")) };
    for app in [WebSocket::new().connect(refusing), WebSocket::new().connect(failing)] {
        let witness = Witness::default();
        let _ = reply(app.plugin(witness.clone()), event(EventKind::Connect, &gateway)).await;
        assert_eq!(witness.seen(), ["connect", "refused"]);
    }
}

#[tokio::test]
async fn a_message_without_a_route_is_no_plugins_business() {
    let (witness, gateway) = (Witness::default(), Arc::new(Recording::default()));
    let app = WebSocket::new().route("say", async || {}).plugin(witness.clone());
    reply(app, message("", &gateway)).await.unwrap();
    assert!(witness.seen().is_empty());
}

/// Waits for somebody else who waits.
#[derive(Debug)]
struct Meets(Arc<Barrier>);

impl Plugin for Meets {
    async fn message(&self, _: &Event) -> Result {
        self.0.wait().await;
        Ok(())
    }
}

#[tokio::test]
async fn plugins_and_handler_run_at_once() {
    let (barrier, gateway) = (Arc::new(Barrier::new(3)), Arc::new(Recording::default()));
    let app = WebSocket::with_state(Arc::clone(&barrier))
        .message(async |State(barrier): State<Arc<Barrier>>| {
            barrier.wait().await;
        })
        .plugin(Meets(Arc::clone(&barrier)))
        .plugin(Meets(barrier));
    reply(app, message("", &gateway)).await.unwrap();
}
