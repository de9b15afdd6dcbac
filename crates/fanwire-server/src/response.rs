//! Answers in the forms that AWS SDKs recognise: the error type in a header, the
//! request id in another, JSON in the body.

use bytes::Bytes;
use fanwire_websocket::Rejection;
use http::header::{CONTENT_TYPE, HeaderName};
use http::{HeaderValue, Response, StatusCode};
use http_body_util::{Either, Full};

use crate::control::Listening;

/// An answer: whole and small, or a stream that somebody listens to.
pub(crate) type Answer = Response<Either<Full<Bytes>, Listening>>;

/// Which SDKs call `$metadata.requestId`.
pub(crate) const REQUEST_ID: HeaderName = HeaderName::from_static("x-amzn-requestid");
/// What decides which exception an SDK throws.
pub(crate) const ERROR_TYPE: HeaderName = HeaderName::from_static("x-amzn-errortype");
const APIGW_ID: HeaderName = HeaderName::from_static("x-amz-apigw-id");

/// An answer with a JSON body, or none where `body` is empty.
pub(crate) fn json(status: StatusCode, body: impl Into<Bytes>) -> Answer {
    let body = body.into();
    let mut response = Response::new(Either::Left(Full::new(body.clone())));
    *response.status_mut() = status;
    if !body.is_empty() {
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    }
    response
}

/// An error that SDKs turn into an exception of type `error_type`.
pub(crate) fn error(
    status: StatusCode,
    error_type: &'static str,
    body: impl Into<Bytes>,
) -> Answer {
    let mut response = json(status, body);
    response.headers_mut().insert(ERROR_TYPE, HeaderValue::from_static(error_type));
    response
}

/// What somebody gets who wants to connect while the server stops.
pub(crate) fn stopping() -> Answer {
    let body = message("the server is stopping; connect again later");
    error(StatusCode::SERVICE_UNAVAILABLE, "ServiceUnavailableException", body)
}

/// `{"message": …}` with the message escaped.
pub(crate) fn message(text: &str) -> Bytes {
    serde_json::json!({ "message": text }).to_string().into()
}

/// Adds the gateway's ids to an answer.
pub(crate) fn with_gateway_ids(mut response: Answer, request_id: &str) -> Answer {
    // Request ids are base64; a value that could not stand in a header is left out.
    if let Ok(value) = HeaderValue::from_str(request_id) {
        response.headers_mut().insert(REQUEST_ID, value.clone());
        response.headers_mut().insert(APIGW_ID, value);
    }
    response
}

/// A refused handshake.
pub(crate) fn rejected(rejection: Rejection) -> Answer {
    let status =
        StatusCode::from_u16(rejection.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = error(status, rejection.error_type, rejection.body);
    let content_type = HeaderValue::from_static(rejection.content_type);
    response.headers_mut().insert(CONTENT_TYPE, content_type);
    with_gateway_ids(response, &rejection.request_id)
}
