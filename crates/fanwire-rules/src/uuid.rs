//! Ids of messages.

/// The bits of a UUID that say which version and variant it is.
const VERSION_BITS: u128 = 0xF000_C000_0000_0000_0000;

/// Those of a random one.
const VERSION_4: u128 = 0x4000_8000_0000_0000_0000;

/// The random UUID (RFC 9562, version 4) that these bits make. A
/// [`Message::trace_id`](crate::Message::trace_id) is one.
pub fn uuid(random: u128) -> String {
    let hex = format!("{:032x}", (random & !VERSION_BITS) | VERSION_4);
    [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]].join("-")
}
