//! Which dentry has which name: the table behind the paths.
//!
//! A pointer is not an identity: the kernel frees dentries and uses their memory
//! again. The programs send a name whenever it changes, so a new name for a known
//! pointer starts a new id.

use std::{num::NonZeroUsize, sync::Arc};

use lru::LruCache;
use nfs_trace_ebpf::abi::NAME_MAX;

use crate::event::Pointer;

/// Twice what the programs remember, so that what they do not send again is here.
const CAPACITY: NonZeroUsize = NonZeroUsize::new(131_072).expect("not zero");
/// Longest chain of parents that the programs follow.
const MAX_DEPTH: usize = 32;
/// Longest path: so many names, each with a slash, behind three dots.
const LONGEST: usize = MAX_DEPTH * (NAME_MAX + 1) + 4;

/// A name under a parent: what one directory entry is called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    parent: Pointer,
    name: Arc<[u8]>,
}

struct Named {
    id: u32,
    entry: Option<Entry>,
}

/// The table. Bounded: the least recently used names are forgotten.
pub(super) struct Names {
    table: LruCache<Pointer, Named>,
    next_id: u32,
    /// Where paths are put together, from their end.
    room: Box<[u8]>,
}

impl Names {
    pub(super) fn new() -> Self {
        Self {
            table: LruCache::new(CAPACITY),
            next_id: 1,
            room: vec![0; LONGEST].into(),
        }
    }

    /// The dentries are gone; ids go on.
    pub(super) fn forget(&mut self) {
        self.table.clear();
    }

    fn new_id(&mut self) -> u32 {
        let id = self.next_id;
        self.next_id = self.next_id.wrapping_add(1).max(1);
        id
    }

    /// Takes note of a name.
    pub(super) fn learn(&mut self, dentry: Pointer, parent: Pointer, name: &[u8]) {
        if let Some(Named {
            entry: Some(entry), ..
        }) = self.table.get(&dentry)
            && entry.parent == parent
            && *entry.name == *name
        {
            return;
        }
        let id = self.new_id();
        let entry = Some(Entry {
            parent,
            name: name.into(),
        });
        self.table.put(dentry, Named { id, entry });
    }

    /// A small number that stands for the dentry.
    pub(super) fn id(&mut self, dentry: Pointer) -> Option<u32> {
        if !dentry.is_known() {
            return None;
        }
        if let Some(named) = self.table.get(&dentry) {
            return Some(named.id);
        }
        let id = self.new_id();
        self.table.put(dentry, Named { id, entry: None });
        Some(id)
    }

    /// The dentry's own directory entry.
    pub(super) fn entry(&mut self, dentry: Pointer) -> Option<Entry> {
        self.table.get(&dentry)?.entry.clone()
    }

    /// The path from the mount's root, without a slash in front; a chain that is
    /// longer than is followed begins with `...`.
    pub(super) fn path(&mut self, dentry: Pointer) -> Option<Box<[u8]>> {
        let Self { table, room, .. } = self;
        let end = room.len();
        let mut begin = end;
        let mut prepend = |begin: usize, name: &[u8]| {
            let at = begin.checked_sub(name.len() + 1)?;
            room[at] = b'/';
            room[at + 1..begin].copy_from_slice(name);
            Some(at)
        };
        let mut node = dentry;
        let mut whole = false;
        for _ in 0..MAX_DEPTH {
            let Some(Entry { parent, name }) =
                table.get(&node).and_then(|named| named.entry.as_ref())
            else {
                break;
            };
            if *parent == node {
                whole = true;
                break;
            }
            let Some(at) = prepend(begin, name) else {
                break;
            };
            begin = at;
            node = *parent;
        }
        if begin == end {
            return whole.then(Box::default);
        }
        if !whole {
            begin = prepend(begin, b"...").unwrap_or(begin);
        }
        // Without the first slash.
        Some(room[begin + 1..].into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROOT: Pointer = Pointer(1);
    const DIR: Pointer = Pointer(2);
    const FILE: Pointer = Pointer(3);

    fn table() -> Names {
        let mut names = Names::new();
        names.learn(ROOT, ROOT, b"/");
        names.learn(DIR, ROOT, b"dir");
        names.learn(FILE, DIR, b"file");
        names
    }

    #[test]
    fn a_path_is_joined_below_the_root() {
        let mut names = table();
        assert_eq!(names.path(FILE).as_deref(), Some(&b"dir/file"[..]));
        assert_eq!(names.path(ROOT).as_deref(), Some(&b""[..]));
        assert_eq!(names.path(Pointer(9)), None);
    }

    #[test]
    fn a_moved_directory_moves_what_is_below_it() {
        let mut names = table();
        names.learn(DIR, ROOT, b"elsewhere");
        assert_eq!(names.path(FILE).as_deref(), Some(&b"elsewhere/file"[..]));
    }

    #[test]
    fn an_address_used_again_gets_a_new_id() {
        let mut names = table();
        let before = names.id(FILE);
        names.learn(FILE, DIR, b"file");
        assert_eq!(names.id(FILE), before, "the same name again is no news");
        names.learn(FILE, ROOT, b"other");
        assert_ne!(names.id(FILE), before);
        assert_eq!(names.path(FILE).as_deref(), Some(&b"other"[..]));
    }

    #[test]
    fn a_missing_ancestor_shows() {
        let mut names = Names::new();
        names.learn(FILE, DIR, b"file");
        assert_eq!(names.path(FILE).as_deref(), Some(&b".../file"[..]));
    }

    #[test]
    fn a_loop_of_parents_ends() {
        let mut names = Names::new();
        names.learn(FILE, DIR, b"a");
        names.learn(DIR, FILE, b"b");
        assert!(names.path(FILE).is_some());
    }

    #[test]
    fn an_unknown_dentry_has_no_id() {
        assert_eq!(Names::new().id(Pointer(0)), None);
    }
}
