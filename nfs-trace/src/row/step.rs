//! One step of an open path as it is shown.

use std::borrow::Cow;

use crate::{
    event::{DentryKind, OpenTask, Revalidate, Walk},
    names::{claim_name, errno_word},
    trace::{Step, StepKind},
};

/// See the module.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StepRow {
    /// `revalidate`, `LOOKUP`, `OPEN`, `nfs4_file_open` or `nfs_atomic_open`.
    pub step: &'static str,
    /// Since the path's first step.
    pub at_ns: u64,
    /// From entry to return.
    pub took_ns: u64,
    /// How the VFS walked: `rcu`, `ref` or `reval`.
    pub walk: Option<&'static str>,
    /// Claim of an OPEN.
    pub claim: Option<&'static str>,
    /// Replies to an OPEN: 0 means that none was sent. Nothing where that is not counted.
    pub sent: Option<u16>,
    /// What the function returned.
    pub ret: i32,
    /// What that means.
    pub meaning: Cow<'static, str>,
}

/// All that decides how a step is shown, but for its times.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Looks(u64);

impl Looks {
    /// Of a step. `counts_opens`: whether the probes in place count OPENs.
    #[must_use]
    pub(crate) fn of(step: &Step, counts_opens: bool) -> Self {
        let (ret, facts) = match step.kind {
            StepKind::Revalidate(call) => {
                let asked = (call.lookups > 0, call.verifier_checked, call.verifier_set);
                let asked = u32::from(asked.0) << 2 | u32::from(asked.1) << 1 | u32::from(asked.2);
                let seen = (call.walk as u32) << 8 | (call.kind as u32) << 4 | asked;
                (call.ret, seen << 3)
            }
            StepKind::Lookup(ret) => (ret, 1),
            StepKind::OpenTask(task) => {
                let claim = task.claim.map_or(u32::from(u8::MAX) + 1, u32::from);
                let sent = u32::from(counts_opens) << 16 | u32::from(task.sent);
                (task.ret, (claim << 17 | sent) << 3 | 2)
            }
            StepKind::FileOpen(open) => (open.ret, 3),
            StepKind::AtomicOpen(open) => {
                let looked_up = open.opened == Some(false);
                (open.ret, u32::from(looked_up) << 3 | 4)
            }
        };
        Self(u64::from(facts) << 32 | u64::from(ret.cast_unsigned()))
    }

    /// Another one for others.
    #[must_use]
    pub(crate) fn number(self) -> u64 {
        self.0
    }
}

impl StepRow {
    /// What was called.
    pub(crate) fn name(step: &Step) -> &'static str {
        match step.kind {
            StepKind::Revalidate(_) => "revalidate",
            StepKind::Lookup(_) => "LOOKUP",
            StepKind::OpenTask(_) => "OPEN",
            StepKind::FileOpen(_) => "nfs4_file_open",
            StepKind::AtomicOpen(_) => "nfs_atomic_open",
        }
    }

    /// See [`Self::at_ns`].
    pub(crate) fn at_ns(step: &Step, start_ns: u64) -> u64 {
        step.start_ns.saturating_sub(start_ns)
    }

    /// See [`Self::took_ns`].
    pub(crate) fn took_ns(step: &Step) -> u64 {
        step.end_ns.saturating_sub(step.start_ns)
    }

    /// Of a path that began then. `counts_opens`: whether the probes in place count OPENs.
    pub(crate) fn new(step: &Step, start_ns: u64, counts_opens: bool) -> Self {
        let (ret, meaning) = match step.kind {
            StepKind::Revalidate(call) => (call.ret, revalidated(&call)),
            StepKind::Lookup(ret) => (ret, outcome(ret)),
            StepKind::OpenTask(task) => (task.ret, sent(&task, counts_opens)),
            StepKind::FileOpen(open) => (open.ret, outcome(open.ret)),
            StepKind::AtomicOpen(open) => {
                let meaning = match open.opened {
                    Some(false) if open.ret == 0 => "looked up, not opened".into(),
                    _ => outcome(open.ret),
                };
                (open.ret, meaning)
            }
        };
        Self {
            step: Self::name(step),
            at_ns: Self::at_ns(step, start_ns),
            took_ns: Self::took_ns(step),
            walk: match step.kind {
                StepKind::Revalidate(call) => Some(match call.walk {
                    Walk::Rcu => "rcu",
                    Walk::Ref => "ref",
                    Walk::Reval => "reval",
                }),
                _ => None,
            },
            claim: match step.kind {
                StepKind::OpenTask(task) => task.claim.and_then(claim_name),
                _ => None,
            },
            sent: match step.kind {
                StepKind::OpenTask(task) => counts_opens.then_some(task.sent),
                _ => None,
            },
            ret,
            meaning,
        }
    }
}

fn revalidated(call: &Revalidate) -> Cow<'static, str> {
    let words = match call.ret {
        0 if call.lookups > 0 => "dropped: the server named another file, or none",
        0 => "dropped: not valid",
        1 if call.kind == DentryKind::Unhashed => "valid: no file, and dropped",
        1 if call.kind == DentryKind::Negative => "valid: there is no such name",
        1 if call.lookups > 0 => "valid: the server named the same file",
        1 if call.verifier_checked => "valid: the directory has not changed",
        1 if call.verifier_set => "valid: a delegation vouches for it",
        1 => "valid: nothing was checked",
        -10 => "cannot tell in RCU walk",
        ret => return errno_word(ret),
    };
    words.into()
}

fn sent(task: &OpenTask, counts_opens: bool) -> Cow<'static, str> {
    match task.sent {
        _ if !counts_opens => outcome(task.ret),
        0 if task.ret < 0 => format!("not sent: {}", errno_word(task.ret)).into(),
        0 => "not sent".into(),
        1 => outcome(task.ret),
        times => format!("sent {times} times: {}", outcome(task.ret)).into(),
    }
}

fn outcome(ret: i32) -> Cow<'static, str> {
    match ret {
        0 => "ok".into(),
        ret => errno_word(ret),
    }
}

#[cfg(test)]
mod tests;
