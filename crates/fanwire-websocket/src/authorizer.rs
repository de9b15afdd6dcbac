//! REQUEST authorizers: what a handshake must carry, and how an authorizer's answer
//! is judged (reference: api-gateway.md, section 10).

use fanwire_app::model::{Authorizer, IdentitySource};
use indexmap::IndexMap;
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::handshake::ClientRequest;
use crate::native::NativeGrant;
use crate::peer::Authorized;
use crate::policy::{Decision, Policy};

/// The longest answer an authorizer may give, in bytes (API Gateway's quota).
const MAX_ANSWER_BYTES: usize = 8 * 1024;

const INVOKE: &str = "execute-api:Invoke";

/// Why a handshake is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// 401: an identity source is missing, or the authorizer said `Unauthorized`.
    Unauthorized,
    /// 403: the policy denies `$connect`, in so many words or by not allowing it.
    Denied { explicit: bool },
    /// 500: the authorizer failed, or its answer is not one.
    Failed(String),
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Answer {
    principal_id: Option<String>,
    policy_document: Option<Policy>,
    context: Option<IndexMap<String, Box<RawValue>>>,
}

/// The identity source that a handshake lacks, if it lacks one. An empty value is a
/// missing one.
pub(crate) fn missing_identity<'a>(
    authorizer: &'a Authorizer,
    client: &ClientRequest,
    stage_variables: &IndexMap<String, String>,
    context: impl Fn(&str) -> Option<String>,
) -> Option<&'a IdentitySource> {
    authorizer.identity_source.iter().find(|source| {
        let present = match source {
            IdentitySource::Header(name) => client.header(name).is_some_and(|v| !v.is_empty()),
            IdentitySource::QueryString(name) => {
                client.query_parameter(name).is_some_and(|v| !v.is_empty())
            }
            IdentitySource::StageVariable(name) => {
                stage_variables.get(name).is_some_and(|v| !v.is_empty())
            }
            IdentitySource::Context(name) => context(name).is_some_and(|v| !v.is_empty()),
        };
        !present
    })
}

/// Judges a function error: only the exact message `Unauthorized` is a 401.
pub(crate) fn judge_error(payload: &[u8]) -> Refusal {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Failure {
        error_message: String,
    }
    match serde_json::from_slice::<Failure>(payload) {
        Ok(failure) if failure.error_message == "Unauthorized" => Refusal::Unauthorized,
        Ok(failure) => Refusal::Failed(failure.error_message),
        Err(_) => Refusal::Failed("the authorizer failed".to_owned()),
    }
}

/// Judges an answer. Only a principal and a policy that allows `method_arn` open the
/// connection.
pub(crate) fn judge(
    payload: &[u8],
    method_arn: &str,
    latency_ms: u64,
) -> Result<Authorized, Refusal> {
    let failed = |why: &str| Err(Refusal::Failed(why.to_owned()));
    if payload.len() > MAX_ANSWER_BYTES {
        return failed("the authorizer's answer is over 8 KB");
    }
    let answer: Answer = match serde_json::from_slice(payload) {
        Ok(answer) => answer,
        Err(error) => return Err(Refusal::Failed(format!("the authorizer's answer: {error}"))),
    };
    let Some(principal) = answer.principal_id.filter(|id| !id.is_empty()) else {
        return failed("the authorizer's answer has no principalId");
    };
    let Some(policy) = answer.policy_document else {
        return failed("the authorizer's answer has no policyDocument");
    };
    match policy.decide(INVOKE, method_arn) {
        Decision::Allow => {}
        Decision::ExplicitDeny => return Err(Refusal::Denied { explicit: true }),
        Decision::ImplicitDeny => return Err(Refusal::Denied { explicit: false }),
    }
    let context = stringified(answer.context.unwrap_or_default(), &principal, latency_ms);
    let context = context.map_err(Refusal::Failed)?;
    Ok(Authorized { context, principal, latency_ms })
}

/// What an authorizer of this process grants. It says no by an error, so there is no policy
/// to judge; all else holds as for any other.
pub(crate) fn of_native(grant: NativeGrant, latency_ms: u64) -> Result<Authorized, String> {
    let NativeGrant { principal, context } = grant;
    if principal.is_empty() {
        return Err("it grants to nobody: the principal is empty".to_owned());
    }
    let raw = |(key, value)| {
        let value = serde_json::value::to_raw_value(&value).map_err(|error| error.to_string())?;
        Ok((key, value))
    };
    let context = context.into_iter().map(raw).collect::<Result<_, String>>()?;
    let context = stringified(context, &principal, latency_ms)?;
    Ok(Authorized { context, principal, latency_ms })
}

/// The context with every value a string, as `requestContext.authorizer` shows it.
fn stringified(
    context: IndexMap<String, Box<RawValue>>,
    principal: &str,
    latency_ms: u64,
) -> Result<Box<RawValue>, String> {
    let mut map = serde_json::Map::new();
    for (key, value) in context {
        let json = value.get();
        let text = match json.as_bytes().first() {
            Some(b'"') => {
                serde_json::from_str(json).map_err(|error| format!("context.{key}: {error}"))?
            }
            Some(b'{' | b'[') => {
                let why = format!(
                    "context.{key} is an object or array; only strings, numbers and booleans go"
                );
                return Err(why);
            }
            Some(b'n') | None => continue,
            Some(_) => json.to_owned(),
        };
        map.insert(key, text.into());
    }
    map.insert("principalId".to_owned(), principal.into());
    map.insert("integrationLatency".to_owned(), latency_ms.into());
    serde_json::value::to_raw_value(&map)
        .map_err(|error| format!("the authorizer's context: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    const ARN: &str = "arn:aws:execute-api:us-east-1:000000000000:abc/dev/$connect";

    fn answer(context: &Value) -> Vec<u8> {
        let statement = json!({ "Action": INVOKE, "Effect": "Allow", "Resource": ARN });
        let policy = json!({ "Version": "2012-10-17", "Statement": [statement] });
        json!({ "principalId": "me", "policyDocument": policy, "context": context })
            .to_string()
            .into_bytes()
    }

    #[test]
    fn context_values_become_strings() {
        let payload = answer(&json!({ "s": "v", "n": 1.50, "b": true, "z": null }));
        let authorized = judge(&payload, ARN, 12).unwrap();
        let context: Value = serde_json::from_str(authorized.context.get()).unwrap();
        assert_eq!(
            context,
            json!({ "s": "v", "n": "1.5", "b": "true", "principalId": "me", "integrationLatency": 12 })
        );
    }

    #[test]
    fn a_nested_context_fails() {
        for context in [json!({ "a": {} }), json!({ "a": [] })] {
            assert!(matches!(judge(&answer(&context), ARN, 0), Err(Refusal::Failed(_))));
        }
    }

    #[test]
    fn an_answer_without_its_parts_fails() {
        for payload in [
            "null",
            "{}",
            r#"{"statusCode":401}"#,
            r#"{"principalId":"me"}"#,
            r#"{"principalId":"","policyDocument":{"Statement":[]}}"#,
            r#"{"policyDocument":{"Statement":[]}}"#,
        ] {
            let judged = judge(payload.as_bytes(), ARN, 0);
            assert!(matches!(judged, Err(Refusal::Failed(_))), "{payload}");
        }
    }

    #[test]
    fn a_policy_for_something_else_denies() {
        let other = judge(&answer(&json!({})), "arn:aws:execute-api:eu:0:abc/dev/$connect", 0);
        assert_eq!(other.map(|_| ()), Err(Refusal::Denied { explicit: false }));
    }

    #[test]
    fn only_the_exact_word_is_unauthorized() {
        let judged =
            |message: &str| judge_error(json!({ "errorMessage": message }).to_string().as_bytes());
        assert_eq!(judged("Unauthorized"), Refusal::Unauthorized);
        assert!(matches!(judged("unauthorized"), Refusal::Failed(_)));
        assert!(matches!(judge_error(b"null"), Refusal::Failed(_)));
    }
}
