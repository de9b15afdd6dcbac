//! What a function answers API Gateway (reference: api-gateway.md, sections 7 and 10).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use lambda_runtime::Diagnostic;
use serde_json::{Value, json};

use crate::Error;
use crate::websocket::{Allow, Body, Reply};

/// A reply in the form of a Lambda proxy integration: these members and no others, or
/// API Gateway takes it for an error.
pub(super) fn proxy_result(reply: &Reply) -> Value {
    let mut result = json!({ "statusCode": reply.status });
    match &reply.body {
        None => {}
        Some(Body::Text(text)) => result["body"] = json!(text),
        Some(Body::Binary(bytes)) => {
            result["body"] = json!(STANDARD.encode(bytes));
            result["isBase64Encoded"] = json!(true);
        }
    }
    add_headers(&mut result, &reply.headers);
    result
}

/// Adds headers: those that come once where everybody looks for them, others where there is
/// room for several.
fn add_headers(result: &mut Value, headers: &[(String, String)]) {
    for (name, value) in headers {
        let same = |(known, _): &&(String, String)| known.eq_ignore_ascii_case(name);
        if headers.iter().filter(same).count() == 1 {
            result["headers"][name] = json!(value);
        } else if let Value::Array(values) = &mut result["multiValueHeaders"][name] {
            values.push(json!(value));
        } else {
            result["multiValueHeaders"][name] = json!([value]);
        }
    }
}

/// The answer of an authorizer: a policy about the API's `$connect`, and nothing else.
pub(super) fn policy(
    decision: Result<Allow, Error>,
    method_arn: &str,
) -> Result<Value, Diagnostic> {
    let answer = |principal: &str, effect: &str| {
        json!({
            "principalId": principal,
            "policyDocument": {
                "Version": "2012-10-17",
                "Statement": [{
                    "Action": "execute-api:Invoke", "Effect": effect, "Resource": method_arn,
                }],
            },
        })
    };
    match decision {
        Ok(allow) => {
            let mut policy = answer(&allow.principal, "Allow");
            policy["context"] = Value::Object(allow.context);
            Ok(policy)
        }
        Err(error) => match error.status() {
            // These words, and no others, become a 401.
            401 => Err(Diagnostic {
                error_type: error.kind().to_owned(),
                error_message: "Unauthorized".to_owned(),
            }),
            403 => Ok(answer("refused", "Deny")),
            _ => Err(diagnostic(&error)),
        },
    }
}

/// An error as Lambda has it.
pub(super) fn diagnostic(error: &Error) -> Diagnostic {
    Diagnostic { error_type: error.kind().to_owned(), error_message: error.to_string() }
}
