//! Request, message and trace ids in the forms that API Gateway and X-Ray use.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE;

/// A request or message id: eleven random bytes in URL-safe base64, sixteen
/// characters that end in `=`. Unique, not secret: these ids open nothing.
pub fn request_id() -> String {
    let mut bytes = [0; 11];
    fastrand::fill(&mut bytes);
    URL_SAFE.encode(bytes)
}

/// An X-Ray trace header for a request that starts at `epoch_ms`.
pub(crate) fn trace_header(epoch_ms: u64) -> String {
    let random = fastrand::u128(..) >> 32;
    format!("Root=1-{:08x}-{random:024x}", epoch_ms / 1000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_have_the_forms_that_clients_have_seen() {
        let id = request_id();
        assert_eq!(id.len(), 16);
        assert!(id.ends_with('='));
        let trace = trace_header(1_674_162_806_344);
        assert!(trace.starts_with("Root=1-63c9b276-"), "{trace}");
        assert_eq!(trace.len(), "Root=1-63c9b276-".len() + 24);
    }
}
