//! What fuzz targets reach beside the public API: what other nodes send is read like this.

use bytes::Bytes;

use super::claims;
use super::frame::Frame;
use crate::errand::Errand;

/// What nodes tell each other, read and written again. `None` where it is none of that.
pub fn frame(bytes: &[u8]) -> Option<Bytes> {
    Frame::decode(bytes).ok().map(|frame| frame.encode())
}

/// Whether these bytes are a session that comes from another node.
pub fn is_session(bytes: &[u8]) -> bool {
    claims::decode(bytes).is_ok()
}

/// Whether these bytes are something that a node asks another to do for a client.
pub fn is_errand(bytes: &[u8]) -> bool {
    Errand::decode(bytes).is_ok()
}
