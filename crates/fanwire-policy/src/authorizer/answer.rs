//! What an authorizer's function answers.

use std::time::Duration;

use serde_json::value::RawValue;

use crate::error::PolicyError;
use crate::members::{Members, one_or_many, show};
use crate::policy_set::{PolicyLimits, PolicySet};
use crate::resource::Place;

/// A good answer: somebody is let in.
#[derive(Debug, Clone)]
pub struct Answer {
    /// Who it is.
    pub principal: String,
    /// What it may do.
    pub policies: PolicySet,
    /// When the connection must end, from its start; later answers do not change it.
    pub disconnect_after: Duration,
    /// When the function is to be called again. None: never.
    pub refresh_after: Option<Duration>,
    /// What was put right, or is odd though not wrong, in words for the log.
    pub notes: Vec<String>,
}

/// How exact an answer has to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Strictness {
    /// AWS refuses what is refused here, so that what works here works there.
    Strict,
    /// Any principal will do, numbers are brought into their range, and documents may be
    /// longer and more, or none.
    Lax,
}

/// Why an answer lets nobody in.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The function says so.
    #[error("the authorizer answered `isAuthenticated: false`")]
    NotAuthenticated,
    /// The answer is not one.
    #[error("the authorizer's answer is unusable: {0}")]
    Malformed(PolicyError),
    /// AWS refuses such a principal.
    #[error(
        "the authorizer answered principalId {principal:?}, and AWS IoT refuses any but 1 to 128 letters and \
         digits: {advice}; with `profile = \"open\"` any principal will do"
    )]
    Principal {
        /// The principal, shortened.
        principal: String,
        /// What to change.
        advice: &'static str,
    },
    /// AWS refuses such a time.
    #[error(
        "the authorizer answered {member}: {seconds}, and AWS IoT wants 300 to 86400 seconds: change it, or use \
         `profile = \"open\"`, which takes the nearest of these"
    )]
    Seconds {
        /// The member of the answer.
        member: &'static str,
        /// What it says.
        seconds: i64,
    },
    /// AWS refuses an answer without policies.
    #[error(
        "the authorizer answered no policyDocuments, and AWS IoT wants 1 to 10: return one that allows iot:Connect"
    )]
    NoPolicies,
}

/// The range of both times, in seconds, and the default of the one that has one.
const SECONDS: std::ops::RangeInclusive<i64> = 300..=86_400;
const DISCONNECT_AFTER: i64 = 86_400;

/// Characters of a principal: AWS's most, and ours, above which it is no name but a load.
const STRICT_PRINCIPAL: usize = 128;
const LAX_PRINCIPAL: usize = 2048;

// === impl Answer ===

impl Answer {
    /// Judges what a function returned. The answer's policies are for resources at
    /// `place`.
    ///
    /// # Errors
    ///
    /// With why nobody is let in, in words for the log.
    pub fn parse(payload: &[u8], strictness: Strictness, place: &Place) -> Result<Self, Refusal> {
        let json: &RawValue = serde_json::from_slice(payload).map_err(|error| {
            Refusal::Malformed(PolicyError::new("the result", error.to_string(), "a JSON object"))
        })?;
        let members = Members::parse_any(json, "the result").map_err(Refusal::Malformed)?;
        match members.get("isAuthenticated").map(RawValue::get) {
            Some("true") => {}
            Some("false") => return Err(Refusal::NotAuthenticated),
            _ => return Err(malformed(&members, "isAuthenticated", "true or false")),
        }
        let mut notes = Vec::new();
        let principal = principal(&members, strictness)?;
        let mut seconds = |member| seconds(&members, member, strictness, &mut notes);
        let disconnect_after = seconds("disconnectAfterInSeconds")?;
        let refresh_after = seconds("refreshAfterInSeconds")?;
        let policies = policies(&members, strictness, place)?;
        notes.extend(policies.notes());
        Ok(Self {
            principal,
            policies,
            disconnect_after: disconnect_after
                .unwrap_or(Duration::from_secs(DISCONNECT_AFTER.unsigned_abs())),
            refresh_after,
            notes,
        })
    }
}

// === impl Refusal ===

impl Refusal {
    /// AWS's code for it, as its logs and `TestInvokeAuthorizer` have it.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::NotAuthenticated => "NOT_AUTHENTICATED",
            Self::Malformed(_)
            | Self::Principal { .. }
            | Self::Seconds { .. }
            | Self::NoPolicies => "CUSTOM_AUTHORIZER_PARAMETER_INVALID",
        }
    }
}

/// A member that is there and not `null`, which Python's `None` becomes.
fn present<'j>(members: &Members<'j>, name: &str) -> Option<&'j RawValue> {
    members.get(name).filter(|json| json.get() != "null")
}

fn malformed(members: &Members<'_>, name: &str, expected: &str) -> Refusal {
    let what = members.get(name).map_or("nothing".to_owned(), show);
    Refusal::Malformed(PolicyError::new(name, what, expected))
}

fn principal(members: &Members<'_>, strictness: Strictness) -> Result<String, Refusal> {
    let json = present(members, "principalId");
    let principal = json.and_then(|json| serde_json::from_str::<String>(json.get()).ok());
    let Some(principal) = principal else {
        return Err(malformed(members, "principalId", "a string"));
    };
    let alphanumeric = principal.bytes().all(|byte| byte.is_ascii_alphanumeric());
    let good = match strictness {
        Strictness::Strict => alphanumeric && (1..=STRICT_PRINCIPAL).contains(&principal.len()),
        Strictness::Lax => (1..=LAX_PRINCIPAL).contains(&principal.len()),
    };
    if good {
        return Ok(principal);
    }
    match strictness {
        Strictness::Strict => Err(bad_principal(&principal)),
        Strictness::Lax => Err(malformed(members, "principalId", "1 to 2048 bytes")),
    }
}

/// What AWS would refuse, with what to change about it.
fn bad_principal(principal: &str) -> Refusal {
    let advice = if principal.is_empty() {
        "return a `principalId`"
    } else if principal.contains("x-amz-customauthorizer-") {
        "it is the MQTT user name with the parameters that the client's SDK put behind it, which SST's authorizer \
         takes where it is given no principal: return a `principalId` from it, or connect with an empty user name"
    } else if principal.len() > STRICT_PRINCIPAL {
        "shorten it, for example to a hash in hexadecimal"
    } else {
        "take other characters out of the `principalId` that you return (if you return none, SST's authorizer takes \
         the MQTT user name)"
    };
    const SHOWN: usize = 80;
    let principal = match principal.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}…", &principal[..end]),
        None => principal.to_owned(),
    };
    Refusal::Principal { principal, advice }
}

fn seconds(
    members: &Members<'_>,
    member: &'static str,
    strictness: Strictness,
    notes: &mut Vec<String>,
) -> Result<Option<Duration>, Refusal> {
    let Some(json) = present(members, member) else { return Ok(None) };
    let Some(seconds) = whole_number(json) else {
        return Err(malformed(members, member, "a whole number of seconds"));
    };
    let nearest = seconds.clamp(*SECONDS.start(), *SECONDS.end());
    if nearest != seconds {
        match strictness {
            Strictness::Strict => return Err(Refusal::Seconds { member, seconds }),
            Strictness::Lax => {
                notes.push(format!("{member}: {seconds} is taken as {nearest}"));
            }
        }
    }
    Ok(Some(Duration::from_secs(nearest.unsigned_abs())))
}

/// A whole number, however it is written: Python's `300.0` is one.
fn whole_number(json: &RawValue) -> Option<i64> {
    let number: serde_json::Number = serde_json::from_str(json.get()).ok()?;
    number.as_i64().or_else(|| {
        let float = number.as_f64().filter(|float| float.fract() == 0.0)?;
        // Beyond what an i64 holds this saturates, and is out of range all the same.
        #[expect(clippy::cast_possible_truncation, reason = "whole, and saturating is right")]
        Some(float as i64)
    })
}

fn policies(
    members: &Members<'_>,
    strictness: Strictness,
    place: &Place,
) -> Result<PolicySet, Refusal> {
    let documents = match present(members, "policyDocuments") {
        Some(json) if json.get().starts_with('[') => one_or_many(json),
        Some(_) => return Err(malformed(members, "policyDocuments", "a list of policy documents")),
        None => Vec::new(),
    };
    let limits = match strictness {
        Strictness::Strict if documents.is_empty() => return Err(Refusal::NoPolicies),
        Strictness::Strict => PolicyLimits::AWS,
        Strictness::Lax => PolicyLimits::LAX,
    };
    PolicySet::parse(&documents, place, limits).map_err(Refusal::Malformed)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::needless_pass_by_value, reason = "what `json!` makes is passed on at once")]

    use super::*;
    use serde_json::{Value, json};

    fn place() -> Place {
        Place::new("aws", "us-east-1", "123456789012")
    }

    fn document() -> Value {
        let statement = json!({ "Action": "iot:Connect", "Effect": "Allow", "Resource": "*" });
        json!({ "Version": "2012-10-17", "Statement": [statement] })
    }

    /// A good answer with some members changed.
    fn answer(changes: Value) -> Value {
        let mut answer = json!({
            "isAuthenticated": true, "principalId": "abc123",
            "disconnectAfterInSeconds": 86400, "refreshAfterInSeconds": 300,
            "policyDocuments": [document()],
        });
        for (name, value) in changes.as_object().unwrap() {
            answer[name] = value.clone();
        }
        answer
    }

    fn parse(changes: Value, strictness: Strictness) -> Result<Answer, Refusal> {
        Answer::parse(answer(changes).to_string().as_bytes(), strictness, &place())
    }

    #[test]
    fn a_good_answer_lets_in() {
        let answer = parse(json!({}), Strictness::Strict).unwrap();
        assert_eq!(answer.principal, "abc123");
        assert_eq!(answer.disconnect_after, Duration::from_secs(86_400));
        assert_eq!(answer.refresh_after, Some(Duration::from_secs(300)));
        assert_eq!(answer.notes, [] as [&str; 0]);
    }

    #[test]
    fn only_disconnecting_has_a_default() {
        let none = json!({ "disconnectAfterInSeconds": null, "refreshAfterInSeconds": null });
        let answer = parse(none, Strictness::Strict).unwrap();
        assert_eq!(answer.disconnect_after, Duration::from_secs(86_400));
        assert_eq!(answer.refresh_after, None);
    }

    #[test]
    fn no_is_no_whatever_else_it_says() {
        let refusal = Answer::parse(br#"{"isAuthenticated":false}"#, Strictness::Strict, &place());
        let refusal = refusal.unwrap_err();
        assert_eq!(refusal, Refusal::NotAuthenticated);
        assert_eq!(refusal.code(), "NOT_AUTHENTICATED");
    }

    #[test]
    fn what_is_no_answer_lets_nobody_in() {
        for payload in
            ["", "null", "[]", "{}", r#"{"isAuthenticated":"true"}"#, "{\"a\":1,\"a\":2}"]
        {
            for strictness in [Strictness::Strict, Strictness::Lax] {
                let refusal = Answer::parse(payload.as_bytes(), strictness, &place()).unwrap_err();
                assert!(matches!(refusal, Refusal::Malformed(_)), "{payload}: {refusal}");
            }
        }
    }

    #[test]
    fn aws_refuses_principals_that_are_not_alphanumeric() {
        let principal = |principal: &str| json!({ "principalId": principal });
        for good in ["a", "1732580000000", &"x".repeat(128)] {
            assert!(parse(principal(good), Strictness::Strict).is_ok(), "{good}");
        }
        for bad in ["", "a-b", "user@example", "é", &"x".repeat(129)] {
            let refusal = parse(principal(bad), Strictness::Strict).unwrap_err();
            assert!(matches!(refusal, Refusal::Principal { .. }), "{bad}: {refusal}");
            assert_eq!(refusal.code(), "CUSTOM_AUTHORIZER_PARAMETER_INVALID");
            assert_eq!(parse(principal(bad), Strictness::Lax).is_ok(), !bad.is_empty(), "{bad}");
        }
        assert!(parse(json!({ "principalId": 7 }), Strictness::Lax).is_err());
    }

    /// SST takes the raw user name where it is given no principal (sst#4162).
    #[test]
    fn sst_s_default_principal_is_explained_or_accepted() {
        let raw = "?x-amz-customauthorizer-name=NAME&SDK=NodeJSv2&Version=1.21.8";
        let strict = parse(json!({ "principalId": raw }), Strictness::Strict).unwrap_err();
        let text = strict.to_string();
        assert!(text.contains("return a `principalId`"), "{text}");
        assert!(text.contains("profile = \"open\""), "{text}");
        let lax = parse(json!({ "principalId": raw }), Strictness::Lax).unwrap();
        assert_eq!(lax.principal, raw);
    }

    #[test]
    fn times_out_of_range_are_refused_or_brought_into_it() {
        for (given, taken) in [(299, 300), (0, 300), (-5, 300), (86_401, 86_400)] {
            for member in ["disconnectAfterInSeconds", "refreshAfterInSeconds"] {
                let strict = parse(json!({ member: given }), Strictness::Strict).unwrap_err();
                assert_eq!(strict, Refusal::Seconds { member, seconds: given });
            }
            let changes = json!({ "refreshAfterInSeconds": given });
            let lax = parse(changes, Strictness::Lax).unwrap();
            assert_eq!(lax.refresh_after, Some(Duration::from_secs(taken)));
            assert_eq!(lax.notes, [format!("refreshAfterInSeconds: {given} is taken as {taken}")]);
        }
        let whole = parse(json!({ "refreshAfterInSeconds": 600.0 }), Strictness::Strict).unwrap();
        assert_eq!(whole.refresh_after, Some(Duration::from_secs(600)));
        for given in [json!("600"), json!(600.5), json!([600])] {
            assert!(parse(json!({ "refreshAfterInSeconds": given }), Strictness::Lax).is_err());
        }
    }

    #[test]
    fn policies_are_one_to_ten_of_2048_characters() {
        let documents = |count| json!({ "policyDocuments": vec![document(); count] });
        assert!(parse(documents(10), Strictness::Strict).is_ok());
        assert!(matches!(parse(documents(11), Strictness::Strict), Err(Refusal::Malformed(_))));
        assert!(parse(documents(11), Strictness::Lax).is_ok());
        assert_eq!(parse(documents(0), Strictness::Strict).unwrap_err(), Refusal::NoPolicies);
        assert!(parse(documents(0), Strictness::Lax).is_ok());
        assert!(parse(json!({ "policyDocuments": document() }), Strictness::Lax).is_err());

        let long = |characters: usize| {
            let mut document = document();
            let rest = characters - document.to_string().len() - r#","Id":"""#.len();
            document["Id"] = "x".repeat(rest).into();
            document
        };
        let one = |document: Value| json!({ "policyDocuments": [document] });
        assert!(parse(one(long(2048)), Strictness::Strict).is_ok());
        assert!(parse(one(long(2049)), Strictness::Strict).is_err());
        // White space is not counted, and a document may be a string.
        let spaced = serde_json::to_string_pretty(&long(2048)).unwrap();
        assert!(parse(one(spaced.into()), Strictness::Strict).is_ok());
    }
}
