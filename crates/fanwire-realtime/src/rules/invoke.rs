//! What a rule needs of functions.

use bytes::Bytes;
use fanwire_functions::{Functions, InvokeError, InvokeOptions};

/// Takes events for functions.
pub(super) trait Invoke: Send + Sync + 'static {
    /// Takes an event, to be run, and tried again, later.
    fn invoke_event(&self, key: &str, event: Bytes) -> Result<(), InvokeError>;

    /// A function's ARN, if there is such a function.
    fn arn(&self, key: &str) -> Option<String>;
}

impl Invoke for Functions {
    fn invoke_event(&self, key: &str, event: Bytes) -> Result<(), InvokeError> {
        Functions::invoke_event(self, key, event, InvokeOptions::default()).map(drop)
    }

    fn arn(&self, key: &str) -> Option<String> {
        Functions::arn(self, key)
    }
}
