//! The IoT data plane over HTTP, for unmodified AWS SDKs: publish, retained messages,
//! connections (reference: iot.md, sections 7 and 9.4).

mod connections;
mod direct;
mod error;
mod messages;
mod parameters;

use fanwire_realtime::{HttpArrival, Signer};
use http::{Method, Request, StatusCode};
use percent_encoding::percent_decode_str;

pub(crate) use self::error::{DataError, trace_id};
pub(crate) use self::messages::{MAX_PAYLOAD, message, unreadable};
pub(crate) use self::parameters::Parameters;
use self::parameters::{encode_user_properties, rest_of};
use crate::head_tap::headers_of;
use crate::realtime::Endpoint;
use crate::response::{self, Answer};
use crate::router::{CallBody, Router, Source};

impl Router {
    /// Answers a request to the data plane.
    pub(crate) async fn iot_data(&self, request: Request<CallBody>, source: &Source) -> Answer {
        let Some(endpoint) = self.realtime() else {
            return DataError::not_served().into_answer();
        };
        let answer = if is_judged(&request) {
            self.publish_as_judged(&endpoint, request, source).await
        } else {
            self.try_iot_data(&endpoint, request).await
        };
        answer.unwrap_or_else(DataError::into_answer)
    }

    async fn try_iot_data(
        &self,
        endpoint: &Endpoint,
        request: Request<CallBody>,
    ) -> Result<Answer, DataError> {
        let path = request.uri().path().to_owned();
        let segments: Vec<&str> = path.split('/').filter(|segment| !segment.is_empty()).collect();
        match (request.method(), segments.as_slice()) {
            (&Method::POST, ["topics", ..]) => self.publish_to_topic(endpoint, request, None).await,
            (&Method::GET, ["retainedMessage"]) => messages::list_retained(endpoint, &request),
            (&Method::GET, ["retainedMessage", ..]) => messages::get_retained(endpoint, &path),
            (&Method::GET, ["connections", id]) => {
                connections::get(endpoint, &client_id(id)?, &request).await
            }
            (&Method::DELETE, ["connections", id]) => {
                connections::delete(endpoint, &client_id(id)?, &request).await
            }
            (&Method::GET, ["connections", id, "subscriptions"]) => {
                connections::list_subscriptions(endpoint, &client_id(id)?, &request).await
            }
            (&Method::POST, ["connections", id, "messages"]) => {
                self.send_direct_message(endpoint, &client_id(id)?, request).await
            }
            (_, ["topics", ..] | ["connections", _, "messages"]) => Err(DataError::method("POST")),
            (_, ["retainedMessage", ..] | ["connections", _, "subscriptions"]) => {
                Err(DataError::method("GET"))
            }
            (_, ["connections", _]) => Err(DataError::method("GET or DELETE")),
            _ => Err(DataError::not_found("the data plane has no such address")),
        }
    }
}

/// Whether a request names a custom authorizer, which then decides what it may do.
pub(crate) fn is_judged<B>(request: &Request<B>) -> bool {
    http_arrival(request).names_authorizer()
}

/// What an authorizer is told of a request.
fn http_arrival<B>(request: &Request<B>) -> HttpArrival {
    let query = request.uri().query().map(str::to_owned);
    HttpArrival { headers: headers_of(request), query, signer: Signer::Nobody }
}

/// A client id from its segment of a path. Those that begin with `$` are reserved.
fn client_id(segment: &str) -> Result<String, DataError> {
    match percent_decode_str(segment).decode_utf8() {
        Ok(id) if !id.starts_with('$') => Ok(id.into_owned()),
        _ => Err(DataError::invalid("the client id is not UTF-8 text that begins without `$`")),
    }
}

fn ok(value: &serde_json::Value) -> Answer {
    response::json(StatusCode::OK, value.to_string())
}
