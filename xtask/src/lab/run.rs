//! `cargo xtask lab run`: boots a guest, runs scenarios in it, and judges what they measured.

use std::{
    collections::BTreeSet,
    fs::File,
    io::Write as _,
    path::{Path, PathBuf},
    time::Instant,
};

use anyhow::{Context as _, Result, bail, ensure};
use clap::Args;
use lab_contract::{
    protocol::{Job, Message, Mode, NfsVersion, Outcome},
    scenario::{self, PREFLIGHT, SCENARIOS},
};

use crate::cache;

use super::{
    cures,
    guest::{self, Guest, Spec},
    judge::{self, Verdict},
    qemu::{self, Serial},
    session::Session,
    table,
};

/// Run scenarios in a guest and judge them
#[derive(Args, Clone)]
pub(crate) struct Options {
    #[command(flatten)]
    pub(crate) spec: Spec,
    /// NFS versions
    #[arg(long, value_delimiter = ',', default_value = "4.0,4.1,4.2")]
    pub(crate) vers: Vec<NfsVersion>,
    /// Scenarios (default: all but the slow one; see `lab list`)
    #[arg(long = "scenario", value_delimiter = ',')]
    pub(crate) scenarios: Vec<String>,
    /// Keep recordings of small scenarios in this folder (replay tests use them)
    #[arg(long, value_name = "DIR")]
    pub(crate) capture: Option<PathBuf>,
}

/// What one guest gave.
pub(crate) struct Report {
    pub(crate) outcomes: Vec<(Outcome, Verdict)>,
}

impl Report {
    pub(crate) fn failures(&self) -> usize {
        self.outcomes
            .iter()
            .filter(|(_, verdict)| !verdict.is_pass())
            .count()
    }

    /// Fails if an outcome did.
    pub(crate) fn ensure_all_passed(&self) -> Result<()> {
        let failures = self.failures();
        ensure!(
            failures == 0,
            "{failures} of {} outcomes failed",
            self.outcomes.len()
        );
        Ok(())
    }
}

pub(crate) fn run(options: &Options) -> Result<()> {
    let report = execute(options, |outcome, verdict| {
        print!("{}", table::line(outcome, verdict));
    })?;
    if let Some(dir) = &options.capture {
        keep_captures(dir, options, &report)?;
    }
    table::summary(&options.spec, &report.outcomes);
    for (outcome, _) in &report.outcomes {
        print!("{}", cures::table(outcome));
    }
    report.ensure_all_passed()
}

/// One file an outcome, named after kernel series, client, scenario and version.
fn keep_captures(dir: &Path, options: &Options, report: &Report) -> Result<()> {
    cache::create_dir(dir)?;
    let kernel = options.spec.kernel.replace("debian:", "").replace(':', "-");
    for (outcome, _) in &report.outcomes {
        let (Some(recording), Some(version)) = (recording(outcome)?, outcome.version) else {
            continue;
        };
        let client = options.spec.client.name();
        let name = format!("{kernel}-{client}-{}-v{version}.nfst", outcome.scenario);
        cache::write(&dir.join(name), recording)?;
    }
    Ok(())
}

/// What nfs-trace recorded, if it was brought out of the guest.
pub(crate) fn recording(outcome: &Outcome) -> Result<Option<Vec<u8>>> {
    outcome.capture.as_deref().map(unhex).transpose()
}

fn unhex(text: &str) -> Result<Vec<u8>> {
    let pair = |at| {
        text.get(at..at + 2)
            .and_then(|two| u8::from_str_radix(two, 16).ok())
    };
    (0..text.len())
        .step_by(2)
        .map(|at| pair(at).context("read a capture: not hexadecimal"))
        .collect()
}

/// Runs one guest to its end and hands each outcome to `show` as it comes.
pub(crate) fn execute(
    options: &Options,
    mut show: impl FnMut(&Outcome, &Verdict),
) -> Result<Report> {
    let job = job(options)?;
    let guest = guest::prepare(&options.spec, &job)?;
    announce(options, &guest);
    let Guest {
        kernel,
        accelerator,
        initrd,
        console,
    } = &guest;
    let mut kept = File::create(console.with_file_name("messages.jsonl"))?;
    let qemu = qemu::start(
        *accelerator,
        &kernel.vmlinuz,
        initrd,
        &Serial::Protocol(console),
    )?;
    let mut session = Session::new(qemu, console)?;
    let started = Instant::now();
    let mut broken = None;
    let judged = |outcome: &Outcome| judge::judge(outcome, options.spec.judged_as(), job.tracer);
    let followed = session.follow(&job, |message| {
        // The log is a convenience: a full disk must not fail the run.
        let _ = writeln!(
            kept,
            "{}",
            serde_json::to_string(message).unwrap_or_default()
        );
        match message {
            Message::Ready(ready) => {
                let seconds = started.elapsed().as_secs_f64();
                eprintln!(
                    "lab: Linux {} serves NFS after {seconds:.1} s",
                    ready.release
                );
            }
            Message::Log { text } => eprintln!("lab: {text}"),
            Message::Outcome(outcome) => {
                let verdict = judged(outcome);
                show(outcome, &verdict);
                if outcome.scenario == PREFLIGHT && !verdict.is_pass() {
                    broken.get_or_insert_with(|| verdict.problems().join("; "));
                }
            }
            _ => {}
        }
        broken.is_none()
    });
    if let Some(why) = broken {
        bail!("nothing can be measured in this guest: {why}");
    }
    let outcomes = followed.with_context(|| format!("run the guest {}", kernel.release))?;
    eprintln!(
        "lab: guest ended after {:.1} s",
        started.elapsed().as_secs_f64()
    );
    let judge_each = |outcome: Outcome| {
        let verdict = judged(&outcome);
        (outcome, verdict)
    };
    Ok(Report {
        outcomes: outcomes.into_iter().map(judge_each).collect(),
    })
}

fn announce(options: &Options, guest: &Guest) {
    eprintln!(
        "lab: booting Linux {} ({}), client {}, {:?}; logs in {}",
        guest.kernel.release,
        guest.kernel.version,
        options.spec.client.name(),
        guest.accelerator,
        guest.console.parent().unwrap_or(&guest.console).display(),
    );
}

/// What to ask of the guest. Whatever was chosen, preflight comes first: without it, a run in
/// which nothing is measured would look like one in which nothing is wrong.
fn job(options: &Options) -> Result<Job> {
    let mut scenarios = options.scenarios.clone();
    for name in &scenarios {
        let names: Vec<&str> = SCENARIOS.iter().map(|scenario| scenario.name).collect();
        ensure!(
            scenario::find(name).is_some(),
            "no scenario `{name}`: use {}",
            names.join(", ")
        );
    }
    let few_returns = options.spec.kernel == "like:4.4";
    if scenarios.is_empty() && few_returns {
        eprintln!(
            "lab: without the scenario storm: kretprobes of {} have an instance for each CPU and \
             no more",
            options.spec.kernel
        );
    }
    if scenarios.is_empty() {
        scenarios = SCENARIOS
            .iter()
            .filter(|scenario| !scenario.slow)
            .filter(|scenario| !few_returns || scenario.name != "storm")
            .map(|scenario| scenario.name.to_owned())
            .collect();
    }
    scenarios.retain(|name| name != PREFLIGHT);
    scenarios.insert(0, PREFLIGHT.to_owned());
    // Each once: a second outcome of one name would be an error.
    let mut seen = BTreeSet::new();
    scenarios.retain(|name| seen.insert(name.clone()));
    let mut versions = options.vers.clone();
    versions.sort_unstable();
    versions.dedup();
    Ok(Job {
        mode: Mode::Run,
        versions,
        scenarios,
        tracer: !options.spec.no_tracer,
        capture: options.capture.is_some(),
        transport: options.spec.transport.clone(),
        layout: options.spec.layout.clone(),
    })
}
