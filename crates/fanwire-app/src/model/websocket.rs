//! A WebSocket API: routes that messages are dispatched to, and what stands
//! behind each route.

use std::time::Duration;

use indexmap::IndexMap;
use serde::Serialize;

use super::{IdentitySource, JwksSource, Limits};
use crate::selection::RouteSelection;

/// One WebSocket API at one stage.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct WebSocketApi {
    /// The API id, as in `{id}.execute-api.{region}.amazonaws.com`: ten lower-case
    /// letters and digits, the same at every start.
    pub id: String,
    /// The API's name, such as `dev-chat-websockets`.
    pub name: String,
    /// The stage name, which is also the first segment of the URL's path.
    pub stage: String,
    /// A custom-domain mapping key that reaches this API too: `/{base_path}`.
    pub base_path: Option<String>,
    /// How the route key of a message is found.
    pub route_selection: RouteSelection,
    /// The routes by route key: `$connect`, `$disconnect`, `$default` and custom keys.
    pub routes: IndexMap<String, Route>,
    /// The authorizers by name.
    pub authorizers: IndexMap<String, Authorizer>,
    /// Stage variables, passed in events as `stageVariables`.
    pub stage_variables: IndexMap<String, String>,
    /// Topic filters of the realtime endpoint that every connection is subscribed to: it
    /// is sent the payloads as messages. `${connectionId}` and `${principalId}` in them
    /// stand for the connection's own. API Gateway has nothing like it.
    pub topics: Vec<String>,
    /// Access and execution logs.
    pub logs: LogSettings,
    /// What connections of this API may do.
    pub limits: Limits,
    /// What a handshake has to show, beside what its authorizer asks for.
    pub connect: ConnectRules,
}

/// What a handshake has to show before `$connect` is asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Default)]
pub struct ConnectRules {
    /// A signature of AWS's form (`AWS_IAM`).
    pub iam: bool,
    /// An API key (`ApiKeyRequired`).
    pub api_key: bool,
    /// Where the page comes from that connects: values of the `Origin` header. Empty: it is not
    /// looked at, as on AWS. Clients that are no browsers send none, and are let in.
    pub allowed_origins: Vec<String>,
    /// A token, which no function is asked about: the name of the authorizer whose it is.
    pub jwt: Option<String>,
    /// The authorizers that are no functions, by name.
    pub jwt_authorizers: IndexMap<String, JwtAuthorizer>,
}

impl ConnectRules {
    /// What says which tokens are taken, where one is asked for.
    pub fn token(&self) -> Option<&JwtAuthorizer> {
        self.jwt_authorizers.get(self.jwt.as_ref()?)
    }
}

/// Tokens that are JWTs, verified without a function, as API Gateway has it for HTTP APIs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct JwtAuthorizer {
    /// Where the keys are.
    pub jwks: JwksSource,
    /// What `iss` must be. `None`: it is not looked at.
    pub issuer: Option<String>,
    /// What `aud` must have one of. Empty: it is not looked at.
    pub audience: Vec<String>,
    /// Where the token is: `route.request.header.NAME` or `route.request.querystring.NAME`.
    pub identity_source: String,
}

/// What happens to the messages of one route key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Route {
    /// What stands behind the route.
    pub integration: Integration,
    /// Whether the integration's result goes back to the client
    /// (`routeResponseSelectionExpression: $default`).
    pub route_response: bool,
    /// The authorizer's name. Only on `$connect`.
    pub authorizer: Option<String>,
}

/// What stands behind a route.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "type", rename_all = "kebab-case")]
pub enum Integration {
    /// A function of the App, by its key (`AWS_PROXY`).
    Function {
        /// The function's key in [`App::functions`](super::App::functions).
        function: String,
    },
    /// An HTTP backend (`HTTP_PROXY`).
    Http(HttpIntegration),
    /// A fixed answer (`MOCK`).
    Mock(MockIntegration),
}

/// An HTTP backend: the message's body is sent as it is, and the answer's body is
/// the result.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct HttpIntegration {
    /// An `http://` or `https://` URL; may hold `${stageVariables.NAME}`.
    pub url: String,
    /// The HTTP method, upper case.
    pub method: String,
    /// Request parameters: `integration.request.header.NAME`,
    /// `integration.request.querystring.NAME` or `integration.request.path.NAME`, to
    /// `context.NAME`, `stageVariables.NAME`, `route.request.…` or `'a static value'`.
    pub request_parameters: IndexMap<String, String>,
    /// How long the backend may take, where that is less than the API's limit.
    pub timeout: Option<Duration>,
}

/// A fixed answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct MockIntegration {
    /// The status; for `$connect`, 200–299 accepts.
    pub status: u16,
    /// The body that goes to the client where the route has a response.
    pub body: String,
}

/// A REQUEST authorizer of `$connect`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Authorizer {
    /// The key of the function that decides.
    pub function: String,
    /// What a handshake must carry. With none the function is always called.
    pub identity_source: Vec<IdentitySource>,
}

/// What is logged about an API's requests.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct LogSettings {
    /// One line a request, where wanted.
    pub access: Option<AccessLog>,
    /// How much is told about the execution of each request.
    pub execution: ExecutionLogLevel,
    /// Whether execution logs hold whole events and results.
    pub full_execution_data: bool,
}

/// The access log: one line a CONNECT, MESSAGE and DISCONNECT.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AccessLog {
    /// A text with `$context.NAME` variables; a missing value prints `-`.
    pub format: String,
    /// The file that lines are appended to; standard output where `None`.
    pub file: Option<std::path::PathBuf>,
}

impl AccessLog {
    /// The Serverless Framework's default format.
    pub const DEFAULT_FORMAT: &str = "$context.identity.sourceIp $context.identity.caller \
        $context.identity.user [$context.requestTime] \
        \"$context.eventType $context.routeKey $context.connectionId\" $context.requestId";
}

/// How much an API tells about the execution of each request (`loggingLevel`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum ExecutionLogLevel {
    /// Nothing.
    #[default]
    Off,
    /// Failed requests.
    Error,
    /// Every step of every request.
    Info,
}
