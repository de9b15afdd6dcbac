//! Who calls, and what it may.
//!
//! # Brief overview
//!
//! - [`Signed`] is a request that says who signed it, with AWS's Signature Version 4 in its
//!   headers or in its query; [`Signed::verify`] holds it to a [`Keyring`].
//! - A [`Keyring`] has [`Key`]s for signatures and [`Token`]s for bearers, each with its
//!   [`Grants`]: what it may do, in IAM's terms, asked with a [`Question`].
//! - A [`Limiter`] holds addresses, principals and connections to rates and numbers, with
//!   [`Buckets`] and [`Counts`], which keep them in bounded room.
//!
//! Nothing here opens a socket or a file, reads a clock or knows an async runtime: requests,
//! times and keys come from the caller.

mod glob;
mod grant;
mod hash;
mod keyring;
mod limiter;
mod rate;
mod sigv4;

pub use self::grant::{Grants, Question};
pub use self::hash::sha256;
pub use self::keyring::{Key, Keyring, Token};
pub use self::limiter::{Allowance, Counted, Excess, Limiter};
pub use self::rate::{Buckets, Counts, Held, Rate, network_of};
pub use self::sigv4::{Payload, SignatureError, Signed};
