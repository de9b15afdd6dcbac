//! Reason codes, and the CONNACK return codes of the older versions.

use std::fmt;

use super::Version;

/// Why something was refused or ended, or how it succeeded (MQTT 5, 2.4). From 0x80 on
/// they are failures.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
#[repr(u8)]
pub enum ReasonCode {
    /// Success, a normal disconnection, or QoS 0 granted.
    #[default]
    Success = 0x00,
    /// A subscription with at most QoS 1.
    GrantedQoS1 = 0x01,
    /// A subscription with at most QoS 2.
    GrantedQoS2 = 0x02,
    /// The client leaves and wants its will published.
    DisconnectWithWill = 0x04,
    /// The message was accepted and nobody has subscribed to its topic.
    NoMatchingSubscribers = 0x10,
    /// There was no such subscription to remove.
    NoSubscriptionExisted = 0x11,
    /// The authentication goes on with another step.
    ContinueAuthentication = 0x18,
    /// A client wants to authenticate anew.
    ReAuthenticate = 0x19,
    /// An error that its sender does not want to explain, or that has no other code.
    UnspecifiedError = 0x80,
    /// A packet that cannot be parsed.
    MalformedPacket = 0x81,
    /// A packet that may not be sent so or now.
    ProtocolError = 0x82,
    /// The packet is valid and this receiver does not accept it.
    ImplementationSpecificError = 0x83,
    /// A protocol name or level that the server does not speak.
    UnsupportedProtocolVersion = 0x84,
    /// A client id that the server does not allow.
    ClientIdentifierNotValid = 0x85,
    /// The user name or password is wrong.
    BadUserNameOrPassword = 0x86,
    /// The client may not do this.
    NotAuthorized = 0x87,
    /// The server does not take connections now.
    ServerUnavailable = 0x88,
    /// The server is overloaded; try again later.
    ServerBusy = 0x89,
    /// The client was banned by an administrator.
    Banned = 0x8A,
    /// The server stops.
    ServerShuttingDown = 0x8B,
    /// An authentication method that is not supported or not the one agreed on.
    BadAuthenticationMethod = 0x8C,
    /// Nothing came for one and a half times the keep-alive.
    KeepAliveTimeout = 0x8D,
    /// Another connection uses the same client id.
    SessionTakenOver = 0x8E,
    /// A topic filter that is not one, or that is not accepted here.
    TopicFilterInvalid = 0x8F,
    /// A topic name that is not one, or that is not accepted here.
    TopicNameInvalid = 0x90,
    /// The packet id belongs to a message that is not finished.
    PacketIdentifierInUse = 0x91,
    /// The packet id belongs to no message.
    PacketIdentifierNotFound = 0x92,
    /// More unacknowledged messages than the receiver takes.
    ReceiveMaximumExceeded = 0x93,
    /// A topic alias of 0, over the maximum, or unknown.
    TopicAliasInvalid = 0x94,
    /// A packet longer than the receiver takes.
    PacketTooLarge = 0x95,
    /// Messages come too fast.
    MessageRateTooHigh = 0x96,
    /// A limit was reached.
    QuotaExceeded = 0x97,
    /// Closed by an administrator.
    AdministrativeAction = 0x98,
    /// The payload is not of the format that its properties state.
    PayloadFormatInvalid = 0x99,
    /// The server retains no messages.
    RetainNotSupported = 0x9A,
    /// A QoS above the server's maximum.
    QoSNotSupported = 0x9B,
    /// For now, another server is to be used.
    UseAnotherServer = 0x9C,
    /// For good, another server is to be used.
    ServerMoved = 0x9D,
    /// The server has no shared subscriptions.
    SharedSubscriptionsNotSupported = 0x9E,
    /// Connections come too fast.
    ConnectionRateExceeded = 0x9F,
    /// The connection has lasted as long as it may.
    MaximumConnectTime = 0xA0,
    /// The server has no subscription ids.
    SubscriptionIdentifiersNotSupported = 0xA1,
    /// The server has no wildcards.
    WildcardSubscriptionsNotSupported = 0xA2,
}

// === impl ReasonCode ===

impl ReasonCode {
    /// The code with this number, if MQTT 5 has one.
    pub const fn new(number: u8) -> Option<Self> {
        Some(match number {
            0x00 => Self::Success,
            0x01 => Self::GrantedQoS1,
            0x02 => Self::GrantedQoS2,
            0x04 => Self::DisconnectWithWill,
            0x10 => Self::NoMatchingSubscribers,
            0x11 => Self::NoSubscriptionExisted,
            0x18 => Self::ContinueAuthentication,
            0x19 => Self::ReAuthenticate,
            0x80 => Self::UnspecifiedError,
            0x81 => Self::MalformedPacket,
            0x82 => Self::ProtocolError,
            0x83 => Self::ImplementationSpecificError,
            0x84 => Self::UnsupportedProtocolVersion,
            0x85 => Self::ClientIdentifierNotValid,
            0x86 => Self::BadUserNameOrPassword,
            0x87 => Self::NotAuthorized,
            0x88 => Self::ServerUnavailable,
            0x89 => Self::ServerBusy,
            0x8A => Self::Banned,
            0x8B => Self::ServerShuttingDown,
            0x8C => Self::BadAuthenticationMethod,
            0x8D => Self::KeepAliveTimeout,
            0x8E => Self::SessionTakenOver,
            0x8F => Self::TopicFilterInvalid,
            0x90 => Self::TopicNameInvalid,
            0x91 => Self::PacketIdentifierInUse,
            0x92 => Self::PacketIdentifierNotFound,
            0x93 => Self::ReceiveMaximumExceeded,
            0x94 => Self::TopicAliasInvalid,
            0x95 => Self::PacketTooLarge,
            0x96 => Self::MessageRateTooHigh,
            0x97 => Self::QuotaExceeded,
            0x98 => Self::AdministrativeAction,
            0x99 => Self::PayloadFormatInvalid,
            0x9A => Self::RetainNotSupported,
            0x9B => Self::QoSNotSupported,
            0x9C => Self::UseAnotherServer,
            0x9D => Self::ServerMoved,
            0x9E => Self::SharedSubscriptionsNotSupported,
            0x9F => Self::ConnectionRateExceeded,
            0xA0 => Self::MaximumConnectTime,
            0xA1 => Self::SubscriptionIdentifiersNotSupported,
            0xA2 => Self::WildcardSubscriptionsNotSupported,
            _ => return None,
        })
    }

    /// The name that MQTT 5 gives it, in lower case.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::GrantedQoS1 => "granted QoS 1",
            Self::GrantedQoS2 => "granted QoS 2",
            Self::DisconnectWithWill => "disconnect with will message",
            Self::NoMatchingSubscribers => "no matching subscribers",
            Self::NoSubscriptionExisted => "no subscription existed",
            Self::ContinueAuthentication => "continue authentication",
            Self::ReAuthenticate => "re-authenticate",
            Self::UnspecifiedError => "unspecified error",
            Self::MalformedPacket => "malformed packet",
            Self::ProtocolError => "protocol error",
            Self::ImplementationSpecificError => "implementation specific error",
            Self::UnsupportedProtocolVersion => "unsupported protocol version",
            Self::ClientIdentifierNotValid => "client identifier not valid",
            Self::BadUserNameOrPassword => "bad user name or password",
            Self::NotAuthorized => "not authorized",
            Self::ServerUnavailable => "server unavailable",
            Self::ServerBusy => "server busy",
            Self::Banned => "banned",
            Self::ServerShuttingDown => "server shutting down",
            Self::BadAuthenticationMethod => "bad authentication method",
            Self::KeepAliveTimeout => "keep alive timeout",
            Self::SessionTakenOver => "session taken over",
            Self::TopicFilterInvalid => "topic filter invalid",
            Self::TopicNameInvalid => "topic name invalid",
            Self::PacketIdentifierInUse => "packet identifier in use",
            Self::PacketIdentifierNotFound => "packet identifier not found",
            Self::ReceiveMaximumExceeded => "receive maximum exceeded",
            Self::TopicAliasInvalid => "topic alias invalid",
            Self::PacketTooLarge => "packet too large",
            Self::MessageRateTooHigh => "message rate too high",
            Self::QuotaExceeded => "quota exceeded",
            Self::AdministrativeAction => "administrative action",
            Self::PayloadFormatInvalid => "payload format invalid",
            Self::RetainNotSupported => "retain not supported",
            Self::QoSNotSupported => "QoS not supported",
            Self::UseAnotherServer => "use another server",
            Self::ServerMoved => "server moved",
            Self::SharedSubscriptionsNotSupported => "shared subscriptions not supported",
            Self::ConnectionRateExceeded => "connection rate exceeded",
            Self::MaximumConnectTime => "maximum connect time",
            Self::SubscriptionIdentifiersNotSupported => "subscription identifiers not supported",
            Self::WildcardSubscriptionsNotSupported => "wildcard subscriptions not supported",
        }
    }

    /// Whether it tells of a failure.
    pub const fn is_error(self) -> bool {
        self as u8 >= 0x80
    }

    /// What a CONNACK of this version carries: the code itself in MQTT 5, and the
    /// closest of the return codes 0 to 5 before that (MQTT 3.1.1, 3.2.2.3).
    pub const fn connect_return_code(self, version: Version) -> u8 {
        match (version, self) {
            (Version::V5, _) => self as u8,
            (_, Self::Success) => 0,
            (_, Self::UnsupportedProtocolVersion) => 1,
            (_, Self::ClientIdentifierNotValid) => 2,
            (_, Self::BadUserNameOrPassword) => 4,
            (_, Self::NotAuthorized | Self::Banned | Self::BadAuthenticationMethod) => 5,
            _ => 3,
        }
    }

    /// What a CONNACK's code means: the reverse of [`connect_return_code`].
    ///
    /// [`connect_return_code`]: Self::connect_return_code
    pub(super) const fn of_connect_return_code(code: u8, version: Version) -> Option<Self> {
        match (version, code) {
            (Version::V5, _) => Self::new(code),
            (_, 0) => Some(Self::Success),
            (_, 1) => Some(Self::UnsupportedProtocolVersion),
            (_, 2) => Some(Self::ClientIdentifierNotValid),
            (_, 3) => Some(Self::ServerUnavailable),
            (_, 4) => Some(Self::BadUserNameOrPassword),
            (_, 5) => Some(Self::NotAuthorized),
            _ => None,
        }
    }
}

impl fmt::Display for ReasonCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, 0x{:02X}", self.name(), *self as u8)
    }
}

impl fmt::Debug for ReasonCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ReasonCode({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_codes_belong_together() {
        let codes: Vec<_> = (0..=u8::MAX).filter_map(ReasonCode::new).collect();
        assert_eq!(codes.len(), 43);
        assert!(codes.iter().all(|code| ReasonCode::new(*code as u8) == Some(*code)));
    }

    #[test]
    fn older_versions_know_six_return_codes() {
        for code in (0..=u8::MAX).filter_map(ReasonCode::new) {
            let old = code.connect_return_code(Version::V3_1_1);
            assert!(old <= 5 && (old == 0) == (code == ReasonCode::Success), "{code}");
            let read = ReasonCode::of_connect_return_code(old, Version::V3_1_1).unwrap();
            assert_eq!(read.connect_return_code(Version::V3_1), old);
            assert_eq!(code.connect_return_code(Version::V5), code as u8);
        }
    }
}
