//! Builds the programs for BPF and leaves the object where `attach.rs` includes it.
//!
//! Not aya-build: that wants a nightly, or RUSTC_BOOTSTRAP for the whole build. Here
//! only the inner cargo gets it, so host crates see the plain stable compiler.

use std::{env, error::Error, path::PathBuf, process::Command};

fn main() -> Result<(), Box<dyn Error>> {
    let out = PathBuf::from(env::var_os("OUT_DIR").ok_or("OUT_DIR is not set")?);
    let arch = env::var("CARGO_CFG_TARGET_ARCH")?;
    let target = match env::var("CARGO_CFG_TARGET_ENDIAN")?.as_str() {
        "big" => "bpfeb-unknown-none",
        _ => "bpfel-unknown-none",
    };
    println!("cargo:rerun-if-changed=../nfs-trace-ebpf");
    println!("cargo:rerun-if-changed=../Cargo.lock");
    println!("cargo:rerun-if-env-changed=PATH");

    let target_dir = out.join("ebpf");
    let flags = [
        format!("--cfg=bpf_target_arch=\"{arch}\""),
        "-Cdebuginfo=2".into(),
        "-Clink-arg=--btf".into(),
    ];
    let output = Command::new(env::var_os("CARGO").ok_or("CARGO is not set")?)
        .args(["build", "--release", "--locked", "--quiet"])
        .args(["--package", "nfs-trace-ebpf", "--bin", "nfs-trace-programs"])
        .args(["--target", target, "-Zbuild-std=core", "--target-dir"])
        .arg(&target_dir)
        .env("RUSTC_BOOTSTRAP", "1")
        .env("CARGO_ENCODED_RUSTFLAGS", flags.join("\u{1f}"))
        // Set for the outer build (clippy among them), wrong for the inner one.
        .env_remove("RUSTC")
        .env_remove("RUSTC_WRAPPER")
        .env_remove("RUSTC_WORKSPACE_WRAPPER")
        .output()?;
    if !output.status.success() {
        return Err(format!(
            "failed to build the BPF programs: `cargo xtask dist` and the other tasks install \
             and find bpf-linker and rust-src; a plain cargo build needs both itself, \
             bpf-linker on the PATH\n{}",
            String::from_utf8_lossy(&output.stderr)
        )
        .into());
    }
    let object = target_dir.join(target).join("release/nfs-trace-programs");
    println!("cargo:rustc-env=NFS_TRACE_PROGRAMS={}", object.display());
    Ok(())
}
