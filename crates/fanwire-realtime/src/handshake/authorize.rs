//! Who a client is, and what it may do: by a custom authorizer, by a signature of AWS's, by
//! the App's users and tokens, or as nobody in particular (reference: iot.md, section 2).

use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use fanwire_policy::{
    Access, Action, AuthorizerParameters, PolicyLimits, PolicySet, Resource, Subject,
};
use fanwire_wire::mqtt::{Connect, ReasonCode};

use super::credentials::token;
use super::question::Token;
use super::refusal::Refusal;
use super::{Arrival, HttpArrival, SignedBy, Signer};
use crate::refresh::{Owner, Refresh};
use crate::settings::{Authorizer, Settings};
use crate::{DisconnectReason, Realtime, RealtimeEvent};

/// How far the clock of the machine where a function runs may be off.
const FUNCTION_SKEW: Duration = Duration::from_secs(60);

/// A client that asks to be let in.
pub(super) struct Asked<'a> {
    pub(super) settings: &'a Settings,
    pub(super) connect: &'a Connect<'a>,
    /// Whether it speaks MQTT. Who publishes over HTTP does not, and `connect` is empty.
    pub(super) mqtt: bool,
    /// The client id, made up where the client has none.
    pub(super) client_id: &'a str,
    pub(super) arrival: &'a Arrival,
}

/// Who it is, and what it may do.
pub(super) struct Authorized {
    pub(super) principal: Box<str>,
    /// Whether the principal is made up, another one at each connection.
    pub(super) made_up: bool,
    /// `None` where everything.
    pub(super) access: Option<Arc<Access>>,
    pub(super) ends: Option<(Instant, DisconnectReason)>,
    pub(super) refresh: Option<Box<Refresh>>,
    pub(super) authorized_in: Option<Duration>,
}

impl Realtime {
    /// Finds out who a client is, and whether it may connect, with the will that it brings.
    pub(super) async fn authorize(&self, asked: &Asked<'_>) -> Result<Authorized, Refusal> {
        let authorized = self.identify(asked).await?;
        let Some(access) = &authorized.access else { return Ok(authorized) };
        let allowed = |action, resource| {
            let denied = |what| Refusal::Unauthorized {
                reason: ReasonCode::NotAuthorized,
                what,
                principal: authorized.principal.clone(),
            };
            allowed(access, action, resource).map_err(denied)
        };
        allowed(Action::Connect, Resource::Client(asked.client_id))?;
        if let Some(will) = &asked.connect.will {
            allowed(Action::Publish, Resource::Topic(will.topic))?;
            if will.retain {
                allowed(Action::RetainPublish, Resource::Topic(will.topic))?;
            }
        }
        Ok(authorized)
    }

    pub(super) async fn identify(&self, asked: &Asked<'_>) -> Result<Authorized, Refusal> {
        let Asked { settings, connect, arrival, .. } = asked;
        let headers = header_pairs(arrival.http.as_ref());
        let parameters = AuthorizerParameters {
            query: arrival.http.as_ref().and_then(|http| http.query.as_deref()),
            headers: &headers,
            username: connect.username,
        };
        if let Some(name) = parameters.authorizer() {
            let unknown = || unauthorized(settings.no_such(&name));
            let authorizer = settings.authorizers.get(&*name).ok_or_else(unknown)?;
            return self.ask(asked, authorizer, &parameters).await;
        }
        match arrival.http.as_ref().map(|http| &http.signer) {
            Some(Signer::Known(signer)) => return signed(asked, signer),
            Some(Signer::Unchecked) => {
                if let Some(key) = parameters.query.and_then(access_key) {
                    return Ok(Authorized::unrestricted(key));
                }
            }
            Some(Signer::Nobody) | None => {}
        }
        let user = parameters.plain_username().filter(|name| !name.is_empty());
        if let (Some(users), Some(name)) = (&settings.users, user)
            && users.access.contains_key(name)
        {
            return self.identify_user(asked, users, name).await;
        }
        if let Some(rules) = &settings.jwt
            && let Some(token) = token(connect.password, &parameters)
        {
            return self.identify_bearer(asked, rules, &token).await;
        }
        if let Some(authorizer) = settings.default_authorizer() {
            return self.ask(asked, authorizer, &parameters).await;
        }
        if let (Some(users), Some(name)) = (&settings.users, user) {
            // Refused, and no sooner than a wrong password.
            return self.identify_user(asked, users, name).await;
        }
        if settings.model.allow_anonymous {
            return Ok(Authorized::unrestricted(""));
        }
        Err(unauthorized(settings.who_is_let_in()))
    }

    /// Asks a custom authorizer.
    async fn ask(
        &self,
        asked: &Asked<'_>,
        authorizer: &Authorizer,
        parameters: &AuthorizerParameters<'_>,
    ) -> Result<Authorized, Refusal> {
        let Asked { connect, client_id, arrival, .. } = asked;
        let token = authorizer.token_key.as_ref().and_then(|key| parameters.token(key));
        let signature_verified = check_signature(authorizer, parameters, token.as_deref())?;
        let token = Token { text: token.as_deref(), is_signed: signature_verified };
        let question = self.question(asked, authorizer, parameters.headers, &token);
        let started = Instant::now();
        let answer = self.put(&question).await.map_err(unauthorized)?;
        let authorized_in = Some(started.elapsed());
        let now = self.inner.hub.clock().now();
        let owner = Owner::of(client_id, &answer.principal, arrival, connect);
        let principal: Box<str> = answer.principal.as_str().into();
        let ends = Some((now + answer.disconnect_after, DisconnectReason::CustomAuthTtlExpiration));
        let refresh = answer
            .refresh_after
            .map(|after| Box::new(Refresh::new(self, question, owner.clone(), now + after)));
        let access = bind(&self.share(answer.policies), &owner.subject());
        self.tell_notes(client_id, &answer.notes);
        let clock = self.inner.hub.clock();
        let ahead_ms = u64::try_from(clock.ahead().as_millis()).unwrap_or(u64::MAX);
        let made_up = is_the_time(&principal, clock.epoch_ms().saturating_sub(ahead_ms));
        Ok(Authorized { principal, made_up, access, ends, refresh, authorized_in })
    }

    /// Tells what is odd about an authorizer's answer.
    pub(crate) fn tell_notes(&self, client_id: &str, notes: &[String]) {
        for note in notes {
            self.inner.observer.observe(&RealtimeEvent::Note { client_id, note });
        }
    }

    /// The set that is equal to this one and in use already, if there is one.
    pub(crate) fn share(&self, policies: PolicySet) -> Arc<PolicySet> {
        let pool = &self.inner.policies;
        pool.lock().unwrap_or_else(PoisonError::into_inner).share(policies)
    }
}

/// The holder of a key, which may do what its permissions say.
fn signed(asked: &Asked<'_>, signer: &SignedBy) -> Result<Authorized, Refusal> {
    let place = &asked.settings.place;
    let policies = PolicySet::parse(&[&signer.document], place, PolicyLimits::LAX);
    let policies = policies.map_err(|error| unauthorized(error.to_string()))?;
    let owner = Owner::of(asked.client_id, &signer.name, asked.arrival, asked.connect);
    let access = bind(&Arc::new(policies), &owner.subject());
    Ok(Authorized { access, ..Authorized::unrestricted(&signer.name) })
}

// === impl Authorized ===

impl Authorized {
    /// Somebody who may do everything.
    fn unrestricted(principal: &str) -> Self {
        Self {
            principal: principal.into(),
            made_up: false,
            access: None,
            ends: None,
            refresh: None,
            authorized_in: None,
        }
    }
}

/// Whether a principal is the time at which its authorizer was asked, in milliseconds since
/// the epoch on the machine's clock, by which functions live. SST's makes one up like that
/// for a client that gives no user name (reference: iot.md, section 9.1).
fn is_the_time(principal: &str, now_ms: u64) -> bool {
    let skew_ms = u64::try_from(FUNCTION_SKEW.as_millis()).unwrap_or(u64::MAX);
    principal.parse::<u64>().is_ok_and(|then| then.abs_diff(now_ms) <= skew_ms)
}

/// The access that policies give to somebody; `None` where it is all.
pub(crate) fn bind(policies: &Arc<PolicySet>, subject: &Subject<'_>) -> Option<Arc<Access>> {
    let access = policies.bind(subject);
    (!access.is_unrestricted()).then(|| Arc::new(access))
}

/// Whether something is allowed; if not, why.
fn allowed(access: &Access, action: Action, resource: Resource<'_>) -> Result<(), String> {
    if access.allows(action, resource) {
        return Ok(());
    }
    Err(access.explain(action, resource).to_string())
}

fn unauthorized(what: impl Into<String>) -> Refusal {
    Refusal::unauthorized(ReasonCode::NotAuthorized, what)
}

/// Whether the token is signed; refused where it has to be and is not.
fn check_signature(
    authorizer: &Authorizer,
    parameters: &AuthorizerParameters<'_>,
    token: Option<&str>,
) -> Result<bool, Refusal> {
    let Some(keys) = &authorizer.keys else { return Ok(false) };
    let signature = parameters.signature();
    match (token, signature) {
        (Some(token), Some(signature)) if keys.verify(token, &signature) => Ok(true),
        (Some(_), Some(_)) => {
            let what = "the token's signature fits none of the authorizer's public_keys";
            Err(unauthorized(what))
        }
        _ => {
            let what = "no token with a signature (x-amz-customauthorizer-signature), which the authorizer's public_keys ask for";
            Err(unauthorized(what))
        }
    }
}

fn header_pairs(http: Option<&HttpArrival>) -> Vec<(&str, &str)> {
    let headers = http.map(|http| http.headers.as_slice()).unwrap_or_default();
    headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect()
}

/// The access key of a URL that is signed with an AWS account's keys, where signatures are not
/// checked: those of the other APIs of `fanwire dev` are not, either.
fn access_key(query: &str) -> Option<&str> {
    let parameter = |name: &str| {
        query.split('&').filter_map(|pair| pair.split_once('=')).find(|(given, _)| *given == name)
    };
    parameter("X-Amz-Signature")?;
    let (_, credential) = parameter("X-Amz-Credential")?;
    credential.split(['/', '%']).next()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_principal_that_is_the_time_is_made_up() {
        let now_ms = 1_764_121_847_000;
        for made_up in ["1764121847000", "1764121846990", "1764121877000"] {
            assert!(is_the_time(made_up, now_ms), "{made_up}");
        }
        for name in ["", "ada", "4915112345678", "1764021847000", "176412184700x"] {
            assert!(!is_the_time(name, now_ms), "{name}");
        }
    }

    #[test]
    fn a_signed_url_names_its_access_key() {
        let query = "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKID%2F20260101%2Fx&X-Amz-Signature=ab";
        assert_eq!(access_key(query), Some("AKID"));
        assert_eq!(access_key("X-Amz-Credential=AKID%2F2026"), None);
    }
}
