//! PINGREQ and PINGRESP: signs of life (MQTT 5, 3.12 and 3.13).

/// The first byte of a PINGREQ.
pub(super) const REQUEST: u8 = 0xC0;

/// The first byte of a PINGRESP.
pub(super) const RESPONSE: u8 = 0xD0;

/// Appends a PINGREQ, as a client sends it.
pub fn encode_ping_request(out: &mut Vec<u8>) {
    out.extend_from_slice(&[REQUEST, 0]);
}

/// Appends a PINGRESP, as a server answers it.
pub fn encode_ping_response(out: &mut Vec<u8>) {
    out.extend_from_slice(&[RESPONSE, 0]);
}
