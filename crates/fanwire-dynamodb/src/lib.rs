//! The embedded DynamoDB: an App's tables, kept on disk and served over DynamoDB's own API.
