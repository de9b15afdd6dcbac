//! What programs are told once a server is ready: one line of JSON, with where everything is.

use std::net::SocketAddr;

use fanwire_app::App;
use fanwire_server::{ServedSocket, Server};
use serde_json::{Value, json};

use crate::{banner, services};

/// Waits until the services of a Nitric project have said which websockets they have.
pub(crate) async fn sockets(server: &Server) -> Vec<ServedSocket> {
    server.nitric_settled().await;
    let sockets = server.nitric_sockets();
    sockets.map(|sockets| sockets.borrow().values().cloned().collect()).unwrap_or_default()
}

/// The App as it is served at `address`.
pub(crate) fn described(
    app: &App,
    server: &Server,
    address: SocketAddr,
    sockets: &[ServedSocket],
) -> Value {
    let host = address.to_string();
    let of_services = sockets.iter().map(|socket| app.nitric_socket(&socket.name));
    let apis = app.websocket_apis.iter().cloned().chain(of_services).map(|api| {
        json!({
            "id": api.id,
            "name": api.name,
            "stage": api.stage,
            "url": banner::websocket_url(&host, &api),
            "management": banner::management_url(&host, &api),
        })
    });
    let functions =
        app.functions.iter().map(|(key, function)| json!({ "key": key, "name": function.name }));
    json!({
        "type": "ready",
        "port": address.port(),
        "apis": apis.collect::<Vec<_>>(),
        "realtime": app.realtime.as_ref().map(|realtime| json!({
            "name": realtime.name,
            "url": banner::realtime_url(&host, realtime),
            "mqtt": format!("mqtt://{host}"),
        })),
        "functions": functions.collect::<Vec<_>>(),
        "sites": app.sites.keys().collect::<Vec<_>>(),
        "nitric": server.nitric_address().map(|address| json!({
            "address": address,
            "sockets": sockets.iter().map(services::described).collect::<Vec<_>>(),
            "services": app.nitric.iter().flat_map(|nitric| nitric.services.keys()).collect::<Vec<_>>(),
        })),
        "notServed": app.not_served,
    })
}
