//! What a handler answers.

use super::Body;

/// What a handler answers: for a handshake the status and headers of the response, for a
/// message what the client is sent back, if anything.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// The status: a handshake is accepted with 200 to 299.
    pub status: u16,
    /// Headers of the handshake's answer, such as `Sec-WebSocket-Protocol`.
    pub headers: Vec<(String, String)>,
    /// What the client is sent. Under API Gateway it goes out only where the route has a
    /// response (`routeResponseSelectionExpression: $default`).
    pub body: Option<Body>,
}

impl Default for Reply {
    /// 200, and nothing to say.
    fn default() -> Self {
        Self { status: 200, headers: Vec::new(), body: None }
    }
}
