//! What a trace is made of before it begins: what the command line asks for, and what the
//! machine has of it.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::Context as _;
use nfs_trace_ebpf::abi::ABI_VERSION;

use crate::{
    attach::{Attached, KernelFilters},
    cli::LiveArgs,
    clock::{monotonic_ns, realtime_offset_ns},
    exit::ExitError,
    kernel::{
        Facts,
        layout::{Layout, Source},
        preflight,
    },
    mounts,
    session::{Session, StartupMs},
};

/// What the machine is, but for what is withheld.
#[must_use]
pub fn facts(args: &LiveArgs) -> Facts {
    Facts::gather().without(&args.probes.without_probe)
}

/// Why this machine cannot trace now, with the remedies; nothing if it can.
#[must_use]
pub fn cannot(facts: &Facts) -> Option<anyhow::Error> {
    let problems = preflight::problems(facts);
    if problems.is_empty() {
        return None;
    }
    let lines: Vec<String> = problems
        .iter()
        .map(|problem| format!("{}\n  -> {}", problem.what, problem.remedy))
        .collect();
    let message = format!("cannot trace on this machine: {}", lines.join("\n"));
    Some(ExitError::unavailable(message).into())
}

/// What is asked for of mounts and processes.
pub struct Wanted {
    /// What the kernel is told.
    pub filters: KernelFilters,
    /// The paths of `--mount`, without links.
    pub mounts: Vec<PathBuf>,
}

/// Looks up what `--mount` and `--pid` name. `early`: the client's modules were not there a
/// moment ago, and its mounts need not be there yet.
///
/// # Errors
/// If one is not there.
pub fn wanted(args: &LiveArgs, early: bool) -> anyhow::Result<Wanted> {
    let all = mounts::read().context("failed to read /proc/self/mountinfo")?;
    let mut filters = KernelFilters::default();
    let mut points = Vec::new();
    for path in &args.mount {
        let wrong = |error| ExitError::usage(format!("--mount: {error:#}"));
        let real = mounts::real(path).map_err(wrong)?;
        if !early {
            let mount = mounts::holding_real(&all, &real, path).map_err(wrong)?;
            filters.devs.push(mount.dev);
        }
        points.push(real);
    }
    for pid in &args.pid {
        if !Path::new("/proc").join(pid.to_string()).exists() {
            return Err(ExitError::usage(format!("--pid: there is no process {pid}")).into());
        }
        filters.tgids.push(*pid);
    }
    Ok(Wanted {
        filters,
        mounts: points,
    })
}

/// Whether mounts can be told apart, if that is asked for.
///
/// # Errors
/// If not.
pub fn tells_mounts(args: &LiveArgs, layout: &Layout) -> anyhow::Result<()> {
    if args.mount.is_empty() || layout.source != Source::None {
        return Ok(());
    }
    Err(ExitError::unavailable(format!(
        "--mount needs the layout of kernel structures to tell mounts apart ({}): trace all \
         mounts, or filter by --pid",
        layout.why
    ))
    .into())
}

/// What is true from now on, the programs being armed.
///
/// # Errors
/// If /proc is not mounted.
pub fn session(
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

/// In whole milliseconds.
#[must_use]
pub fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
