//! Lists within packets, read from the wire or given by the program.

use std::fmt;

use super::reader::Reader;

/// Something that a packet has a list of.
pub trait Item<'b>: Copy + PartialEq + fmt::Debug {
    /// Takes the next item off a list's bytes, which were checked when the packet was
    /// decoded. `None` at the end.
    #[doc(hidden)]
    fn next(from: &mut Bytes<'b>) -> Option<Self>;
}

/// The checked bytes of a list.
#[doc(hidden)]
#[derive(Debug, Clone)]
pub struct Bytes<'b>(pub(super) Reader<'b>);

/// A list that borrows either the bytes of a packet or the items themselves, so that
/// decoding one allocates nothing and encoding one needs no bytes.
#[derive(Clone, Copy)]
pub struct List<'b, T> {
    source: Source<'b, T>,
}

#[derive(Clone, Copy)]
enum Source<'b, T> {
    Wire(&'b [u8]),
    Items(&'b [T]),
}

/// The items of a [`List`], in order.
#[derive(Debug, Clone)]
pub struct Iter<'b, T> {
    source: IterSource<'b, T>,
}

#[derive(Debug, Clone)]
enum IterSource<'b, T> {
    Wire(Bytes<'b>),
    Items(std::slice::Iter<'b, T>),
}

// === impl List ===

impl<'b, T> List<'b, T> {
    /// The list with these items.
    pub const fn new(items: &'b [T]) -> Self {
        Self { source: Source::Items(items) }
    }

    /// The list that these checked bytes hold.
    pub(super) const fn from_wire(bytes: &'b [u8]) -> Self {
        Self { source: Source::Wire(bytes) }
    }

    /// Whether there are no items.
    pub const fn is_empty(&self) -> bool {
        match self.source {
            Source::Wire(bytes) => bytes.is_empty(),
            Source::Items(items) => items.is_empty(),
        }
    }

    /// The items, in order.
    pub fn iter(&self) -> Iter<'b, T> {
        Iter {
            source: match self.source {
                Source::Wire(bytes) => IterSource::Wire(Bytes(Reader::new(bytes))),
                Source::Items(items) => IterSource::Items(items.iter()),
            },
        }
    }
}

impl<T> Default for List<'_, T> {
    fn default() -> Self {
        Self::from_wire(&[])
    }
}

/// Lists are equal if their items are, wherever they come from.
impl<'b, T: Item<'b>> PartialEq for List<'b, T> {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}

impl<'b, T: Item<'b>> Eq for List<'b, T> {}

impl<'b, T: Item<'b>> fmt::Debug for List<'b, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

impl<'b, T: Item<'b>> IntoIterator for List<'b, T> {
    type Item = T;
    type IntoIter = Iter<'b, T>;

    fn into_iter(self) -> Iter<'b, T> {
        self.iter()
    }
}

// === impl Iter ===

impl<'b, T: Item<'b>> Iterator for Iter<'b, T> {
    type Item = T;

    fn next(&mut self) -> Option<T> {
        match &mut self.source {
            IterSource::Wire(bytes) => T::next(bytes),
            IterSource::Items(items) => items.next().copied(),
        }
    }
}
