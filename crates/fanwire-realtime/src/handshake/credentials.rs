//! Who a client is by the App's own means, without a function: users with passwords, and
//! tokens.

use std::sync::Arc;
use std::time::{Duration, Instant};

use fanwire_policy::{AuthorizerParameters, Identity, Jwks, JwtError, Subject};
use fanwire_wire::mqtt::ReasonCode;

use super::admit::unacceptable;
use super::authorize::{Asked, Authorized, bind};
use super::refusal::Refusal;
use crate::refresh::Owner;
use crate::settings::{StaticUsers, TokenRules};
use crate::{DisconnectReason, Realtime};

/// Passwords that are checked at once. Each takes tens of milliseconds of CPU and the
/// memory that its hash asks for.
pub(crate) const MAX_PASSWORD_CHECKS: usize = 4;

/// The parameter of the URL or the headers that a token may come in, for clients that
/// cannot set a password.
pub(super) const TOKEN_PARAMETER: &str = "token";

/// How a user or a token that is not good is refused, in words for the log.
const WRONG_PASSWORD: &str = "the user name or the password is wrong (realtime.users)";

impl Realtime {
    /// Lets a user in whose password is right.
    pub(super) async fn identify_user(
        &self,
        asked: &Asked<'_>,
        users: &StaticUsers,
        name: &str,
    ) -> Result<Authorized, Refusal> {
        let password = asked.connect.password.unwrap_or_default().to_vec();
        let started = Instant::now();
        let right = self.check_password(asked, users, name.to_owned(), password).await?;
        let wrong = || Refusal::unauthorized(ReasonCode::BadUserNameOrPassword, WRONG_PASSWORD);
        let policies = users.access.get(name).filter(|_| right).ok_or_else(wrong)?;
        let owner = Owner::of(asked.client_id, name, asked.arrival, asked.connect);
        Ok(Authorized {
            principal: name.into(),
            made_up: false,
            access: bind(policies, &owner.subject()),
            ends: None,
            refresh: None,
            authorized_in: Some(started.elapsed()),
        })
    }

    /// Checks a password where blocking is allowed, with few others at once.
    async fn check_password(
        &self,
        asked: &Asked<'_>,
        users: &StaticUsers,
        name: String,
        password: Vec<u8>,
    ) -> Result<bool, Refusal> {
        let patience = asked.settings.limits().authorizer_timeout;
        let busy = || {
            let what = "too many passwords are being checked; try again later";
            unacceptable(ReasonCode::ServerBusy, what)
        };
        let place = Arc::clone(&self.inner.password_checks).acquire_owned();
        let place = tokio::time::timeout(patience, place).await.map_err(|_| busy())?;
        let place = place.map_err(|_| busy())?;
        let hashes = Arc::clone(&users.hashes);
        let check = self.inner.runtime.spawn_blocking(move || {
            let right = hashes.verify(&name, &password);
            // Held until here, even where the client has gone meanwhile.
            drop(place);
            right
        });
        check.await.map_err(|_| busy())
    }

    /// Lets the bearer of a good token in.
    pub(super) async fn identify_bearer(
        &self,
        asked: &Asked<'_>,
        rules: &TokenRules,
        token: &str,
    ) -> Result<Authorized, Refusal> {
        let started = Instant::now();
        let identity = self.verify_token(asked, rules, token).await?;
        let owner = Owner::of(asked.client_id, &identity.principal, asked.arrival, asked.connect);
        let subject = Subject { claims: Some(&identity.claims), ..owner.subject() };
        Ok(Authorized {
            principal: identity.principal.as_str().into(),
            made_up: false,
            access: bind(&rules.access, &subject),
            ends: self.moment(identity.expires_at),
            refresh: None,
            authorized_in: Some(started.elapsed()),
        })
    }

    async fn verify_token(
        &self,
        asked: &Asked<'_>,
        rules: &TokenRules,
        token: &str,
    ) -> Result<Identity, Refusal> {
        let patience = asked.settings.limits().authorizer_timeout;
        let clock = self.inner.hub.clock();
        let keys = self.inner.keys.current(clock.now(), patience).await;
        let keys = keys.map_err(|none| {
            Refusal::unauthorized(ReasonCode::ServerUnavailable, none.to_string())
        })?;
        let verify = |keys: &Jwks| rules.rules.verify(token, keys, clock.epoch_ms() / 1000);
        let mut verified = verify(&keys);
        if verified.as_ref().is_err_and(JwtError::wants_newer_keys)
            && let Some(newer) = self.inner.keys.newer_than(&keys, clock.now(), patience).await
        {
            verified = verify(&newer);
        }
        verified.map_err(|error| {
            let what = format!("{error} (realtime.jwt)");
            Refusal::unauthorized(ReasonCode::NotAuthorized, what)
        })
    }

    /// When a token is over. One that holds for longer than any clock counts has no end.
    fn moment(&self, seconds: u64) -> Option<(Instant, DisconnectReason)> {
        let clock = self.inner.hub.clock();
        let left =
            Duration::from_secs(seconds).saturating_sub(Duration::from_millis(clock.epoch_ms()));
        let at = clock.now().checked_add(left)?;
        Some((at, DisconnectReason::CustomAuthTtlExpiration))
    }
}

/// The token of a client, where it gives something that looks like one: as its password,
/// or as the parameter `token`.
pub(super) fn token<'a>(
    password: Option<&'a [u8]>,
    parameters: &AuthorizerParameters<'a>,
) -> Option<std::borrow::Cow<'a, str>> {
    let password = password.and_then(|password| str::from_utf8(password).ok());
    let given = password.filter(|text| looks_like_jwt(text)).map(Into::into);
    given.or_else(|| parameters.token(TOKEN_PARAMETER).filter(|text| looks_like_jwt(text)))
}

/// Whether a text has the three parts of a JWT, the first of which is an object in
/// base64url (RFC 7515, 7.1).
fn looks_like_jwt(text: &str) -> bool {
    let base64url = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    let mut parts = text.split('.');
    let three = [parts.next(), parts.next(), parts.next()];
    let whole = three
        .iter()
        .all(|part| part.is_some_and(|part| !part.is_empty() && part.bytes().all(base64url)));
    // `{"` in base64.
    whole && parts.next().is_none() && text.starts_with("ey")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_may_be_a_token() {
        assert!(looks_like_jwt("eyJhbGciOiJub25lIn0.e30.c2ln"));
        for text in ["", "secret", "a.b.c", "eyJ.e30", "eyJ.e30.", "eyJ.e30.a.b", "eyJ.e30.a b"] {
            assert!(!looks_like_jwt(text), "{text}");
        }
    }

    #[test]
    fn a_token_is_found_in_the_password_or_the_url() {
        let jwt = "eyJhbGciOiJub25lIn0.e30.c2ln";
        let query = format!("token={jwt}");
        let url = AuthorizerParameters { query: Some(&query), ..Default::default() };
        assert_eq!(token(Some(jwt.as_bytes()), &Default::default()).as_deref(), Some(jwt));
        assert_eq!(token(Some(b"\xff"), &url).as_deref(), Some(jwt));
        assert_eq!(token(Some(b"secret"), &Default::default()), None);
    }
}
