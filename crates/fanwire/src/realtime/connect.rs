//! A client that wants to connect, as authorizers see it.

use bytes::Bytes;

use crate::Result;

/// What AWS's device SDKs put behind a user name, in which the client names its authorizer.
const BEHIND_USER: [&str; 3] =
    ["x-amz-customauthorizer-name", "x-amz-customauthorizer-signature", "SDK"];

/// A client that wants to connect, or to publish over HTTP: what it brings to show who it
/// is (reference: iot.md, section 2). It stays the same when a connection's authorizer is
/// asked again.
///
/// ```
/// use fanwire::realtime::ConnectRequest;
///
/// let mut request = ConnectRequest::default();
/// request.password = Some("secret".into());
/// request.query = Some("x-amz-customauthorizer-name=chat&room=lobby".into());
/// assert_eq!(request.token(), "secret");
/// assert_eq!(request.query_parameter("room"), Some("lobby"));
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ConnectRequest {
    /// The client id that it gives itself.
    pub client_id: Option<String>,
    /// The user name of its CONNECT, with the parameters that SDKs put behind it: see
    /// [`user`](Self::user).
    pub username: Option<String>,
    /// The password of its CONNECT: see [`token`](Self::token).
    pub password: Option<Bytes>,
    /// The token that it gives under the authorizer's own name for it (`tokenKeyName`).
    pub signed_token: Option<String>,
    /// Whether that token's signature was checked, and is good.
    pub signature_verified: bool,
    /// The query of its WebSocket's URL, as it stands there, without the `?`.
    pub query: Option<String>,
    /// The headers of its WebSocket's handshake, or of its request.
    pub headers: Vec<(String, String)>,
    /// The host name that it asked for.
    pub server_name: Option<String>,
    /// The same whenever the authorizer is asked again for the same connection.
    pub connection_id: String,
}

// === impl ConnectRequest ===

impl ConnectRequest {
    /// The password as text, which is what SST calls the token; empty without one.
    pub fn token(&self) -> String {
        let password = self.password.as_deref().unwrap_or_default();
        String::from_utf8_lossy(password).into_owned()
    }

    /// The user name, without what an SDK put behind it. `None` where it is empty.
    pub fn user(&self) -> Option<&str> {
        let username = self.username.as_deref()?;
        let (plain, behind) = username.split_once('?').unwrap_or((username, ""));
        let is_known = |pair: &str| {
            let name = pair.split('=').next().unwrap_or_default();
            BEHIND_USER.iter().any(|known| known.eq_ignore_ascii_case(name))
        };
        let user = if behind.split('&').any(is_known) { plain } else { username };
        Some(user).filter(|user| !user.is_empty())
    }

    /// A parameter of the query, as it stands there: percent-encoded where it had to be.
    pub fn query_parameter(&self, name: &str) -> Option<&str> {
        let pairs = self.query.as_deref()?.split('&');
        pairs.filter_map(|pair| pair.split_once('=')).find(|pair| pair.0 == name).map(|pair| pair.1)
    }

    /// The first header of this name, whatever case it is in.
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut named = self.headers.iter().filter(|(other, _)| other.eq_ignore_ascii_case(name));
        named.next().map(|(_, value)| value.as_str())
    }
}

/// What an authorizer can be asked with: SST's token, or all that a client brings.
pub trait FromConnect: Sized + Send + 'static {
    /// Takes what it needs.
    ///
    /// # Errors
    ///
    /// Where the client did not bring it; the client is refused then.
    fn from_connect(request: ConnectRequest) -> Result<Self>;
}

/// [`ConnectRequest::token`].
impl FromConnect for String {
    fn from_connect(request: ConnectRequest) -> Result<Self> {
        Ok(request.token())
    }
}

impl FromConnect for ConnectRequest {
    fn from_connect(request: ConnectRequest) -> Result<Self> {
        Ok(request)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn user(username: &str) -> Option<String> {
        let username = Some(username.to_owned());
        ConnectRequest { username, ..Default::default() }.user().map(str::to_owned)
    }

    #[test]
    fn a_user_is_told_without_what_sdks_put_behind_it() {
        assert_eq!(user("ada").as_deref(), Some("ada"));
        assert_eq!(user("ada?x-amz-customauthorizer-name=chat&SDK=x").as_deref(), Some("ada"));
        assert_eq!(user("?SDK=BrowserJSv2&Version=1"), None);
        assert_eq!(user("who?me").as_deref(), Some("who?me"));
        assert_eq!(user(""), None);
    }

    #[test]
    fn a_token_that_is_no_text_is_read_as_sst_does() {
        let password = Some(Bytes::from_static(b"a\xff"));
        assert_eq!(ConnectRequest { password, ..Default::default() }.token(), "a\u{fffd}");
        assert_eq!(ConnectRequest::default().token(), "");
    }
}
