//! What nfs-trace has left in the kernel, as the kernel itself tells it: attached probes from
//! kprobes' own list, loaded programs from bpftool, and the lines of kprobe_events.

use std::{collections::BTreeMap, fs, path::Path, process::Command, time::Duration};

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use super::ground::wait_for;

/// Programs are freed by a worker, some time after the last descriptor is closed.
const FREED_WITHIN: Duration = Duration::from_secs(10);
/// Where tracefs may be.
const TRACEFS: [&str; 2] = ["/sys/kernel/tracing", "/sys/kernel/debug/tracing"];

/// Whether kprobes are attached through a perf PMU of their own (4.17); else they are lines of
/// kprobe_events, which do not go with their owner.
///
/// aya (0.14) cannot read the version of Debian's release candidates (`7.3~rc7-1~exp1`) and takes
/// them for old.
pub(super) fn uses_probe_pmu() -> Result<bool> {
    let path = "/proc/version";
    let version = fs::read_to_string(path).with_context(|| format!("read {path}"))?;
    let offered = Path::new("/sys/bus/event_source/devices/kprobe/type").exists();
    Ok(offered && !version.contains("~rc"))
}

/// Whether the kernel is at least this one, by its release.
pub(super) fn is_at_least(version: (u32, u32)) -> Result<bool> {
    let path = "/proc/sys/kernel/osrelease";
    let release = fs::read_to_string(path).with_context(|| format!("read {path}"))?;
    let mut numbers = release.split(['.', '-']).map_while(|it| it.parse().ok());
    let found = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
    Ok(found >= version)
}

/// Whether there are programs on tracepoints (4.7), without which no command is followed.
pub(super) fn has_tracepoint_programs() -> Result<bool> {
    is_at_least((4, 7))
}

/// (attached probes, loaded programs) of nfs-trace.
pub(super) fn attached() -> Result<(Vec<String>, Vec<String>)> {
    let list = "/sys/kernel/debug/kprobes/list";
    let text = fs::read_to_string(list).with_context(|| format!("read {list}"))?;
    // The line of a dead owner keeps its probe, which is off; any other one has to go.
    let kept = lines();
    let may_stay = |line: &str| {
        let symbol = line.split_whitespace().nth(2).unwrap_or_default();
        let function = symbol.split('+').next().unwrap_or_default();
        line.contains("[DISABLED]") && kept.iter().any(|line| line.contains(function))
    };
    let probes = text
        .lines()
        .filter(|line| line.contains("nfs") && !may_stay(line))
        .map(str::to_owned)
        .collect();
    let programs = if is_at_least((4, 13))? {
        listed()?
    } else {
        descriptors()?
    };
    Ok((probes, programs))
}

/// How often each program of nfs-trace has run, by its name; as far as the kernel counts it.
pub(super) fn runs() -> Result<BTreeMap<String, u64>> {
    let programs = programs()?;
    let run = |program: &Value| {
        let name = program["name"].as_str()?.to_owned();
        Some((name, program["run_cnt"].as_u64().unwrap_or(0)))
    };
    Ok(programs.iter().filter_map(run).collect())
}

fn listed() -> Result<Vec<String>> {
    // Before 4.15 programs have no names; but nobody else in the guest has any.
    let name = |program: &Value| match program["name"].as_str() {
        Some(name) => name.starts_with("nfst_").then(|| name.to_owned()),
        None => (program["type"] == "kprobe").then(|| format!("program {}", program["id"])),
    };
    Ok(programs()?.iter().filter_map(name).collect())
}

/// All programs, as bpftool shows them.
fn programs() -> Result<Vec<Value>> {
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
    let programs = list.as_array().context("read bpftool's list as an array")?;
    Ok(programs.clone())
}

/// Where the kernel does not list programs (before 4.13): those that some process holds.
fn descriptors() -> Result<Vec<String>> {
    let mut found = Vec::new();
    for process in fs::read_dir("/proc").context("read /proc")? {
        // No process, or gone since.
        let Ok(list) = fs::read_dir(process?.path().join("fd")) else {
            continue;
        };
        for entry in list.flatten() {
            let link = fs::read_link(entry.path()).unwrap_or_default();
            if link.to_string_lossy().contains("bpf-prog") {
                found.push(entry.path().display().to_string());
            }
        }
    }
    Ok(found)
}

/// The lines of kprobe_events: nobody else in the guest writes any.
pub(super) fn lines() -> Vec<String> {
    let text = TRACEFS
        .iter()
        .find_map(|path| fs::read_to_string(Path::new(path).join("kprobe_events")).ok());
    text.unwrap_or_default()
        .lines()
        .map(str::to_owned)
        .collect()
}

/// Waits until nothing is attached or loaded any more.
pub(super) fn nothing_runs() -> Result<()> {
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

/// The same, and nothing is left in kprobe_events.
pub(crate) fn nothing_left() -> Result<()> {
    nothing_runs()?;
    let lines = lines();
    ensure!(lines.is_empty(), "left in kprobe_events: {lines:?}");
    Ok(())
}
