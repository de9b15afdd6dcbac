//! What an authorizer decides: who a client is, and what it may do.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Serialize, Serializer};
use serde_json::value::{RawValue, to_raw_value};
use serde_json::{Value, json};

use super::principal;
use super::{ConnectRequest, Filter, Topic, TopicError};

/// Both times of a grant, in seconds: the shortest and the longest there are, and SST's
/// defaults (reference: iot.md, sections 2 and 9.1).
const SECONDS: std::ops::RangeInclusive<u64> = 300..=86_400;
const DISCONNECT_AFTER: Duration = Duration::from_secs(86_400);
const REFRESH_AFTER: Duration = Duration::from_secs(300);

/// Policy documents of an answer, with the one that is made of the grant, and characters of
/// one, white space not counted (reference: iot.md, section 2).
const MAX_DOCUMENTS: usize = 10;
const MAX_CHARACTERS: usize = 2048;

/// What a client may do, and for how long. Without more it may connect and do nothing.
///
/// ```
/// use std::time::Duration;
/// use fanwire::realtime::Grant;
///
/// let grant = Grant::new()
///     .principal("ada@example.com")
///     .subscribe(["myapp/dev/*"])
///     .publish(["myapp/dev/chat/lobby", "myapp/dev/typing/*"])
///     .refresh_after(Duration::from_secs(600));
/// # let _ = grant;
/// ```
#[derive(Clone, Debug)]
pub struct Grant {
    refused: bool,
    principal: Option<String>,
    subscribe: Option<Vec<Pattern>>,
    publish: Option<Vec<Pattern>>,
    disconnect_after: Duration,
    refresh_after: Option<Duration>,
    policies: Vec<Value>,
}

/// Topics that a client may use, as policies write them: `*` stands for any characters, `/`
/// included, and `?` for one. `${iot:ClientId}` is the client's id.
///
/// A typed [`Filter`] becomes one by itself, with what its values are taken literally. Its
/// wildcards become `*`, which also stands for several levels: there is nothing narrower in
/// policies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern(Result<String, GrantError>);

/// Why a grant is none: AWS would refuse it, so every home does.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum GrantError {
    /// In a policy `+` and `#` are characters like others, so the client could do nothing.
    #[error(
        "the pattern `{pattern}` has MQTT's wildcards; in a grant `*` stands for any \
         characters: write `{instead}`"
    )]
    MqttWildcard {
        /// The pattern.
        pattern: String,
        /// What it should be.
        instead: String,
    },
    /// A typed filter is none.
    #[error(transparent)]
    Topic(#[from] TopicError),
    /// A time is out of range.
    #[error("{what} of {seconds} s is not allowed: it is 300 to 86400 s")]
    Seconds {
        /// Which time.
        what: &'static str,
        /// What it is.
        seconds: u64,
    },
    /// There are too many policy documents.
    #[error("{0} policies are too many: 9 may be added to the grant's own")]
    Policies(usize),
    /// A policy document is too long.
    #[error(
        "{what} has {characters} characters, and may have 2048: use fewer and wider patterns \
         (`*`)"
    )]
    TooLong {
        /// Which document.
        what: &'static str,
        /// Its length, white space not counted.
        characters: usize,
    },
    /// What was given as a policy cannot be one.
    #[error("a policy cannot be written as JSON: {0}")]
    Policy(String),
}

/// Where the resources of policies are: ARNs name it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// `aws`, `aws-cn` or `aws-us-gov`.
    pub partition: String,
    /// Such as `us-east-1`.
    pub region: String,
    /// Twelve digits.
    pub account_id: String,
}

/// A grant that was checked, as AWS IoT takes it; its members are in the order of SST's
/// (reference: iot.md, section 9.1).
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Answer {
    /// Whether the client is let in.
    pub is_authenticated: bool,
    /// Who it is: 1 to 128 letters and digits.
    pub principal_id: String,
    /// How long its connection may last.
    #[serde(rename = "disconnectAfterInSeconds", serialize_with = "in_seconds")]
    pub disconnect_after: Duration,
    /// When the authorizer is asked again; `None`: never.
    #[serde(
        rename = "refreshAfterInSeconds",
        serialize_with = "in_seconds_if_any",
        skip_serializing_if = "Option::is_none"
    )]
    pub refresh_after: Option<Duration>,
    /// What it may do: the document that SST makes, and those that were added.
    pub policy_documents: Vec<Box<RawValue>>,
}

// === impl Grant ===

impl Grant {
    /// Lets the client connect: for a day, and the authorizer is asked again every five
    /// minutes.
    pub fn new() -> Self {
        Self {
            refused: false,
            principal: None,
            subscribe: None,
            publish: None,
            disconnect_after: DISCONNECT_AFTER,
            refresh_after: Some(REFRESH_AFTER),
            policies: Vec::new(),
        }
    }

    /// Does not let the client connect (`isAuthenticated: false`); ends its connection
    /// where it had been let in before. An authorizer's error does the same, and is logged.
    pub fn refuse() -> Self {
        Self { refused: true, ..Self::new() }
    }

    /// Who the client is. AWS takes 1 to 128 letters and digits: other characters are left
    /// out, and a hash of the whole is put behind what is left, so that no two clients get
    /// the same. Without one it is the client's user name, and without that the time, as
    /// with SST.
    #[must_use]
    pub fn principal(mut self, principal: impl Into<String>) -> Self {
        self.principal = Some(principal.into());
        self
    }

    /// Topics that the client may subscribe to and receive messages of.
    #[must_use]
    pub fn subscribe<I>(mut self, patterns: I) -> Self
    where
        I: IntoIterator<Item: Into<Pattern>>,
    {
        self.subscribe.get_or_insert_default().extend(patterns.into_iter().map(Into::into));
        self
    }

    /// Topics that the client may publish to. Not messages that are retained: see
    /// [`policy`](Self::policy).
    #[must_use]
    pub fn publish<I>(mut self, patterns: I) -> Self
    where
        I: IntoIterator<Item: Into<Pattern>>,
    {
        self.publish.get_or_insert_default().extend(patterns.into_iter().map(Into::into));
        self
    }

    /// How long the connection may last, 5 minutes to 24 hours. What is said at the first
    /// time holds.
    #[must_use]
    pub fn disconnect_after(mut self, time: Duration) -> Self {
        self.disconnect_after = time;
        self
    }

    /// When the authorizer is asked again, 5 minutes to 24 hours. What it says then
    /// replaces what it said before.
    #[must_use]
    pub fn refresh_after(mut self, time: Duration) -> Self {
        self.refresh_after = Some(time);
        self
    }

    /// The authorizer is not asked again: what the client may do stays until it disconnects.
    #[must_use]
    pub fn never_refresh(mut self) -> Self {
        self.refresh_after = None;
        self
    }

    /// One more policy document of AWS IoT, at most nine.
    ///
    /// ```
    /// # use fanwire::realtime::Grant;
    /// use serde_json::json;
    ///
    /// let retained = json!({
    ///     "Version": "2012-10-17",
    ///     "Statement": {
    ///         "Action": "iot:RetainPublish",
    ///         "Effect": "Allow",
    ///         "Resource": "arn:aws:iot:us-east-1:123456789012:topic/lamps/*",
    ///     },
    /// });
    /// let grant = Grant::new().publish(["lamps/*"]).policy(retained);
    /// # let _ = grant;
    /// ```
    #[must_use]
    pub fn policy(mut self, document: Value) -> Self {
        self.policies.push(document);
        self
    }

    /// What AWS IoT, or the broker of this process, is answered about a client: for tests,
    /// and for homes of one's own.
    ///
    /// # Errors
    ///
    /// [`GrantError`] where AWS would refuse the grant.
    pub fn answer(self, request: &ConnectRequest, place: &Place) -> Result<Answer, GrantError> {
        let disconnect_after = in_range("disconnect_after", self.disconnect_after)?;
        let refresh_after =
            self.refresh_after.map(|time| in_range("refresh_after", time)).transpose()?;
        if self.policies.len() >= MAX_DOCUMENTS {
            return Err(GrantError::Policies(self.policies.len()));
        }
        let own = own_policy(self.subscribe, self.publish, place)?;
        let mut policy_documents = vec![document("the policy of the grant", &own)?];
        for policy in &self.policies {
            policy_documents.push(document("a policy of the authorizer's", policy)?);
        }
        let named = self.principal.as_deref().or_else(|| request.user());
        Ok(Answer {
            is_authenticated: !self.refused,
            principal_id: named.map_or_else(now_in_milliseconds, principal::clean),
            disconnect_after,
            refresh_after,
            policy_documents,
        })
    }
}

impl Default for Grant {
    fn default() -> Self {
        Self::new()
    }
}

// === impl Pattern ===

impl Pattern {
    fn new(pattern: String) -> Self {
        let is_wildcard = |level: &str| matches!(level, "+" | "#");
        if !pattern.split('/').any(is_wildcard) {
            return Self(Ok(pattern));
        }
        let translate = |level| if is_wildcard(level) { "*" } else { level };
        let instead = pattern.split('/').map(translate).collect::<Vec<_>>().join("/");
        Self(Err(GrantError::MqttWildcard { pattern, instead }))
    }

    /// The pattern of a filter whose levels are literal but for `+`.
    fn of_filter(filter: &str) -> Self {
        let translate = |level| if level == "+" { "*".to_owned() } else { literal(level) };
        Self(Ok(filter.split('/').map(translate).collect::<Vec<_>>().join("/")))
    }
}

/// A text in which nothing is special to policies: a client's room `*` is not every room.
fn literal(text: &str) -> String {
    let mut pattern = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '*' | '?' | '$' => pattern.extend(["${", character.encode_utf8(&mut [0; 4]), "}"]),
            other => pattern.push(other),
        }
    }
    pattern
}

impl From<&str> for Pattern {
    fn from(pattern: &str) -> Self {
        Self::new(pattern.to_owned())
    }
}

impl From<String> for Pattern {
    fn from(pattern: String) -> Self {
        Self::new(pattern)
    }
}

impl<T: Topic> From<Filter<T>> for Pattern {
    fn from(filter: Filter<T>) -> Self {
        match filter.into_text() {
            Ok(text) => Self::of_filter(&text),
            Err(error) => Self(Err(error.into())),
        }
    }
}

/// The document that SST makes of a grant, to the letter (reference: iot.md, section 9.1).
fn own_policy(
    subscribe: Option<Vec<Pattern>>,
    publish: Option<Vec<Pattern>>,
    place: &Place,
) -> Result<Value, GrantError> {
    let Place { partition, region, account_id } = place;
    let resources = |kind: &str, patterns: &[String]| -> Value {
        let arn = |pattern| format!("arn:{partition}:iot:{region}:{account_id}:{kind}/{pattern}");
        patterns.iter().map(arn).collect()
    };
    let allow = |action: &str, resource: Value| json!({ "Action": action, "Effect": "Allow", "Resource": resource });
    let mut statements = vec![allow("iot:Connect", json!("*"))];
    if let Some(patterns) = subscribe {
        let patterns = texts(patterns)?;
        statements.push(allow("iot:Receive", resources("topic", &patterns)));
        statements.push(allow("iot:Subscribe", resources("topicfilter", &patterns)));
    }
    if let Some(patterns) = publish {
        statements.push(allow("iot:Publish", resources("topic", &texts(patterns)?)));
    }
    Ok(json!({ "Version": "2012-10-17", "Statement": statements }))
}

fn texts(patterns: Vec<Pattern>) -> Result<Vec<String>, GrantError> {
    patterns.into_iter().map(|Pattern(pattern)| pattern).collect()
}

fn document(what: &'static str, policy: &Value) -> Result<Box<RawValue>, GrantError> {
    let json = to_raw_value(policy).map_err(|error| GrantError::Policy(error.to_string()))?;
    let characters = json.get().chars().filter(|character| !character.is_whitespace()).count();
    if characters > MAX_CHARACTERS {
        return Err(GrantError::TooLong { what, characters });
    }
    Ok(json)
}

fn in_range(what: &'static str, time: Duration) -> Result<Duration, GrantError> {
    let seconds = time.as_secs();
    if SECONDS.contains(&seconds) { Ok(time) } else { Err(GrantError::Seconds { what, seconds }) }
}

fn in_seconds<S: Serializer>(time: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u64(time.as_secs())
}

fn in_seconds_if_any<S: Serializer>(
    time: &Option<Duration>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    time.map(|time| time.as_secs()).serialize(serializer)
}

/// Who a client is that nothing is known of.
fn now_in_milliseconds() -> String {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    since.as_millis().to_string()
}

#[cfg(test)]
mod tests;
