//! Equal sets, held once.

use std::collections::HashMap;
use std::hash::BuildHasher as _;
use std::sync::{Arc, Weak};

use super::PolicySet;

/// Policy sets that are in use, so that the connections of an authorizer which answers
/// the same to many of them share one set.
#[derive(Debug, Default)]
pub struct PolicyPool {
    hasher: foldhash::fast::RandomState,
    /// By hash. Where two sets have the same one, the later is not shared.
    sets: HashMap<u64, Weak<PolicySet>, foldhash::fast::RandomState>,
    /// At how many entries those that nobody uses any more are next thrown out.
    sweep_at: usize,
}

/// Entries below which it is not worth sweeping.
const FEW: usize = 64;

// === impl PolicyPool ===

impl PolicyPool {
    /// The set that is equal to this one, if there is one already; else this one.
    pub fn share(&mut self, set: PolicySet) -> Arc<PolicySet> {
        let hash = self.hasher.hash_one(&set);
        match self.sets.get(&hash).and_then(Weak::upgrade) {
            Some(shared) if *shared == set => return shared,
            Some(_) => return Arc::new(set),
            None => {}
        }
        let set = Arc::new(set);
        self.sweep();
        self.sets.insert(hash, Arc::downgrade(&set));
        set
    }

    /// Sets that are in use, and some that no longer are.
    pub fn len(&self) -> usize {
        self.sets.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.sets.is_empty()
    }

    /// Throws out what nobody uses, each time that the entries have doubled since.
    fn sweep(&mut self) {
        if self.sets.len() >= self.sweep_at {
            self.sets.retain(|_, set| set.strong_count() > 0);
            self.sets.shrink_to(FEW);
            self.sweep_at = (self.sets.len() * 2).max(FEW);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access_list::AccessList;
    use crate::resource::Place;

    fn set(topic: &str) -> PolicySet {
        let publish = [topic.to_owned()];
        let list = AccessList { publish: &publish, ..Default::default() };
        PolicySet::from_access_list(&list, &Place::new("aws", "us-east-1", "1")).unwrap()
    }

    #[test]
    fn equal_sets_are_one() {
        let mut pool = PolicyPool::default();
        let (a, b, other) = (pool.share(set("a")), pool.share(set("a")), pool.share(set("b")));
        assert!(Arc::ptr_eq(&a, &b));
        assert!(!Arc::ptr_eq(&a, &other));
    }

    #[test]
    fn what_nobody_uses_is_thrown_out() {
        let mut pool = PolicyPool::default();
        let kept = pool.share(set("kept"));
        for number in 0..10_000 {
            let _dropped = pool.share(set(&number.to_string()));
        }
        assert!(pool.len() <= FEW, "{}", pool.len());
        assert!(Arc::ptr_eq(&kept, &pool.share(set("kept"))));
    }
}
