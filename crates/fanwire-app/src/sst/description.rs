//! What the program tells of an `sst.config.ts` once it has run it.

use std::path::PathBuf;

use indexmap::IndexMap;
use serde::Deserialize;
use serde_json::Value;

/// All that was declared, or the fault that ended it.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Description {
    /// The files that were read, and some that would be if they were there.
    pub(super) files: Vec<PathBuf>,
    /// What does not keep the app from running.
    #[serde(default)]
    pub(super) notes: Vec<Told>,
    pub(super) fault: Option<Told>,
    pub(super) app: Option<AppFacts>,
    #[serde(default)]
    pub(super) functions: Vec<Function>,
    #[serde(default)]
    pub(super) realtime: Vec<Realtime>,
    #[serde(default)]
    pub(super) websocket: Vec<WebSocket>,
    #[serde(default)]
    pub(super) tables: Vec<Table>,
    #[serde(default)]
    pub(super) sites: Vec<Site>,
    /// The links by name, whoever is given them.
    #[serde(default)]
    pub(super) links: IndexMap<String, Value>,
    #[serde(default)]
    pub(super) not_served: Vec<NotServed>,
}

/// A place in one of the user's files: line and column from 1, the column in UTF-16 units.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Place {
    pub(super) file: PathBuf,
    pub(super) line: usize,
    pub(super) column: usize,
}

/// A fault or a note.
#[derive(Debug, Deserialize)]
pub(super) struct Told {
    pub(super) message: String,
    pub(super) help: Option<String>,
    pub(super) place: Option<Place>,
}

/// What `app()` said.
#[derive(Debug, Deserialize)]
pub(super) struct AppFacts {
    pub(super) name: String,
    pub(super) region: String,
}

/// A function, one that is another of them, or one in AWS.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Function {
    pub(super) key: String,
    pub(super) place: Option<Place>,
    /// The key of the function that this is.
    pub(super) same_as: Option<String>,
    /// The ARN of one that the app does not declare.
    pub(super) arn: Option<String>,
    pub(super) name: Option<String>,
    pub(super) handler: Option<String>,
    /// The folder of code that is built already.
    pub(super) bundle: Option<String>,
    pub(super) runtime: Option<String>,
    /// Seconds.
    pub(super) timeout: Option<f64>,
    /// Megabytes.
    pub(super) memory: Option<f64>,
    #[serde(default)]
    pub(super) environment: IndexMap<String, Value>,
    #[serde(default)]
    pub(super) links: Vec<String>,
    pub(super) concurrency: Option<u32>,
}

/// An `sst.aws.Realtime`. Its functions are told by their keys.
#[derive(Debug, Deserialize)]
pub(super) struct Realtime {
    pub(super) name: String,
    pub(super) handler: String,
    pub(super) authorizer: Named,
    pub(super) subscribers: Vec<Subscriber>,
}

/// A resource of which only the name matters.
#[derive(Debug, Deserialize)]
pub(super) struct Named {
    pub(super) name: String,
}

/// What `subscribe` declared.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Subscriber {
    pub(super) name: String,
    pub(super) place: Option<Place>,
    pub(super) handler: String,
    pub(super) filter: String,
    pub(super) sql: String,
    pub(super) sql_version: String,
    pub(super) enabled: bool,
}

/// An `sst.aws.ApiGatewayWebSocket`.
#[derive(Debug, Deserialize)]
pub(super) struct WebSocket {
    pub(super) name: String,
    pub(super) place: Option<Place>,
    pub(super) api: Api,
    pub(super) stage: Stage,
    /// The first segment of the path that its URL has.
    pub(super) path: String,
    pub(super) routes: Vec<Route>,
    pub(super) authorizers: Vec<Authorizer>,
}

/// The API in AWS, as `transform` left it.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Api {
    pub(super) name: String,
    pub(super) route_selection_expression: String,
}

/// Its stage, as `transform` left it.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Stage {
    pub(super) name: String,
    #[serde(default)]
    pub(super) stage_variables: IndexMap<String, Value>,
}

/// What `route` declared.
#[derive(Debug, Deserialize)]
pub(super) struct Route {
    pub(super) key: String,
    pub(super) place: Option<Place>,
    pub(super) handler: String,
    /// The authorizer's name.
    pub(super) auth: Option<String>,
}

/// What `addAuthorizer` declared.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Authorizer {
    pub(super) name: String,
    pub(super) place: Option<Place>,
    pub(super) handler: String,
    pub(super) identity_sources: Vec<String>,
}

/// An `sst.aws.Dynamo`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Table {
    pub(super) key: String,
    pub(super) place: Option<Place>,
    pub(super) name: String,
    pub(super) fields: IndexMap<String, String>,
    pub(super) primary_index: Index,
    pub(super) global_indexes: IndexMap<String, Index>,
    pub(super) local_indexes: IndexMap<String, Index>,
    pub(super) ttl: Option<String>,
    pub(super) stream: Option<String>,
}

/// A key, and for an index what can be read from it.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Index {
    #[serde(default)]
    pub(super) hash_key: OneOrMore,
    #[serde(default)]
    pub(super) range_key: OneOrMore,
    #[serde(default)]
    pub(super) projection: OneOrMore,
}

/// A text or several.
#[derive(Debug, Default, Deserialize)]
#[serde(untagged)]
pub(super) enum OneOrMore {
    One(String),
    More(Vec<String>),
    #[default]
    None,
}

/// A site.
#[derive(Debug, Deserialize)]
pub(super) struct Site {
    pub(super) name: String,
    pub(super) kind: String,
    pub(super) path: String,
    pub(super) command: Option<String>,
    #[serde(default)]
    pub(super) environment: IndexMap<String, Value>,
    #[serde(default)]
    pub(super) links: Vec<String>,
}

/// A component that is not served.
#[derive(Debug, Deserialize)]
pub(super) struct NotServed {
    pub(super) kind: String,
    pub(super) name: String,
}

// === impl OneOrMore ===

impl OneOrMore {
    /// All of them.
    pub(super) fn texts(&self) -> Vec<String> {
        match self {
            Self::One(text) => vec![text.clone()],
            Self::More(texts) => texts.clone(),
            Self::None => Vec::new(),
        }
    }
}

/// The texts of a mapping whose values may be numbers and booleans; what is nothing is
/// left out.
pub(super) fn texts(values: &IndexMap<String, Value>) -> IndexMap<String, String> {
    let text = |value: &Value| match value {
        Value::Null => None,
        Value::String(text) => Some(text.clone()),
        other => Some(other.to_string()),
    };
    values.iter().filter_map(|(name, value)| Some((name.clone(), text(value)?))).collect()
}
