//! `nfs-trace replay`: a recording through the pipeline of a trace. `report` and `diff` read by it
//! too.

mod source;

use std::{
    fs::File,
    io::{self, Read},
    path::Path,
    process::ExitCode,
};

use anyhow::{Context as _, anyhow};

pub use self::source::{Begin, Limits, Source, not_over, say_origin};
use crate::{
    cli::{ReplayArgs, ShowArgs},
    diagnostics,
    exit::Exit,
    mounts::Mount,
    names::{escape, escape_path, tame},
    pipeline::{Pipeline, Show},
    recording::{Damage, EntryRoom, Header, Item, Reader, Refusal, Resumption, Stacks},
    run::is_broken_pipe,
    show,
    sink::{Resumed, Sink, Surroundings},
    summary::{KernelCounts, Unread},
};

/// Damaged places that are told one by one.
const PLACES_TOLD: u64 = 20;

/// Replays.
///
/// # Errors
/// With the exit status to use; see [`crate::exit`].
pub fn run(args: &ReplayArgs) -> anyhow::Result<ExitCode> {
    if let Some(output) = &args.show.output {
        not_over(&args.recorded.files, output)?;
    }
    let ShowArgs {
        count,
        raw_pointers,
        ..
    } = args.show;
    let limits = Limits {
        count,
        raw_pointers,
        quiet: false,
    };
    let begin: Begin<'_> = Box::new(|header| {
        say_origin(header);
        show::renderer(&args.show, args.verbose)
    });
    exit(through((&args.recorded).into(), limits, begin))
}

/// The exit status of what was made of a recording.
///
/// # Errors
/// What went wrong, but for a reader who has seen enough.
pub fn exit(outcome: anyhow::Result<Unread>) -> anyhow::Result<ExitCode> {
    match outcome {
        Err(error) if is_broken_pipe(&error) => Ok(Exit::Ok.into()),
        Err(error) => Err(error),
        Ok(unread) if unread.is_damaged() => Ok(Exit::Failure.into()),
        Ok(_) => Ok(Exit::Ok.into()),
    }
}

/// Reads a recording, and hands its rows to what `begin` makes. What is damaged is said on stderr.
/// Returns what could not be read.
///
/// # Errors
/// If nothing, or from some place on nothing more, can be read, or rows cannot be written.
pub fn through(source: Source<'_>, limits: Limits, begin: Begin<'_>) -> anyhow::Result<Unread> {
    Replay::new(source, limits, begin).run()
}

struct Replay<'a> {
    source: Source<'a>,
    limits: Limits,
    begin: Option<Begin<'a>>,
    pipeline: Option<Box<Pipeline>>,
    around: Recorded,
    /// The last part that was begun: its recording and number.
    part: Option<(String, u32)>,
    /// Records of it that were read, and those that its damage is known to have cost.
    read: u64,
    missing: u64,
    /// Whether it has come to its end, and whether another part belongs behind that.
    ended: bool,
    continues: bool,
    counts: KernelCounts,
    unread: Unread,
    /// All the rows asked for were shown.
    full: bool,
}

/// What was recorded of the machine.
struct Recorded {
    stacks: Stacks,
}

impl Surroundings for Recorded {
    fn stack(&mut self, id: u32) -> Option<Vec<String>> {
        self.stacks.get(id).map(<[_]>::to_vec)
    }

    /// They were learned when they changed.
    fn mounts(&mut self) -> Option<Vec<Mount>> {
        None
    }
}

impl<'a> Replay<'a> {
    fn new(source: Source<'a>, limits: Limits, begin: Begin<'a>) -> Self {
        Self {
            source,
            limits,
            begin: Some(begin),
            pipeline: None,
            around: Recorded {
                stacks: Stacks::new(),
            },
            part: None,
            read: 0,
            missing: 0,
            ended: false,
            continues: false,
            counts: KernelCounts::default(),
            unread: Unread::default(),
            full: false,
        }
    }

    /// Returns what could not be read.
    fn run(mut self) -> anyhow::Result<Unread> {
        let mut outcome = Ok(());
        for path in self.source.files {
            outcome = self.input(path);
            if outcome.is_err() || self.full {
                break;
            }
        }
        if outcome.is_err() && self.pipeline.is_some() {
            self.unread.no_end = true;
        }
        if self.unread.places > PLACES_TOLD {
            self.say(&format!(
                "{} more damaged places",
                self.unread.places - PLACES_TOLD
            ));
        }
        self.unread.later_parts = self.continues && !self.full;
        if let Some(mut pipeline) = self.pipeline {
            pipeline.unread(self.unread);
            let finished = pipeline.finish(self.counts, &mut self.around);
            outcome = outcome.and(finished.context("failed to write"));
        }
        outcome.map(|()| self.unread)
    }

    fn input(&mut self, path: &Path) -> anyhow::Result<()> {
        let name = escape_path(path);
        let (input, is_pipe): (Box<dyn Read>, bool) = if path.as_os_str() == "-" {
            (Box::new(io::stdin()), true)
        } else {
            let file = File::open(path).with_context(|| format!("failed to open `{name}`"))?;
            let is_file = file.metadata().is_ok_and(|file| file.is_file());
            (Box::new(file), !is_file)
        };
        let mut reader = Reader::new(input);
        while let Some(item) = reader.read().map_err(|error| refused(&name, error))? {
            self.item(item, &name)?;
            if self.full && is_pipe {
                // More of it may never come.
                break;
            }
        }
        Ok(())
    }

    fn item(&mut self, item: Item<'_>, name: &str) -> anyhow::Result<()> {
        match item {
            Item::Begin(header) => return self.begin(*header, name),
            Item::Damage(damage) => self.damage(&damage, name),
            Item::NoEnd(at) => {
                self.say(&format!(
                    "{name}: byte {at}: the recording has no end: it is still being written, or \
                     was cut short"
                ));
                self.unread.no_end = true;
            }
            Item::Counts(counts) => self.counts = counts,
            Item::Mounts(mounts) => {
                if let Some(pipeline) = &mut self.pipeline {
                    pipeline.learn_mounts(mounts)?;
                }
            }
            Item::Stack(stack) => {
                // A recording may hold any words.
                let frames = stack.frames.iter().map(|frame| escape(frame.as_bytes()));
                self.around.stacks.learn(stack.id, frames.collect());
            }
            Item::End(footer) => {
                let missing = footer.records.saturating_sub(self.read);
                let unknown = missing.saturating_sub(self.missing);
                self.unread.records = self.unread.records.saturating_add(unknown);
                self.counts = footer.counts;
                self.continues = footer.continues;
                self.ended = true;
            }
            Item::Records(mut records) => {
                let mut room = [0; size_of::<EntryRoom>()];
                while let Some((entry, count)) = records.next_entry(&mut room) {
                    self.read += count;
                    if !self.full
                        && let Some(pipeline) = &mut self.pipeline
                    {
                        // One that is damaged is one, whatever lies behind it.
                        let taken = match count {
                            1 => pipeline.record(entry, &mut self.around),
                            _ => pipeline.entry(entry, &mut self.around),
                        };
                        taken.context("failed to write")?;
                    }
                }
                self.flush()?;
            }
            Item::Known(records) => {
                if let Some(pipeline) = &mut self.pipeline {
                    records.for_each(|record| pipeline.learn(record));
                }
            }
            Item::Interruption(counts) => {
                if let Some(pipeline) = &mut self.pipeline {
                    let taken = pipeline.interrupt(&counts, &mut self.around);
                    taken.context("failed to write")?;
                }
                self.counts = counts;
            }
            Item::Resumption(resumption) => self.resume(*resumption)?,
            Item::Remark(remark) => {
                let quiet = self.limits.quiet;
                if let Some(pipeline) = &mut self.pipeline {
                    let session = pipeline.session().clone();
                    let notice = remark.notice(&session);
                    if !quiet {
                        diagnostics::say(&tame(&notice.what.to_string()));
                    }
                    pipeline.notice(&notice).context("failed to write")?;
                }
            }
        }
        Ok(())
    }

    fn say(&self, what: &str) {
        if !self.limits.quiet {
            diagnostics::say(&what);
        }
    }

    fn flush(&mut self) -> anyhow::Result<()> {
        if let Some(pipeline) = &mut self.pipeline {
            pipeline.flush().context("failed to write")?;
            self.full = pipeline.is_full();
        }
        Ok(())
    }

    fn damage(&mut self, damage: &Damage, name: &str) {
        let Damage {
            at,
            bytes,
            records,
            why,
        } = damage;
        self.unread.places += 1;
        self.unread.bytes = self.unread.bytes.saturating_add(*bytes);
        if let Some(records) = records {
            self.missing = self.missing.saturating_add(*records);
            self.unread.records = self.unread.records.saturating_add(*records);
        }
        if self.unread.places <= PLACES_TOLD {
            let cost = match records {
                Some(records) => format!("{records} records"),
                None => "it is not known what".into(),
            };
            self.say(&format!(
                "{name}: byte {at}: {}: {bytes} bytes left out, and with them {cost}",
                tame(why)
            ));
        }
        if let Some(pipeline) = &mut self.pipeline {
            pipeline.tear();
        }
    }

    /// A recording begins, or a part of one.
    fn begin(&mut self, header: Header, name: &str) -> anyhow::Result<()> {
        let part = (header.recording.clone(), header.part);
        if let Some((recording, number)) = &self.part {
            if *recording != header.recording {
                return Err(anyhow!(
                    "{name}: this is another recording: replay it by itself"
                ));
            }
            if header.part.checked_sub(1) != Some(*number) {
                return Err(anyhow!(
                    "{name}: part {} of the recording does not come behind part {number}: give the \
                     parts in their order, without gaps",
                    header.part
                ));
            }
            // A part without its end may have lost what came last.
            if !self.ended
                && let Some(pipeline) = &mut self.pipeline
            {
                pipeline.tear();
            }
        } else {
            self.first(header, name)?;
        }
        self.part = Some(part);
        self.read = 0;
        self.missing = 0;
        self.ended = false;
        self.continues = false;
        Ok(())
    }

    fn resume(&mut self, resumption: Resumption) -> anyhow::Result<()> {
        let Resumption {
            session,
            unseen_ms,
            mounts,
        } = resumption;
        let mounts = self.source.mounts(mounts);
        if let Some(pipeline) = &mut self.pipeline {
            pipeline.resume(Resumed {
                session,
                unseen_ms,
                mounts,
            })?;
        }
        Ok(())
    }

    fn first(&mut self, header: Header, name: &str) -> anyhow::Result<()> {
        let Some(begin) = self.begin.take() else {
            return Ok(());
        };
        let render = begin(&header)?;
        let Header {
            part,
            filters,
            session,
            ..
        } = header;
        let mounts = self.source.mounts(filters.shown_mounts.clone());
        let filter = self
            .source
            .filter(filters)
            .with_context(|| format!("failed to take the filters of `{name}`"))?;
        let Limits {
            count,
            raw_pointers,
            ..
        } = self.limits;
        let show = Show {
            filter,
            mounts,
            count,
            raw_pointers,
        };
        let mut pipeline =
            Pipeline::start(session, show, render).context("failed to write to stdout")?;
        if part > 1 {
            self.unread.earlier_parts = true;
            pipeline.begin_in_the_middle();
        }
        self.pipeline = Some(Box::new(pipeline));
        Ok(())
    }
}

fn refused(name: &str, error: Refusal) -> anyhow::Error {
    match error {
        Refusal::Io(error) => {
            anyhow::Error::from(error).context(format!("failed to read `{name}`"))
        }
        error => anyhow!("{name}: {error}"),
    }
}
