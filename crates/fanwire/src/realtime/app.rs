//! A realtime endpoint as an app declares it.

use std::fmt;
use std::sync::Arc;

use futures_util::future::BoxFuture;

use super::handler::{Authorize, Subscribe};
use super::message::{Incoming, Source};
use super::{ConnectRequest, Grant, TopicError};
use crate::{Home, Result};

/// The most characters of a subscriber's name: it is the name of a topic rule.
const MAX_NAME: usize = 128;

/// What a subscriber is called whose filter has no letters.
const NAMELESS: &str = "all";

/// Topics that clients subscribe and publish to over MQTT: who may, and what is called for
/// messages. As SST's `Realtime`.
///
/// ```
/// use fanwire::realtime::{Any, Grant, Message, Realtime};
/// use fanwire::{Home, Result};
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Serialize, Deserialize)]
/// struct ChatMessage { text: String }
///
/// fanwire::topic! {
///     struct Room { name: String } = "chat/{name}/message": ChatMessage
/// }
///
/// async fn authorize(token: String) -> Result<Grant> {
///     match &*token {
///         "secret" => Ok(Grant::new().subscribe([Room::filter(Any)]).publish(["chat/*"])),
///         _ => Ok(Grant::refuse()),
///     }
/// }
///
/// async fn shout(message: Message<ChatMessage, Room>, home: Home) -> Result {
///     let text = message.payload.text.to_uppercase();
///     let hall = Room { name: "hall".into() };
///     Ok(home.publish(&hall, &ChatMessage { text }).await?)
/// }
///
/// let chat = Realtime::new("chat")
///     .authorizer(authorize)
///     .subscriber(Room::filter("lobby"), shout)
///     .subscriber("chat/#", async |message: Message<ChatMessage>| {
///         println!("{}: {}", message.topic, message.payload.text);
///     });
/// # let _ = chat;
/// ```
#[derive(Clone)]
pub struct Realtime {
    name: String,
    authorizer: Option<Authorizer>,
    signed_tokens: Option<SignedTokens>,
    subscribers: Vec<Subscriber>,
    faults: Vec<RealtimeError>,
}

/// An authorizer, whatever it takes.
pub type Authorizer =
    Arc<dyn Fn(ConnectRequest, Home) -> BoxFuture<'static, Result<Grant>> + Send + Sync>;

/// What is called for a message, whatever it takes.
pub type Call = Arc<dyn Fn(Incoming, Home) -> BoxFuture<'static, Result<()>> + Send + Sync>;

/// A realtime endpoint as homes serve it: for tests, and for homes of one's own.
#[derive(Clone)]
#[non_exhaustive]
pub struct Endpoint {
    /// Its name, which is its authorizer's, too.
    pub name: String,
    /// Who decides about clients. Without one, nobody may connect.
    pub authorizer: Option<Authorizer>,
    /// What tokens are signed with, where they have to be.
    pub signed_tokens: Option<SignedTokens>,
    /// What is called for messages.
    pub subscribers: Vec<Subscriber>,
}

/// Tokens that are signed: see [`Realtime::signed_tokens`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SignedTokens {
    /// The parameter that carries the token (`tokenKeyName`).
    pub key_name: String,
    /// The RSA public keys that they may be signed with, as PEM texts.
    pub public_keys: Vec<String>,
}

/// A subscriber of an endpoint.
#[derive(Clone)]
#[non_exhaustive]
pub struct Subscriber {
    /// The name of its topic rule: letters, digits and underscores. No two are the same.
    /// It is the name of the type of a typed topic, or what is left of the filter's text,
    /// and a number where others have the same.
    pub name: String,
    /// The filter whose messages it is called for.
    pub filter: String,
    /// What is called.
    pub call: Call,
}

/// What is wrong with an endpoint. It is found when the app starts.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RealtimeError {
    /// A typed filter is none.
    #[error(transparent)]
    Topic(#[from] TopicError),
    /// The text is no filter.
    #[error("`{filter}` is no topic filter: {why}")]
    Filter {
        /// The text.
        filter: String,
        /// What is wrong with it.
        why: &'static str,
    },
}

// === impl Realtime ===

impl Realtime {
    /// An endpoint that nobody may connect to yet. Pages and functions find it by its name,
    /// and clients of AWS IoT by that of its authorizer, which is the same.
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            authorizer: None,
            signed_tokens: None,
            subscribers: Vec::new(),
            faults: Vec::new(),
        }
    }

    /// Who decides about clients: an async function of the token
    /// ([`ConnectRequest::token`]) or of the whole [`ConnectRequest`], and of the [`Home`]
    /// where it needs one. What it returns is a [`Grant`], or a `Result` of one. An error
    /// lets nobody in, and is logged.
    ///
    /// A closure that keeps something hands a clone of it to each call:
    ///
    /// ```
    /// use std::collections::HashMap;
    /// use std::sync::Arc;
    /// use fanwire::realtime::{Grant, Realtime};
    ///
    /// let users = Arc::new(HashMap::from([("secret".to_owned(), "ada")]));
    /// let chat = Realtime::new("chat").authorizer(move |token: String| {
    ///     let users = Arc::clone(&users);
    ///     async move {
    ///         match users.get(&token) {
    ///             Some(user) => Grant::new().principal(*user).subscribe(["chat/*"]),
    ///             None => Grant::refuse(),
    ///         }
    ///     }
    /// });
    /// # let _ = chat;
    /// ```
    #[must_use]
    pub fn authorizer<A>(mut self, authorizer: impl Authorize<A>) -> Self {
        self.authorizer = Some(authorizer.erase());
        self
    }

    /// Has only those clients in whose token is signed with one of these RSA keys, PEM texts:
    /// a custom authorizer of AWS IoT whose signing is not disabled. `key_name` is the
    /// parameter that carries the token (`tokenKeyName`), and its signature is in
    /// `x-amz-customauthorizer-signature`: both in the query of the URL, in headers, or in the
    /// query of the user name. The authorizer is asked about no others, and finds the
    /// token in [`ConnectRequest::signed_token`].
    ///
    /// It is for a server: a function is asked after its gateway has looked at signatures,
    /// and there the project file, or AWS, has the keys.
    ///
    /// ```
    /// use fanwire::realtime::{ConnectRequest, Grant, Realtime};
    ///
    /// # fn app(public_key: String) -> Realtime {
    /// Realtime::new("chat")
    ///     .signed_tokens("ticket", [public_key])
    ///     .authorizer(async |request: ConnectRequest| match request.signed_token {
    ///         Some(user) => Grant::new().principal(user).subscribe(["chat/*"]),
    ///         None => Grant::refuse(),
    ///     })
    /// # }
    /// ```
    #[must_use]
    pub fn signed_tokens(
        mut self,
        key_name: impl Into<String>,
        public_keys: impl IntoIterator<Item = impl Into<String>>,
    ) -> Self {
        self.signed_tokens = Some(SignedTokens {
            key_name: key_name.into(),
            public_keys: public_keys.into_iter().map(Into::into).collect(),
        });
        self
    }

    /// What is called for messages of a filter: an async function of the
    /// [`Message`](super::Message), and of the [`Home`] where it needs one.
    ///
    /// A filter is a typed one, such as `Room::filter(Any)`, or a text. Several subscribers
    /// may have the same; each gets every message. They are called for messages in the
    /// order that these come, several at a time. One that fails is called again as
    /// Lambda's asynchronous invocations are, after one minute and after two more, unless
    /// its error has a status under 500: that says that the message is to blame. So has
    /// what cannot be read. All are logged.
    #[must_use]
    pub fn subscriber<P, S, A>(mut self, source: S, subscriber: impl Subscribe<P, S, A>) -> Self
    where
        S: Source<P>,
    {
        let name = self.free_name(&source.label());
        match source.into_filter().map_err(RealtimeError::from).and_then(check_filter) {
            Ok(filter) => {
                let call = subscriber.erase(filter.clone());
                self.subscribers.push(Subscriber { name, filter, call });
            }
            Err(fault) => self.faults.push(fault),
        }
        self
    }

    /// What homes serve.
    ///
    /// # Errors
    ///
    /// The first that is wrong.
    pub fn endpoint(self) -> Result<Endpoint, RealtimeError> {
        match self.faults.into_iter().next() {
            Some(fault) => Err(fault),
            None => Ok(Endpoint {
                name: self.name,
                authorizer: self.authorizer,
                signed_tokens: self.signed_tokens,
                subscribers: self.subscribers,
            }),
        }
    }

    /// A name for a subscriber that no other has.
    fn free_name(&self, label: &str) -> String {
        let base = rule_name(label);
        let is_free = |name: &str| self.subscribers.iter().all(|other| other.name != name);
        if is_free(&base) {
            return base;
        }
        // One more than there are subscribers cannot all be taken.
        let mut numbered =
            (2..=self.subscribers.len() + 2).map(|number| format!("{base}_{number}"));
        numbered.find(|name| is_free(name)).unwrap_or(base)
    }
}

// === impl Subscriber ===

impl Subscriber {
    /// The statement of its topic rule on AWS, or in `fanwire.toml`. Its function is told
    /// which subscriber it is, the topic, who published, and the payload as it is, JSON or
    /// not.
    ///
    /// A rule that selects the payload alone, as SST's `SELECT * FROM 'FILTER'` does, is
    /// understood, too, where the variable `FANWIRE_SUBSCRIBER` of the function is the
    /// name of the subscriber. It tells nothing else: the payload has to be JSON, and the
    /// subscriber cannot have a typed topic with parameters.
    ///
    /// ```
    /// use fanwire::realtime::{Message, Realtime};
    ///
    /// let chat = Realtime::new("chat").subscriber("chat/#", async |_: Message<String>| ());
    /// let endpoint = chat.endpoint()?;
    /// assert_eq!(
    ///     endpoint.subscribers[0].rule_sql(),
    ///     "SELECT 'chat' AS fanwire_subscriber, topic() AS fanwire_topic, \
    ///      principal() AS fanwire_principal, clientid() AS fanwire_client_id, \
    ///      encode(*, 'base64') AS fanwire_payload FROM 'chat/#'"
    /// );
    /// # Ok::<(), fanwire::realtime::RealtimeError>(())
    /// ```
    pub fn rule_sql(&self) -> String {
        let Self { name, filter, .. } = self;
        format!(
            "SELECT '{name}' AS fanwire_subscriber, topic() AS fanwire_topic, \
             principal() AS fanwire_principal, clientid() AS fanwire_client_id, \
             encode(*, 'base64') AS fanwire_payload FROM '{filter}'"
        )
    }
}

impl fmt::Debug for Realtime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Realtime")
            .field("name", &self.name)
            .field("subscribers", &self.subscribers)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Endpoint")
            .field("name", &self.name)
            .field("subscribers", &self.subscribers)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Subscriber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Subscriber")
            .field("name", &self.name)
            .field("filter", &self.filter)
            .finish_non_exhaustive()
    }
}

/// A label as the name of a topic rule: what it may not have becomes an underscore.
fn rule_name(label: &str) -> String {
    let words = label.split(|character: char| !character.is_ascii_alphanumeric());
    let words: Vec<_> = words.filter(|word| !word.is_empty()).collect();
    let mut name = words.join("_");
    // Room for a number behind it.
    name.truncate(MAX_NAME - 8);
    if name.is_empty() { NAMELESS.to_owned() } else { name }
}

/// Whether a text is a topic filter that a rule can have (MQTT 3.1.1, 4.7).
fn check_filter(filter: String) -> Result<String, RealtimeError> {
    let levels = filter.split('/').count();
    let fault = |(at, level): (usize, &str)| match level {
        "#" if at + 1 < levels => Some("`#` is the last level alone"),
        "#" | "+" => None,
        level if level.contains(['#', '+']) => Some("`+` and `#` are whole levels"),
        _ => None,
    };
    let why = if filter.is_empty() {
        Some("it is empty")
    } else if filter.contains(['\0', '\'']) {
        Some("it has a quote or U+0000 in it, which no topic rule can have")
    } else if filter.starts_with("$share/") {
        Some("a subscriber gets each message once anyway; leave `$share/…/` out")
    } else {
        filter.split('/').enumerate().find_map(fault)
    };
    why.map_or(Ok(()), |why| Err(RealtimeError::Filter { filter: filter.clone(), why }))?;
    Ok(filter)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::realtime::{Any, Message, Raw};

    crate::topic! {
        struct Room { name: String } = "chat/{name}": Raw
    }

    fn names(filters: &[&str]) -> Vec<String> {
        let declared = filters.iter().fold(Realtime::new("chat"), |realtime, filter| {
            realtime.subscriber(*filter, async |_: Message<Raw>| ())
        });
        declared.endpoint().unwrap().subscribers.into_iter().map(|known| known.name).collect()
    }

    #[test]
    fn subscribers_are_named_as_topic_rules_may_be() {
        assert_eq!(
            names(&["chat/+/x-y/#", "#", "chat/#", "chat"]),
            ["chat_x_y", "all", "chat", "chat_2"]
        );
        let long = "a".repeat(400);
        let names = names(&[&long, &long]);
        assert!(names.iter().all(|name| name.len() <= MAX_NAME), "{names:?}");
        let typed = Realtime::new("chat")
            .subscriber(Room::filter(Any), async |_: Message<Raw, Room>| ())
            .subscriber(Room::filter("lobby"), async |_: Message<Raw, Room>| ());
        let typed = typed.endpoint().unwrap().subscribers;
        assert_eq!((&*typed[0].name, &*typed[1].name), ("Room", "Room_2"));
    }

    #[test]
    fn what_is_no_filter_is_found_at_the_start() {
        for wrong in ["", "a#", "#/a", "a+/b", "it's", "$share/g/a", "a\0"] {
            let declared = Realtime::new("chat").subscriber(wrong, async |_: Message<Raw>| ());
            let error = declared.endpoint().unwrap_err();
            assert!(matches!(error, RealtimeError::Filter { .. }), "{wrong}: {error}");
        }
        let declared =
            Realtime::new("chat").subscriber(Room::filter("a/b"), async |_: Message<Raw, Room>| ());
        assert!(matches!(declared.endpoint().unwrap_err(), RealtimeError::Topic(_)));
    }
}
