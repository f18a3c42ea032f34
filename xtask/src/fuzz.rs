//! `cargo xtask fuzz`: the fuzz targets of nfs-trace/fuzz, built as `cargo fuzz run -s none` does.
//!
//! That takes no nightly, since coverage comes from flags that the stable compiler has; only
//! sanitizers do not, and there is no unsafe code in what is tried. libFuzzer is C++.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    thread,
};

use anyhow::{Context as _, Result, bail};
use clap::Args;

use crate::{
    build, cache, exec,
    setup::{self, Needs, Tools},
    workspace,
};

/// Try the reader of recordings and the decoder of records with bytes that nobody thought of
#[derive(Args)]
pub(crate) struct Options {
    /// How long, in seconds
    #[arg(long, default_value_t = 60)]
    seconds: u32,
}

/// In `cargo xtask test`.
pub(crate) const SECONDS: u32 = 20;

const MANIFEST: &str = "nfs-trace/fuzz/Cargo.toml";
/// As cargo-fuzz has them.
const FLAGS: &str = "-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters \
    -Cllvm-args=-sanitizer-coverage-pc-table \
    -Cllvm-args=-sanitizer-coverage-trace-compares --cfg=fuzzing -Ccodegen-units=1";

/// A target, the longest input worth trying, and inputs to begin with.
const TARGETS: [(&str, u32, Option<&str>); 2] = [
    ("records", 16_384, None),
    ("recording", 65_536, Some("nfs-trace/tests/data")),
];

pub(crate) fn run(options: &Options) -> Result<()> {
    let tools = setup::ensure(&Needs {
        programs: true,
        lab: false,
    })?;
    if let Some(why) = impossible() {
        bail!("{why}");
    }
    check(&tools, options.seconds)
}

/// Why it cannot be done on this machine; nothing if it can.
pub(crate) fn impossible() -> Option<String> {
    let compiler = exec::find("c++").is_some();
    (!compiler)
        .then(|| "libFuzzer needs a C++ compiler: install g++, so that there is `c++`".into())
}

/// Runs every target for so many seconds, both at once. An input that breaks one is kept.
pub(crate) fn check(tools: &Tools, seconds: u32) -> Result<()> {
    let folder = workspace::root().join("target/fuzz");
    let (mut cargo, built) = build::release(tools, FLAGS, &folder)?;
    cargo.args(["--manifest-path", MANIFEST]);
    exec::run_shown(&mut cargo).context("build the fuzz targets")?;
    let (folder, built) = (folder.as_path(), built.as_path());
    thread::scope(|scope| {
        let runs = TARGETS.map(|target| scope.spawn(move || one((folder, built), target, seconds)));
        for run in runs {
            match run.join() {
                Ok(outcome) => outcome?,
                Err(_) => bail!("a thread panicked"),
            }
        }
        Ok(())
    })
}

fn one(
    (folder, built): (&Path, &Path),
    target: (&str, u32, Option<&str>),
    seconds: u32,
) -> Result<()> {
    let (name, longest, seeds) = target;
    let corpus = folder.join("corpus").join(name);
    cache::create_dir(&corpus)?;
    let log = folder.join(format!("{name}.log"));
    let mut fuzzer = Command::new(built.join(name));
    fuzzer
        .current_dir(workspace::root())
        .arg(format!("-max_total_time={seconds}"))
        .arg(format!("-max_len={longest}"))
        .args(["-timeout=10", "-rss_limit_mb=1024"])
        .arg(format!("-artifact_prefix={}/{name}-", folder.display()))
        .arg(&corpus)
        .args(seeds.map(PathBuf::from))
        .stderr(fs::File::create(&log).with_context(|| format!("create {}", log.display()))?);
    let status = fuzzer.status().with_context(|| format!("run {name}"))?;
    let said = fs::read_to_string(&log).unwrap_or_default();
    if !status.success() {
        let kept = said.lines().find(|line| line.contains("Test unit written"));
        bail!(
            "{name} ended with {status}: {} ({})",
            kept.unwrap_or("no input was kept"),
            log.display()
        );
    }
    let done = said.lines().rev().find(|line| line.starts_with("Done "));
    eprintln!(
        "fuzz: {name}: {}",
        done.context("find out how much was tried")?
    );
    Ok(())
}
