//! The stacks of a recording, by their ids, for those who show them.

use std::num::NonZeroUsize;

use lru::LruCache;

/// As many as the kernel keeps.
const STACKS: NonZeroUsize = NonZeroUsize::new(4096).expect("not zero");
/// Most that they take together. Real ones take a tenth of it; a recording may hold any.
const BYTES: usize = 32 << 20;

/// Bounded: the least recently used are forgotten.
pub struct Stacks {
    frames: LruCache<u32, Vec<String>>,
    bytes: usize,
}

impl Stacks {
    /// None yet.
    #[must_use]
    pub fn new() -> Self {
        Self {
            frames: LruCache::new(STACKS),
            bytes: 0,
        }
    }

    /// From here on the id means these frames, innermost first.
    pub fn learn(&mut self, id: u32, frames: Vec<String>) {
        self.bytes += cost(&frames);
        if let Some((_, old)) = self.frames.push(id, frames) {
            self.bytes -= cost(&old);
        }
        while self.bytes > BYTES
            && let Some((_, old)) = self.frames.pop_lru()
        {
            self.bytes -= cost(&old);
        }
    }

    /// Its frames, if they are known.
    pub fn get(&mut self, id: u32) -> Option<&[String]> {
        self.frames.get(&id).map(Vec::as_slice)
    }
}

impl Default for Stacks {
    fn default() -> Self {
        Self::new()
    }
}

fn cost(frames: &[String]) -> usize {
    let texts: usize = frames.iter().map(String::len).sum();
    texts + size_of_val(frames)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_are_known_within_bounds() {
        let mut stacks = Stacks::new();
        for id in 0..5_000 {
            stacks.learn(id, vec![format!("f{id}")]);
            stacks.learn(id, vec![format!("g{id}")]);
        }
        assert_eq!(stacks.get(4_999), Some(&["g4999".to_string()][..]));
        assert_eq!(stacks.get(5_000 - 4_096 - 1), None);
        assert_eq!(stacks.frames.len(), 4_096);
        // One that is too large is not kept, nor is anything that it displaced.
        stacks.learn(7, vec![String::new(); BYTES / size_of::<String>() + 1]);
        assert_eq!(stacks.get(7), None);
        assert_eq!(stacks.bytes, 0);
        stacks.learn(8, vec!["h".into()]);
        assert_eq!(stacks.get(8).map(<[_]>::len), Some(1));
    }
}
