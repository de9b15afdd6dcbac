//! What a handler returns when it could not do its work.

use std::error::Error as StdError;
use std::fmt;

/// The result of a handler.
pub type Result<T = (), E = Error> = std::result::Result<T, E>;

/// Why a handler did not do its work. Any error becomes one by `?`.
///
/// A client learns no more than the gateway tells it: a handshake is refused with
/// [`status`](Self::status), a message is answered with API Gateway's error frame. The
/// error itself is for the log.
pub struct Error {
    status: u16,
    /// The type that the error was, for logs: `chat::RoomIsClosed`.
    kind: &'static str,
    source: BoxError,
}

/// What `tower`'s layers have for errors. An [`Error`] becomes one and comes out of it again
/// with its status.
pub(crate) type BoxError = Box<dyn StdError + Send + Sync>;

// === impl Error ===

impl Error {
    /// An error that refuses a handshake with an HTTP status, 400 to 599, such as 401 where
    /// the client is not who it has to be. `why` is for the log.
    ///
    /// ```
    /// let error = fanwire::Error::new(403, "the room is closed");
    /// assert_eq!(error.status(), 403);
    /// ```
    pub fn new<E: Into<Box<dyn StdError + Send + Sync>>>(status: u16, why: E) -> Self {
        Self { status, kind: std::any::type_name::<E>(), source: why.into() }
    }

    /// The status that a handshake is refused with: 500 unless said otherwise.
    pub fn status(&self) -> u16 {
        self.status
    }

    /// The name of the type that went wrong, which is what Lambda shows as `errorType`.
    pub fn kind(&self) -> &'static str {
        match self.kind {
            // Words alone are of no type that says anything.
            "&str" | "alloc::string::String" => "fanwire::Error",
            kind => kind,
        }
    }

    /// The error that a layer has returned: one of a handler's, or one of its own.
    pub(crate) fn from_box(error: BoxError) -> Self {
        match error.downcast::<Carried>() {
            Ok(carried) => carried.0,
            Err(source) => Self { status: 500, kind: "tower::BoxError", source },
        }
    }

    /// What went wrong, if it is of type `E`.
    pub fn downcast_ref<E: StdError + 'static>(&self) -> Option<&E> {
        self.source.downcast_ref()
    }
}

/// Not an [`std::error::Error`] itself, because every such error can become one.
impl<E: StdError + Send + Sync + 'static> From<E> for Error {
    fn from(error: E) -> Self {
        Self { status: 500, kind: std::any::type_name::<E>(), source: Box::new(error) }
    }
}

/// For `tower`'s layers, and for code that has boxed errors.
impl From<Error> for Box<dyn StdError + Send + Sync> {
    fn from(error: Error) -> Self {
        Box::new(Carried(error))
    }
}

/// An [`Error`] as an [`std::error::Error`]: within a box alone.
#[derive(Debug)]
struct Carried(Error);

impl fmt::Display for Carried {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0.source, f)
    }
}

impl StdError for Carried {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.source.source()
    }
}

impl fmt::Display for Error {
    /// The error and what it was caused by, in one line.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.source)?;
        let mut cause = self.source.source();
        while let Some(error) = cause {
            write!(f, ": {error}")?;
            cause = error.source();
        }
        Ok(())
    }
}

impl fmt::Debug for Error {
    /// As [`Display`](fmt::Display): this is what a `main` that returns it prints.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
