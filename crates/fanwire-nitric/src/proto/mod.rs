//! The messages of Nitric's two generations, as far as Fanwire reads or writes them
//! (reference: nitric.md, sections 2 and 3). They are written down as structures, so that
//! no machine needs a compiler of Protocol Buffers. Fields that are left out here are
//! skipped where a service sends them.

pub(crate) mod structure;
pub(crate) mod v0;
pub(crate) mod v1;

use std::collections::HashMap;

/// All values of one parameter of a query; the same in both generations.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct QueryValue {
    #[prost(string, repeated, tag = "1")]
    pub(crate) value: Vec<String>,
}

/// What both generations answer where there is nothing to say.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Empty {}

/// A query in the form of both generations.
pub(crate) type QueryParams = HashMap<String, QueryValue>;
