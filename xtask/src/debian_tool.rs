//! Programs of Debian packages that run from the cache, with their own libc and libraries.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result};

use crate::{
    apt::{self, Apt},
    cache,
};

/// Their suite: depmod and pahole of this age suit all the lab's kernels.
const SUITES: [&str; 2] = ["bookworm", "bookworm-security"];

/// In every suite, by way of the link that a root folder has.
const LOADER: &str = "lib/x86_64-linux-gnu/ld-linux-x86-64.so.2";

const LIBRARIES: [&str; 2] = ["lib/x86_64-linux-gnu", "usr/lib/x86_64-linux-gnu"];

/// A program of a package: where it lies in it, and the name that it is called by.
pub(crate) struct DebianTool {
    package: &'static str,
    file: &'static str,
    name: &'static str,
    /// What it runs with, where that is less than all that its package depends on.
    runs_with: Option<&'static str>,
}

/// Writes modules.dep.
pub(crate) const DEPMOD: DebianTool = DebianTool {
    package: "kmod",
    file: "bin/kmod",
    name: "depmod",
    runs_with: None,
};

/// Turns debug info into BTF.
pub(crate) const PAHOLE: DebianTool = DebianTool {
    package: "pahole",
    file: "usr/bin/pahole",
    name: "pahole",
    runs_with: None,
};

/// Reads metrics as Prometheus does. What its package depends on is for its pages.
pub(crate) const PROMTOOL: DebianTool = DebianTool {
    package: "prometheus",
    file: "usr/bin/promtool",
    name: "promtool",
    runs_with: Some("libc6"),
};

/// Counts instructions. Where its tools are, below its folder, has to be in `VALGRIND_LIB`.
pub(crate) const VALGRIND: DebianTool = DebianTool {
    package: "valgrind",
    file: "usr/bin/valgrind.bin",
    name: "valgrind",
    runs_with: Some("libc6"),
};

impl DebianTool {
    /// The program, fetched if need be.
    pub(crate) fn path(&self) -> Result<PathBuf> {
        let dir = cache::root()?.join("tools").join(self.name);
        cache::make(&dir, &SUITES.join(" "), |partial| {
            let apt = Apt::open()?;
            let pool = apt.pool(&SUITES)?;
            let needed = self.runs_with.unwrap_or(self.package);
            let mut debs = pool.fetch_with_dependencies(&[needed])?;
            if self.runs_with.is_some() {
                debs.push(pool.fetch(&pool.newest(self.package)?)?);
            }
            for deb in debs {
                apt::unpack(&deb, partial)?;
            }
            write_script(&partial.join(self.name), &dir, self.file)
        })?;
        Ok(dir.join(self.name))
    }
}

/// Writes a script that runs a program of packages that lie in `dir`, or will, with their loader
/// and libraries: the host may have others, or too old ones.
pub(crate) fn write_script(script: &Path, dir: &Path, program: &str) -> Result<()> {
    let at = |path: &str| dir.join(path).display().to_string();
    let libraries = LIBRARIES.map(at).join(":");
    let name = script.file_name().unwrap_or_default().display();
    let text = format!(
        "#!/bin/sh\nexec '{}' --argv0 {name} --library-path '{libraries}' '{}' \"$@\"\n",
        at(LOADER),
        at(program),
    );
    cache::write(script, text)?;
    fs::set_permissions(script, fs::Permissions::from_mode(0o755))
        .with_context(|| format!("make {} executable", script.display()))
}
