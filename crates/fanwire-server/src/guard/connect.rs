//! What a handshake of a WebSocket API has to show before anybody is asked: where its page
//! comes from, an API key, a signature, or a token (reference: api-gateway.md, sections 5 and 9).

use std::time::Instant;

use fanwire_access::{Question, SignatureError, Signed, sha256};
use fanwire_app::model::{ConnectRules, JwtAuthorizer, WebSocketApi};
use fanwire_policy::JwtRules;
use fanwire_websocket::{ApiIndex, ClientRequest, Voucher, request_id};
use http::header::ORIGIN;
use http::request::Parts;
use http::{HeaderValue, StatusCode};
use serde_json::value::to_raw_value;
use serde_json::{Map, Value, json};

use super::GuardEvent;
use super::admit::now;
use super::plans::Spent;
use crate::response::{self, Answer};
use crate::router::{Router, Source};

/// The header of API keys (`$request.header.x-api-key`).
const API_KEY: &str = "x-api-key";

/// Why a handshake is refused, and how AWS says it.
#[derive(Debug, thiserror::Error)]
enum Refusal {
    #[error("pages of `{0}` may not connect (allowed_origins)")]
    Origin(String),
    #[error("there is no API key, or it is none of [access.api_keys]")]
    ApiKey,
    #[error("the usage plan of the API key `{key}` is used up: {spent}")]
    Plan { key: String, spent: Spent },
    #[error("the signature does not count: {}", .0.name())]
    Signature(#[from] SignatureError),
    #[error("`{key}` may not {action} on {arn}")]
    Denied { key: String, action: String, arn: String },
    #[error("the token is not good: {0}")]
    Token(String),
}

impl Refusal {
    fn into_answer(self, user: impl Fn(&str) -> String) -> Answer {
        let forbidden = StatusCode::FORBIDDEN;
        let (status, name, body) = match &self {
            Self::Origin(_) | Self::ApiKey => {
                (forbidden, "ForbiddenException", json!({ "message": "Forbidden" }))
            }
            Self::Plan { spent, .. } => {
                let status = StatusCode::TOO_MANY_REQUESTS;
                (status, "TooManyRequestsException", json!({ "message": spent.to_string() }))
            }
            Self::Signature(error) => {
                (forbidden, error.name(), json!({ "message": error.to_string() }))
            }
            Self::Denied { key, action, arn } => {
                let text = format!(
                    "User: {} is not authorized to perform: {action} on resource: {arn}",
                    user(key)
                );
                (forbidden, "AccessDeniedException", json!({ "Message": text }))
            }
            Self::Token(_) => {
                let status = StatusCode::UNAUTHORIZED;
                (status, "UnauthorizedException", json!({ "message": "Unauthorized" }))
            }
        };
        let answer = response::error(status, name, body.to_string());
        response::with_gateway_ids(answer, &request_id())
    }
}

impl Router {
    /// Whether a handshake shows what its API asks for; who it is, as far as that tells.
    pub(crate) async fn vouch(
        &self,
        api: ApiIndex,
        head: &Parts,
        client: ClientRequest,
        source: &Source,
    ) -> Result<ClientRequest, Box<Answer>> {
        let apis = self.plane().apis();
        let Some((_, api)) = apis.iter().find(|(index, _)| *index == api) else {
            return Ok(client);
        };
        let ConnectRules { iam, api_key, allowed_origins, jwt, .. } = &api.connect;
        if !iam && !api_key && allowed_origins.is_empty() && jwt.is_none() {
            return Ok(client);
        }
        match self.try_vouch(api, head, &client).await {
            Ok(voucher) => Ok(client.vouched_for(voucher)),
            Err(refusal) => {
                self.guard().tell(&GuardEvent::Denied {
                    caller: None,
                    action: Some("execute-api:Invoke"),
                    resource: Some(&self.arn_of_connect(api)),
                    source_ip: self.client(source, &head.headers).address.ip(),
                    error: "Forbidden",
                    why: &refusal.to_string(),
                });
                Err(Box::new(refusal.into_answer(|name| self.arn_of_user(name))))
            }
        }
    }

    async fn try_vouch(
        &self,
        api: &WebSocketApi,
        head: &Parts,
        client: &ClientRequest,
    ) -> Result<Voucher, Refusal> {
        let mut voucher = Voucher::default();
        check_origin(&api.connect.allowed_origins, head.headers.get(ORIGIN))?;
        if api.connect.api_key {
            self.check_api_key(client, &mut voucher)?;
        }
        if api.connect.iam {
            self.check_signature(api, head, &mut voucher)?;
        }
        if let Some(jwt) = api.connect.token() {
            self.check_token(jwt, client, &mut voucher).await?;
        }
        Ok(voucher)
    }

    /// Where no keys are asked for, as in `dev`, any will do: there is none to compare with.
    fn check_api_key(&self, client: &ClientRequest, voucher: &mut Voucher) -> Result<(), Refusal> {
        let guard = self.guard();
        let Some(credentials) = &guard.credentials else { return Ok(()) };
        let shown = client.header(API_KEY).ok_or(Refusal::ApiKey)?;
        let valid = credentials.now();
        // A look-up by a hash: its time says nothing of the key.
        let known = valid.api_keys.get(&sha256(shown.as_bytes())).ok_or(Refusal::ApiKey)?;
        let day = i64::try_from(now() / 86_400).unwrap_or(0);
        let spent = guard.plans.spend(&known.name, known.plan.as_deref(), Instant::now(), day);
        spent.map_err(|spent| Refusal::Plan { key: known.name.clone(), spent })?;
        voucher.identity.push(("apiKey", shown.to_owned()));
        voucher.identity.push(("apiKeyId", known.name.clone()));
        Ok(())
    }

    fn check_signature(
        &self,
        api: &WebSocketApi,
        head: &Parts,
        voucher: &mut Voucher,
    ) -> Result<(), Refusal> {
        let Some(credentials) = &self.guard().credentials else { return Ok(()) };
        let signed = Signed::read(head)?.ok_or(SignatureError::Missing)?;
        let valid = credentials.now();
        let key = signed.verify(head, &valid.ring, &["execute-api"], now(), &sha256(b""))?;
        let arn = self.arn_of_connect(api);
        let place = format!("{}/$connect", api.stage);
        let names = [&api.id, &api.name].into_iter().flat_map(|name| {
            [name.clone(), format!("{name}/{}", api.stage), format!("{name}/{place}")]
        });
        let action = "execute-api:Invoke".to_owned();
        let question = Question { action, arn, names: names.collect() };
        if !key.grants.allow(&question) {
            let Question { action, arn, .. } = question;
            return Err(Refusal::Denied { key: key.name.clone(), action, arn });
        }
        let user = self.arn_of_user(&key.name);
        voucher.identity.extend([
            ("accessKey", key.id.clone()),
            ("accountId", self.account_id()),
            ("caller", key.name.clone()),
            ("user", key.name.clone()),
            ("userArn", user),
        ]);
        voucher.principal = Some(key.name.clone());
        Ok(())
    }

    async fn check_token(
        &self,
        jwt: &JwtAuthorizer,
        client: &ClientRequest,
        voucher: &mut Voucher,
    ) -> Result<(), Refusal> {
        let source = jwt.identity_source.as_str();
        let shown = match source.rsplit_once('.') {
            Some(("route.request.querystring", name)) => client.query_parameter(name),
            Some((_, name)) => client.header(name),
            None => None,
        };
        let missing = || Refusal::Token(format!("{source} is missing"));
        let shown = shown.ok_or_else(missing)?;
        let token = match shown.split_once(' ') {
            Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => token.trim(),
            _ => shown,
        };
        let rules = JwtRules {
            issuer: jwt.issuer.clone(),
            audience: jwt.audience.clone(),
            principal_claim: "sub".to_owned(),
        };
        let identity = self.guard().tokens.verify(&jwt.jwks, &rules, token, now()).await;
        let identity = identity.map_err(Refusal::Token)?;
        let context = json!({
            "jwt": { "claims": texts_of(&identity.claims), "scopes": scopes_of(&identity.claims) },
            "principalId": identity.principal,
        });
        voucher.authorizer = to_raw_value(&context).ok();
        voucher.principal = Some(identity.principal);
        Ok(())
    }

    fn arn_of_connect(&self, api: &WebSocketApi) -> String {
        self.arn("execute-api", &format!("{}/{}/$connect", api.id, api.stage))
    }
}

/// Browsers say where a page comes from; others do not, and are no danger to their users.
fn check_origin(allowed: &[String], origin: Option<&HeaderValue>) -> Result<(), Refusal> {
    let Some(origin) = origin.filter(|_| !allowed.is_empty()) else { return Ok(()) };
    let origin = String::from_utf8_lossy(origin.as_bytes());
    let same = |allowed: &String| {
        allowed.trim_end_matches('/').eq_ignore_ascii_case(&origin) || allowed == "*"
    };
    if allowed.iter().any(same) {
        return Ok(());
    }
    Err(Refusal::Origin(origin.chars().take(256).collect()))
}

/// Claims as HTTP APIs give them: every value is text.
fn texts_of(claims: &Map<String, Value>) -> Value {
    let text = |value: &Value| match value {
        Value::String(text) => text.clone(),
        // A list is written as `[a b]`.
        Value::Array(items) => {
            let items = items
                .iter()
                .map(|item| item.as_str().map_or_else(|| item.to_string(), str::to_owned));
            format!("[{}]", items.collect::<Vec<_>>().join(" "))
        }
        other => other.to_string(),
    };
    claims.iter().map(|(name, value)| (name.clone(), Value::String(text(value)))).collect()
}

/// The scopes of a token; `null` where it has none.
fn scopes_of(claims: &Map<String, Value>) -> Value {
    match claims.get("scope").or_else(|| claims.get("scp")) {
        Some(Value::String(scopes)) => scopes.split_whitespace().collect(),
        Some(scopes @ Value::Array(_)) => scopes.clone(),
        _ => Value::Null,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_is_one_of_those_allowed_or_none() {
        let allowed = ["https://chat.example".to_owned()];
        let check = |origin: Option<&'static str>| {
            check_origin(&allowed, origin.map(HeaderValue::from_static).as_ref()).is_ok()
        };
        assert!(check(None) && check(Some("https://chat.example")));
        for origin in
            ["https://evil.example", "http://chat.example", "https://chat.example.evil", "null"]
        {
            assert!(!check(Some(origin)), "{origin}");
        }
        assert!(check_origin(&[], Some(&HeaderValue::from_static("null"))).is_ok());
    }

    #[test]
    fn claims_are_text_as_in_http_apis() {
        let claims = json!({ "sub": "ann", "exp": 1, "groups": ["a", "b"], "scope": "read write" });
        let Value::Object(claims) = claims else { unreachable!() };
        let texts = json!({ "sub": "ann", "exp": "1", "groups": "[a b]", "scope": "read write" });
        assert_eq!(texts_of(&claims), texts);
        assert_eq!(scopes_of(&claims), json!(["read", "write"]));
    }
}
