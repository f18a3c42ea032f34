//! What the BPF programs of a process did, by the kernel's own count.

use std::{collections::BTreeMap, fs};

use anyhow::{Context as _, Result};

const STATS: &str = "/proc/sys/kernel/bpf_stats_enabled";

/// A time in which the kernel counts.
pub(super) struct Counting {
    process: u32,
    before: (u64, u64),
}

impl Counting {
    pub(super) fn start(process: u32) -> Result<Self> {
        let before = sums(process)?;
        fs::write(STATS, "1").with_context(|| format!("write {STATS}"))?;
        Ok(Self { process, before })
    }

    /// Runs of the programs, and their instructions.
    pub(super) fn stop(self) -> Result<(u64, u64)> {
        fs::write(STATS, "0").with_context(|| format!("write {STATS}"))?;
        let after = sums(self.process)?;
        Ok((after.0 - self.before.0, after.1 - self.before.1))
    }
}

/// Of all programs that a process holds, each once.
fn sums(process: u32) -> Result<(u64, u64)> {
    let mut programs = BTreeMap::new();
    let folder = format!("/proc/{process}/fdinfo");
    for entry in fs::read_dir(&folder).with_context(|| format!("list {folder}"))? {
        // A descriptor may be closed meanwhile.
        let Ok(text) = fs::read_to_string(entry?.path()) else {
            continue;
        };
        let field = |name: &str| {
            let mut lines = text.lines().filter_map(|line| line.split_once(':'));
            let (_, value) = lines.find(|(key, _)| *key == name)?;
            value.trim().parse::<u64>().ok()
        };
        if let (Some(id), Some(runs), Some(time)) =
            (field("prog_id"), field("run_cnt"), field("run_time_ns"))
        {
            programs.insert(id, (runs, time));
        }
    }
    let sum = |of: fn(&(u64, u64)) -> u64| programs.values().map(of).sum();
    Ok((sum(|one| one.0), sum(|one| one.1)))
}
