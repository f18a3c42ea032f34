//! Proves a choice of compiler, library source and linker: builds a program for the kernel.

use std::process::Command;

use anyhow::{Context as _, Result};

use super::Tools;
use crate::{cache, exec, workspace};

const MANIFEST: &str = r#"[package]
name = "trial"
version = "0.0.0"
edition = "2021"

[profile.release]
panic = "abort"

[workspace]
"#;

const PINNED: &str = "rust-toolchain.toml";

/// Does nothing, but needs `core` compiled for the kernel and a linker.
const PROGRAM: &str = r##"#![no_std]
#![no_main]

#[no_mangle]
#[link_section = "kprobe"]
pub extern "C" fn trial(context: *mut u8) -> u32 {
    (context as usize).count_ones()
}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    loop {}
}
"##;

/// Builds with these tools.
pub(super) fn build(tools: &Tools) -> Result<()> {
    let dir = cache::root()?.join("setup/trial");
    cache::remove_dir(&dir)?;
    cache::create_dir(&dir.join("src"))?;
    cache::write(&dir.join("Cargo.toml"), MANIFEST)?;
    // The trial is outside the workspace, whose file would choose the compiler.
    let pinned = cache::read(&workspace::root().join(PINNED))?;
    cache::write(&dir.join(PINNED), pinned)?;
    cache::write(&dir.join("src/main.rs"), PROGRAM)?;
    let mut cargo = Command::new("cargo");
    tools.apply(&mut cargo)?;
    cargo
        .current_dir(&dir)
        // -Z build-std on a stable compiler, as nfs-trace/build.rs does it.
        .env("RUSTC_BOOTSTRAP", "1")
        .env("RUSTFLAGS", "-C debuginfo=2 -C link-arg=--btf")
        .env_remove("CARGO_ENCODED_RUSTFLAGS")
        .args(["build", "--quiet", "--release", "-Z", "build-std=core"])
        .args(["--target", "bpfel-unknown-none", "--target-dir", "target"]);
    exec::run(&mut cargo).context("build a trial program for the kernel")?;
    cache::remove_dir(&dir)
}
