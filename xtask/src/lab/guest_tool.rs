//! Programs of Debian packages that only some guests need, each with its libraries as an archive of
//! its own behind the base image, which stays as it is for all other guests.

use anyhow::{Context as _, Result};

use super::{
    cpio::Archive,
    elf::{LOADER, Libraries},
};
use crate::{
    apt::{self, Apt},
    cache,
};

/// A program, called like its package, and where it lies in both.
pub(crate) struct GuestTool {
    name: &'static str,
    file: &'static str,
}

/// Reads the kernel's own list of programs, for the checks.
pub(crate) const BPFTOOL: GuestTool = GuestTool {
    name: "bpftool",
    file: "usr/sbin/bpftool",
};

/// What `bench` compares with.
pub(crate) const BPFTRACE: GuestTool = GuestTool {
    name: "bpftrace",
    file: "usr/bin/bpftrace",
};

/// What `bench` compares with.
pub(crate) const TRACE_CMD: GuestTool = GuestTool {
    name: "trace-cmd",
    file: "usr/bin/trace-cmd",
};

impl GuestTool {
    /// The program and the libraries it needs, as an archive.
    pub(crate) fn archive(&self, suites: &[&str]) -> Result<Vec<u8>> {
        let name = self.name;
        let debs = Apt::open()?
            .pool(suites)?
            .fetch_with_dependencies(&[name])?;
        let dir = cache::root()?.join(name);
        let names: Vec<_> = debs.iter().filter_map(|deb| deb.to_str()).collect();
        let file = dir.join(format!("{name}.cpio"));
        cache::make(&dir, &names.join("\n"), |partial| {
            let tree = partial.join("tree");
            for deb in &debs {
                apt::unpack(deb, &tree)?;
            }
            let program = tree.join(self.file);
            let mut archive = Archive::default();
            let content =
                std::fs::read(&program).with_context(|| format!("read {}", program.display()))?;
            archive.file(self.file, 0o755, &content);
            for (name, content) in Libraries::scan(&tree)?.closure(&[program])? {
                // The base has the loader and libc of the same packages already.
                if name != LOADER {
                    let path = format!("usr/lib/x86_64-linux-gnu/{name}");
                    archive.file(&path, 0o755, &content);
                }
            }
            cache::remove_dir(&tree)?;
            cache::write(&partial.join(format!("{name}.cpio")), archive.finish())
        })?;
        std::fs::read(&file).with_context(|| format!("read {}", file.display()))
    }
}
