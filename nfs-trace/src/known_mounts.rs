//! The mounts that a trace knows, those that are no more among them. Pure.

use std::{collections::HashSet, path::PathBuf};

use crate::mounts::{Mount, covering};

/// Mounts that are kept though they are gone, the last ones. Numbers of super blocks are used
/// again, so there are few; a recording may hold any number.
const GONE: usize = 1_000;

/// Takes note of the mounts as they are now. One that is gone stays known until its super
/// block's number is another's: what is shown of it may come later.
pub fn remember(known: &mut Vec<Mount>, now: Vec<Mount>) {
    let devs: HashSet<u32> = now.iter().map(|mount| mount.dev).collect();
    known.retain(|old| !devs.contains(&old.dev));
    known.drain(..known.len().saturating_sub(GONE));
    known.extend(now);
}

/// The super blocks that `--mount` asks for, where the kernel does not sort them out.
#[derive(Debug, Default)]
pub struct WantedMounts {
    paths: Vec<PathBuf>,
    devs: Vec<u32>,
}

impl WantedMounts {
    /// Those that hold these paths (without links), of mounts as they are now; with no path,
    /// all.
    #[must_use]
    pub fn new(paths: Vec<PathBuf>, now: &[Mount]) -> Self {
        let mut wanted = Self {
            paths,
            devs: Vec::new(),
        };
        wanted.look(now);
        wanted
    }

    /// Looks at the mounts as they are now.
    pub fn look(&mut self, now: &[Mount]) {
        let devs: HashSet<u32> = now.iter().map(|mount| mount.dev).collect();
        self.devs.retain(|dev| !devs.contains(dev));
        let holders = self.paths.iter().filter_map(|path| covering(now, path));
        self.devs.extend(holders.map(|mount| mount.dev));
    }

    /// Whether opens on this super block are wanted.
    #[must_use]
    pub fn lets(&self, dev: u32) -> bool {
        self.paths.is_empty() || self.devs.contains(&dev)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mounts::parse;

    fn mount(minor: u32, point: &str) -> Mount {
        let line = format!("1 0 0:{minor} / {point} rw - nfs4 s:/ rw,vers=4.2");
        parse(&line).expect("a mount")
    }

    #[test]
    fn a_mount_that_is_gone_is_known_until_its_number_is_anothers() {
        let mut known = vec![mount(53, "/a"), mount(54, "/b")];
        remember(&mut known, vec![mount(54, "/b")]);
        assert_eq!(known, [mount(53, "/a"), mount(54, "/b")]);
        remember(&mut known, vec![mount(53, "/c")]);
        assert_eq!(known, [mount(54, "/b"), mount(53, "/c")]);
    }

    #[test]
    fn of_all_that_are_gone_the_last_are_known() {
        let mut known = Vec::new();
        for minor in 0..2_000 {
            remember(&mut known, vec![mount(minor, "/a")]);
        }
        assert_eq!(known.len(), GONE + 1);
        assert_eq!(known.last(), Some(&mount(1_999, "/a")));
    }

    #[test]
    fn what_is_wanted_comes_and_goes_with_the_mounts() {
        let mut wanted = WantedMounts::new(vec!["/a/sub".into()], &[mount(53, "/b")]);
        assert!(!wanted.lets(53) && !wanted.lets(54));
        wanted.look(&[mount(53, "/b"), mount(54, "/a")]);
        assert!(wanted.lets(54) && !wanted.lets(53));
        // Unmounted: what is still to be shown is wanted.
        wanted.look(&[mount(53, "/b")]);
        assert!(wanted.lets(54));
        // Mounted again, and the old number is another's.
        wanted.look(&[mount(55, "/a"), mount(54, "/c")]);
        assert!(wanted.lets(55) && !wanted.lets(54));
        // Something is mounted over it.
        wanted.look(&[mount(55, "/a"), mount(56, "/a/sub")]);
        assert!(wanted.lets(56) && !wanted.lets(55));
    }

    #[test]
    fn with_nothing_asked_for_every_mount_is_wanted() {
        assert!(WantedMounts::default().lets(53));
        assert!(WantedMounts::new(Vec::new(), &[]).lets(0));
    }
}
