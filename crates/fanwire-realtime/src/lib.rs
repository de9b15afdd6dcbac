//! The realtime plane: an MQTT broker whose sessions live on the hub

mod durable;

pub use self::durable::LoadError;
