//! Calls of services in AWS that Fanwire does not serve: told once for each function and
//! service, so that nobody wonders where the data went.

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};

use crate::observer::FunctionEvent;
use crate::spec::Spec;

/// More services than one function calls. Beyond it, nothing is told.
const MOST_TOLD: usize = 256;

/// The services of one function that were told.
#[derive(Debug, Default)]
pub(crate) struct AwsCalls {
    told: Mutex<HashSet<String>>,
}

impl AwsCalls {
    /// Tells of a call to `host`, if it is the first of its service.
    pub(crate) fn tell(&self, spec: &Spec, host: &str) {
        let service = service(host);
        {
            // Nothing under the lock leaves the set half changed.
            let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
            if told.len() >= MOST_TOLD || !told.insert(service.to_owned()) {
                return;
            }
        }
        spec.observe(FunctionEvent::AwsCall { function: &spec.key, service, host });
    }
}

/// The service that a host of AWS's belongs to: the last label of its name before the
/// domain that is neither a region nor a kind of endpoint.
fn service(host: &str) -> &str {
    let name = [".amazonaws.com", ".amazonaws.com.cn", ".api.aws"]
        .iter()
        .find_map(|domain| host.strip_suffix(domain))
        .unwrap_or(host);
    let is_other = |label: &&str| is_region(label) || matches!(*label, "dualstack" | "vpce");
    let label = name.rsplit('.').find(|label| !is_other(label)).unwrap_or(name);
    // Old and special endpoints: `s3-eu-west-1`, `s3-accelerate`, `sts-fips`.
    match label.split_once('-') {
        Some((service, rest)) if is_region(rest) || matches!(rest, "fips" | "accelerate") => {
            service
        }
        _ => label,
    }
}

/// Whether a label looks like `us-east-1` or `us-gov-west-1`.
fn is_region(label: &str) -> bool {
    let is_word = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_lowercase());
    let mut parts = label.split('-').rev();
    let is_numbered = parts.next().is_some_and(|number| {
        !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit())
    });
    let words: Vec<&str> = parts.collect();
    is_numbered && (2..=3).contains(&words.len()) && words.into_iter().all(is_word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_of_awss_names_its_service() {
        for (host, expected) in [
            ("s3.us-east-1.amazonaws.com", "s3"),
            ("bucket.with.dots.s3.eu-west-1.amazonaws.com", "s3"),
            ("bucket.s3.amazonaws.com", "s3"),
            ("bucket.s3.dualstack.us-gov-west-1.amazonaws.com", "s3"),
            ("s3-eu-west-1.amazonaws.com", "s3"),
            ("bucket.s3-accelerate.amazonaws.com", "s3"),
            ("sqs.us-east-1.amazonaws.com", "sqs"),
            ("sqs.us-east-1.api.aws", "sqs"),
            ("abc123.execute-api.ap-southeast-2.amazonaws.com", "execute-api"),
            ("a1b2-ats.iot.us-east-1.amazonaws.com", "iot"),
            ("secretsmanager.cn-north-1.amazonaws.com.cn", "secretsmanager"),
            ("sts.amazonaws.com", "sts"),
            ("streams.dynamodb.us-east-1.amazonaws.com", "dynamodb"),
            ("db.c0ffee.us-east-1.rds.amazonaws.com", "rds"),
            ("vpce-1.sqs.us-east-1.vpce.amazonaws.com", "sqs"),
            ("us-east-1.amazonaws.com", "us-east-1"),
        ] {
            assert_eq!(service(host), expected, "{host}");
        }
    }
}
