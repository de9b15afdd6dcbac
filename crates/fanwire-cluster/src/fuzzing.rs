//! What fuzz targets reach beside the public API: what other nodes send is read like this.

use bytes::Bytes;

use crate::link::frame;

/// A frame of a link, read and written again. `None` where it is none.
pub fn link_frame(bytes: Bytes) -> Option<Bytes> {
    frame::decode(bytes).map(|(from, frame)| frame::encode(from, &frame))
}
