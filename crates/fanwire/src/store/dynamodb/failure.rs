//! What went wrong, by whose fault.

use aws_sdk_dynamodb::error::{DisplayErrorContext, ProvideErrorMetadata, SdkError};

use crate::store::StoreError;

/// Codes of DynamoDB that say to come back later.
const BUSY: [&str; 6] = [
    "ProvisionedThroughputExceededException",
    "ThrottlingException",
    "RequestLimitExceeded",
    "LimitExceededException",
    "TransactionConflictException",
    "ReplicatedWriteConflictException",
];

/// Codes that say that a request is wrong.
const REFUSED: [&str; 2] = ["ValidationException", "ItemCollectionSizeLimitExceededException"];

/// What the SDK could not do, after it had tried as often as it may.
pub(super) fn failure<E>(error: SdkError<E>) -> StoreError
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
{
    let code = error.code().unwrap_or_default();
    let why = error.message().map(|message| format!("{code}: {message}"));
    match code {
        code if BUSY.contains(&code) => StoreError::Busy(why.unwrap_or_else(|| code.to_owned())),
        code if REFUSED.contains(&code) => {
            StoreError::Refused(why.unwrap_or_else(|| code.to_owned()))
        }
        _ => StoreError::Failed(why.unwrap_or_else(|| DisplayErrorContext(error).to_string())),
    }
}

/// Whether what had to be there was not.
pub(super) fn is_unmet<E: ProvideErrorMetadata>(error: &SdkError<E>) -> bool {
    error.code() == Some("ConditionalCheckFailedException")
}
