//! Names of functions: ARNs, and what callers may write for them.

use fanwire_app::model::{Code, Function};

use crate::options::HostOptions;

/// A function's ARN: its own where it is in AWS, else one made of region and account.
pub(crate) fn arn(function: &Function, options: &HostOptions) -> String {
    match &function.code {
        Code::Lambda { arn, .. } => arn.clone(),
        _ => format!(
            "arn:aws:lambda:{}:{}:function:{}",
            options.region, options.account_id, function.name
        ),
    }
}

/// The bare name in a name, a partial ARN or a full ARN, with or without a qualifier
/// (Lambda Invoke API, `FunctionName`).
pub(crate) fn bare(name_or_arn: &str) -> Option<&str> {
    let mut parts = name_or_arn.split(':');
    let name = match parts.next()? {
        // arn:aws:lambda:REGION:ACCOUNT:function:NAME[:QUALIFIER]
        "arn" => parts.nth(5)?,
        // ACCOUNT:function:NAME[:QUALIFIER]
        account if name_or_arn[account.len()..].starts_with(":function:") => parts.nth(1)?,
        name => name,
    };
    (!name.is_empty()).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_of_a_name_has_its_bare_name() {
        for form in [
            "f",
            "f:live",
            "123456789012:function:f",
            "123456789012:function:f:$LATEST",
            "arn:aws:lambda:us-east-1:123456789012:function:f",
            "arn:aws:lambda:us-east-1:123456789012:function:f:live",
        ] {
            assert_eq!(bare(form), Some("f"), "{form}");
        }
        for form in ["", "arn:aws:lambda:us-east-1:123456789012:function", "1:function:"] {
            assert_eq!(bare(form), None, "{form}");
        }
    }
}
