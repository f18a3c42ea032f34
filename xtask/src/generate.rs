//! `cargo xtask generate`: a recording from a seed, as long as one likes.

use std::{path::PathBuf, process::Command};

use anyhow::Result;
use clap::Args;

use crate::{
    exec,
    setup::{self, Needs},
    workspace,
};

/// Make a recording of any number of records, the same for the same seed
#[derive(Args)]
pub(crate) struct Options {
    /// What it is made from
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Records in it
    #[arg(long, default_value_t = 1_000_000)]
    events: u64,
    /// Files that are opened
    #[arg(long, default_value_t = 200_000)]
    files: u64,
    /// Threads that open them
    #[arg(long, default_value_t = 40_000)]
    threads: u32,
    /// CPUs whose opens run at the same time
    #[arg(long, default_value_t = 1)]
    cpus: u32,
    /// The file, `-` for stdout
    file: PathBuf,
}

pub(crate) fn run(options: &Options) -> Result<()> {
    let Options {
        seed,
        events,
        files,
        threads,
        cpus,
        file,
    } = options;
    let tools = setup::ensure(&Needs {
        programs: true,
        lab: false,
    })?;
    let mut cargo = Command::new("cargo");
    tools.apply(&mut cargo)?;
    cargo
        .args(["run", "--quiet", "--release", "--locked"])
        .arg("--manifest-path")
        .arg(workspace::root().join("Cargo.toml"))
        .args(["--package", "nfs-trace", "--example", "generate", "--"])
        .args([seed.to_string(), events.to_string()])
        .arg(file)
        .args([files.to_string(), threads.to_string(), cpus.to_string()]);
    exec::run_shown(&mut cargo)
}
