//! Why a call failed, as its caller is told it.

use std::error::Error as StdError;
use std::fmt;

pub use fanwire_wire::trpc::ErrorCode;
use fanwire_wire::trpc::{ErrorShape, Response, Transformer};

/// Why a procedure did not do what it was called for. Any error becomes one by `?`: its
/// caller then learns no more than that the server failed, and the log has the error.
///
/// ```
/// use fanwire::subscriptions::{ErrorCode, TrpcError};
///
/// fn age(text: &str) -> Result<u8, TrpcError> {
///     if text.is_empty() {
///         return Err(TrpcError::new(ErrorCode::BadRequest, "say how old you are"));
///     }
///     Ok(text.parse()?)
/// }
///
/// assert_eq!(age("").unwrap_err().to_string(), "say how old you are");
/// let failed = age("old").unwrap_err();
/// assert_eq!(failed.code(), ErrorCode::InternalServerError);
/// assert_eq!(failed.message(), "Internal server error");
/// ```
pub struct TrpcError {
    code: ErrorCode,
    message: String,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

/// What a caller is told of a failure that is none of its business.
const INTERNAL: &str = "Internal server error";

// === impl TrpcError ===

impl TrpcError {
    /// An error that its caller is told: the code, and the message as it stands.
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), source: None }
    }

    /// What kind of failure it is.
    pub fn code(&self) -> ErrorCode {
        self.code
    }

    /// What the caller is told.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// A response that tells a caller of the procedure at `path`.
    pub(crate) fn response(&self, path: Option<&str>, transformer: Transformer) -> Response {
        let shape = ErrorShape { path, ..ErrorShape::new(self.code, &self.message) };
        Response::error(&shape, transformer)
    }
}

/// Not an [`std::error::Error`] itself, because every such error can become one.
impl<E: StdError + Send + Sync + 'static> From<E> for TrpcError {
    fn from(error: E) -> Self {
        Self {
            code: ErrorCode::InternalServerError,
            message: INTERNAL.to_owned(),
            source: Some(Box::new(error)),
        }
    }
}

impl fmt::Display for TrpcError {
    /// What the log is told: the error and what it was caused by, in one line.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        let mut cause = self.source.as_ref().map(|error| &**error as &(dyn StdError + 'static));
        while let Some(error) = cause {
            write!(f, ": {error}")?;
            cause = error.source();
        }
        Ok(())
    }
}

impl fmt::Debug for TrpcError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {self}", self.code)
    }
}
