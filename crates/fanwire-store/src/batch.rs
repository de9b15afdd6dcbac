//! What is written together.

use fjall::Slice;

/// The longest key that the engine can hold, in bytes.
const MAX_KEY_BYTES: usize = u16::MAX as usize;

/// The longest value, in bytes: as much as an MQTT packet can carry. The engine could do more.
const MAX_VALUE_BYTES: usize = 256 * 1024 * 1024;

/// What a change costs in memory beside its key and value: so that a flood of tiny changes
/// counts for what it takes.
const CHANGE_BYTES: usize = 64;

/// An ordered table of a [`Store`](crate::Store). Means nothing to another store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Table(pub(crate) u16);

/// Changes that are written together or not at all, over any tables. Of several changes to
/// one key the last counts.
#[derive(Default)]
pub struct Batch {
    pub(crate) changes: Vec<Change>,
    /// What the changes take while they wait.
    bytes: usize,
    /// Sizes of a key and value that cannot be stored.
    pub(crate) misfit: Option<(usize, usize)>,
}

/// One key's new value.
pub(crate) struct Change {
    pub(crate) table: Table,
    pub(crate) key: Slice,
    /// None: the key goes.
    pub(crate) value: Option<Slice>,
}

// === impl Batch ===

impl Batch {
    /// An empty one.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets `key` in `table` to `value`, whether it was there or not. Sizes are checked when
    /// the batch is committed.
    pub fn put(&mut self, table: Table, key: &[u8], value: &[u8]) {
        self.change(table, key, Some(value));
    }

    /// Takes `key` out of `table`, if it is there.
    pub fn delete(&mut self, table: Table, key: &[u8]) {
        self.change(table, key, None);
    }

    /// Whether there is nothing in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty() && self.misfit.is_none()
    }

    /// Whether every key and value in it is of a size that can be stored. If not, committing
    /// it is refused.
    #[must_use]
    pub fn fits(&self) -> bool {
        self.misfit.is_none()
    }

    /// Changes in it.
    #[must_use]
    pub fn len(&self) -> usize {
        self.changes.len()
    }

    /// What it takes of [`max_waiting_bytes`](crate::StoreOptions::max_waiting_bytes) while
    /// it waits.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Adds the changes of `later`, as if they had been made after these.
    pub fn append(&mut self, mut later: Self) {
        self.changes.append(&mut later.changes);
        self.bytes += later.bytes;
        self.misfit = self.misfit.or(later.misfit);
    }

    fn change(&mut self, table: Table, key: &[u8], value: Option<&[u8]>) {
        let size = value.map_or(0, <[u8]>::len);
        if key.is_empty() || key.len() > MAX_KEY_BYTES || size > MAX_VALUE_BYTES {
            self.misfit = Some((key.len(), size));
            return;
        }
        self.bytes += key.len() + size + CHANGE_BYTES;
        self.changes.push(Change { table, key: key.into(), value: value.map(Into::into) });
    }
}

impl std::fmt::Debug for Batch {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "Batch({} changes, {} bytes)", self.len(), self.bytes)
    }
}
