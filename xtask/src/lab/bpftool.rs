//! bpftool for guests that run the checks: it reads the kernel's own list of programs. An archive
//! of its own behind the base image, which stays as it is for all other guests.

use anyhow::{Context as _, Result};

use super::{
    cpio::Archive,
    elf::{LOADER, Libraries},
};
use crate::{
    apt::{self, Apt},
    cache,
};

/// Its program and the libraries it needs, as an archive.
pub(crate) fn archive(suites: &[&str]) -> Result<Vec<u8>> {
    let debs = Apt::open()?
        .pool(suites)?
        .fetch_with_dependencies(&["bpftool"])?;
    let _lock = cache::lock("bpftool")?;
    let dir = cache::root()?.join("bpftool");
    let names: Vec<_> = debs.iter().filter_map(|deb| deb.to_str()).collect();
    cache::make(&dir, &names.join("\n"), |partial| {
        let tree = partial.join("tree");
        for deb in &debs {
            apt::unpack(deb, &tree)?;
        }
        let program = tree.join("usr/sbin/bpftool");
        let mut archive = Archive::default();
        let content =
            std::fs::read(&program).with_context(|| format!("read {}", program.display()))?;
        archive.file("usr/sbin/bpftool", 0o755, &content);
        for (name, content) in Libraries::scan(&tree)?.closure(&[program])? {
            // The base has the loader and libc of the same packages already.
            if name != LOADER {
                let path = format!("usr/lib/x86_64-linux-gnu/{name}");
                archive.file(&path, 0o755, &content);
            }
        }
        cache::remove_dir(&tree)?;
        cache::write(&partial.join("bpftool.cpio"), archive.finish())
    })?;
    let file = dir.join("bpftool.cpio");
    std::fs::read(&file).with_context(|| format!("read {}", file.display()))
}
