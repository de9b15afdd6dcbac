//! Trying policies out: `POST /_fanwire/policy`.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use fanwire_policy::{Action, Decision, Resource};
use fanwire_realtime::{Credentials, Realtime, Trial};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::iot_data::DataError;

/// The client id of somebody who says none.
const CLIENT_ID: &str = "policy-test";

/// What is asked.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Question {
    /// What is to be done, such as `iot:Publish` or `publish`.
    action: String,
    /// What with: a client id, a topic filter or a topic, by the action.
    resource: String,
    /// The client that is connected and meant. Without one, whoever has what follows.
    of: Option<String>,
    client_id: Option<String>,
    source_ip: Option<IpAddr>,
    authorizer: Option<String>,
    token: Option<String>,
    signature: Option<String>,
    username: Option<String>,
    password: Option<String>,
}

impl Question {
    pub(super) fn read(body: &[u8]) -> Result<Self, DataError> {
        serde_json::from_slice(body).map_err(|error| DataError::invalid(error.to_string()))
    }

    pub(super) async fn answer(self, plane: &Realtime) -> Result<Value, DataError> {
        let action = Action::of_name(&self.action).ok_or_else(|| {
            DataError::invalid(format!("`{}` is not an action of IoT policies", self.action))
        })?;
        let trial = match self.trial(action, plane).await? {
            Ok(trial) => trial,
            Err(why) => return Ok(json!({ "allowed": false, "refused": why })),
        };
        let decision = trial.explain(action, resource(action, &self.resource));
        let mut value = describe_decision(&decision);
        value["principal"] = json!(trial.principal);
        Ok(value)
    }

    /// What the client in question may do; or why it is not let in.
    async fn trial(
        &self,
        action: Action,
        plane: &Realtime,
    ) -> Result<Result<Trial, String>, DataError> {
        if let Some(client) = &self.of {
            let found = plane.try_client(client).await?;
            let gone = || DataError::gone(format!("no client `{client}` is connected"));
            return found.map(Ok).ok_or_else(gone);
        }
        let of_connect = (action == Action::Connect).then(|| self.resource.clone());
        let client_id = self.client_id.clone().or(of_connect);
        let ip = self.source_ip.unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST));
        let credentials = Credentials {
            client_id: client_id.unwrap_or_else(|| CLIENT_ID.to_owned()),
            peer: SocketAddr::new(ip, 0),
            authorizer: self.authorizer.clone(),
            token: self.token.clone(),
            signature: self.signature.clone(),
            username: self.username.clone(),
            password: self.password.clone(),
        };
        Ok(plane.try_credentials(&credentials).await)
    }
}

/// The resource of an action, by its name.
fn resource(action: Action, name: &str) -> Resource<'_> {
    match action {
        Action::Connect
        | Action::DeleteConnection
        | Action::GetConnection
        | Action::ListSubscriptions
        | Action::SendDirectMessage => Resource::Client(name),
        Action::Subscribe => Resource::TopicFilter(name),
        Action::ListRetainedMessages => Resource::Every,
        Action::GetThingShadow
        | Action::UpdateThingShadow
        | Action::DeleteThingShadow
        | Action::ListNamedShadowsForThing => Resource::Thing(name),
        Action::Publish | Action::RetainPublish | Action::Receive | Action::GetRetainedMessage => {
            Resource::Topic(name)
        }
    }
}

/// Decides what a policy says about an action, for programs: the form that
/// `POST /_fanwire/policy` answers in.
pub fn describe_decision(decision: &Decision) -> Value {
    let statement = decision.statement.as_ref().map(|statement| {
        json!({
            "name": statement.name,
            "document": statement.document,
            "index": statement.index,
            "sid": statement.sid,
        })
    });
    json!({
        "allowed": decision.allowed,
        "action": decision.action.name(),
        "resource": decision.resource,
        "statement": statement,
        "wouldHaveAllowed": decision.would_have_allowed,
        "explanation": decision.to_string(),
    })
}

/// The resource that an action of a name is done to, and the action.
pub fn question_of<'a>(action: &str, name: &'a str) -> Option<(Action, Resource<'a>)> {
    let action = Action::of_name(action)?;
    Some((action, resource(action, name)))
}
