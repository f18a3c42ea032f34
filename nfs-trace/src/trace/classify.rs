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

/// The tasks inside an attempt.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Tasks {
    pub(super) count: usize,
    pub(super) last: Option<OpenTask>,
    /// Whether any sent an OPEN, and the claim of the last that did.
    sent: bool,
    pub(super) claim: Option<u8>,
}

impl FromIterator<OpenTask> for Tasks {
    fn from_iter<T: IntoIterator<Item = OpenTask>>(tasks: T) -> Self {
        let mut all = Self::default();
        for task in tasks {
            all.count += 1;
            all.last = Some(task);
            if task.sent > 0 {
                all.sent = true;
                all.claim = task.claim;
            }
        }
        all
    }
}

/// What vouched for the file, from the end of the attempt and the tasks inside it.
pub(super) fn open_path(
    open: &Open,
    tasks: &Tasks,
    atomic: bool,
    unjoined: bool,
    signals: Signals,
) -> PathWord {
    if usize::from(open.tasks) != tasks.count {
        return PathWord::Unknown;
    }
    let Some(last) = &tasks.last else {
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
        0 if tasks.count == 1 => Some(false),
        // It failed after an OPEN, or before it.
        _ => None,
    };
    let sent = match signals.sent {
        Sent::OpenDone | Sent::Encode if tasks.sent => Some(true),
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
mod tests;
