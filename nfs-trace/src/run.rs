//! `nfs-trace trace`, and what `record` has in common with it: from the command line to the exit
//! status. What a trace waits for, and what ends it.

mod beside;

use std::{
    cell::RefCell,
    fs::File,
    io,
    process::{ExitCode, ExitStatus},
    rc::Rc,
    time::Duration,
};

use anyhow::{Context as _, bail};
use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    time::{Instant, sleep, sleep_until},
};

pub use self::beside::Beside;
use self::beside::Due;
use crate::{
    cli::{LiveArgs, TraceArgs},
    clock::monotonic_ns,
    diagnostics,
    exit::{Exit, ExitError},
    kernel::{Facts, preflight},
    launch::{Launched, Prints, shell_status},
    live::{Armed, Begin, Live},
    metrics::Metrics,
    modules::{self, ModuleWatch},
    mount_watch::MountWatch,
    pipeline::Pipeline,
    record::Recorder,
    recording::Output,
    render::{Render, Tee},
    show,
    sink::Both,
    startup::{self, Wanted},
    top::{self, Feed, Model, Screen, Shared},
    trace::ARMING_NS,
};

/// After a drain, records gather this long before the next one: under load one wake-up
/// serves many records, and the first record after a pause is shown at once.
const GATHER: Duration = Duration::from_millis(20);

/// Runs the trace.
///
/// # Errors
/// With the exit status to use; see [`crate::exit`].
pub fn trace(args: &TraceArgs) -> anyhow::Result<ExitCode> {
    let filter = show::filter(&args.filter)?;
    if args.top {
        top::screen::check()?;
    }
    let model: Option<Shared> = args
        .top
        .then(|| Rc::new(RefCell::new(Model::new(monotonic_ns()))));
    let output = args.record.as_deref().map(Output::single);
    if let Some(output) = &output {
        output.check()?;
        if output.is_stdout() && args.show.output.is_none() {
            let message = "--record -: stdout has the rows already (-o FILE puts them elsewhere)";
            return Err(ExitError::usage(message).into());
        }
    }
    let takes_stdout = output.as_ref().is_some_and(Output::is_stdout);
    let beside = Beside {
        prints: match &model {
            Some(_) => Prints::OffScreen,
            None if takes_stdout => Prints::ToStderr,
            None => Prints::AsItIs,
        },
        top: model.clone(),
        metrics: Metrics::create(&args.live)?,
    };
    let metrics = beside.metrics.clone();
    let begin: Begin<'_> = Box::new(|session, mounts| {
        let recorder = match output {
            Some(output) => Some(Recorder::create(
                output,
                (&args.live, &args.filter),
                session.clone(),
                mounts.clone(),
            )?),
            None => None,
        };
        let mut render: Box<dyn Render> = match model {
            Some(model) => Box::new(Feed {
                model,
                every_mount: args.live.mount.is_empty(),
            }),
            None => show::renderer(&args.show, args.verbose)?,
        };
        if let Some(metrics) = metrics {
            metrics.begin(&session, &args.live.mount);
            render = Box::new(Tee(vec![render, Box::new(metrics)]));
        }
        let show = show::show(&args.show, filter, mounts);
        let pipeline =
            Pipeline::start(session, show, render).context("failed to write to stdout")?;
        let pipeline = Box::new(pipeline);
        Ok(match recorder {
            Some(recorder) => Box::new(Both::new(Box::new(recorder), pipeline)),
            None => pipeline,
        })
    });
    live(&args.live, args.verbose, &beside, begin)
}

/// Runs a trace whose records go to what `begin` makes.
///
/// # Errors
/// With the exit status to use; see [`crate::exit`].
pub fn live(
    args: &LiveArgs,
    verbose: bool,
    beside: &Beside,
    begin: Begin<'_>,
) -> anyhow::Result<ExitCode> {
    diagnostics::init(verbose);
    let outcome = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("failed to start the runtime")?
        .block_on(follow(args, beside, begin));
    if let Some(metrics) = &beside.metrics {
        metrics.ended();
    }
    match outcome {
        // Whoever read the rows has seen enough.
        Err(error) if is_broken_pipe(&error) => Ok(Exit::Ok.into()),
        outcome => outcome,
    }
}

/// Whether it is that nobody reads any more.
#[must_use]
pub fn is_broken_pipe(error: &anyhow::Error) -> bool {
    let io = error
        .chain()
        .find_map(|cause| cause.downcast_ref::<io::Error>());
    io.is_some_and(|io| io.kind() == io::ErrorKind::BrokenPipe)
}

/// What may end a trace at any time.
struct Endings {
    interrupt: Signal,
    terminate: Signal,
    /// Of `--duration`.
    deadline: Option<Instant>,
    command: Option<Launched>,
    /// Of what the command prints.
    prints: Prints,
    /// Of `--top`, once there is something to draw.
    screen: Option<Screen>,
}

/// Why it ended.
enum Ending {
    /// `--count`, `--duration`, a signal.
    Asked,
    /// The command ended.
    Command(ExitStatus),
}

impl Endings {
    fn new(prints: Prints) -> anyhow::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            deadline: None,
            command: None,
            prints,
            screen: None,
        })
    }

    /// Waits for the first of them.
    async fn next(&mut self) -> anyhow::Result<Ending> {
        tokio::select! {
            _ = self.interrupt.recv() => Ok(Ending::Asked),
            _ = self.terminate.recv() => {
                if let Some(command) = &self.command {
                    command.terminate();
                }
                Ok(Ending::Asked)
            }
            () = until(self.deadline) => Ok(Ending::Asked),
            closed = closed(self.screen.as_mut()) => {
                // Ctrl-C is a key now, which would have gone to the command too.
                if let Some(command) = &self.command {
                    command.terminate();
                }
                closed.map(|()| Ending::Asked)
            }
            status = ended(self.command.as_mut()) => Ok(Ending::Command(status?)),
        }
    }
}

async fn until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}

async fn closed(screen: Option<&mut Screen>) -> anyhow::Result<()> {
    match screen {
        Some(screen) => screen.ended().await,
        None => std::future::pending().await,
    }
}

async fn ended(command: Option<&mut Launched>) -> anyhow::Result<ExitStatus> {
    match command {
        Some(command) => command.wait().await,
        None => std::future::pending().await,
    }
}

async fn follow(args: &LiveArgs, beside: &Beside, begin: Begin<'_>) -> anyhow::Result<ExitCode> {
    // Listening begins before anything is looked at: no module goes unseen.
    let watch = ModuleWatch::new()?;
    let mounts = MountWatch::new()?;
    let mut endings = Endings::new(beside.prints)?;
    let mut due = Due::new(beside.metrics.clone());
    let Some((armed, wanted)) = arm(args, &watch, &mut endings, &mut due).await? else {
        if args.command.is_empty() {
            return Ok(Exit::Ok.into());
        }
        bail!("ended before the client's modules were loaded: the command was not run");
    };
    let mut live = Live::start(armed, wanted, begin)?;
    endings.screen = beside.top.clone().map(Screen::enter).transpose()?;
    let ending = match to_its_end(args, &mut live, &watch, &mounts, (&mut endings, &mut due)).await
    {
        // Nobody wants to know how it ended.
        Err(error) if is_broken_pipe(&error) => return Err(error),
        ending => ending,
    };
    let finished = match live.finish() {
        Err(error) if is_broken_pipe(&error) => Ok(()),
        finished => finished,
    };
    // The terminal is itself again, and has the footer.
    drop(endings.screen.take());
    // What failed first is told.
    let ending = ending?;
    finished?;
    Ok(match ending {
        Ending::Asked => Exit::Ok.into(),
        Ending::Command(status) => ExitCode::from(shell_status(status)),
    })
}

async fn to_its_end(
    args: &LiveArgs,
    live: &mut Live,
    watch: &ModuleWatch,
    mounts: &MountWatch,
    (endings, due): (&mut Endings, &mut Due),
) -> anyhow::Result<Ending> {
    sleep(Duration::from_nanos(ARMING_NS)).await;
    if let Some(path) = &args.ready_file {
        File::create(path)
            .with_context(|| format!("failed to create the ready file `{}`", path.display()))?;
    }
    if let Some(command) = &mut endings.command {
        command.resume()?;
    }
    endings.deadline = args.duration.map(|duration| Instant::now() + duration);
    loop {
        let any = live.drain().context("failed to write")?;
        if live.is_full() {
            return Ok(Ending::Asked);
        }
        if any {
            sleep(GATHER).await;
        }
        tokio::select! {
            ready = live.ready() => ready?,
            changed = mounts.change() => {
                changed?;
                live.mounts_changed()?;
            }
            ending = endings.next() => return ending,
            metrics = due.next() => {
                live.count()?;
                metrics.write();
            }
            module = watch.removal() => {
                live.let_go(module?)?;
                if let Some(ending) = back(args, live, watch, (endings, due)).await? {
                    return Ok(ending);
                }
            }
        }
    }
}

/// Attaches as soon as this machine can trace; with `--wait-module` the client's modules need
/// not be there yet. Nothing if the trace was ended before.
async fn arm(
    args: &LiveArgs,
    watch: &ModuleWatch,
    endings: &mut Endings,
    due: &mut Due,
) -> anyhow::Result<Option<(Armed, Wanted)>> {
    let mut waited = false;
    loop {
        watch.catch_up()?;
        let start = Instant::now();
        let facts = startup::facts(args);
        let took = start.elapsed();
        match startup::cannot(&facts) {
            None => match attach(args, &facts, took, waited, endings) {
                Ok(armed) => return Ok(Some(armed)),
                Err(error) => {
                    let facts = startup::facts(args);
                    // It went while we attached: as if it had not been there.
                    match startup::cannot(&facts) {
                        _ if args.wait_module && !modules::are_loaded(&facts) => {}
                        why => return Err(why.unwrap_or(error)),
                    }
                }
            },
            Some(error) if !(args.wait_module && preflight::only_modules_are_missing(&facts)) => {
                return Err(error);
            }
            Some(_) => {}
        }
        if !waited {
            waited = true;
            // What is wrong already is said before.
            startup::wanted(args, true)?;
            diagnostics::say(&format_args!(
                "the kernel's NFSv4 client is not loaded (module {}): waiting until it is \
                 (Ctrl-C ends)",
                preflight::missing_modules(&facts).join(", ")
            ));
        }
        loop {
            tokio::select! {
                changed = watch.change() => break changed?,
                _ = endings.next() => return Ok(None),
                metrics = due.next() => metrics.write(),
            }
        }
    }
}

fn attach(
    args: &LiveArgs,
    facts: &Facts,
    facts_took: Duration,
    waited: bool,
    endings: &mut Endings,
) -> anyhow::Result<(Armed, Wanted)> {
    let mut wanted = startup::wanted(args, waited)?;
    if endings.command.is_none() && !args.command.is_empty() {
        endings.command = Some(Launched::start(&args.command, endings.prints)?);
    }
    wanted.filters.command = endings.command.as_ref().map(Launched::pid);
    let armed = Armed::new(args, facts, facts_took, &wanted)?;
    Ok((armed, wanted))
}

/// Waits until the client's modules are back, and attaches. If the trace ended before: why.
async fn back(
    args: &LiveArgs,
    live: &mut Live,
    watch: &ModuleWatch,
    (endings, due): (&mut Endings, &mut Due),
) -> anyhow::Result<Option<Ending>> {
    let mut heard = Instant::now();
    loop {
        if live.is_full() {
            return Ok(Some(Ending::Asked));
        }
        watch.catch_up()?;
        if live.attach_again(args, heard).await? {
            return Ok(None);
        }
        loop {
            tokio::select! {
                changed = watch.change() => break changed?,
                ending = endings.next() => return ending.map(Some),
                metrics = due.next() => metrics.write(),
            }
        }
        heard = Instant::now();
    }
}
