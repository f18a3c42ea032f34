//! The NFS client: the mount, and the kernel's counters for it.

use std::{collections::BTreeMap, fs};

use anyhow::{Context as _, Result, bail};
use lab_contract::{
    mountstats::{self, OpCount},
    protocol::NfsVersion,
};
use rustix::mount::{UnmountFlags, unmount};

use crate::boot::command;

/// Where the export is mounted.
pub(crate) const MOUNT: &str = "/mnt";

pub(crate) fn mount(version: NfsVersion) -> Result<()> {
    mount_at(version, MOUNT)
}

pub(crate) fn mount_at(version: NfsVersion, target: &str) -> Result<()> {
    mount_with(version, "/", target, "")
}

/// Mounts what the server calls `source`, with options of mount(8) after the lab's own.
pub(crate) fn mount_with(
    version: NfsVersion,
    source: &str,
    target: &str,
    options: &str,
) -> Result<()> {
    if let Some(why) = lacks(version)? {
        bail!("{why}: choose another --vers");
    }
    let source = format!("127.0.0.1:{source}");
    let options = format!("vers={version},sec=sys{options}");
    command("mount.nfs4", &[&source, target, "-o", &options])
}

/// Why this kernel's client cannot speak that version; nothing if it can. v4.0 may be left out of
/// the newest (CONFIG_NFS_V4_0, fs/nfs/Kconfig, seen in 7.3).
pub(crate) fn lacks(version: NfsVersion) -> Result<Option<String>> {
    /// Of every client that has v4.0 (fs/nfs/nfs40client.c, nfs4client.c before).
    const OF_V40: &str = "nfs40_init_client";
    if version != NfsVersion::V40 {
        return Ok(None);
    }
    let path = "/proc/kallsyms";
    let symbols = fs::read_to_string(path).with_context(|| format!("read {path}"))?;
    let has = symbols
        .lines()
        .any(|line| line.split_whitespace().nth(2) == Some(OF_V40));
    let why = format!("this NFS client was built without CONFIG_NFS_V4_0 ({path} has no {OF_V40})");
    Ok((!has).then_some(why))
}

pub(crate) fn umount() -> Result<()> {
    unmount(MOUNT, UnmountFlags::empty()).with_context(|| format!("unmount {MOUNT}"))
}

/// The kernel's counters of the mount.
pub(crate) fn counters() -> Result<BTreeMap<String, OpCount>> {
    let path = "/proc/self/mountstats";
    let text = fs::read_to_string(path).with_context(|| format!("read {path}"))?;
    mountstats::parse(&text, MOUNT).with_context(|| format!("find {MOUNT} in {path}"))
}
