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
    /// The LOOKUP call is probed.
    pub lookups: bool,
    /// What tells whether an OPEN was sent.
    pub sent: Sent,
    /// What tells a delegated open from a cached one.
    pub delegated: Delegated,
}

/// What tells whether an OPEN was sent, best first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sent {
    /// nfs4_open_done handled its reply.
    OpenDone,
    /// The opener called nfs4_try_open_cached, which it does only if none was sent.
    TryCached,
    /// nfs4_xdr_enc_open or nfs4_xdr_enc_open_noattr encoded it.
    Encode,
    /// The opener passed the tracepoint nfs4_cached_open, which it does only if none was sent.
    CachedEvent,
    /// Nothing does.
    Nothing,
}

impl Sent {
    /// The function or tracepoint; nothing for [`Self::Nothing`].
    #[must_use]
    pub fn symbol(self) -> Option<&'static str> {
        match self {
            Self::OpenDone => Some("nfs4_open_done"),
            Self::TryCached => Some("nfs4_try_open_cached"),
            Self::Encode => Some("nfs4_xdr_enc_open"),
            Self::CachedEvent => Some("nfs4_cached_open"),
            Self::Nothing => None,
        }
    }

    /// Whether it tells how many were sent.
    #[must_use]
    pub fn counts(self) -> bool {
        matches!(self, Self::OpenDone | Self::Encode)
    }
}

/// What tells a delegated open from a cached one, where no OPEN was sent; best first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Delegated {
    /// The opener called update_open_stateid: what it took is the delegation's.
    StateidUpdate,
    /// The RPC's worker passed the tracepoint nfs4_cached_open in nfs4_open_prepare.
    CachedEvent,
    /// Nothing does.
    Nothing,
}

impl Delegated {
    /// The function or tracepoint; nothing for [`Self::Nothing`].
    #[must_use]
    pub fn symbol(self) -> Option<&'static str> {
        match self {
            Self::StateidUpdate => Some("update_open_stateid"),
            Self::CachedEvent => Some("nfs4_cached_open"),
            Self::Nothing => None,
        }
    }
}

/// What vouched for the dentry, from the attempt's last revalidation.
pub(super) fn name_check(call: Option<&Revalidate>, signals: Signals) -> NameCheck {
    let Some(call) = call else {
        return NameCheck::None;
    };
    if matches!(call.kind, DentryKind::Negative | DentryKind::Unhashed) {
        return NameCheck::None;
    }
    match call.ret {
        0 => NameCheck::Replaced,
        1 if call.lookups > 0 => NameCheck::Lookup,
        1 if !signals.lookups => NameCheck::Unknown,
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
pub(super) fn open_path(
    open: &Open,
    tasks: &[OpenTask],
    atomic: bool,
    unjoined: bool,
    signals: Signals,
) -> PathWord {
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
    // What the opener did is of its last task alone.
    let by_opener = |passed: bool| match last.ret {
        0 if !passed => Some(true),
        0 if tasks.len() == 1 => Some(false),
        // It failed after an OPEN, or before it.
        _ => None,
    };
    let sent = match signals.sent {
        Sent::OpenDone | Sent::Encode if tasks.iter().any(|task| task.sent > 0) => Some(true),
        Sent::OpenDone | Sent::Encode => (!unjoined).then_some(false),
        Sent::TryCached => by_opener(open.tried_cached),
        Sent::CachedEvent => by_opener(open.cached_event),
        Sent::Nothing => None,
    };
    match sent {
        Some(true) if atomic => PathWord::Atomic,
        Some(true) => PathWord::Wire,
        Some(false) => not_sent(open, last, signals.delegated),
        None => PathWord::Unknown,
    }
}

/// What vouched for a file for which no OPEN was sent.
fn not_sent(open: &Open, last: &OpenTask, delegated: Delegated) -> PathWord {
    match last.ret {
        // The task ended without a reply and without success: it was never sent.
        ret if ret < 0 => PathWord::Failed,
        // A delegation stands for the file, not for every user: nfs_may_open() refused this one
        // (nfs4_try_open_cached, fs/nfs/nfs4proc.c). Nothing was served.
        _ if open.ret < 0 => PathWord::Failed,
        _ => match delegated {
            Delegated::StateidUpdate if open.stateid_updates > 0 => PathWord::Delegated,
            Delegated::StateidUpdate => PathWord::Cached,
            Delegated::CachedEvent => match last.delegated {
                Some(true) => PathWord::Delegated,
                Some(false) => PathWord::Cached,
                None => PathWord::Unknown,
            },
            Delegated::Nothing => PathWord::Unknown,
        },
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
        lookups: true,
        sent: Sent::OpenDone,
        delegated: Delegated::StateidUpdate,
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
            tried_cached: false,
            cached_event: false,
        }
    }

    fn task(sent: u16, ret: i32) -> OpenTask {
        OpenTask {
            sent,
            delegated: Some(false),
            claim: None,
            replied_ns: None,
            ret,
        }
    }

    #[test]
    fn every_open_path_has_its_signs() {
        let word = |open: Open, tasks: &[OpenTask]| open_path(&open, tasks, false, false, ALL);
        assert_eq!(word(open(0, 1, 1), &[task(1, 0)]), PathWord::Wire);
        assert_eq!(word(open(0, 1, 0), &[task(0, 0)]), PathWord::Cached);
        assert_eq!(word(open(0, 1, 1), &[task(0, 0)]), PathWord::Delegated);
        assert_eq!(word(open(-13, 0, 0), &[]), PathWord::Failed);
        assert_eq!(word(open(-512, 1, 0), &[task(0, -512)]), PathWord::Failed);
        // No OPEN and no error of the task: a delegation whose file this user may not read.
        assert_eq!(word(open(-13, 1, 0), &[task(0, 0)]), PathWord::Failed);
        assert_eq!(
            open_path(&open(0, 1, 1), &[task(2, 0)], true, false, ALL),
            PathWord::Atomic
        );
    }

    #[test]
    fn doubt_is_unknown_never_cached() {
        assert_eq!(
            open_path(&open(0, 1, 0), &[task(0, 0)], false, true, ALL),
            PathWord::Unknown
        );
        assert_eq!(
            open_path(&open(0, 1, 0), &[], false, false, ALL),
            PathWord::Unknown
        );
        assert_eq!(
            open_path(&open(0, 0, 0), &[], false, false, ALL),
            PathWord::Unknown
        );
        // A reply is a reply, whatever else could not be joined.
        assert_eq!(
            open_path(&open(0, 1, 1), &[task(1, 0)], false, true, ALL),
            PathWord::Wire
        );
    }

    /// With what stands in for nfs4_open_done: what the opener passes says that none was sent.
    #[test]
    fn what_stands_in_for_open_done_gives_the_same_words() {
        for (sent, pass) in [
            (
                Sent::TryCached,
                (|it| it.tried_cached = true) as fn(&mut Open),
            ),
            (Sent::CachedEvent, |it| it.cached_event = true),
        ] {
            let word = |mut open: Open, tasks: &[OpenTask], passed: bool| {
                if passed {
                    pass(&mut open);
                }
                open_path(&open, tasks, false, false, Signals { sent, ..ALL })
            };
            // It does not count: 0 sent says nothing.
            assert_eq!(word(open(0, 1, 1), &[task(0, 0)], false), PathWord::Wire);
            assert_eq!(word(open(-518, 1, 1), &[task(0, 0)], false), PathWord::Wire);
            assert_eq!(word(open(0, 1, 0), &[task(0, 0)], true), PathWord::Cached);
            assert_eq!(
                word(open(0, 1, 1), &[task(0, 0)], true),
                PathWord::Delegated
            );
            assert_eq!(word(open(-13, 1, 0), &[task(0, 0)], true), PathWord::Failed);
            // Whether an OPEN came back with the error, or none was sent: nobody knows.
            let failed = [task(0, -2)];
            assert_eq!(word(open(-2, 1, 0), &failed, false), PathWord::Unknown);
            let twice = [task(0, -10_008), task(0, 0)];
            assert_eq!(word(open(0, 2, 0), &twice, true), PathWord::Unknown);
            assert_eq!(word(open(0, 2, 1), &twice, false), PathWord::Wire);
        }
    }

    #[test]
    fn what_stands_in_for_the_stateid_gives_the_same_words() {
        let by_event = Signals {
            delegated: Delegated::CachedEvent,
            ..ALL
        };
        let word = |delegated| {
            let task = OpenTask {
                delegated,
                ..task(0, 0)
            };
            open_path(&open(0, 1, 0), &[task], false, false, by_event)
        };
        assert_eq!(word(Some(true)), PathWord::Delegated);
        assert_eq!(word(Some(false)), PathWord::Cached);
        assert_eq!(word(None), PathWord::Unknown);
    }

    #[test]
    fn where_nothing_tells_the_word_is_unknown() {
        let opened = open(0, 1, 0);
        for signals in [
            Signals {
                sent: Sent::Nothing,
                ..ALL
            },
            Signals {
                delegated: Delegated::Nothing,
                ..ALL
            },
        ] {
            let word = open_path(&opened, &[task(0, 0)], false, false, signals);
            assert_eq!(word, PathWord::Unknown);
        }
        let signals = Signals {
            lookups: false,
            ..ALL
        };
        assert_eq!(name_check(Some(&call(1)), signals), NameCheck::Unknown);
        assert_eq!(name_check(Some(&call(0)), signals), NameCheck::Replaced);
    }
}
