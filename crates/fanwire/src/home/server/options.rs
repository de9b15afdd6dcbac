//! How an app is served.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use fanwire_hub::HubOptions;
use fanwire_subscriptions::{HistoryLimits, Settings, Transformer};

use crate::subscriptions::KeepAlive;

/// Where an app listens, and where it keeps what outlives the process.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ServerOptions {
    /// The address to bind; port 0 takes a free one. Default: `FANWIRE_ADDRESS`, or
    /// `127.0.0.1:3001`.
    pub address: SocketAddr,
    /// The folder for retained messages, sessions and histories. `None`: they end with the
    /// process. Default: `FANWIRE_DATA`, or `None`.
    pub data: Option<PathBuf>,
    /// The path of procedures. Default `/trpc`.
    pub subscriptions_path: String,
    /// How clients of procedures are found out that have gone without a word:
    /// `KeepAlive::default()` asks by a ping those that have been silent for 30 s, and
    /// disconnects who says nothing in 5 s. Default: never.
    pub keep_alive: Option<KeepAlive>,
    /// Tracked events of one path that are kept for clients that come back. Default 1,000.
    pub max_kept_events: usize,
    /// How long clients and handlers have when the server stops. Default 5 s.
    pub grace: Duration,
    /// Connections at once, over all of the app. Default 1,000,000.
    pub max_connections: usize,
}

// === impl ServerOptions ===

impl ServerOptions {
    /// The options, with what the environment says of them.
    ///
    /// # Errors
    ///
    /// Where `FANWIRE_ADDRESS` is no address.
    pub fn from_env() -> crate::Result<Self> {
        let mut options = Self::default();
        if let Ok(address) = std::env::var("FANWIRE_ADDRESS") {
            options.address = address.parse().map_err(|_| {
                let why = format!(
                    "FANWIRE_ADDRESS is `{address}`; expected IP:PORT, such as 0.0.0.0:3001"
                );
                crate::Error::new(500, why)
            })?;
        }
        options.data = std::env::var_os("FANWIRE_DATA").map(PathBuf::from);
        Ok(options)
    }

    /// With another address.
    #[must_use]
    pub fn with_address(mut self, address: impl Into<SocketAddr>) -> Self {
        self.address = address.into();
        self
    }

    /// With a folder for what outlives the process.
    #[must_use]
    pub fn with_data(mut self, folder: impl Into<PathBuf>) -> Self {
        self.data = Some(folder.into());
        self
    }

    /// How the plane of procedures behaves whose clients have this transformer.
    pub(super) fn subscriptions(&self, transformer: Transformer) -> Settings {
        Settings {
            transformer,
            history: HistoryLimits {
                max_events_per_path: self.max_kept_events,
                ..HistoryLimits::default()
            },
            keep_alive: self.keep_alive.clone(),
            ..Settings::default()
        }
    }

    pub(super) fn hub(&self) -> HubOptions {
        HubOptions { max_connections: self.max_connections, ..HubOptions::default() }
    }
}

impl Default for ServerOptions {
    /// Loopback, port 3001, nothing kept; what the environment says is not looked at.
    fn default() -> Self {
        Self {
            address: SocketAddr::new(Ipv4Addr::LOCALHOST.into(), 3001),
            data: None,
            subscriptions_path: "/trpc".to_owned(),
            keep_alive: None,
            max_kept_events: HistoryLimits::default().max_events_per_path,
            grace: Duration::from_secs(5),
            max_connections: 1_000_000,
        }
    }
}
