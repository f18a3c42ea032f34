//! Two questions about one attempt: what vouched for the name, what for the file.
//! Pure rules over calls and return values; no struct layout is needed.

use super::path::{NameCheck, PathWord};
use crate::event::{DentryKind, Open, OpenTask, Revalidate};

/// What the attached probes can tell apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Signals {
    /// nfs_check_verifier is probed.
    pub verifier_check: bool,
    /// nfs_set_verifier is probed.
    pub verifier_set: bool,
    /// nfs_lookup_verify_inode is probed.
    pub inode_check: bool,
}

/// What vouched for the dentry, from the attempt's last revalidation.
pub(super) fn name_check(call: Option<&Revalidate>, signals: Signals) -> NameCheck {
    let Some(call) = call else {
        return NameCheck::None;
    };
    if call.kind == DentryKind::Negative {
        return NameCheck::None;
    }
    match call.ret {
        0 => NameCheck::Replaced,
        1 if call.lookups > 0 => NameCheck::Lookup,
        1 if call.verifier_checked => NameCheck::Directory,
        // nfs_lookup_revalidate_delegated() sets the verifier and asks nothing
        // (fs/nfs/dir.c, 5.6 and later); plain acceptance does neither.
        1 if !signals.verifier_check || !signals.verifier_set => NameCheck::Unknown,
        1 if call.verifier_set => NameCheck::Delegated,
        1 => NameCheck::Accepted,
        // Nothing was decided: the walk went on without this dentry.
        _ => NameCheck::None,
    }
}

/// What vouched for the file, from the end of the attempt and the tasks inside it.
pub(super) fn open_path(open: &Open, tasks: &[OpenTask], atomic: bool, unjoined: bool) -> PathWord {
    if usize::from(open.tasks) != tasks.len() {
        return PathWord::Unknown;
    }
    let Some(last) = tasks.last() else {
        // It ended before there was anything to run; a success needs a task.
        return if open.ret < 0 {
            PathWord::Failed
        } else {
            PathWord::Unknown
        };
    };
    if tasks.iter().any(|task| task.sent > 0) {
        return if atomic {
            PathWord::Atomic
        } else {
            PathWord::Wire
        };
    }
    if unjoined {
        return PathWord::Unknown;
    }
    match last.ret {
        // The task ended without a reply and without success: it was never sent.
        ret if ret < 0 => PathWord::Failed,
        // A delegation stands for the file, not for every user: nfs_may_open() refused this one
        // (nfs4_try_open_cached, fs/nfs/nfs4proc.c). Nothing was served.
        _ if open.ret < 0 => PathWord::Failed,
        _ if open.stateid_updates > 0 => PathWord::Delegated,
        _ => PathWord::Cached,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{Pointer, Walk};

    const ALL: Signals = Signals {
        verifier_check: true,
        verifier_set: true,
        inode_check: true,
    };

    fn call(ret: i32) -> Revalidate {
        Revalidate {
            dentry: Pointer(1),
            walk: Walk::Ref,
            creates: false,
            ret,
            verifier_checked: false,
            verifier_set: false,
            inode_checked: false,
            lookups: 0,
            kind: DentryKind::Positive,
        }
    }

    #[test]
    fn every_name_check_has_its_signs() {
        let check = |call: Revalidate| name_check(Some(&call), ALL);
        assert_eq!(name_check(None, ALL), NameCheck::None);
        assert_eq!(check(call(1)), NameCheck::Accepted);
        assert_eq!(
            check(Revalidate {
                verifier_checked: true,
                ..call(1)
            }),
            NameCheck::Directory
        );
        assert_eq!(
            check(Revalidate {
                verifier_set: true,
                ..call(1)
            }),
            NameCheck::Delegated
        );
        assert_eq!(
            check(Revalidate {
                lookups: 1,
                verifier_checked: true,
                verifier_set: true,
                ..call(1)
            }),
            NameCheck::Lookup
        );
        assert_eq!(
            check(Revalidate {
                lookups: 1,
                ..call(0)
            }),
            NameCheck::Replaced
        );
        assert_eq!(
            check(Revalidate {
                kind: DentryKind::Negative,
                ..call(0)
            }),
            NameCheck::None
        );
        assert_eq!(check(call(-10)), NameCheck::None);
    }

    #[test]
    fn without_its_probe_a_finer_word_is_unknown_not_guessed() {
        for signals in [
            Signals {
                verifier_check: false,
                ..ALL
            },
            Signals {
                verifier_set: false,
                ..ALL
            },
        ] {
            assert_eq!(name_check(Some(&call(1)), signals), NameCheck::Unknown);
            let looked_up = Revalidate {
                lookups: 1,
                ..call(1)
            };
            assert_eq!(name_check(Some(&looked_up), signals), NameCheck::Lookup);
        }
    }

    fn open(ret: i32, tasks: u8, stateid_updates: u8) -> Open {
        Open {
            dentry: Pointer(1),
            fileid: None,
            ret,
            flags: None,
            stack: None,
            tasks,
            stateid_updates,
            opened: Some(true),
        }
    }

    fn task(sent: u16, ret: i32) -> OpenTask {
        OpenTask {
            sent,
            claim: None,
            replied_ns: None,
            ret,
        }
    }

    #[test]
    fn every_open_path_has_its_signs() {
        let word = |open: Open, tasks: &[OpenTask]| open_path(&open, tasks, false, false);
        assert_eq!(word(open(0, 1, 1), &[task(1, 0)]), PathWord::Wire);
        assert_eq!(word(open(0, 1, 0), &[task(0, 0)]), PathWord::Cached);
        assert_eq!(word(open(0, 1, 1), &[task(0, 0)]), PathWord::Delegated);
        assert_eq!(word(open(-13, 0, 0), &[]), PathWord::Failed);
        assert_eq!(word(open(-512, 1, 0), &[task(0, -512)]), PathWord::Failed);
        // No OPEN and no error of the task: a delegation whose file this user may not read.
        assert_eq!(word(open(-13, 1, 0), &[task(0, 0)]), PathWord::Failed);
        assert_eq!(
            open_path(&open(0, 1, 1), &[task(2, 0)], true, false),
            PathWord::Atomic
        );
    }

    #[test]
    fn doubt_is_unknown_never_cached() {
        assert_eq!(
            open_path(&open(0, 1, 0), &[task(0, 0)], false, true),
            PathWord::Unknown
        );
        assert_eq!(
            open_path(&open(0, 1, 0), &[], false, false),
            PathWord::Unknown
        );
        assert_eq!(
            open_path(&open(0, 0, 0), &[], false, false),
            PathWord::Unknown
        );
        // A reply is a reply, whatever else could not be joined.
        assert_eq!(
            open_path(&open(0, 1, 1), &[task(1, 0)], false, true),
            PathWord::Wire
        );
    }
}
