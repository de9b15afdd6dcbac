//! Where the tables are: in Fanwire itself, or in a DynamoDB elsewhere.

use std::fmt;
use std::str::FromStr;

use serde::Serialize;

use crate::aws_id::partition;
use crate::rules::is_http_url;

/// The DynamoDB that functions are given.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum DynamoDb {
    /// The one that Fanwire embeds. It has the App's tables.
    #[default]
    Embedded,
    /// A real one. Its tables are its owner's business: none are created.
    Elsewhere {
        /// An `http://` or `https://` URL.
        endpoint: String,
    },
}

/// A [`DynamoDb`] as people write it, in `fanwire.toml` and on the command line:
/// `embedded`, `aws` or a URL.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum DynamoDbChoice {
    /// `embedded`
    #[default]
    Embedded,
    /// `aws`: AWS's own in the App's region, which is the region that SDKs sign for.
    Aws,
    /// The endpoint of another one, such as DynamoDB Local.
    Endpoint(String),
}

/// A text that is no [`DynamoDbChoice`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a DynamoDB; expected {EXPECTED}")]
pub struct DynamoDbChoiceError(pub String);

/// What a [`DynamoDbChoice`] looks like, for messages.
pub(crate) const EXPECTED: &str = "embedded, aws (the real one in the app's region), or the URL of an endpoint such as \
     http://localhost:8000";

// === impl DynamoDbChoice ===

impl DynamoDbChoice {
    /// What it means for an App of a region.
    pub fn in_region(&self, region: &str) -> DynamoDb {
        match self {
            Self::Embedded => DynamoDb::Embedded,
            Self::Aws => {
                let (_, suffix) = partition(region);
                DynamoDb::Elsewhere { endpoint: format!("https://dynamodb.{region}.{suffix}") }
            }
            Self::Endpoint(endpoint) => DynamoDb::Elsewhere { endpoint: endpoint.clone() },
        }
    }
}

impl FromStr for DynamoDbChoice {
    type Err = DynamoDbChoiceError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "embedded" => Ok(Self::Embedded),
            "aws" => Ok(Self::Aws),
            url if is_http_url(url) => Ok(Self::Endpoint(url.to_owned())),
            other => Err(DynamoDbChoiceError(other.to_owned())),
        }
    }
}

impl fmt::Display for DynamoDbChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Embedded => "embedded",
            Self::Aws => "aws",
            Self::Endpoint(endpoint) => endpoint,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_choice_survives_a_round_trip() {
        for text in ["embedded", "aws", "http://localhost:8000", "https://db.example.com/x"] {
            assert_eq!(text.parse::<DynamoDbChoice>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn other_texts_are_refused_with_the_forms_that_exist() {
        for text in ["", "AWS", "eu-west-1", "localhost:8000", "http://", "ftp://x", "http://a b"] {
            let error = text.parse::<DynamoDbChoice>().unwrap_err().to_string();
            assert!(error.starts_with(&format!("`{text}` is not a DynamoDB")), "{error}");
            assert!(error.contains("embedded, aws") && error.contains("http://localhost:8000"));
        }
    }

    #[test]
    fn aws_is_the_endpoint_of_the_app_s_region() {
        for (region, endpoint) in [
            ("eu-west-1", "https://dynamodb.eu-west-1.amazonaws.com"),
            ("cn-north-1", "https://dynamodb.cn-north-1.amazonaws.com.cn"),
            ("us-gov-west-1", "https://dynamodb.us-gov-west-1.amazonaws.com"),
        ] {
            let expected = DynamoDb::Elsewhere { endpoint: endpoint.to_owned() };
            assert_eq!(DynamoDbChoice::Aws.in_region(region), expected);
        }
        assert_eq!(DynamoDbChoice::Embedded.in_region("eu-west-1"), DynamoDb::Embedded);
    }
}
