//! What a broker publishes for a client that vanishes.

use std::time::Duration;

use bytes::Bytes;
use fanwire_wire::mqtt::QoS;
use fanwire_wire::mqtt::topic::check_name;

use super::message::{CheckedProperties, MessageProperties, seconds};

/// The longest payload of a will, in bytes (MQTT 5, 3.1.3.4).
const MAX_PAYLOAD: usize = 65_535;

/// A message that the broker publishes for a client that vanishes: whose connection ends and
/// that has not said goodbye. A client that is closed or dropped says it.
///
/// ```
/// use std::time::Duration;
///
/// use fanwire::client::{Mqtt, Will};
///
/// # #[cfg(feature = "server")]
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// # use fanwire::realtime::{Grant, Realtime};
/// # use fanwire::{Server, ServerOptions};
/// # let shop = Realtime::new("shop")
/// #     .authorizer(async |_: String| Grant::new().subscribe(["*"]).publish(["*"]));
/// # let options = ServerOptions::default().with_address(([127, 0, 0, 1], 0));
/// # let server = Server::start(shop.into(), options).await.unwrap();
/// # let url = format!("mqtt://{}", server.address());
/// // Who watches the worker hears that it is gone, unless it is back soon.
/// let will = Will::new("workers/7", "gone").delay(Duration::from_secs(10));
/// let worker = Mqtt::builder(url).client_id("worker-7").will(will).connect()?;
/// worker.connected().await?;
/// # worker.close().await;
/// # server.stop().await;
/// # Ok(())
/// # }
/// # #[cfg(feature = "server")]
/// # tokio::runtime::Runtime::new().unwrap().block_on(example()).unwrap();
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "`MqttBuilder::will` takes it"]
pub struct Will {
    topic: String,
    payload: Bytes,
    qos: QoS,
    retain: bool,
    delay: Duration,
    properties: MessageProperties,
}

/// A will that a packet can carry.
#[derive(Clone, Debug)]
pub(super) struct CheckedWill {
    will: Will,
    properties: CheckedProperties,
}

// === impl Will ===

impl Will {
    /// A message of QoS 1 that is published at once and not retained.
    pub fn new(topic: impl Into<String>, payload: impl Into<Bytes>) -> Self {
        Self {
            topic: topic.into(),
            payload: payload.into(),
            qos: QoS::AtLeastOnce,
            retain: false,
            delay: Duration::ZERO,
            properties: MessageProperties::default(),
        }
    }

    /// With QoS 0.
    pub fn at_most_once(self) -> Self {
        Self { qos: QoS::AtMostOnce, ..self }
    }

    /// With QoS 2.
    pub fn exactly_once(self) -> Self {
        Self { qos: QoS::ExactlyOnce, ..self }
    }

    /// Kept for those who subscribe later.
    pub fn retain(self) -> Self {
        Self { retain: true, ..self }
    }

    /// Published so long after the connection's end, in whole seconds, unless the client is
    /// back by then; or with the session's end, where that is sooner. MQTT 3.1.1 has no delay.
    pub fn delay(self, delay: Duration) -> Self {
        Self { delay, ..self }
    }

    /// With what a message carries beside its payload. MQTT 3.1.1 has none.
    pub fn properties(self, properties: MessageProperties) -> Self {
        Self { properties, ..self }
    }

    /// # Errors
    ///
    /// What no packet can carry, in words.
    pub(super) fn checked(self) -> Result<CheckedWill, String> {
        check_name(&self.topic).map_err(|error| error.to_string())?;
        if self.payload.len() > MAX_PAYLOAD {
            return Err(format!("the payload of a will has at most {MAX_PAYLOAD} bytes"));
        }
        let properties = CheckedProperties::new(self.properties.clone())?;
        Ok(CheckedWill { will: self, properties })
    }
}

// === impl CheckedWill ===

impl CheckedWill {
    /// As CONNECT takes it.
    pub(super) fn as_wire(&self) -> fanwire_wire::mqtt::Will<'_> {
        fanwire_wire::mqtt::Will {
            topic: &self.will.topic,
            payload: &self.will.payload,
            qos: self.will.qos,
            retain: self.will.retain,
            delay: seconds(self.will.delay),
            properties: self.properties.as_wire(),
        }
    }
}
