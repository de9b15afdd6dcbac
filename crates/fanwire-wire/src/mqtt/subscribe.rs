//! SUBSCRIBE and SUBACK (MQTT 5, 3.8 and 3.9).

use super::bytes::{Cursor, put_text, put_varint, varint_len};
use super::properties::{MISPLACED, Properties, id};
use super::{DecodeError, PacketId, QoS, ReasonCode, SharedFilter, UserProperties, Version, topic};

/// What a client wants to subscribe to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Subscribe<'b> {
    /// What its acknowledgement names.
    pub packet_id: PacketId,
    /// Given back with each message that matches.
    pub subscription_id: Option<u32>,
    /// Applications' own.
    pub user_properties: UserProperties<'b>,
    /// Filters and options, checked.
    list: Cursor<'b>,
}

/// How messages of a subscription are delivered (MQTT 5, 3.8.3.1).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SubscribeOptions {
    /// The most that messages are delivered with.
    pub qos: QoS,
    /// Whether the client's own messages are left out.
    pub no_local: bool,
    /// Whether messages keep the retain flag that they were published with.
    pub retain_as_published: bool,
    /// When retained messages are sent.
    pub retain_handling: RetainHandling,
}

/// When retained messages are sent.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[repr(u8)]
pub enum RetainHandling {
    /// At each SUBSCRIBE.
    #[default]
    Send = 0,
    /// At a SUBSCRIBE that makes a new subscription.
    SendIfNew = 1,
    /// Never.
    DoNotSend = 2,
}

// === impl Subscribe ===

impl<'b> Subscribe<'b> {
    pub(super) fn decode(mut body: Cursor<'b>, version: Version) -> Result<Self, DecodeError> {
        let packet_id = body.packet_id()?;
        let mut subscription_id = None;
        let mut user_properties = UserProperties::default();
        if version == Version::V5 {
            let mut properties = Properties::take(&mut body)?;
            user_properties = UserProperties::of(properties.block);
            while let Some(id) = properties.next()? {
                match id {
                    id::SUBSCRIPTION_ID => {
                        let id = Some(properties.cursor.varint()?).filter(|id| *id > 0);
                        let zero = DecodeError::protocol("a subscription identifier of zero");
                        subscription_id = Some(id.ok_or(zero)?);
                    }
                    id::USER_PROPERTY => properties.pass_user()?,
                    _ => return Err(MISPLACED),
                }
            }
        }
        if body.is_empty() {
            return Err(DecodeError::protocol("a SUBSCRIBE without a topic filter"));
        }
        let list = body;
        while !body.is_empty() {
            let filter = filter(&mut body)?;
            let options = SubscribeOptions::decode(body.u8()?, version)?;
            // MQTT 5, 3.8.3.1.
            if options.no_local && SharedFilter::parse(filter).is_some() {
                return Err(DecodeError::protocol("a shared subscription with No Local"));
            }
        }
        Ok(Self { packet_id, subscription_id, user_properties, list })
    }

    /// The filters, and how each is to be delivered.
    pub fn filters(&self) -> impl Iterator<Item = (&'b str, SubscribeOptions)> + use<'b> {
        let mut list = self.list;
        std::iter::from_fn(move || {
            // They were checked when the packet was decoded.
            let filter = list.text().ok()?;
            Some((filter, SubscribeOptions::of_bits(list.u8().ok()?)))
        })
    }
}

/// Takes a topic filter.
pub(super) fn filter<'b>(body: &mut Cursor<'b>) -> Result<&'b str, DecodeError> {
    let filter = body.text()?;
    topic::check_filter(filter)
        .map_err(|error| DecodeError { reason: ReasonCode::TopicFilterInvalid, what: error.0 })?;
    Ok(filter)
}

// === impl SubscribeOptions ===

impl SubscribeOptions {
    fn decode(byte: u8, version: Version) -> Result<Self, DecodeError> {
        let reserved = if version == Version::V5 { 0xC0 } else { 0xFC };
        if byte & reserved != 0 {
            return Err(DecodeError::malformed("subscription options with reserved bits set"));
        }
        if byte & 3 == 3 {
            return Err(DecodeError::protocol("a subscription with a QoS of 3"));
        }
        if byte & 0x30 == 0x30 {
            return Err(DecodeError::protocol("a subscription with a retain handling of 3"));
        }
        Ok(Self::of_bits(byte))
    }

    fn of_bits(byte: u8) -> Self {
        Self {
            qos: QoS::from_u8(byte & 3).unwrap_or_default(),
            no_local: byte & 4 != 0,
            retain_as_published: byte & 8 != 0,
            retain_handling: match byte >> 4 & 3 {
                0 => RetainHandling::Send,
                1 => RetainHandling::SendIfNew,
                _ => RetainHandling::DoNotSend,
            },
        }
    }

    fn bits(self) -> u8 {
        self.qos as u8
            | u8::from(self.no_local) << 2
            | u8::from(self.retain_as_published) << 3
            | (self.retain_handling as u8) << 4
    }
}

/// Appends a SUBSCRIBE, as a client sends it.
pub fn encode_subscribe(
    version: Version,
    packet_id: PacketId,
    subscription_id: Option<u32>,
    filters: &[(&str, SubscribeOptions)],
    out: &mut Vec<u8>,
) {
    let mut body = packet_id.get().to_be_bytes().to_vec();
    if version == Version::V5 {
        put_varint(&mut body, subscription_id.map_or(0, |id| 1 + varint_len(id as usize)));
        if let Some(id) = subscription_id {
            body.push(id::SUBSCRIPTION_ID);
            put_varint(&mut body, id as usize);
        }
    }
    for (filter, options) in filters {
        put_text(&mut body, filter);
        body.push(if version == Version::V5 { options.bits() } else { options.qos as u8 });
    }
    out.push(0x82);
    put_varint(out, body.len());
    out.extend_from_slice(&body);
}

/// Appends a SUBACK, with one reason for each filter. Before MQTT 5 all failures are one.
pub fn encode_suback(
    version: Version,
    packet_id: PacketId,
    reasons: &[ReasonCode],
    out: &mut Vec<u8>,
) {
    out.push(0x90);
    let properties = usize::from(version == Version::V5);
    put_varint(out, 2 + properties + reasons.len());
    out.extend_from_slice(&packet_id.get().to_be_bytes());
    if version == Version::V5 {
        out.push(0);
    }
    out.extend(reasons.iter().map(|reason| match version {
        Version::V5 => *reason as u8,
        _ if reason.is_failure() => 0x80,
        _ => *reason as u8,
    }));
}
