//! What is printed of calls to the APIs that ask who calls.

use fanwire_server::GuardEvent;

/// An event in words. Strangers who are refused are many wherever a server can be reached, so
/// they are told of only where somebody wants to see everything.
pub(super) fn described(event: &GuardEvent<'_>, verbose: bool) -> Option<String> {
    match event {
        GuardEvent::Denied { caller: Some(caller), action: Some(action), resource, .. } => {
            let resource = resource.unwrap_or("*");
            Some(format!(
                "denied: `{caller}` may not {action} on {resource}; add \"{action}\" to its `allow`"
            ))
        }
        GuardEvent::Denied { source_ip, error, why, .. } if verbose => {
            Some(format!("refused: {source_ip}: {error}: {why}"))
        }
        GuardEvent::KeysRead { count } => {
            Some(format!("the file of keys was read again: {count} keys and tokens are valid"))
        }
        GuardEvent::KeysFailed { why } => {
            Some(format!("the file of keys cannot be used, and what was valid stays valid: {why}"))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_denial_says_who_and_what_was_missing() {
        let denied = GuardEvent::Denied {
            caller: Some("backend"),
            action: Some("iot:Publish"),
            resource: Some("arn:aws:iot:eu-west-1:1:topic/a"),
            source_ip: [127, 0, 0, 1].into(),
            error: "AccessDeniedException",
            why: "",
        };
        let said = described(&denied, false).unwrap();
        assert!(said.contains("`backend` may not iot:Publish on arn:aws:iot"), "{said}");
        let stranger = GuardEvent::Denied {
            caller: None,
            action: None,
            resource: None,
            source_ip: [127, 0, 0, 1].into(),
            error: "MissingAuthenticationTokenException",
            why: "Missing Authentication Token",
        };
        assert_eq!(described(&stranger, false), None);
        assert!(described(&stranger, true).unwrap().contains("127.0.0.1"));
    }
}
