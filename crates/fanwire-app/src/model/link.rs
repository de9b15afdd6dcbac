//! Links: values that functions and sites find by name, as SST's `Resource.NAME`.

use serde::Serialize;

/// What stands in texts of an App for the address at which clients reach the server, a
/// host and a port such as `localhost:3001`. It is known only once the server listens:
/// whoever starts a process puts it in, in links and in environment variables.
pub const SERVER_ADDRESS: &str = "${server:address}";

/// Which of the App's links something is given, of those in
/// [`App::links`](super::App::links) and that of the realtime endpoint.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Links {
    /// Every one.
    #[default]
    All,
    /// Those of these names.
    Only(Vec<String>),
}

// === impl Links ===

impl Links {
    /// Whether the link of a name is among them.
    pub fn include(&self, name: &str) -> bool {
        match self {
            Self::All => true,
            Self::Only(names) => names.iter().any(|each| each == name),
        }
    }
}
