//! Custom authorizers: what a client gives them, what they are told and what they say
//! (reference: iot.md sections 2 and 9).

mod answer;
mod event;
mod parameters;
mod signature;

pub use answer::{Answer, Refusal, Strictness, Terms};
pub use event::{AuthorizerEvent, HttpData, MqttData};
pub use parameters::AuthorizerParameters;
pub use signature::{PublicKeyError, SigningKeys};
