//! Where a client says which authorizer is to judge it, and gives its token.

use std::borrow::Cow;

use percent_encoding::percent_decode_str;

const NAME: &str = "x-amz-customauthorizer-name";
const SIGNATURE: &str = "x-amz-customauthorizer-signature";
/// What AWS's device SDKs put behind every user name, authorizer or not.
const SDK: &str = "SDK";

/// The places where a client may put the parameters of custom authentication.
///
/// A parameter is looked for in the URL's query, then in the headers, then behind the
/// `?` of the MQTT user name; the first place that has it, and not empty, counts. Names
/// are compared without regard to case. AWS does not say what goes first, and no client
/// known gives the same parameter twice.
///
/// In queries and user names values are percent-decoded. A `+` stays a `+`, since a
/// base64 signature that somebody forgot to encode is likelier than a space. Headers are
/// taken as they are.
#[derive(Debug, Clone, Copy, Default)]
pub struct AuthorizerParameters<'a> {
    /// The query of the request's URL, without the `?`.
    pub query: Option<&'a str>,
    /// The request's headers.
    pub headers: &'a [(&'a str, &'a str)],
    /// The user name of CONNECT, as it came.
    pub username: Option<&'a str>,
}

// === impl AuthorizerParameters ===

impl<'a> AuthorizerParameters<'a> {
    /// The authorizer that is asked for. None: the default one, if there is one.
    pub fn authorizer(&self) -> Option<Cow<'a, str>> {
        self.find(NAME)
    }

    /// The token, which each authorizer's `tokenKeyName` names its own way.
    pub fn token(&self, token_key_name: &str) -> Option<Cow<'a, str>> {
        self.find(token_key_name)
    }

    /// The token's signature, in base64.
    pub fn signature(&self) -> Option<Cow<'a, str>> {
        self.find(SIGNATURE)
    }

    /// The user name without the parameters behind it, for whoever checks users: the
    /// function of an authorizer is told the whole.
    pub fn plain_username(&self) -> Option<&'a str> {
        let username = self.username?;
        let (plain, query) = username.split_once('?').unwrap_or((username, ""));
        let known = parameters(query).any(|(name, _)| {
            [NAME, SIGNATURE, SDK].iter().any(|known| known.eq_ignore_ascii_case(name))
        });
        Some(if known { plain } else { username })
    }

    fn find(&self, name: &str) -> Option<Cow<'a, str>> {
        let in_query = |query| {
            parameters(query)
                .filter(|(other, _)| decoded(other).eq_ignore_ascii_case(name))
                .map(|(_, value)| decoded(value))
                .find(|value| !value.is_empty())
        };
        let in_headers = || {
            self.headers
                .iter()
                .filter(|(other, _)| other.eq_ignore_ascii_case(name))
                .map(|(_, value)| Cow::Borrowed(value.trim()))
                .find(|value| !value.is_empty())
        };
        let behind_username = || self.username.and_then(|username| username.split_once('?'));
        self.query
            .and_then(in_query)
            .or_else(in_headers)
            .or_else(|| behind_username().and_then(|(_, query)| in_query(query)))
    }
}

/// The parameters of a query, encoded as they are.
fn parameters(query: &str) -> impl Iterator<Item = (&str, &str)> {
    query.split('&').map(|one| one.split_once('=').unwrap_or((one, "")))
}

/// Decoded; bytes that are no UTF-8 become U+FFFD and match nothing.
fn decoded(text: &str) -> Cow<'_, str> {
    percent_decode_str(text).decode_utf8_lossy()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(parameters: &AuthorizerParameters<'_>) -> [Option<String>; 3] {
        [parameters.authorizer(), parameters.token("tokenKey"), parameters.signature()]
            .map(|value| value.map(Cow::into_owned))
    }

    fn expected(name: &str, token: &str, signature: &str) -> [Option<String>; 3] {
        [name, token, signature].map(|value| Some(value.to_owned()))
    }

    #[test]
    fn parameters_are_found_in_the_query() {
        let query = Some(
            "x-amz-customauthorizer-name=my%2Dauth&tokenKey=a%20b&X-Amz-CustomAuthorizer-Signature=ab%2Bc%3D",
        );
        let parameters = AuthorizerParameters { query, ..Default::default() };
        assert_eq!(found(&parameters), expected("my-auth", "a b", "ab+c="));
    }

    #[test]
    fn parameters_are_found_in_the_headers() {
        let headers = [
            ("X-Amz-CustomAuthorizer-Name", "my-auth"),
            ("tokenkey", "t%20"),
            ("x-amz-customauthorizer-signature", "ab+c="),
        ];
        let parameters = AuthorizerParameters { headers: &headers, ..Default::default() };
        assert_eq!(found(&parameters), expected("my-auth", "t%20", "ab+c="));
    }

    #[test]
    fn parameters_are_found_behind_the_user_name() {
        let username = Some(
            "ann?x-amz-customauthorizer-name=N&x-amz-customauthorizer-signature=S%2F&tokenKey=T&SDK=BrowserJSv2&Version=1",
        );
        let parameters = AuthorizerParameters { username, ..Default::default() };
        assert_eq!(found(&parameters), expected("N", "T", "S/"));
        assert_eq!(parameters.plain_username(), Some("ann"));
    }

    #[test]
    fn the_device_sdk_s_user_name_is_all_parameters() {
        let username = Some(
            "?x-amz-customauthorizer-name=AUTHZ&SDK=IoTDeviceSDK/JS&Platform=Browser&Metadata=(CRTVersion=1.33.2;)",
        );
        let parameters = AuthorizerParameters { username, ..Default::default() };
        assert_eq!(parameters.authorizer().as_deref(), Some("AUTHZ"));
        assert_eq!(parameters.plain_username(), Some(""));
        let username = Some("ann?SDK=NodeJSv2&Version=1.21.8");
        let parameters = AuthorizerParameters { username, ..Default::default() };
        assert_eq!(parameters.plain_username(), Some("ann"));
    }

    #[test]
    fn the_query_goes_before_headers_and_they_before_the_user_name() {
        let headers = [(NAME, "header")];
        let mut parameters = AuthorizerParameters {
            query: Some("x-amz-customauthorizer-name=query"),
            headers: &headers,
            username: Some("?x-amz-customauthorizer-name=user"),
        };
        assert_eq!(parameters.authorizer().as_deref(), Some("query"));
        parameters.query = Some("x-amz-customauthorizer-name=");
        assert_eq!(parameters.authorizer().as_deref(), Some("header"));
        parameters.headers = &[];
        assert_eq!(parameters.authorizer().as_deref(), Some("user"));
    }

    #[test]
    fn a_plus_is_a_plus() {
        let query = Some("x-amz-customauthorizer-signature=ab+c=");
        let parameters = AuthorizerParameters { query, ..Default::default() };
        assert_eq!(parameters.signature().as_deref(), Some("ab+c="));
    }

    #[test]
    fn a_question_mark_of_a_user_s_own_stays() {
        let parameters = AuthorizerParameters { username: Some("who?me"), ..Default::default() };
        assert_eq!(parameters.plain_username(), Some("who?me"));
        assert_eq!(parameters.authorizer(), None);
    }
}
