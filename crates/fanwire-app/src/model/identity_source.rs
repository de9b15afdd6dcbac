//! Identity sources: which parts of a handshake an authorizer needs to see.

use std::fmt;
use std::str::FromStr;

use serde::Serialize;

/// One entry of an authorizer's `identitySource`. A handshake that lacks any of
/// them is refused with 401 before the authorizer is called
/// (API Gateway, "REQUEST authorizer").
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(into = "String")]
pub enum IdentitySource {
    /// `route.request.header.NAME`; header names are matched without case.
    Header(String),
    /// `route.request.querystring.NAME`; matched with case.
    QueryString(String),
    /// `stageVariables.NAME`.
    StageVariable(String),
    /// `context.NAME`, such as `context.identity.sourceIp`.
    Context(String),
}

/// An identity source that has none of the four forms.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is not an identity source; expected route.request.header.NAME, \
     route.request.querystring.NAME, stageVariables.NAME or context.NAME"
)]
pub struct IdentitySourceError(pub String);

impl FromStr for IdentitySource {
    type Err = IdentitySourceError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        type Make = fn(String) -> IdentitySource;
        const FORMS: [(&str, Make); 4] = [
            ("route.request.header.", IdentitySource::Header),
            ("route.request.querystring.", IdentitySource::QueryString),
            ("stageVariables.", IdentitySource::StageVariable),
            ("context.", IdentitySource::Context),
        ];
        FORMS
            .iter()
            .find_map(|(prefix, make)| Some(make(text.strip_prefix(prefix)?.to_owned())))
            .filter(|source| !source.name().is_empty())
            .ok_or_else(|| IdentitySourceError(text.to_owned()))
    }
}

impl IdentitySource {
    /// The name of the header, query parameter, variable or context value.
    pub fn name(&self) -> &str {
        match self {
            Self::Header(name)
            | Self::QueryString(name)
            | Self::StageVariable(name)
            | Self::Context(name) => name,
        }
    }
}

impl fmt::Display for IdentitySource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let prefix = match self {
            Self::Header(_) => "route.request.header",
            Self::QueryString(_) => "route.request.querystring",
            Self::StageVariable(_) => "stageVariables",
            Self::Context(_) => "context",
        };
        write!(f, "{prefix}.{}", self.name())
    }
}

impl From<IdentitySource> for String {
    fn from(source: IdentitySource) -> Self {
        source.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_survives_a_round_trip() {
        for text in [
            "route.request.header.Auth",
            "route.request.querystring.token",
            "stageVariables.key",
            "context.identity.sourceIp",
        ] {
            assert_eq!(text.parse::<IdentitySource>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn a_static_value_or_a_missing_name_is_refused() {
        for text in ["", "Auth", "'static'", "route.request.header.", "method.request.header.Auth"]
        {
            assert_eq!(text.parse::<IdentitySource>(), Err(IdentitySourceError(text.to_owned())));
        }
    }
}
