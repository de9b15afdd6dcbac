//! Which slots belong to which audience, so that a broadcast touches only those.

use crate::Audience;

/// The slots of each audience on one shard, in no particular order.
#[derive(Debug, Default)]
pub(crate) struct Members {
    by_audience: Vec<Vec<u32>>,
}

impl Members {
    /// Adds `slot` and says at which place it stands.
    pub(crate) fn add(&mut self, audience: Audience, slot: u32) -> u32 {
        let index = usize::from(audience.0);
        if self.by_audience.len() <= index {
            self.by_audience.resize_with(index + 1, Vec::new);
        }
        let slots = &mut self.by_audience[index];
        slots.push(slot);
        // A shard has at most 2^24 slots.
        (slots.len() - 1) as u32
    }

    /// Removes what stands at `place`. Another slot may take the place: it is
    /// returned, and has to be told.
    pub(crate) fn remove(&mut self, audience: Audience, place: u32) -> Option<u32> {
        let slots = self.by_audience.get_mut(usize::from(audience.0))?;
        let place = place as usize;
        if place < slots.len() {
            slots.swap_remove(place);
        }
        if slots.len() < slots.capacity() / 4 {
            slots.shrink_to(slots.capacity() / 2);
        }
        slots.get(place).copied()
    }

    pub(crate) fn of(&self, audience: Audience) -> &[u32] {
        self.by_audience.get(usize::from(audience.0)).map_or(&[], Vec::as_slice)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn removing_one_member_moves_only_the_last_into_its_place() {
        let mut members = Members::default();
        let room = Audience(3);
        for slot in [10, 11, 12] {
            members.add(room, slot);
        }
        assert_eq!(members.remove(room, 0), Some(12));
        assert_eq!(members.of(room), [12, 11]);
        assert_eq!(members.remove(room, 1), None);
        assert_eq!(members.of(room), [12]);
        assert_eq!(members.of(Audience(9)), [0u32; 0]);
    }
}
