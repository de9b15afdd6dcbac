//! What a rule sees of a message. The time, ids and randomness come with it: a rule has
//! no clock and no generator of its own.

/// A published message.
#[derive(Debug, Clone, Copy)]
pub struct Message<'m> {
    /// The topic; of Basic Ingest what follows the rule's name
    /// (see [`basic_ingest`](crate::basic_ingest)).
    pub topic: &'m str,
    /// The payload; anything.
    pub payload: &'m [u8],
    /// The publisher's client id; `None` if the message did not come over MQTT.
    pub client_id: Option<&'m str>,
    /// Who published it: what the authorizer said (`principalId`), or the user's name.
    pub principal: Option<&'m str>,
    /// The publisher's address; `None` if the message did not come over MQTT.
    pub source_ip: Option<&'m str>,
    /// Now, in milliseconds since 1970.
    pub timestamp_ms: i64,
    /// Its MQTT 5 properties; `None` of a publisher that speaks an older version.
    pub properties: Option<Properties<'m>>,
    /// The account that the server stands for, 12 digits.
    pub account_id: &'m str,
    /// A UUID for the way of this message; `None` if it did not come over MQTT.
    pub trace_id: Option<&'m str>,
    /// What `rand()` and `newuuid()` come from: a new one for each message and rule.
    pub seed: u64,
}

/// The properties of an MQTT 5 PUBLISH that functions can read (MQTT 5, 3.3.2.3).
#[derive(Debug, Clone, Copy, Default)]
pub struct Properties<'m> {
    /// Payload Format Indicator 1.
    pub utf8_payload: bool,
    /// Content Type.
    pub content_type: Option<&'m str>,
    /// Response Topic.
    pub response_topic: Option<&'m str>,
    /// Correlation Data.
    pub correlation_data: Option<&'m [u8]>,
    /// User Properties, in order; names may come more than once.
    pub user_properties: &'m [(&'m str, &'m str)],
}
