//! `nfs-trace probes`: what this kernel offers, what would be attached, what would be
//! lost. Loads nothing but the program that calibrates the layout, and only for that.

use std::{
    collections::BTreeMap,
    io::{self, Write},
};

use anyhow::Context as _;
use nfs_trace_ebpf::probes::{At, CACHED, Need, PROBES, Probe};
use serde::Serialize;

use crate::{
    calibrate,
    cli::{Format, ProbesArgs},
    exit::Exit,
    kernel::{
        Facts,
        layout::Source,
        lookup_flags::LookupFlags,
        preflight::{Problem, problems},
        table,
    },
    names::tame,
    place,
    session::ATTACHED,
    transport::Transport,
};

#[derive(Serialize)]
struct Report<'a> {
    version: &'static str,
    kernel: &'a str,
    can_trace: bool,
    problems: Vec<Problem>,
    /// Null where asking takes a privilege that we do not have.
    transport: Option<&'static str>,
    layout: Source,
    #[serde(skip_serializing_if = "str::is_empty")]
    layout_why: &'a str,
    layout_missing: Vec<&'static str>,
    offsets: BTreeMap<&'static str, Option<u32>>,
    revalidate_dentry_arg: u32,
    lookup_flags: LookupFlags,
    lookup_flags_source: &'static str,
    probes: Vec<ProbeReport>,
}

#[derive(Serialize)]
struct ProbeReport {
    symbol: &'static str,
    module: &'static str,
    at: &'static str,
    need: &'static str,
    tells: &'static str,
    /// The symbols that would be probed.
    found: Vec<String>,
    /// The module it was found in, as the kernel says; null if built in or not found.
    found_in: Option<String>,
    /// It would be attached.
    used: bool,
}

/// Prints the report.
///
/// # Errors
/// Wrong usage, or if it cannot be written.
pub fn run(args: &ProbesArgs) -> anyhow::Result<Exit> {
    let facts = Facts::gather().without(&args.probes.without_probe);
    let layout = calibrate::layout(&args.layout, &facts)?;
    let problems = problems(&facts);
    let report = Report {
        version: env!("CARGO_PKG_VERSION"),
        kernel: &facts.release,
        can_trace: problems.is_empty(),
        transport: Transport::to_try(None)
            .ok()
            .and_then(|to_try| to_try.first())
            .map(|transport| transport.name()),
        layout: layout.source,
        layout_why: &layout.why,
        layout_missing: layout.missing(),
        offsets: table::table(&layout.offsets),
        revalidate_dentry_arg: layout
            .revalidate_dentry_arg
            .unwrap_or_else(|| facts.revalidate_dentry_arg()),
        lookup_flags: facts.lookup_flags,
        lookup_flags_source: facts.lookup_flags_source,
        probes: all(&facts),
        problems,
    };
    let exit = if report.can_trace {
        Exit::Ok
    } else {
        Exit::Unavailable
    };
    let mut out = io::stdout().lock();
    let written = match args.format {
        Format::Json => serde_json::to_writer(&mut out, &report)
            .map_err(Into::into)
            .and_then(|()| writeln!(out)),
        Format::Text => text(&report, &mut out),
    };
    match written {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(error).context("failed to write to stdout")
        }
        _ => Ok(exit),
    }
}

/// Every row, and which of them would be attached if the kernel refuses none.
fn all(facts: &Facts) -> Vec<ProbeReport> {
    let mut states = BTreeMap::new();
    let mut rows: Vec<ProbeReport> = PROBES
        .iter()
        .enumerate()
        .map(|(id, probe)| {
            let found = facts.resolve(probe);
            let used = !found.is_empty() && place::needed(id, probe, &states);
            if used {
                states.extend(found.iter().map(|name| ((*name).into(), ATTACHED.into())));
            }
            row(facts, probe, &found, used)
        })
        .collect();
    let (_, category, event) = CACHED;
    let found = facts.has_event(category, event);
    rows.push(ProbeReport {
        symbol: event,
        module: "nfsv4",
        at: "tracepoint",
        need: "instead",
        tells: "for nfs4_open_done and update_open_stateid (it holds the module)",
        found: found.then(|| event.to_owned()).into_iter().collect(),
        found_in: None,
        used: found && place::event_needed(&states),
    });
    rows
}

fn row(facts: &Facts, probe: &Probe, found: &[&str], used: bool) -> ProbeReport {
    ProbeReport {
        symbol: probe.symbol,
        module: probe.module,
        at: match probe.at {
            At::Entry => "entry",
            At::Return => "return",
        },
        need: match probe.need {
            Need::Required => "required",
            Need::Helpful => "helpful",
            Need::Instead => "instead",
            Need::Detail => "detail",
        },
        tells: probe.tells,
        found: found.iter().map(|&name| name.to_owned()).collect(),
        found_in: found
            .first()
            .and_then(|name| facts.symbols.get(name))
            .and_then(|symbol| symbol.module.clone()),
        used,
    }
}

fn text(report: &Report<'_>, out: &mut impl Write) -> io::Result<()> {
    writeln!(
        out,
        "nfs-trace {} on kernel {}",
        report.version, report.kernel
    )?;
    let transport = report.transport.unwrap_or("unknown without privilege");
    writeln!(out, "transport:     {transport}")?;
    writeln!(out, "names from:    {}", report.layout.word())?;
    if !report.layout_why.is_empty() {
        writeln!(out, "  because:     {}", tame(report.layout_why))?;
    }
    if !report.layout_missing.is_empty() && report.layout != Source::None {
        writeln!(out, "  not found:   {}", report.layout_missing.join(", "))?;
    }
    let LookupFlags { open, rcu, reval } = report.lookup_flags;
    writeln!(
        out,
        "LOOKUP flags:  OPEN {open:#x}, RCU {rcu:#x}, REVAL {reval:#x} (from {})",
        report.lookup_flags_source
    )?;
    writeln!(out)?;
    writeln!(
        out,
        "{:24} {:7} {:10} {:9} {:9} TELLS",
        "FUNCTION", "MODULE", "AT", "NEED", "STATE"
    )?;
    for probe in &report.probes {
        let state = match (probe.found.is_empty(), probe.used) {
            (false, true) => "found",
            // Nothing better is missing.
            (false, false) => "spare",
            (true, _) if probe.need == "instead" => "absent",
            (true, _) => "MISSING",
        };
        let found = probe.found.join(" ");
        writeln!(
            out,
            "{:24} {:7} {:10} {:9} {state:9} {}",
            if found.is_empty() {
                probe.symbol
            } else {
                &found
            },
            probe.module,
            probe.at,
            probe.need,
            probe.tells,
        )?;
    }
    writeln!(out)?;
    if report.can_trace {
        return writeln!(out, "This kernel can be traced.");
    }
    writeln!(out, "This kernel cannot be traced now:")?;
    for Problem { what, remedy } in &report.problems {
        writeln!(out, "  {what}\n    -> {remedy}")?;
    }
    Ok(())
}
