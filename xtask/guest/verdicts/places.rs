//! Where a check is to look: mounts that cannot be written, directories below, two mounts, a trap.

use std::{
    fs,
    os::unix::fs::{MetadataExt as _, chown, symlink},
    path::Path,
};

use anyhow::{Context as _, Result, ensure};

use super::bench::{Bench, READ_ONLY, SQUASHED, mounted};
use crate::{
    boot::command,
    checks::{
        ground::{self, OTHER},
        refusal::USER,
    },
    client,
    server::EXPORT,
};

/// A directory of root's where root is squashed.
pub(super) const ROOT_DIR: &str = "/root-dir";

/// Exports a directory of uid 1000 where root is squashed, and one of root's in it. It is a mount
/// of itself: only at a mount the server looks for other rules.
pub(super) fn export_squashed() -> Result<()> {
    let dir = format!("{EXPORT}{SQUASHED}");
    let root_dir = format!("{dir}{ROOT_DIR}");
    fs::create_dir_all(&root_dir).with_context(|| format!("create {root_dir}"))?;
    for dir in [&dir, &root_dir] {
        let file = format!("{dir}/readable.txt");
        fs::write(&file, "old\n").with_context(|| format!("write {file}"))?;
    }
    chown(&dir, Some(USER), Some(USER)).with_context(|| format!("give {dir} away"))?;
    command("busybox", &["mount", "--bind", &dir, &dir])?;
    let options = "rw,root_squash,fsid=1,insecure,no_subtree_check";
    command("exportfs", &["-o", options, &format!("127.0.0.1:{dir}")])
}

pub(super) fn root_squash(bench: &mut Bench<'_>, below: &str) -> Result<()> {
    bench.mount(SQUASHED, SQUASHED, "")?;
    bench.check("", &[&format!("{SQUASHED}{below}")])
}

pub(super) fn read_only(bench: &mut Bench<'_>) -> Result<()> {
    // Else it would share the super block of the first one, which can be written.
    bench.mount("/", READ_ONLY, ",ro,nosharecache")?;
    bench.check("", &[READ_ONLY])
}

pub(super) fn below(bench: &mut Bench<'_>) -> Result<()> {
    let deep = bench.ground.server.join("a/b/c");
    fs::create_dir_all(&deep).with_context(|| format!("create {}", deep.display()))?;
    let target = bench.ground.name("a/b/c");
    bench.check("absolute", &[&target])?;
    bench.check("trailing slash", &[&format!("{target}/")])?;
    let dir = bench.ground.client.join("a");
    bench.check_in(&dir, "relative", &["b/c"])?;
    let link = format!("/tmp/link-{}", bench.version());
    symlink(&target, &link).with_context(|| format!("link {link}"))?;
    bench.check("link", &[&link])
}

pub(super) fn several(bench: &mut Bench<'_>) -> Result<()> {
    let other = ground::other(bench.version())?;
    fs::create_dir_all(OTHER).with_context(|| format!("create {OTHER}"))?;
    client::mount_at(other, OTHER)?;
    bench.now_mounted()?;
    bench.about.push(mounted(OTHER, other));
    bench.check("", &[])
}

/// A link to somewhere else has the name of the tool's own directory.
pub(super) fn symlink_trap(bench: &mut Bench<'_>) -> Result<()> {
    let elsewhere = bench.ground.server.join("elsewhere");
    for file in ["elsewhere/a", "elsewhere/12345/a", "target/readable.txt"] {
        bench.ground.file(file)?;
    }
    let trap = bench.ground.server.join("target/.nfs-trace-check-0");
    symlink("../elsewhere", &trap).with_context(|| format!("link {}", trap.display()))?;
    bench.planted = Some(trap.clone());
    let before = listing(&elsewhere)?;
    let target = bench.ground.name("target");
    let outcome = bench.check("", &[&target]);
    let after = listing(&elsewhere)?;
    // Else it is something left behind to the cells after this one.
    fs::remove_file(&trap).with_context(|| format!("remove {}", trap.display()))?;
    outcome?;
    ensure!(
        before == after,
        "it followed the link: there was {before:?}, now there is {after:?}"
    );
    Ok(())
}

/// Everything below a directory, with the time of its last change.
fn listing(dir: &Path) -> Result<Vec<(String, i64, i64)>> {
    let mut all = Vec::new();
    let mut paths = vec![dir.to_owned()];
    while let Some(path) = paths.pop() {
        let meta = fs::symlink_metadata(&path).with_context(|| format!("look at {path:?}"))?;
        all.push((path.display().to_string(), meta.ctime(), meta.ctime_nsec()));
        if meta.is_dir() {
            for entry in fs::read_dir(&path).with_context(|| format!("read {path:?}"))? {
                paths.push(entry?.path());
            }
        }
    }
    all.sort();
    Ok(all)
}
