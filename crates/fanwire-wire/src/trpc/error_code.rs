//! The error codes of tRPC.

use std::fmt;
use std::str::FromStr;

/// What went wrong, as clients are told it: a key, the number that JSON-RPC has for it, and
/// the HTTP status that means the same (reference: trpc.md, section 2.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorCode {
    /// What was sent is no JSON, or no message of tRPC.
    ParseError,
    /// The call makes no sense, such as an input that does not validate.
    BadRequest,
    /// The server failed.
    InternalServerError,
    /// The server does not do this.
    NotImplemented,
    /// Something behind the server answered with nonsense. Since v11.
    BadGateway,
    /// The server cannot do it now. Since v11.
    ServiceUnavailable,
    /// Something behind the server took too long. Since v11.
    GatewayTimeout,
    /// The caller is nobody that the server knows.
    Unauthorized,
    /// It has to be paid for. Since v11.
    PaymentRequired,
    /// The caller may not do this.
    Forbidden,
    /// There is no such thing, or no such procedure.
    NotFound,
    /// The procedure is not called this way.
    MethodNotSupported,
    /// It took too long.
    Timeout,
    /// It contradicts what is there.
    Conflict,
    /// What the call builds on does not hold any more.
    PreconditionFailed,
    /// The input is too large.
    PayloadTooLarge,
    /// What was sent, or asked for, is of a kind that is not taken here. Since v11.
    UnsupportedMediaType,
    /// The input is well formed and cannot be worked with.
    UnprocessableContent,
    /// The call has to say what it builds on. Since v11.
    PreconditionRequired,
    /// The caller asks too often, or for too much.
    TooManyRequests,
    /// The caller has left.
    ClientClosedRequest,
}

/// Text that is the key of no error code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a tRPC error code: expected a key such as `NOT_FOUND`")]
pub struct UnknownErrorCode;

// === impl ErrorCode ===

impl ErrorCode {
    /// All of them.
    pub const ALL: [Self; 21] = [
        Self::ParseError,
        Self::BadRequest,
        Self::InternalServerError,
        Self::NotImplemented,
        Self::BadGateway,
        Self::ServiceUnavailable,
        Self::GatewayTimeout,
        Self::Unauthorized,
        Self::PaymentRequired,
        Self::Forbidden,
        Self::NotFound,
        Self::MethodNotSupported,
        Self::Timeout,
        Self::Conflict,
        Self::PreconditionFailed,
        Self::PayloadTooLarge,
        Self::UnsupportedMediaType,
        Self::UnprocessableContent,
        Self::PreconditionRequired,
        Self::TooManyRequests,
        Self::ClientClosedRequest,
    ];

    /// Number, key and HTTP status.
    const fn row(self) -> (i32, &'static str, u16) {
        match self {
            Self::ParseError => (-32700, "PARSE_ERROR", 400),
            Self::BadRequest => (-32600, "BAD_REQUEST", 400),
            Self::InternalServerError => (-32603, "INTERNAL_SERVER_ERROR", 500),
            Self::NotImplemented => (-32603, "NOT_IMPLEMENTED", 501),
            Self::BadGateway => (-32603, "BAD_GATEWAY", 502),
            Self::ServiceUnavailable => (-32603, "SERVICE_UNAVAILABLE", 503),
            Self::GatewayTimeout => (-32603, "GATEWAY_TIMEOUT", 504),
            Self::Unauthorized => (-32001, "UNAUTHORIZED", 401),
            Self::PaymentRequired => (-32002, "PAYMENT_REQUIRED", 402),
            Self::Forbidden => (-32003, "FORBIDDEN", 403),
            Self::NotFound => (-32004, "NOT_FOUND", 404),
            Self::MethodNotSupported => (-32005, "METHOD_NOT_SUPPORTED", 405),
            Self::Timeout => (-32008, "TIMEOUT", 408),
            Self::Conflict => (-32009, "CONFLICT", 409),
            Self::PreconditionFailed => (-32012, "PRECONDITION_FAILED", 412),
            Self::PayloadTooLarge => (-32013, "PAYLOAD_TOO_LARGE", 413),
            Self::UnsupportedMediaType => (-32015, "UNSUPPORTED_MEDIA_TYPE", 415),
            Self::UnprocessableContent => (-32022, "UNPROCESSABLE_CONTENT", 422),
            Self::PreconditionRequired => (-32028, "PRECONDITION_REQUIRED", 428),
            Self::TooManyRequests => (-32029, "TOO_MANY_REQUESTS", 429),
            Self::ClientClosedRequest => (-32099, "CLIENT_CLOSED_REQUEST", 499),
        }
    }

    /// The number that stands in `error.code`. Some keys share one.
    pub const fn number(self) -> i32 {
        self.row().0
    }

    /// The key that stands in `error.data.code`.
    pub const fn key(self) -> &'static str {
        self.row().1
    }

    /// The status that stands in `error.data.httpStatus`.
    pub const fn http_status(self) -> u16 {
        self.row().2
    }
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.key())
    }
}

impl FromStr for ErrorCode {
    type Err = UnknownErrorCode;

    fn from_str(key: &str) -> Result<Self, UnknownErrorCode> {
        Self::ALL.into_iter().find(|code| code.key() == key).ok_or(UnknownErrorCode)
    }
}
