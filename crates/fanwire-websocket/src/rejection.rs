//! HTTP answers to handshakes and management calls that are refused: status, error
//! type and body as AWS words them (reference: api-gateway.md, sections 5, 13, 18).

use fanwire_hub::ConnectionId;

use crate::authorizer::Refusal;
use crate::frame;

/// A refused handshake.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rejection {
    /// The HTTP status.
    pub status: u16,
    /// `x-amzn-ErrorType`.
    pub error_type: &'static str,
    /// The body: JSON, but for a function's own words.
    pub body: String,
    /// The body's type.
    pub content_type: &'static str,
    /// `x-amzn-RequestId`.
    pub request_id: String,
}

// === impl Rejection ===

impl Rejection {
    /// A `$connect` handler answered another status than 2xx.
    pub(crate) fn by_handler(status: u16, connection: &ConnectionId, request_id: &str) -> Self {
        let message = match status {
            400 => "Bad Request",
            401 => "Unauthorized",
            403 => frame::FORBIDDEN,
            404 => "Not Found",
            429 => "Too Many Requests",
            500.. => frame::INTERNAL_SERVER_ERROR,
            _ => "Connection refused",
        };
        let body = frame::error_json(message, &connection.to_string(), request_id);
        Self::new(status, body, request_id)
    }

    /// The `$connect` integration failed.
    pub(crate) fn by_failure(status: u16, connection: &ConnectionId, request_id: &str) -> Self {
        let connection = connection.to_string();
        let body = frame::error_json(frame::INTERNAL_SERVER_ERROR, &connection, request_id);
        Self::new(status, body, request_id)
    }

    /// A function of this process says in its own words why not.
    pub(crate) fn in_words(status: u16, words: String, request_id: &str) -> Self {
        Self { content_type: "text/plain", ..Self::new(status, words, request_id) }
    }

    pub(crate) fn by_authorizer(refusal: &Refusal, request_id: &str) -> Self {
        let (status, body) = match refusal {
            Refusal::Unauthorized => (401, r#"{"message":"Unauthorized"}"#),
            Refusal::Denied { explicit: false } => {
                (403, r#"{"Message":"User is not authorized to access this resource"}"#)
            }
            Refusal::Denied { explicit: true } => (
                403,
                r#"{"Message":"User is not authorized to access this resource with an explicit deny"}"#,
            ),
            Refusal::Failed(_) => (500, r#"{"message":null}"#),
        };
        Self::new(status, body.to_owned(), request_id)
    }

    /// No place is left for another connection.
    pub(crate) fn too_many(request_id: &str) -> Self {
        Self::new(429, r#"{"message":"Too Many Requests"}"#.to_owned(), request_id)
    }

    pub(crate) fn internal(request_id: &str) -> Self {
        Self::new(500, r#"{"message":"Internal server error"}"#.to_owned(), request_id)
    }

    /// No API or stage is at this address.
    pub fn unknown_stage(request_id: &str) -> Self {
        Self::new(403, r#"{"message":"Forbidden"}"#.to_owned(), request_id)
    }

    fn new(status: u16, body: String, request_id: &str) -> Self {
        let error_type = match status {
            400 => "BadRequestException",
            401 => "UnauthorizedException",
            403 => "ForbiddenException",
            429 => "LimitExceededException",
            502 => "BadGatewayException",
            504 => "GatewayTimeoutException",
            _ => "InternalServerErrorException",
        };
        // What a handler answers below 200 is no final status in HTTP.
        let status = if (200..600).contains(&status) { status } else { 500 };
        let content_type = "application/json";
        Self { status, error_type, body, content_type, request_id: request_id.to_owned() }
    }
}

// === impl Refusal ===

impl Refusal {
    /// For people: what would have let the client in.
    pub(crate) fn explain(&self, connect_arn: &str) -> String {
        match self {
            Self::Unauthorized => "said Unauthorized".to_owned(),
            Self::Denied { explicit: true } => {
                format!("a statement denies execute-api:Invoke on {connect_arn}")
            }
            Self::Denied { explicit: false } => {
                format!("no statement allows execute-api:Invoke on {connect_arn}")
            }
            Self::Failed(why) => why.clone(),
        }
    }
}
