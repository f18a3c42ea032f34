//! `nfs-trace check`: composes evidence, self-tests and the watch beside them. The only
//! file of the check that knows them all.

use std::{
    fs,
    io::{self, IsTerminal as _, Write as _},
    process::ExitCode,
    time::Duration,
};

use anyhow::Context as _;
use tokio::time::Instant;

use super::{
    advice,
    conclude::{Mishaps, conclude},
    evidence::Evidence,
    explain, holders, image, observing,
    options::{self, MountFacts},
    plan::{self, Plan},
    release::{self, Os},
    report::{HolderReport, MountReport, Report},
    testing, text,
    verdict::{Verdict, overall},
};
use crate::{
    calibrate,
    cli::{CheckArgs, Format},
    diagnostics,
    kernel::{Facts, candidates::parameters, layout::Layout, preflight},
    mounts,
    names::escape_path,
    transport::Transport,
};

/// Everything that is known before any mount is looked at.
pub(super) struct Ground {
    pub(super) facts: Facts,
    pub(super) layout: Layout,
    pub(super) image: Evidence,
    pub(super) os: Os,
    /// `uname -v`
    pub(super) build: String,
    /// When the check began.
    pub(super) started: Instant,
    /// How records are to come, if that was asked for.
    pub(super) transport: Option<Transport>,
}

/// What came of one plan.
pub(super) struct Checked {
    pub(super) evidence: Vec<Evidence>,
    pub(super) mishaps: Mishaps,
    pub(super) remarks: Vec<String>,
    pub(super) took: Duration,
}

/// Runs the check.
///
/// # Errors
/// Wrong usage, or output that cannot be written; whatever stands in the way of an answer
/// is part of the report.
pub fn run(args: &CheckArgs) -> anyhow::Result<ExitCode> {
    diagnostics::init(args.verbose);
    let report = if args.explain {
        None
    } else {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .context("failed to start the runtime")?;
        let report = runtime.block_on(check(args))?;
        // A thread that hangs on a dead server is no reason to wait.
        runtime.shutdown_background();
        Some(report)
    };
    let written = match &report {
        None => io::stdout().write_all(explain::PAGE.as_bytes()),
        Some(report) => write(report, args.format),
    };
    match written {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            return Err(error).context("failed to write to stdout");
        }
        _ => {}
    }
    Ok(report.map_or(ExitCode::SUCCESS, |report| report.verdict.exit().into()))
}

fn write(report: &Report, format: Format) -> io::Result<()> {
    let mut out = io::stdout().lock();
    match format {
        Format::Json => {
            serde_json::to_writer(&mut out, report)?;
            writeln!(out)
        }
        Format::Text => {
            let terminal = out.is_terminal();
            let width = rustix::termios::tcgetwinsize(&out)
                .ok()
                .filter(|_| terminal)
                .map(|size| usize::from(size.ws_col))
                .filter(|width| *width > 0);
            let colour = terminal && std::env::var_os("NO_COLOR").is_none_or(|it| it.is_empty());
            text::print(report, width, colour, &mut out)
        }
    }
}

async fn check(args: &CheckArgs) -> anyhow::Result<Report> {
    let started = Instant::now();
    let facts = Facts::gather().without(&args.probes.without_probe);
    let os = fs::read_to_string("/etc/os-release")
        .map_or_else(|_| Os::default(), |text| Os::parse(&text));
    let build = rustix::system::uname()
        .version()
        .to_string_lossy()
        .into_owned();
    let release = release::look(&facts.release, &build, &os);
    let can_open_cached = parameters(image::OPENER.0, image::OPENER.1);
    let ground = Ground {
        image: image::look(&facts.symbols, can_open_cached.as_deref()),
        layout: calibrate::layout(&args.layout, &facts)?,
        facts,
        os,
        build,
        started,
        transport: args.transport,
    };
    let mounts = mounts::read().context("failed to read /proc/self/mountinfo")?;
    let plans = if args.targets.is_empty() {
        plan::all(&mounts)
    } else {
        plan::named(&args.targets, &mounts, args.timeout / 2)?
    };
    let checked = match untraceable(&ground.facts) {
        Some(why) => Checked::untraceable(&plans, &why),
        None if plans.is_empty() => Vec::new(),
        None => match args.observe {
            Some(time) => observing::run(&ground, &plans, time).await,
            None => testing::run(&ground, &plans, args).await,
        },
    };
    Ok(report(ground, release, &plans, checked))
}

impl Checked {
    /// None of the mounts can be checked.
    pub(super) fn untraceable(plans: &[Plan], why: &str) -> Vec<Self> {
        let mishaps = Mishaps {
            untraceable: Some(why.into()),
            ..Mishaps::default()
        };
        let one = |_| Self::not_done(mishaps.clone());
        plans.iter().map(one).collect()
    }

    pub(super) fn not_done(mishaps: Mishaps) -> Self {
        Self {
            evidence: Vec::new(),
            mishaps,
            remarks: Vec::new(),
            took: Duration::ZERO,
        }
    }
}

fn untraceable(facts: &Facts) -> Option<String> {
    let problems = preflight::problems(facts);
    let lines: Vec<String> = problems
        .iter()
        .map(|problem| format!("{}: {}", problem.what, problem.remedy))
        .collect();
    (!lines.is_empty()).then(|| format!("nothing can be traced here: {}", lines.join("; ")))
}

/// What /proc/self/mountstats tells of the mount; the server is not asked.
pub(super) fn mount_facts(plan: &Plan) -> Option<MountFacts> {
    let text = fs::read_to_string("/proc/self/mountstats").ok()?;
    options::parse(&text, &plan.mount.point)
}

/// Who holds files of an affected mount open, and with them the open state that is reused.
fn holders(plan: &Plan) -> Vec<HolderReport> {
    let found = holders::scan(&[plan.mount.dev]).unwrap_or_default();
    let mut holders: Vec<_> = found
        .holders
        .into_iter()
        .map(|holder| HolderReport {
            pid: holder.pid,
            command: holder.command,
            path: escape_path(&holder.path),
        })
        .collect();
    holders.sort();
    holders.dedup();
    holders
}

fn report(ground: Ground, release: Evidence, plans: &[Plan], checked: Vec<Checked>) -> Report {
    let mounts: Vec<MountReport> = plans
        .iter()
        .zip(checked)
        .map(|(plan, checked)| {
            let facts = mount_facts(plan);
            let mut one = conclude(
                plan,
                facts.as_ref(),
                checked.evidence,
                &ground.image,
                &checked.mishaps,
            );
            one.remarks.splice(0..0, checked.remarks);
            one.took_ms = u64::try_from(checked.took.as_millis()).unwrap_or(u64::MAX);
            if one.verdict == Verdict::Affected {
                one.holders = holders(plan);
            }
            one.advice = advice::for_mount(&one, plan, &checked.mishaps);
            one
        })
        .collect();
    let verdict = overall(mounts.iter().map(|mount| mount.verdict));
    let why = match mounts.iter().find(|mount| mount.verdict == verdict) {
        Some(mount) => format!("{}: {}", mount.mount, mount.why),
        None => untraceable(&ground.facts)
            .unwrap_or_else(|| "there is no NFSv4 mount here to look at".into()),
    };
    let levels: Vec<_> = mounts.iter().map(|mount| mount.fix_level).collect();
    let fixed = release::fixed_versions(&ground.facts.release, &ground.build, &ground.os);
    Report {
        version: env!("CARGO_PKG_VERSION"),
        advice: advice::in_general(verdict, &levels, mounts.is_empty(), fixed),
        distribution: Some(ground.os.pretty_name).filter(|name| !name.is_empty()),
        kernel: ground.facts.release,
        verdict,
        why,
        evidence: vec![ground.image, release],
        mounts,
    }
}
