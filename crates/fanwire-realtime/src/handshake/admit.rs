//! What a CONNECT asks for, against what there is to be had.

use std::sync::Arc;
use std::time::{Duration, Instant};

use fanwire_access::Counted;
use fanwire_wire::mqtt::{self, Connect, ReasonCode, Version};

use super::authorize::{Asked, Authorized};
use super::refusal::Refusal;
use super::{Arrival, First};
use crate::broker::{Admission, Will};
use crate::message::Properties;
use crate::refresh::Refresh;
use crate::settings::{NEVER, Settings};
use crate::{DisconnectReason, Message, Publisher, Realtime};

/// A client that is let in.
pub(super) struct Admitted {
    pub(super) admission: Box<Admission>,
    /// When the connection ends, whatever it does.
    pub(super) ends: Option<(Instant, DisconnectReason)>,
    pub(super) refresh: Option<Box<Refresh>>,
    /// Its place among the connections of its address and its principal.
    pub(super) counted: Counted,
}

impl Realtime {
    /// Decides whether a client is let in, and on what terms.
    pub(super) async fn admit(
        &self,
        first: &First,
        arrival: &Arrival,
    ) -> Result<Admitted, Refusal> {
        let settings = self.inner.settings.load_full();
        let unreadable = || unacceptable(ReasonCode::MalformedPacket, "not a CONNECT");
        let connect = first.connect().ok_or_else(unreadable)?;
        let limiter = &self.inner.limiter;
        let counted = limiter.arrive(arrival.peer.ip(), self.inner.hub.clock().now())?;
        check(&settings, &connect)?;
        let (client_id, assigned) = client_id(&settings, &connect)?;
        let asked = Asked {
            settings: &settings,
            connect: &connect,
            mqtt: true,
            client_id: &client_id,
            arrival,
        };
        let authorized = self.authorize(&asked).await?;
        let Authorized { principal, made_up, access, ends, refresh, authorized_in } = authorized;
        // Whoever it says it is, nobody else has vouched for a name that was made up.
        let counted = if made_up { counted } else { limiter.know(counted, &principal)? };
        let publisher = Arc::new(Publisher { client_id, principal });
        let will = will(&connect, &publisher);
        let (session_expiry, session_expiry_differs) = session_expiry(&settings, &connect);
        let (keep_alive, keep_alive_differs) = keep_alive(&settings, connect.keep_alive);
        let properties = &connect.properties;
        let limits = settings.limits();
        let admission = Box::new(Admission {
            version: connect.version,
            websocket: arrival.http.is_some(),
            peer: arrival.peer,
            publisher,
            access,
            clean_start: connect.clean_start,
            session_expiry,
            session_expiry_differs,
            keep_alive,
            keep_alive_differs,
            assigned,
            made_up,
            will,
            receive_maximum: properties.receive_maximum.map_or(u16::MAX, u16::from),
            max_packet: properties.maximum_packet_size.map_or(u32::MAX, u32::from),
            topic_alias_maximum: properties.topic_alias_maximum.min(limits.topic_alias_maximum),
            problem_information: properties.request_problem_information,
            authorized_in,
        });
        let lifetime = limits.max_lifetime.filter(|_| arrival.http.is_some());
        let lifetime = lifetime.map(|lifetime| {
            let at = self.inner.hub.clock().now() + lifetime;
            (at, DisconnectReason::WebSocketTtlExpiration)
        });
        let ends = lifetime.into_iter().chain(ends).min_by_key(|(at, _)| *at);
        Ok(Admitted { admission, ends, refresh, counted })
    }
}

/// Refuses what is not to be had here.
fn check(settings: &Settings, connect: &Connect<'_>) -> Result<(), Refusal> {
    let limits = settings.limits();
    let properties = &connect.properties;
    if connect.version == Version::V3_1
        && settings.model.profile == fanwire_app::model::Profile::Aws
    {
        let what = "MQTT 3.1, which IoT Core does not speak; use 3.1.1 or 5, or profile = \"open\"";
        return Err(unacceptable(ReasonCode::UnsupportedProtocolVersion, what));
    }
    if properties.authentication_method.is_some() {
        let what =
            "an authentication method, of which there are none here; use user name and password";
        return Err(unacceptable(ReasonCode::BadAuthenticationMethod, what));
    }
    let smallest = limits.min_client_packet_bytes;
    if properties.maximum_packet_size.is_some_and(|most| (most.get() as usize) < smallest) {
        let what = format!("a maximum packet size under {smallest} bytes");
        return Err(unacceptable(ReasonCode::ImplementationSpecificError, what));
    }
    connect.will.as_ref().map_or(Ok(()), |will| check_will(settings, will))
}

/// Refuses a will that its client could not publish as a message.
fn check_will(settings: &Settings, will: &mqtt::Will<'_>) -> Result<(), Refusal> {
    let limits = settings.limits();
    if will.qos as u8 > limits.max_qos {
        return Err(unacceptable(ReasonCode::QoSNotSupported, "a will of a QoS over the maximum"));
    }
    let reserved = !limits.dollar_topics && will.topic.starts_with('$');
    if reserved || settings.fits(will.topic).is_err() {
        let what = format!("a will on `{}`, which cannot be published to", will.topic);
        return Err(unacceptable(ReasonCode::TopicNameInvalid, what));
    }
    if will.payload.len() > limits.max_payload_bytes {
        let what = "a will over realtime.limits.max_payload_bytes";
        return Err(unacceptable(ReasonCode::PacketTooLarge, what));
    }
    if will.retain && limits.max_retained_messages == 0 {
        return Err(unacceptable(ReasonCode::RetainNotSupported, "a will to be retained"));
    }
    if !settings.has_room_for(&will.properties) {
        let what = "a will with properties over the limits of realtime.limits";
        return Err(unacceptable(ReasonCode::QuotaExceeded, what));
    }
    Ok(())
}

/// The client id, and whether the server has made it up (MQTT 5, 3.1.3.1).
fn client_id(settings: &Settings, connect: &Connect<'_>) -> Result<(Arc<str>, bool), Refusal> {
    let most = settings.limits().max_client_id_bytes;
    let given = connect.client_id;
    let invalid = |what: String| unacceptable(ReasonCode::ClientIdentifierNotValid, what);
    if given.len() > most {
        return Err(invalid(format!("a client id over {most} bytes")));
    }
    if given.starts_with('$') && !settings.limits().dollar_topics {
        return Err(invalid("a client id that begins with `$`, which is reserved".to_owned()));
    }
    if !given.is_empty() {
        return Ok((Arc::from(given), false));
    }
    if connect.version != Version::V5 && !connect.clean_start {
        let what = "no client id, for a session that is to be found again";
        return Err(invalid(what.to_owned()));
    }
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(|error| {
        unacceptable(ReasonCode::ServerUnavailable, format!("no client id can be made: {error}"))
    })?;
    let digits: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    Ok((Arc::from(digits), true))
}

fn will(connect: &Connect<'_>, publisher: &Arc<Publisher>) -> Option<Box<Will>> {
    let will = connect.will.as_ref()?;
    let message = Message {
        topic: Arc::from(will.topic),
        payload: bytes::Bytes::copy_from_slice(will.payload),
        qos: will.qos,
        retain: will.retain,
        properties: Properties::of(&will.properties),
        publisher: Some(Arc::clone(publisher)),
        // Set when it is published.
        published_at: 0,
        origin: None,
    };
    Some(Box::new(Will { message, delay: will.delay }))
}

/// How many seconds the session outlives its connection, and whether that is other than
/// what an MQTT 5 client asked for.
fn session_expiry(settings: &Settings, connect: &Connect<'_>) -> (u32, bool) {
    let limits = settings.limits();
    let seconds = |time: Duration| u32::try_from(time.as_secs()).unwrap_or(NEVER);
    let most = limits.session_expiry_max.map_or(NEVER, seconds);
    if connect.version == Version::V5 {
        let wanted = connect.properties.session_expiry.unwrap_or(0);
        let granted = wanted.min(most);
        return (granted, granted != wanted);
    }
    if connect.clean_start {
        return (0, false);
    }
    (limits.session_expiry_default_v3.map_or(NEVER, seconds).min(most), false)
}

/// The keep-alive that holds, in seconds, and whether it is other than the client's
/// (reference: iot.md, section 4).
fn keep_alive(settings: &Settings, wanted: u16) -> (u16, bool) {
    let limits = settings.limits();
    let seconds = |time: Duration| u16::try_from(time.as_secs()).unwrap_or(u16::MAX);
    let granted = match wanted {
        0 => limits.keep_alive_default.map_or(0, seconds),
        wanted => wanted.clamp(seconds(limits.keep_alive_min), seconds(limits.keep_alive_max)),
    };
    (granted, granted != wanted)
}

pub(super) fn unacceptable(reason: ReasonCode, what: impl Into<String>) -> Refusal {
    Refusal::Unacceptable { reason, what: what.into() }
}

#[cfg(test)]
mod tests {
    use fanwire_app::model::{self, Profile};
    use fanwire_wire::mqtt::{ConnectProperties, MessageProperties, UserPropertiesBuf, Will};

    use super::*;

    /// Why a client with this will is not let in, if it is not.
    fn refused(will: Will<'_>, max_retained_messages: usize) -> Option<ReasonCode> {
        let mut model = model::Realtime::new(Profile::Aws);
        model.limits.max_retained_messages = max_retained_messages;
        let settings = Settings::new(&model, "us-east-1", "000000000000").unwrap();
        let connect = Connect {
            version: Version::V5,
            client_id: "c",
            clean_start: true,
            keep_alive: 0,
            will: Some(will),
            username: None,
            password: None,
            properties: ConnectProperties::default(),
        };
        check(&settings, &connect).err().and_then(|refusal| refusal.reason())
    }

    fn will(properties: MessageProperties<'_>) -> Will<'_> {
        let qos = mqtt::QoS::AtMostOnce;
        Will { topic: "t", payload: b"gone", qos, retain: false, delay: 0, properties }
    }

    #[test]
    fn a_will_has_no_more_properties_than_a_publish_may_have() {
        let long = "x".repeat(9 * 1024);
        let mut user = UserPropertiesBuf::new();
        user.push("name", &long).unwrap();
        let nothing = MessageProperties::default;
        for (properties, reason) in [
            (nothing(), None),
            (MessageProperties { content_type: Some("text/plain"), ..nothing() }, None),
            (
                MessageProperties { content_type: Some(&long), ..nothing() },
                Some(ReasonCode::QuotaExceeded),
            ),
            (
                MessageProperties { correlation_data: Some(long.as_bytes()), ..nothing() },
                Some(ReasonCode::QuotaExceeded),
            ),
            (
                MessageProperties { user_properties: user.as_list(), ..nothing() },
                Some(ReasonCode::QuotaExceeded),
            ),
        ] {
            assert_eq!(refused(will(properties), 1), reason);
        }
    }

    #[test]
    fn a_will_that_cannot_be_retained_is_refused() {
        let retained = Will { retain: true, ..will(MessageProperties::default()) };
        assert_eq!(refused(retained, 1), None);
        assert_eq!(refused(retained, 0), Some(ReasonCode::RetainNotSupported));
    }
}
