//! The ids of tracked events.

use std::fmt;
use std::str::FromStr;

/// Bits of an [`Epoch`].
const EPOCH_BITS: u32 = 48;

/// Which numbering an id belongs to: drawn when a history begins, so that ids of another one
/// are not taken for its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Epoch(u64);

/// The id of a tracked event: `EPOCH-NUMBER`. Numbers grow from one event to the next over all
/// paths.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct EventId {
    pub(crate) epoch: Epoch,
    pub(crate) number: u64,
}

/// Text that is no id of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct NoEventId;

// === impl Epoch ===

impl Epoch {
    /// A new one, from the system's secure random source.
    pub(crate) fn draw() -> Result<Self, getrandom::Error> {
        Ok(Self::from_bits(getrandom::u64()?))
    }

    pub(crate) fn from_bits(bits: u64) -> Self {
        Self(bits >> (u64::BITS - EPOCH_BITS))
    }

    pub(crate) fn to_bits(self) -> u64 {
        self.0 << (u64::BITS - EPOCH_BITS)
    }
}

// === impl EventId ===

impl fmt::Display for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:012x}-{}", self.epoch.0, self.number)
    }
}

impl FromStr for EventId {
    type Err = NoEventId;

    fn from_str(text: &str) -> Result<Self, NoEventId> {
        let (epoch, number) = text.split_once('-').ok_or(NoEventId)?;
        let epoch = Epoch(u64::from_str_radix(epoch, 16).map_err(|_| NoEventId)?);
        let number = number.parse().map_err(|_| NoEventId)?;
        Ok(Self { epoch, number })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn an_id_survives_its_text(bits: u64, number: u64) {
            let id = EventId { epoch: Epoch::from_bits(bits), number };
            prop_assert_eq!(id.to_string().parse(), Ok(id));
            prop_assert_eq!(Epoch::from_bits(id.epoch.to_bits()), id.epoch);
        }

        #[test]
        fn arbitrary_text_is_refused_or_an_id(text in ".{0,30}") {
            let _ = text.parse::<EventId>();
        }
    }
}
