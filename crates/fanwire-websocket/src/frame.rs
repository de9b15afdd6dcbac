//! The messages that the gateway itself sends, byte for byte
//! (reference: api-gateway.md, section 7).

use crate::result::Body;
use fanwire_wire::ws::SharedFrame;

/// Sent where an integration failed.
pub(crate) const INTERNAL_SERVER_ERROR: &str = "Internal server error";

/// Sent where no route takes a message.
pub(crate) const FORBIDDEN: &str = "Forbidden";

/// The JSON of a gateway error, spaced as AWS spaces it. The arguments need no
/// escaping: they are the gateway's own words and ids.
pub(crate) fn error_json(message: &str, connection_id: &str, request_id: &str) -> String {
    format!(
        r#"{{"message": "{message}", "connectionId":"{connection_id}", "requestId":"{request_id}"}}"#
    )
}

/// A result's body as a message.
pub(crate) fn of_body(body: &Body) -> SharedFrame {
    match body {
        Body::Text(text) => SharedFrame::text(text),
        Body::Binary(bytes) => SharedFrame::binary(bytes),
    }
}
