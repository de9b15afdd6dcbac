//! Errors of the data plane, as SDKs know them.

use fanwire_realtime::ClientError;
use http::StatusCode;

use crate::response::{self, Answer};

/// What a caller gets instead of what it wanted.
#[derive(Debug)]
pub(crate) struct DataError {
    status: StatusCode,
    error_type: &'static str,
    message: String,
}

// === impl DataError ===

impl DataError {
    pub(crate) fn new(
        status: StatusCode,
        error_type: &'static str,
        message: impl Into<String>,
    ) -> Self {
        Self { status, error_type, message: message.into() }
    }

    pub(crate) fn invalid(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "InvalidRequestException", message)
    }

    /// For whom an authorizer does not know.
    pub(crate) fn unauthorized(message: impl Into<String>) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "UnauthorizedException", message)
    }

    pub(crate) fn forbidden(message: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, "ForbiddenException", message)
    }

    pub(crate) fn not_found(message: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, "ResourceNotFoundException", message)
    }

    /// For the control API: what was named is not there any more.
    pub(crate) fn gone(message: impl Into<String>) -> Self {
        Self::new(StatusCode::GONE, "GoneException", message)
    }

    pub(crate) fn too_large(message: impl Into<String>) -> Self {
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "RequestEntityTooLargeException", message)
    }

    pub(crate) fn busy(message: impl Into<String>) -> Self {
        Self::new(StatusCode::TOO_MANY_REQUESTS, "ThrottlingException", message)
    }

    /// For a client that has not answered in time.
    pub(super) fn timed_out(message: impl Into<String>) -> Self {
        Self::new(StatusCode::GATEWAY_TIMEOUT, "GatewayTimeoutException", message)
    }

    /// For what another node would know, or do, that cannot be reached.
    pub(crate) fn unavailable(message: impl Into<String>) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "ServiceUnavailableException", message)
    }

    pub(crate) fn internal(message: impl Into<String>) -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "InternalFailureException", message)
    }

    pub(crate) fn method(expected: &str) -> Self {
        let status = StatusCode::METHOD_NOT_ALLOWED;
        Self::new(status, "MethodNotAllowedException", format!("expected {expected}"))
    }

    /// For an App without a realtime endpoint.
    pub(crate) fn not_served() -> Self {
        let text = "Fanwire does not serve the IoT data plane for this app: it has no realtime \
            endpoint; declare one with a [realtime] table";
        Self::new(StatusCode::NOT_IMPLEMENTED, "UnsupportedOperationException", text)
    }

    pub(crate) fn into_answer(self) -> Answer {
        let body = serde_json::json!({ "message": self.message, "traceId": trace_id() });
        response::error(self.status, self.error_type, body.to_string())
    }
}

impl From<fanwire_hub::Busy> for DataError {
    fn from(busy: fanwire_hub::Busy) -> Self {
        Self::busy(busy.to_string())
    }
}

impl From<ClientError> for DataError {
    fn from(error: ClientError) -> Self {
        match error {
            ClientError::Busy(busy) => busy.into(),
            ClientError::Unreachable(unreachable) => Self::unavailable(unreachable.to_string()),
        }
    }
}

/// A UUID that answers carry, as on AWS.
pub(crate) fn trace_id() -> String {
    // Without a source of randomness there are greater worries than a trace id.
    let random = (u128::from(getrandom::u64().unwrap_or_default()) << 64)
        | u128::from(getrandom::u64().unwrap_or_default());
    let hex = format!("{random:032x}");
    // Version 4, variant 1 (RFC 9562, section 5.4).
    format!("{}-{}-4{}-a{}-{}", &hex[..8], &hex[8..12], &hex[13..16], &hex[17..20], &hex[20..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trace_id_is_a_uuid() {
        let id = trace_id();
        let lengths: Vec<usize> = id.split('-').map(str::len).collect();
        assert_eq!(lengths, [8, 4, 4, 4, 12], "{id}");
        assert_ne!(id, trace_id());
    }
}
