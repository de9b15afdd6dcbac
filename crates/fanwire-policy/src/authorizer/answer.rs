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

/// What an authorizer in this process says: an answer that is still to be judged.
#[derive(Debug, Clone)]
pub struct Terms {
    /// Whether somebody is let in.
    pub authenticated: bool,
    /// Who it is.
    pub principal: String,
    /// When the connection must end, from its start. None: after a day.
    pub disconnect_after: Option<Duration>,
    /// When the authorizer is to be asked again. None: never.
    pub refresh_after: Option<Duration>,
    /// What it may do: policy documents.
    pub policies: Vec<Box<RawValue>>,
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

/// The members that say the times.
const DISCONNECT: &str = "disconnectAfterInSeconds";
const REFRESH: &str = "refreshAfterInSeconds";

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
        let principal = principal(&members)?;
        let times = [DISCONNECT, REFRESH].map(|member| seconds(&members, member));
        Self::judge(principal, times, &documents(&members)?, strictness, place)
    }

    /// Judges what an authorizer in this process said, as [`parse`](Self::parse) does.
    ///
    /// # Errors
    ///
    /// With why nobody is let in, in words for the log.
    pub fn of(terms: Terms, strictness: Strictness, place: &Place) -> Result<Self, Refusal> {
        if !terms.authenticated {
            return Err(Refusal::NotAuthenticated);
        }
        let seconds = |time: Duration| i64::try_from(time.as_secs()).unwrap_or(i64::MAX);
        let times = [terms.disconnect_after, terms.refresh_after].map(|time| Ok(time.map(seconds)));
        let documents: Vec<&RawValue> = terms.policies.iter().map(|document| &**document).collect();
        Self::judge(terms.principal, times, &documents, strictness, place)
    }

    /// Judges an answer whose members are read. The times are those of [`DISCONNECT`] and
    /// [`REFRESH`].
    fn judge(
        principal: String,
        times: [Result<Option<i64>, Refusal>; 2],
        documents: &[&RawValue],
        strictness: Strictness,
        place: &Place,
    ) -> Result<Self, Refusal> {
        let mut notes = Vec::new();
        let principal = good_principal(principal, strictness)?;
        let mut in_range = |time: Result<Option<i64>, Refusal>, member| {
            time?.map(|seconds| in_range(seconds, member, strictness, &mut notes)).transpose()
        };
        let [disconnect_after, refresh_after] = times;
        let disconnect_after = in_range(disconnect_after, DISCONNECT)?;
        let refresh_after = in_range(refresh_after, REFRESH)?;
        let policies = policies(documents, strictness, place)?;
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

fn principal(members: &Members<'_>) -> Result<String, Refusal> {
    let json = present(members, "principalId");
    let principal = json.and_then(|json| serde_json::from_str(json.get()).ok());
    principal.ok_or_else(|| malformed(members, "principalId", "a string"))
}

fn good_principal(principal: String, strictness: Strictness) -> Result<String, Refusal> {
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
        Strictness::Lax => {
            let what = format!("{} bytes", principal.len());
            Err(Refusal::Malformed(PolicyError::new("principalId", what, "1 to 2048 bytes")))
        }
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

fn seconds(members: &Members<'_>, member: &str) -> Result<Option<i64>, Refusal> {
    let Some(json) = present(members, member) else { return Ok(None) };
    let wrong = || malformed(members, member, "a whole number of seconds");
    whole_number(json).ok_or_else(wrong).map(Some)
}

fn in_range(
    seconds: i64,
    member: &'static str,
    strictness: Strictness,
    notes: &mut Vec<String>,
) -> Result<Duration, Refusal> {
    let nearest = seconds.clamp(*SECONDS.start(), *SECONDS.end());
    if nearest != seconds {
        match strictness {
            Strictness::Strict => return Err(Refusal::Seconds { member, seconds }),
            Strictness::Lax => {
                notes.push(format!("{member}: {seconds} is taken as {nearest}"));
            }
        }
    }
    Ok(Duration::from_secs(nearest.unsigned_abs()))
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

fn documents<'j>(members: &Members<'j>) -> Result<Vec<&'j RawValue>, Refusal> {
    match present(members, "policyDocuments") {
        Some(json) if json.get().starts_with('[') => Ok(one_or_many(json)),
        Some(_) => Err(malformed(members, "policyDocuments", "a list of policy documents")),
        None => Ok(Vec::new()),
    }
}

fn policies(
    documents: &[&RawValue],
    strictness: Strictness,
    place: &Place,
) -> Result<PolicySet, Refusal> {
    let limits = match strictness {
        Strictness::Strict if documents.is_empty() => return Err(Refusal::NoPolicies),
        Strictness::Strict => PolicyLimits::AWS,
        Strictness::Lax => PolicyLimits::LAX,
    };
    PolicySet::parse(documents, place, limits).map_err(Refusal::Malformed)
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

    /// The typed form of an answer, as an authorizer in this process gives it.
    fn terms(principal: &str, refresh_after: u64) -> Terms {
        let policies = vec![serde_json::value::to_raw_value(&document()).unwrap()];
        Terms {
            authenticated: true,
            principal: principal.to_owned(),
            disconnect_after: None,
            refresh_after: Some(Duration::from_secs(refresh_after)),
            policies,
        }
    }

    #[test]
    fn what_this_process_says_is_judged_alike() {
        let of = |terms, strictness| Answer::of(terms, strictness, &place());
        let good = of(terms("ada", 300), Strictness::Strict).unwrap();
        assert_eq!(good.policies, parse(json!({}), Strictness::Strict).unwrap().policies);
        assert_eq!(good.disconnect_after, Duration::from_secs(86_400));
        let refusal = of(terms("a-da", 300), Strictness::Strict).unwrap_err();
        assert!(matches!(refusal, Refusal::Principal { .. }), "{refusal}");
        let refusal = of(terms("ada", 10), Strictness::Strict).unwrap_err();
        assert_eq!(refusal, Refusal::Seconds { member: REFRESH, seconds: 10 });
        let lax = of(terms("a-da", 10), Strictness::Lax).unwrap();
        assert_eq!(lax.refresh_after, Some(Duration::from_secs(300)));
        assert_eq!(lax.notes.len(), 1);
        let nobody = Terms { authenticated: false, ..terms("ada", 300) };
        assert_eq!(of(nobody, Strictness::Lax).unwrap_err(), Refusal::NotAuthenticated);
        let none = Terms { policies: Vec::new(), ..terms("ada", 300) };
        assert_eq!(of(none, Strictness::Strict).unwrap_err(), Refusal::NoPolicies);
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
