//! What the server said of a name inside one open path. Pure.
//!
//! Only what went to the server by name counts: a LOOKUP, or an OPEN with CLAIM_NULL. An OPEN by
//! filehandle (CLAIM_FH) does not check the name, the directory's change attribute and delegations
//! are the client's own, and READDIR is not recorded.

use serde::Serialize;

use crate::{
    event::{DentryKind, Open, OpenTask},
    trace::{Gap, OpenPath, Step, StepKind},
};

const ENOENT: i32 = -2;
/// include/linux/errno.h: "open found a stale dentry"
const EOPENSTALE: i32 = -518;
/// enum open_claim_type4: by name.
const CLAIM_NULL: u8 = 0;

/// The request that the server answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum By {
    /// A LOOKUP.
    Lookup,
    /// An OPEN with CLAIM_NULL.
    Open,
}

impl By {
    /// The RPC's name.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Lookup => "LOOKUP",
            Self::Open => "OPEN",
        }
    }
}

/// What the name meant to the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Named {
    /// The file of this id.
    File(u64),
    /// Another file than the client had, which may be known.
    Other(Option<u64>),
    /// Nothing: ENOENT.
    Nothing,
}

/// One answer. The server gave it at some moment between the two times.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Told {
    /// Not before this, ns of CLOCK_MONOTONIC.
    pub sent_ns: u64,
    /// Not after this.
    pub replied_ns: u64,
    /// To which request.
    pub by: By,
    /// What it was.
    pub named: Named,
}

/// All that the server said of the path's name, in the order of the steps. `only_names`: every
/// OPEN there goes by name (NFSv4.0), also where its claim could not be read.
#[must_use]
pub fn told(path: &OpenPath, only_names: bool) -> Vec<Told> {
    let torn = |gap: &Gap| matches!(gap, Gap::RecordLost | Gap::ReturnMissed | Gap::Unjoined);
    if path.gaps.iter().any(torn) {
        // Steps may be of two opens.
        return Vec::new();
    }
    let mut all = Vec::new();
    for (at, step) in path.steps.iter().enumerate() {
        let inner = inside(&path.steps[at + 1..], step);
        let later = &path.steps[at + 1..];
        match step.kind {
            StepKind::Revalidate(call) if call.kind != DentryKind::Negative => {
                for (step, ret) in lookups(inner) {
                    let named = match (ret, call.ret) {
                        (0, 1) => opened(later).map(Named::File),
                        (0, 0) => Some(Named::Other(None)),
                        (ENOENT, _) => Some(Named::Nothing),
                        _ => None,
                    };
                    all.extend(named.map(|named| answer(step, step.end_ns, By::Lookup, named)));
                }
            }
            StepKind::FileOpen(open) => {
                if let Some((step, task)) = by_name(inner, only_names) {
                    let named = match (open.ret, task.ret) {
                        (0, 0) => open.fileid.map(Named::File),
                        (EOPENSTALE, 0) => Some(Named::Other(open.fileid)),
                        (_, ENOENT) => Some(Named::Nothing),
                        _ => None,
                    };
                    all.extend(named.map(|named| {
                        answer(
                            step,
                            task.replied_ns.unwrap_or(step.end_ns),
                            By::Open,
                            named,
                        )
                    }));
                }
            }
            StepKind::AtomicOpen(open) => {
                for (step, ret) in lookups(inner) {
                    let named = match ret {
                        0 => opened(later).map(Named::File),
                        ENOENT => Some(Named::Nothing),
                        _ => None,
                    };
                    all.extend(named.map(|named| answer(step, step.end_ns, By::Lookup, named)));
                }
                // nfs_atomic_open() knows no file yet: there is only the name.
                if let Some((step, task)) = by_name(inner, true) {
                    let named = match (open.ret, task.ret, open.opened) {
                        (0, 0, None | Some(true)) => open.fileid.map(Named::File),
                        (_, ENOENT, _) => Some(Named::Nothing),
                        _ => None,
                    };
                    all.extend(named.map(|named| {
                        answer(
                            step,
                            task.replied_ns.unwrap_or(step.end_ns),
                            By::Open,
                            named,
                        )
                    }));
                }
            }
            _ => {}
        }
    }
    all
}

fn answer(step: &Step, replied_ns: u64, by: By, named: Named) -> Told {
    Told {
        sent_ns: step.start_ns,
        replied_ns: replied_ns.max(step.start_ns),
        by,
        named,
    }
}

/// The steps within a call: they follow it.
fn inside<'a>(after: &'a [Step], call: &Step) -> &'a [Step] {
    let is_inside =
        |step: &&Step| step.start_ns >= call.start_ns && step.end_ns <= call.end_ns && rpc(step);
    let count = after.iter().take_while(is_inside).count();
    &after[..count]
}

fn rpc(step: &Step) -> bool {
    matches!(step.kind, StepKind::Lookup(_) | StepKind::OpenTask(_))
}

fn lookups(steps: &[Step]) -> impl Iterator<Item = (&Step, i32)> {
    steps.iter().filter_map(|step| match step.kind {
        StepKind::Lookup(ret) => Some((step, ret)),
        _ => None,
    })
}

/// The last OPEN that was sent, if it went by name.
fn by_name(steps: &[Step], only_names: bool) -> Option<(&Step, OpenTask)> {
    let mut tasks = steps.iter().rev().filter_map(|step| match step.kind {
        StepKind::OpenTask(task) if task.sent > 0 => Some((step, task)),
        _ => None,
    });
    tasks.next().filter(|(_, task)| match task.claim {
        Some(claim) => claim == CLAIM_NULL,
        None => only_names,
    })
}

/// The file that the next attempt opened, whatever vouched for that.
fn opened(later: &[Step]) -> Option<u64> {
    let attempt = later.iter().find_map(|step| match step.kind {
        StepKind::FileOpen(open) | StepKind::AtomicOpen(open) => Some(open),
        _ => None,
    });
    attempt
        .filter(|open: &Open| open.ret == 0)
        .and_then(|open| open.fileid)
}

#[cfg(test)]
mod tests;
