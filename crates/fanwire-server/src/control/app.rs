//! What is served, for programs: `GET /_fanwire/app`.

use arc_swap::ArcSwap;
use fanwire_app::App;
use fanwire_app::model::WebSocketApi;
use fanwire_websocket::Plane;
use serde_json::{Value, json};

/// What the planes do not know of the App: its names and its functions.
pub(crate) struct AppFacts(ArcSwap<Value>);

impl AppFacts {
    pub(crate) fn of(app: &App) -> Self {
        Self(ArcSwap::from_pointee(facts(app)))
    }

    /// All that is known, with addresses at the host that was asked.
    pub(crate) fn describe(&self, plane: &Plane, host: &str) -> Value {
        let mut described = Value::clone(&self.0.load());
        described["apis"] = plane.apis().iter().map(|(_, api)| api_at(api, host)).collect();
        described
    }
}

fn facts(app: &App) -> Value {
    let functions = app.functions.iter();
    let functions = functions.map(|(key, function)| json!({ "key": key, "name": function.name }));
    json!({
        "name": app.service,
        "stage": app.stage,
        "region": app.region,
        "file": app.file,
        "pid": std::process::id(),
        "functions": functions.collect::<Vec<_>>(),
    })
}

fn api_at(api: &WebSocketApi, host: &str) -> Value {
    let routes = api.routes.iter().map(|(key, route)| {
        json!({
            "key": key,
            "integration": route.integration,
            "response": route.route_response,
            "authorizer": route.authorizer,
        })
    });
    json!({
        "id": api.id,
        "name": api.name,
        "stage": api.stage,
        "url": format!("ws://{host}/{}", api.stage),
        "management": format!("http://{host}/{}", api.stage),
        "routes": routes.collect::<Vec<_>>(),
    })
}
