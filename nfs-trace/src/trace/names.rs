//! Which dentry has which name: the table behind the paths.
//!
//! A pointer is not an identity: the kernel frees dentries and uses their memory
//! again. The programs send a name whenever it changes, so a new name for a known
//! pointer starts a new id.

use std::num::NonZeroUsize;

use smol_str::SmolStr;

use super::recent::{NOWHERE, Recent};
use crate::{event::Pointer, names::escaped};

/// Twice what the programs remember, so that what they do not send again is here.
const CAPACITY: NonZeroUsize = NonZeroUsize::new(131_072).expect("not zero");
/// Longest chain of parents that the programs follow.
const MAX_DEPTH: usize = 32;
/// In front of a path whose beginning is not known.
const MISSING: &str = "...";

/// A name under a parent: what one directory entry is called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    parent: Pointer,
    /// As it is shown, which no other name is.
    name: SmolStr,
}

struct Named {
    id: u32,
    /// Where the parent was last found.
    parent: u32,
    entry: Option<Entry>,
}

/// The table. Bounded: the least recently used names are forgotten.
pub(super) struct Names {
    table: Recent<Named>,
    next_id: u32,
    /// Where the names of a path are, its end first.
    chain: Vec<u32>,
    /// A path in the making.
    text: String,
    /// Paths as they were last put together: files are opened again and again.
    shown: Box<[Shown]>,
    /// Goes on with each change of the table.
    changes: u64,
}

/// A path, and when it was put together.
#[derive(Clone)]
struct Shown {
    dentry: Pointer,
    path: SmolStr,
    /// [`Names::changes`] at that time.
    changes: u64,
    /// What the table had been used at that time.
    uses: u64,
}

/// Paths that are kept, by the place of their dentry.
const SHOWN: usize = 1 << 10;
/// A longer one is put together each time: a recording may hold any number of them.
const SHOWN_LEN: usize = 512;
/// For so many uses of the table a path is kept: the names that it is made of are not looked up
/// meanwhile, and must not become those that make room.
const SHOWN_USES: u64 = CAPACITY.get() as u64 / 8;

impl Names {
    pub(super) fn new() -> Self {
        let none = Shown {
            dentry: Pointer(0),
            path: SmolStr::default(),
            changes: 0,
            uses: 0,
        };
        Self {
            table: Recent::new(CAPACITY),
            next_id: 1,
            chain: Vec::new(),
            text: String::new(),
            shown: vec![none; SHOWN].into(),
            changes: 1,
        }
    }

    /// The dentries are gone; ids go on.
    pub(super) fn forget(&mut self) {
        self.table.clear();
        self.changes += 1;
    }

    fn new_id(&mut self) -> u32 {
        let id = self.next_id;
        self.next_id = self.next_id.wrapping_add(1).max(1);
        id
    }

    fn add(&mut self, dentry: Pointer, entry: Option<Entry>) -> u32 {
        let id = self.new_id();
        let named = Named {
            id,
            parent: NOWHERE,
            entry,
        };
        self.table.add(dentry.0, named);
        self.changes += 1;
        id
    }

    /// Takes note of a name.
    pub(super) fn learn(&mut self, dentry: Pointer, parent: Pointer, name: &[u8]) {
        let name = escaped(name);
        let place = self.table.find(dentry.0, NOWHERE);
        if let Some(place) = place
            && let Some(entry) = &self.table.at(place).entry
            && entry.parent == parent
            && entry.name == *name
        {
            return;
        }
        let entry = Some(Entry {
            parent,
            name: name.into(),
        });
        match place {
            Some(place) => {
                let id = self.new_id();
                let named = self.table.at_mut(place);
                (named.id, named.entry) = (id, entry);
                self.changes += 1;
            }
            None => {
                self.add(dentry, entry);
            }
        }
    }

    /// A small number that stands for the dentry. `guess`: where it may be in the table.
    pub(super) fn id(&mut self, dentry: Pointer, guess: u32) -> Option<u32> {
        if !dentry.is_known() {
            return None;
        }
        Some(match self.table.find(dentry.0, guess) {
            Some(place) => self.table.at(place).id,
            None => self.add(dentry, None),
        })
    }

    /// Where in the table a dentry is.
    pub(super) fn place(&mut self, dentry: Pointer) -> u32 {
        self.table.find(dentry.0, NOWHERE).unwrap_or(NOWHERE)
    }

    /// Where in the table a dentry is, and its own directory entry.
    pub(super) fn entry(&mut self, dentry: Pointer) -> (u32, Option<Entry>) {
        match self.table.find(dentry.0, NOWHERE) {
            Some(place) => (place, self.table.at(place).entry.clone()),
            None => (NOWHERE, None),
        }
    }

    /// The path from the mount's root as it is shown, without a slash in front; a chain that is
    /// longer than is followed begins with `...`. `guess`: where the dentry may be in the table.
    pub(super) fn path(&mut self, dentry: Pointer, guess: u32) -> Option<SmolStr> {
        let shown = &self.shown[guess as usize % SHOWN];
        if shown.dentry == dentry
            && shown.changes == self.changes
            && self.table.uses() - shown.uses < SHOWN_USES
        {
            return Some(shown.path.clone());
        }
        let path = self.put_together(dentry, guess)?;
        if path.len() > SHOWN_LEN {
            return Some(path);
        }
        self.shown[guess as usize % SHOWN] = Shown {
            dentry,
            path: path.clone(),
            changes: self.changes,
            uses: self.table.uses(),
        };
        Some(path)
    }

    fn put_together(&mut self, dentry: Pointer, guess: u32) -> Option<SmolStr> {
        let Self {
            table, chain, text, ..
        } = self;
        chain.clear();
        let mut node = dentry;
        let mut found = table.find(node.0, guess);
        let mut whole = false;
        for _ in 0..MAX_DEPTH {
            let Some(place) = found else {
                break;
            };
            let Named {
                parent: guess,
                entry: Some(Entry { parent, .. }),
                ..
            } = table.at(place)
            else {
                break;
            };
            if *parent == node {
                whole = true;
                break;
            }
            chain.push(place);
            node = *parent;
            let guess = *guess;
            found = table.find(node.0, guess);
            if let Some(parent) = found
                && parent != guess
            {
                table.at_mut(place).parent = parent;
            }
        }
        text.clear();
        match (whole, chain.is_empty()) {
            (true, _) => {}
            (false, false) => text.push_str(MISSING),
            (false, true) => return None,
        }
        for place in chain.iter().rev() {
            if let Some(Entry { name, .. }) = &table.at(*place).entry {
                if !text.is_empty() {
                    text.push('/');
                }
                text.push_str(name);
            }
        }
        Some(SmolStr::new(text))
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
        assert_eq!(names.path(FILE, NOWHERE).as_deref(), Some("dir/file"));
        assert_eq!(names.path(ROOT, NOWHERE).as_deref(), Some(""));
        assert_eq!(names.path(Pointer(9), NOWHERE), None);
    }

    #[test]
    fn a_moved_directory_moves_what_is_below_it() {
        let mut names = table();
        names.learn(DIR, ROOT, b"elsewhere");
        assert_eq!(names.path(FILE, NOWHERE).as_deref(), Some("elsewhere/file"));
    }

    #[test]
    fn an_address_used_again_gets_a_new_id() {
        let mut names = table();
        let before = names.id(FILE, NOWHERE);
        names.learn(FILE, DIR, b"file");
        assert_eq!(
            names.id(FILE, NOWHERE),
            before,
            "the same name again is no news"
        );
        names.learn(FILE, ROOT, b"other");
        assert_ne!(names.id(FILE, NOWHERE), before);
        assert_eq!(names.path(FILE, NOWHERE).as_deref(), Some("other"));
    }

    #[test]
    fn a_missing_ancestor_shows() {
        let mut names = Names::new();
        names.learn(FILE, DIR, b"file");
        assert_eq!(names.path(FILE, NOWHERE).as_deref(), Some(".../file"));
    }

    #[test]
    fn a_loop_of_parents_ends() {
        let mut names = Names::new();
        names.learn(FILE, DIR, b"a");
        names.learn(DIR, FILE, b"b");
        assert!(names.path(FILE, NOWHERE).is_some());
    }

    #[test]
    fn an_unknown_dentry_has_no_id() {
        assert_eq!(Names::new().id(Pointer(0), NOWHERE), None);
    }

    /// The root, a folder with a file in it, and as many other names as there is room for.
    fn full_table() -> Names {
        let mut names = table();
        for other in 0..CAPACITY.get() as u64 - 3 {
            names.learn(Pointer(1_000 + other), ROOT, b"x");
        }
        names
    }

    /// A path that is kept keeps the names on it, though these are not looked up for it.
    #[test]
    fn names_on_a_path_that_is_asked_for_do_not_make_room() {
        let mut names = full_table();
        for other in 0..CAPACITY.get() as u64 - 3 {
            names.id(Pointer(1_000 + other), NOWHERE);
            assert_eq!(names.path(FILE, NOWHERE).as_deref(), Some("dir/file"));
        }
        for new in 0..10 {
            names.learn(Pointer(500 + new), ROOT, b"new");
        }
        assert_eq!(names.path(FILE, NOWHERE).as_deref(), Some("dir/file"));
    }

    #[test]
    fn a_path_that_is_kept_is_the_one_that_is_put_together() {
        let mut names = table();
        let mut rng = fastrand::Rng::with_seed(1);
        for _ in 0..20_000 {
            let [dentry, parent] = [(); 2].map(|()| Pointer(rng.u64(1..20)));
            match rng.u16(..1_000) {
                0 => names.forget(),
                1..100 => names.learn(dentry, parent, &[b'a' + rng.u8(..4)]),
                100..200 => drop(names.id(dentry, NOWHERE)),
                _ => {
                    let place = names.place(dentry);
                    let shown = names.path(dentry, place);
                    assert_eq!(shown, names.put_together(dentry, place));
                }
            }
        }
    }

    /// Where a parent was found is remembered: it must not outlive what was there.
    #[test]
    fn a_place_that_is_anothers_now_is_not_believed() {
        let mut names = table();
        assert_eq!(names.path(FILE, 2).as_deref(), Some("dir/file"));
        names.forget();
        assert_eq!(names.path(FILE, 2), None);
        // DIR is where FILE was, and the other way round.
        names.learn(ROOT, ROOT, b"/");
        names.learn(FILE, DIR, b"file");
        names.learn(DIR, ROOT, b"dir");
        let place_of_dir = 2;
        let path = names.path(FILE, place_of_dir);
        assert_eq!(path.as_deref(), Some("dir/file"));
        // So many others that all these are forgotten.
        for other in 0..CAPACITY.get() as u64 {
            names.learn(Pointer(1_000 + other), ROOT, b"x");
        }
        assert_eq!(names.path(FILE, place_of_dir), None);
        names.learn(FILE, DIR, b"file");
        let path = names.path(FILE, place_of_dir);
        assert_eq!(path.as_deref(), Some(".../file"));
    }

    #[test]
    fn a_parent_that_was_forgotten_and_came_back_has_its_new_name() {
        let mut names = table();
        names.path(FILE, NOWHERE);
        for other in 0..CAPACITY.get() as u64 {
            names.learn(Pointer(1_000 + other), ROOT, b"x");
            names.id(FILE, NOWHERE);
        }
        let path = names.path(FILE, NOWHERE);
        assert_eq!(path.as_deref(), Some(".../file"));
        names.learn(DIR, ROOT, b"new");
        names.learn(ROOT, ROOT, b"/");
        let path = names.path(FILE, NOWHERE);
        assert_eq!(path.as_deref(), Some("new/file"));
    }
}
