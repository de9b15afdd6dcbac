//! The keys of `fanwire.toml`: the one place that says what the file may hold. The
//! checks, the JSON Schema and the test of the documentation all read it.

mod realtime;

use crate::aws_id::is_account_id;
use crate::decode::{Key, Kind, Others, Table};
use crate::model::{AttributeType, DYNAMODB_EXPECTED, DynamoDbChoice};
use crate::rules::is_http_url;

pub(super) use self::realtime::{DENIED, DURABILITIES, SQL_VERSIONS, link_name};

/// The whole file.
pub(super) static FILE: Table = Table {
    name: "fanwire.toml",
    doc: "A Fanwire app.",
    others: Others::Refused,
    keys: &[
        Key::required(
            "name",
            Kind::Checked(name),
            "the app's name: the first part of the functions' full names",
        ),
        Key::new(
            "stage",
            Kind::Checked(stage),
            "the stage, which is also the first segment of the URL's path; `--stage` wins; default \"dev\"",
        ),
        Key::new(
            "region",
            Kind::Checked(name),
            "the AWS region that functions see; `--region` wins; default \"us-east-1\"",
        ),
        Key::new(
            "account_id",
            Kind::Checked(account),
            "the AWS account id that functions see; default: AWS_ACCOUNT_ID of the environment, else twelve zeros",
        ),
        Key::new(
            "profile",
            Kind::Choice(&["aws", "open"]),
            "which limits hold where the file says nothing; `--profile` wins; default \"aws\"",
        ),
        Key::new(
            "runtime",
            Kind::Text,
            "the runtime of functions that have a handler and name none; default \"nodejs20.x\"",
        ),
        Key::new("environment", Kind::TextMap, "environment variables of all functions"),
        Key::new("functions", Kind::Tables(&FUNCTION), "the functions by name"),
        Key::new(
            "websocket",
            Kind::OneOrMore(&WEBSOCKET),
            "the WebSocket API; `[[websocket]]` for each of several",
        ),
        Key::new(
            "realtime",
            Kind::Table(&realtime::REALTIME),
            "the realtime endpoint: MQTT, as AWS IoT and SST's Realtime speak it; default: none",
        ),
        Key::new("tables", Kind::Tables(&TABLE), "the DynamoDB tables by name"),
        Key::new(
            "dynamodb",
            Kind::Checked(dynamodb),
            "where the tables are: \"embedded\", \"aws\" (the real DynamoDB in the app's region) or the URL of an endpoint; `--dynamodb` wins; default \"embedded\"",
        ),
        Key::new(
            "links",
            Kind::ValueMaps,
            "values that functions and sites find by name, as SST's Resource.NAME: a table of properties for each, `type` among them; may hold ${server:address}",
        ),
        Key::new(
            "sites",
            Kind::Tables(&SITE),
            "the app's sites by name: what serves them is started by `--with-sites`",
        ),
        Key::new(
            "serve",
            Kind::Any,
            "how `fanwire serve` serves the app, with the keys of fanwire.serve.toml, where there is no such file beside this one; it is no part of the app",
        ),
        Key::new(
            "nitric",
            Kind::Table(&NITRIC),
            "services on Nitric's SDK, which say themselves what websockets and stores they have; default: none",
        ),
    ],
};

static FUNCTION: Table = Table {
    name: "a function",
    doc: "A function: it has a handler, a command, an arn or a url.",
    others: Others::Refused,
    keys: &[
        Key::new(
            "handler",
            Kind::Text,
            "the file and the function in it, as in Lambda: \"src/chat.send\"; beside `command`, the value of _HANDLER",
        ),
        Key::new("runtime", Kind::Text, "nodejs… or python…; default: the file's runtime"),
        Key::new(
            "code",
            Kind::Text,
            "the code itself, of a handler `index.NAME`; default: it is in a file",
        ),
        Key::new(
            "command",
            Kind::TextList,
            "an executable that speaks the Lambda Runtime API, and its arguments",
        ),
        Key::new(
            "build",
            Kind::TextList,
            "a command that is run before the first start of `command`",
        ),
        Key::new(
            "root",
            Kind::Text,
            "the folder of the code, relative to the file; default: the file's folder",
        ),
        Key::new(
            "arn",
            Kind::Checked(arn),
            "the ARN of a function in AWS, or behind another Lambda endpoint",
        ),
        Key::new(
            "endpoint",
            Kind::Checked(url),
            "the Lambda endpoint of `arn`; default: AWS's own for the ARN's region",
        ),
        Key::new(
            "url",
            Kind::Checked(url),
            "a URL that takes the event as a POST and answers the result",
        ),
        Key::new("name", Kind::Text, "the full name; default \"{name}-{stage}-{key}\""),
        Key::new(
            "timeout",
            Kind::Duration,
            "how long one event may take, from 1 ms to 15 minutes; default \"6s\"",
        ),
        Key::new(
            "memory",
            Kind::Integer(1, 1_048_576),
            "what the function is told of its memory, in MB; default 1024",
        ),
        Key::new(
            "concurrency",
            Kind::Integer(0, 100_000),
            "the most events at a time; default: the host's",
        ),
        Key::new(
            "environment",
            Kind::TextMap,
            "environment variables, over those of the file; may hold ${server:address}",
        ),
        Key::new(
            "links",
            Kind::TextList,
            "the names of the links that it finds; default: every link",
        ),
    ],
};

static SITE: Table = Table {
    name: "a site",
    doc: "A site, which its own tool serves while one works on it.",
    others: Others::Refused,
    keys: &[
        Key::new("kind", Kind::Text, "what kind of site it is; default \"site\""),
        Key::new(
            "path",
            Kind::Text,
            "the folder that the command is run in, relative to the file; default: the file's folder",
        ),
        Key::new(
            "command",
            Kind::Text,
            "the command that serves the site, a line for the shell such as \"npm run dev\"; default: none",
        ),
        Key::new("environment", Kind::TextMap, "environment variables; may hold ${server:address}"),
        Key::new(
            "links",
            Kind::TextList,
            "the names of the links that it finds; default: every link",
        ),
    ],
};

static NITRIC: Table = Table {
    name: "what is Nitric's",
    doc: "Services on Nitric's SDK.",
    others: Others::Refused,
    keys: &[
        Key::new("services", Kind::Tables(&NITRIC_SERVICE), "the services by name"),
        Key::new("sockets", Kind::Tables(&NITRIC_SOCKET), "what is said of websockets, by name"),
    ],
};

static NITRIC_SERVICE: Table = Table {
    name: "a service",
    doc: "A program that runs as long as the server does.",
    others: Others::Refused,
    keys: &[
        Key::required(
            "command",
            Kind::Text,
            "what runs it, a line for the shell such as \"npm run dev\"",
        ),
        Key::new(
            "path",
            Kind::Text,
            "the folder that it runs in, relative to the file; default: the file's folder",
        ),
        Key::new("environment", Kind::TextMap, "environment variables"),
        Key::new(
            "restart_on_change",
            Kind::Boolean,
            "whether it is started anew when files of its folder change; default true",
        ),
    ],
};

static NITRIC_SOCKET: Table = Table {
    name: "a websocket of Nitric's",
    doc: "A websocket that a service declares.",
    others: Others::Refused,
    keys: &[Key::new(
        "port",
        Kind::Integer(1, 65535),
        "the port of its own; default: the first that is free from 4001 on",
    )],
};

static WEBSOCKET: Table = Table {
    name: "a WebSocket API",
    doc: "A WebSocket API.",
    others: Others::Refused,
    keys: &[
        Key::new("name", Kind::Text, "the API's name; default \"{stage}-{name}-websockets\""),
        Key::new(
            "id",
            Kind::Checked(api_id),
            "the API's id; default: derived from the names, the same at every start",
        ),
        Key::new("stage", Kind::Checked(api_stage), "the API's stage; default: the app's"),
        Key::new(
            "base_path",
            Kind::Checked(segment),
            "a first segment of the URL's path that reaches the API too; default: none",
        ),
        Key::new(
            "route_selection",
            Kind::Text,
            "how the route of a message is found; default \"$request.body.action\"",
        ),
        Key::new(
            "routes",
            Kind::TextOrTables(&ROUTE),
            "the routes by route key; a text is the function's name",
        ),
        Key::new("authorizers", Kind::Tables(&AUTHORIZER), "the authorizers by name"),
        Key::new(
            "allowed_origins",
            Kind::TextList,
            "where pages come from that may connect, such as \"https://chat.example\"; default: from anywhere",
        ),
        Key::new("stage_variables", Kind::TextMap, "values that events carry as stageVariables"),
        Key::new(
            "topics",
            Kind::TextList,
            "topics of the realtime endpoint that every connection is sent the messages of; may \
             hold ${connectionId} and ${principalId}; default: none",
        ),
        Key::new("logs", Kind::Table(&LOGS), "what is logged"),
        Key::new("limits", Kind::Table(&LIMITS), "what connections may do; defaults by `profile`"),
    ],
};

static ROUTE: Table = Table {
    name: "a route",
    doc: "A route: it has a function, an http backend or a mock.",
    others: Others::Refused,
    keys: &[
        Key::new("function", Kind::Text, "the function that gets the event"),
        Key::new("http", Kind::Table(&HTTP), "an HTTP backend that gets the message's body"),
        Key::new("mock", Kind::Table(&MOCK), "a fixed answer"),
        Key::new(
            "response",
            Kind::Boolean,
            "whether the result goes back to the client; default false",
        ),
        Key::new(
            "authorizer",
            Kind::Text,
            "the authorizer, or \"AWS_IAM\" for requests signed with a key of [access.keys]; on $connect alone; default: none",
        ),
        Key::new(
            "api_key",
            Kind::Boolean,
            "whether clients need an API key, one of [access.api_keys]; on $connect alone; default false",
        ),
    ],
};

static HTTP: Table = Table {
    name: "an HTTP backend",
    doc: "An HTTP backend.",
    others: Others::Refused,
    keys: &[
        Key::required("url", Kind::Checked(url), "the URL; may hold ${stageVariables.NAME}"),
        Key::new(
            "method",
            Kind::Choice(&["DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT"]),
            "the method; default \"POST\"",
        ),
        Key::new(
            "request_parameters",
            Kind::TextMap,
            "integration.request.header.NAME (or querystring, path) to context.NAME, stageVariables.NAME, route.request.… or 'text'",
        ),
        Key::new(
            "timeout",
            Kind::Duration,
            "how long the backend may take; default: limits.integration_timeout",
        ),
    ],
};

static MOCK: Table = Table {
    name: "a mock",
    doc: "A fixed answer.",
    others: Others::Refused,
    keys: &[
        Key::new(
            "status",
            Kind::Integer(100, 599),
            "the status; on $connect, 200 to 299 accepts; default 200",
        ),
        Key::new(
            "body",
            Kind::Text,
            "what the client gets where the route has a response; $input.body in it stands for the message; default \"\"",
        ),
    ],
};

static AUTHORIZER: Table = Table {
    name: "an authorizer",
    doc: "What decides about connections: a function, or the keys of tokens that are JWTs.",
    others: Others::Refused,
    keys: &[
        Key::new("function", Kind::Text, "the function that decides"),
        Key::new(
            "identity_source",
            Kind::TextList,
            "what a handshake must carry, such as \"route.request.header.Auth\"; default: nothing, or with jwks the header Authorization",
        ),
        Key::new(
            "jwks",
            Kind::Text,
            "the keys of tokens, instead of a function: a file with a JSON Web Key Set, or an https:// URL of one",
        ),
        Key::new(
            "issuer",
            Kind::Text,
            "what a token's `iss` must be; default: it is not looked at",
        ),
        Key::new(
            "audience",
            Kind::OneOrMoreTexts,
            "what a token's `aud` must have one of; default: it is not looked at",
        ),
    ],
};

static LOGS: Table = Table {
    name: "logs",
    doc: "What is logged about an API's requests.",
    others: Others::Refused,
    keys: &[
        Key::new(
            "access",
            Kind::TextOrBoolean,
            "one line a request: true, or a format with $context variables; default false",
        ),
        Key::new(
            "access_file",
            Kind::Text,
            "the file that access lines are appended to; default: standard output",
        ),
        Key::new(
            "execution",
            Kind::Choice(&["off", "error", "info"]),
            "how much is told about each request; default \"off\"",
        ),
        Key::new(
            "full_execution_data",
            Kind::Boolean,
            "whether whole events and results are logged; default false",
        ),
    ],
};

/// Named as the fields of [`Limits`](crate::model::Limits), which a test checks.
pub(super) static LIMITS: Table = Table {
    name: "limits",
    doc: "What the connections of an API may do.",
    others: Others::Refused,
    keys: &[
        Key::new(
            "idle_timeout",
            Kind::DurationOrNone,
            "a connection without a message for this long is closed; default \"10m\"",
        ),
        Key::new(
            "idle_counts_control_frames",
            Kind::Boolean,
            "whether pings and pongs count as messages; default false, open: true",
        ),
        Key::new(
            "max_lifetime",
            Kind::DurationOrNone,
            "a connection older than this is closed; default \"2h\", open: \"none\"",
        ),
        Key::new(
            "max_frame_bytes",
            Kind::Size,
            "the longest payload of one frame from a client; default \"32KB\", open: \"1MB\"",
        ),
        Key::new(
            "max_message_bytes",
            Kind::Size,
            "the longest message; default \"128KB\", open: \"1MB\"",
        ),
        Key::new(
            "integration_timeout",
            Kind::Duration,
            "how long a function or backend may take; default \"29s\"",
        ),
        Key::new(
            "max_in_flight",
            Kind::Integer(1, 1_000_000),
            "messages of one connection that are worked on at once; default 64",
        ),
        Key::new(
            "ordered",
            Kind::Boolean,
            "whether a connection's next message waits for the one before; default false",
        ),
        Key::new(
            "max_outbound_bytes",
            Kind::Size,
            "what may wait for a client that does not read; default \"1MB\"",
        ),
        Key::new(
            "max_connections",
            Kind::Integer(1, 100_000_000),
            "connections at once; default 1000000",
        ),
        Key::new(
            "binary",
            Kind::Boolean,
            "whether binary messages are taken; default false, open: true",
        ),
        Key::new(
            "compression",
            Kind::Boolean,
            "whether permessage-deflate is negotiated; default false, open: true",
        ),
        Key::new(
            "broadcast",
            Kind::Boolean,
            "whether POST /{stage}/@connections reaches every connection; default false, open: true",
        ),
    ],
};

static TABLE: Table = Table {
    name: "a table",
    doc: "A DynamoDB table.",
    others: Others::Refused,
    keys: &[
        Key::new(
            "name",
            Kind::Text,
            "the name that SDKs are given; default \"{name}-{stage}-{key}\"",
        ),
        Key::required("hash", Kind::Text, "the attribute that is the hash (partition) key"),
        Key::new("range", Kind::Text, "the attribute that is the range (sort) key; default: none"),
        Key::new(
            "attributes",
            Kind::ChoiceMap(&AttributeType::NAMES),
            "the types of key attributes: S (text), N (number) or B (bytes); default \"S\"",
        ),
        Key::new("indexes", Kind::Tables(&INDEX), "the secondary indexes by name"),
        Key::new(
            "ttl",
            Kind::Text,
            "the attribute that holds the time at which an item expires, in seconds since 1970; default: none",
        ),
        Key::new(
            "stream",
            Kind::Choice(&STREAM_VIEWS),
            "what the table's stream records of a changed item; default: no stream",
        ),
    ],
};

static INDEX: Table = Table {
    name: "an index",
    doc: "A secondary index of a table.",
    others: Others::Refused,
    keys: &[
        Key::new(
            "hash",
            Kind::OneOrMoreTexts,
            "the attribute that is the hash key, or up to four of them; a local index has the table's",
        ),
        Key::new(
            "range",
            Kind::OneOrMoreTexts,
            "the attribute that is the range key, or up to four of them; default: none, but a local index needs one",
        ),
        Key::new("local", Kind::Boolean, "whether it is a local index; default false"),
        Key::new(
            "projection",
            Kind::ChoiceOrTextList(&["all", "keys"]),
            "what can be read from it: \"all\", \"keys\", or a list of attributes besides the keys; default \"all\"",
        ),
    ],
};

/// DynamoDB's views in lower case, in the order of `StreamView::NAMES`.
pub(super) const STREAM_VIEWS: [&str; 4] =
    ["keys-only", "new-image", "old-image", "new-and-old-images"];

pub(super) fn name(text: &str) -> Result<(), String> {
    let valid = !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '-');
    valid.then_some(()).ok_or_else(|| "letters, digits and hyphens".to_owned())
}

pub(super) fn stage(text: &str) -> Result<(), String> {
    let valid = !text.is_empty()
        && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_'));
    valid.then_some(()).ok_or_else(|| "letters, digits, hyphens and underscores".to_owned())
}

/// The stage of an API, which may have API Gateway's own name for one that needs none.
fn api_stage(text: &str) -> Result<(), String> {
    if text == "$default" { Ok(()) } else { stage(text) }
}

fn segment(text: &str) -> Result<(), String> {
    let valid = !text.is_empty()
        && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'))
        && !text.chars().all(|c| c == '.');
    valid.then_some(()).ok_or_else(|| "letters, digits, and any of - _ .".to_owned())
}

fn api_id(text: &str) -> Result<(), String> {
    let valid = text.len() == 10
        && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
    valid.then_some(()).ok_or_else(|| "ten lower-case letters and digits".to_owned())
}

fn account(text: &str) -> Result<(), String> {
    is_account_id(text).then_some(()).ok_or_else(|| "twelve digits, in quotes".to_owned())
}

fn url(text: &str) -> Result<(), String> {
    let expected = "a URL that begins with http:// or https://";
    is_http_url(text).then_some(()).ok_or_else(|| expected.to_owned())
}

fn arn(text: &str) -> Result<(), String> {
    let parts: Vec<&str> = text.splitn(7, ':').collect();
    let valid = matches!(parts.as_slice(), ["arn", _, "lambda", region, account, "function", name]
        if !region.is_empty() && !account.is_empty() && !name.is_empty());
    valid.then_some(()).ok_or_else(|| "arn:aws:lambda:REGION:ACCOUNT:function:NAME".to_owned())
}

fn dynamodb(text: &str) -> Result<(), String> {
    let choice: Result<DynamoDbChoice, _> = text.parse();
    choice.map(drop).map_err(|_| DYNAMODB_EXPECTED.to_owned())
}
