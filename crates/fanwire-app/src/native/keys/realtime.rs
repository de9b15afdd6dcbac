//! The keys of `[realtime]`.

use std::net::SocketAddr;

use crate::decode::{Key, Kind, Others, Table};

/// `[realtime]`
pub(super) static REALTIME: Table = Table {
    name: "the realtime endpoint",
    doc: "The realtime endpoint: who may connect, and which functions get messages.",
    others: Others::Refused,
    keys: &[
        Key::new(
            "name",
            Kind::Checked(link_name),
            "the name by which functions and pages find it, as SST's Resource.NAME; default \"Realtime\"",
        ),
        Key::new(
            "path",
            Kind::Checked(path),
            "the path of MQTT over WebSocket; default \"/mqtt\", which every client of AWS IoT uses",
        ),
        Key::new(
            "authorizers",
            Kind::Tables(&AUTHORIZER),
            "functions that are asked about connections, by the name that clients give",
        ),
        Key::new(
            "default_authorizer",
            Kind::Text,
            "the authorizer of clients that name none; default: they are refused, unless they are users or have a JWT",
        ),
        Key::new(
            "allow_anonymous",
            Kind::Boolean,
            "whether clients without credentials may connect, and do everything; default false",
        ),
        Key::new("users", Kind::Tables(&USER), "users by name, without a function"),
        Key::new("jwt", Kind::Table(&JWT), "tokens that are taken for a password"),
        Key::new(
            "subscribers",
            Kind::Tables(&SUBSCRIBER),
            "functions that get messages, by the name of the topic rule",
        ),
        Key::new(
            "listen",
            Kind::ListOf(&LISTENER),
            "ports of its own, besides the server's, which speaks MQTT too; default: none",
        ),
        Key::new(
            "durability",
            Kind::Choice(&DURABILITIES),
            "when what is acknowledged is kept: never (memory), once the system has it, so that it outlives the server, and a power cut takes at most the last 100 ms (written), or once the disk has it, so that it outlives a power cut (synced); default \"written\"",
        ),
        Key::new("limits", Kind::Table(&LIMITS), "what clients may do; defaults by `profile`"),
    ],
};

/// The words of `durability`, in the order of the model's variants.
pub(crate) const DURABILITIES: [&str; 3] = ["memory", "written", "synced"];

static AUTHORIZER: Table = Table {
    name: "an authorizer",
    doc: "A function that is asked about connections.",
    others: Others::Refused,
    keys: &[
        Key::required("function", Kind::Text, "the function that decides"),
        Key::new(
            "token_key",
            Kind::Text,
            "the parameter that carries the token; needed with public_keys; default: none",
        ),
        Key::new(
            "public_keys",
            Kind::TextList,
            "RSA public keys that tokens must be signed with: PEM texts, or paths of files that hold one; default: tokens are not signed",
        ),
    ],
};

static USER: Table = Table {
    name: "a user",
    doc: "A user, who gives a name and a password.",
    others: Others::Refused,
    keys: &[
        Key::required(
            "password",
            Kind::Text,
            "the hash of the password, as `fanwire password` makes it",
        ),
        CONNECT,
        PUBLISH,
        SUBSCRIBE,
        RECEIVE,
        RETAIN,
    ],
};

static JWT: Table = Table {
    name: "jwt",
    doc: "JSON Web Tokens that are taken for a password.",
    others: Others::Refused,
    keys: &[
        Key::required(
            "jwks",
            Kind::Text,
            "the keys that tokens are signed with: the path of a file, or a URL",
        ),
        Key::new("issuer", Kind::Text, "what `iss` must be; default: anything"),
        Key::new(
            "audience",
            Kind::OneOrMoreTexts,
            "what `aud` must have one of; default: anything",
        ),
        Key::new("principal_claim", Kind::Text, "the claim that says who it is; default \"sub\""),
        CONNECT,
        PUBLISH,
        SUBSCRIBE,
        RECEIVE,
        RETAIN,
    ],
};

const CONNECT: Key =
    Key::new("connect", Kind::TextList, "patterns of client ids that may be used; default [\"*\"]");

const PUBLISH: Key = Key::new(
    "publish",
    Kind::TextList,
    "patterns of topics that may be published to; default: none",
);

const SUBSCRIBE: Key = Key::new(
    "subscribe",
    Kind::TextList,
    "patterns of topic filters that may be subscribed to; default: none",
);

const RECEIVE: Key = Key::new(
    "receive",
    Kind::TextList,
    "patterns of topics whose messages are delivered; default: those of `subscribe`",
);

const RETAIN: Key =
    Key::new("retain", Kind::Boolean, "whether published messages may be retained; default false");

static SUBSCRIBER: Table = Table {
    name: "a subscriber",
    doc: "A function that gets messages: it has a filter, or a statement in IoT SQL.",
    others: Others::Refused,
    keys: &[
        Key::required("function", Kind::Text, "the function that gets what is selected"),
        Key::new(
            "filter",
            Kind::Text,
            "the topic filter whose messages the function gets, such as \"chat/+/messages\"",
        ),
        Key::new(
            "sql",
            Kind::Text,
            "the same and more in IoT SQL: \"SELECT *, topic() AS topic FROM 'chat/#' WHERE …\"",
        ),
        Key::new(
            "sql_version",
            Kind::Choice(&SQL_VERSIONS),
            "the version of IoT SQL; default \"2016-03-23\"",
        ),
        Key::new(
            "error_function",
            Kind::Text,
            "the function that is told of failures; default: none",
        ),
        Key::new("enabled", Kind::Boolean, "whether it gets anything; default true"),
    ],
};

/// The words of `sql_version`, the last of which is the default.
pub(crate) const SQL_VERSIONS: [&str; 2] = ["2015-10-08", "2016-03-23"];

static LISTENER: Table = Table {
    name: "a port of the realtime endpoint",
    doc: "A port of the realtime endpoint's own.",
    others: Others::Refused,
    keys: &[
        Key::required(
            "address",
            Kind::Checked(address),
            "the address and port, such as \"127.0.0.1:1883\"",
        ),
        Key::new(
            "protocol",
            Kind::Choice(&["mqtt", "websocket"]),
            "what it speaks; default \"mqtt\"",
        ),
        Key::new("tls", Kind::Boolean, "whether over TLS; default false"),
    ],
};

/// The longest field of a packet.
const FIELD: i64 = 65_535;

/// Named as the fields of [`RealtimeLimits`](crate::model::RealtimeLimits), which a test
/// checks.
static LIMITS: Table = Table {
    name: "limits",
    doc: "What the clients of the realtime endpoint may do.",
    others: Others::Refused,
    keys: &[
        Key::new(
            "max_connections",
            Kind::Integer(1, 100_000_000),
            "connections at once; default 1000000",
        ),
        Key::new(
            "connect_timeout",
            Kind::Duration,
            "how long a client may take until its CONNECT; default \"10s\"",
        ),
        Key::new(
            "authorizer_timeout",
            Kind::Duration,
            "how long an authorizer may take; default \"5s\", open: \"10s\"",
        ),
        Key::new(
            "strict_authorizer",
            Kind::Boolean,
            "whether an authorizer's answer must keep AWS's rules; default true, open: false",
        ),
        Key::new(
            "max_lifetime",
            Kind::DurationOrNone,
            "a WebSocket connection older than this is closed; default \"24h\", open: \"none\"",
        ),
        Key::new(
            "keep_alive_min",
            Kind::Duration,
            "the shortest keep-alive, in whole seconds; default \"30s\", open: 0",
        ),
        Key::new(
            "keep_alive_max",
            Kind::Duration,
            "the longest keep-alive, in whole seconds; default \"20m\", open: 65535",
        ),
        Key::new(
            "keep_alive_default",
            Kind::DurationOrNone,
            "the keep-alive of clients that ask for none; default \"20m\", open: \"none\"",
        ),
        Key::new(
            "max_packet_bytes",
            Kind::Size,
            "the longest packet from a client; default 149504, open: 1179648",
        ),
        Key::new(
            "max_payload_bytes",
            Kind::Size,
            "the longest payload of a message; default \"128KB\", open: \"1MB\"",
        ),
        Key::new(
            "min_client_packet_bytes",
            Kind::Size,
            "the smallest Maximum Packet Size that a client may ask for; default 512, open: 1",
        ),
        Key::new(
            "max_client_id_bytes",
            Kind::Integer(1, FIELD),
            "the longest client id; default 128, open: 1024",
        ),
        Key::new("max_qos", Kind::Integer(0, 2), "the highest QoS; default 1, open: 2"),
        Key::new(
            "qos2_downgrade",
            Kind::Boolean,
            "whether what asks for a higher QoS in MQTT 3 gets the highest, rather than no answer; default false, open: true",
        ),
        Key::new(
            "parent_match",
            Kind::Boolean,
            "whether the filter \"a/#\" matches the topic \"a\"; default false, open: true",
        ),
        Key::new(
            "retained_on_wildcards",
            Kind::Boolean,
            "whether filters with wildcards get retained messages; default false, open: true",
        ),
        Key::new(
            "shared_subscriptions",
            Kind::Boolean,
            "whether \"$share/GROUP/FILTER\" can be subscribed to; default true",
        ),
        Key::new(
            "subscription_identifiers",
            Kind::Boolean,
            "whether subscriptions may have identifiers; default false, open: true",
        ),
        Key::new(
            "dollar_topics",
            Kind::Boolean,
            "whether clients may use topics that begin with $ and mean nothing here; default false, open: true",
        ),
        Key::new(
            "max_topic_levels",
            Kind::Integer(1, FIELD),
            "the most levels of a topic or filter; default 8, open: 256",
        ),
        Key::new(
            "max_topic_bytes",
            Kind::Integer(1, FIELD),
            "the longest topic or filter; default 256, open: 65535",
        ),
        Key::new(
            "max_subscriptions",
            Kind::Integer(1, 100_000_000),
            "subscriptions of one session; default 50, open: 10000",
        ),
        Key::new(
            "max_subscriptions_per_request",
            Kind::Integer(1, 100_000_000),
            "filters in one SUBSCRIBE; default 8, open: 10000",
        ),
        Key::new(
            "max_shared_groups",
            Kind::Integer(1, 100_000_000),
            "groups of shared subscriptions; default 100, open: 100000",
        ),
        Key::new(
            "max_shared_members",
            Kind::Integer(1, 100_000_000),
            "members of one group; default 100, open: 10000",
        ),
        Key::new(
            "receive_maximum",
            Kind::Integer(1, FIELD),
            "QoS 1 and 2 messages that a client may have sent without an answer; default 100, open: 1000",
        ),
        Key::new(
            "max_in_flight",
            Kind::Integer(1, FIELD),
            "QoS 1 and 2 messages that a client is sent without an answer; default 100, open: 1000",
        ),
        Key::new(
            "topic_alias_maximum",
            Kind::Integer(0, FIELD),
            "topic aliases in each direction; default 8, open: 64",
        ),
        Key::new(
            "max_user_properties_bytes",
            Kind::Size,
            "the user properties of a message; default \"8KB\", open: 65535",
        ),
        Key::new(
            "max_content_type_bytes",
            Kind::Integer(0, FIELD),
            "the longest content type; default 256, open: 65535",
        ),
        Key::new(
            "max_correlation_data_bytes",
            Kind::Size,
            "the longest correlation data; default \"8KB\", open: 65535",
        ),
        Key::new(
            "message_expiry_max",
            Kind::DurationOrNone,
            "the longest message expiry; default \"168h\", open: \"none\"",
        ),
        Key::new(
            "session_expiry_default_v3",
            Kind::DurationOrNone,
            "how long a session of MQTT 3 outlives its connection; default \"1h\", open: \"none\", which is for ever",
        ),
        Key::new(
            "session_expiry_max",
            Kind::DurationOrNone,
            "the longest that a session outlives its connection; default \"168h\", open: \"none\"",
        ),
        Key::new(
            "resume_across_versions",
            Kind::Boolean,
            "whether a session of MQTT 3 can be resumed with 5, and the other way round; default false, open: true",
        ),
        Key::new(
            "max_sessions",
            Kind::Integer(1, 100_000_000),
            "sessions, also of clients that are away; default 1000000",
        ),
        Key::new(
            "max_queued_messages",
            Kind::Integer(0, 100_000_000),
            "messages that wait for one session; default 10000",
        ),
        Key::new("max_queued_bytes", Kind::Size, "their bytes; default \"4MB\""),
        Key::new(
            "max_queued_bytes_total",
            Kind::Size,
            "the bytes of all sessions' waiting messages; default \"1GB\"",
        ),
        Key::new(
            "max_retained_messages",
            Kind::Integer(0, 100_000_000),
            "retained messages; default 500000, open: 2000000",
        ),
        Key::new("max_retained_bytes", Kind::Size, "their bytes; default \"1GB\""),
        Key::new(
            "max_disk_bytes",
            Kind::Size,
            "the disk that sessions and messages may take; default \"4GB\"",
        ),
        Key::new(
            "publishes_per_second",
            Kind::IntegerOrNone(1, 100_000_000),
            "messages of one connection in a second, both ways; default 100, open: \"none\"",
        ),
        Key::new(
            "bytes_per_second",
            Kind::SizeOrNone,
            "bytes of one connection in a second, both ways; default \"512KB\", open: \"none\"",
        ),
        Key::new(
            "max_outbound_bytes",
            Kind::Size,
            "what may wait for a client that does not read; default \"1MB\"",
        ),
        Key::new("denied_subscribe", Kind::Choice(&DENIED), DENIED_SUBSCRIBE),
        Key::new("denied_publish", Kind::Choice(&DENIED), DENIED_PUBLISH),
        Key::new(
            "lifecycle_events",
            Kind::Boolean,
            "whether $aws/events/… tells of connections and subscriptions; default true",
        ),
        Key::new(
            "publisher_properties",
            Kind::Boolean,
            "whether subscribers of MQTT 5 see the principal and the client id of who published, the principal alone where that was over HTTP with an authorizer; nobody else can set them; default false",
        ),
        Key::new(
            "max_rule_events",
            Kind::Integer(1, 100_000_000),
            "events that wait for the function of one subscriber; default 10000",
        ),
        Key::new("max_rule_bytes", Kind::Size, "their bytes; default \"64MB\""),
    ],
};

/// The words of `denied_subscribe` and `denied_publish`, in the order of the model's
/// variants.
pub(crate) const DENIED: [&str; 4] = ["by-version", "close", "acknowledge", "conceal"];

const DENIED_SUBSCRIBE: &str = "what a client that may not subscribe notices: its connection is closed (close), the acknowledgement says so (acknowledge) or speaks of an unspecified failure (conceal), or it is closed in MQTT 3 and told so in 5 (by-version); default \"by-version\", open: \"acknowledge\"";

const DENIED_PUBLISH: &str =
    "the same of a client that may not publish; default \"by-version\", open: \"acknowledge\"";

/// A name that can be a part of an environment variable's.
pub(crate) fn link_name(text: &str) -> Result<(), String> {
    let valid = text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    valid.then_some(()).ok_or_else(|| "a letter, then letters, digits and underscores".to_owned())
}

fn path(text: &str) -> Result<(), String> {
    let valid = text.strip_prefix('/').is_some_and(|rest| {
        !rest.is_empty()
            && rest
                .split('/')
                .all(|segment| !segment.is_empty() && segment != "." && segment != "..")
            && rest.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '/'))
    });
    let expected = "a path such as /mqtt, of letters, digits, and any of - _ .";
    valid.then_some(()).ok_or_else(|| expected.to_owned())
}

fn address(text: &str) -> Result<(), String> {
    let address: Result<SocketAddr, _> = text.parse();
    let expected = "an IP address and a port, such as 127.0.0.1:1883 or [::1]:1883";
    address.map(drop).map_err(|_| expected.to_owned())
}
