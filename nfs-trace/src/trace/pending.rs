//! An open path that has not ended yet, and whether an event goes on with it.
//!
//! No probe marks open(2) itself, so the edges follow from what the VFS does
//! (do_filp_open and path_openat, fs/namei.c): the first attempt walks with
//! LOOKUP_RCU, the second (after -ECHILD) without, the last (after -ESTALE) with
//! LOOKUP_REVAL. EOPENSTALE is -ECHILD in the first and -ESTALE in the second.

use super::{
    names::{Entry, Names},
    path::{Gap, Step, StepKind},
    recent::NOWHERE,
};
use crate::event::{DentryKind, Open, Pointer, Revalidate, Walk};

/// include/linux/errno.h
pub(super) const ECHILD: i32 = -10;
/// include/uapi/asm-generic/errno.h
pub(super) const ESTALE: i32 = -116;
/// include/linux/errno.h: "open found a stale dentry"
pub(super) const EOPENSTALE: i32 = -518;
/// Steps of a path that are kept, and of those that belong to no path yet. A real one has a
/// dozen, more if the server delays it; a recording may hold anything.
pub(super) const MAX_STEPS: usize = 100;
/// Attempts of one open(2): RCU walk, ref-walk, LOOKUP_REVAL.
const MAX_ATTEMPTS: u32 = 3;

/// What the last step but for RPCs was.
#[derive(Debug, Clone, Copy)]
enum Last {
    Nothing,
    Revalidate(Revalidate),
    /// An attempt ended in ESTALE or EOPENSTALE.
    Stale,
    /// nfs_atomic_open looked the name up and left the open to others.
    LookedUp,
}

/// An open path in the making.
pub(super) struct Pending {
    pub(super) tgid: u32,
    pub(super) dev: u32,
    pub(super) steps: Vec<Step>,
    pub(super) gaps: Vec<Gap>,
    pub(super) stale_retries: u32,
    /// The dentry of the last step, and its name at that time.
    pub(super) dentry: Pointer,
    /// Where it was in the table of names.
    pub(super) place: u32,
    entry: Option<Entry>,
    last: Last,
    /// The attempt runs with LOOKUP_REVAL: no other will follow.
    last_attempt: bool,
}

impl Pending {
    pub(super) fn new(tgid: u32) -> Self {
        Self {
            tgid,
            dev: 0,
            steps: Vec::new(),
            gaps: Vec::new(),
            stale_retries: 0,
            dentry: Pointer(0),
            place: NOWHERE,
            entry: None,
            last: Last::Nothing,
            last_attempt: false,
        }
    }

    pub(super) fn note_gap(&mut self, gap: Gap) {
        if !self.gaps.contains(&gap) {
            self.gaps.push(gap);
        }
    }

    /// Whether its end may be among what is missing.
    pub(super) fn may_have_ended_unseen(&self) -> bool {
        self.gaps
            .iter()
            .any(|gap| matches!(gap, Gap::RecordLost | Gap::ReturnMissed))
    }

    /// Whether nothing but RPCs was seen yet.
    pub(super) fn is_fresh(&self) -> bool {
        matches!(self.last, Last::Nothing)
    }

    /// The revalidation of the attempt that is running, if there was one.
    pub(super) fn revalidation(&self) -> Option<Revalidate> {
        match self.last {
            Last::Revalidate(call) => Some(call),
            _ => None,
        }
    }

    /// Whether the last attempt ended stale and no other followed.
    pub(super) fn ended_stale(&self) -> bool {
        matches!(self.last, Last::Stale)
    }

    /// Whether a revalidation is the one in RCU walk again, of the same dentry: then it is
    /// lookup_fast() that asks, not lookup_open().
    pub(super) fn asks_again(&self, call: &Revalidate) -> bool {
        matches!(self.last, Last::Revalidate(before)
            if before.walk == Walk::Rcu && before.dentry == call.dentry)
    }

    /// Whether the last step found that there is no such name. In RCU walk an unhashed dentry says
    /// nothing: its d_seq has changed (__d_drop(), fs/dcache.c), so the VFS asks again in ref-walk.
    pub(super) fn found_no_name(&self) -> bool {
        matches!(self.last, Last::Revalidate(call)
        if call.ret == 1 && !call.creates && match call.kind {
            DentryKind::Negative => true,
            DentryKind::Unhashed => call.walk != Walk::Rcu,
            DentryKind::Unknown | DentryKind::Positive => false,
        })
    }

    /// Whether what was opened may be no file: a name was looked up and nothing more, or without a
    /// layout found to be valid, whatever it names.
    pub(super) fn may_be_no_file(&self) -> bool {
        match self.last {
            Last::LookedUp => true,
            Last::Revalidate(call) => call.ret == 1 && call.kind == DentryKind::Unknown,
            _ => false,
        }
    }

    pub(super) fn revalidated(&mut self, call: Revalidate, names: &mut Names) {
        self.last = Last::Revalidate(call);
        self.last_attempt = call.walk == Walk::Reval;
        self.at(call.dentry, names);
    }

    /// Notes a stale end. Returns whether the VFS tries again.
    pub(super) fn went_stale(&mut self, open: &Open, names: &mut Names) -> bool {
        self.stale_retries += 1;
        self.last = Last::Stale;
        self.at(open.dentry, names);
        !self.last_attempt && self.stale_retries < MAX_ATTEMPTS
    }

    pub(super) fn looked_up(&mut self, open: &Open, names: &mut Names) {
        self.last = Last::LookedUp;
        self.at(open.dentry, names);
    }

    fn at(&mut self, dentry: Pointer, names: &mut Names) {
        if dentry.is_known() {
            self.dentry = dentry;
            (self.place, self.entry) = names.entry(dentry);
        }
    }

    /// The same dentry, or another one of the same name (the first was dropped).
    fn same_name(&self, dentry: Pointer, names: &mut Names) -> bool {
        if self.dentry == dentry || !self.dentry.is_known() || !dentry.is_known() {
            return true;
        }
        match (&self.entry, names.entry(dentry).1) {
            (Some(mine), Some(other)) => *mine == other,
            _ => true,
        }
    }

    /// Whether a revalidation belongs to the open(2) that is pending.
    pub(super) fn goes_on_with(&self, call: &Revalidate, names: &mut Names) -> bool {
        let tries_again = match self.last {
            Last::Nothing => return true,
            // The first attempt is the only one in RCU walk.
            _ if call.walk == Walk::Rcu => false,
            Last::Revalidate(before) => match before.walk {
                Walk::Rcu => true,
                // Dropped, and meanwhile another task brought the name back; or all
                // was well here and another component sent the VFS into its last try.
                Walk::Ref => before.ret == 0 || call.walk == Walk::Reval,
                Walk::Reval => before.ret == 0,
            },
            Last::Stale => true,
            Last::LookedUp => false,
        };
        tries_again && self.same_name(call.dentry, names)
    }

    /// Whether the end of an attempt belongs to the open(2) that is pending.
    pub(super) fn ends_with(&self, open: &Open, atomic: bool, names: &mut Names) -> bool {
        let fits = match self.last {
            Last::Nothing => return true,
            // nfs_atomic_open follows a dentry that was dropped, or one that vanished
            // between RCU walk and ref-walk, or a negative one (in order to create the name, or
            // found by lookup_open()); nfs4_file_open follows a valid one.
            Last::Revalidate(before) if atomic => {
                before.ret != 1
                    || before.walk == Walk::Rcu
                    || before.creates
                    || matches!(before.kind, DentryKind::Negative | DentryKind::Unhashed)
            }
            Last::Revalidate(_) | Last::Stale | Last::LookedUp => true,
        };
        fits && self.same_name(open.dentry, names)
    }

    /// Adds a call and the steps that lie within it, by time of entry.
    pub(super) fn add(&mut self, inner: &mut Vec<Step>, step: Step) {
        let at = self.steps.len();
        // First the call: that is their order already, but for what overlaps.
        self.steps.push(step);
        self.steps.append(inner);
        self.steps[at..].sort_by_key(|step| (step.start_ns, std::cmp::Reverse(step.end_ns)));
        if self.steps.len() > MAX_STEPS {
            self.steps.truncate(MAX_STEPS);
            self.note_gap(Gap::RecordLost);
        }
    }

    /// RPCs of all steps: OPENs and LOOKUPs.
    pub(super) fn rpcs(&self) -> (u32, u32) {
        self.steps
            .iter()
            .fold((0, 0), |(opens, lookups), step| match step.kind {
                StepKind::OpenTask(task) => (opens + u32::from(task.sent), lookups),
                StepKind::Lookup(_) => (opens, lookups + 1),
                _ => (opens, lookups),
            })
    }
}
