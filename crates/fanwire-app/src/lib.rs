//! The waist of Fanwire: every kind of project file becomes one [`App`], and the
//! server knows only the App.
//!
//! # Brief overview
//!
//! - [`model`]: what an App is: functions, WebSocket APIs, routes, authorizers, limits,
//!   tables; and what differs between two versions of one.
//! - [`selection`]: route selection expressions, parsed once and evaluated per message.
//! - [`load`]: reads `fanwire.toml`, `serverless.yml`, `sst.config.ts` or a SAM or
//!   CloudFormation template into an App, or tells with [`Diagnostic`]s what is wrong,
//!   where, and what to do.
//! - [`serve`]: how a server serves, whatever its App is: `fanwire.serve.toml`.
//! - [`schema`]: the JSON Schema of `fanwire.toml`; [`to_toml`]: any App as one.
//!
//! Inside, a file's text becomes a tree of values with places (`node`), variables are
//! replaced (`variables`), the tree is checked against tables of keys (`decode`), and
//! an importer (`serverless`, `sam`, `native`) builds the App from it. What the first two
//! have in common is `cloudformation`. A file that is a program is run, and says itself
//! what it declares (`sst`).

mod aws_id;
mod cloudformation;
mod code;
mod decode;
mod diagnostic;
mod load;
pub mod model;
mod native;
mod nitric;
mod node;
mod not_served;
mod reading;
mod rules;
mod sam;
pub mod selection;
pub mod serve;
mod serverless;
mod source;
mod sst;
mod variables;

pub use diagnostic::{Diagnostic, LoadError, Place, Severity, nearest};
pub use load::load;
pub use model::App;
pub use native::{schema, to_toml};
pub use reading::{LoadOptions, Loaded};
