//! Scenarios in which the server takes the name away from the file that the client holds.

use std::{
    fs,
    path::Path,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use lab_contract::scenario::{REMOVED_OPENS, RENAME_OPENS, UNLINKED_OPENS};

use super::{
    files::{self, Bench},
    rename_on_server,
};

pub(super) fn prepare(server: &Path) -> Result<()> {
    files::write(server, "test1.txt", "old")?;
    files::write(server, "test2.txt", "new")
}

/// The experiment of the GitLab story.
pub(super) fn rename_over(bench: &mut Bench) -> Result<()> {
    let _held = bench.open_read("test1.txt")?;
    rename_on_server(&bench.server, "test2.txt", "test1.txt")?;
    (0..RENAME_OPENS).for_each(|_| bench.cat("test1.txt"));
    Ok(())
}

/// nfsd's file cache notices a removed file by itself, within moments.
const GONE_WITHIN: Duration = Duration::from_secs(30);

fn free_inodes(path: &Path) -> Result<u64> {
    let stat = rustix::fs::statvfs(path).with_context(|| format!("statvfs {}", path.display()))?;
    Ok(stat.f_ffree)
}

/// Takes the last hold of a file away, and waits until the server has freed it: nfsd keeps files
/// that it has served open for a while, and until it lets go the file still lives.
pub(super) fn until_gone(server: &Path, take: impl FnOnce() -> Result<()>) -> Result<()> {
    let before = free_inodes(server)?;
    take()?;
    let deadline = Instant::now() + GONE_WITHIN;
    while free_inodes(server)? <= before {
        ensure!(
            Instant::now() < deadline,
            "wait for nfsd to let go of a removed file"
        );
        thread::sleep(Duration::from_millis(20));
    }
    Ok(())
}

/// The file is gone with its name: nobody holds it, but the client's caches know it.
pub(super) fn removed(bench: &mut Bench) -> Result<()> {
    drop(bench.open_read("test1.txt")?);
    let name = bench.server.join("test1.txt");
    until_gone(&bench.server, || {
        fs::remove_file(name).context("remove test1.txt on the server")
    })?;
    (0..REMOVED_OPENS).for_each(|_| bench.cat("test1.txt"));
    Ok(())
}

/// The name is gone; the file lives on because it is held.
pub(super) fn unlinked(bench: &mut Bench) -> Result<()> {
    let _held = bench.open_read("test1.txt")?;
    fs::remove_file(bench.server.join("test1.txt")).context("remove test1.txt on the server")?;
    (0..UNLINKED_OPENS).for_each(|_| bench.cat("test1.txt"));
    Ok(())
}
