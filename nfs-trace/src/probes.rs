//! `nfs-trace probes`: what this kernel offers, what would be attached, what would be
//! lost. Loads nothing but the program that calibrates the layout, and only for that.

use std::{
    collections::BTreeMap,
    io::{self, Write},
};

use anyhow::Context as _;
use nfs_trace_ebpf::probes::{At, Need, PROBES};
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
    names::escape,
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
    /// The symbol that would be probed; null if there is none.
    found: Option<&'static str>,
    /// The module it was found in, as the kernel says; null if built in or not found.
    found_in: Option<String>,
}

/// Prints the report.
///
/// # Errors
/// Wrong usage, or if it cannot be written.
pub fn run(args: &ProbesArgs) -> anyhow::Result<Exit> {
    let facts = Facts::gather();
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
        probes: PROBES
            .iter()
            .map(|probe| {
                let found = facts.resolve(probe);
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
                        Need::Detail => "detail",
                    },
                    tells: probe.tells,
                    found,
                    found_in: found
                        .and_then(|symbol| facts.symbols.get(symbol))
                        .and_then(|symbol| symbol.module.clone()),
                }
            })
            .collect(),
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
        writeln!(
            out,
            "  because:     {}",
            escape(report.layout_why.as_bytes())
        )?;
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
        "{:24} {:7} {:7} {:9} {:9} TELLS",
        "FUNCTION", "MODULE", "AT", "NEED", "STATE"
    )?;
    for probe in &report.probes {
        let state = if probe.found.is_some() {
            "found"
        } else {
            "MISSING"
        };
        writeln!(
            out,
            "{:24} {:7} {:7} {:9} {state:9} {}",
            probe.found.unwrap_or(probe.symbol),
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
