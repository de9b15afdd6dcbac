//! Saying no, in the words and the form of each service, so that SDKs make the right
//! exception of it.

use bytes::Bytes;
use fanwire_access::{Question, SignatureError};
use fanwire_websocket::request_id;
use http::header::WWW_AUTHENTICATE;
use http::{HeaderValue, StatusCode};
use serde_json::json;

use crate::address::Target;
use crate::iot_data::trace_id;
use crate::management;
use crate::response::{self, Answer};
use crate::router::BodyError;

/// Why a call is not answered.
#[derive(Debug, thiserror::Error)]
pub(super) enum Refusal {
    /// Nobody is known to call.
    #[error(transparent)]
    Signature(#[from] SignatureError),
    /// The bearer's token is not one.
    #[error("the bearer token is not known, or is over")]
    Token,
    /// It is none of what its caller may do.
    #[error("{}", denied(.user, .question))]
    Denied {
        /// The caller's ARN.
        user: String,
        question: Box<Question>,
    },
    /// A path that one side might read otherwise than the other.
    #[error("the path has empty or dot segments; encode the slashes of names")]
    Path,
    /// What is signed did not come.
    #[error(transparent)]
    Body(#[from] BodyError),
}

/// As AWS says it.
fn denied(user: &str, question: &Question) -> String {
    let Question { action, arn, .. } = question;
    format!(
        "User: {user} is not authorized to perform: {action} on resource: {arn} because no \
         identity-based policy allows the {action} action"
    )
}

// === impl Refusal ===

impl Refusal {
    /// The name of the exception that SDKs make of it.
    pub(super) const fn name(&self) -> &'static str {
        match self {
            Self::Signature(error) => error.name(),
            Self::Token => "UnrecognizedClientException",
            Self::Denied { .. } => "AccessDeniedException",
            Self::Path => "IncompleteSignatureException",
            Self::Body(BodyError::TooLarge { .. }) => "RequestTooLargeException",
            Self::Body(_) => "BadRequestException",
        }
    }

    pub(super) fn into_answer(self, target: &Target) -> Answer {
        if let (Self::Body(error), false) = (&self, *target == Target::DynamoDb) {
            return management::unreadable(error);
        }
        match target {
            Target::DynamoDb => self.of_dynamodb(),
            Target::IotData => self.of_iot(),
            Target::Control(_) => self.of_control(),
            _ => self.of_gateway(),
        }
    }

    /// Of API Gateway and of Lambda, which have it in front. `Message` is written large in
    /// what IAM says.
    fn of_gateway(&self) -> Answer {
        let member = if matches!(self, Self::Denied { .. }) { "Message" } else { "message" };
        let body = json!({ member: self.to_string() }).to_string();
        let answer = response::error(StatusCode::FORBIDDEN, self.name(), body);
        response::with_gateway_ids(answer, &request_id())
    }

    fn of_iot(&self) -> Answer {
        let name = match self {
            // The only one that the service's model has for it (reference: iot.md, section 7).
            Self::Denied { .. } => "ForbiddenException",
            other => other.name(),
        };
        let body = json!({ "message": self.to_string(), "traceId": trace_id() }).to_string();
        response::error(StatusCode::FORBIDDEN, name, body)
    }

    fn of_dynamodb(&self) -> Answer {
        let text = match self {
            Self::Signature(SignatureError::Missing) => {
                "Request is missing Authentication Token".to_owned()
            }
            other => other.to_string(),
        };
        let kind = format!("com.amazon.coral.service#{}", self.name());
        let body = json!({ "__type": kind, "message": text }).to_string();
        response::error(StatusCode::BAD_REQUEST, self.name(), body)
    }

    /// Of what AWS has not: as RFC 6750 has it.
    fn of_control(&self) -> Answer {
        let is_known = matches!(self, Self::Denied { .. });
        let status = if is_known { StatusCode::FORBIDDEN } else { StatusCode::UNAUTHORIZED };
        let text = match self {
            Self::Signature(SignatureError::Missing) => {
                "this server asks who you are: give a token with --access-token or FANWIRE_TOKEN"
                    .to_owned()
            }
            other => other.to_string(),
        };
        let body: Bytes = response::message(&text);
        let mut answer = response::error(status, self.name(), body);
        if !is_known {
            let scheme = HeaderValue::from_static("Bearer realm=\"fanwire\"");
            answer.headers_mut().insert(WWW_AUTHENTICATE, scheme);
        }
        answer
    }
}
