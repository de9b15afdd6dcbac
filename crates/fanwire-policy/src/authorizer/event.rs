//! What an authorizer's function is told.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;
use serde::ser::{SerializeMap, SerializeSeq, SerializeStruct, Serializer};

/// The event of a custom authorizer, whose JSON has only the members that apply.
#[derive(Debug, Clone, Copy)]
pub struct AuthorizerEvent<'a> {
    /// The token, where the authorizer's `tokenKeyName` was found.
    pub token: Option<&'a str>,
    /// The token's signature was checked, and is good.
    pub signature_verified: bool,
    /// The server name that the client sent in TLS. On AWS there always is one.
    pub tls_server_name: Option<&'a str>,
    /// The request, of WebSockets and of publishing over HTTP.
    pub http: Option<HttpData<'a>>,
    /// CONNECT.
    pub mqtt: Option<MqttData<'a>>,
    /// A UUID for the connection, the same whenever the authorizer is called again.
    pub connection_id: &'a str,
}

/// What a request brought.
#[derive(Debug, Clone, Copy)]
pub struct HttpData<'a> {
    /// The headers. Of one that came several times the values are joined with `, `.
    pub headers: &'a [(&'a str, &'a str)],
    /// The URL's query, without the `?`. Empty is none.
    pub query: &'a str,
}

/// What CONNECT brought.
#[derive(Debug, Clone, Copy)]
pub struct MqttData<'a> {
    /// The user name, with the parameters behind it.
    pub username: Option<&'a str>,
    /// The password, which is any bytes: the function gets it in base64.
    pub password: Option<&'a [u8]>,
    /// The client id that was sent. Empty is none.
    pub client_id: &'a str,
}

// === impl AuthorizerEvent ===

impl AuthorizerEvent<'_> {
    /// The event in JSON.
    pub fn to_json(&self) -> Vec<u8> {
        // Texts, bytes and booleans: there is nothing that JSON could not hold.
        serde_json::to_vec(self).unwrap_or_default()
    }
}

impl Serialize for AuthorizerEvent<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut event = serializer.serialize_struct("AuthorizerEvent", 5)?;
        match self.token {
            Some(token) => event.serialize_field("token", token)?,
            None => event.skip_field("token")?,
        }
        event.serialize_field("signatureVerified", &self.signature_verified)?;
        event.serialize_field("protocols", &Protocols(self))?;
        event.serialize_field("protocolData", &ProtocolData(self))?;
        event.serialize_field("connectionMetadata", &Id { id: self.connection_id })?;
        event.end()
    }
}

struct Protocols<'a>(&'a AuthorizerEvent<'a>);

impl Serialize for Protocols<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut protocols = serializer.serialize_seq(None)?;
        if self.0.tls_server_name.is_some() {
            protocols.serialize_element("tls")?;
        }
        if self.0.http.is_some() {
            protocols.serialize_element("http")?;
        }
        if self.0.mqtt.is_some() {
            protocols.serialize_element("mqtt")?;
        }
        protocols.end()
    }
}

struct ProtocolData<'a>(&'a AuthorizerEvent<'a>);

impl Serialize for ProtocolData<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        #[serde(rename_all = "camelCase")]
        struct Tls<'a> {
            server_name: &'a str,
        }
        let mut data = serializer.serialize_map(None)?;
        if let Some(server_name) = self.0.tls_server_name {
            data.serialize_entry("tls", &Tls { server_name })?;
        }
        if let Some(http) = &self.0.http {
            data.serialize_entry("http", http)?;
        }
        if let Some(mqtt) = &self.0.mqtt {
            data.serialize_entry("mqtt", mqtt)?;
        }
        data.end()
    }
}

#[derive(Serialize)]
struct Id<'a> {
    id: &'a str,
}

impl Serialize for HttpData<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut http = serializer.serialize_map(None)?;
        http.serialize_entry("headers", &Headers(self.headers))?;
        if !self.query.is_empty() {
            http.serialize_entry("queryString", &format_args!("?{}", self.query))?;
        }
        http.end()
    }
}

struct Headers<'a>(&'a [(&'a str, &'a str)]);

impl Serialize for Headers<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut headers = serializer.serialize_map(None)?;
        for (index, (name, _)) in self.0.iter().enumerate() {
            let same = |(other, _): &&(&str, &str)| other.eq_ignore_ascii_case(name);
            if self.0[..index].iter().any(|header| same(&header)) {
                continue;
            }
            let values: Vec<&str> = self.0.iter().filter(same).map(|(_, value)| *value).collect();
            headers.serialize_entry(name, &values.join(", "))?;
        }
        headers.end()
    }
}

impl Serialize for MqttData<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut mqtt = serializer.serialize_map(None)?;
        if let Some(username) = self.username {
            mqtt.serialize_entry("username", username)?;
        }
        if let Some(password) = self.password {
            mqtt.serialize_entry("password", &STANDARD.encode(password))?;
        }
        if !self.client_id.is_empty() {
            mqtt.serialize_entry("clientId", self.client_id)?;
        }
        mqtt.end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    const BARE: AuthorizerEvent<'_> = AuthorizerEvent {
        token: None,
        signature_verified: false,
        tls_server_name: None,
        http: None,
        mqtt: None,
        connection_id: "5a9c",
    };

    fn json_of(event: &AuthorizerEvent<'_>) -> Value {
        serde_json::from_slice(&event.to_json()).unwrap()
    }

    #[test]
    fn a_websocket_s_event_is_the_one_documented() {
        let headers = [("Host", "h"), ("Sec-WebSocket-Protocol", "mqtt")];
        let event = AuthorizerEvent {
            token: Some("aToken"),
            signature_verified: true,
            tls_server_name: Some("xxxx-ats.iot.us-east-1.amazonaws.com"),
            http: Some(HttpData {
                headers: &headers,
                query: "x-amz-customauthorizer-name=my-auth&token=abc",
            }),
            mqtt: Some(MqttData {
                username: Some("user?x-amz-customauthorizer-name=my-auth"),
                password: Some(b"password"),
                client_id: "client-1",
            }),
            ..BARE
        };
        let expected = r#"{"token":"aToken","signatureVerified":true,"protocols":["tls","http","mqtt"],"protocolData":{"tls":{"serverName":"xxxx-ats.iot.us-east-1.amazonaws.com"},"http":{"headers":{"Host":"h","Sec-WebSocket-Protocol":"mqtt"},"queryString":"?x-amz-customauthorizer-name=my-auth&token=abc"},"mqtt":{"username":"user?x-amz-customauthorizer-name=my-auth","password":"cGFzc3dvcmQ=","clientId":"client-1"}},"connectionMetadata":{"id":"5a9c"}}"#;
        assert_eq!(String::from_utf8(event.to_json()).unwrap(), expected);
    }

    #[test]
    fn what_does_not_apply_is_left_out() {
        let mqtt = MqttData { username: Some(""), password: None, client_id: "" };
        assert_eq!(
            json_of(&AuthorizerEvent { tls_server_name: Some("h"), mqtt: Some(mqtt), ..BARE }),
            json!({
                "signatureVerified": false,
                "protocols": ["tls", "mqtt"],
                "protocolData": { "tls": { "serverName": "h" }, "mqtt": { "username": "" } },
                "connectionMetadata": { "id": "5a9c" },
            })
        );
        let http = HttpData { headers: &[], query: "" };
        let event = json_of(&AuthorizerEvent { http: Some(http), ..BARE });
        assert_eq!(event["protocolData"], json!({ "http": { "headers": {} } }));
    }

    #[test]
    fn headers_that_repeat_are_joined() {
        let headers = [("Cookie", "a=1"), ("Host", "h"), ("cookie", "b=2")];
        let http = HttpData { headers: &headers, query: "" };
        assert_eq!(
            json_of(&AuthorizerEvent { http: Some(http), ..BARE })["protocolData"]["http"]["headers"],
            json!({ "Cookie": "a=1, b=2", "Host": "h" })
        );
    }

    #[test]
    fn a_password_may_be_any_bytes() {
        let mqtt = MqttData { username: None, password: Some(&[0, 255]), client_id: "c" };
        let event = json_of(&AuthorizerEvent { mqtt: Some(mqtt), ..BARE });
        assert_eq!(event["protocolData"]["mqtt"], json!({ "password": "AP8=", "clientId": "c" }));
    }
}
