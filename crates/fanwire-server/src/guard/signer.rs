//! Clients of the realtime endpoint whose URL is signed with a key, as AWS's SDKs for devices
//! sign it (reference: iot.md, section 1).

use std::sync::Arc;

use fanwire_access::{Grants, SignatureError, Signed, sha256};
use fanwire_app::serve::permission::Permission;
use fanwire_realtime::{SignedBy, Signer};
use http::{HeaderMap, Method, Request, StatusCode, Uri};
use serde_json::value::{RawValue, to_raw_value};
use serde_json::{Value, json};

use super::admit::now;
use super::{Guard, GuardEvent};
use crate::response::{self, Answer};
use crate::router::{Router, Source};

/// What URLs are signed for.
const SERVICES: [&str; 2] = ["iotdevicegateway", "iotdata"];

/// What MQTT clients may do, and the kind of resource that each action is done to.
const ACTIONS: [(&str, &str); 5] = [
    ("iot:Connect", "client"),
    ("iot:Publish", "topic"),
    ("iot:RetainPublish", "topic"),
    ("iot:Receive", "topic"),
    ("iot:Subscribe", "topicfilter"),
];

// === impl Guard ===

impl Guard {
    /// Who has signed a request that has no signature.
    pub(crate) fn signer_of_nobody(&self) -> Signer {
        if self.credentials.is_some() { Signer::Nobody } else { Signer::Unchecked }
    }
}

impl Router {
    /// Finds out who has signed a handshake, where somebody says so. A signature that does not
    /// count is refused here: AWS answers the handshake, too, with 403.
    pub(crate) fn signer(
        &self,
        headers: &HeaderMap,
        uri: &Uri,
        source: &Source,
    ) -> Result<Signer, Box<Answer>> {
        let guard = self.guard();
        let Some(credentials) = &guard.credentials else { return Ok(Signer::Unchecked) };
        let mut request = Request::new(());
        *request.method_mut() = Method::GET;
        *request.uri_mut() = uri.clone();
        *request.headers_mut() = headers.clone();
        let (head, ()) = request.into_parts();
        let valid = credentials.now();
        let verify = || -> Result<Signer, SignatureError> {
            let Some(signed) = Signed::read(&head)? else { return Ok(Signer::Nobody) };
            let key = signed.verify(&head, &valid.ring, &SERVICES, now(), &sha256(b""))?;
            let document = document_of(&key.grants);
            Ok(Signer::Known(Arc::new(SignedBy { name: key.name.clone(), document })))
        };
        verify().map_err(|error| {
            guard.tell(&GuardEvent::Denied {
                caller: None,
                action: Some("iot:Connect"),
                resource: None,
                source_ip: self.client(source, headers).address.ip(),
                error: error.name(),
                why: "the signature of a WebSocket's URL does not count",
            });
            let body = response::message(&error.to_string());
            Box::new(response::error(StatusCode::FORBIDDEN, error.name(), body))
        })
    }
}

/// What permissions allow a client of MQTT, as an IoT policy.
fn document_of(grants: &Grants) -> Box<RawValue> {
    let mut statements: Vec<Value> = Vec::new();
    for (action, kind) in ACTIONS {
        let resources: Vec<String> =
            grants.iter().filter(|grant| is_for(grant, action)).map(|g| arn_of(g, kind)).collect();
        if !resources.is_empty() {
            statements.push(json!({ "Effect": "Allow", "Action": action, "Resource": resources }));
        }
    }
    let document = json!({ "Version": "2012-10-17", "Statement": statements });
    // Values that are text all through: this cannot fail, and what is `null` allows nothing.
    to_raw_value(&document).unwrap_or_else(|_| RawValue::NULL.to_owned())
}

/// Whether a permission is for an action, whatever the resource.
fn is_for(permission: &Permission, action: &str) -> bool {
    let question = fanwire_access::Question {
        action: action.to_owned(),
        arn: "*".to_owned(),
        names: Vec::new(),
    };
    let any = Permission { resource: "*".to_owned(), ..permission.clone() };
    Grants::new([any]).allow(&question)
}

/// The pattern of ARNs that a permission's resource means.
fn arn_of(permission: &Permission, kind: &str) -> String {
    match permission.resource.as_str() {
        "*" => "*".to_owned(),
        arn if arn.starts_with("arn:") => arn.to_owned(),
        name => format!("arn:aws:iot:*:*:{kind}/{name}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn permissions_become_a_policy() {
        let grants = ["iot:Publish orders/*", "iot:Connect", "lambda:*", "iot:Sub* a"];
        let grants = Grants::new(grants.iter().map(|text| Permission::parse(text).unwrap()));
        let document: Value = serde_json::from_str(document_of(&grants).get()).unwrap();
        let statement = |action: &str, resource: &str| json!({ "Effect": "Allow", "Action": action, "Resource": [resource] });
        assert_eq!(
            document["Statement"],
            json!([
                statement("iot:Connect", "*"),
                statement("iot:Publish", "arn:aws:iot:*:*:topic/orders/*"),
                statement("iot:Subscribe", "arn:aws:iot:*:*:topicfilter/a"),
            ])
        );
    }
}
