//! CloudFormation, as far as an App needs it: one layer for `serverless.yml`, whose
//! `resources` are a template, and for templates themselves.
//!
//! A [`Stack`] is what a template's references stand for: parameters, conditions,
//! mappings, and each resource as `Ref` and `Fn::GetAtt` see it ([`resources`]).
//! [`functions`] puts the values of `Ref`, `Fn::Sub` and their kin in their places. The
//! resources that become parts of an App are read by a module each: DynamoDB's
//! ([`tables`]), those of AWS IoT ([`realtime`]) and API Gateway's ([`websocket`]).

mod conditions;
mod functions;
mod keys;
pub(crate) mod realtime;
mod resources;
pub(crate) mod tables;
pub(crate) mod targets;
pub(crate) mod websocket;

use indexmap::IndexMap;

use crate::diagnostic::Issue;
use crate::node::{Entry, Map, Node};

pub(crate) use self::conditions::evaluate as evaluate_conditions;
pub(crate) use self::functions::is_function;
pub(crate) use self::keys::IOT_SQL_VERSIONS;
pub(crate) use self::resources::{Location, is_silent, is_table, type_of};

/// What placeholders begin with, for values that are in AWS: exports of other stacks, and
/// parameters of SSM.
pub(crate) const PLACEHOLDERS: [&str; 2] = ["import:", "ssm:"];

/// What references in a template stand for.
#[derive(Debug, Default)]
pub(crate) struct Stack {
    /// Values of `Ref` alone, such as `AWS::Region`.
    pub(crate) parameters: IndexMap<String, Parameter>,
    /// By logical id.
    pub(crate) resources: IndexMap<String, Resource>,
    /// The key in the App of each function, by its logical id.
    pub(crate) functions: IndexMap<String, String>,
    /// `Mappings`, for `Fn::FindInMap`.
    pub(crate) mappings: Map,
    /// Whether each of the `Conditions` holds, or why that cannot be said.
    pub(crate) conditions: IndexMap<String, Result<bool, Issue>>,
    /// The region, for `Fn::GetAZs`.
    pub(crate) region: String,
}

/// The value of a parameter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Parameter {
    Text(String),
    /// Of a parameter whose type is a list.
    List(Vec<String>),
    /// A value that is in AWS: this stands for it, and the fault is told where it is used.
    Placeholder(String, Issue),
    /// It has none: a fault where it is needed.
    Missing(Issue),
}

/// A resource, as far as references see it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Resource {
    /// What `Ref` gives.
    pub(crate) reference: String,
    /// What `Fn::GetAtt` gives; other attributes get a placeholder.
    pub(crate) attributes: IndexMap<String, String>,
}

impl From<String> for Parameter {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl Stack {
    /// The resources that exist: those whose `Condition` does not say otherwise. One that
    /// cannot be evaluated does not.
    pub(crate) fn existing(&self, declared: &Map) -> Map {
        let exists = |entry: &Entry| {
            let condition = entry.node.get("Condition").and_then(Node::as_str);
            condition.and_then(|name| self.conditions.get(name)) != Some(&Ok(false))
        };
        let existing = declared.iter().filter(|(_, entry)| exists(entry));
        existing.map(|(id, entry)| (id.clone(), entry.clone())).collect()
    }
}
