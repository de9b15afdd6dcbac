//! One WebSocket API, ready to serve: its model and what is derived from it once.

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::Duration;

use fanwire_app::model::{Route, WebSocketApi};

use crate::access_log::Format;
use crate::event::ApiContext;

/// The routes that messages cannot select, and the one that takes the rest.
pub(crate) const CONNECT: &str = "$connect";
pub(crate) const DISCONNECT: &str = "$disconnect";
pub(crate) const DEFAULT: &str = "$default";

/// An API of the plane.
#[derive(Debug)]
pub(crate) struct Api {
    pub(crate) model: WebSocketApi,
    pub(crate) access_log: Option<Format>,
    /// What authorizers decide on: the ARN of this API's `$connect`.
    pub(crate) connect_arn: String,
    /// How many connections it has, those in their handshake included.
    pub(crate) connections: Arc<AtomicUsize>,
}

// === impl Api ===

impl Api {
    /// `connections` is the count of an API that this one takes the place of.
    pub(crate) fn new(
        model: WebSocketApi,
        region: &str,
        account_id: &str,
        connections: Arc<AtomicUsize>,
    ) -> Self {
        let connect_arn = format!(
            "arn:aws:execute-api:{region}:{account_id}:{}/{}/{CONNECT}",
            model.id, model.stage
        );
        let access_log = model.logs.access.as_ref().map(|log| Format::parse(&log.format));
        Self { model, access_log, connect_arn, connections }
    }

    pub(crate) fn context(&self) -> ApiContext<'_> {
        ApiContext {
            api_id: &self.model.id,
            stage: &self.model.stage,
            stage_variables: &self.model.stage_variables,
        }
    }

    /// The route that takes a message with this key, and the route's own key.
    /// `$connect` and `$disconnect` are not for messages to select.
    pub(crate) fn message_route(&self, key: Option<&str>) -> Option<(&str, &Route)> {
        let selectable = |key: &&str| *key != CONNECT && *key != DISCONNECT;
        key.filter(selectable).and_then(|key| self.route(key)).or_else(|| self.route(DEFAULT))
    }

    pub(crate) fn route(&self, key: &str) -> Option<(&str, &Route)> {
        self.model.routes.get_key_value(key).map(|(key, route)| (key.as_str(), route))
    }

    pub(crate) fn timeout(&self) -> Duration {
        self.model.limits.integration_timeout
    }
}
