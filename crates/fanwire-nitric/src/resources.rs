//! What services declare: every resource is welcome, and those that are served are made.

use tonic::Status;

use crate::nitric::{GatewayError, Shared};
use crate::proto::{Empty, v0, v1};

/// The longest name of a resource, in bytes.
const MAX_NAME_BYTES: usize = 256;

/// In words for people: what becomes of a resource that is not served.
pub(crate) fn unserved(what: &str) -> String {
    format!("a service has {what} handlers, which Fanwire does not serve: they are not called")
}

/// `Declare` of the SDKs 0.14 to 0.16.
pub(crate) async fn declare_v0(
    shared: &Shared,
    request: v0::ResourceRequest,
) -> Result<Empty, Status> {
    let Some(v0::Resource { kind, name }) = request.resource else {
        return Err(Status::invalid_argument("a declaration without a resource"));
    };
    declare(shared, (kind == v0::WEBSOCKET, v0::not_served(kind)), &name).await
}

/// `Declare` of the SDKs since 1.0.
pub(crate) async fn declare_v1(
    shared: &Shared,
    request: v1::DeclareRequest,
) -> Result<Empty, Status> {
    let Some(v1::ResourceIdentifier { kind, name }) = request.id else {
        return Err(Status::invalid_argument("a declaration without a resource"));
    };
    declare(shared, (kind == v1::WEBSOCKET, v1::not_served(kind)), &name).await
}

async fn declare(
    shared: &Shared,
    (is_socket, not_served): (bool, Option<&'static str>),
    name: &str,
) -> Result<Empty, Status> {
    if is_socket {
        open_socket(shared, name).await?;
    }
    if let Some(what) = not_served {
        shared.trouble(&format!(
            "{what} `{name}` is declared, and Fanwire does not serve it: calls of it fail"
        ));
    }
    shared.announced();
    Ok(Empty {})
}

/// Opens a socket to clients, if it is not.
pub(crate) async fn open_socket(shared: &Shared, name: &str) -> Result<(), Status> {
    check_name("websocket", name)?;
    shared.gateway.open(name).await.map_err(|error| {
        shared.trouble(&format!("websocket `{name}` cannot be opened: {error}"));
        Status::unavailable(error.to_string())
    })
}

/// Whether a name can be that of a resource.
pub(crate) fn check_name(what: &str, name: &str) -> Result<(), Status> {
    let fits = !name.is_empty()
        && name.len() <= MAX_NAME_BYTES
        && !name.contains(|c: char| c.is_control() || c == '/');
    let expected = format!(
        "`{name}` is no name of a {what}: expected 1 to {MAX_NAME_BYTES} bytes without `/`"
    );
    if fits { Ok(()) } else { Err(Status::invalid_argument(expected)) }
}

/// `Details` of the SDKs 0.14 to 0.16: where a socket is.
pub(crate) fn details_v0(
    shared: &Shared,
    request: v0::ResourceRequest,
) -> Result<v0::ResourceDetails, Status> {
    let Some(v0::Resource { kind: v0::WEBSOCKET, name }) = request.resource else {
        return Err(Status::unimplemented("Fanwire tells of websockets alone"));
    };
    let url = url(shared, &name)?;
    Ok(v0::ResourceDetails {
        id: name,
        provider: "fanwire".to_owned(),
        service: "WebSocket".to_owned(),
        details: Some(v0::Details::Websocket(v0::WebsocketDetails { url })),
    })
}

/// `SocketDetails` of the SDKs since 1.0.
pub(crate) fn details_v1(
    shared: &Shared,
    request: &v1::SocketDetailsRequest,
) -> Result<v1::SocketDetails, Status> {
    Ok(v1::SocketDetails { url: url(shared, &request.socket_name)? })
}

fn url(shared: &Shared, socket: &str) -> Result<String, Status> {
    let no_socket = || GatewayError::NoSocket(socket.to_owned()).to_string();
    shared.gateway.url(socket).ok_or_else(|| Status::not_found(no_socket()))
}
