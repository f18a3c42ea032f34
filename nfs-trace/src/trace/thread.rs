//! One thread's state between its events: what is pending, and whether a record of it is
//! missing.

use std::sync::Arc;

use super::{
    path::{Gap, Step},
    pending::{MAX_STEPS, Pending},
};
use crate::event::Stamp;

/// See the module.
#[derive(Default)]
pub(super) struct Thread {
    /// As it is shown.
    pub(super) comm: Arc<str>,
    next_seq: Option<u16>,
    /// A gap that the next path inherits.
    pub(super) gap: Option<Gap>,
    pub(super) unjoined: bool,
    /// Steps whose enclosing call has not returned yet.
    pub(super) inner: Vec<Step>,
    pub(super) pending: Option<Pending>,
}

impl Thread {
    /// Whether it is in the middle of something.
    pub(super) fn is_inside(&self) -> bool {
        self.pending.is_some() || !self.inner.is_empty()
    }

    /// Whether it is in the middle of nothing, nothing of it is missing, and its next record has
    /// this number.
    pub(super) fn awaits(&self, seq: u16) -> bool {
        self.next_seq == Some(seq) && !self.is_inside() && self.gap.is_none() && !self.unjoined
    }

    /// Counts so many of its records, which followed each other.
    pub(super) fn took(&mut self, records: u16) {
        self.next_seq = self.next_seq.map(|seq| seq.wrapping_add(records));
    }

    /// Sees what is missing between this record and the thread's one before. `unseen`: why
    /// there may be none before, though the thread's numbering does not begin here.
    pub(super) fn check_order(&mut self, stamp: &Stamp, unseen: Gap) {
        let gap = match self.next_seq {
            // Numbering begins at 0, and its beginning is always marked.
            _ if stamp.first => (stamp.seq != 0).then_some(Gap::RecordLost),
            Some(expected) => (stamp.seq != expected).then_some(Gap::RecordLost),
            None => Some(unseen),
        };
        if let Some(gap) = gap {
            self.note_gap(gap);
        }
        self.next_seq = Some(stamp.seq.wrapping_add(1));
    }

    fn note_gap(&mut self, gap: Gap) {
        match &mut self.pending {
            Some(pending) => pending.note_gap(gap),
            None => self.gap = Some(gap),
        }
    }

    /// Adds a step whose enclosing call has not returned yet.
    pub(super) fn add_inner(&mut self, step: Step) {
        if self.inner.len() < MAX_STEPS {
            self.inner.push(step);
        } else {
            self.note_gap(Gap::RecordLost);
        }
    }

    /// Records are missing here, of whichever thread: nothing of what comes next is sure to
    /// follow what was before.
    pub(super) fn tear(&mut self) {
        self.next_seq = None;
        self.comm = Arc::default();
        if self.is_inside() {
            self.note_gap(Gap::RecordLost);
        }
    }

    /// Steps that began before the call that now returns were inside one whose record
    /// was lost: they go to the path before.
    pub(super) fn set_apart(&mut self, stamp: &Stamp) {
        let inside = self
            .inner
            .partition_point(|step| step.start_ns < stamp.start_ns);
        if inside > 0 {
            let pending = self.pending.get_or_insert_with(|| Pending::new(stamp.tgid));
            pending.steps.extend(self.inner.drain(..inside));
            pending.note_gap(Gap::RecordLost);
        }
    }

    /// What is pending, or a new beginning with one of the `spare` memories; and the steps whose
    /// enclosing call has not returned yet.
    pub(super) fn go_on(
        &mut self,
        stamp: &Stamp,
        spare: &mut Vec<Vec<Step>>,
    ) -> (&mut Pending, &mut Vec<Step>) {
        let pending = self.pending.get_or_insert_with(|| {
            let mut pending = Pending::new(stamp.tgid);
            pending.steps = spare.pop().unwrap_or_default();
            pending
        });
        pending.tgid = stamp.tgid;
        if stamp.dev != 0 {
            pending.dev = stamp.dev;
        }
        if let Some(gap) = self.gap.take() {
            pending.note_gap(gap);
        }
        (pending, &mut self.inner)
    }
}
