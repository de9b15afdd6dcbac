//! MQTT 3.1.1 as a client speaks it, written out by hand: packets are made once and sent
//! many times, and of what comes only what is counted is read.

/// The mask of all WebSocket frames. A server has to unmask all the same.
const MASK: [u8; 4] = [0x37, 0xFA, 0x21, 0x3D];

/// Longer than any run: nobody has to ping.
const KEEP_ALIVE_SECONDS: u16 = 1200;

/// How packets travel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Transport {
    /// One after the other.
    Tcp,
    /// Each in a binary frame of its own.
    Websocket,
}

/// At most once or at least once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum QoS {
    AtMostOnce = 0,
    AtLeastOnce = 1,
}

/// What a broker sends.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Packet<'b> {
    /// With its return code.
    ConnAck(u8),
    /// With the first of its return codes.
    SubAck(u8),
    PubAck,
    Publish {
        /// Of QoS 1 only: this is acknowledged.
        id: Option<[u8; 2]>,
        payload: &'b [u8],
    },
    /// A WebSocket is being closed.
    Close,
    Other,
}

// === impl Transport ===

impl Transport {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Websocket => "websocket",
        }
    }

    /// Appends a packet as it is sent.
    pub(crate) fn wrap(self, packet: &[u8], out: &mut Vec<u8>) {
        if self == Self::Websocket {
            out.push(0x82);
            match packet.len() {
                len @ 0..=125 => out.push(0x80 | len as u8),
                len => {
                    out.push(0x80 | 126);
                    out.extend((len as u16).to_be_bytes());
                }
            }
            out.extend(MASK);
            out.extend(packet.iter().zip(MASK.iter().cycle()).map(|(byte, mask)| byte ^ mask));
        } else {
            out.extend(packet);
        }
    }
}

// === impl Packet ===

impl<'b> Packet<'b> {
    /// The first packet, and its length. None: it has not all come.
    pub(crate) fn split(bytes: &'b [u8]) -> Option<(Self, usize)> {
        let (&first, rest) = bytes.split_first()?;
        let (mut len, mut shift, mut header) = (0, 0, 1);
        loop {
            let byte = *rest.get(header - 1)?;
            len |= usize::from(byte & 0x7F) << shift;
            (shift, header) = (shift + 7, header + 1);
            if byte < 0x80 || header > 4 {
                break;
            }
        }
        let body = bytes.get(header..header + len)?;
        Some((Self::read(first, body), header + len))
    }

    fn read(first: u8, body: &'b [u8]) -> Self {
        match (first >> 4, body) {
            (2, [_, code, ..]) => Self::ConnAck(*code),
            (3, [high, low, rest @ ..]) => {
                let topic = usize::from(u16::from_be_bytes([*high, *low]));
                let rest = rest.get(topic..).unwrap_or_default();
                match rest.split_first_chunk() {
                    Some((id, payload)) if first & 0b110 != 0 => {
                        Self::Publish { id: Some(*id), payload }
                    }
                    _ => Self::Publish { id: None, payload: rest },
                }
            }
            (4, _) => Self::PubAck,
            (9, [_, _, code, ..]) => Self::SubAck(*code),
            _ => Self::Other,
        }
    }
}

/// CONNECT with a clean session.
pub(crate) fn connect(client_id: &str) -> Vec<u8> {
    let mut body = text("MQTT");
    body.extend([4, 0x02]);
    body.extend(KEEP_ALIVE_SECONDS.to_be_bytes());
    body.extend(text(client_id));
    packet(0x10, &body)
}

/// SUBSCRIBE to one filter.
pub(crate) fn subscribe(filter: &str, qos: QoS) -> Vec<u8> {
    let mut body = vec![0, 1];
    body.extend(text(filter));
    body.push(qos as u8);
    packet(0x82, &body)
}

/// PUBLISH; of QoS 1 with this packet id.
pub(crate) fn publish(topic: &str, id: Option<u16>, payload: &[u8]) -> Vec<u8> {
    let mut body = text(topic);
    body.extend(id.into_iter().flat_map(u16::to_be_bytes));
    body.extend(payload);
    packet(if id.is_some() { 0x32 } else { 0x30 }, &body)
}

/// PUBACK for a packet id.
pub(crate) fn puback(id: [u8; 2]) -> [u8; 4] {
    [0x40, 2, id[0], id[1]]
}

/// DISCONNECT.
pub(crate) const DISCONNECT: [u8; 2] = [0xE0, 0];

fn packet(first: u8, body: &[u8]) -> Vec<u8> {
    let mut packet = vec![first];
    let mut len = body.len();
    while len >= 0x80 {
        packet.push(0x80 | (len & 0x7F) as u8);
        len >>= 7;
    }
    packet.push(len as u8);
    packet.extend(body);
    packet
}

fn text(text: &str) -> Vec<u8> {
    let mut bytes = (text.len() as u16).to_be_bytes().to_vec();
    bytes.extend(text.as_bytes());
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_publish_is_read_as_it_was_written() {
        for payload in [vec![], vec![7; 120], vec![7; 20_000]] {
            for id in [None, Some(258)] {
                let bytes = publish("a/b", id, &payload);
                let id = id.map(u16::to_be_bytes);
                let expected = Packet::Publish { id, payload: &payload };
                assert_eq!(Packet::split(&bytes), Some((expected, bytes.len())));
                assert_eq!(Packet::split(&bytes[..bytes.len() - 1]), None);
            }
        }
    }
}
