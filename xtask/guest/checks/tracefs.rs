//! Where tracefs may be: in its own place, below debugfs alone, or nowhere.

use anyhow::{Context as _, Result, ensure};

use super::{Held, ground::Ground, held, kernel, refusal::says, tool::Tool};
use crate::boot::{command, mount_at};

const TRACEFS: &str = "/sys/kernel/tracing";
const DEBUGFS: &str = "/sys/kernel/debug";

pub(super) fn tracefs(ground: &Ground) -> Result<Held> {
    let done = everywhere(ground);
    // The checks after this one look there.
    for (kind, place) in [("tracefs", TRACEFS), ("debugfs", DEBUGFS)] {
        if !is_mounted(place)? {
            mount_at(kind, kind, place)?;
        }
    }
    done
}

fn everywhere(ground: &Ground) -> Result<Held> {
    // debugfs mounts it below itself when somebody looks.
    umount(TRACEFS)?;
    traces(ground).context("with debugfs alone")?;
    umount(DEBUGFS)?;
    mount_at("tracefs", "tracefs", TRACEFS)?;
    traces(ground).context("with tracefs alone")?;
    umount(TRACEFS)?;
    if kernel::uses_probe_pmu()? {
        traces(ground).context("without")?;
        return held("traced with debugfs alone, tracefs alone, and neither");
    }
    let remedy = "mount -t debugfs";
    Tool::run(&["trace"])?.refuses(69, &["tracefs", remedy])?;
    says(&Tool::run(&["probes"])?, &["cannot be traced", remedy])?;
    // 4.4 has a kernel's debugfs without a tracefs below it where nobody has looked.
    mount_at("debugfs", "debugfs", DEBUGFS)?;
    traces(ground).context("with debugfs mounted again")?;
    held("traced with debugfs alone and tracefs alone; with neither, said in one sentence")
}

fn traces(ground: &Ground) -> Result<()> {
    let tool = Tool::armed(&["--format", "json", "--mount", "/mnt"])?;
    ground.opens("alpha", 3, "a")?;
    tool.report()?.expect(3)
}

fn is_mounted(place: &str) -> Result<bool> {
    let mounts = std::fs::read_to_string("/proc/self/mounts").context("read /proc/self/mounts")?;
    Ok(mounts
        .lines()
        .any(|line| line.split(' ').nth(1) == Some(place)))
}

/// With whatever is mounted below it.
fn umount(place: &str) -> Result<()> {
    command("busybox", &["umount", "-l", place])?;
    ensure!(!is_mounted(place)?, "{place} is still mounted");
    Ok(())
}
