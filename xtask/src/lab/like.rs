//! Kernels that behave like old ones which no registry has any more: `like:4.4`, `like:4.14`.
//!
//! They are Linux 5.10, of Debian's source, with what came later taken away where a program like
//! nfs-trace can notice (xtask/patches/like): no kprobe PMU, no BTF, no kernel modules loaded,
//! bpf(2) with the commands, map types, program types, helpers and limits of then, the system
//! calls of then, and the NFS client of before the fix. What is not told apart by these is still
//! 5.10's: the verifier follows programs as 5.10's does (the test `legacy` has 4.4's rules), and
//! the server, the VFS and the network are 5.10's.

use std::{num::NonZero, path::Path, process::Command, thread};

use anyhow::{Context as _, Result, bail};

use super::kernel::{self, Kernel};
use crate::{apt, apt::Apt, cache, exec, workspace};

/// What stands before the version in a spec, and what these kernels have instead of a series.
pub(crate) const SERIES: &str = "like";
/// Whose source it is.
const SOURCE_SERIES: &str = "5.10";
/// What the release ends with, so that nobody takes one for the real thing.
const SUFFIX: &str = "-like";

/// One kernel: its name in a spec, and the version that it says it is. The patch goes by that.
struct Like {
    name: &'static str,
    version: [u32; 3],
}

/// The two that were tried for real (a 4.4.155 and a 4.14.67).
const KERNELS: [Like; 2] = [
    Like {
        name: "4.4",
        version: [4, 4, 155],
    },
    Like {
        name: "4.14",
        version: [4, 14, 67],
    },
];

impl Like {
    fn release(&self) -> String {
        let [version, patchlevel, sublevel] = self.version;
        format!("{version}.{patchlevel}.{sublevel}{SUFFIX}")
    }
}

/// Whether a spec means one of them.
pub(crate) fn is_spec(spec: &str) -> bool {
    name(spec).is_some()
}

fn name(spec: &str) -> Option<&str> {
    spec.strip_prefix(SERIES)?.strip_prefix(':')
}

/// Makes the kernel ready that `like:4.4` or `like:4.14` means; both are built together, once.
pub(crate) fn fetch(spec: &str) -> Result<Kernel> {
    let known = KERNELS.iter().find(|like| Some(like.name) == name(spec));
    let Some(like) = known else {
        let all = KERNELS.each_ref().map(|like| format!("like:{}", like.name));
        bail!("know no kernel {spec:?}: use one of {}", all.join(", "));
    };
    let apt = Apt::open()?;
    let pool = apt.pool(kernel::suites(SOURCE_SERIES))?;
    let source = pool.newest(&format!("linux-source-{SOURCE_SERIES}"))?;
    let folder = workspace::root().join("xtask/patches").join(SERIES);
    let [patch, config] = ["linux-5.10.patch", "config"].map(|name| folder.join(name));
    for (program, package) in NEEDS {
        exec::require(program, package)?;
    }
    let compiler = exec::output(Command::new("gcc").arg("--version"))?;
    let key = format!(
        "{}\n{}\n{}\n{}",
        source.version,
        compiler.lines().next().unwrap_or_default(),
        cache::read(&patch)?,
        cache::read(&config)?
    );
    let dir = cache::root()?.join("kernels").join(SERIES);
    cache::make(&dir, &key, |partial| {
        eprintln!(
            "lab: building kernels like 4.4 and 4.14 from Linux {} (some minutes, once)",
            source.version
        );
        let tree = partial.join("tree");
        apt::unpack(&pool.fetch(&source)?, &tree)?;
        let name = format!("linux-source-{SOURCE_SERIES}");
        let tar = tree.join(format!("usr/src/{name}.tar.xz"));
        exec::run(
            Command::new("tar")
                .arg("-C")
                .arg(&tree)
                .arg("-xJf")
                .arg(tar),
        )?;
        let source = tree.join(name);
        let mut apply = Command::new("patch");
        apply.args(["-p1", "--fuzz=0", "--forward", "--batch"]);
        exec::run(apply.arg("-d").arg(&source).arg("-i").arg(&patch))
            .context("make this kernel like an old one: the patch needs an update")?;
        for like in &KERNELS {
            build(like, &source, &config, &partial.join(like.name))?;
        }
        cache::remove_dir(&tree)
    })?;
    Ok(Kernel {
        series: SERIES,
        release: like.release(),
        version: source.version,
        vmlinuz: dir.join(like.name),
        modules: None,
    })
}

/// Programs that a kernel is built with, and their packages.
const NEEDS: [(&str, &str); 7] = [
    ("make", "make"),
    ("gcc", "gcc"),
    ("patch", "patch"),
    ("xz", "xz-utils"),
    ("flex", "flex"),
    ("bison", "bison"),
    ("bc", "bc"),
];

/// Builds one boot image. The second one makes use of most of what was compiled for the first.
fn build(like: &Like, source: &Path, config: &Path, image: &Path) -> Result<()> {
    let [version, patchlevel, sublevel] = like.version;
    let make = |arguments: &[&str]| {
        let mut make = Command::new("make");
        make.env_remove("MAKEFLAGS")
            .arg("-C")
            .arg(source)
            .arg(format!("VERSION={version}"))
            .arg(format!("PATCHLEVEL={patchlevel}"))
            .arg(format!("SUBLEVEL={sublevel}"))
            .arg(format!("LOCALVERSION={SUFFIX}"))
            .args(arguments);
        make
    };
    exec::run(make(&["allnoconfig"]).env("KCONFIG_ALLCONFIG", config))
        .context("configure the kernel")?;
    let jobs = thread::available_parallelism().map_or(2, NonZero::get);
    exec::run(&mut make(&[&format!("-j{jobs}"), "bzImage"]))?;
    let built = source.join("arch/x86/boot/bzImage");
    std::fs::copy(&built, image)
        .with_context(|| format!("copy {} to {}", built.display(), image.display()))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spec_names_one_that_there_is() {
        assert!(is_spec("like:4.4") && !is_spec("debian:6.1") && !is_spec("likely"));
        let error = fetch("like:3.10").unwrap_err().to_string();
        assert!(error.contains("use one of like:4.4, like:4.14"), "{error}");
    }

    #[test]
    fn nobody_takes_one_for_the_real_thing() {
        assert_eq!(KERNELS[0].release(), "4.4.155-like");
        assert_eq!(KERNELS[1].release(), "4.14.67-like");
    }
}
