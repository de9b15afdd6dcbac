//! Whose topics they are, as SST's topics begin.

use std::fmt;

use serde::Deserialize;

/// The variable that SST, and Fanwire, tell functions the app and its stage by (reference:
/// iot.md, section 9.5).
const VARIABLE: &str = "SST_RESOURCE_App";

/// The names of an app and its stage, with which SST's topics begin: all apps of an account
/// and region share one endpoint of AWS IoT. `Resource.App` of SST.
///
/// ```
/// use fanwire::realtime::{Grant, Scope};
///
/// let scope = Scope::from_env().unwrap_or_else(|| Scope::new("myapp", "dev"));
/// let grant = Grant::new().subscribe([format!("{scope}/*")]);
/// # let _ = grant;
/// assert_eq!(scope.to_string(), "myapp/dev");
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Scope {
    /// The name of the app.
    #[serde(rename = "name")]
    pub app: String,
    /// The stage, such as `dev`.
    pub stage: String,
}

// === impl Scope ===

impl Scope {
    /// These.
    pub fn new(app: impl Into<String>, stage: impl Into<String>) -> Self {
        Self { app: app.into(), stage: stage.into() }
    }

    /// Those that a function is told by SST, `fanwire dev` or `fanwire serve`. `None`
    /// elsewhere.
    pub fn from_env() -> Option<Self> {
        Self::from_link(&std::env::var(VARIABLE).ok()?)
    }

    fn from_link(link: &str) -> Option<Self> {
        serde_json::from_str(link).ok()
    }
}

impl fmt::Display for Scope {
    /// What topics begin with: `myapp/dev`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.app, self.stage)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scope_is_read_from_sst_s_link() {
        let link = r#"{"name":"myapp","stage":"dev","type":"sst.sst.App"}"#;
        assert_eq!(Scope::from_link(link), Some(Scope::new("myapp", "dev")));
        assert_eq!(Scope::from_link("{}"), None);
    }
}
