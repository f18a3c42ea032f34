//! `cargo xtask setup`: makes a fresh machine ready, and does nothing on one that is.

mod bpf_linker;
mod debian_rust;
mod host;
mod rust_src;
mod trial;

use std::{env, path::PathBuf, process::Command};

use anyhow::{Context as _, Result};
use clap::Args;
use serde::{Deserialize, Serialize};

use crate::cache;

/// Make this machine ready to build nfs-trace and to run the lab
#[derive(Args)]
pub(crate) struct Options {
    /// Leave out what only the lab needs (qemu)
    #[arg(long)]
    no_lab: bool,
}

/// What a task needs of the machine.
pub(crate) struct Needs {
    /// To build the kprobe programs
    pub(crate) programs: bool,
    /// To build clients and boot guests
    pub(crate) lab: bool,
}

/// How cargo must be run to build nfs-trace.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Tools {
    /// Goes before the PATH
    pub(crate) path: Option<PathBuf>,
    /// Instead of the pinned toolchain
    pub(crate) toolchain: Option<String>,
    /// Where the standard library's source is, if not where cargo looks for it
    pub(crate) rust_src: Option<PathBuf>,
}

impl Tools {
    /// Gives a command this environment.
    pub(crate) fn apply(&self, command: &mut Command) -> Result<()> {
        let Self {
            path,
            toolchain,
            rust_src,
        } = self;
        if let Some(folder) = path {
            let before = env::var_os("PATH").unwrap_or_default();
            let all = [folder.clone()]
                .into_iter()
                .chain(env::split_paths(&before));
            let all = env::join_paths(all).context("put the tools' folder on the PATH")?;
            command.env("PATH", all);
        }
        if let Some(toolchain) = toolchain {
            command.env("RUSTUP_TOOLCHAIN", toolchain);
        }
        if let Some(library) = rust_src {
            command.env("__CARGO_TESTS_ONLY_SRC_ROOT", library);
        }
        Ok(())
    }
}

pub(crate) fn run(options: &Options) -> Result<()> {
    let Options { no_lab } = options;
    ensure(&Needs {
        programs: true,
        lab: !no_lab,
    })?;
    for line in ready(*no_lab)? {
        eprintln!("setup: {line}");
    }
    Ok(())
}

/// What the machine has, for the person.
fn ready(no_lab: bool) -> Result<Vec<String>> {
    let mut lines = vec![
        format!("bpf-linker {} is there", bpf_linker::VERSION),
        format!("rust-src is there: {}", rust_src::chosen()?),
    ];
    if !no_lab {
        let programs: Vec<&str> = host::LAB.iter().map(|(program, _)| *program).collect();
        lines.push(format!("for the lab: {} are there", programs.join(", ")));
    }
    lines.push(format!(
        "ready; downloads are kept in {}",
        cache::root()?.display()
    ));
    Ok(lines)
}

/// Installs a browser.
pub(crate) fn browser() -> Result<()> {
    host::ensure(&host::BROWSER)
}

/// Makes the machine ready, as far as the task needs it; says what it does, and nothing when
/// there is nothing to do.
pub(crate) fn ensure(needs: &Needs) -> Result<Tools> {
    let Needs { programs, lab } = needs;
    if *lab {
        host::ensure(&host::LAB)?;
    }
    if !programs {
        return Ok(Tools::default());
    }
    let path = bpf_linker::ensure()?;
    rust_src::ensure(path.as_deref())
}
