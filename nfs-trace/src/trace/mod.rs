//! Events -> open paths, per thread. Pure: no clock, no file, no kernel.
//!
//! A thread does one open at a time, so its events are in order and the join needs no
//! more than the thread's pending path. Records come when a call returns: what
//! happened inside a call arrives before the call itself.

mod classify;
mod ends;
mod names;
mod path;
mod pending;
mod recent;
mod recorded;
mod thread;
mod whole;

use std::num::NonZeroUsize;

use self::{
    classify::Tasks,
    names::Names,
    pending::{ECHILD, EOPENSTALE, ESTALE, Pending},
    recent::{NOWHERE, Recent},
    thread::Thread,
};
pub use self::{
    classify::{Delegated, Sent, Signals},
    path::{Gap, NameCheck, OpenPath, PathWord, Step, StepKind},
};
use crate::{
    event::{Event, Fact, Open, Revalidate, Stamp, Walk},
    names::escaped,
};

/// Threads whose state is kept: twice what the programs keep.
const THREADS: NonZeroUsize = NonZeroUsize::new(32_768).expect("not zero");
/// Memory for the steps of so many paths is kept when they end, for those that begin.
const SPARE: usize = 64;
const ENOENT: i32 = -2;
/// include/uapi/asm-generic/fcntl.h
const O_DIRECTORY: u32 = 0o200_000;
/// An open whose first step comes this soon after arming may have begun before it.
/// The loader says "ready" only when this time is over.
pub const ARMING_NS: u64 = 10_000_000;

/// Takes events in the order in which the transport delivers them.
pub struct Tracer {
    threads: Recent<Thread>,
    /// Where the thread of the last event is: the next one is often its too.
    last: u32,
    /// Why a thread's first record may not be the first one of its numbering.
    unseen: Gap,
    paths: Paths,
}

/// What a thread's events are put together with.
struct Paths {
    signals: Signals,
    armed_ns: u64,
    names: Names,
    /// LOOKUPs and OPENs of calls that turned out to open no regular file.
    no_open: (u64, u64),
    /// Empty ones.
    spare: Vec<Vec<Step>>,
}

impl Tracer {
    /// `armed_ns`: when the programs were armed, ns of CLOCK_MONOTONIC.
    #[must_use]
    pub fn new(signals: Signals, armed_ns: u64) -> Self {
        Self {
            threads: Recent::new(THREADS),
            last: NOWHERE,
            unseen: Gap::RecordLost,
            paths: Paths {
                signals,
                armed_ns,
                names: Names::new(),
                no_open: (0, 0),
                spare: Vec::new(),
            },
        }
    }

    /// (OPENs, LOOKUPs) that were seen but belong to no open of a regular file, such
    /// as a directory that was looked up in order to be listed.
    #[must_use]
    pub fn outside_paths(&self) -> (u64, u64) {
        self.paths.no_open
    }

    /// Takes one event; `done` gets every path that ends with it.
    pub fn push(&mut self, event: Event<'_>, done: &mut impl FnMut(&OpenPath)) {
        let Event { stamp, fact } = event;
        let Self {
            threads,
            last,
            unseen,
            paths,
        } = self;
        let key = u64::from(stamp.tid);
        let (place, evicted) = match threads.find(key, *last) {
            Some(place) => (place, None),
            None => threads.add(key, Thread::default()),
        };
        *last = place;
        // Where it is: it is not moved out and in again for each event.
        let thread = threads.at_mut(place);
        if stamp.missed_return {
            // What the thread was in the middle of has ended unseen. Its name may come
            // with this very record.
            if let (Fact::Comm(comm), true) = (&fact, thread.comm.is_empty()) {
                thread.comm = escaped(comm).into();
            }
            thread.gap = Some(Gap::ReturnMissed);
            paths.flush(stamp.tid, thread, done);
            thread.gap = Some(Gap::ReturnMissed);
        }
        thread.check_order(&stamp, *unseen);
        if stamp.missed_inside {
            // The path goes on, a step of it is missing.
            thread.gap = Some(Gap::ReturnMissed);
        }
        match fact {
            Fact::Name {
                dentry,
                parent,
                name,
            } => paths.names.learn(dentry, parent, name),
            Fact::Comm(comm) => thread.comm = escaped(comm).into(),
            Fact::Lookup(ret) => thread.add_inner(step(&stamp, StepKind::Lookup(ret))),
            Fact::OpenTask(task) => {
                thread.unjoined |= stamp.unjoined;
                thread.add_inner(step(&stamp, StepKind::OpenTask(task)));
            }
            Fact::Revalidate(call) => paths.revalidate(thread, &stamp, call, done),
            Fact::FileOpen(open) => paths.open(thread, &stamp, open, false, done),
            Fact::AtomicOpen(open) => paths.open(thread, &stamp, open, true, done),
        }
        if let Some((tid, mut evicted)) = evicted {
            paths.flush(tid as u32, &mut evicted, done);
        }
    }
}

impl Paths {
    fn revalidate(
        &mut self,
        thread: &mut Thread,
        stamp: &Stamp,
        call: Revalidate,
        done: &mut impl FnMut(&OpenPath),
    ) {
        thread.set_apart(stamp);
        if let Some(pending) = &thread.pending
            && !pending.goes_on_with(&call, &mut self.names)
        {
            self.abandon(stamp.tid, thread, done);
        }
        let (pending, inner) = thread.go_on(stamp, &mut self.spare);
        // lookup_fast() takes "valid" for a negative dentry as ENOENT at once. lookup_open(),
        // which comes after it in ref-walk and finds what another task has just looked up,
        // goes on to nfs_atomic_open, as the VFS does where it may create the name.
        let fast = call.walk == Walk::Rcu || pending.asks_again(&call);
        pending.add(inner, step(stamp, StepKind::Revalidate(call)));
        pending.revalidated(call, &mut self.names);
        let result = match call.ret {
            1 if fast && pending.found_no_name() => Some(ENOENT),
            ret if ret < 0 && ret != ECHILD && ret != ESTALE => Some(ret),
            _ => None,
        };
        if result.is_some() {
            self.end(stamp.tid, thread, PathWord::Failed, result, None, done);
        }
    }

    fn open(
        &mut self,
        thread: &mut Thread,
        stamp: &Stamp,
        open: Open,
        atomic: bool,
        done: &mut impl FnMut(&OpenPath),
    ) {
        thread.set_apart(stamp);
        if let Some(pending) = &thread.pending
            && !pending.ends_with(&open, atomic, &mut self.names)
        {
            self.abandon(stamp.tid, thread, done);
        }
        let unjoined = std::mem::take(&mut thread.unjoined);
        let (pending, inner) = thread.go_on(stamp, &mut self.spare);
        if pending.is_fresh() && !atomic && stamp.start_ns < self.armed_ns.saturating_add(ARMING_NS)
        {
            pending.note_gap(Gap::BeganBefore);
        }
        let tasks: Tasks = inner
            .iter()
            .filter_map(|step| match step.kind {
                StepKind::OpenTask(task) => Some(task),
                _ => None,
            })
            .collect();
        let kind = if atomic {
            StepKind::AtomicOpen(open)
        } else {
            StepKind::FileOpen(open)
        };
        pending.add(inner, step(stamp, kind));
        if unjoined {
            pending.note_gap(Gap::Unjoined);
        }
        if usize::from(open.tasks) != tasks.count {
            pending.note_gap(Gap::RecordLost);
        }

        // finish_no_open(): the name was looked up, the VFS opens what it found.
        let only_looked_up = atomic
            && open.ret == 0
            && (open.opened == Some(false) || (open.opened.is_none() && tasks.count == 0));
        if only_looked_up && tasks.count == 0 {
            if open.flags.is_some_and(|flags| flags & O_DIRECTORY != 0) {
                self.drop_path(thread);
            } else {
                pending.looked_up(&open, &mut self.names);
            }
            return;
        }

        let word = classify::open_path(&open, &tasks, atomic, unjoined, self.signals);
        // The server said EISDIR or the like: that is how this open of a file ended.
        let ret = if only_looked_up {
            tasks.last.map_or(0, |task| task.ret)
        } else {
            open.ret
        };
        let revalidation = pending.revalidation();
        let stale = ret == EOPENSTALE || ret == ESTALE;
        if stale && pending.went_stale(&open, &mut self.names) {
            return;
        }
        if open.dentry.is_known() {
            pending.dentry = open.dentry;
        }
        let result = if ret == EOPENSTALE { ESTALE } else { ret };
        let last = Last {
            open,
            claim: tasks.claim,
            revalidation,
        };
        self.end(stamp.tid, thread, word, Some(result), Some(&last), done);
    }

    /// Ends all that a thread has begun, without having seen its end.
    fn flush(&mut self, tid: u32, thread: &mut Thread, done: &mut impl FnMut(&OpenPath)) {
        // Steps whose call never returned here belong to what is pending.
        if !thread.inner.is_empty() {
            let pending = thread.pending.get_or_insert_with(|| Pending::new(tid));
            pending.steps.append(&mut thread.inner);
            pending.note_gap(Gap::RecordLost);
        }
        if let (Some(pending), Some(gap)) = (&mut thread.pending, thread.gap) {
            pending.note_gap(gap);
            thread.gap = None;
        }
        self.abandon(tid, thread, done);
    }

    /// Ends a thread's pending path, because the call that returned is of another one.
    fn abandon(&mut self, tid: u32, thread: &mut Thread, done: &mut impl FnMut(&OpenPath)) {
        let Some(pending) = &mut thread.pending else {
            return;
        };
        if pending.may_be_no_file() && pending.gaps.is_empty() {
            // What was found was no regular file, or opening it was refused.
            self.drop_path(thread);
            return;
        }
        // What is missing may have been its end, and that a good one.
        let (word, result) = if pending.may_have_ended_unseen() {
            (PathWord::Unknown, None)
        } else if pending.found_no_name() {
            (PathWord::Failed, Some(ENOENT))
        } else {
            (PathWord::Failed, pending.ended_stale().then_some(ESTALE))
        };
        if result != Some(ENOENT) {
            pending.note_gap(Gap::EndNotSeen);
        }
        self.end(tid, thread, word, result, None, done);
    }

    /// Forgets a thread's pending path: it is no open of a regular file.
    fn drop_path(&mut self, thread: &mut Thread) {
        let Some(pending) = thread.pending.take() else {
            return;
        };
        let (opens, lookups) = pending.rpcs();
        self.no_open.0 += u64::from(opens);
        self.no_open.1 += u64::from(lookups);
    }

    /// Ends a thread's pending path.
    fn end(
        &mut self,
        tid: u32,
        thread: &mut Thread,
        open_path: PathWord,
        result: Option<i32>,
        last: Option<&Last>,
        done: &mut impl FnMut(&OpenPath),
    ) {
        let Some(pending) = &mut thread.pending else {
            return;
        };
        let (opens, lookups) = pending.rpcs();
        let revalidation = match last {
            Some(last) => last.revalidation,
            None => pending.revalidation(),
        };
        let steps = std::mem::take(&mut pending.steps);
        let (dentry, place) = (pending.dentry, pending.place);
        let path = OpenPath {
            start_ns: steps.first().map_or(0, |step| step.start_ns),
            end_ns: steps.iter().map(|step| step.end_ns).max().unwrap_or(0),
            tid,
            tgid: pending.tgid,
            comm: thread.comm.clone(),
            dev: pending.dev,
            dentry,
            dentry_id: self.names.id(dentry, place),
            path: self.names.path(dentry, place),
            fileid: last.and_then(|last| last.open.fileid),
            flags: last.and_then(|last| last.open.flags),
            name_check: classify::name_check(revalidation.as_ref(), self.signals),
            revalidation,
            open_path,
            claim: last.and_then(|last| last.claim),
            stale_retries: pending.stale_retries,
            opens,
            lookups,
            result,
            stack: last.and_then(|last| last.open.stack),
            gaps: std::mem::take(&mut pending.gaps),
            steps,
        };
        thread.pending = None;
        self.done(path, done);
    }

    /// Hands out a path that has ended.
    fn done(&mut self, path: OpenPath, done: &mut impl FnMut(&OpenPath)) {
        done(&path);
        if self.spare.len() < SPARE {
            let mut steps = path.steps;
            steps.clear();
            self.spare.push(steps);
        }
    }
}

/// The attempt that ended a path.
struct Last {
    open: Open,
    /// Of the last OPEN that was sent.
    claim: Option<u8>,
    revalidation: Option<Revalidate>,
}

fn step(stamp: &Stamp, kind: StepKind) -> Step {
    Step {
        start_ns: stamp.start_ns,
        end_ns: stamp.end_ns,
        kind,
    }
}

#[cfg(test)]
mod tests;
