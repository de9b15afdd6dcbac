//! CONNECT (MQTT 5, 3.1; MQTT 3.1.1, 3.1).

use std::num::{NonZeroU16, NonZeroU32};

use super::bytes::{Cursor, put_binary, put_text, put_varint};
use super::properties::{MISPLACED, Properties, id};
use super::{DecodeError, MessageProperties, QoS, ReasonCode, UserProperties, Version, topic};

/// The first packet of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Connect<'b> {
    /// What the client speaks.
    pub version: Version,
    /// Empty where the server is to make one up.
    pub client_id: &'b str,
    /// Whether a session of before is to be forgotten. Before MQTT 5 it also says that this
    /// one ends with its connection.
    pub clean_start: bool,
    /// In seconds; 0 for none.
    pub keep_alive: u16,
    /// What is published where the client goes without a goodbye.
    pub will: Option<Will<'b>>,
    /// The user name.
    pub username: Option<&'b str>,
    /// The password.
    pub password: Option<&'b [u8]>,
    /// What MQTT 5 adds.
    pub properties: ConnectProperties<'b>,
}

/// What a client asks for (MQTT 5, 3.1.2.11).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConnectProperties<'b> {
    /// How many seconds the session outlives its connection.
    pub session_expiry: Option<u32>,
    /// How many messages of QoS 1 and 2 the client takes before it has acknowledged any.
    pub receive_maximum: Option<NonZeroU16>,
    /// The longest packet that the client takes, in bytes.
    pub maximum_packet_size: Option<NonZeroU32>,
    /// How many topic aliases the client takes.
    pub topic_alias_maximum: u16,
    /// Whether the client wants to be told where answers may go.
    pub request_response_information: bool,
    /// Whether the client wants reasons in words.
    pub request_problem_information: bool,
    /// How the client wants to say who it is, beyond user name and password.
    pub authentication_method: Option<&'b str>,
    /// What goes with it.
    pub authentication_data: Option<&'b [u8]>,
    /// Applications' own.
    pub user_properties: UserProperties<'b>,
}

/// What is published where a client goes without a goodbye (MQTT 5, 3.1.3.2).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Will<'b> {
    /// The topic name.
    pub topic: &'b str,
    /// The payload.
    pub payload: &'b [u8],
    /// The quality of service.
    pub qos: QoS,
    /// Whether it is to be retained.
    pub retain: bool,
    /// How many seconds the server waits for the client to come back.
    pub delay: u32,
    /// What MQTT 5 adds.
    pub properties: MessageProperties<'b>,
}

impl Default for ConnectProperties<'_> {
    fn default() -> Self {
        Self {
            session_expiry: None,
            receive_maximum: None,
            maximum_packet_size: None,
            topic_alias_maximum: 0,
            request_response_information: false,
            request_problem_information: true,
            authentication_method: None,
            authentication_data: None,
            user_properties: UserProperties::default(),
        }
    }
}

// === impl Connect ===

impl<'b> Connect<'b> {
    pub(super) fn decode(body: &'b [u8]) -> Result<Self, DecodeError> {
        let mut body = Cursor(body);
        let version = version(&mut body)?;
        let flags = body.u8()?;
        if flags & 1 != 0 {
            return Err(DecodeError::malformed("a CONNECT whose reserved flag is set"));
        }
        let (has_will, has_username, has_password) =
            (flags & 0x04 != 0, flags & 0x80 != 0, flags & 0x40 != 0);
        let qos = QoS::from_u8(flags >> 3 & 3).ok_or(DecodeError::malformed("a will QoS of 3"))?;
        let retain = flags & 0x20 != 0;
        if !has_will && (retain || qos != QoS::AtMostOnce) {
            return Err(DecodeError::malformed("a CONNECT with flags of a will, and no will"));
        }
        // MQTT 3.1.1, 3.1.2.9; MQTT 5 allows it.
        if has_password && !has_username && version != Version::V5 {
            return Err(DecodeError::malformed("a password without a user name"));
        }
        let keep_alive = body.u16()?;
        let mut properties = ConnectProperties::default();
        if version == Version::V5 {
            properties = ConnectProperties::decode(&mut body)?;
        }
        let client_id = body.text()?;
        let will =
            if has_will { Some(Will::decode(&mut body, version, qos, retain)?) } else { None };
        let username = if has_username { Some(body.text()?) } else { None };
        let password = if has_password { Some(body.binary()?) } else { None };
        body.finish()?;
        let clean_start = flags & 2 != 0;
        Ok(Self {
            version,
            client_id,
            clean_start,
            keep_alive,
            will,
            username,
            password,
            properties,
        })
    }

    /// Appends the packet, as a client sends it.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let mut body = Vec::new();
        let (name, level) = match self.version {
            Version::V3_1 => ("MQIsdp", 3),
            Version::V3_1_1 => ("MQTT", 4),
            Version::V5 => ("MQTT", 5),
        };
        put_text(&mut body, name);
        body.push(level);
        let will =
            self.will.map_or(0, |will| 0x04 | (will.qos as u8) << 3 | u8::from(will.retain) << 5);
        body.push(
            u8::from(self.clean_start) << 1
                | will
                | u8::from(self.password.is_some()) << 6
                | u8::from(self.username.is_some()) << 7,
        );
        body.extend_from_slice(&self.keep_alive.to_be_bytes());
        if self.version == Version::V5 {
            self.properties.encode(&mut body);
        }
        put_text(&mut body, self.client_id);
        if let Some(will) = &self.will {
            will.encode(self.version, &mut body);
        }
        if let Some(username) = self.username {
            put_text(&mut body, username);
        }
        if let Some(password) = self.password {
            put_binary(&mut body, password);
        }
        out.push(0x10);
        put_varint(out, body.len());
        out.extend_from_slice(&body);
    }
}

fn version(body: &mut Cursor<'_>) -> Result<Version, DecodeError> {
    let name = body.binary()?;
    let level = body.u8()?;
    match (name, level) {
        (b"MQIsdp", 3) => Ok(Version::V3_1),
        (b"MQTT", 4) => Ok(Version::V3_1_1),
        (b"MQTT", 5) => Ok(Version::V5),
        (b"MQTT" | b"MQIsdp", _) => Err(DecodeError {
            reason: ReasonCode::UnsupportedProtocolVersion,
            what: "a version of MQTT other than 3.1, 3.1.1 and 5",
        }),
        _ => Err(DecodeError {
            reason: ReasonCode::UnsupportedProtocolVersion,
            what: "a protocol other than MQTT",
        }),
    }
}

// === impl ConnectProperties ===

impl<'b> ConnectProperties<'b> {
    fn decode(body: &mut Cursor<'b>) -> Result<Self, DecodeError> {
        let mut from = Properties::take(body)?;
        let mut to = Self { user_properties: UserProperties::of(from.block), ..Self::default() };
        while let Some(id) = from.next()? {
            match id {
                id::SESSION_EXPIRY => to.session_expiry = Some(from.cursor.u32()?),
                id::RECEIVE_MAXIMUM => {
                    let maximum = NonZeroU16::new(from.cursor.u16()?);
                    let zero = DecodeError::protocol("a receive maximum of zero");
                    to.receive_maximum = Some(maximum.ok_or(zero)?);
                }
                id::MAXIMUM_PACKET_SIZE => {
                    let maximum = NonZeroU32::new(from.cursor.u32()?);
                    let zero = DecodeError::protocol("a maximum packet size of zero");
                    to.maximum_packet_size = Some(maximum.ok_or(zero)?);
                }
                id::TOPIC_ALIAS_MAXIMUM => to.topic_alias_maximum = from.cursor.u16()?,
                id::RESPONSE_INFORMATION_WANTED => {
                    to.request_response_information = from.flag()?;
                }
                id::PROBLEM_INFORMATION => to.request_problem_information = from.flag()?,
                id::AUTHENTICATION_METHOD => to.authentication_method = Some(from.cursor.text()?),
                id::AUTHENTICATION_DATA => to.authentication_data = Some(from.cursor.binary()?),
                id::USER_PROPERTY => from.pass_user()?,
                _ => return Err(MISPLACED),
            }
        }
        if to.authentication_data.is_some() && to.authentication_method.is_none() {
            return Err(DecodeError::protocol("authentication data without a method"));
        }
        Ok(to)
    }

    fn encode(&self, out: &mut Vec<u8>) {
        let mut block = Vec::new();
        if let Some(expiry) = self.session_expiry {
            block.push(id::SESSION_EXPIRY);
            block.extend_from_slice(&expiry.to_be_bytes());
        }
        if let Some(maximum) = self.receive_maximum {
            block.push(id::RECEIVE_MAXIMUM);
            block.extend_from_slice(&maximum.get().to_be_bytes());
        }
        if let Some(maximum) = self.maximum_packet_size {
            block.push(id::MAXIMUM_PACKET_SIZE);
            block.extend_from_slice(&maximum.get().to_be_bytes());
        }
        if self.topic_alias_maximum > 0 {
            block.push(id::TOPIC_ALIAS_MAXIMUM);
            block.extend_from_slice(&self.topic_alias_maximum.to_be_bytes());
        }
        if self.request_response_information {
            block.extend_from_slice(&[id::RESPONSE_INFORMATION_WANTED, 1]);
        }
        if !self.request_problem_information {
            block.extend_from_slice(&[id::PROBLEM_INFORMATION, 0]);
        }
        if let Some(method) = self.authentication_method {
            block.push(id::AUTHENTICATION_METHOD);
            put_text(&mut block, method);
        }
        if let Some(data) = self.authentication_data {
            block.push(id::AUTHENTICATION_DATA);
            put_binary(&mut block, data);
        }
        self.user_properties.encode(&mut block);
        put_varint(out, block.len());
        out.extend_from_slice(&block);
    }
}

// === impl Will ===

impl<'b> Will<'b> {
    fn decode(
        body: &mut Cursor<'b>,
        version: Version,
        qos: QoS,
        retain: bool,
    ) -> Result<Self, DecodeError> {
        let mut will = Self { qos, retain, ..Self::default() };
        if version == Version::V5 {
            let mut properties = Properties::take(body)?;
            will.properties.user_properties = UserProperties::of(properties.block);
            while let Some(id) = properties.next()? {
                match id {
                    id::WILL_DELAY => will.delay = properties.cursor.u32()?,
                    _ => will.properties.take(id, &mut properties)?,
                }
            }
        }
        will.topic = body.text()?;
        topic::check_name(will.topic)
            .map_err(|error| DecodeError { reason: ReasonCode::TopicNameInvalid, what: error.0 })?;
        will.payload = body.binary()?;
        Ok(will)
    }

    fn encode(&self, version: Version, out: &mut Vec<u8>) {
        if version == Version::V5 {
            let delay = if self.delay > 0 { 5 } else { 0 };
            put_varint(out, delay + self.properties.encoded_len());
            if self.delay > 0 {
                out.push(id::WILL_DELAY);
                out.extend_from_slice(&self.delay.to_be_bytes());
            }
            self.properties.encode(out);
        }
        put_text(out, self.topic);
        put_binary(out, self.payload);
    }
}
