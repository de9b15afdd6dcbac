//! The embedded DynamoDB: the tables of an App, kept in one file and served over
//! DynamoDB's own API, so that handlers written for it run with nothing else
//! installed.
//!
//! The engine is [dynoxide], chosen for its fidelity: it is tested request by request
//! against the real service. This crate keeps it where the App's data is, makes the
//! tables that the App declares, takes expired items out, and answers HTTP requests
//! that the server passes on.
//!
//! # Brief overview
//!
//! - [`DynamoDb`] is the handle: [`ensure`](DynamoDb::ensure) makes tables,
//!   [`answer`](DynamoDb::answer) serves a request, [`sweep`](DynamoDb::sweep) ends what
//!   has expired.
//! - `engine` opens the file, alone, and runs dynoxide's HTTP service on a thread.
//! - `definition` says a [`Table`](fanwire_app::model::Table) as `CreateTable` does, and
//!   what an existing table lacks.
//! - `expiry` finds the items whose time has come.
//!
//! # Durability
//!
//! A write that is answered has been handed to the operating system (SQLite's
//! write-ahead log): it survives the end of the process, however that comes. A crash
//! of the machine may cost the last moments. This engine is for one machine and for
//! development; a real DynamoDB is one setting away.
//!
//! [dynoxide]: https://docs.rs/dynoxide-rs

mod database;
mod definition;
mod engine;
mod expiry;

pub use self::database::{DynamoDb, DynamoDbOptions, TableError};
pub use self::definition::TableNote;
pub use self::engine::{OpenError, is_in_use};
