//! `cargo xtask cost`: what a record and an open cost in instructions, which no machine's mood
//! changes, against a baseline that is committed.

mod baseline;
mod memory;
mod user_space;

use std::fs;

use anyhow::{Context as _, Result, ensure};
use clap::Args;

pub(crate) use self::baseline::Figures;
use self::baseline::{Baseline, Verdict};
use crate::{
    exec,
    setup::{self, Needs, Tools},
};

/// Count instructions, and compare with the committed baseline (xtask/cost.json)
#[derive(Args)]
pub(crate) struct Options {
    /// Make what is measured the baseline, to be committed with the change that it comes from
    #[arg(long)]
    update: bool,
    /// See instead how large a replay of a hundred million records gets (minutes)
    #[arg(long, conflicts_with = "update")]
    memory: bool,
}

/// What can be measured here of one part of nfs-trace.
pub(crate) enum Measured {
    Figures(Figures),
    /// Nothing, and why.
    Impossible(String),
}

/// A part, and what measures it.
type Source = (&'static str, fn(&Tools) -> Result<Measured>);

const SOURCES: &[Source] = &[("user space", user_space::measure)];

pub(crate) fn run(options: &Options) -> Result<()> {
    let tools = setup::ensure(&Needs {
        programs: true,
        lab: false,
    })?;
    if options.memory {
        return memory::check(&tools);
    }
    let skipped = if options.update {
        update(&tools)?
    } else {
        check(&tools)?
    };
    for what in skipped {
        eprintln!("SKIPPED {what}");
    }
    Ok(())
}

/// Compares with the baseline. Returns what could not be compared, and why.
pub(crate) fn check(tools: &Tools) -> Result<Vec<String>> {
    let baseline = Baseline::read()?;
    let here = (rustc(tools)?, processor()?);
    let mut skipped = Vec::new();
    let mut worse = Vec::new();
    for (part, measure) in SOURCES {
        let figures = match measure(tools)? {
            Measured::Figures(figures) => figures,
            Measured::Impossible(why) => {
                skipped.push(format!("cost: {part}: {why}"));
                continue;
            }
        };
        for line in baseline.compare(part, &figures) {
            println!("{line}");
            if line.verdict != Verdict::Fine {
                worse.push(line.name.clone());
            }
        }
    }
    let of = (baseline.rustc, baseline.processor);
    if of != here {
        skipped.push(format!(
            "cost: the baseline is of {} on {}, this is {} on {}: figures are shown and not judged",
            of.0, of.1, here.0, here.1
        ));
        return Ok(skipped);
    }
    ensure!(
        worse.is_empty(),
        "not as in {}: {}; if it has to be so, `cargo xtask cost --update` and commit that with it",
        baseline::FILE,
        worse.join(", ")
    );
    Ok(skipped)
}

/// Writes what is measured; what cannot be measured here stays as it was.
fn update(tools: &Tools) -> Result<Vec<String>> {
    let mut baseline = Baseline::read().unwrap_or_default();
    (baseline.rustc, baseline.processor) = (rustc(tools)?, processor()?);
    let mut skipped = Vec::new();
    for (part, measure) in SOURCES {
        match measure(tools)? {
            Measured::Figures(figures) => {
                for line in baseline.compare(part, &figures) {
                    println!("{line}");
                }
                baseline.parts.insert((*part).to_owned(), figures);
            }
            Measured::Impossible(why) => skipped.push(format!("cost: {part}: {why}")),
        }
    }
    baseline.write()?;
    Ok(skipped)
}

/// The compiler that makes what is measured.
fn rustc(tools: &Tools) -> Result<String> {
    let mut rustc = std::process::Command::new("rustc");
    tools.apply(&mut rustc)?;
    rustc.current_dir(crate::workspace::root()).arg("--version");
    Ok(exec::output(&mut rustc)?.trim().to_owned())
}

/// What of this processor valgrind makes its own of: its libraries choose their code by that
/// (VEX/priv/main_main.c and guest_amd64_helpers.c; of several processors that have all of it, it
/// shows the same one).
fn processor() -> Result<String> {
    let text = fs::read_to_string("/proc/cpuinfo").context("read /proc/cpuinfo")?;
    Ok(features(&text))
}

fn features(cpuinfo: &str) -> String {
    const DECIDE: [&str; 6] = ["abm", "avx", "avx2", "f16c", "rdrand", "rdtscp"];
    let flags = cpuinfo.lines().find_map(|line| {
        let (name, flags) = line.split_once(':')?;
        (name.trim() == "flags").then_some(flags)
    });
    let has = |one: &&str| flags.is_some_and(|all| all.split_whitespace().any(|it| it == *one));
    let features: Vec<&str> = DECIDE.into_iter().filter(has).collect();
    format!("{} {}", std::env::consts::ARCH, features.join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_processor_is_known_by_what_valgrind_looks_at() {
        let text = "processor\t: 0\nflags\t\t: fpu avx avx512f avx2 rdrand\n\nflags\t\t: abm\n";
        let arch = std::env::consts::ARCH;
        assert_eq!(features(text), format!("{arch} avx avx2 rdrand"));
        assert_eq!(features(""), format!("{arch} "));
    }
}
