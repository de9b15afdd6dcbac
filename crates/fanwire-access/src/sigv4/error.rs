//! Why a signature does not count, in the words of AWS's services.

/// Why a signature does not count.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SignatureError {
    /// There is none.
    #[error("Missing Authentication Token")]
    Missing,
    /// Something that it needs is not there, or cannot be read.
    #[error("{0}")]
    Incomplete(String),
    /// No key has the id, or the session token that goes with it.
    #[error("The security token included in the request is invalid.")]
    UnknownKey,
    /// The key was valid once.
    #[error("The security token included in the request is expired")]
    ExpiredToken,
    /// It is too old.
    #[error("Signature expired: {signed} is now earlier than {earliest} ({now} - {minutes} min.)")]
    Expired {
        /// When it was made.
        signed: String,
        /// When it would have to be made.
        earliest: String,
        /// What time it is here.
        now: String,
        /// How long signatures last.
        minutes: u64,
    },
    /// It is of a time that is to come.
    #[error("Signature not yet current: {signed} is still later than {latest} ({now} + 5 min.)")]
    NotYetCurrent {
        /// When it was made.
        signed: String,
        /// The latest that would be taken.
        latest: String,
        /// What time it is here.
        now: String,
    },
    /// It is for another service.
    #[error("Credential should be scoped to correct service: '{expected}'. ")]
    Service {
        /// The service that is asked.
        expected: String,
    },
    /// Its day is not that of its time.
    #[error(
        "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from \
         HTTP: '{scope}' != '{}', from '{date}'.", .date.split('T').next().unwrap_or_default()
    )]
    Day {
        /// The day that the key is derived for.
        scope: String,
        /// When it was made.
        date: String,
    },
    /// A header that has to be signed is not.
    #[error("'{0}' must be a 'SignedHeader' in the AWS Authorization.")]
    UnsignedHeader(String),
    /// It is of a form that only S3 has.
    #[error("The signature of a body in parts ({0}) is not supported")]
    Streaming(String),
    /// It is not what the secret makes of the request.
    #[error(
        "The request signature we calculated does not match the signature you provided. Check \
         your AWS Secret Access Key and signing method. Consult the service documentation for \
         details.\n\nThe Canonical String for this request should have been\n'{canonical}'\n\n\
         The String-to-Sign should have been\n'{string_to_sign}'\n"
    )]
    Mismatch {
        /// What is hashed.
        canonical: String,
        /// What is signed.
        string_to_sign: String,
    },
    /// The body is not what the signature says that it is.
    #[error("The provided 'x-amz-content-sha256' header does not match what was computed.")]
    Body,
}

// === impl SignatureError ===

impl SignatureError {
    /// The name of the exception that AWS's SDKs make of it.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Missing => "MissingAuthenticationTokenException",
            Self::Incomplete(_) => "IncompleteSignatureException",
            Self::UnknownKey => "UnrecognizedClientException",
            Self::ExpiredToken => "ExpiredTokenException",
            Self::Expired { .. }
            | Self::NotYetCurrent { .. }
            | Self::Service { .. }
            | Self::Day { .. }
            | Self::UnsignedHeader(_)
            | Self::Streaming(_)
            | Self::Mismatch { .. }
            | Self::Body => "InvalidSignatureException",
        }
    }
}
