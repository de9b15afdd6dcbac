//! The functions that ARNs name: those of this file, and others, which are in AWS.

use std::time::Duration;

use indexmap::IndexMap;

use crate::cloudformation::Stack;
use crate::model::{Code, Function, Links};

use super::{Service, stack};

/// How long a function in AWS may take: its own timeout decides, not Fanwire's.
const REMOTE_TIMEOUT: Duration = Duration::from_secs(900);

/// The key of the function of this file that an ARN is the one of.
pub(super) fn own(arn: &str, service: &Service<'_>, stack: &Stack) -> Option<String> {
    let is_it = |key: &&String| {
        let id = format!("{}LambdaFunction", stack::normalized(key));
        let resource = stack.resources.get(&id);
        resource.and_then(|resource| resource.attributes.get("Arn")).is_some_and(|it| it == arn)
    };
    service.functions.keys().find(is_it).cloned()
}

/// Adds a function in AWS, by a name where that is free, else by its ARN. Returns its key.
pub(super) fn add_remote(
    name: &str,
    arn: &str,
    functions: &mut IndexMap<String, Function>,
) -> String {
    // A function of the file may have the name; it stays.
    let taken = functions.get(name).is_some_and(|known| !is_remote(known, arn));
    let key = if taken { arn } else { name }.to_owned();
    functions.insert(
        key.clone(),
        Function {
            name: last_part(arn).to_owned(),
            code: Code::Lambda { arn: arn.to_owned(), endpoint: None },
            timeout: REMOTE_TIMEOUT,
            memory_mb: 128,
            environment: IndexMap::new(),
            links: Links::All,
            concurrency: None,
        },
    );
    key
}

/// The name at an ARN's end.
pub(super) fn last_part(arn: &str) -> &str {
    arn.rsplit(':').next().unwrap_or(arn)
}

fn is_remote(function: &Function, arn: &str) -> bool {
    matches!(&function.code, Code::Lambda { arn: known, .. } if known == arn)
}
