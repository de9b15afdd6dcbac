//! Lists within packets, read from the wire or given by the program.

use std::fmt;

use super::reader::Reader;

/// What a list is made of.
pub trait Items {
    /// One item.
    type Item<'b>: Copy + PartialEq + fmt::Debug;

    /// Takes the next item off a list's bytes, which were checked when the packet was
    /// decoded. `None` at the end.
    #[doc(hidden)]
    fn next<'b>(from: &mut Bytes<'b>) -> Option<Self::Item<'b>>;
}

/// The checked bytes of a list.
#[doc(hidden)]
#[derive(Debug, Clone)]
pub struct Bytes<'b>(pub(super) Reader<'b>);

/// A list that borrows either the bytes of a packet or the items themselves, so that
/// decoding one allocates nothing and encoding one needs no bytes.
pub struct List<'b, K: Items> {
    source: Source<'b, K>,
}

enum Source<'b, K: Items> {
    Wire(&'b [u8]),
    Items(&'b [K::Item<'b>]),
}

/// The items of a [`List`], in order.
pub struct Iter<'b, K: Items> {
    source: IterSource<'b, K>,
}

enum IterSource<'b, K: Items> {
    Wire(Bytes<'b>),
    Items(std::slice::Iter<'b, K::Item<'b>>),
}

// === impl List ===

impl<'b, K: Items> List<'b, K> {
    /// The list with these items.
    pub const fn new(items: &'b [K::Item<'b>]) -> Self {
        Self { source: Source::Items(items) }
    }

    /// The list that these checked bytes hold.
    pub(super) const fn from_wire(bytes: &'b [u8]) -> Self {
        Self { source: Source::Wire(bytes) }
    }

    /// Whether there are no items.
    pub fn is_empty(&self) -> bool {
        match self.source {
            Source::Wire(bytes) => bytes.is_empty(),
            Source::Items(items) => items.is_empty(),
        }
    }

    /// The items, in order.
    pub fn iter(&self) -> Iter<'b, K> {
        Iter {
            source: match self.source {
                Source::Wire(bytes) => IterSource::Wire(Bytes(Reader::new(bytes))),
                Source::Items(items) => IterSource::Items(items.iter()),
            },
        }
    }
}

impl<K: Items> Clone for List<'_, K> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<K: Items> Copy for List<'_, K> {}

impl<K: Items> Clone for Source<'_, K> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<K: Items> Copy for Source<'_, K> {}

impl<K: Items> Default for List<'_, K> {
    fn default() -> Self {
        Self::from_wire(&[])
    }
}

/// Lists are equal if their items are, wherever they come from.
impl<K: Items> PartialEq for List<'_, K> {
    fn eq(&self, other: &Self) -> bool {
        let (mut mine, mut others) = (self.iter(), other.iter());
        loop {
            match (mine.next(), others.next()) {
                (None, None) => return true,
                (mine, others) if mine == others => {}
                _ => return false,
            }
        }
    }
}

impl<K: Items> Eq for List<'_, K> {}

impl<K: Items> fmt::Debug for List<'_, K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

impl<'b, K: Items> IntoIterator for List<'b, K> {
    type Item = K::Item<'b>;
    type IntoIter = Iter<'b, K>;

    fn into_iter(self) -> Iter<'b, K> {
        self.iter()
    }
}

// === impl Iter ===

impl<'b, K: Items> Iterator for Iter<'b, K> {
    type Item = K::Item<'b>;

    fn next(&mut self) -> Option<K::Item<'b>> {
        match &mut self.source {
            IterSource::Wire(bytes) => K::next(bytes),
            IterSource::Items(items) => items.next().copied(),
        }
    }
}
