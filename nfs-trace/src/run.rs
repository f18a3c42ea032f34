//! `nfs-trace trace`: composes the stages of a live trace. The only file that knows
//! them all.

use std::{
    fs::File,
    io::{self, BufWriter, IsTerminal as _, Write},
    path::Path,
    process::{ExitCode, ExitStatus},
    time::Duration,
};

use anyhow::Context as _;
use jiff::tz::TimeZone;
use nfs_trace_ebpf::abi::ABI_VERSION;
use tokio::{
    signal::unix::{SignalKind, signal},
    time::{Instant, sleep, sleep_until},
};

use crate::{
    attach::{Attached, KernelFilters, Options},
    calibrate, capture,
    cli::{Format, TraceArgs},
    clock::{monotonic_ns, realtime_offset_ns},
    diagnostics,
    exit::{Exit, ExitError},
    filter::Filter,
    kernel::{
        Facts,
        layout::{Layout, Source},
        preflight,
        symbols::AddressMap,
    },
    launch::{Launched, shell_status},
    modules::ModuleWatch,
    mounts::{self, Mount},
    pipeline::{Pipeline, Show, Surroundings},
    render::{
        Render,
        json::Json,
        text::{Style, Text},
    },
    session::{Session, StartupMs},
    trace::ARMING_NS,
    transport::Reader,
};

/// After a drain, records gather this long before the next one: under load one wake-up
/// serves many records, and the first record after a pause is shown at once.
const GATHER: Duration = Duration::from_millis(20);

/// Runs the trace.
///
/// # Errors
/// With the exit status to use; see [`crate::exit`].
pub fn trace(args: TraceArgs) -> anyhow::Result<ExitCode> {
    diagnostics::init(args.verbose);
    let outcome = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("failed to start the runtime")?
        .block_on(live(args));
    match outcome {
        // Whoever read the rows has seen enough.
        Err(error) if is_broken_pipe(&error) => Ok(Exit::Ok.into()),
        outcome => outcome,
    }
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    let io = error
        .chain()
        .find_map(|cause| cause.downcast_ref::<io::Error>());
    io.is_some_and(|io| io.kind() == io::ErrorKind::BrokenPipe)
}

/// Where a trace ended, and why.
enum Ending {
    /// `--count`, `--duration`, a signal or a closed pipe.
    Asked,
    /// The command ended.
    Command(ExitStatus),
    /// A probed module was unloaded.
    ModuleGone(String),
}

async fn live(args: TraceArgs) -> anyhow::Result<ExitCode> {
    let start = Instant::now();
    let facts = Facts::gather().without(&args.probes.without_probe);
    let problems = preflight::problems(&facts);
    if !problems.is_empty() {
        let lines: Vec<String> = problems
            .iter()
            .map(|problem| format!("{}\n  -> {}", problem.what, problem.remedy))
            .collect();
        let message = format!("cannot trace on this machine: {}", lines.join("\n"));
        return Err(ExitError::unavailable(message).into());
    }
    let filter = Filter::new(&args.path, args.comm.clone(), args.open_path.clone())
        .map_err(|error| ExitError::usage(format!("--path: {error}")))?;
    let layout = calibrate::layout(&args.layout, &facts)?;
    let facts_took = start.elapsed();
    let mut filters = kernel_filters(&args, &layout)?;

    // Listening begins before the programs are attached: no module goes unseen.
    let watch = ModuleWatch::new()?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut command = match args.command.as_slice() {
        [] => None,
        command => Some(Launched::start(command)?),
    };
    filters.command = command.as_ref().map(Launched::pid);

    let start = Instant::now();
    let options = Options {
        transport: args.transport,
        buffer: args.buffer * 1024,
        stacks: args.stack,
        detail: false,
    };
    let mut attached = Attached::new(&facts, &layout, &filters, &options)?;
    let mut reader = attached.take_reader()?;
    attached.arm(true)?;
    let startup_ms = StartupMs {
        facts: milliseconds(facts_took),
        attach: milliseconds(start.elapsed()),
        verify: milliseconds(attached.verify),
    };
    let session = session(&facts, &layout, &attached, startup_ms)?;
    let mut capture = match &args.capture {
        Some(path) => Some(create_capture(path, &session)?),
        None => None,
    };
    let show = Show {
        filter,
        count: args.count,
        raw_pointers: args.raw_pointers,
    };
    let mut pipeline =
        Pipeline::start(session, show, renderer(&args)?).context("failed to write to stdout")?;

    sleep(Duration::from_nanos(ARMING_NS)).await;
    if let Some(path) = &args.ready_file {
        File::create(path)
            .with_context(|| format!("failed to create the ready file `{}`", path.display()))?;
    }
    if let Some(command) = &mut command {
        command.resume()?;
    }

    let mut around = Live {
        attached,
        addresses: None,
    };
    let deadline = args.duration.map(|duration| Instant::now() + duration);
    let ending = loop {
        match drain(
            &mut reader,
            false,
            &mut pipeline,
            capture.as_mut(),
            &mut around,
        ) {
            Ok(_) if pipeline.is_full() => break Ending::Asked,
            Ok(true) => sleep(GATHER).await,
            Ok(false) => {}
            Err(error) => return Err(error).context("failed to write"),
        }
        tokio::select! {
            ready = reader.ready() => ready?,
            _ = interrupt.recv() => break Ending::Asked,
            _ = terminate.recv() => {
                if let Some(command) = &command {
                    command.terminate();
                }
                break Ending::Asked;
            }
            () = until(deadline) => break Ending::Asked,
            status = ended(command.as_mut()) => break Ending::Command(status?),
            module = watch.removal_of(&["nfs", "nfsv4"]) => break Ending::ModuleGone(module?),
        }
    };

    around.attached.arm(false)?;
    let written = drain(
        &mut reader,
        true,
        &mut pipeline,
        capture.as_mut(),
        &mut around,
    )
    .and_then(|_| capture.as_mut().map_or(Ok(()), capture::Writer::flush))
    .and_then(|()| {
        let counts = around
            .attached
            .counts(&reader.arrived())
            .map_err(io::Error::other)?;
        pipeline.finish(counts, &mut around)
    });
    match written {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {}
        written => written.context("failed to write")?,
    }
    Ok(match ending {
        Ending::Asked => Exit::Ok.into(),
        Ending::Command(status) => ExitCode::from(shell_status(status)),
        Ending::ModuleGone(module) => anyhow::bail!(
            "the module {module} was unloaded, and its probes went with it: start again when it \
             is back"
        ),
    })
}

fn kernel_filters(args: &TraceArgs, layout: &Layout) -> anyhow::Result<KernelFilters> {
    let mounts = mounts::read().context("failed to read /proc/self/mountinfo")?;
    let mut filters = KernelFilters::default();
    for path in &args.mount {
        let mount = mounts::holding(&mounts, path)
            .map_err(|error| ExitError::usage(format!("--mount: {error:#}")))?;
        filters.devs.push(mount.dev);
    }
    if !filters.devs.is_empty() && layout.source == Source::None {
        return Err(ExitError::unavailable(format!(
            "--mount needs the layout of kernel structures to tell mounts apart ({}): trace all \
             mounts, or filter by --pid",
            layout.why
        ))
        .into());
    }
    for pid in &args.pid {
        if !Path::new("/proc").join(pid.to_string()).exists() {
            return Err(ExitError::usage(format!("--pid: there is no process {pid}")).into());
        }
        filters.tgids.push(*pid);
    }
    Ok(filters)
}

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

fn session(
    facts: &Facts,
    layout: &Layout,
    attached: &Attached,
    startup_ms: StartupMs,
) -> anyhow::Result<Session> {
    Ok(Session {
        abi_version: ABI_VERSION,
        version: env!("CARGO_PKG_VERSION").into(),
        kernel: facts.release.clone(),
        transport: attached.transport.name().into(),
        layout: layout.source.word().into(),
        layout_why: layout.why.clone(),
        probes: attached.probes.clone(),
        lookup_flags: facts.lookup_flags,
        mounts: mounts::nfs4(mounts::read().context("failed to read /proc/self/mountinfo")?),
        clock_offset_ns: realtime_offset_ns(),
        armed_ns: monotonic_ns(),
        startup_ms,
    })
}

fn renderer(args: &TraceArgs) -> anyhow::Result<Box<dyn Render>> {
    let file: Box<dyn Write> = match &args.output {
        Some(path) => Box::new(
            File::create(path)
                .with_context(|| format!("failed to create the output `{}`", path.display()))?,
        ),
        None => Box::new(io::stdout()),
    };
    let out = BufWriter::with_capacity(1 << 16, file);
    Ok(match args.format {
        Format::Json => Box::new(Json::new(out)),
        Format::Text => {
            let terminal = args.output.is_none() && io::stdout().is_terminal();
            let width = rustix::termios::tcgetwinsize(io::stdout())
                .ok()
                .filter(|_| terminal)
                .map(|size| usize::from(size.ws_col));
            let colour = terminal && std::env::var_os("NO_COLOR").is_none_or(|it| it.is_empty());
            let zone = TimeZone::system();
            let style = Style {
                width,
                colour,
                steps: args.verbose,
                zone,
            };
            Box::new(Text::new(out, io::stderr(), style))
        }
    })
}

fn create_capture(
    path: &Path,
    session: &Session,
) -> anyhow::Result<capture::Writer<BufWriter<File>>> {
    File::create(path)
        .and_then(|file| capture::Writer::new(BufWriter::new(file), session))
        .with_context(|| format!("failed to create the capture `{}`", path.display()))
}

/// Takes what is in the buffer, or with `rest` all of it, when nothing is added any more.
/// Returns whether there was anything.
fn drain(
    reader: &mut Reader,
    rest: bool,
    pipeline: &mut Pipeline,
    mut capture: Option<&mut capture::Writer<BufWriter<File>>>,
    around: &mut Live,
) -> io::Result<bool> {
    let mut take = |record: &[u8]| {
        if let Some(capture) = capture.as_mut() {
            capture.record(record)?;
        }
        pipeline.record(record, around)
    };
    let any = if rest {
        reader.drain_rest(&mut take).map(|()| true)?
    } else {
        reader.drain(&mut take)?
    };
    if any {
        around.attached.flush_log();
        pipeline.flush()?;
    }
    Ok(any)
}

async fn until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}

async fn ended(command: Option<&mut Launched>) -> anyhow::Result<ExitStatus> {
    match command {
        Some(command) => command.wait().await,
        None => std::future::pending().await,
    }
}

/// The live machine, for what the records do not carry.
struct Live {
    attached: Attached,
    addresses: Option<AddressMap>,
}

impl Surroundings for Live {
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
