//! `cargo xtask lab verdicts`: boots a guest, has `nfs-trace check` look at it in all its ways, and
//! compares with the table of expected verdicts. Every cell is run.

mod expect;
mod judge;
mod report;
#[cfg(test)]
mod tests;

use std::{
    collections::BTreeSet,
    fmt::Write as _,
    fs::File,
    io::Write as _,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail, ensure};
use clap::Args;
use lab_contract::{
    protocol::{Job, Message, Mode, NfsVersion},
    verdicts::{CASES, Cell, Measured, cells},
};

use super::{
    guest::{self, Guest, Spec},
    qemu::{self, Serial},
    session::Session,
};
use report::{Mount, Report};

/// How long a guest may be silent: the longest case under TCG on a busy machine.
const SILENT_AT_MOST: Duration = Duration::from_secs(180);

/// Have `nfs-trace check` look at a guest in all its ways, and judge its verdicts
#[derive(Args, Clone)]
pub(crate) struct Options {
    #[command(flatten)]
    pub(crate) spec: Spec,
    /// NFS versions
    #[arg(long, value_delimiter = ',', default_value = "4.0,4.1,4.2")]
    pub(crate) vers: Vec<NfsVersion>,
    /// Cases (default: all; see `lab list`)
    #[arg(long = "case", value_delimiter = ',')]
    pub(crate) cases: Vec<String>,
}

/// What the cells of one guest gave, with what is wrong with each.
pub(crate) type Outcomes = Vec<(Measured, Vec<String>)>;

pub(crate) fn run(options: &Options) -> Result<()> {
    let outcomes = execute(options, |measured, problems| {
        print!("{}", line(measured, &options.spec, problems));
    })?;
    println!("{}", counts(&outcomes));
    ensure_all_passed(&outcomes)
}

/// How many ended how, and what the longest check took.
fn counts(outcomes: &Outcomes) -> String {
    let failed = failed(outcomes);
    let skipped = outcomes.iter().filter(|(it, _)| it.skipped.is_some());
    let skipped = skipped.count();
    let longest = outcomes
        .iter()
        .flat_map(|(measured, _)| &measured.asked)
        .map(|asked| asked.took_ms)
        .max()
        .unwrap_or_default();
    format!(
        "{} cells passed, {failed} failed, {skipped} skipped; the longest check took {:.1} s",
        outcomes.len() - failed - skipped,
        longest as f64 / 1000.0
    )
}

fn failed(outcomes: &Outcomes) -> usize {
    outcomes.iter().filter(|(_, bad)| !bad.is_empty()).count()
}

/// Fails if a cell did.
pub(crate) fn ensure_all_passed(outcomes: &Outcomes) -> Result<()> {
    let failed = failed(outcomes);
    ensure!(failed == 0, "{failed} of {} cells failed", outcomes.len());
    Ok(())
}

/// One line for a cell, and what is wrong below it.
pub(crate) fn line(measured: &Measured, spec: &Spec, problems: &[String]) -> String {
    let word = match (problems, &measured.skipped) {
        ([], None) => "PASS",
        ([], Some(_)) => "SKIPPED",
        _ => "FAIL",
    };
    let Cell {
        case,
        version,
        delegations,
    } = &measured.cell;
    let with = if *delegations { "delegations" } else { "-" };
    let longest = measured.asked.iter().map(|asked| asked.took_ms).max();
    let mut text = format!(
        "{word:<7} {} {} {case:<20} v{version} {with:<11} {:<32} {:>6} ms\n",
        spec.name(),
        spec.client.name(),
        found(measured),
        longest.unwrap_or_default(),
    );
    for below in measured.skipped.iter().chain(problems) {
        let _ = writeln!(text, "        {below}");
    }
    text
}

/// The verdicts and levels of all runs of a cell, each once: `affected none`.
fn found(measured: &Measured) -> String {
    let of_mount = |mount: &Mount| match mount.fix_level {
        Some(level) => format!("{} {level}", mount.verdict),
        None => mount.verdict.to_string(),
    };
    let mut words = Vec::new();
    for asked in &measured.asked {
        let Ok(report) = Report::read(&asked.out) else {
            words.push(format!("status {}", asked.status));
            continue;
        };
        if report.mounts.is_empty() {
            words.push(report.verdict.to_string());
        }
        words.extend(report.mounts.iter().map(of_mount));
    }
    let mut seen = BTreeSet::new();
    words.retain(|word| seen.insert(word.clone()));
    words.join(", ")
}

/// Runs one guest to its end and hands each cell to `show` as it comes.
pub(crate) fn execute(
    options: &Options,
    mut show: impl FnMut(&Measured, &[String]),
) -> Result<Outcomes> {
    let client = options.spec.judged_as();
    let job = job(options)?;
    let Guest {
        kernel,
        accelerator,
        initrd,
        console,
    } = guest::prepare(&options.spec, &job)?;
    let mut owed: BTreeSet<Cell> = cells(&job.scenarios, &job.versions).into_iter().collect();
    ensure!(!owed.is_empty(), "none of these cases is for this version");
    eprintln!(
        "lab: booting Linux {} ({}), client {}, {accelerator:?}, for {} cells",
        kernel.release,
        kernel.version,
        client.name(),
        owed.len(),
    );
    let mut kept = File::create(console.with_file_name("messages.jsonl"))?;
    let started = Instant::now();
    let serial = Serial::Protocol(&console);
    let qemu = qemu::start(accelerator, &kernel.vmlinuz, &initrd, &serial)?;
    let mut session = Session::new(qemu, &console)?;
    let mut outcomes = Vec::new();
    while let Some(message) = session
        .next(SILENT_AT_MOST)
        .with_context(|| missing(&owed))?
    {
        // The log is a convenience: a full disk must not fail the run.
        let line = serde_json::to_string(&message).unwrap_or_default();
        let _ = writeln!(kept, "{line}");
        match message {
            Message::Measured(measured) => {
                let Cell { case, version, .. } = &measured.cell;
                ensure!(
                    owed.remove(&measured.cell),
                    "guest sent {case} over v{version} twice or unasked"
                );
                let problems = judge::judge(&measured, client, &kernel.release);
                show(&measured, &problems);
                outcomes.push((*measured, problems));
            }
            Message::Log { text } => eprintln!("lab: {text}"),
            Message::Failed { error } => bail!("guest failed: {error}"),
            Message::Done => {
                ensure!(owed.is_empty(), "{}", missing(&owed));
                eprintln!(
                    "lab: guest was done after {:.1} s",
                    started.elapsed().as_secs_f64()
                );
                return Ok(outcomes);
            }
            Message::Ready(_)
            | Message::Begin { .. }
            | Message::Outcome(_)
            | Message::Checked(_)
            | Message::Benched(_)
            | Message::Next { .. } => {}
        }
    }
    bail!("guest ended before it was done: {}", missing(&owed))
}

fn missing(owed: &BTreeSet<Cell>) -> String {
    let cell = |cell: &Cell| {
        let with = if cell.delegations {
            " with delegations"
        } else {
            ""
        };
        format!("{} over v{}{with}", cell.case, cell.version)
    };
    let names: Vec<String> = owed.iter().map(cell).collect();
    format!("cells not over: {}", names.join(", "))
}

fn job(options: &Options) -> Result<Job> {
    ensure!(
        !options.spec.no_tracer,
        "verdicts are nfs-trace's: leave --no-tracer out"
    );
    let names: Vec<&str> = CASES.iter().map(|case| case.name).collect();
    for name in &options.cases {
        ensure!(
            names.contains(&&**name),
            "no case `{name}`: use {}",
            names.join(", ")
        );
    }
    let chosen = names
        .iter()
        .filter(|name| options.cases.is_empty() || options.cases.iter().any(|it| it == *name));
    let mut versions = options.vers.clone();
    versions.sort_unstable();
    versions.dedup();
    Ok(Job {
        mode: Mode::Verdicts,
        versions,
        scenarios: chosen.map(|name| (*name).to_owned()).collect(),
        tracer: true,
        capture: false,
        transport: options.spec.transport.clone(),
        layout: options.spec.layout.clone(),
    })
}
