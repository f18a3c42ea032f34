//! Builds static binaries: they run in a guest that has no libc, and on any distribution.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result, ensure};

use crate::{
    exec,
    setup::{self, Needs, Tools},
    workspace,
};

/// glibc's target with crt-static: the musl target cannot be fetched on every machine.
const TARGET: &str = "x86_64-unknown-linux-gnu";

/// libc's debug info is of no use to anyone; names stay for backtraces.
const FLAGS: &str = "-C target-feature=+crt-static -C strip=debuginfo";

/// Builds a binary of a package of this workspace, and checks that it needs nothing to run.
pub(crate) fn static_binary(package: &str, bin: &str) -> Result<PathBuf> {
    let tools = setup::ensure(&Needs {
        programs: true,
        lab: false,
    })?;
    let target = workspace::root().join("target/static");
    let (mut cargo, built) = release(&tools, FLAGS, &target)?;
    cargo.args(["--package", package, "--bin", bin]);
    let binary = built.join(bin);
    if !binary.exists() {
        eprintln!("build: {bin}, static (a minute or two, once)");
    }
    exec::run_shown(&mut cargo).with_context(|| format!("build {bin}"))?;
    check_static(&binary)?;
    Ok(binary)
}

/// Builds an example as the static binaries are built, and so of the same code.
pub(crate) fn example(tools: &Tools, package: &str, example: &str) -> Result<PathBuf> {
    let target = workspace::root().join("target/static");
    let (mut cargo, built) = release(tools, FLAGS, &target)?;
    cargo.args(["--package", package, "--example", example]);
    exec::run_shown(&mut cargo).with_context(|| format!("build {example}"))?;
    Ok(built.join("examples").join(example))
}

/// A release build with flags for rustc, and the folder that its binaries come to. `target` is for
/// these flags alone: others would have everything there built again.
pub(crate) fn release(tools: &Tools, flags: &str, target: &Path) -> Result<(Command, PathBuf)> {
    let mut cargo = Command::new("cargo");
    tools.apply(&mut cargo)?;
    cargo
        .current_dir(workspace::root())
        // For this target alone: the programs for the kernel are built in the same run.
        .env_remove("CARGO_ENCODED_RUSTFLAGS")
        .env_remove("RUSTFLAGS")
        .env("CARGO_TARGET_X86_64_UNKNOWN_LINUX_GNU_RUSTFLAGS", flags)
        .args(["build", "--release", "--locked", "--quiet"])
        .args(["--target", TARGET, "--target-dir"])
        .arg(target);
    Ok((cargo, target.join(TARGET).join("release")))
}

fn check_static(binary: &Path) -> Result<()> {
    let data = fs::read(binary).with_context(|| format!("read {}", binary.display()))?;
    let interpreter = has_interpreter(&data)
        .with_context(|| format!("read {} as a 64 bit ELF file", binary.display()))?;
    ensure!(
        !interpreter,
        "build {} statically: it asks for a dynamic loader",
        binary.display()
    );
    Ok(())
}

/// Whether an ELF file has a `PT_INTERP`: the loader that a dynamic program starts with.
fn has_interpreter(elf: &[u8]) -> Option<bool> {
    const PT_INTERP: [u8; 4] = 3_u32.to_le_bytes();
    const CLASS_64_LITTLE_ENDIAN: &[u8] = b"\x7fELF\x02\x01";
    if !elf.starts_with(CLASS_64_LITTLE_ENDIAN) {
        return None;
    }
    let half = |at: usize| -> Option<usize> {
        Some(u16::from_le_bytes(elf.get(at..at + 2)?.try_into().ok()?).into())
    };
    let table = u64::from_le_bytes(elf.get(32..40)?.try_into().ok()?);
    let (size, count) = (half(54)?, half(56)?);
    let table = elf.get(usize::try_from(table).ok()?..)?;
    let headers = table.get(..size.checked_mul(count)?)?;
    Some(
        headers
            .chunks(size.max(1))
            .any(|header| header.starts_with(&PT_INTERP)),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sees_the_loader_of_a_dynamic_program() {
        let shell = fs::read("/bin/sh").unwrap();
        assert_eq!(has_interpreter(&shell), Some(true));
        let mut elf = vec![0; 64 + 2 * 56];
        elf[..6].copy_from_slice(b"\x7fELF\x02\x01");
        elf[32] = 64;
        elf[54] = 56;
        elf[56] = 2;
        assert_eq!(has_interpreter(&elf), Some(false));
        elf[64 + 56] = 3;
        assert_eq!(has_interpreter(&elf), Some(true));
        elf.truncate(100);
        assert_eq!(has_interpreter(&elf), None);
        assert_eq!(has_interpreter(b"#!/bin/sh"), None);
    }
}
