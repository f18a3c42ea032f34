//! What was opened of each name and on each mount, in bounded memory. Pure.

use std::{hash::Hash, num::NonZeroUsize};

use lru::LruCache;

use crate::{check::observe::something_is_missing, row::Row, trace::PathWord};

/// Ticks over which a rate is the mean.
pub const WINDOW: usize = 5;
/// Names that are kept, the ones opened last.
pub const NAMES_AT_MOST: NonZeroUsize = NonZeroUsize::new(4_096).expect("not zero");
/// Mounts that are kept.
pub const MOUNTS_AT_MOST: NonZeroUsize = NonZeroUsize::new(1_024).expect("not zero");

/// Opens by what vouched for the file.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Opens {
    /// All of them.
    pub total: u64,
    /// Served from the client's own open state.
    pub cached: u64,
    /// The same, where everything that belongs to the open was seen.
    pub cached_complete: u64,
    /// By an OPEN.
    pub wire: u64,
    /// By a delegation.
    pub delegated: u64,
    /// Lookup and OPEN in one.
    pub atomic: u64,
    /// Failed before any of these.
    pub failed: u64,
    /// The probes in place could not tell.
    pub unknown: u64,
    /// EOPENSTALE returns inside.
    pub stale_retries: u64,
    /// Something of it was not seen.
    pub incomplete: u64,
    /// The same, and it did not just begin before the trace, or end in the VFS.
    pub in_doubt: u64,
}

impl Opens {
    /// Counts one more.
    pub fn add(&mut self, row: &Row) {
        self.total += 1;
        let word = match row.open_path {
            PathWord::Cached => &mut self.cached,
            PathWord::Wire => &mut self.wire,
            PathWord::Delegated => &mut self.delegated,
            PathWord::Atomic => &mut self.atomic,
            PathWord::Failed => &mut self.failed,
            PathWord::Unknown => &mut self.unknown,
        };
        *word += 1;
        if row.open_path == PathWord::Cached && row.complete {
            self.cached_complete += 1;
        }
        self.stale_retries += u64::from(row.stale_retries);
        self.incomplete += u64::from(!row.complete);
        self.in_doubt += u64::from(something_is_missing(&row.gaps, row.open_path));
    }
}

/// Opens of late, by tick.
#[derive(Debug, Clone, Copy, Default)]
pub struct Recent([u32; WINDOW]);

impl Recent {
    /// One more in this tick.
    pub fn add(&mut self) {
        self.0[0] = self.0[0].saturating_add(1);
    }

    /// The next tick begins.
    pub fn tick(&mut self) {
        self.0.rotate_right(1);
        self.0[0] = 0;
    }

    /// In the ticks that are over, and in the one that is not.
    #[must_use]
    pub fn sum(&self) -> u64 {
        self.0.iter().map(|n| u64::from(*n)).sum()
    }
}

/// What is kept of the things used last, and how many of them are not kept any more.
pub struct Kept<K: Hash + Eq, V> {
    kept: LruCache<K, V>,
    /// How many fell out.
    pub fell_out: u64,
}

impl<K: Hash + Eq, V> Kept<K, V> {
    /// Of nothing yet.
    #[must_use]
    pub fn new(at_most: NonZeroUsize) -> Self {
        Self {
            kept: LruCache::new(at_most),
            fell_out: 0,
        }
    }

    /// The value of this key, made if it is not there; then the one used longest ago makes room.
    pub fn get(&mut self, key: K, make: impl FnOnce() -> V) -> &mut V {
        if self.kept.len() == self.kept.cap().get() && !self.kept.contains(&key) {
            self.kept.pop_lru();
            self.fell_out += 1;
        }
        self.kept.get_or_insert_mut(key, make)
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = (&K, &V)> {
        self.kept.iter()
    }

    /// All of them, to be changed.
    pub fn values_mut(&mut self) -> impl Iterator<Item = &mut V> {
        self.kept.iter_mut().map(|(_, value)| value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_one_used_longest_ago_falls_out_and_is_counted() {
        let mut kept = Kept::new(NonZeroUsize::new(2).unwrap());
        for key in ["a", "b", "a", "c"] {
            *kept.get(key, || 0) += 1;
        }
        let mut left: Vec<_> = kept.iter().map(|(key, n)| (*key, *n)).collect();
        left.sort_unstable();
        assert_eq!(left, [("a", 2), ("c", 1)]);
        assert_eq!(kept.fell_out, 1);
    }

    #[test]
    fn a_rate_forgets() {
        let mut recent = Recent::default();
        recent.add();
        recent.add();
        for _ in 1..WINDOW {
            recent.tick();
            assert_eq!(recent.sum(), 2);
        }
        recent.tick();
        assert_eq!(recent.sum(), 0);
    }
}
