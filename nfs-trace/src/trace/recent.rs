//! A table of what was used last: so many keys at most, the one that was not used for longest
//! makes room. Its nodes stay where they are, so that a place once found is asked first when its
//! key is wanted again: no key is looked up twice.

use std::{hash::BuildHasher as _, num::NonZeroUsize};

use hashbrown::{DefaultHashBuilder, HashTable};

/// No place.
pub(super) const NOWHERE: u32 = u32::MAX;

/// See the module.
pub(super) struct Recent<V> {
    /// Places of keys. Keys come from a recording, whose maker may wish for keys of one hash; the
    /// hasher begins with numbers that the maker cannot know.
    places: HashTable<u32>,
    hasher: DefaultHashBuilder,
    nodes: Vec<Node<V>>,
    /// The order in which nodes were used: apart from them, since each use changes it at two
    /// others, which are wanted for nothing else.
    order: Vec<Neighbours>,
    newest: u32,
    oldest: u32,
    capacity: NonZeroUsize,
    /// How often a key was found.
    uses: u64,
}

/// On lines of the cache of its own.
#[repr(align(64))]
struct Node<V> {
    key: u64,
    value: V,
}

#[derive(Clone, Copy)]
struct Neighbours {
    newer: u32,
    older: u32,
}

impl<V> Recent<V> {
    /// `capacity` is below [`NOWHERE`].
    pub(super) fn new(capacity: NonZeroUsize) -> Self {
        Self {
            places: HashTable::with_capacity(capacity.get()),
            hasher: DefaultHashBuilder::default(),
            nodes: Vec::new(),
            order: Vec::new(),
            newest: NOWHERE,
            oldest: NOWHERE,
            capacity,
            uses: 0,
        }
    }

    /// How often a key was found: one that was found less than `capacity` uses ago, and nothing
    /// added since, is there still, wherever the next ones go.
    pub(super) fn uses(&self) -> u64 {
        self.uses
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.nodes.len()
    }

    pub(super) fn clear(&mut self) {
        self.places.clear();
        self.nodes.clear();
        self.order.clear();
        (self.newest, self.oldest) = (NOWHERE, NOWHERE);
    }

    /// Where a key is, which it is used for. `guess`: where it may be.
    #[inline]
    pub(super) fn find(&mut self, key: u64, guess: u32) -> Option<u32> {
        let place = match self.nodes.get(guess as usize) {
            Some(node) if node.key == key => guess,
            _ => self.look_up(key)?,
        };
        self.touch(place);
        self.uses += 1;
        Some(place)
    }

    fn look_up(&self, key: u64) -> Option<u32> {
        let hash = self.hasher.hash_one(key);
        let is_it = |place: &u32| self.nodes[*place as usize].key == key;
        self.places.find(hash, is_it).copied()
    }

    /// Adds a key that is not there. Returns its place, and what made room for it.
    pub(super) fn add(&mut self, key: u64, value: V) -> (u32, Option<(u64, V)>) {
        let node = Node { key, value };
        let (place, gone) = if self.nodes.len() < self.capacity.get() {
            self.nodes.push(node);
            self.order.push(Neighbours {
                newer: NOWHERE,
                older: NOWHERE,
            });
            (self.nodes.len() as u32 - 1, None)
        } else {
            let place = self.oldest;
            self.unlink(place);
            let gone = std::mem::replace(&mut self.nodes[place as usize], node);
            let hash = self.hasher.hash_one(gone.key);
            if let Ok(entry) = self.places.find_entry(hash, |it| *it == place) {
                entry.remove();
            }
            (place, Some((gone.key, gone.value)))
        };
        let Self {
            places,
            hasher,
            nodes,
            ..
        } = self;
        let hash = |place: &u32| hasher.hash_one(nodes[*place as usize].key);
        places.insert_unique(hash(&place), place, hash);
        self.link(place);
        (place, gone)
    }

    /// What is at a place that was found or added.
    pub(super) fn at(&self, place: u32) -> &V {
        &self.nodes[place as usize].value
    }

    /// The same, to be changed.
    pub(super) fn at_mut(&mut self, place: u32) -> &mut V {
        &mut self.nodes[place as usize].value
    }

    /// All of them, the one that was not used for longest first.
    pub(super) fn for_each(&mut self, mut take: impl FnMut(u64, &mut V)) {
        let mut place = self.oldest;
        while let Some(node) = self.nodes.get_mut(place as usize) {
            take(node.key, &mut node.value);
            place = self.order[place as usize].newer;
        }
    }

    #[inline]
    fn touch(&mut self, place: u32) {
        if place != self.newest {
            self.unlink(place);
            self.link(place);
        }
    }

    fn unlink(&mut self, place: u32) {
        let Neighbours { newer, older } = self.order[place as usize];
        match self.order.get_mut(newer as usize) {
            Some(node) => node.older = older,
            None => self.newest = older,
        }
        match self.order.get_mut(older as usize) {
            Some(node) => node.newer = newer,
            None => self.oldest = newer,
        }
    }

    fn link(&mut self, place: u32) {
        let older = self.newest;
        match self.order.get_mut(older as usize) {
            Some(node) => node.newer = place,
            None => self.oldest = place,
        }
        let newer = NOWHERE;
        self.order[place as usize] = Neighbours { newer, older };
        self.newest = place;
    }
}

#[cfg(test)]
mod tests {
    use lru::LruCache;

    use super::*;

    /// With guesses that are right, of another key, and of no place.
    #[test]
    fn it_holds_what_an_lru_cache_holds() {
        const CAPACITY: NonZeroUsize = NonZeroUsize::new(50).expect("not zero");
        let mut rng = fastrand::Rng::with_seed(1);
        let mut recent = Recent::new(CAPACITY);
        let mut other = LruCache::new(CAPACITY);
        let mut guesses = [NOWHERE; 80];
        for number in 0..100_000 {
            let key = rng.u64(..80);
            let guess = match rng.u8(..4) {
                0 => rng.u32(..CAPACITY.get() as u32 + 5),
                _ => guesses[key as usize],
            };
            let place = recent.find(key, guess);
            assert_eq!(place.map(|place| recent.at(place)), other.get(&key));
            if rng.u16(..5_000) == 0 {
                recent.clear();
                other.clear();
            } else if let Some(place) = place {
                guesses[key as usize] = place;
            } else {
                let (place, gone) = recent.add(key, number);
                assert_eq!(gone, other.push(key, number));
                guesses[key as usize] = place;
            }
            assert!(recent.len() <= CAPACITY.get());
            assert_eq!(recent.places.len(), recent.nodes.len());
        }
        let mut all = Vec::new();
        recent.for_each(|key, number| all.push((key, *number)));
        let expected: Vec<_> = other
            .iter()
            .rev()
            .map(|(key, number)| (*key, *number))
            .collect();
        assert_eq!(all, expected);
    }
}
