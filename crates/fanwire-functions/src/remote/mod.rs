//! Functions that are not ours to start: in AWS, or behind a URL.

mod client;
mod http;
mod lambda;

pub use self::client::HttpClient;
pub(crate) use self::http::HttpFunction;
pub(crate) use self::lambda::LambdaFunction;

use crate::outcome::FunctionErrorKind;

/// What `X-Amz-Function-Error` says.
fn function_error(headers: &::http::HeaderMap) -> Option<FunctionErrorKind> {
    headers.get("x-amz-function-error").map(|value| {
        if value == "Handled" { FunctionErrorKind::Handled } else { FunctionErrorKind::Unhandled }
    })
}
