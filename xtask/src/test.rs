//! `cargo xtask test`: everything that must hold, cheapest first: house rules, formatting,
//! lints, tests without a kernel, then real guests.

use std::{
    process::Command,
    sync::Mutex,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Result, ensure};
use clap::Args;
use lab_contract::{protocol::NfsVersion, scenario::WORKAROUND};

use crate::{
    exec,
    lab::{checks, client::Client, guest::Spec, run, table, verdicts},
    setup::{self, Needs, Tools},
    tidy, workspace,
};

/// Check everything: formatting, lints, unit and replay tests, then the lab
#[derive(Args)]
pub(crate) struct Options {
    /// Leave the guests out (they need qemu and some minutes)
    #[arg(long)]
    no_lab: bool,
}

/// The guests in which the program itself is checked: bad input, ends, filters, overload.
const CHECKED: &[(&str, Client)] = &[
    ("debian:6.1", Client::Stock),
    ("debian:6.12", Client::Stock),
];

/// The guests in which `nfs-trace check` has to find the right verdicts, each on NFSv4.0, 4.1 and
/// 4.2, and the cases (none: all).
const JUDGED: &[(&str, Client, &[&str])] = &[
    ("debian:6.1", Client::Stock, &[]),
    ("debian:6.1", Client::WithoutBe189f7e, &[]),
    ("debian:6.1", Client::WithoutSeries, &[]),
    ("debian:6.1", Client::Be189f7eOnly, &[]),
    // Two mounts of which one is affected.
    ("debian:6.1", Client::AffectedOnV40, &["several"]),
    ("debian:6.12", Client::Stock, &[]),
];

/// A guest and what is run in it.
#[derive(Clone, Copy)]
struct Guest {
    kernel: &'static str,
    client: Client,
    versions: &'static [NfsVersion],
    /// All but the slow one if none is named.
    scenarios: &'static [&'static str],
    /// What the kernel offers if none is named.
    transport: Option<&'static str>,
}

const ALL: &[NfsVersion] = &[NfsVersion::V40, NfsVersion::V41, NfsVersion::V42];
/// v4.2 answers as v4.1 does.
const BOTH: &[NfsVersion] = &[NfsVersion::V40, NfsVersion::V41];

const fn row(
    kernel: &'static str,
    client: Client,
    versions: &'static [NfsVersion],
    scenarios: &'static [&'static str],
) -> Guest {
    Guest {
        kernel,
        client,
        versions,
        scenarios,
        transport: None,
    }
}

/// The same through perf event arrays, which means the programs for old kernels.
const fn through_perf(row: Guest) -> Guest {
    Guest {
        transport: Some("perf"),
        ..row
    }
}

/// The guests. Where a client differs in some scenarios only, these are enough; one client is
/// enough for the slow one.
const GUESTS: &[Guest] = &[
    row("debian:6.1", Client::Stock, ALL, &[]),
    row("debian:6.1", Client::WithoutSeries, ALL, &[]),
    row("debian:6.1", Client::WithoutBe189f7e, ALL, &[]),
    row("debian:6.12", Client::Stock, ALL, &[]),
    through_perf(row("debian:6.1", Client::WithoutSeries, BOTH, &[])),
    row(
        "debian:6.1",
        Client::Be189f7eOnly,
        BOTH,
        &["reopen", "rename-over", "unlinked", "delegation"],
    ),
    row(
        "debian:6.1",
        Client::AffectedOnV40,
        BOTH,
        &["reopen", "rename-over"],
    ),
    row("debian:6.1", Client::WithoutSeries, BOTH, &[WORKAROUND]),
];

pub(crate) fn run(options: &Options) -> Result<()> {
    let Options { no_lab } = options;
    let tools = setup::ensure(&Needs {
        programs: true,
        lab: !no_lab,
    })?;
    let mut steps = Steps::default();
    steps.run("house rules", || tidy::check(&tools));
    steps.run("formatting", || cargo(&tools, &["fmt", "--all", "--check"]));
    steps.run("lints", || {
        cargo(
            &tools,
            &[
                "clippy",
                "--workspace",
                "--all-targets",
                "--locked",
                "--",
                "-D",
                "warnings",
            ],
        )
    });
    steps.run("lints of the programs", || lint_programs(&tools));
    steps.run("tests without a kernel", || {
        cargo(&tools, &["test", "--workspace", "--locked"])
    });
    if *no_lab {
        let guests = GUESTS.len() + CHECKED.len() + JUDGED.len();
        eprintln!("SKIPPED: the lab ({guests} guests), because of --no-lab");
        steps.skipped += guests;
    } else {
        for row in GUESTS {
            let (kernel, client) = (row.kernel, row.client.name());
            let what = match row.scenarios {
                [] => String::new(),
                [name] => (*name).to_owned(),
                names => format!("{} scenarios", names.len()),
            };
            let through = row.transport.unwrap_or_default();
            let name = format!("lab: {kernel} {client} {what} {through}");
            steps.run(name.trim_end(), || guest(row));
        }
        for (kernel, client) in CHECKED {
            steps.run(&format!("checks: {kernel} {}", client.name()), || {
                check(kernel, *client)
            });
        }
        steps.run_side_by_side(JUDGED, |(kernel, client, cases)| {
            let name = format!("verdicts: {kernel} {}", client.name());
            (name, verdicts(kernel, *client, cases))
        });
    }
    steps.end()
}

fn guest(row: &Guest) -> Result<()> {
    let mut spec = Spec::new(row.kernel, row.client);
    spec.transport = row.transport.map(str::to_owned);
    let options = run::Options {
        spec,
        vers: row.versions.to_vec(),
        scenarios: row.scenarios.iter().map(|&name| name.to_owned()).collect(),
        capture: None,
    };
    let report = run::execute(&options, table::line)?;
    let failures = report.failures();
    ensure!(
        failures == 0,
        "{failures} of {} outcomes failed",
        report.outcomes.len()
    );
    Ok(())
}

fn check(kernel: &str, client: Client) -> Result<()> {
    let options = checks::Options {
        spec: Spec::new(kernel, client),
        vers: NfsVersion::V41,
        checks: Vec::new(),
    };
    checks::summary(&checks::execute(&options, checks::line)?)
}

fn verdicts(kernel: &str, client: Client, cases: &[&str]) -> Result<()> {
    let options = verdicts::Options {
        spec: Spec::new(kernel, client),
        vers: ALL.to_vec(),
        cases: cases.iter().map(|&case| case.to_owned()).collect(),
    };
    verdicts::summary(&verdicts::execute(&options, |measured, problems| {
        verdicts::line(measured, &options.spec, problems);
    })?)
}

fn cargo(tools: &Tools, args: &[&str]) -> Result<()> {
    let mut cargo = Command::new("cargo");
    tools.apply(&mut cargo)?;
    exec::run_shown(cargo.current_dir(workspace::root()).args(args))
}

/// The host's clippy sees an empty program; these are the real ones, of both flavours.
fn lint_programs(tools: &Tools) -> Result<()> {
    for features in ["", "legacy"] {
        let mut cargo = Command::new("cargo");
        tools.apply(&mut cargo)?;
        cargo
            .current_dir(workspace::root())
            .env("RUSTC_BOOTSTRAP", "1")
            .args([
                "clippy",
                "--locked",
                "--package",
                "nfs-trace-ebpf",
                "--release",
            ])
            .args(["--features", features])
            .args(["--target", "bpfel-unknown-none", "-Zbuild-std=core"])
            .args([
                "--target-dir",
                "target/clippy-programs",
                "--",
                "-D",
                "warnings",
            ]);
        exec::run_shown(&mut cargo)?;
    }
    Ok(())
}

#[derive(Default)]
struct Steps {
    passed: usize,
    skipped: usize,
    failed: Vec<String>,
    times: Vec<(String, Duration)>,
}

impl Steps {
    /// Runs one step; the others go on when it fails.
    fn run(&mut self, name: &str, step: impl FnOnce() -> Result<()>) {
        eprintln!("\n==> {name}");
        let started = Instant::now();
        let outcome = step();
        self.note(name, outcome, started.elapsed());
    }

    /// Runs a step for each row, two at a time: for steps that wait more than they work.
    fn run_side_by_side<T: Sync>(
        &mut self,
        rows: &[T],
        step: impl Fn(&T) -> (String, Result<()>) + Sync,
    ) {
        let rows = Mutex::new(rows.iter());
        let steps = Mutex::new(self);
        // Poisoned only if a step panicked, which ends the scope with a panic anyway.
        let worker = || {
            while let Some(row) = rows.lock().ok().and_then(|mut rows| rows.next()) {
                let started = Instant::now();
                let (name, outcome) = step(row);
                if let Ok(mut steps) = steps.lock() {
                    steps.note(&name, outcome, started.elapsed());
                }
            }
        };
        thread::scope(|scope| {
            scope.spawn(worker);
            worker();
        });
    }

    fn note(&mut self, name: &str, outcome: Result<()>, took: Duration) {
        match outcome {
            Ok(()) => self.passed += 1,
            Err(error) => {
                eprintln!("FAILED: {name}: {error:#}");
                self.failed.push(name.to_owned());
            }
        }
        self.times.push((name.to_owned(), took));
    }

    fn end(self) -> Result<()> {
        eprintln!();
        for (name, time) in &self.times {
            let word = if self.failed.contains(name) {
                "FAILED"
            } else {
                "ok"
            };
            eprintln!("{word:7} {name:42} {:6.1} s", time.as_secs_f64());
        }
        // The closing line, by itself on stdout.
        println!(
            "{} passed, {} failed, {} skipped",
            self.passed,
            self.failed.len(),
            self.skipped
        );
        ensure!(self.failed.is_empty(), "failed: {}", self.failed.join(", "));
        Ok(())
    }
}
