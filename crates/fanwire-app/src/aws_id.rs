//! Ids that AWS gives and a server of one's own has to make up: accounts and APIs;
//! and what a region's names begin and end with.

use indexmap::IndexMap;

/// The account id that functions see where none is given.
pub(crate) const DEFAULT_ACCOUNT_ID: &str = "000000000000";

/// The account id that functions see: `AWS_ACCOUNT_ID` of the environment where it is
/// one, else zeros.
pub(crate) fn account_id(environment: &IndexMap<String, String>) -> String {
    let given = environment.get("AWS_ACCOUNT_ID").filter(|id| is_account_id(id));
    given.map_or_else(|| DEFAULT_ACCOUNT_ID.to_owned(), String::clone)
}

/// Whether a text is twelve digits.
pub(crate) fn is_account_id(text: &str) -> bool {
    text.len() == 12 && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// An API id for an API that has none: ten lower-case letters and digits, the same
/// for the same names at every start (FNV-1a of them, in base 36).
pub(crate) fn derived_api_id(service: &str, stage: &str, name: &str) -> String {
    const DIGITS: &[u8; 36] = b"abcdefghijklmnopqrstuvwxyz0123456789";
    let bytes = [service, stage, name].join("\0");
    let mut hash = bytes.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    let mut id = String::new();
    // The first character is a letter, as ids at the start of a host name should be.
    for base in [26, 36, 36, 36, 36, 36, 36, 36, 36, 36] {
        #[expect(clippy::cast_possible_truncation, reason = "below 36")]
        id.push(char::from(DIGITS[(hash % base) as usize]));
        hash /= base;
    }
    id
}

/// The partition that a region belongs to, and the suffix of its host names.
pub(crate) fn partition(region: &str) -> (&'static str, &'static str) {
    match region {
        region if region.starts_with("us-gov-") => ("aws-us-gov", "amazonaws.com"),
        region if region.starts_with("cn-") => ("aws-cn", "amazonaws.com.cn"),
        _ => ("aws", "amazonaws.com"),
    }
}
