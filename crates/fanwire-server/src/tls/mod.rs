//! TLS, with certificates of a local authority, from files, or from an authority that
//! issues them to everybody.
//!
//! On a developer's machine, clients and handlers that know nothing of Fanwire say `wss://`
//! and `https://`. So the first byte of a connection decides whether it speaks TLS, and whatever name the
//! client asks for gets a certificate, made on the spot by an authority that was made
//! once for this user. Functions are told to trust it by the variables that Node,
//! Python and Rust read; browsers by `fanwire trust`.
//!
//! On a network, [`Certificates`] has what clients trust already: from files, which are
//! `followed` as they change, and by ACME (`acme`). A `chooser` shows each client the
//! one for the name that it asks for.
//!
//! `rustls` and `rcgen` stay behind this module.

mod acme;
mod authority;
mod bundle;
mod certificate;
mod certificates;
mod chooser;
mod config;
mod event;
mod folder;
mod followed;
mod pair;
mod resolver;
mod stream;
#[cfg(test)]
mod test_certificates;
mod validity;

pub use self::acme::AcmeError;
pub use self::authority::{Authority, TlsError};
pub use self::certificates::{CertificateError, Certificates};
pub use self::event::{CertificateEvent, CertificateFacts, CertificateObserver};
pub use self::pair::PairError;
pub(crate) use self::stream::{Acceptor, ClientStream};
