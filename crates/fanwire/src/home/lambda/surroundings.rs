//! What a function's environment says of the system around it.

use std::env;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use super::broker::DataPlane;
use super::gateway::ManagementApi;
use super::http::Http;
use super::sign::Credentials;
use crate::Home;
use crate::realtime::Broker;
use crate::subscriptions::MakePublisher;
use crate::websocket::{ConnectionInfo, Gateway};

/// Where the management API and the data plane are, and how they are called.
pub(crate) struct Surroundings {
    http: Arc<Http>,
    credentials: Credentials,
    region: String,
    /// `AWS_ENDPOINT_URL_APIGATEWAYMANAGEMENTAPI`.
    management: Option<String>,
    broker: Arc<dyn Broker>,
    /// Makes what publishes to subscribers, where the app has procedures.
    publisher: Option<MakePublisher>,
    /// `FANWIRE_SERVES`: which of an app's APIs the function is.
    serves: Option<String>,
    /// The last home that was made, and of which API: a function mostly has one.
    last: Mutex<Option<(String, Home)>>,
}

// === impl Surroundings ===

impl Surroundings {
    /// As the environment says: `AWS_ENDPOINT_URL_APIGATEWAYMANAGEMENTAPI` and
    /// `AWS_ENDPOINT_URL_IOT_DATA_PLANE`, which Fanwire sets (reference: lambda.md, section
    /// 5); elsewhere AWS, in `AWS_REGION`.
    pub(crate) fn from_env() -> Self {
        Self::from_variables(&|name| env::var(name).ok().filter(|value| !value.is_empty()))
    }

    pub(super) fn from_variables(variable: &dyn Fn(&str) -> Option<String>) -> Self {
        let named = variable("AWS_REGION").or_else(|| variable("AWS_DEFAULT_REGION"));
        let region = named.clone().unwrap_or_else(|| "us-east-1".to_owned());
        let credentials = Credentials::from_variables(variable);
        let http = Arc::new(Http::default());
        // The endpoint of the region is that of the account whose credentials they are.
        let iot = variable("AWS_ENDPOINT_URL_IOT_DATA_PLANE").or_else(|| {
            let region = named?;
            Some(format!("https://data-ats.iot.{region}.{}", suffix(&region)))
        });
        let iot = iot.map(|url| url.trim_end_matches('/').to_owned());
        let broker = DataPlane::new(Arc::clone(&http), credentials.clone(), region.clone(), iot);
        let management = variable("AWS_ENDPOINT_URL_APIGATEWAYMANAGEMENTAPI");
        let last = Mutex::default();
        let serves = variable("FANWIRE_SERVES");
        let broker = Arc::new(broker);
        Self { http, credentials, region, management, broker, publisher: None, serves, last }
    }

    /// With what publishes to the subscribers of the app's procedures.
    pub(crate) fn with_publisher(mut self, publisher: Option<MakePublisher>) -> Self {
        self.publisher = publisher;
        self
    }

    /// Which of an app's APIs the function is, where it is told.
    pub(crate) fn serves(&self) -> Option<&str> {
        self.serves.as_deref()
    }

    /// What handlers of a connection's events reach the rest by.
    pub(crate) fn home_of(&self, connection: &ConnectionInfo) -> Home {
        let base = match &self.management {
            Some(management) => management.clone(),
            None => aws_api(connection, &self.region),
        };
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        match &*last {
            Some((known, home)) if *known == base => home.clone(),
            _ => {
                let home = self.home_at(Some(&base));
                *last = Some((base, home.clone()));
                home
            }
        }
    }

    /// What code that is given no events reaches the rest by.
    pub(crate) fn home(&self) -> Home {
        self.home_at(self.management.as_deref())
    }

    fn home_at(&self, base: Option<&str>) -> Home {
        let (http, credentials) = (Arc::clone(&self.http), self.credentials.clone());
        let gateway = ManagementApi::new(http, credentials, self.region.clone(), base);
        let gateway: Arc<dyn Gateway> = Arc::new(gateway);
        let publisher = self.publisher.as_ref().map(|make| make(Arc::clone(&gateway)));
        let home = Home::new(gateway, Arc::clone(&self.broker));
        match publisher {
            Some(publisher) => home.with_publisher(publisher),
            None => home,
        }
    }
}

impl fmt::Debug for Surroundings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Surroundings")
            .field("region", &self.region)
            .field("management", &self.management)
            .finish_non_exhaustive()
    }
}

/// The management API of a connection on AWS. A custom domain has no stage in its path but
/// a mapping that no event names, so the API's own domain stands in for it (reference:
/// api-gateway.md, section 1).
fn aws_api(connection: &ConnectionInfo, region: &str) -> String {
    let ConnectionInfo { api_id, stage, domain, .. } = connection;
    let own = domain.strip_prefix(api_id.as_str());
    if own.is_some_and(|rest| rest.starts_with(".execute-api.")) {
        return format!("https://{domain}/{stage}");
    }
    format!("https://{api_id}.execute-api.{region}.{}/{stage}", suffix(region))
}

fn suffix(region: &str) -> &'static str {
    if region.starts_with("cn-") { "amazonaws.com.cn" } else { "amazonaws.com" }
}
