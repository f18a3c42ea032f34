//! Puts the programs in their places: the rows of the table of probes, what stands in for those
//! that are missing, and the scheduler's tracepoints.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use anyhow::Context as _;
use aya::{
    Ebpf,
    maps::ProgramArray,
    programs::{KProbe, TracePoint, kprobe::KProbeLinkId, trace_point::TracePointLinkId},
};
use nfs_trace_ebpf::probes::{
    At, CACHED, EXIT, EXIT_FUNCTION, FORK, Id, JUMP_NAMES, NAMES_PROGRAM, Need, PROBES, Probe,
};
use perf_event::Counter;

use crate::{
    exit::ExitError,
    kernel::Facts,
    refusal::refused,
    returns,
    session::{ATTACHED, in_place, signals},
    trace::{Delegated, Sent},
    transport::Transport,
};

/// What is in place.
pub struct Placed {
    /// Probed symbol -> [`ATTACHED`], or why not.
    pub probes: BTreeMap<String, String>,
    /// Time that the kernel took to verify and compile the programs.
    pub verify: Duration,
    /// What holds the programs there.
    pub links: Links,
}

/// The links of the programs that are on something of the client's.
#[derive(Default)]
pub struct Links {
    probes: Vec<(&'static str, KProbeLinkId)>,
    returns: Vec<Counter>,
    event: Option<TracePointLinkId>,
}

impl Links {
    /// Detaches them all; the programs stay loaded. What they were on may be gone.
    pub fn detach(&mut self, ebpf: &mut Ebpf) {
        let note = |name, done: anyhow::Result<()>| {
            if let Err(error) = done {
                log::debug!("{name} was not detached: {error:#}");
            }
        };
        self.returns.clear();
        for (name, link) in self.probes.drain(..) {
            note(name, kprobe(ebpf, name).and_then(|it| Ok(it.detach(link)?)));
        }
        if let Some(link) = self.event.take() {
            let (name, ..) = CACHED;
            note(name, event(ebpf, name).and_then(|it| Ok(it.detach(link)?)));
        }
    }
}

/// Loads and attaches every row that is asked for, then of those of [`Need::Instead`] what is
/// needed in place of others.
///
/// # Errors
/// If the kernel refuses one that is required; none is in place then.
pub fn all(ebpf: &mut Ebpf, facts: &Facts, detail: bool) -> anyhow::Result<Placed> {
    let mut placed = Placed {
        probes: BTreeMap::new(),
        verify: Duration::ZERO,
        links: Links::default(),
    };
    match placed.all(ebpf, facts, detail) {
        Ok(()) => Ok(placed),
        Err(error) => {
            placed.links.detach(ebpf);
            Err(error)
        }
    }
}

/// Whether a row is to be attached, given those before it: one of [`Need::Instead`] is if
/// nothing better tells the same.
#[must_use]
pub fn needed(id: usize, probe: &Probe, probes: &BTreeMap<String, String>) -> bool {
    if probe.need != Need::Instead {
        return true;
    }
    let signals = signals(probes);
    if id == Id::Prepare as usize {
        signals.delegated == Delegated::Nothing
    } else {
        signals.sent == Sent::Nothing
    }
}

/// Whether the tracepoint [`CACHED`] is, given all rows.
#[must_use]
pub fn event_needed(probes: &BTreeMap<String, String>) -> bool {
    let signals = signals(probes);
    signals.sent == Sent::Nothing
        || (signals.delegated == Delegated::Nothing && in_place(probes, Id::Prepare))
}

impl Placed {
    fn all(&mut self, ebpf: &mut Ebpf, facts: &Facts, detail: bool) -> anyhow::Result<()> {
        for name in &facts.withheld {
            let why = "withheld (--without-probe)";
            self.probes.insert(name.clone(), why.into());
        }
        self.names(ebpf)?;
        for (id, probe) in PROBES.iter().enumerate() {
            if probe.asked_for(detail) && needed(id, probe, &self.probes) {
                self.probe(ebpf, facts, probe)?;
            }
        }
        if event_needed(&self.probes) {
            self.cached_event(ebpf, facts);
        }
        Ok(())
    }

    fn probe(&mut self, ebpf: &mut Ebpf, facts: &Facts, probe: &Probe) -> anyhow::Result<()> {
        let symbols = facts.resolve(probe);
        if symbols.is_empty() {
            let why = "no such function in this kernel";
            self.probes
                .entry(probe.symbol.into())
                .or_insert_with(|| why.into());
        }
        for symbol in symbols {
            // Its other half is not in place.
            if self.probes.get(symbol).is_some_and(|it| it != ATTACHED) {
                continue;
            }
            let done = self.attach(ebpf, facts, probe, symbol);
            self.probes.insert(symbol.into(), ATTACHED.into());
            if let Err(error) = done {
                if probe.need == Need::Required {
                    return Err(error);
                }
                self.refused(symbol, &error);
            }
        }
        Ok(())
    }

    fn attach(
        &mut self,
        ebpf: &mut Ebpf,
        facts: &Facts,
        probe: &Probe,
        symbol: &str,
    ) -> anyhow::Result<()> {
        let program = probe.program;
        self.load(kprobe(ebpf, program)?, program)?;
        if let (At::Return, Some(_), Some(tracefs)) =
            (probe.at, facts.kprobe_events(), &facts.tracefs)
            && returns::takes_number(tracefs)
        {
            match returns::attach(kprobe(ebpf, program)?, tracefs, symbol) {
                Ok(counter) => {
                    self.links.returns.push(counter);
                    return Ok(());
                }
                Err(error) => log::debug!("few instances for returns of {symbol}: {error:#}"),
            }
        }
        let link = kprobe(ebpf, program)?
            .attach(symbol, 0)
            .map_err(|error| refused(&format!("the probe on {symbol}"), error))?;
        self.links.probes.push((program, link));
        Ok(())
    }

    fn load(&mut self, program: &mut KProbe, name: &str) -> anyhow::Result<()> {
        if program.fd().is_ok() {
            return Ok(());
        }
        let start = Instant::now();
        let loaded = program.load();
        self.verify += start.elapsed();
        loaded.map_err(|error| refused(&format!("the program {name}"), error))
    }

    /// Notes why it is not there, for whoever can do without.
    fn refused(&mut self, symbol: &str, error: &anyhow::Error) {
        log::debug!("{error:#}");
        let why = format!("{error:#}");
        let first = why.lines().next().unwrap_or_default();
        let first = first.trim_end_matches(':').into();
        self.probes.insert(symbol.into(), first);
    }

    /// The program that others jump to.
    fn names(&mut self, ebpf: &mut Ebpf) -> anyhow::Result<()> {
        let names = kprobe(ebpf, NAMES_PROGRAM)?;
        self.load(names, NAMES_PROGRAM)?;
        let names = names.fd()?.try_clone()?;
        let jumps = ebpf.map_mut("JUMPS").context("no map JUMPS")?;
        ProgramArray::try_from(jumps)?
            .set(JUMP_NAMES, &names, 0)
            .context("failed to fill the map of jumps")
    }

    fn cached_event(&mut self, ebpf: &mut Ebpf, facts: &Facts) {
        let (_, _, event) = CACHED;
        if facts.withheld.iter().any(|name| name == event) {
            return;
        }
        match tracepoint(ebpf, CACHED) {
            Ok(link) => {
                self.links.event = Some(link);
                self.probes.insert(event.into(), ATTACHED.into());
            }
            Err(error) => self.refused(event, &error),
        }
    }
}

fn kprobe<'a>(ebpf: &'a mut Ebpf, name: &str) -> anyhow::Result<&'a mut KProbe> {
    let program = ebpf
        .program_mut(name)
        .with_context(|| format!("the object has no program {name}"))?;
    Ok(program.try_into()?)
}

/// Sees to what a thread leaves behind. The legacy object has it on a function: programs for
/// tracepoints came with 4.7.
///
/// # Errors
/// If the kernel refuses.
pub fn exit(ebpf: &mut Ebpf, transport: Transport) -> anyhow::Result<()> {
    let (name, ..) = EXIT;
    match transport {
        Transport::Ring => tracepoint(ebpf, EXIT).map(drop),
        Transport::Perf => {
            let program = kprobe(ebpf, name)?;
            program
                .load()
                .and_then(|()| program.attach(EXIT_FUNCTION, 0).map(|_| ()))
                .map_err(|error| refused(&format!("the probe on {EXIT_FUNCTION}"), error))
        }
    }
}

/// Follows a command into its children.
///
/// # Errors
/// What the machine lacks for it.
pub fn fork(ebpf: &mut Ebpf, facts: &Facts) -> anyhow::Result<()> {
    if facts.fork_child_pid.is_none() {
        return Err(ExitError::unavailable(
            "cannot follow the children of a command without tracefs: \
             run `mount -t tracefs tracefs /sys/kernel/tracing`",
        )
        .into());
    }
    tracepoint(ebpf, FORK).map(drop).map_err(|error| {
        log::debug!("{error:#}");
        ExitError::unavailable(
            "cannot follow the children of a command: this kernel refuses BPF programs on \
             tracepoints, which came with Linux 4.7; trace without a command, with --mount or \
             --pid",
        )
        .into()
    })
}

fn event<'a>(ebpf: &'a mut Ebpf, name: &str) -> anyhow::Result<&'a mut TracePoint> {
    let program = ebpf
        .program_mut(name)
        .with_context(|| format!("the object has no program {name}"))?;
    Ok(program.try_into()?)
}

fn tracepoint(
    ebpf: &mut Ebpf,
    (name, category, event_name): (&str, &str, &str),
) -> anyhow::Result<TracePointLinkId> {
    let program = event(ebpf, name)?;
    if program.fd().is_err() {
        program
            .load()
            .map_err(|error| refused(&format!("the program {name}"), error))?;
    }
    program
        .attach(category, event_name)
        .map_err(|error| refused(&format!("the program on {category}:{event_name}"), error))
}
