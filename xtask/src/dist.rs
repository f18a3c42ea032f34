//! `cargo xtask dist`: one static file that can be copied to any x86-64 machine.

use std::fs;

use anyhow::{Context as _, Result};
use clap::Args;

use crate::{build, cache, workspace};

/// Build the static binary, target/dist/nfs-trace
#[derive(Args)]
pub(crate) struct Options {}

pub(crate) fn run(options: &Options) -> Result<()> {
    let Options {} = options;
    eprintln!("dist: building the static binary");
    let built = build::static_binary("nfs-trace", "nfs-trace")?;
    let folder = workspace::root().join("target/dist");
    cache::create_dir(&folder)?;
    let binary = folder.join("nfs-trace");
    let size = fs::copy(&built, &binary)
        .with_context(|| format!("copy {} to {}", built.display(), binary.display()))?;
    println!(
        "{}: {:.1} MiB, static",
        binary.display(),
        size as f64 / f64::from(1 << 20)
    );
    Ok(())
}
