//! Realtime backends in Rust.
//!
//! An app is written once and has three homes: it is a complete server when it is started
//! by itself, a function under `fanwire dev` and `fanwire serve`, and a function on AWS
//! Lambda. [`run`] finds out which.
//!
//! # Brief overview
//!
//! - [`websocket`] is apps with routes, as API Gateway, lawcket and Nitric have them.
//! - [`realtime`] is topics, as AWS IoT and SST's `Realtime` have them.
//! - [`subscriptions`] is typed procedures that clients subscribe to, as tRPC has them.
//! - [`superjson`] is values that JSON has no word for.
//! - [`collection`] is typed documents, as Nitric has them.
//! - [`store`] is where they keep what outlives an event.
//! - `client` (a feature) is their other side: what tests, tools and services connect with.
//! - [`Home`] is how they reach all else.

// An app's parts have erased forms for each home, and those that are not compiled in take none.
#![cfg_attr(
    not(all(feature = "lambda", feature = "server")),
    allow(dead_code, unused_imports, reason = "see above")
)]

mod app;
#[cfg(feature = "client")]
pub mod client;
pub mod collection;
mod error;
mod home;
pub mod realtime;
mod run;
pub mod store;
pub mod subscriptions;
pub mod superjson;
pub mod websocket;

pub use bytes::Bytes;

pub use self::app::App;
pub use self::error::{Error, Result};
pub use self::home::Home;
#[cfg(feature = "server")]
pub use self::home::server::{Server, ServerOptions};
pub use self::run::run;
#[cfg(feature = "server")]
pub use self::run::run_with;

/// The guides, whose programs are to compile.
#[cfg(all(doctest, feature = "lambda", feature = "server"))]
mod guides {
    macro_rules! guides {
        ($($name:ident $file:literal)*) => {
            $(#[doc = include_str!(concat!("../../../docs/rust/", $file))] struct $name;)*
        };
    }

    guides! {
        Readme "README.md" Lambda "lambda.md" FromLawcket "from-lawcket.md"
        FromNitric "from-nitric.md" FromServerless "from-serverless.md"
        FromSst "from-sst-realtime.md" FromTrpc "from-trpc-subscriptions.md"
    }
}
