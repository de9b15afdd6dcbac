//! Topics through the HTTP API of IoT's data plane: AWS's, or Fanwire's.

use std::sync::Arc;

use futures_util::future::BoxFuture;
use http::{Method, StatusCode};

use super::gateway::told;
use super::http::{Answer, Call, Http};
use super::sign::{Credentials, Scope, encoded};
use crate::realtime::{Broker, Publication, PublishError};

/// A data plane, if the app has one.
#[derive(Debug)]
pub(crate) struct DataPlane {
    http: Arc<Http>,
    credentials: Credentials,
    region: String,
    /// What stands before `/topics`.
    base: Option<String>,
}

// === impl DataPlane ===

impl DataPlane {
    /// The data plane at `base`, such as `https://data-ats.iot.eu-west-1.amazonaws.com`.
    pub(crate) fn new(
        http: Arc<Http>,
        credentials: Credentials,
        region: String,
        base: Option<String>,
    ) -> Self {
        Self { http, credentials, region, base }
    }

    /// `POST /topics/{topic}` (reference: iot.md, section 7).
    async fn post(&self, publication: Publication) -> Result<(), PublishError> {
        let Publication { topic, payload, qos, retain } = publication;
        let base = self.base.as_deref().ok_or(PublishError::NoEndpoint)?;
        let mut url = format!("{base}/topics/{}?qos={qos}", encoded(&topic));
        if retain {
            url.push_str("&retain=true");
        }
        let content_type = Some("application/octet-stream");
        let call = Call { method: Method::POST, url, content_type, body: payload };
        let scope = Scope { region: &self.region, service: "iotdata" };
        let answer = self.http.call(&call, &self.credentials, scope).await;
        let answer = answer.map_err(|error| PublishError::Failed(error.to_string()))?;
        done(&answer, topic)
    }
}

impl Broker for DataPlane {
    fn publish(&self, publication: Publication) -> BoxFuture<'_, Result<(), PublishError>> {
        Box::pin(self.post(publication))
    }
}

fn done(answer: &Answer, topic: String) -> Result<(), PublishError> {
    match answer.status {
        status if status.is_success() => Ok(()),
        StatusCode::TOO_MANY_REQUESTS => Err(PublishError::Throttled),
        // Fanwire's, for an app without a realtime endpoint.
        StatusCode::NOT_IMPLEMENTED => Err(PublishError::NoEndpoint),
        status if status.is_client_error() => {
            let why = format!("{status}: {}", told(&answer.body));
            Err(PublishError::Refused { topic, why })
        }
        status => {
            Err(PublishError::Failed(format!("it answered {status}: {}", told(&answer.body))))
        }
    }
}
