//! Where a live trace's records go: into rows, into a recording, or both.

use std::{io, path::PathBuf};

use nfs_trace_ebpf::abi;

use crate::{mounts::Mount, notice::Notice, session::Session, summary::KernelCounts};

/// What only a live trace can ask, and a replay as far as it was recorded.
pub trait Surroundings {
    /// A symbolised kernel stack.
    fn stack(&mut self, id: u32) -> Option<Vec<String>>;
    /// The mounts as they are now; asked when an unknown super block turns up.
    fn mounts(&mut self) -> Option<Vec<Mount>>;
}

/// A machine that tells nothing.
impl Surroundings for () {
    fn stack(&mut self, _id: u32) -> Option<Vec<String>> {
        None
    }

    fn mounts(&mut self) -> Option<Vec<Mount>> {
        None
    }
}

/// The client's modules are back and traced.
#[derive(Debug, Clone)]
pub struct Resumed {
    /// What is true from now on.
    pub session: Session,
    /// From the news that they are back until every open was seen.
    pub unseen_ms: u64,
    /// Only opens on the mounts that hold these paths are wanted; with none, all.
    pub mounts: Vec<PathBuf>,
}

/// Takes a trace, from the first record to the end.
pub trait Sink {
    /// Takes the bytes of one record.
    ///
    /// # Errors
    /// If something cannot be written.
    fn record(&mut self, bytes: &[u8], around: &mut dyn Surroundings) -> io::Result<()>;
    /// Takes the records of one entry of the transport.
    ///
    /// # Errors
    /// If something cannot be written.
    fn entry(&mut self, entry: &[u8], around: &mut dyn Surroundings) -> io::Result<()> {
        abi::records(entry).try_for_each(|record| self.record(record, around))
    }
    /// The client's modules were unloaded, and so much was counted: what is pending has ended,
    /// and no dentry is left.
    ///
    /// # Errors
    /// If something cannot be written.
    fn interrupt(&mut self, counts: &KernelCounts, around: &mut dyn Surroundings)
    -> io::Result<()>;
    /// They are back and traced.
    ///
    /// # Errors
    /// If something cannot be written.
    fn resume(&mut self, resumed: Resumed) -> io::Result<()>;
    /// The NFSv4 mounts as they are now.
    ///
    /// # Errors
    /// If something cannot be written.
    fn learn_mounts(&mut self, now: Vec<Mount>) -> io::Result<()>;
    /// Something is said between the rows.
    ///
    /// # Errors
    /// If it cannot be written.
    fn notice(&mut self, notice: &Notice<'_>) -> io::Result<()>;
    /// Whether no more is wanted.
    fn is_full(&self) -> bool;
    /// Whether it wants to know now what was counted.
    fn wants_counts(&self) -> bool {
        false
    }
    /// What was counted up to here.
    ///
    /// # Errors
    /// If it cannot be written.
    fn counts(&mut self, _counts: KernelCounts) -> io::Result<()> {
        Ok(())
    }
    /// Pushes out what is buffered.
    ///
    /// # Errors
    /// If it cannot be written.
    fn flush(&mut self) -> io::Result<()>;
    /// The end of the trace.
    ///
    /// # Errors
    /// If something cannot be written.
    fn finish(
        self: Box<Self>,
        kernel: KernelCounts,
        around: &mut dyn Surroundings,
    ) -> io::Result<()>;
}

/// Two at once. If one fails the trace is over, and the other still gets its end.
pub struct Both {
    sinks: Vec<Box<dyn Sink>>,
    failed: Option<io::Error>,
}

impl Both {
    /// The one, then the other.
    #[must_use]
    pub fn new(one: Box<dyn Sink>, other: Box<dyn Sink>) -> Self {
        Self {
            sinks: vec![one, other],
            failed: None,
        }
    }

    fn each(&mut self, mut take: impl FnMut(&mut dyn Sink) -> io::Result<()>) {
        let failed = &mut self.failed;
        self.sinks.retain_mut(|sink| match take(&mut **sink) {
            Ok(()) => true,
            Err(error) => {
                failed.get_or_insert(error);
                false
            }
        });
    }
}

impl Sink for Both {
    fn record(&mut self, bytes: &[u8], around: &mut dyn Surroundings) -> io::Result<()> {
        self.each(|sink| sink.record(bytes, around));
        Ok(())
    }

    fn entry(&mut self, entry: &[u8], around: &mut dyn Surroundings) -> io::Result<()> {
        self.each(|sink| sink.entry(entry, around));
        Ok(())
    }

    fn interrupt(
        &mut self,
        counts: &KernelCounts,
        around: &mut dyn Surroundings,
    ) -> io::Result<()> {
        self.each(|sink| sink.interrupt(counts, around));
        Ok(())
    }

    fn resume(&mut self, resumed: Resumed) -> io::Result<()> {
        self.each(|sink| sink.resume(resumed.clone()));
        Ok(())
    }

    fn learn_mounts(&mut self, now: Vec<Mount>) -> io::Result<()> {
        self.each(|sink| sink.learn_mounts(now.clone()));
        Ok(())
    }

    fn notice(&mut self, notice: &Notice<'_>) -> io::Result<()> {
        self.each(|sink| sink.notice(notice));
        Ok(())
    }

    fn is_full(&self) -> bool {
        self.failed.is_some() || self.sinks.iter().any(|sink| sink.is_full())
    }

    fn wants_counts(&self) -> bool {
        self.sinks.iter().any(|sink| sink.wants_counts())
    }

    fn counts(&mut self, counts: KernelCounts) -> io::Result<()> {
        self.each(|sink| sink.counts(counts.clone()));
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.each(|sink| sink.flush());
        Ok(())
    }

    fn finish(
        self: Box<Self>,
        kernel: KernelCounts,
        around: &mut dyn Surroundings,
    ) -> io::Result<()> {
        let mut failed = self.failed;
        for sink in self.sinks {
            if let Err(error) = sink.finish(kernel.clone(), around) {
                failed.get_or_insert(error);
            }
        }
        failed.map_or(Ok(()), Err)
    }
}
