//! What a v11 client says first where its URL has `connectionParams=1`.

use serde::Deserialize as _;
use serde_json::Value;
use serde_json::value::RawValue;

use super::members::members;

/// What a client said of itself when it connected: names and values. `None`: `null`.
pub type ConnectionParams = Option<Vec<(String, String)>>;

/// Why a first message has no connection parameters in it. Clients get these sentences with
/// [`ErrorCode::ParseError`](super::ErrorCode::ParseError), and then are disconnected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ConnectionParamsError {
    /// It is no JSON object.
    #[error("Malformed TRPCConnectionParamsMessage")]
    Malformed,
    /// `data` is neither `null` nor an object of strings.
    #[error("Invalid connection params shape")]
    Shape,
}

/// Reads the first message of a client whose URL has `connectionParams=1`, whatever its
/// `method` says (reference: trpc.md, section 2.6).
///
/// ```
/// use fanwire_wire::trpc::connection_params;
///
/// let text = r#"{"method":"connectionParams","data":{"token":"T"}}"#;
/// assert_eq!(connection_params(text)?, Some(vec![("token".into(), "T".into())]));
/// # Ok::<(), fanwire_wire::trpc::ConnectionParamsError>(())
/// ```
///
/// # Errors
///
/// [`ConnectionParamsError`].
pub fn connection_params(text: &str) -> Result<ConnectionParams, ConnectionParamsError> {
    let [data] = members(text, ["data"]).map_err(|_| ConnectionParamsError::Malformed)?;
    let data: &RawValue = data.ok_or(ConnectionParamsError::Shape)?;
    match Value::deserialize(data) {
        Ok(Value::Null) => Ok(None),
        Ok(Value::Object(params)) => {
            params.into_iter().map(param).collect::<Result<_, _>>().map(Some)
        }
        _ => Err(ConnectionParamsError::Shape),
    }
}

fn param((name, value): (String, Value)) -> Result<(String, String), ConnectionParamsError> {
    match value {
        Value::String(value) => Ok((name, value)),
        _ => Err(ConnectionParamsError::Shape),
    }
}
