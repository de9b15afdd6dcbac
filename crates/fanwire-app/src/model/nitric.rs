//! A Nitric project: services, which say only when they run which sockets they have.

use indexmap::IndexMap;
use serde::Serialize;

use super::{App, Integration, Limits, LogSettings, Route, Service, WebSocketApi};
use crate::aws_id::derived_api_id;
use crate::selection::RouteSelection;

/// What a Nitric project has beside what any App may have.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Nitric {
    /// The services by their names: the paths of their files, without their extensions.
    pub services: IndexMap<String, Service>,
    /// The ports that sockets are to have, by their names; others get the next that is
    /// free.
    pub ports: IndexMap<String, u16>,
}

impl Nitric {
    /// The function that the routes of sockets lead to: one of the server's process, which
    /// asks the services.
    pub const FUNCTION: &str = "nitric";
}

impl App {
    /// The WebSocket API that a socket of a Nitric project is. Its stage is the socket's
    /// name, and so is the first segment of its path on the server's port. As with Nitric's
    /// own command, binary messages are taken, and those of one connection are handled one
    /// after the other (reference: nitric.md, section 4).
    pub fn nitric_socket(&self, name: &str) -> WebSocketApi {
        let route = || Route {
            integration: Integration::Function { function: Nitric::FUNCTION.to_owned() },
            route_response: false,
            authorizer: None,
        };
        let keys = ["$connect", "$disconnect", "$default"];
        WebSocketApi {
            connect: crate::model::ConnectRules::default(),
            id: derived_api_id(&self.service, &self.stage, name),
            name: name.to_owned(),
            stage: name.to_owned(),
            base_path: None,
            route_selection: RouteSelection::default(),
            routes: keys.into_iter().map(|key| (key.to_owned(), route())).collect(),
            authorizers: IndexMap::new(),
            stage_variables: IndexMap::new(),
            topics: Vec::new(),
            logs: LogSettings::default(),
            limits: Limits { ordered: true, binary: true, ..Limits::of(self.profile) },
        }
    }
}
