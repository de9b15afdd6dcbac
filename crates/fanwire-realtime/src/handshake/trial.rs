//! Who somebody is, and what it may do, without a connection: who publishes over HTTP, and
//! people who try policies out.

use std::net::SocketAddr;
use std::sync::Arc;

use fanwire_policy::{
    Access, Action, AuthorizerParameters, Decision, PolicySet, Resource, Subject,
};
use fanwire_wire::mqtt::{Connect, ConnectProperties, Version};

use super::authorize::Asked;
use super::credentials::TOKEN_PARAMETER;
use super::{Arrival, HttpArrival, Signer};
use crate::Realtime;

/// What a client would connect with.
#[derive(Debug, Clone)]
pub struct Credentials {
    /// The client id.
    pub client_id: String,
    /// Where it would come from.
    pub peer: SocketAddr,
    /// The authorizer that it would name.
    pub authorizer: Option<String>,
    /// The token that it would give the authorizer.
    pub token: Option<String>,
    /// The token's signature, in base64.
    pub signature: Option<String>,
    /// The user name of its CONNECT.
    pub username: Option<String>,
    /// The password of its CONNECT.
    pub password: Option<String>,
}

/// What somebody may do, as it was asked for.
#[derive(Debug, Clone)]
pub struct Trial {
    /// Whom it was taken for; empty where nobody was asked.
    pub principal: String,
    access: Option<Arc<Access>>,
}

// === impl Realtime ===

impl Realtime {
    /// Finds out what a client with these credentials might do: its authorizer is called,
    /// its password or token is checked.
    ///
    /// # Errors
    ///
    /// Why it would not be let in, in words.
    pub async fn try_credentials(&self, credentials: &Credentials) -> Result<Trial, String> {
        let settings = self.inner.settings.load_full();
        let connect = Connect {
            client_id: &credentials.client_id,
            username: credentials.username.as_deref(),
            password: credentials.password.as_deref().map(str::as_bytes),
            ..nobody()
        };
        let mut headers = Vec::new();
        let mut header = |name: &str, value: &Option<String>| {
            headers.extend(value.clone().map(|value| (name.to_owned(), value)));
        };
        header("x-amz-customauthorizer-name", &credentials.authorizer);
        header("x-amz-customauthorizer-signature", &credentials.signature);
        let named = credentials.authorizer.as_ref();
        let authorizer = match named {
            Some(name) => settings.authorizers.get(name),
            None => settings.default_authorizer(),
        };
        let key = authorizer.and_then(|authorizer| authorizer.token_key.as_deref());
        header(key.unwrap_or(TOKEN_PARAMETER), &credentials.token);
        let http = Some(HttpArrival { headers, query: None, signer: Signer::Nobody });
        let arrival = Arrival { peer: credentials.peer, tls: None, http };
        let client_id = &credentials.client_id;
        let (settings, connect, arrival) = (&settings, &connect, &arrival);
        let asked = Asked { settings, connect, mqtt: true, client_id, arrival };
        let found = self.identify(&asked).await.map_err(|refusal| refusal.to_string())?;
        Ok(Trial { principal: found.principal.into(), access: found.access })
    }

    /// Asks the custom authorizer that an HTTP request names what whoever sent it may do
    /// (reference: iot.md, section 2). `None` where it names none.
    ///
    /// # Errors
    ///
    /// Why it is turned away, in words.
    pub async fn authorize_request(&self, arrival: &Arrival) -> Result<Option<Trial>, String> {
        if !arrival.http.as_ref().is_some_and(HttpArrival::names_authorizer) {
            return Ok(None);
        }
        let settings = &self.inner.settings.load_full();
        let asked = Asked { settings, connect: &nobody(), mqtt: false, client_id: "", arrival };
        let found = self.identify(&asked).await.map_err(|refusal| refusal.to_string())?;
        Ok(Some(Trial { principal: found.principal.into(), access: found.access }))
    }

    /// What a client that is connected to this node may do. `None` where it is not.
    ///
    /// # Errors
    ///
    /// [`Busy`](fanwire_hub::Busy) where too much waits for its shard.
    pub async fn try_client(&self, client_id: &str) -> Result<Option<Trial>, fanwire_hub::Busy> {
        let session = self.session_here(client_id).await?.filter(|session| session.connected);
        Ok(session.map(|session| Trial { principal: session.principal, access: session.access }))
    }
}

/// The CONNECT of a client that says nothing.
fn nobody<'b>() -> Connect<'b> {
    Connect {
        version: Version::V5,
        client_id: "",
        clean_start: true,
        keep_alive: 0,
        will: None,
        username: None,
        password: None,
        properties: ConnectProperties::default(),
    }
}

// === impl HttpArrival ===

impl HttpArrival {
    /// Whether the request names a custom authorizer, in its query or headers.
    pub fn names_authorizer(&self) -> bool {
        let headers: Vec<_> =
            self.headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let query = self.query.as_deref();
        AuthorizerParameters { query, headers: &headers, username: None }.authorizer().is_some()
    }
}

// === impl Trial ===

impl Trial {
    /// Whether something is allowed, and why.
    pub fn explain(&self, action: Action, resource: Resource<'_>) -> Decision {
        match &self.access {
            Some(access) => access.explain(action, resource),
            None => {
                let all = Arc::new(PolicySet::unrestricted()).bind(&Subject::default());
                all.explain(action, resource)
            }
        }
    }
}
