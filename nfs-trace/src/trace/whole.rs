//! The short way: an open of a valid name whose records came together, as nearly all do. What it
//! says of it is what the long way says (see the test), without its detours.

use super::{
    Paths, Tracer,
    classify::{self, Tasks},
    path::{OpenPath, Step, StepKind},
    pending::{EOPENSTALE, ESTALE},
    thread::Thread,
};
use crate::event::{DentryKind, Times, WholeOpen};

impl Tracer {
    /// Takes the three records of a whole open, and hands its path to `done`. Returns `false`, and
    /// has taken none, if it is not that simple: then they are to be pushed one by one.
    pub fn push_whole(&mut self, whole: &WholeOpen, done: &mut impl FnMut(&OpenPath)) -> bool {
        if !is_simple(whole) {
            return false;
        }
        let Some(place) = self.threads.find(u64::from(whole.tid), self.last) else {
            return false;
        };
        self.last = place;
        let thread = self.threads.at_mut(place);
        if !thread.awaits(whole.seq) {
            return false;
        }
        thread.took(WholeOpen::RECORDS as u16);
        self.paths.whole(thread, whole, done);
        true
    }
}

/// Whether the task ran inside the open, and that was of the name that was checked and ended, be it
/// well or not.
fn is_simple(whole: &WholeOpen) -> bool {
    let WholeOpen {
        revalidate: (_, call),
        task: (ran, _),
        open: (opened, open),
        ..
    } = whole;
    opened.start_ns <= ran.start_ns
        && ran.end_ns <= opened.end_ns
        && call.ret == 1
        && call.kind == DentryKind::Positive
        && call.dentry == open.dentry
        && open.dentry.is_known()
        && open.tasks == 1
        && open.ret != EOPENSTALE
        && open.ret != ESTALE
}

impl Paths {
    fn whole(&mut self, thread: &Thread, whole: &WholeOpen, done: &mut impl FnMut(&OpenPath)) {
        let WholeOpen {
            tid,
            tgid,
            dev,
            seq: _,
            revalidate: (checked, call),
            task: (ran, task),
            open: (opened, open),
        } = *whole;
        let tasks = Tasks::from_iter([task]);
        let mut steps = self.spare.pop().unwrap_or_default();
        steps.extend([
            step(checked, StepKind::Revalidate(call)),
            step(opened, StepKind::FileOpen(open)),
            step(ran, StepKind::OpenTask(task)),
        ]);
        let place = self.names.place(open.dentry);
        let path = OpenPath {
            start_ns: checked.start_ns,
            end_ns: checked.end_ns.max(ran.end_ns).max(opened.end_ns),
            tid,
            tgid,
            comm: thread.comm.clone(),
            dev,
            dentry: open.dentry,
            dentry_id: self.names.id(open.dentry, place),
            path: self.names.path(open.dentry, place),
            fileid: open.fileid,
            flags: open.flags,
            name_check: classify::name_check(Some(&call), self.signals),
            revalidation: Some(call),
            open_path: classify::open_path(&open, &tasks, false, false, self.signals),
            claim: tasks.claim,
            stale_retries: 0,
            opens: u32::from(task.sent),
            lookups: 0,
            result: Some(open.ret),
            stack: open.stack,
            gaps: Vec::new(),
            steps,
        };
        self.done(path, done);
    }
}

fn step(Times { start_ns, end_ns }: Times, kind: StepKind) -> Step {
    Step {
        start_ns,
        end_ns,
        kind,
    }
}

#[cfg(test)]
mod tests;
