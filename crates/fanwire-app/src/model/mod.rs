//! What an App is, whatever file it came from: its functions, its WebSocket APIs, its
//! realtime endpoint and its tables, with every name resolved and every default filled in. Nothing here
//! reads files or knows a file format.

mod changes;
mod dynamodb;
mod function;
mod identity_source;
mod limits;
mod link;
mod nitric;
mod realtime;
mod realtime_limits;
mod service;
mod site;
mod table;
mod websocket;

use std::path::PathBuf;

use indexmap::IndexMap;
use serde::Serialize;

pub(crate) use self::dynamodb::EXPECTED as DYNAMODB_EXPECTED;
pub use self::dynamodb::{DynamoDb, DynamoDbChoice, DynamoDbChoiceError};
pub use self::function::{Code, Function, Handler, Runtime};
pub use self::identity_source::{IdentitySource, IdentitySourceError};
pub use self::limits::{Limits, Profile};
pub use self::link::{Links, SERVER_ADDRESS};
pub use self::nitric::Nitric;
pub use self::realtime::{
    AccessList, Durability, JwksSource, Realtime, RealtimeAuthorizer, RealtimeJwt,
    RealtimeListener, RealtimeProtocol, RealtimeUser, SqlVersion, TopicRule,
};
pub use self::realtime_limits::{Denied, RealtimeLimits};
pub use self::service::Service;
pub use self::site::Site;
pub use self::table::{AttributeType, Index, IndexKey, Projection, StreamView, Table, TableKey};
pub use self::websocket::{
    AccessLog, Authorizer, ConnectRules, ExecutionLogLevel, HttpIntegration, Integration,
    JwtAuthorizer, LogSettings, MockIntegration, Route, WebSocketApi,
};

/// One application: what a project file says, resolved.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct App {
    /// The service's name: `service` in `serverless.yml`, `name` in `fanwire.toml`.
    pub service: String,
    /// The stage that the file was resolved for, such as `dev`.
    pub stage: String,
    /// The AWS region that functions see in `AWS_REGION` and in ARNs.
    pub region: String,
    /// The AWS account id that functions see in ARNs: twelve digits.
    pub account_id: String,
    /// The folder that relative paths of the App start from.
    pub root: PathBuf,
    /// The file that the App was loaded from.
    pub file: PathBuf,
    /// Which set of limits applies where the file says nothing.
    pub profile: Profile,
    /// The functions by the name the file gives them (its *key*).
    pub functions: IndexMap<String, Function>,
    /// The WebSocket APIs. Empty in an App that only has functions.
    pub websocket_apis: Vec<WebSocketApi>,
    /// The realtime endpoint, in an App that has one.
    pub realtime: Option<Realtime>,
    /// The tables by the name the file gives them: a logical id, or a key.
    pub tables: IndexMap<String, Table>,
    /// Where the tables are.
    pub dynamodb: DynamoDb,
    /// Values that functions and sites find by name, as SST's `Resource.NAME`: an object
    /// of the properties of each, `type` among them where it has one. Texts in them may
    /// hold [`SERVER_ADDRESS`].
    pub links: IndexMap<String, serde_json::Value>,
    /// The sites by the name the file gives them.
    pub sites: IndexMap<String, Site>,
    /// What a Nitric project has, in an App that is one.
    pub nitric: Option<Nitric>,
    /// What the file declares and Fanwire does not serve, one entry a kind.
    pub not_served: Vec<NotServed>,
}

/// A kind of event or resource that the file declares and Fanwire does not serve.
/// Listed once at start, never an error: the rest of the App runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct NotServed {
    /// What it is, as the file names it: `http`, `s3`, `AWS::SQS::Queue`.
    pub kind: String,
    /// Where it is declared: function keys or logical resource ids.
    pub used_by: Vec<String>,
}
