//! Builds the programs for BPF, both flavours, and leaves the objects where `attach.rs`
//! includes them.
//!
//! Not aya-build: that wants a nightly, or RUSTC_BOOTSTRAP for the whole build. Here
//! only the inner cargo gets it, so host crates see the plain stable compiler.

use std::{
    env,
    error::Error,
    path::{Path, PathBuf},
    process::Command,
};

/// One object of the source.
struct Flavour {
    /// The variable that holds the object's path.
    variable: &'static str,
    folder: &'static str,
    features: &'static [&'static str],
    flags: &'static [&'static str],
}

const FLAVOURS: [Flavour; 2] = [
    Flavour {
        variable: "NFS_TRACE_PROGRAMS",
        folder: "ebpf",
        features: &[],
        flags: &[],
    },
    Flavour {
        variable: "NFS_TRACE_PROGRAMS_LEGACY",
        folder: "ebpf-legacy",
        features: &["--features", "legacy"],
        // What kernels before 5.3 take: the first instruction set, and no loops.
        flags: &["-Ctarget-cpu=v1", "-Clink-arg=--unroll-loops"],
    },
];

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed=../nfs-trace-ebpf");
    println!("cargo:rerun-if-changed=../Cargo.lock");
    println!("cargo:rerun-if-env-changed=PATH");
    let out = PathBuf::from(env::var_os("OUT_DIR").ok_or("OUT_DIR is not set")?);
    for flavour in &FLAVOURS {
        let object = build(flavour, &out.join(flavour.folder))?;
        println!("cargo:rustc-env={}={}", flavour.variable, object.display());
    }
    Ok(())
}

fn build(flavour: &Flavour, target_dir: &Path) -> Result<PathBuf, Box<dyn Error>> {
    let arch = env::var("CARGO_CFG_TARGET_ARCH")?;
    let target = match env::var("CARGO_CFG_TARGET_ENDIAN")?.as_str() {
        "big" => "bpfeb-unknown-none",
        _ => "bpfel-unknown-none",
    };
    let mut flags = vec![
        format!("--cfg=bpf_target_arch=\"{arch}\""),
        "-Cdebuginfo=2".into(),
        "-Clink-arg=--btf".into(),
    ];
    flags.extend(flavour.flags.iter().map(ToString::to_string));
    let output = Command::new(env::var_os("CARGO").ok_or("CARGO is not set")?)
        .args(["build", "--release", "--locked", "--quiet"])
        .args(["--package", "nfs-trace-ebpf", "--bin", "nfs-trace-programs"])
        .args(flavour.features)
        .args(["--target", target, "-Zbuild-std=core", "--target-dir"])
        .arg(target_dir)
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
    Ok(target_dir.join(target).join("release/nfs-trace-programs"))
}
