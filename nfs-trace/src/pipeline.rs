//! Bytes to rows: decode, reconstruct, filter, render. Live traces and replays share it.

use std::{io, path::PathBuf};

use nfs_trace_ebpf::abi;

use crate::{
    decode::{decode, decode_whole},
    event::WholeOpen,
    filter::Filter,
    known_mounts::{WantedMounts, remember},
    mounts::Mount,
    notice::Notice,
    render::Render,
    row::Row,
    session::Session,
    sink::{Resumed, Sink, Surroundings},
    summary::{KernelCounts, Summary, Unread},
    trace::{OpenPath, Signals, Tracer},
};

/// How to show rows.
#[derive(Debug, Default)]
pub struct Show {
    /// Which rows.
    pub filter: Filter,
    /// Only opens on the mounts that hold these paths; empty for all that the kernel lets
    /// through.
    pub mounts: Vec<PathBuf>,
    /// Stop after this many.
    pub count: Option<u64>,
    /// With the dentry's address.
    pub raw_pointers: bool,
}

/// The stages in a row.
pub struct Pipeline {
    tracer: Tracer,
    rows: Rows,
}

/// Those behind the tracer.
struct Rows {
    session: Session,
    signals: Signals,
    show: Show,
    wanted: WantedMounts,
    render: Box<dyn Render>,
    summary: Summary,
}

impl Pipeline {
    /// Renders the start.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn start(session: Session, show: Show, mut render: Box<dyn Render>) -> io::Result<Self> {
        render.start(&session)?;
        render.flush()?;
        let signals = session.signals();
        let tracer = Tracer::new(signals, session.armed_ns);
        let wanted = WantedMounts::new(show.mounts.clone(), &session.mounts);
        Ok(Self {
            tracer,
            rows: Rows {
                session,
                signals,
                show,
                wanted,
                render,
                summary: Summary::new(signals),
            },
        })
    }

    /// What comes is the later part of a recording.
    pub fn begin_in_the_middle(&mut self) {
        self.tracer.begin_in_the_middle();
    }

    /// Takes the bytes of a record that names what was known before the first one.
    pub fn learn(&mut self, bytes: &[u8]) {
        if let Ok(event) = decode(bytes, self.rows.session.lookup_flags) {
            self.tracer.learn(event);
        }
    }

    /// Records are missing here, of whichever threads and dentries.
    pub fn tear(&mut self) {
        self.tracer.tear();
    }

    /// What could not be read of a recording, as far as is known.
    pub fn unread(&mut self, unread: Unread) {
        self.rows.summary.unread = unread;
    }

    /// What is true of the machine now.
    #[must_use]
    pub fn session(&self) -> &Session {
        &self.rows.session
    }
}

impl Rows {
    fn is_full(&self) -> bool {
        self.show
            .count
            .is_some_and(|count| self.summary.opens() >= count)
    }

    /// Paths that ended together.
    fn paths(&mut self, mut done: Vec<OpenPath>, around: &mut dyn Surroundings) -> io::Result<()> {
        done.sort_by_key(|path| path.start_ns);
        done.iter().try_for_each(|path| self.path(path, around))
    }

    fn path(&mut self, path: &OpenPath, around: &mut dyn Surroundings) -> io::Result<()> {
        // The trace is over with the last row asked for; what else the buffer holds is
        // not filtered out, it came after the end.
        if self.is_full() {
            return Ok(());
        }
        if path.dev != 0
            && self.session.mount(path.dev).is_none()
            && let Some(mounts) = around.mounts()
        {
            self.know_mounts(mounts);
        }
        let stack = path.stack.and_then(|id| around.stack(id));
        let mount = self.session.mount(path.dev);
        let mut row = Row::new(path, &self.session, self.signals, mount, stack);
        if self.show.raw_pointers {
            row.dentry_pointer = Some(path.dentry);
        }
        if !self.wanted.lets(path.dev) || !self.show.filter.lets(&row) {
            self.summary.hide(&row);
            self.render.hidden(path, &row, mount);
            return Ok(());
        }
        self.summary.show(&row);
        self.render.path(path, &row, mount)
    }

    fn know_mounts(&mut self, now: Vec<Mount>) {
        self.wanted.look(&now);
        remember(&mut self.session.mounts, now);
    }
}

impl Sink for Pipeline {
    fn record(&mut self, bytes: &[u8], around: &mut dyn Surroundings) -> io::Result<()> {
        let Self { tracer, rows } = self;
        rows.summary.events += 1;
        let Ok(event) = decode(bytes, rows.session.lookup_flags) else {
            rows.summary.undecodable += 1;
            return Ok(());
        };
        let mut outcome = Ok(());
        tracer.push(event, &mut |path| {
            if outcome.is_ok() {
                outcome = rows.path(path, around);
            }
        });
        outcome
    }

    /// Most entries are a whole open.
    fn entry(&mut self, entry: &[u8], around: &mut dyn Surroundings) -> io::Result<()> {
        let Self { tracer, rows } = self;
        if let Some(whole) = decode_whole(entry, rows.session.lookup_flags) {
            let mut outcome = Ok(());
            let taken = tracer.push_whole(&whole, &mut |path| outcome = rows.path(path, around));
            if taken {
                rows.summary.events += WholeOpen::RECORDS;
                return outcome;
            }
        }
        abi::records(entry).try_for_each(|record| self.record(record, around))
    }

    /// Ends what is pending.
    fn interrupt(
        &mut self,
        counts: &KernelCounts,
        around: &mut dyn Surroundings,
    ) -> io::Result<()> {
        let mut done = Vec::new();
        self.tracer
            .interrupt(may_miss_records(counts), &mut |path| {
                done.push(path.clone());
            });
        self.rows.paths(done, around)?;
        self.rows.summary.reloads.gone += 1;
        self.counts(counts.clone())
    }

    fn resume(&mut self, resumed: Resumed) -> io::Result<()> {
        let Resumed {
            session,
            unseen_ms,
            mounts,
        } = resumed;
        self.rows.signals = session.signals();
        self.tracer.resume(self.rows.signals, session.armed_ns);
        self.rows
            .summary
            .attached_again(self.rows.signals, unseen_ms);
        self.rows.wanted = WantedMounts::new(mounts, &session.mounts);
        self.rows.session = session;
        Ok(())
    }

    fn learn_mounts(&mut self, now: Vec<Mount>) -> io::Result<()> {
        self.rows.know_mounts(now);
        Ok(())
    }

    fn notice(&mut self, notice: &Notice<'_>) -> io::Result<()> {
        self.rows.render.notice(notice)?;
        self.rows.render.flush()
    }

    fn is_full(&self) -> bool {
        self.rows.is_full()
    }

    fn wants_counts(&self) -> bool {
        self.rows.render.wants_counts()
    }

    fn counts(&mut self, counts: KernelCounts) -> io::Result<()> {
        self.rows.summary.kernel = counts;
        self.rows.render.counts(&self.rows.summary)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.rows.render.flush()
    }

    /// Ends what is pending and renders the end.
    fn finish(
        mut self: Box<Self>,
        kernel: KernelCounts,
        around: &mut dyn Surroundings,
    ) -> io::Result<()> {
        let mut done = Vec::new();
        let unread = &self.rows.summary.unread;
        let lost = may_miss_records(&kernel) || unread.later_parts || unread.is_damaged();
        self.tracer
            .finish(lost, &mut |path| done.push(path.clone()));
        self.rows.paths(done, around)?;
        self.rows.summary.kernel = kernel;
        self.rows.summary.outside_paths = self.tracer.outside_paths();
        self.rows.render.end(&self.rows.summary)?;
        self.rows.render.flush()
    }
}

/// Whether what is pending may lack records.
fn may_miss_records(kernel: &KernelCounts) -> bool {
    kernel.records > 0 || kernel.returns > 0
}
