//! The end of all that is pending, when no more events come or the client's modules have gone.

use super::{Gap, Signals, Tracer, path::OpenPath};

impl Tracer {
    /// Ends everything that is pending: no more events will come. `lost`: whether some
    /// never came, and so may have been of any of these paths.
    pub fn finish(&mut self, lost: bool, done: &mut impl FnMut(&OpenPath)) {
        let Self { threads, paths, .. } = self;
        threads.for_each(|tid, thread| {
            if lost {
                thread.gap.get_or_insert(Gap::RecordLost);
            }
            paths.flush(tid as u32, thread, done);
        });
        threads.clear();
    }

    /// Ends everything that is pending, as [`Self::finish`] does, because the client's modules
    /// were unloaded; no dentry of theirs is left. Threads go on with the numbers of their
    /// records.
    pub fn interrupt(&mut self, lost: bool, done: &mut impl FnMut(&OpenPath)) {
        let Self { threads, paths, .. } = self;
        threads.for_each(|tid, thread| {
            if lost && thread.is_inside() {
                thread.gap.get_or_insert(Gap::RecordLost);
            }
            paths.flush(tid as u32, thread, done);
        });
        paths.names.forget();
    }

    /// The modules are back and probed again, perhaps otherwise; see [`Self::new`].
    pub fn resume(&mut self, signals: Signals, armed_ns: u64) {
        self.paths.signals = signals;
        self.paths.armed_ns = armed_ns;
    }
}
