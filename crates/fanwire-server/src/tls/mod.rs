//! TLS on the server's own port, with certificates of a local authority.
//!
//! Clients and handlers that know nothing of Fanwire say `wss://` and `https://`. So
//! the first byte of a connection decides whether it speaks TLS, and whatever name the
//! client asks for gets a certificate, made on the spot by an authority that was made
//! once for this user. Functions are told to trust it by the variables that Node,
//! Python and Rust read; browsers by `fanwire trust`.
//!
//! `rustls` and `rcgen` stay behind this module.

mod authority;
mod bundle;
mod certificate;
mod folder;
mod resolver;
mod stream;
mod validity;

pub use self::authority::{Authority, TlsError};
pub(crate) use self::stream::{Acceptor, ClientStream};
