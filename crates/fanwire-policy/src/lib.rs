//! Who may connect, publish, subscribe and receive what.
//!
//! # Brief overview
//!
//! - [`PolicySet`] is parsed from AWS IoT policy documents, or made from an
//!   [`AccessList`]; [`PolicySet::bind`] gives the [`Access`] of a [`Subject`], which
//!   answers whether an [`Action`] on a [`Resource`] is allowed, and explains it. A
//!   [`PolicyPool`] keeps equal sets once.
//! - Custom authorizers: [`AuthorizerParameters`] finds what a client says,
//!   [`SigningKeys`] checks its token's signature, [`AuthorizerEvent`] is what the
//!   function is told and [`Answer`] what it says.
//! - Without functions: [`Users`] have password hashes, and [`JwtRules`] check tokens
//!   with [`Jwks`].
//!
//! Nothing here opens a socket, reads a clock or knows an async runtime: times and
//! random bytes come from the caller, and keys as text.

mod access;
mod access_list;
mod action;
mod authorizer;
mod condition;
mod decision;
mod error;
mod glob;
mod jwt;
mod members;
mod policy_set;
mod resource;
mod statement;
mod subject;
mod targets;
mod template;
mod users;

pub use access::Access;
pub use access_list::AccessList;
pub use action::Action;
pub use authorizer::{
    Answer, AuthorizerEvent, AuthorizerParameters, HttpData, MqttData, PublicKeyError, Refusal,
    SigningKeys, Strictness, Terms,
};
pub use decision::{DecidingStatement, Decision};
pub use error::PolicyError;
pub use jwt::{Identity, Jwks, JwksError, JwtError, JwtRules};
pub use policy_set::{PolicyLimits, PolicyPool, PolicySet};
pub use resource::{Place, Resource};
pub use subject::Subject;
pub use users::{UserError, Users, hash_password};
