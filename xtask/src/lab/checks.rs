//! `cargo xtask lab checks`: boots a guest and has nfs-trace checked in it. One outcome for each
//! check, no more and no less.

use std::{collections::BTreeSet, time::Duration, time::Instant};

use anyhow::{Context as _, Result, bail, ensure};
use clap::Args;
use lab_contract::{
    check::{CHECKS, Checked, Verdict},
    protocol::{Job, Message, Mode, NfsVersion},
};

use super::{
    guest::{self, Guest, Spec},
    qemu::{self, Serial},
    session::Session,
};

/// How long a guest may be silent: the longest check under TCG on a busy machine.
const SILENT_AT_MOST: Duration = Duration::from_secs(180);

/// Check the program itself in a guest: filters, ends, bad input, overload
#[derive(Args, Clone)]
pub(crate) struct Options {
    #[command(flatten)]
    pub(crate) spec: Spec,
    /// NFS version of the mount
    #[arg(long, default_value = "4.1")]
    pub(crate) vers: NfsVersion,
    /// Checks (default: all)
    #[arg(long = "check", value_delimiter = ',')]
    pub(crate) checks: Vec<String>,
}

pub(crate) fn run(options: &Options) -> Result<()> {
    let outcomes = execute(options, |checked| print!("{}", line(checked)))?;
    println!("{}", counts(&outcomes));
    judge(&outcomes)
}

/// How many ended how.
fn counts(outcomes: &[Checked]) -> String {
    let count = |of: fn(&Verdict) -> bool| outcomes.iter().filter(|one| of(&one.verdict)).count();
    format!(
        "{} checks passed, {} failed, {} skipped",
        count(|verdict| matches!(verdict, Verdict::Pass(_))),
        count(|verdict| matches!(verdict, Verdict::Fail(_))),
        count(|verdict| matches!(verdict, Verdict::Skip(_))),
    )
}

/// Fails if a check did.
pub(crate) fn judge(outcomes: &[Checked]) -> Result<()> {
    let failed = |one: &&Checked| matches!(one.verdict, Verdict::Fail(_));
    let failed = outcomes.iter().filter(failed).count();
    ensure!(failed == 0, "{failed} of {} checks failed", outcomes.len());
    Ok(())
}

/// One line for an outcome.
pub(crate) fn line(checked: &Checked) -> String {
    let (word, text) = match &checked.verdict {
        Verdict::Pass(text) => ("PASS", text),
        Verdict::Fail(text) => ("FAIL", text),
        Verdict::Skip(text) => ("SKIPPED", text),
    };
    let seconds = checked.took_ms as f64 / 1000.0;
    format!("{word:<7} {:<16} {seconds:>5.1} s  {text}\n", checked.check)
}

/// Runs one guest to its end and hands each outcome to `show` as it comes.
pub(crate) fn execute(options: &Options, mut show: impl FnMut(&Checked)) -> Result<Vec<Checked>> {
    let job = job(options)?;
    let Guest {
        kernel,
        accelerator,
        initrd,
        console,
    } = guest::prepare(&options.spec, &job)?;
    eprintln!(
        "lab: booting Linux {} ({}), client {}, {accelerator:?}, for {} checks over v{}",
        kernel.release,
        kernel.version,
        options.spec.client.name(),
        job.scenarios.len(),
        options.vers,
    );
    let started = Instant::now();
    let serial = Serial::Protocol(&console);
    let qemu = qemu::start(accelerator, &kernel.vmlinuz, &initrd, &serial)?;
    let mut session = Session::new(qemu, &console)?;
    let mut owed: BTreeSet<String> = job.scenarios.iter().cloned().collect();
    let mut outcomes = Vec::new();
    while let Some(message) = session
        .next(SILENT_AT_MOST)
        .with_context(|| running(&owed))?
    {
        match message {
            Message::Checked(checked) => {
                ensure!(
                    owed.remove(&checked.check),
                    "guest sent the outcome of {} twice or unasked",
                    checked.check
                );
                show(&checked);
                outcomes.push(checked);
            }
            Message::Log { text } => eprintln!("lab: {text}"),
            Message::Failed { error } => bail!("guest failed: {error}"),
            Message::Done => {
                ensure!(owed.is_empty(), "guest sent no outcome: {}", running(&owed));
                eprintln!(
                    "lab: guest was done after {:.1} s",
                    started.elapsed().as_secs_f64()
                );
                return Ok(outcomes);
            }
            Message::Ready(_)
            | Message::Begin { .. }
            | Message::Outcome(_)
            | Message::Measured(_)
            | Message::Benched(_)
            | Message::Next { .. } => {}
        }
    }
    bail!("guest ended before it was done: {}", running(&owed))
}

fn running(owed: &BTreeSet<String>) -> String {
    let names: Vec<&str> = owed.iter().map(String::as_str).collect();
    format!("checks not over: {}", names.join(", "))
}

fn job(options: &Options) -> Result<Job> {
    ensure!(
        !options.spec.no_tracer,
        "checks are of nfs-trace: leave --no-tracer out"
    );
    for name in &options.checks {
        let names: Vec<&str> = CHECKS.iter().map(|check| check.name).collect();
        ensure!(
            names.contains(&&**name),
            "no check `{name}`: use {}",
            names.join(", ")
        );
    }
    // In the order of the table, each once.
    let chosen = CHECKS.iter().filter(|check| {
        options.checks.is_empty() || options.checks.iter().any(|name| name == check.name)
    });
    Ok(Job {
        mode: Mode::Check,
        versions: vec![options.vers],
        scenarios: chosen.map(|check| check.name.to_owned()).collect(),
        tracer: true,
        capture: false,
        transport: options.spec.transport.clone(),
        layout: options.spec.layout.clone(),
    })
}
