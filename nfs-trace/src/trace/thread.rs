//! One thread's state between its events: what is pending, and whether a record of it is
//! missing.

use super::{
    path::{Gap, Step},
    pending::Pending,
};
use crate::event::Stamp;

/// See the module.
#[derive(Default)]
pub(super) struct Thread {
    pub(super) comm: Box<[u8]>,
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

    /// Sees what is missing between this record and the thread's one before.
    pub(super) fn check_order(&mut self, stamp: &Stamp) {
        let lost = match self.next_seq {
            // Numbering begins at 0, and its beginning is always marked.
            _ if stamp.first => stamp.seq != 0,
            Some(expected) => stamp.seq != expected,
            None => true,
        };
        if lost {
            match &mut self.pending {
                Some(pending) => pending.note_gap(Gap::RecordLost),
                None => self.gap = Some(Gap::RecordLost),
            }
        }
        self.next_seq = Some(stamp.seq.wrapping_add(1));
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

    /// What is pending, or a new beginning.
    pub(super) fn take_pending(&mut self, stamp: &Stamp) -> Pending {
        let mut pending = self
            .pending
            .take()
            .unwrap_or_else(|| Pending::new(stamp.tgid));
        pending.tgid = stamp.tgid;
        if stamp.dev != 0 {
            pending.dev = stamp.dev;
        }
        if let Some(gap) = self.gap.take() {
            pending.note_gap(gap);
        }
        pending
    }
}
