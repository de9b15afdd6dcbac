//! Versions of the language.

use std::fmt;
use std::str::FromStr;

/// `awsIotSqlVersion` of a rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum SqlVersion {
    /// The first: no literals of objects and arrays, no nested queries, and `10.0` is
    /// a Decimal.
    V2015_10_08,
    /// What AWS recommends and SST writes: `10.0` is an Int.
    #[default]
    V2016_03_23,
    /// Whatever comes next; here the same as 2016-03-23.
    Beta,
}

/// A version that is none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no version of IoT SQL; expected 2016-03-23, 2015-10-08 or beta")]
pub struct SqlVersionError(String);

// === impl SqlVersion ===

impl SqlVersion {
    /// As rules write it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::V2015_10_08 => "2015-10-08",
            Self::V2016_03_23 => "2016-03-23",
            Self::Beta => "beta",
        }
    }
}

impl fmt::Display for SqlVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for SqlVersion {
    type Err = SqlVersionError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        [Self::V2015_10_08, Self::V2016_03_23, Self::Beta]
            .into_iter()
            .find(|version| version.as_str() == text)
            .ok_or_else(|| SqlVersionError(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_and_written_alike() {
        for text in ["2015-10-08", "2016-03-23", "beta"] {
            assert_eq!(text.parse::<SqlVersion>().unwrap().as_str(), text);
        }
        assert!("2016".parse::<SqlVersion>().unwrap_err().to_string().contains("2016-03-23"));
    }
}
