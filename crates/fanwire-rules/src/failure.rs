//! What an error action gets (reference: iot.md section 8, error action payload).

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde::Serialize;

use crate::message::Message;

/// An action of a rule that failed.
#[derive(Debug, Clone, Copy, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Failure<'f> {
    /// The kind of action, such as `LambdaAction`.
    #[serde(rename = "failedAction")]
    pub action: &'f str,
    /// What it was to reach, such as a function's ARN or name.
    #[serde(rename = "failedResource")]
    pub resource: &'f str,
    /// Why it did not.
    #[serde(rename = "errorMessage")]
    pub message: &'f str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Payload<'p> {
    rule_name: &'p str,
    topic: &'p str,
    cloudwatch_trace_id: &'p str,
    client_id: &'p str,
    base64_original_payload: String,
    failures: &'p [Failure<'p>],
}

/// The payload of the error action of the rule `rule_name`, as JSON: once for a message,
/// with everything that failed.
pub fn error_payload(rule_name: &str, message: &Message<'_>, failures: &[Failure<'_>]) -> Vec<u8> {
    let payload = Payload {
        rule_name,
        topic: message.topic,
        cloudwatch_trace_id: message.trace_id.unwrap_or_default(),
        client_id: message.client_id.unwrap_or(crate::NO_CLIENT_ID),
        base64_original_payload: BASE64_STANDARD.encode(message.payload),
        failures,
    };
    // Strings under fixed names: there is nothing that could fail to be JSON.
    serde_json::to_vec(&payload).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::message;

    #[test]
    fn an_error_action_gets_the_payload_of_aws() {
        let message = Message { topic: "testme/action", payload: b"{}", ..message() };
        let failure = Failure {
            action: "LambdaAction",
            resource: "arn:aws:lambda:us-east-1:123456789012:function:f",
            message: "it threw \"no\"",
        };
        let payload = error_payload("TestAction", &message, &[failure]);
        let expected = concat!(
            r#"{"ruleName":"TestAction","topic":"testme/action","#,
            r#""cloudwatchTraceId":"12345678-1234-1234-1234-123456789012","clientId":"client-1","#,
            r#""base64OriginalPayload":"e30=","failures":[{"failedAction":"LambdaAction","#,
            r#""failedResource":"arn:aws:lambda:us-east-1:123456789012:function:f","#,
            r#""errorMessage":"it threw \"no\""}]}"#,
        );
        assert_eq!(String::from_utf8(payload).unwrap(), expected);
    }
}
