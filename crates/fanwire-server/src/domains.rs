//! Names of hosts that stand for one API each, as custom domains do at AWS: a client leaves the
//! stage out, and so does whoever posts to its connections.

use std::collections::HashMap;

use fanwire_app::model::WebSocketApi;
use fanwire_app::serve::listen::Domain;
use fanwire_app::{App, nearest};

/// Which API each name stands for.
#[derive(Debug, Clone, Default)]
pub struct Domains {
    /// The APIs' ids by name, in lower case.
    by_name: HashMap<String, String>,
}

/// A name that stands for nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DomainError {
    /// There is no such API.
    #[error("[domains.\"{domain}\"] names the API `{api}`, which the app has not; it has {has}")]
    NoApi {
        /// The name of the host.
        domain: String,
        /// What it is said to stand for.
        api: String,
        /// What it could stand for.
        has: String,
    },
    /// There are several APIs, and it does not say which.
    #[error("[domains.\"{domain}\"] does not say which API it stands for; say `api`: {has}")]
    Ambiguous {
        /// The name of the host.
        domain: String,
        /// What it could stand for.
        has: String,
    },
}

// === impl Domains ===

impl Domains {
    /// Those that settings have, for an App.
    ///
    /// # Errors
    ///
    /// [`DomainError`], for the first that stands for nothing.
    pub fn of<'d>(
        settings: impl IntoIterator<Item = (&'d String, &'d Domain)>,
        app: &App,
    ) -> Result<Self, DomainError> {
        let mut by_name = HashMap::new();
        for (domain, said) in settings {
            let api = find(domain, said, &app.websocket_apis)?;
            by_name.insert(domain.to_lowercase(), api.id.clone());
        }
        Ok(Self { by_name })
    }

    /// The id of the API that a host, with its port or without, stands for.
    pub(crate) fn api(&self, host: &str) -> Option<&str> {
        if self.by_name.is_empty() {
            return None;
        }
        let name = match host.rsplit_once(':') {
            Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
            _ => host,
        };
        self.by_name.get(&name.to_ascii_lowercase()).map(String::as_str)
    }
}

fn find<'a>(
    domain: &str,
    said: &Domain,
    apis: &'a [WebSocketApi],
) -> Result<&'a WebSocketApi, DomainError> {
    let fits = |api: &&WebSocketApi| {
        said.api.as_ref().is_none_or(|name| api.name == *name || api.id == *name)
            && said.stage.as_ref().is_none_or(|stage| api.stage == *stage)
    };
    let mut fitting = apis.iter().filter(fits);
    let domain = domain.to_owned();
    let names = || apis.iter().map(|api| api.name.as_str());
    match (fitting.next(), fitting.next(), &said.api) {
        (Some(api), None, _) => Ok(api),
        (Some(_), Some(_), _) => {
            Err(DomainError::Ambiguous { domain, has: names().collect::<Vec<_>>().join(", ") })
        }
        (None, _, said_api) => {
            let api = said_api.clone().unwrap_or_default();
            let has = match nearest(&api, names()) {
                Some(name) => format!("`{name}`"),
                None => names().collect::<Vec<_>>().join(", "),
            };
            Err(DomainError::NoApi { domain, api, has })
        }
    }
}
