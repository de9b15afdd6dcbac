//! Limits of the realtime endpoint, and what the two profiles make of them.

use std::time::Duration;

use serde::Serialize;

use super::Profile;

/// What the broker allows (reference: iot.md, section 4, where nothing else is said).
/// `None` means "no limit".
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RealtimeLimits {
    /// Connections at once, those that have not sent CONNECT included; more are refused
    /// with 0x97 (3.x: 3). IoT Core: 500,000 in an account.
    pub max_connections: usize,
    /// How long a client may take from its first byte to its CONNECT; then it is closed.
    /// IoT Core: not said.
    pub connect_timeout: Duration,
    /// How long an authorizer may take; then the client is refused. IoT Core: 5 s
    /// (section 2).
    pub authorizer_timeout: Duration,
    /// Whether an authorizer's answer must keep AWS's rules (principal of letters and
    /// digits, seconds in their bounds, sizes of documents) or is refused. IoT Core: yes
    /// (section 2). If not, any principal is taken and seconds are brought in bounds.
    pub strict_authorizer: bool,
    /// A WebSocket connection older than this is closed, and so is one whose authorizer
    /// says nothing shorter. IoT Core: 24 h (section 1).
    pub max_lifetime: Option<Duration>,
    /// The shortest keep-alive; a client that asks for less gets this. Whole seconds.
    /// IoT Core: 30 s.
    pub keep_alive_min: Duration,
    /// The longest keep-alive; a client that asks for more gets this. Whole seconds, at
    /// most 65,535. IoT Core: 1,200 s.
    pub keep_alive_max: Duration,
    /// The keep-alive of a client that asks for none (0); it is told in CONNACK. `None`:
    /// it has none. IoT Core: 1,200 s.
    pub keep_alive_default: Option<Duration>,
    /// The longest packet from a client, in bytes; told in CONNACK. A longer one closes
    /// the connection with 0x95. IoT Core: 149,504.
    pub max_packet_bytes: usize,
    /// The longest payload of a message, in bytes, also over HTTP. A longer one closes
    /// the connection. IoT Core: 128 KB.
    pub max_payload_bytes: usize,
    /// The smallest Maximum Packet Size that a client may ask for, in bytes; a smaller
    /// one is refused. IoT Core: 512.
    pub min_client_packet_bytes: usize,
    /// The longest client id, in bytes; a longer one is refused with 0x85. IoT Core: 128.
    pub max_client_id_bytes: usize,
    /// The highest QoS of messages and subscriptions: 0, 1 or 2; told in CONNACK. IoT
    /// Core: 1.
    pub max_qos: u8,
    /// Whether a 3.x client that subscribes with a QoS above [`Self::max_qos`] is granted
    /// that one, and its publish is taken as of it. If not, the packet is not answered,
    /// as by IoT Core (section 10).
    pub qos2_downgrade: bool,
    /// Whether `sport/#` matches `sport`, as the standard has it. IoT Core: no.
    pub parent_match: bool,
    /// Whether a filter with wildcards gets retained messages when it is subscribed to.
    /// IoT Core: no.
    pub retained_on_wildcards: bool,
    /// Whether `$share/GROUP/FILTER` can be subscribed to. IoT Core: yes.
    pub shared_subscriptions: bool,
    /// Whether subscriptions may have identifiers; if not, one closes the connection with
    /// 0xA1. IoT Core: no.
    pub subscription_identifiers: bool,
    /// Whether clients may use topics that begin with `$` and mean nothing to the broker.
    /// If not, one closes the connection, as by IoT Core (section 3).
    pub dollar_topics: bool,
    /// The most levels of a topic or filter, without `$share/GROUP` or
    /// `$aws/rules/NAME` before it. IoT Core: 8.
    pub max_topic_levels: usize,
    /// The longest topic or filter, in bytes, without those. IoT Core: 256.
    pub max_topic_bytes: usize,
    /// Subscriptions of one session; more are refused with 0x97 (3.x: 0x80). IoT Core:
    /// 50.
    pub max_subscriptions: usize,
    /// Filters in one SUBSCRIBE; more close the connection. IoT Core: 8.
    pub max_subscriptions_per_request: usize,
    /// Groups of shared subscriptions; more are refused with 0x97. IoT Core: 100.
    pub max_shared_groups: usize,
    /// Members of one such group; more are refused with 0x97. IoT Core: 100.
    pub max_shared_members: usize,
    /// Messages of QoS 1 and 2 that a client may have sent without an answer: Receive
    /// Maximum in CONNACK; more close the connection with 0x93. IoT Core: 100.
    pub receive_maximum: u16,
    /// Messages of QoS 1 and 2 that a client is sent without an answer, where it does not
    /// ask for fewer; more wait. IoT Core: 100.
    pub max_in_flight: u16,
    /// Topic aliases in each direction of a connection. IoT Core: 8.
    pub topic_alias_maximum: u16,
    /// The longest user properties of a message together, in bytes. IoT Core: 8 KB.
    pub max_user_properties_bytes: usize,
    /// The longest content type, in bytes. IoT Core: 256.
    pub max_content_type_bytes: usize,
    /// The longest correlation data, in bytes. IoT Core: 8 KB.
    pub max_correlation_data_bytes: usize,
    /// The longest message expiry; longer ones are shortened to it. IoT Core: 7 days.
    pub message_expiry_max: Option<Duration>,
    /// How long the session of a 3.x client without clean session outlives its
    /// connection. `None`: for ever. IoT Core: 1 h.
    pub session_expiry_default_v3: Option<Duration>,
    /// The longest expiry of a session; longer ones are shortened to it, which CONNACK
    /// tells. IoT Core: 1 h, up to 7 days on request.
    pub session_expiry_max: Option<Duration>,
    /// Whether a session made with MQTT 3.1.1 can be resumed with 5, and the other way
    /// round. IoT Core: no.
    pub resume_across_versions: bool,
    /// Sessions, of clients that are away too; more are refused with 0x97. IoT Core: not
    /// said.
    pub max_sessions: usize,
    /// Messages that may wait for one session that is away or has too many in flight; the
    /// next is dropped and counted. IoT Core: not said.
    pub max_queued_messages: usize,
    /// Bytes of such messages, for one session. IoT Core: not said.
    pub max_queued_bytes: usize,
    /// Bytes of such messages, for all sessions together. IoT Core: not said.
    pub max_queued_bytes_total: usize,
    /// Retained messages; a further one is refused with 0x97. IoT Core: 500,000.
    pub max_retained_messages: usize,
    /// Bytes of topics, payloads and properties of retained messages; beyond them as
    /// above. IoT Core: not said.
    pub max_retained_bytes: usize,
    /// Bytes of disk for sessions, waiting and retained messages together. Beyond it no
    /// further one is kept: as above for what would be retained, and with 0x97 for QoS 1 and
    /// 2 messages for sessions that are away. IoT Core: not said.
    pub max_disk_bytes: usize,
    /// Messages a second in both directions of one connection. Beyond them its socket is
    /// not read for a while, and QoS 0 messages for it are dropped. IoT Core: 100.
    pub publishes_per_second: Option<u32>,
    /// Bytes a second in both directions of one connection; beyond them as above. IoT
    /// Core: 512 KB.
    pub bytes_per_second: Option<usize>,
    /// Bytes that may wait for a client that does not read. Beyond them it loses QoS 0
    /// messages, which are counted; those of QoS 1 and 2 wait in its session. IoT Core:
    /// not said.
    pub max_outbound_bytes: usize,
    /// What a client that may not subscribe notices. IoT Core: [`Denied::ByVersion`]
    /// (section 10).
    pub denied_subscribe: Denied,
    /// What a client that may not publish notices. IoT Core: [`Denied::ByVersion`]
    /// (section 10).
    pub denied_publish: Denied,
    /// Whether `$aws/events/presence/…` and `$aws/events/subscriptions/…` tell of
    /// connections. IoT Core: yes, always (section 6).
    pub lifecycle_events: bool,
    /// Whether subscribers of MQTT 5 see who published a message, as user properties that
    /// a publisher cannot forge: the verified principal and the client id. IoT Core: no.
    pub publisher_properties: bool,
    /// Events that may wait for the function of one topic rule; more are dropped and
    /// counted. IoT Core: not said.
    pub max_rule_events: usize,
    /// Bytes of such events. IoT Core: not said.
    pub max_rule_bytes: usize,
}

/// What a client notices that may not do something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Denied {
    /// A connection of 3.x is closed; one of 5 gets a reason code, and is closed where
    /// there is nothing to put it in (QoS 0). What users of IoT Core report.
    ByVersion,
    /// The connection is closed, whatever the version (5: with DISCONNECT 0x87).
    Close,
    /// The connection stays. The acknowledgement says so: SUBACK 0x80 in 3.x and 0x87 in
    /// 5, PUBACK or PUBREC 0x87 in 5. Where none can, in QoS 0 and in 3.x (MQTT 3.1.1,
    /// 3.3.5), the message is gone as if it had been taken.
    Acknowledge,
    /// As [`Acknowledge`](Self::Acknowledge), but 5 gets 0x80, an unspecified failure: a
    /// client that guesses learns nothing of the policy.
    Conceal,
}

/// Seconds of a day.
const DAY: u64 = 24 * 3600;

const KB: usize = 1024;
const MB: usize = 1024 * KB;

// === impl RealtimeLimits ===

impl RealtimeLimits {
    /// The defaults of a profile.
    pub fn of(profile: Profile) -> Self {
        match profile {
            Profile::Aws => Self::aws(),
            Profile::Open => Self::open(),
        }
    }

    /// IoT Core's quotas, and bounds of our own where it tells none.
    fn aws() -> Self {
        Self {
            max_connections: 1_000_000,
            connect_timeout: Duration::from_secs(10),
            authorizer_timeout: Duration::from_secs(5),
            strict_authorizer: true,
            max_lifetime: Some(Duration::from_secs(DAY)),
            keep_alive_min: Duration::from_secs(30),
            keep_alive_max: Duration::from_secs(1200),
            keep_alive_default: Some(Duration::from_secs(1200)),
            max_packet_bytes: 149_504,
            max_payload_bytes: 128 * KB,
            min_client_packet_bytes: 512,
            max_client_id_bytes: 128,
            max_qos: 1,
            qos2_downgrade: false,
            parent_match: false,
            retained_on_wildcards: false,
            shared_subscriptions: true,
            subscription_identifiers: false,
            dollar_topics: false,
            max_topic_levels: 8,
            max_topic_bytes: 256,
            max_subscriptions: 50,
            max_subscriptions_per_request: 8,
            max_shared_groups: 100,
            max_shared_members: 100,
            receive_maximum: 100,
            max_in_flight: 100,
            topic_alias_maximum: 8,
            max_user_properties_bytes: 8 * KB,
            max_content_type_bytes: 256,
            max_correlation_data_bytes: 8 * KB,
            message_expiry_max: Some(Duration::from_secs(7 * DAY)),
            session_expiry_default_v3: Some(Duration::from_secs(3600)),
            session_expiry_max: Some(Duration::from_secs(7 * DAY)),
            resume_across_versions: false,
            max_sessions: 1_000_000,
            max_queued_messages: 10_000,
            max_queued_bytes: 4 * MB,
            max_queued_bytes_total: 1024 * MB,
            max_retained_messages: 500_000,
            max_retained_bytes: 1024 * MB,
            max_disk_bytes: 4096 * MB,
            publishes_per_second: Some(100),
            bytes_per_second: Some(512 * KB),
            max_outbound_bytes: MB,
            denied_subscribe: Denied::ByVersion,
            denied_publish: Denied::ByVersion,
            lifecycle_events: true,
            publisher_properties: false,
            max_rule_events: 10_000,
            max_rule_bytes: 64 * MB,
        }
    }

    /// The whole standard, with bounds that only abuse meets.
    fn open() -> Self {
        /// The longest text or binary field of the standard.
        const FIELD: usize = u16::MAX as usize;
        Self {
            authorizer_timeout: Duration::from_secs(10),
            strict_authorizer: false,
            max_lifetime: None,
            keep_alive_min: Duration::ZERO,
            keep_alive_max: Duration::from_secs(u64::from(u16::MAX)),
            keep_alive_default: None,
            max_packet_bytes: MB + 128 * KB,
            max_payload_bytes: MB,
            min_client_packet_bytes: 1,
            max_client_id_bytes: KB,
            max_qos: 2,
            qos2_downgrade: true,
            parent_match: true,
            retained_on_wildcards: true,
            subscription_identifiers: true,
            dollar_topics: true,
            max_topic_levels: 256,
            max_topic_bytes: FIELD,
            max_subscriptions: 10_000,
            max_subscriptions_per_request: 10_000,
            max_shared_groups: 100_000,
            max_shared_members: 10_000,
            receive_maximum: 1000,
            max_in_flight: 1000,
            topic_alias_maximum: 64,
            max_user_properties_bytes: FIELD,
            max_content_type_bytes: FIELD,
            max_correlation_data_bytes: FIELD,
            message_expiry_max: None,
            session_expiry_default_v3: None,
            session_expiry_max: None,
            resume_across_versions: true,
            max_retained_messages: 2_000_000,
            publishes_per_second: None,
            bytes_per_second: None,
            denied_subscribe: Denied::Acknowledge,
            denied_publish: Denied::Acknowledge,
            ..Self::aws()
        }
    }
}
