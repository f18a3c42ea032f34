//! Which part of the series of 4.20 an open shows, by how its name was checked. Pure.

use super::evidence::FixLevel;
use crate::{
    event::Revalidate,
    trace::{NameCheck, OpenPath, PathWord, StepKind},
};

/// include/uapi/asm-generic/fcntl.h
const O_EXCL: u32 = 0o200;

/// What decides how the steps of an open are to be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ground {
    /// NFS_CAP_ATOMIC_OPEN_V1 of the mount, if it is known.
    pub atomic_open_v1: Option<bool>,
    /// nfs_lookup_verify_inode is probed, and its program is known to run.
    pub inode_check: bool,
}

/// What one open shows; nothing if it shows none or is incomplete.
///
/// `Be189f7e` here tells it from the full series only: an affected client accepts names
/// unchecked as well, and sends an OPEN where it must. So it counts once the client is known
/// to be not affected.
#[must_use]
pub fn level_shown(path: &OpenPath, ground: Ground) -> Option<FixLevel> {
    if !path.complete() {
        return None;
    }
    let asked = match path.open_path {
        PathWord::Cached => return Some(FixLevel::None),
        PathWord::Wire | PathWord::Atomic => !may_be_exclusive(path),
        PathWord::Delegated | PathWord::Failed | PathWord::Unknown => false,
    };
    if !asked {
        return None;
    }
    if ground.atomic_open_v1? {
        return level_with_atomic_open_v1(path, ground);
    }
    match path.name_check {
        // An OPEN for a name that nobody has looked at.
        NameCheck::Accepted if path.open_path == PathWord::Wire => Some(FixLevel::Be189f7e),
        // Before the series no open of a regular file came that far (NFS_CAP_ATOMIC_OPEN_V1
        // in nfs4_lookup_revalidate(), which c7944ebb9ce9 no longer looks at).
        NameCheck::Directory | NameCheck::Lookup | NameCheck::Replaced => Some(FixLevel::Full),
        NameCheck::Accepted | NameCheck::Delegated | NameCheck::None | NameCheck::Unknown => None,
    }
}

/// With the capability the directory is checked by every client. What tells them apart is
/// whether the file's attributes are checked besides: nfs_lookup_verify_inode() is called by
/// nfs_do_lookup_revalidate(), through which names of regular files went before
/// c7944ebb9ce9, and which the full series leaves to directories and the like.
fn level_with_atomic_open_v1(path: &OpenPath, ground: Ground) -> Option<FixLevel> {
    let checked = path.revalidation?.inode_checked;
    match path.name_check {
        _ if checked => Some(FixLevel::Be189f7e),
        // A LOOKUP comes before it, and a delegation instead of it.
        NameCheck::Directory if ground.inode_check => Some(FixLevel::Full),
        _ => None,
    }
}

/// Whether the name may have been asked about with LOOKUP_EXCL, for which every client sends a
/// LOOKUP.
fn may_be_exclusive(path: &OpenPath) -> bool {
    let creates = path.steps.iter().any(
        |step| matches!(step.kind, StepKind::Revalidate(Revalidate { creates, .. }) if creates),
    );
    creates && path.flags.is_none_or(|flags| flags & O_EXCL != 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        check::samples::open_path as path,
        event::{DentryKind, Pointer, Walk},
        trace::{Gap, Step},
    };

    const V40: Ground = Ground {
        atomic_open_v1: Some(false),
        inode_check: true,
    };
    const V41: Ground = Ground {
        atomic_open_v1: Some(true),
        inode_check: true,
    };

    fn call() -> Revalidate {
        Revalidate {
            dentry: Pointer(1),
            walk: Walk::Ref,
            creates: false,
            ret: 1,
            verifier_checked: true,
            verifier_set: false,
            inode_checked: false,
            lookups: 0,
            kind: DentryKind::Positive,
        }
    }

    #[test]
    fn over_v4_0_the_name_check_shows_the_level() {
        for (name_check, open_path, level) in [
            (
                NameCheck::Accepted,
                PathWord::Wire,
                Some(FixLevel::Be189f7e),
            ),
            (NameCheck::Directory, PathWord::Wire, Some(FixLevel::Full)),
            (NameCheck::Lookup, PathWord::Wire, Some(FixLevel::Full)),
            (NameCheck::Replaced, PathWord::Atomic, Some(FixLevel::Full)),
            // Dropped after it was accepted: that OPEN is sent by every client.
            (NameCheck::Accepted, PathWord::Atomic, None),
            (NameCheck::Delegated, PathWord::Wire, None),
            (NameCheck::None, PathWord::Atomic, None),
            (NameCheck::Unknown, PathWord::Wire, None),
            (NameCheck::Directory, PathWord::Delegated, None),
            (NameCheck::Directory, PathWord::Failed, None),
            (NameCheck::Directory, PathWord::Unknown, None),
        ] {
            let shown = level_shown(&path(name_check, open_path), V40);
            assert_eq!(shown, level, "{name_check:?} {open_path:?}");
        }
    }

    #[test]
    fn a_cached_open_shows_none_however_its_name_was_checked() {
        for ground in [V40, V41] {
            let path = path(NameCheck::Directory, PathWord::Cached);
            assert_eq!(level_shown(&path, ground), Some(FixLevel::None));
        }
    }

    #[test]
    fn with_atomic_open_v1_the_check_of_the_inode_shows_the_level() {
        let shown = |name_check, inode_checked, ground| {
            let mut path = path(name_check, PathWord::Wire);
            path.revalidation = Some(Revalidate {
                inode_checked,
                ..call()
            });
            level_shown(&path, ground)
        };
        let directory = NameCheck::Directory;
        assert_eq!(shown(directory, true, V41), Some(FixLevel::Be189f7e));
        assert_eq!(shown(directory, false, V41), Some(FixLevel::Full));
        let unprobed = Ground {
            inode_check: false,
            ..V41
        };
        assert_eq!(shown(directory, false, unprobed), None);
        assert_eq!(shown(NameCheck::Lookup, false, V41), None);
        assert_eq!(shown(NameCheck::Delegated, false, V41), None);
        assert_eq!(level_shown(&path(directory, PathWord::Wire), V41), None);
    }

    #[test]
    fn without_knowing_the_capability_the_level_is_not_known() {
        let ground = Ground {
            atomic_open_v1: None,
            ..V40
        };
        let path = path(NameCheck::Accepted, PathWord::Wire);
        assert_eq!(level_shown(&path, ground), None);
    }

    #[test]
    fn an_incomplete_path_shows_nothing() {
        let mut path = path(NameCheck::Directory, PathWord::Cached);
        path.gaps.push(Gap::RecordLost);
        assert_eq!(level_shown(&path, V40), None);
    }

    #[test]
    fn every_client_looks_up_a_name_for_o_excl() {
        let mut path = path(NameCheck::Lookup, PathWord::Wire);
        path.steps.push(Step {
            start_ns: 1,
            end_ns: 2,
            kind: StepKind::Revalidate(Revalidate {
                creates: true,
                ..call()
            }),
        });
        assert_eq!(level_shown(&path, V40), Some(FixLevel::Full));
        for flags in [None, Some(0o300)] {
            path.flags = flags;
            assert_eq!(level_shown(&path, V40), None, "{flags:?}");
        }
    }
}
