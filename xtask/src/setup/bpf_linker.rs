//! The linker of the kprobe programs, in a pinned version.

use std::{path::PathBuf, process::Command};

use anyhow::{Context as _, Result};

use crate::{cache, exec, workspace};

/// The newest that works with the pinned compiler's own LLVM.
pub(super) const VERSION: &str = "0.10.3";

/// The folder to put before the PATH; none where the PATH has this version already.
pub(super) fn ensure() -> Result<Option<PathBuf>> {
    if version_of("bpf-linker").as_deref() == Some(VERSION) {
        return Ok(None);
    }
    // A root of our own: a version that the user installed stays.
    let root = cache::root()?.join(format!("tools/bpf-linker-{VERSION}"));
    let bin = root.join("bin");
    if bin.join("bpf-linker").exists() {
        return Ok(Some(bin));
    }
    let _lock = cache::lock("bpf-linker")?;
    eprintln!("setup: building bpf-linker {VERSION} (about two minutes, once)");
    let mut install = Command::new("cargo");
    install
        .current_dir(workspace::root())
        .env_remove("CARGO_TARGET_DIR")
        .env_remove("RUSTFLAGS")
        .args([
            "install",
            "bpf-linker",
            "--locked",
            "--quiet",
            "--version",
            VERSION,
            "--root",
        ])
        .arg(&root);
    exec::run_shown(&mut install).context("build bpf-linker: is the network there?")?;
    Ok(Some(bin))
}

fn version_of(program: &str) -> Option<String> {
    exec::find(program)?;
    let text = exec::output(Command::new(program).arg("--version")).ok()?;
    text.split_whitespace().nth(1).map(str::to_owned)
}
