//! `nfs-trace record`: the records of a live trace into a file, as they come. Nothing is decoded
//! on the way; what replay could not ask the machine any more is asked here.

use std::{
    collections::HashSet,
    ffi::OsString,
    io::{self, Write as _},
    num::NonZeroUsize,
    path::{Path, PathBuf},
    process::ExitCode,
    time::{Duration, Instant},
};

use anyhow::Context as _;
use lru::LruCache;
use nfs_trace_ebpf::abi::{Open, RecordHeader, RecordKind};
use zerocopy::FromBytes as _;

use crate::{
    cli::{FilterArgs, LiveArgs, RecordArgs},
    launch::Prints,
    live::Begin,
    metrics::Metrics,
    mounts::Mount,
    names::escape_path,
    notice::Notice,
    pipeline::{Pipeline, Show},
    recording::{Filters, Header, Output, Parts, Remark, Resumption, Stack},
    render::{footer::losses, header::header},
    run::{self, Beside},
    session::Session,
    show,
    sink::{Both, Resumed, Sink, Surroundings},
    summary::{KernelCounts, Lost},
};

/// Stacks whose names were written: as many as the kernel keeps.
const STACKS: NonZeroUsize = NonZeroUsize::new(4096).expect("not zero");
/// A recording that ends without its end has counts at most this old.
const COUNTS_EVERY: Duration = Duration::from_secs(5);

/// Records.
///
/// # Errors
/// With the exit status to use; see [`crate::exit`].
pub fn run(args: &RecordArgs) -> anyhow::Result<ExitCode> {
    let output = Output {
        path: args.output.clone(),
        rotate: args.rotate,
        max_files: args.max_files,
    };
    output.check()?;
    let to = output.clone();
    let filter = show::filter(&args.filter)?;
    let beside = Beside {
        prints: if output.is_stdout() {
            Prints::ToStderr
        } else {
            Prints::AsItIs
        },
        top: None,
        metrics: Metrics::create(&args.live)?,
    };
    let metrics = beside.metrics.clone();
    let begin: Begin<'_> = Box::new(|session, mounts| {
        let start = header(&session);
        let filters = (&args.live, &args.filter);
        let counted = (session.clone(), mounts.clone());
        let recorder = Box::new(Recorder::create(to, filters, session, mounts)?);
        say(&format!(
            "{start}, recording to {}",
            escape_path(&args.output)
        ));
        let Some(metrics) = metrics else {
            return Ok(recorder);
        };
        // What a replay will show is counted, which takes decoding it.
        let (session, mounts) = counted;
        metrics.begin(&session, &args.live.mount);
        let show = Show {
            filter,
            mounts,
            ..Show::default()
        };
        let counter = Pipeline::start(session, show, Box::new(metrics))?;
        Ok(Box::new(Both::new(recorder, Box::new(counter))))
    });
    run::live(&args.live, args.verbose, &beside, begin)
}

/// Takes the records of a trace into a recording. One that cannot be written is over, and so is
/// the trace; why is told at its end, with what was written until then.
pub struct Recorder {
    parts: Parts,
    /// Records that were to be written.
    records: u64,
    failed: Option<io::Error>,
    /// Super blocks that the mounts hold, and since the last flush those that they do not.
    known: HashSet<u32>,
    unknown: HashSet<u32>,
    /// The known one of the last record: most records are of the same.
    last: u32,
    /// Stacks that are in this part; none where stacks are not taken.
    stacks: Option<LruCache<u32, u32>>,
    counted: Instant,
}

impl Recorder {
    /// Creates the file. `mounts`: see [`Filters::shown_mounts`].
    ///
    /// # Errors
    /// If it cannot be made.
    pub fn create(
        output: Output,
        (live, filter): (&LiveArgs, &FilterArgs),
        session: Session,
        mounts: Vec<PathBuf>,
    ) -> anyhow::Result<Self> {
        let header = Header {
            recording: id()?,
            part: 1,
            architecture: std::env::consts::ARCH.into(),
            command_line: command_line(std::env::args_os()),
            filters: filters(live, filter, mounts),
            session,
        };
        Ok(Self::new(Parts::create(output, header)?, live.stack))
    }

    /// Takes records into these files, with the names of stacks or without.
    #[must_use]
    pub fn new(parts: Parts, stacks: bool) -> Self {
        let mut recorder = Self {
            parts,
            records: 0,
            failed: None,
            known: HashSet::new(),
            unknown: HashSet::new(),
            last: 0,
            stacks: stacks.then(|| LruCache::new(STACKS)),
            counted: Instant::now(),
        };
        recorder.know_mounts();
        recorder
    }

    /// Does it, unless something failed before.
    fn attempt(&mut self, write: impl FnOnce(&mut Self) -> io::Result<()>) -> io::Result<()> {
        if self.failed.is_none()
            && let Err(error) = write(self)
        {
            self.failed = Some(error);
        }
        Ok(())
    }

    fn take(&mut self, record: &[u8], around: &mut dyn Surroundings) -> io::Result<()> {
        self.parts.make_room()?;
        let dev = dev(record);
        if dev != 0 && dev != self.last {
            self.look_at(dev, around)?;
        }
        if self.stacks.is_some() {
            self.name_stack(record, around)?;
        }
        self.parts.record(record)
    }

    /// What it came to.
    fn tell(&self, lost: Lost) {
        let total = self.parts.total();
        let mut line = format!("{} records, {} bytes", total.records, total.bytes);
        if total.parts > 1 {
            line += &format!(" in {} parts", total.parts - total.removed);
        }
        if total.removed > 0 {
            line += &format!(", the {} parts before them were removed", total.removed);
        }
        say(&line);
        let mut losses = losses(lost);
        let unwritten = self.records.saturating_sub(total.records);
        if unwritten > 0 {
            losses.push(format!("{unwritten} records that could not be written"));
        }
        if losses.is_empty() {
            say("nothing lost");
        } else {
            say(&format!("LOST: {}", losses.join(", ")));
        }
    }

    fn know_mounts(&mut self) {
        let mounts = self.parts.known_mounts().iter();
        self.known = mounts.map(|mount| mount.dev).collect();
        self.last = 0;
    }

    /// Sees whether the mounts that are known have a super block. Rare, and kept out of what is done
    /// with each record.
    #[cold]
    fn look_at(&mut self, dev: u32, around: &mut dyn Surroundings) -> io::Result<()> {
        if self.known.contains(&dev) {
            self.last = dev;
        } else if !self.unknown.contains(&dev) {
            self.ask_about(dev, around)?;
        }
        Ok(())
    }

    /// Reads the mounts again because of a super block that none of them has: a mount that is
    /// new, or one of another mount namespace, which is asked about once a flush.
    fn ask_about(&mut self, dev: u32, around: &mut dyn Surroundings) -> io::Result<()> {
        self.unknown.insert(dev);
        if let Some(mounts) = around.mounts()
            && *mounts != *self.parts.known_mounts()
        {
            self.parts.mounts(mounts)?;
            self.know_mounts();
        }
        Ok(())
    }

    /// The record's stack, if it has one that this part does not name yet. Out of the way of those
    /// who want none.
    #[inline(never)]
    fn name_stack(&mut self, record: &[u8], around: &mut dyn Surroundings) -> io::Result<()> {
        let Some(stacks) = &mut self.stacks else {
            return Ok(());
        };
        let Ok((header, payload)) = RecordHeader::read_from_prefix(record) else {
            return Ok(());
        };
        let kind = RecordKind::from_u8(header.kind);
        if !matches!(kind, Some(RecordKind::FileOpen | RecordKind::AtomicOpen)) {
            return Ok(());
        }
        let Ok((open, _)) = Open::read_from_prefix(payload) else {
            return Ok(());
        };
        let Ok(id) = u32::try_from(open.stack_id) else {
            return Ok(());
        };
        if stacks.put(id, self.parts.part()) != Some(self.parts.part())
            && let Some(frames) = around.stack(id)
        {
            self.parts.stack(&Stack { id, frames })?;
        }
        Ok(())
    }
}

impl Sink for Recorder {
    fn record(&mut self, bytes: &[u8], around: &mut dyn Surroundings) -> io::Result<()> {
        self.records += 1;
        self.attempt(|it| it.take(bytes, around))
    }

    fn interrupt(&mut self, counts: &KernelCounts, _: &mut dyn Surroundings) -> io::Result<()> {
        self.attempt(|it| it.parts.interruption(counts))
    }

    fn resume(&mut self, resumed: Resumed) -> io::Result<()> {
        let Resumed {
            session,
            unseen_ms,
            mounts,
        } = resumed;
        let resumption = Resumption {
            session,
            unseen_ms,
            mounts,
        };
        self.attempt(|it| it.parts.resumption(resumption))?;
        // The functions may have other addresses now.
        if let Some(stacks) = &mut self.stacks {
            stacks.clear();
        }
        self.know_mounts();
        Ok(())
    }

    fn learn_mounts(&mut self, now: Vec<Mount>) -> io::Result<()> {
        self.attempt(|it| it.parts.mounts(now))?;
        self.know_mounts();
        Ok(())
    }

    fn notice(&mut self, notice: &Notice<'_>) -> io::Result<()> {
        self.attempt(|it| {
            it.parts.remark(&Remark::of(notice))?;
            it.parts.flush()
        })
    }

    fn is_full(&self) -> bool {
        self.failed.is_some()
    }

    fn wants_counts(&self) -> bool {
        self.counted.elapsed() >= COUNTS_EVERY
    }

    fn counts(&mut self, counts: KernelCounts) -> io::Result<()> {
        self.counted = Instant::now();
        self.attempt(|it| it.parts.counts(counts))
    }

    fn flush(&mut self) -> io::Result<()> {
        self.unknown.clear();
        self.attempt(|it| it.parts.flush())
    }

    fn finish(
        mut self: Box<Self>,
        kernel: KernelCounts,
        _: &mut dyn Surroundings,
    ) -> io::Result<()> {
        let lost = kernel.lost(0);
        self.attempt(|it| it.parts.finish(kernel))?;
        self.tell(lost);
        match self.failed {
            None => Ok(()),
            Some(error) => {
                let what = format!("`{}`: {error}", escape_path(self.parts.file()));
                Err(io::Error::new(error.kind(), what))
            }
        }
    }
}

/// The super block of a record; 0 if it has none.
fn dev(record: &[u8]) -> u32 {
    const AT: usize = std::mem::offset_of!(RecordHeader, dev);
    record
        .get(AT..AT + 4)
        .and_then(|bytes| bytes.try_into().ok())
        .map_or(0, u32::from_ne_bytes)
}

/// For people, on stderr; nobody may read it.
fn say(line: &str) {
    let _ = writeln!(io::stderr(), "{line}");
}

/// What was typed, or its beginning: every part of a recording has it, and it may be megabytes.
fn command_line(words: impl Iterator<Item = OsString>) -> Vec<String> {
    const MOST: usize = 16 << 10;
    let mut left = MOST;
    let mut shown = Vec::new();
    for word in words {
        let word = word.to_string_lossy().into_owned();
        let Some(rest) = left.checked_sub(word.len() + 1) else {
            shown.push("...".into());
            break;
        };
        left = rest;
        shown.push(word);
    }
    shown
}

/// What no other recording has.
fn id() -> anyhow::Result<String> {
    let path = Path::new("/proc/sys/kernel/random/uuid");
    let id = std::fs::read_to_string(path)
        .with_context(|| format!("failed to read `{}`", path.display()))?;
    Ok(id.trim().into())
}

fn filters(live: &LiveArgs, filter: &FilterArgs, shown_mounts: Vec<PathBuf>) -> Filters {
    let text = |path: &PathBuf| path.display().to_string();
    Filters {
        mount: live.mount.iter().map(text).collect(),
        pid: live.pid.clone(),
        command: !live.command.is_empty(),
        shown_mounts,
        path: filter.path.clone(),
        comm: filter.comm.clone(),
        open_path: filter
            .open_path
            .iter()
            .map(|word| word.word().to_string())
            .collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_long_command_line_the_beginning_is_kept() {
        let words = |n| command_line(["a".into(), "x".repeat(n).into()].into_iter());
        assert_eq!(words(5), ["a", "xxxxx"]);
        assert_eq!(words((16 << 10) - 3).len(), 2);
        assert_eq!(words((16 << 10) - 2), ["a", "..."]);
    }
}
