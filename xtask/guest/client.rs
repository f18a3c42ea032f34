//! The NFS client: the mount, and the kernel's counters for it.

use std::{collections::BTreeMap, fs};

use anyhow::{Context as _, Result};
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
    let source = format!("127.0.0.1:{source}");
    let options = format!("vers={version},sec=sys{options}");
    command("mount.nfs4", &[&source, target, "-o", &options])
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
