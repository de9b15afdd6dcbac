//! The way of an event: its route, then plugins and handler at once.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use futures_util::future::{join, join_all};
use serde_json::Value;

use super::endpoint::Call;
use super::pending::PendingGateway;
use super::plugin::{AnyPlugin, Hook};
use super::{Connection, Event, EventKind, Gateway, Reply};
use crate::Result;

/// How a message says for which route it is.
pub(super) type Select = Arc<dyn Fn(&Value) -> Option<String> + Send + Sync>;

/// Handlers by what they are for.
#[derive(Clone, Default)]
pub(super) struct Routes {
    pub(super) connect: Option<Call<Reply>>,
    pub(super) disconnect: Option<Call<Reply>>,
    pub(super) default: Option<Call<Reply>>,
    pub(super) custom: HashMap<String, Call<Reply>>,
}

/// What an app does with events: all but its layers.
pub(super) struct Service {
    pub(super) routes: Routes,
    pub(super) plugins: Vec<Arc<dyn AnyPlugin>>,
}

// === impl Routes ===

impl Routes {
    /// The key of the route that an event is for, if not the event's own. A gateway that
    /// declares `$default` alone leaves the choice to the app.
    pub(super) fn choose(&self, select: &Select, event: &Event) -> Option<String> {
        if event.kind != EventKind::Message || event.route_key != "$default" {
            return None;
        }
        if self.custom.is_empty() {
            return None;
        }
        let message = serde_json::from_slice(event.body.as_bytes()).ok()?;
        select(&message).filter(|key| self.custom.contains_key(key))
    }

    fn of(&self, event: &Event) -> Option<&Call<Reply>> {
        match event.kind {
            EventKind::Connect => self.connect.as_ref(),
            EventKind::Disconnect => self.disconnect.as_ref(),
            EventKind::Message => self.custom.get(&event.route_key).or(self.default.as_ref()),
        }
    }
}

/// API Gateway's own choice, `$request.body.action`: text, a number or a boolean.
pub(super) fn by_action(message: &Value) -> Option<String> {
    match message.get("action")? {
        Value::String(action) => Some(action.clone()),
        action @ (Value::Number(_) | Value::Bool(_)) => Some(action.to_string()),
        _ => None,
    }
}

// === impl Service ===

impl fmt::Debug for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Service").finish_non_exhaustive()
    }
}

impl Service {
    /// Gives an event to its handler and to all plugins at once.
    pub(super) async fn call(&self, mut event: Event) -> Result<Reply> {
        let route = self.routes.of(&event);
        if route.is_none() && event.kind == EventKind::Message {
            return forbidden(&event).await;
        }
        let pending = pending(&mut event);
        self.lead(&mut event);
        let hook = match event.kind {
            EventKind::Connect => Hook::Connect,
            EventKind::Message => Hook::Message,
            EventKind::Disconnect => Hook::Close,
        };
        let handler = async {
            match route {
                Some(route) => route(event.clone()).await,
                None => Ok(Reply::default()),
            }
        };
        let plugins = join_all(self.plugins.iter().map(|plugin| plugin.run(hook, &event)));
        let (reply, plugins) = join(handler, plugins).await;
        // The handler's error comes first, as it does in lawcket.
        let done = reply.and_then(|reply| plugins.into_iter().collect::<Result>().map(|()| reply));
        if event.kind == EventKind::Connect && !done.as_ref().is_ok_and(Reply::is_success) {
            self.refused(&event).await;
        }
        done.map(|reply| match pending {
            Some(pending) => pending.complete(reply),
            None => reply,
        })
    }

    /// Puts the gateways of plugins in the place of the event's own.
    fn lead(&self, event: &mut Event) {
        for plugin in &self.plugins {
            if let Some(gateway) = plugin.gateway(event) {
                event.home = event.home.with_gateway(gateway);
            }
        }
    }

    /// Lets plugins undo what they have done for a client that was refused. Their errors
    /// change nothing: it is refused already.
    async fn refused(&self, event: &Event) {
        let hooks = self.plugins.iter().map(|plugin| plugin.run(Hook::Refused, event));
        let _ = join_all(hooks).await;
    }
}

/// Has a connection that is not there yet begin with what its handshake's handler gives it.
fn pending(event: &mut Event) -> Option<Arc<PendingGateway>> {
    if event.kind != EventKind::Connect {
        return None;
    }
    let inner = Arc::clone(event.home.gateway());
    let pending = Arc::new(PendingGateway::new(inner, event.connection.id.clone()));
    event.home = event.home.with_gateway(Arc::clone(&pending) as Arc<dyn Gateway>);
    Some(pending)
}

/// Says that a message has no route, as API Gateway does, and with its spacing
/// (reference: api-gateway.md, section 4).
async fn forbidden(event: &Event) -> Result<Reply> {
    let frame = format!(
        r#"{{"message": "Forbidden", "connectionId":"{}", "requestId":"{}"}}"#,
        event.connection.id, event.request_id
    );
    // Sent, not answered: an answer would only go out where the route has a response.
    match Connection::of(event).send(frame).await {
        Ok(()) => Ok(Reply::status(403)),
        Err(error) if error.is_gone() => Ok(Reply::status(403)),
        Err(error) => Err(error.into()),
    }
}
