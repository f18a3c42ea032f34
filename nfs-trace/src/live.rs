//! A live trace: programs, buffer and what takes the records, from the first attaching to the last
//! row, over any number of times that the client's modules are unloaded and loaded again.

use std::{io, path::PathBuf, time::Duration};

use anyhow::Context as _;
use jiff::Timestamp;
use tokio::time::{Instant, sleep};

use crate::{
    attach::{Attached, Options},
    calibrate,
    cli::LiveArgs,
    clock::monotonic_ns,
    diagnostics,
    kernel::{Facts, symbols::AddressMap},
    known_mounts::WantedMounts,
    modules,
    mounts::{self, Mount},
    notice::{self, Notice, What},
    session::{Session, StartupMs},
    sink::{Resumed, Sink, Surroundings},
    startup::{self, Wanted, milliseconds},
    trace::ARMING_NS,
    transport::Reader,
};

const WRITE: &str = "failed to write";

/// Attached and armed.
pub struct Armed {
    attached: Attached,
    reader: Reader,
    session: Session,
}

impl Armed {
    /// Attaches to what `facts` has found, in `facts_took`, and arms.
    ///
    /// # Errors
    /// If the machine cannot do what is asked for.
    pub fn new(
        args: &LiveArgs,
        facts: &Facts,
        facts_took: Duration,
        wanted: &Wanted,
    ) -> anyhow::Result<Self> {
        let start = Instant::now();
        let layout = calibrate::layout(&args.layout, facts)?;
        let facts_took = facts_took + start.elapsed();
        startup::tells_mounts(args, &layout)?;
        let start = Instant::now();
        let options = Options {
            transport: args.transport,
            buffer: args.buffer * 1024,
            stacks: args.stack,
            detail: false,
        };
        let mut attached = Attached::new(facts, &layout, &wanted.filters, &options)?;
        let reader = attached.take_reader()?;
        attached.arm()?;
        let startup_ms = startup_ms(facts_took, start, &attached);
        let session = startup::session(facts, &layout, &attached, startup_ms)?;
        Ok(Self {
            attached,
            reader,
            session,
        })
    }
}

fn startup_ms(facts_took: Duration, attach_start: Instant, attached: &Attached) -> StartupMs {
    StartupMs {
        facts: milliseconds(facts_took),
        attach: milliseconds(attach_start.elapsed()),
        verify: milliseconds(attached.verify),
    }
}

/// See [`Live::start`].
pub type Begin<'a> = Box<dyn FnOnce(Session, Vec<PathBuf>) -> anyhow::Result<Box<dyn Sink>> + 'a>;

/// The trace that is running.
pub struct Live {
    reader: Reader,
    sink: Box<dyn Sink>,
    around: Around,
    /// The paths of `--mount`.
    mounts: Vec<PathBuf>,
    /// What they are on, for the kernel to sort out.
    wanted: WantedMounts,
}

impl Live {
    /// Has `begin` make, of the session and of the mounts that are to be shown (with none, all),
    /// what takes the records.
    ///
    /// # Errors
    /// What `begin` returns.
    pub fn start(armed: Armed, wanted: Wanted, begin: Begin<'_>) -> anyhow::Result<Self> {
        let Armed {
            attached,
            reader,
            session,
        } = armed;
        let Wanted { filters, mounts } = wanted;
        let shown = if filters.devs.is_empty() {
            mounts.clone()
        } else {
            Vec::new()
        };
        let wanted = WantedMounts::new(mounts.clone(), &session.mounts);
        Ok(Self {
            reader,
            wanted,
            sink: begin(session, shown)?,
            around: Around {
                attached,
                addresses: None,
            },
            mounts,
        })
    }

    /// Waits until there may be something to take.
    ///
    /// # Errors
    /// If the buffer cannot be polled.
    pub async fn ready(&mut self) -> io::Result<()> {
        self.reader.ready().await
    }

    /// Something was mounted or unmounted. What is mounted anew in a place of `--mount` is wanted
    /// from here on.
    ///
    /// # Errors
    /// If a map refuses, or it cannot be written.
    pub fn mounts_changed(&mut self) -> anyhow::Result<()> {
        let Some(now) = self.around.mounts() else {
            return Ok(());
        };
        self.wanted.look(&now);
        self.around.attached.want_devs(self.wanted.devs())?;
        self.sink.learn_mounts(now).context(WRITE)
    }

    /// Whether no more is wanted.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.sink.is_full()
    }

    /// Takes what is in the buffer. Returns whether there was anything.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn drain(&mut self) -> io::Result<bool> {
        self.take(|reader, take| reader.drain(take))
    }

    /// Tells what was counted up to now.
    ///
    /// # Errors
    /// If it cannot be read or written.
    pub fn count(&mut self) -> anyhow::Result<()> {
        let counts = self.around.attached.counts(&self.reader.arriving())?;
        self.sink.counts(counts).context(WRITE)
    }

    /// Takes all there is, when nothing is added any more.
    fn drain_rest(&mut self) -> anyhow::Result<()> {
        let kept = self.around.attached.kept()?;
        self.take(|reader, take| reader.drain_rest(&kept, take).map(|()| true))
            .context(WRITE)
            .map(drop)
    }

    fn take(
        &mut self,
        drain: impl FnOnce(&mut Reader, &mut dyn FnMut(&[u8]) -> io::Result<()>) -> io::Result<bool>,
    ) -> io::Result<bool> {
        let Self {
            reader,
            sink,
            around,
            ..
        } = self;
        let any = drain(reader, &mut |entry| sink.entry(entry, around))?;
        if any {
            around.attached.flush_log();
            sink.flush()?;
            if sink.wants_counts() {
                let counts = around.attached.counts(&reader.arriving());
                sink.counts(counts.map_err(io::Error::other)?)?;
            }
        }
        Ok(any)
    }

    /// A module of the client was unloaded (or, with none, may have been): shows what was seen
    /// until then, and lets go of the functions.
    ///
    /// # Errors
    /// If the kernel refuses, or the rows cannot be written.
    pub fn let_go(&mut self, module: Option<&str>) -> anyhow::Result<()> {
        self.around.attached.detach_probes()?;
        self.drain_rest()?;
        let counts = self.around.attached.counts(&self.reader.arrived())?;
        self.sink
            .interrupt(&counts, &mut self.around)
            .context(WRITE)?;
        self.say(What::Gone { module })
    }

    /// Attaches again if the client is there. `back`: when that was heard. Returns whether it
    /// is.
    ///
    /// # Errors
    /// If it cannot be said.
    pub async fn attach_again(&mut self, args: &LiveArgs, back: Instant) -> anyhow::Result<bool> {
        let start = Instant::now();
        let facts = startup::facts(args);
        if !modules::are_loaded(&facts) {
            return Ok(false);
        }
        match self.arm_again(args, &facts, start) {
            Ok(session) => {
                sleep(Duration::from_nanos(ARMING_NS)).await;
                let unseen_ms = milliseconds(back.elapsed());
                let resumed = Resumed {
                    session: session.clone(),
                    unseen_ms,
                    mounts: self.mounts.clone(),
                };
                self.sink.resume(resumed).context(WRITE)?;
                let attached = notice::Attached::new(&session, unseen_ms);
                self.say(What::Attached(attached))?;
                Ok(true)
            }
            Err(error) => {
                self.around.attached.detach_probes()?;
                // If it has gone again meanwhile, that was announced and is no failure.
                if modules::are_loaded(&startup::facts(args)) {
                    let why = format!("{error:#}");
                    self.say(What::Refused { why })?;
                }
                Ok(false)
            }
        }
    }

    fn arm_again(
        &mut self,
        args: &LiveArgs,
        facts: &Facts,
        start: Instant,
    ) -> anyhow::Result<Session> {
        if let Some(error) = startup::cannot(facts) {
            return Err(error);
        }
        let layout = calibrate::layout(&args.layout, facts)?;
        startup::tells_mounts(args, &layout)?;
        let facts_took = start.elapsed();
        let start = Instant::now();
        let Around {
            attached,
            addresses,
        } = &mut self.around;
        attached.attach_again(facts, &layout)?;
        attached.arm()?;
        *addresses = None;
        let startup_ms = startup_ms(facts_took, start, attached);
        startup::session(facts, &layout, attached, startup_ms)
    }

    /// On stderr, and where the format has a place for it.
    fn say(&mut self, what: What<'_>) -> anyhow::Result<()> {
        diagnostics::say(&what);
        let notice = Notice {
            ts_ns: monotonic_ns(),
            time: Timestamp::now(),
            what,
        };
        self.sink.notice(&notice).context(WRITE)
    }

    /// Disarms, takes the rest and shows the end.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn finish(mut self) -> anyhow::Result<()> {
        self.around.attached.disarm()?;
        self.drain_rest()?;
        let counts = self.around.attached.counts(&self.reader.arrived())?;
        self.sink.finish(counts, &mut self.around).context(WRITE)
    }
}

/// The live machine, for what the records do not carry.
struct Around {
    attached: Attached,
    addresses: Option<AddressMap>,
}

impl Surroundings for Around {
    fn stack(&mut self, id: u32) -> Option<Vec<String>> {
        let stack = self.attached.stack(id)?;
        let addresses = self
            .addresses
            .get_or_insert_with(|| AddressMap::read().unwrap_or_default());
        Some(
            stack
                .iter()
                .map(|address| addresses.name(*address))
                .collect(),
        )
    }

    fn mounts(&mut self) -> Option<Vec<Mount>> {
        mounts::read().ok().map(mounts::nfs4)
    }
}
