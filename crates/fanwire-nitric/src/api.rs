//! Which method answers a request. The two generations have different names for all that
//! they call, so that one port serves both.

use std::future::ready;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::{Stream, TryFutureExt as _};
use http::{Request, Response};
use hyper::body::Incoming;
use prost::Message;
use tonic::body::Body;
use tonic::server::Grpc;
use tonic::{Status, Streaming};
use tonic_prost::ProstCodec;
use tower::service_fn;

use crate::events::{self, Generation, V0, V1};
use crate::nitric::{GatewayError, Shared};
use crate::proto::{Empty, v0, v1};
use crate::{documents, resources, values};

/// Answers a request of a service.
pub(crate) async fn answer(shared: Arc<Shared>, request: Request<Incoming>) -> Response<Body> {
    let path = request.uri().path().to_owned();
    let Some((service, method)) = path.strip_prefix('/').and_then(|path| path.split_once('/'))
    else {
        return unimplemented(&path);
    };
    match service {
        "nitric.resource.v1.ResourceService" => resources_v0(shared, method, request).await,
        "nitric.faas.v1.FaasService" => events_of::<V0>(shared, method, request).await,
        "nitric.document.v1.DocumentService" => documents_v0(shared, method, request).await,
        "nitric.websocket.v1.WebsocketService" => sockets_v0(shared, method, request).await,
        "nitric.proto.resources.v1.Resources" => resources_v1(shared, method, request).await,
        "nitric.proto.websockets.v1.WebsocketHandler" => {
            events_of::<V1>(shared, method, request).await
        }
        "nitric.proto.websockets.v1.Websocket" => sockets_v1(shared, method, request).await,
        "nitric.proto.kvstore.v1.KvStore" | "nitric.proto.KeyValue.v1.KeyValue" => {
            values_v1(shared, method, request).await
        }
        _ => match standing(service, method) {
            Some(what) => {
                bidirectional(request, |incoming| events::stand_by(incoming, what, shared)).await
            }
            None => unimplemented(&path),
        },
    }
}

/// What a stream is for on which handlers wait for what is not served.
fn standing(service: &str, method: &str) -> Option<&'static str> {
    Some(match (service, method) {
        ("nitric.proto.apis.v1.Api", "Serve") => "API",
        ("nitric.proto.http.v1.Http", "Proxy") => "HTTP app",
        ("nitric.proto.schedules.v1.Schedules", "Schedule") => "schedule",
        ("nitric.proto.storage.v1.StorageListener", "Listen") => "bucket",
        ("nitric.proto.topics.v1.Subscriber", "Subscribe") => "topic",
        ("nitric.proto.batch.v1.Job", "HandleJob") => "job",
        _ => return None,
    })
}

async fn resources_v0(
    shared: Arc<Shared>,
    method: &str,
    request: Request<Incoming>,
) -> Response<Body> {
    let shared = &*shared;
    match method {
        "Declare" => unary(request, |m| resources::declare_v0(shared, m)).await,
        "Details" => unary(request, |m| ready(resources::details_v0(shared, m))).await,
        _ => unimplemented(request.uri().path()),
    }
}

async fn resources_v1(
    shared: Arc<Shared>,
    method: &str,
    request: Request<Incoming>,
) -> Response<Body> {
    match method {
        "Declare" => unary(request, |m| resources::declare_v1(&shared, m)).await,
        _ => unimplemented(request.uri().path()),
    }
}

async fn events_of<G: Generation>(
    shared: Arc<Shared>,
    method: &str,
    request: Request<Incoming>,
) -> Response<Body> {
    match method {
        "TriggerStream" | "HandleEvents" => {
            bidirectional(request, |incoming| events::attend::<G>(incoming, shared)).await
        }
        _ => unimplemented(request.uri().path()),
    }
}

async fn documents_v0(
    shared: Arc<Shared>,
    method: &str,
    request: Request<Incoming>,
) -> Response<Body> {
    let items = &shared.items;
    match method {
        "Get" => unary(request, |m| ready(documents::get(items, m))).await,
        "Set" => unary(request, |m| documents::set(items, m)).await,
        "Delete" => unary(request, |m| documents::delete(items, m)).await,
        "Query" => unary(request, |m| ready(documents::query(items, m))).await,
        "QueryStream" => streaming(request, |m| documents::query_stream(items.clone(), m)).await,
        _ => unimplemented(request.uri().path()),
    }
}

async fn values_v1(
    shared: Arc<Shared>,
    method: &str,
    request: Request<Incoming>,
) -> Response<Body> {
    let items = &shared.items;
    match method {
        "GetValue" | "Get" => unary(request, |m| ready(values::get(items, m))).await,
        "SetValue" | "Set" => unary(request, |m| values::set(items, m)).await,
        "DeleteKey" | "Delete" => unary(request, |m| values::delete(items, m)).await,
        "ScanKeys" => streaming(request, |m| values::scan(items.clone(), m)).await,
        _ => unimplemented(request.uri().path()),
    }
}

async fn sockets_v0(
    shared: Arc<Shared>,
    method: &str,
    request: Request<Incoming>,
) -> Response<Body> {
    let shared = &*shared;
    let of = |m: v0::SocketRequest| (m.socket, m.connection_id, m.data);
    match method {
        "Send" => unary(request, |m| send(shared, of(m), Status::internal)).await,
        "Close" => unary(request, |m| close(shared, of(m), Status::internal)).await,
        _ => unimplemented(request.uri().path()),
    }
}

async fn sockets_v1(
    shared: Arc<Shared>,
    method: &str,
    request: Request<Incoming>,
) -> Response<Body> {
    let shared = &*shared;
    let of = |m: v1::SocketRequest| (m.socket_name, m.connection_id, m.data);
    match method {
        "SendMessage" => unary(request, |m| send(shared, of(m), Status::unknown)).await,
        "CloseConnection" => unary(request, |m| close(shared, of(m), Status::unknown)).await,
        "SocketDetails" => unary(request, |m| ready(resources::details_v1(shared, &m))).await,
        _ => unimplemented(request.uri().path()),
    }
}

/// What a generation says where a connection is not there (reference: nitric.md, section
/// 4): `INTERNAL` or `UNKNOWN`.
type NoConnection = fn(String) -> Status;

async fn send(
    shared: &Shared,
    (socket, connection, data): (String, String, Bytes),
    no_connection: NoConnection,
) -> Result<Empty, Status> {
    let sent = shared.gateway.send(&socket, &connection, data).await;
    sent.map(|()| Empty {}).map_err(|error| refused(&error, no_connection))
}

async fn close(
    shared: &Shared,
    (socket, connection, _): (String, String, Bytes),
    no_connection: NoConnection,
) -> Result<Empty, Status> {
    let closed = shared.gateway.close(&socket, &connection).await;
    closed.map(|()| Empty {}).map_err(|error| refused(&error, no_connection))
}

fn refused(error: &GatewayError, no_connection: NoConnection) -> Status {
    let text = error.to_string();
    match error {
        GatewayError::NoConnection(_) => no_connection(text),
        GatewayError::NoSocket(_) => Status::not_found(text),
        GatewayError::Refused(_) => Status::resource_exhausted(text),
    }
}

/// What is answered for a method that is not served: the SDKs make an error of it.
fn unimplemented(path: &str) -> Response<Body> {
    Status::unimplemented(format!("Fanwire does not serve {path}")).into_http()
}

/// One message in, one out.
async fn unary<M, R, F>(
    request: Request<Incoming>,
    mut handle: impl FnMut(M) -> F + Send,
) -> Response<Body>
where
    M: Message + Default + 'static,
    R: Message + Default + 'static,
    F: Future<Output = Result<R, Status>> + Send,
{
    let service = service_fn(move |request: tonic::Request<M>| {
        handle(request.into_inner()).map_ok(tonic::Response::new)
    });
    Grpc::new(ProstCodec::<R, M>::default()).unary(service, request).await
}

/// One message in, several out.
async fn streaming<M, R, S>(
    request: Request<Incoming>,
    mut handle: impl FnMut(M) -> Result<S, Status> + Send,
) -> Response<Body>
where
    M: Message + Default + 'static,
    R: Message + Default + 'static,
    S: Stream<Item = Result<R, Status>> + Send + 'static,
{
    let service = service_fn(move |request: tonic::Request<M>| {
        ready(handle(request.into_inner()).map(tonic::Response::new))
    });
    Grpc::new(ProstCodec::<R, M>::default()).server_streaming(service, request).await
}

/// Messages in and out for as long as both like.
async fn bidirectional<M, R, S>(
    request: Request<Incoming>,
    handle: impl FnOnce(Streaming<M>) -> S + Send,
) -> Response<Body>
where
    M: Message + Default + 'static,
    R: Message + Default + 'static,
    S: Stream<Item = Result<R, Status>> + Send + 'static,
{
    let mut handle = Some(handle);
    let service = service_fn(move |request: tonic::Request<Streaming<M>>| {
        // It is called once for a request.
        let stream = handle.take().map(|handle| handle(request.into_inner()));
        ready(stream.map(tonic::Response::new).ok_or_else(|| Status::internal("called twice")))
    });
    Grpc::new(ProstCodec::<R, M>::default()).streaming(service, request).await
}
