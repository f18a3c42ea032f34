//! `cargo xtask test`: everything that must hold, cheapest first: house rules, formatting,
//! lints, tests without a kernel, then real guests.

use std::{
    process::Command,
    sync::Mutex,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Result, bail, ensure};
use clap::Args;

use crate::{
    cost, debian_tool, dist, exec, fuzz,
    lab::{checks, client, run, table, verdicts},
    matrix::{MATRIX, Row, Task},
    page,
    setup::{self, Needs, Tools},
    tidy, workspace,
};

/// Check everything: formatting, lints, unit and replay tests, then the lab
#[derive(Args)]
pub(crate) struct Options {
    /// Leave the guests out (they need qemu and half an hour)
    #[arg(long)]
    no_lab: bool,
    /// All guests of the table in xtask/src/matrix.rs, instead of a slice that holds every
    /// kernel, client, version, transport and layout (hours)
    #[arg(long, conflicts_with = "no_lab")]
    full: bool,
    /// Of `--full` only the guests that are not in the slice, and nothing else: with a run
    /// without options beside it, all of `--full` in two halves
    #[arg(long, conflicts_with_all = ["no_lab", "full"])]
    rest: bool,
    /// Of the guests only those with these kernels, as the table has them: debian:6.1, like:4.4
    #[arg(
        long,
        value_delimiter = ',',
        value_name = "KERNEL",
        conflicts_with = "no_lab"
    )]
    kernel: Vec<String>,
}

pub(crate) fn run(options: &Options) -> Result<()> {
    let Options {
        no_lab,
        full,
        rest,
        kernel,
    } = options;
    let asked_for = || {
        MATRIX
            .iter()
            .filter(|row| *full || row.slice != *rest)
            .filter(|row| kernel.is_empty() || kernel.iter().any(|asked| asked == row.kernel))
    };
    for kernel in kernel {
        ensure!(
            asked_for().any(|row| row.kernel == kernel),
            "none of these guests has the kernel `{kernel}`: see xtask/src/matrix.rs, and ask for \
             --full"
        );
    }
    let tools = setup::ensure(&Needs {
        programs: true,
        lab: !no_lab,
    })?;
    let mut steps = Steps::default();
    if !rest {
        steps.run_without_guests(&tools);
    }
    let rows: Vec<&Row> = asked_for().collect();
    if *no_lab {
        let guests = rows.iter().map(|row| format!("{}: --no-lab", row.name()));
        steps.skipped.extend(guests);
    } else {
        steps.run("kernels and clients", || prepare(&rows));
        steps.run_side_by_side(&rows);
    }
    steps.end()
}

/// Fetches and builds what the guests are made of, so that none waits for another's.
fn prepare(rows: &[&Row]) -> Result<()> {
    for row in rows {
        let spec = row.spec();
        client::build(&spec.kernel()?, spec.client)?;
    }
    Ok(())
}

/// Boots a guest; returns what there is to print of it.
fn guest(row: &Row, said: &mut String) -> Result<()> {
    let spec = row.spec();
    let vers = row.versions.to_vec();
    let named = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect();
    match row.task {
        Task::Run(names) => {
            let options = run::Options {
                spec,
                vers,
                scenarios: named(names),
                capture: None,
            };
            let report = run::execute(&options, |outcome, verdict| {
                said.push_str(&table::line(outcome, verdict));
            })?;
            report.ensure_all_passed()
        }
        Task::Checks(names) => {
            let [vers] = row.versions else {
                bail!("checks are for one version: {}", row.name());
            };
            let options = checks::Options {
                spec,
                vers: *vers,
                checks: named(names),
            };
            checks::judge(&checks::execute(&options, |checked| {
                said.push_str(&checks::line(checked));
            })?)
        }
        Task::Verdicts(names) => {
            let options = verdicts::Options {
                spec,
                vers,
                cases: named(names),
            };
            verdicts::ensure_all_passed(&verdicts::execute(&options, |measured, problems| {
                said.push_str(&verdicts::line(measured, &options.spec, problems));
            })?)
        }
    }
}

/// What was skipped in a guest. Where the reason is on a line of its own, that one comes along.
fn skips(said: &str) -> Vec<String> {
    let mut lines = said.lines().peekable();
    let mut skips = Vec::new();
    while let Some(line) = lines.next() {
        let Some(skip) = line.strip_prefix("SKIPPED") else {
            continue;
        };
        let why = lines.next_if(|line| line.starts_with(' ')).unwrap_or("");
        let words: Vec<&str> = skip
            .split_whitespace()
            .chain(why.split_whitespace())
            .collect();
        skips.push(words.join(" "));
    }
    skips
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
    /// What was not tried, and why.
    skipped: Vec<String>,
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

    /// Everything that needs no guest.
    fn run_without_guests(&mut self, tools: &Tools) {
        self.run("house rules", || tidy::check(tools));
        self.run("formatting", || cargo(tools, &["fmt", "--all", "--check"]));
        self.run("lints", || {
            cargo(
                tools,
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
        self.run("lints of the programs", || lint_programs(tools));
        let promtool = debian_tool::PROMTOOL.path();
        self.run("tests without a kernel", || {
            let mut cargo = Command::new("cargo");
            tools.apply(&mut cargo)?;
            if let Ok(promtool) = &promtool {
                cargo.env("NFS_TRACE_PROMTOOL", promtool);
            }
            cargo.args(["test", "--workspace", "--locked"]);
            exec::run_shown(cargo.current_dir(workspace::root()))
        });
        if let Err(error) = promtool {
            let what = "metrics as promtool reads them";
            self.skipped.push(format!("{what}: {error:#}"));
        }
        let mut untried = Vec::new();
        self.run("packages", || {
            untried = dist::check::all()?;
            Ok(())
        });
        self.skipped.extend(untried);
        let mut unjudged = Vec::new();
        self.run("cost", || {
            unjudged = cost::check(tools)?;
            Ok(())
        });
        self.skipped.extend(unjudged);
        match fuzz::impossible() {
            None => self.run("fuzz", || fuzz::check(tools, fuzz::SECONDS)),
            Some(why) => self.skipped.push(format!("fuzz: {why}")),
        }
        match page::program() {
            Ok(program) => self.run("page", || page::check(tools, &program)),
            Err(why) => {
                let what = "the page of `report --html` in a browser";
                self.skipped.push(format!("{what}: {why:#}"));
            }
        }
    }

    /// Boots the guests, two at a time: each is emulated on one thread. What one has to say is
    /// printed when it ends.
    fn run_side_by_side(&mut self, rows: &[&Row]) {
        let rows = Mutex::new(rows.iter());
        let steps = Mutex::new(self);
        // Poisoned only if a step panicked, which ends the scope with a panic anyway.
        let worker = || {
            while let Some(row) = rows.lock().ok().and_then(|mut rows| rows.next()) {
                let started = Instant::now();
                let mut said = String::new();
                let outcome = guest(row, &mut said);
                if let Ok(mut steps) = steps.lock() {
                    eprintln!("\n==> {}", row.name());
                    print!("{said}");
                    steps.note(&row.name(), outcome, started.elapsed());
                    let skips = skips(&said).into_iter();
                    let named = skips.map(|skip| format!("{}: {skip}", row.name()));
                    steps.skipped.extend(named);
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
            eprintln!("{word:7} {name:60} {:6.1} s", time.as_secs_f64());
        }
        for what in &self.skipped {
            eprintln!("SKIPPED {what}");
        }
        // The closing line, by itself on stdout.
        println!(
            "{} passed, {} failed, {} skipped",
            self.passed,
            self.failed.len(),
            self.skipped.len()
        );
        ensure!(self.failed.is_empty(), "failed: {}", self.failed.join(", "));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_skipped_is_kept_with_its_reason() {
        let said = "PASS    command   3.6 s  fine\n\
                    SKIPPED lockdown  0.0 s  this kernel has none\n\
                    SKIPPED 7 several v4.0\n        built without it\n\
                    FAIL    table\n     two problems\n";
        assert_eq!(
            skips(said),
            [
                "lockdown 0.0 s this kernel has none",
                "7 several v4.0 built without it"
            ]
        );
    }
}
