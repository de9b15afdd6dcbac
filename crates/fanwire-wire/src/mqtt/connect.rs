//! CONNECT: the first packet of every connection (MQTT 5, 3.1).

use std::fmt;
use std::num::{NonZeroU16, NonZeroU32};

use super::message::{MessageProperties, MessagePropertiesReader};
use super::property::{NOT_ALLOWED, PropertyReader, PropertySink, id};
use super::reader::Reader;
use super::user_properties::UserProperties;
use super::writer::{self, Sink, Write};
use super::{DecodeError, Frame, QoS, ReasonCode, Version};

/// The first byte of a CONNECT.
pub(super) const FIRST: u8 = 0x10;

/// A client introduces itself. Its `Debug` form shows no secrets.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Connect<'b> {
    /// What both sides speak from here on.
    pub version: Version,
    /// The name of the session. Empty: the server is to choose one. Before MQTT 5 that
    /// is only accepted along with `clean_start`, and in MQTT 3.1 never.
    pub client_id: &'b str,
    /// Whether an existing session is dropped ("clean session" before MQTT 5, which
    /// then also means that the session ends with the connection).
    pub clean_start: bool,
    /// The longest time between packets of the client, in seconds; 0 for no limit.
    pub keep_alive: u16,
    /// What is published if the client vanishes.
    pub will: Option<Will<'b>>,
    /// Who the client says it is.
    pub username: Option<&'b str>,
    /// What proves it. Binary data.
    pub password: Option<&'b [u8]>,
    /// Empty before MQTT 5.
    pub properties: ConnectProperties<'b>,
}

/// The properties of a CONNECT (MQTT 5, 3.1.2.11).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConnectProperties<'b> {
    /// For how many seconds the session outlives the connection; `u32::MAX` for ever,
    /// and not at all where it is absent.
    pub session_expiry: Option<u32>,
    /// How many unacknowledged QoS 1 and 2 messages the client takes; 65,535 where it is
    /// absent.
    pub receive_maximum: Option<NonZeroU16>,
    /// The longest packet that the client takes, in bytes.
    pub maximum_packet_size: Option<NonZeroU32>,
    /// The highest topic alias that the client takes; 0 for none.
    pub topic_alias_maximum: u16,
    /// Whether the client wants response information in the CONNACK.
    pub request_response_information: bool,
    /// Whether the client wants reason strings and user properties in packets other
    /// than PUBLISH, CONNACK and DISCONNECT. It does unless it says otherwise.
    pub request_problem_information: bool,
    /// The name of an enhanced authentication.
    pub authentication_method: Option<&'b str>,
    /// The first step of it. Never without a method.
    pub authentication_data: Option<&'b [u8]>,
    /// The applications' own.
    pub user_properties: UserProperties<'b>,
}

/// A message that the server publishes for a client that has gone (MQTT 5, 3.1.3.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Will<'b> {
    /// Where to. Never empty, never with wildcards.
    pub topic: &'b str,
    /// What.
    pub payload: &'b [u8],
    /// With which QoS.
    pub qos: QoS,
    /// Whether it is retained.
    pub retain: bool,
    /// How many seconds after the connection's end, unless the session ends before.
    pub delay: u32,
    /// The message's own properties.
    pub properties: MessageProperties<'b>,
}

/// The connect flags (MQTT 5, 3.1.2.3).
mod flag {
    pub(super) const RESERVED: u8 = 0x01;
    pub(super) const CLEAN_START: u8 = 0x02;
    pub(super) const WILL: u8 = 0x04;
    pub(super) const WILL_QOS_SHIFT: u8 = 3;
    pub(super) const WILL_RETAIN: u8 = 0x20;
    pub(super) const PASSWORD: u8 = 0x40;
    pub(super) const USERNAME: u8 = 0x80;
}

// === impl Frame ===

impl Frame<'_> {
    /// The first packet of a connection, which has to be a CONNECT (MQTT-3.1.0-1).
    pub fn connect(&self) -> Result<Connect<'_>, DecodeError> {
        match self.first {
            FIRST => Connect::decode(&self.body),
            first if first >> 4 == FIRST >> 4 => Err(super::RESERVED_FLAGS),
            _ => Err(DecodeError::protocol("a first packet that is not CONNECT")),
        }
    }

    /// The version that a CONNECT names, however wrong the rest of it is: an error is
    /// told in the client's own version.
    pub fn connect_version(&self) -> Option<Version> {
        let mut reader = Reader::new(&self.body);
        let (name, level) = (reader.binary().ok()?, reader.u8().ok()?);
        Version::named(name, level).filter(|_| self.first >> 4 == FIRST >> 4)
    }
}

// === impl Connect ===

impl<'b> Connect<'b> {
    pub(super) fn decode(body: &'b [u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(body);
        let (name, level) = (reader.binary()?, reader.u8()?);
        let version = Version::named(name, level).ok_or(DecodeError::new(
            ReasonCode::UnsupportedProtocolVersion,
            "a protocol name and level other than those of MQTT 3.1, 3.1.1 and 5.0",
        ))?;
        let flags = reader.u8()?;
        check_flags(flags, version)?;
        let keep_alive = reader.u16()?;
        let properties = if version.has_properties() {
            ConnectProperties::take_from(&mut reader)?
        } else {
            ConnectProperties::default()
        };
        let client_id = reader.text()?;
        let clean_start = flags & flag::CLEAN_START != 0;
        check_client_id(client_id, clean_start, version)?;
        let will = (flags & flag::WILL != 0)
            .then(|| Will::take_from(&mut reader, flags, version))
            .transpose()?;
        // MQTT 3.1, 3.1: the strings may be missing in spite of their flags, for the
        // sake of clients of the protocol before it.
        let present = |flag, reader: &Reader<'_>| {
            flags & flag != 0 && !(version == Version::V3_1 && reader.is_empty())
        };
        let username = present(flag::USERNAME, &reader).then(|| reader.text()).transpose()?;
        let password = present(flag::PASSWORD, &reader).then(|| reader.binary()).transpose()?;
        reader.end()?;
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
        writer::packet(FIRST, self, out);
    }

    fn flags(&self) -> u8 {
        let will = self.will.map_or(0, |will| {
            flag::WILL
                | (will.qos as u8) << flag::WILL_QOS_SHIFT
                | if will.retain { flag::WILL_RETAIN } else { 0 }
        });
        will | if self.clean_start { flag::CLEAN_START } else { 0 }
            | if self.username.is_some() { flag::USERNAME } else { 0 }
            | if self.password.is_some() { flag::PASSWORD } else { 0 }
    }
}

impl fmt::Debug for Connect<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // User names may carry tokens, properties authentication data.
        f.debug_struct("Connect")
            .field("version", &self.version)
            .field("client_id", &self.client_id)
            .field("clean_start", &self.clean_start)
            .field("keep_alive", &self.keep_alive)
            .field("will", &self.will)
            .finish_non_exhaustive()
    }
}

impl Write for Connect<'_> {
    fn write<S: Sink>(&self, to: &mut S) {
        to.text(self.version.protocol_name());
        to.u8(self.version.level());
        to.u8(self.flags());
        to.u16(self.keep_alive);
        if self.version.has_properties() {
            to.section(&self.properties);
        }
        to.text(self.client_id);
        if let Some(will) = &self.will {
            if self.version.has_properties() {
                to.section(&WillProperties(will));
            }
            to.text(will.topic);
            to.binary(will.payload);
        }
        if let Some(username) = self.username {
            to.text(username);
        }
        if let Some(password) = self.password {
            to.binary(password);
        }
    }
}

/// Refuses flags that contradict each other (MQTT 5, 3.1.2.3 to 3.1.2.9).
fn check_flags(flags: u8, version: Version) -> Result<(), DecodeError> {
    let has = |flag| flags & flag != 0;
    let will_qos = flags >> flag::WILL_QOS_SHIFT & 3;
    if has(flag::RESERVED) {
        return Err(DecodeError::malformed("a CONNECT with its reserved flag"));
    }
    if will_qos == 3 {
        return Err(DecodeError::malformed("a will with QoS 3"));
    }
    if !has(flag::WILL) && (will_qos != 0 || has(flag::WILL_RETAIN)) {
        return Err(DecodeError::malformed("flags of a will without a will"));
    }
    if version != Version::V5 && has(flag::PASSWORD) && !has(flag::USERNAME) {
        return Err(DecodeError::malformed("a password without a user name"));
    }
    Ok(())
}

/// MQTT 3.1.1, 3.1.3.1: who brings no client id wants no session. MQTT 3.1, 3.1: there
/// is one.
fn check_client_id(id: &str, clean: bool, version: Version) -> Result<(), DecodeError> {
    let needed = match version {
        Version::V3_1 => true,
        Version::V3_1_1 => !clean,
        Version::V5 => false,
    };
    if needed && id.is_empty() {
        let reason = ReasonCode::ClientIdentifierNotValid;
        return Err(DecodeError::new(reason, "no client id, where there has to be one"));
    }
    Ok(())
}

// === impl ConnectProperties ===

impl Default for ConnectProperties<'_> {
    /// What a client means that sends none.
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

impl<'b> ConnectProperties<'b> {
    fn take_from(packet: &mut Reader<'b>) -> Result<Self, DecodeError> {
        let mut properties = PropertyReader::take_from(packet)?;
        let mut read = Self::default();
        let (mut aliases, mut response, mut problem) = (None, None, None);
        while let Some(id) = properties.next_id()? {
            match id {
                id::SESSION_EXPIRY => properties.u32(&mut read.session_expiry)?,
                id::RECEIVE_MAXIMUM => {
                    properties.nonzero_u16(&mut read.receive_maximum, RECEIVE_NOTHING)?;
                }
                id::MAXIMUM_PACKET_SIZE => {
                    properties.nonzero_u32(&mut read.maximum_packet_size, NO_PACKETS)?;
                }
                id::TOPIC_ALIAS_MAXIMUM => properties.u16(&mut aliases)?,
                id::REQUEST_RESPONSE_INFORMATION => properties.flag(&mut response)?,
                id::REQUEST_PROBLEM_INFORMATION => properties.flag(&mut problem)?,
                id::AUTHENTICATION_METHOD => properties.text(&mut read.authentication_method)?,
                id::AUTHENTICATION_DATA => properties.binary(&mut read.authentication_data)?,
                id::USER_PROPERTY => properties.user_property()?,
                _ => return Err(NOT_ALLOWED),
            }
        }
        if read.authentication_data.is_some() && read.authentication_method.is_none() {
            return Err(DecodeError::protocol("authentication data without a method"));
        }
        read.topic_alias_maximum = aliases.unwrap_or(0);
        read.request_response_information = response.unwrap_or(false);
        read.request_problem_information = problem.unwrap_or(true);
        read.user_properties = properties.user_properties();
        Ok(read)
    }
}

/// A receive maximum of 0 (MQTT 5, 3.1.2.11.3 and 3.2.2.3.3).
pub(super) const RECEIVE_NOTHING: DecodeError = DecodeError::protocol("a receive maximum of 0");

/// A maximum packet size of 0 (MQTT 5, 3.1.2.11.4 and 3.2.2.3.6).
pub(super) const NO_PACKETS: DecodeError = DecodeError::protocol("a maximum packet size of 0");

impl Write for ConnectProperties<'_> {
    fn write<S: Sink>(&self, to: &mut S) {
        let some_unless = |default, value: bool| (value != default).then_some(value);
        to.u32_property(id::SESSION_EXPIRY, self.session_expiry);
        to.u16_property(id::RECEIVE_MAXIMUM, self.receive_maximum.map(NonZeroU16::get));
        to.u32_property(id::MAXIMUM_PACKET_SIZE, self.maximum_packet_size.map(NonZeroU32::get));
        let aliases = (self.topic_alias_maximum != 0).then_some(self.topic_alias_maximum);
        to.u16_property(id::TOPIC_ALIAS_MAXIMUM, aliases);
        let response = some_unless(false, self.request_response_information);
        to.flag_property(id::REQUEST_RESPONSE_INFORMATION, response);
        let problem = some_unless(true, self.request_problem_information);
        to.flag_property(id::REQUEST_PROBLEM_INFORMATION, problem);
        to.text_property(id::AUTHENTICATION_METHOD, self.authentication_method);
        to.binary_property(id::AUTHENTICATION_DATA, self.authentication_data);
        to.user_properties(self.user_properties);
    }
}

// === impl Will ===

impl<'b> Will<'b> {
    fn take_from(
        packet: &mut Reader<'b>,
        flags: u8,
        version: Version,
    ) -> Result<Self, DecodeError> {
        let mut delay = None;
        let mut message = MessagePropertiesReader::default();
        let mut own = MessageProperties::default();
        if version.has_properties() {
            let mut properties = PropertyReader::take_from(packet)?;
            while let Some(id) = properties.next_id()? {
                match id {
                    id::WILL_DELAY => properties.u32(&mut delay)?,
                    _ => message.take(id, &mut properties)?,
                }
            }
            own = message.finish(&properties);
        }
        Ok(Self {
            topic: packet.nonempty_topic_name()?,
            payload: packet.binary()?,
            // `check_flags` has refused QoS 3.
            qos: QoS::new(flags >> flag::WILL_QOS_SHIFT & 3).unwrap_or_default(),
            retain: flags & flag::WILL_RETAIN != 0,
            delay: delay.unwrap_or(0),
            properties: own,
        })
    }
}

struct WillProperties<'a, 'b>(&'a Will<'b>);

impl Write for WillProperties<'_, '_> {
    fn write<S: Sink>(&self, to: &mut S) {
        to.u32_property(id::WILL_DELAY, (self.0.delay != 0).then_some(self.0.delay));
        self.0.properties.write(to);
    }
}
