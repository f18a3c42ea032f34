//! A recording through the pipeline of a trace: for `nfs-trace replay`, and for whatever else
//! makes something of recordings.

mod chosen;

use std::{
    fs::File,
    io::{self, Read},
    num::NonZeroUsize,
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::{Context as _, anyhow};
use lru::LruCache;

use self::chosen::{filter, wanted_mounts};
use crate::{
    cli::{RecordedArgs, ReplayArgs},
    diagnostics,
    exit::Exit,
    filter::Filter,
    mounts::Mount,
    names::{escape, escape_path},
    pipeline::{Pipeline, Show},
    recording::{Damage, Header, Item, Reader, Refusal, Resumption},
    render::Render,
    run::is_broken_pipe,
    show,
    sink::{Resumed, Sink, Surroundings},
    summary::{KernelCounts, Unread},
};

/// Stacks that are kept: as many as the kernel keeps.
const STACKS: NonZeroUsize = NonZeroUsize::new(4096).expect("not zero");
/// Damaged places that are told one by one.
const PLACES_TOLD: u64 = 20;

/// Replays.
///
/// # Errors
/// With the exit status to use; see [`crate::exit`].
pub fn run(args: &ReplayArgs) -> anyhow::Result<ExitCode> {
    let ReplayArgs {
        recorded,
        show,
        verbose,
    } = args;
    exit(play(recorded, |filter, mounts| {
        let render = show::renderer(show, *verbose)?;
        Ok((show::show(show, filter, mounts), render))
    }))
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

/// Replays. `begin` is called when the recording's filters and `--mount` are known, and says what
/// to show, and how. Returns what could not be read.
///
/// # Errors
/// If it cannot be read at all, or what it is shown with cannot be written.
pub fn play(
    args: &RecordedArgs,
    begin: impl FnOnce(Filter, Vec<PathBuf>) -> anyhow::Result<(Show, Box<dyn Render>)>,
) -> anyhow::Result<Unread> {
    Replay::new(args, Box::new(begin)).run()
}

/// The same a second time: what there was to say was said.
///
/// # Errors
/// As [`play`].
pub fn play_again(
    args: &RecordedArgs,
    begin: impl FnOnce(Filter, Vec<PathBuf>) -> anyhow::Result<(Show, Box<dyn Render>)>,
) -> anyhow::Result<Unread> {
    let mut replay = Replay::new(args, Box::new(begin));
    replay.quiet = true;
    replay.run()
}

/// See [`play`].
type Begin<'a> =
    Box<dyn FnOnce(Filter, Vec<PathBuf>) -> anyhow::Result<(Show, Box<dyn Render>)> + 'a>;

struct Replay<'a> {
    args: &'a RecordedArgs,
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
    /// Say nothing on stderr.
    quiet: bool,
}

/// What was recorded of the machine.
struct Recorded {
    stacks: LruCache<u32, Vec<String>>,
}

impl Surroundings for Recorded {
    fn stack(&mut self, id: u32) -> Option<Vec<String>> {
        self.stacks.get(&id).cloned()
    }

    /// They were learned when they changed.
    fn mounts(&mut self) -> Option<Vec<Mount>> {
        None
    }
}

impl<'a> Replay<'a> {
    fn new(args: &'a RecordedArgs, begin: Begin<'a>) -> Self {
        Self {
            args,
            begin: Some(begin),
            pipeline: None,
            around: Recorded {
                stacks: LruCache::new(STACKS),
            },
            part: None,
            read: 0,
            missing: 0,
            ended: false,
            continues: false,
            counts: KernelCounts::default(),
            unread: Unread::default(),
            full: false,
            quiet: false,
        }
    }

    /// Returns what could not be read.
    fn run(mut self) -> anyhow::Result<Unread> {
        let mut outcome = Ok(());
        for path in &self.args.files {
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
                self.around.stacks.put(stack.id, frames.collect());
            }
            Item::End(footer) => {
                let missing = footer.records.saturating_sub(self.read);
                let unknown = missing.saturating_sub(self.missing);
                self.unread.records = self.unread.records.saturating_add(unknown);
                self.counts = footer.counts;
                self.continues = footer.continues;
                self.ended = true;
            }
            Item::Records(records) => {
                for record in records {
                    self.read += 1;
                    if !self.full
                        && let Some(pipeline) = &mut self.pipeline
                    {
                        let taken = pipeline.record(record, &mut self.around);
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
                let quiet = self.quiet;
                if let Some(pipeline) = &mut self.pipeline {
                    let session = pipeline.session().clone();
                    let notice = remark.notice(&session);
                    if !quiet {
                        diagnostics::say(&escape(notice.what.to_string().as_bytes()));
                    }
                    pipeline.notice(&notice).context("failed to write")?;
                }
            }
        }
        Ok(())
    }

    fn say(&self, what: &str) {
        if !self.quiet {
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
                escape(why.as_bytes())
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
        let mounts = wanted_mounts(self.args, mounts);
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
        let Header {
            part,
            architecture,
            command_line,
            filters,
            session,
            ..
        } = header;
        let by = format!("recorded on {architecture} by: {}", command_line.join(" "));
        self.say(&escape(by.as_bytes()));
        let mounts = wanted_mounts(self.args, filters.shown_mounts.clone());
        let filter = filter(self.args, filters)
            .with_context(|| format!("failed to take the filters of `{name}`"))?;
        let begin = self.begin.take().context("a recording begins twice")?;
        let (show, render) = begin(filter, mounts)?;
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
