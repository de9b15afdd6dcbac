//! Typed tRPC procedures, served from functions: what clients of v10 and v11 say, what they
//! are answered, and what is in the store meanwhile.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod calls;
mod layout;
mod publishing;
mod records;
mod resuming;
mod world;
