//! The functions that ARNs name: those of this file, and others, which are in AWS.

use std::time::Duration;

use indexmap::IndexMap;

use crate::model::{Code, Function, Links};

use super::Stack;

/// How long a function in AWS may take: its own timeout decides, not Fanwire's.
const REMOTE_TIMEOUT: Duration = Duration::from_secs(900);

impl Stack {
    /// The key of the function of this file that an ARN is the one of, or a version or an
    /// alias of that.
    pub(crate) fn function_of(&self, arn: &str) -> Option<String> {
        let is_it = |(id, _): &(&String, &String)| {
            let resource = self.resources.get(*id);
            let own = resource.and_then(|resource| resource.attributes.get("Arn"));
            let rest = own.and_then(|own| arn.strip_prefix(own.as_str()));
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(':'))
        };
        self.functions.iter().find(is_it).map(|(_, key)| key.clone())
    }
}

/// Adds a function in AWS, by a name where that is free, else by a form of its ARN. Returns
/// its key.
pub(crate) fn add_remote(
    name: &str,
    arn: &str,
    functions: &mut IndexMap<String, Function>,
) -> String {
    // A function of the file may have the name; it stays.
    let taken = functions.get(name).is_some_and(|known| !is_remote(known, arn));
    let key = if taken { arn } else { name };
    let key = key.replace(|c: char| !c.is_ascii_alphanumeric() && c != '_', "-");
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
pub(crate) fn last_part(arn: &str) -> &str {
    arn.rsplit(':').next().unwrap_or(arn)
}

fn is_remote(function: &Function, arn: &str) -> bool {
    matches!(&function.code, Code::Lambda { arn: known, .. } if known == arn)
}
