//! What nfs-trace has left in the kernel, as the kernel itself tells it: attached probes from
//! kprobes' own list, loaded programs from bpftool.

use std::{fs, process::Command, time::Duration};

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use super::ground::wait_for;

/// Programs are freed by a worker, some time after the last descriptor is closed.
const FREED_WITHIN: Duration = Duration::from_secs(10);

/// (attached probes, loaded programs) of nfs-trace.
pub(super) fn attached() -> Result<(Vec<String>, Vec<String>)> {
    let list = "/sys/kernel/debug/kprobes/list";
    let text = fs::read_to_string(list).with_context(|| format!("read {list}"))?;
    let probes = text
        .lines()
        .filter(|line| line.contains("nfs"))
        .map(str::to_owned)
        .collect();
    let output = Command::new("bpftool")
        .args(["-j", "prog", "show"])
        .output()
        .context("run bpftool")?;
    ensure!(
        output.status.success(),
        "bpftool ended with {}: {}",
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
    let list: Value = serde_json::from_slice(&output.stdout).context("read bpftool's list")?;
    let programs = list
        .as_array()
        .context("read bpftool's list as an array")?
        .iter()
        .filter_map(|program| program["name"].as_str())
        .filter(|name| name.starts_with("nfst_"))
        .map(str::to_owned)
        .collect();
    Ok((probes, programs))
}

/// Waits until nothing is attached or loaded any more.
pub(crate) fn nothing_left() -> Result<()> {
    let mut last = Default::default();
    wait_for(
        "kernel rid of all probes and programs",
        FREED_WITHIN,
        || {
            last = attached()?;
            Ok(last.0.is_empty() && last.1.is_empty())
        },
    )
    .with_context(|| format!("left behind: {last:?}"))
}
