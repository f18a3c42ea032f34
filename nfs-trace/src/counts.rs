//! Reads what the programs counted, by CPU, and finds what was sent and never arrived.

use std::{
    fs,
    os::fd::{AsFd as _, AsRawFd as _},
};

use anyhow::{Context as _, anyhow};
use aya::{
    Ebpf,
    maps::{Array, MapData, PerCpuArray},
    programs::Program,
};
use nfs_trace_ebpf::{
    config::{COUNTERS_SIZE, Counters},
    probes::{At, COUNTERS_LEN, Id, PROBES},
};
use zerocopy::FromBytes as _;

use crate::{
    perf::Arrived,
    summary::{KernelCounts, ProgramCounts},
    transport::Transport,
};

/// The map of counters of either flavour.
enum Map<'a> {
    PerCpu(PerCpuArray<&'a MapData, [u8; COUNTERS_SIZE]>),
    /// All counters of the first CPU, of the second, and so on.
    Flat(Array<&'a MapData, [u8; COUNTERS_SIZE]>),
}

impl Map<'_> {
    /// The counters of one program, by CPU.
    fn read(&self, index: u32) -> anyhow::Result<Vec<Counters>> {
        let decode = |bytes: &[u8; COUNTERS_SIZE]| {
            Counters::read_from_bytes(bytes).map_err(|_| anyhow!("counters of an unexpected size"))
        };
        match self {
            Self::PerCpu(map) => {
                let values = map.get(&index, 0).context("failed to read the counters")?;
                values.iter().map(decode).collect()
            }
            Self::Flat(map) => (0..map.len() / COUNTERS_LEN)
                .map(|cpu| {
                    let value = map.get(&(cpu * COUNTERS_LEN + index), 0);
                    decode(&value.context("failed to read the counters")?)
                })
                .collect(),
        }
    }
}

/// Reads it all. `detail`: whether the rows of [`nfs_trace_ebpf::probes::Need::Detail`] are
/// attached.
///
/// # Errors
/// If a map cannot be read.
pub fn read(
    ebpf: &Ebpf,
    transport: Transport,
    detail: bool,
    arrived: &[Arrived],
) -> anyhow::Result<KernelCounts> {
    let map = ebpf.map("COUNTERS").context("no map COUNTERS")?;
    let map = match transport {
        Transport::Ring => Map::PerCpu(PerCpuArray::try_from(map)?),
        Transport::Perf => Map::Flat(Array::try_from(map)?),
    };
    let mut counts = KernelCounts::default();
    let mut read = |index: u32| -> anyhow::Result<Counters> {
        let mut sum = Counters::default();
        for (cpu, counters) in (0..).zip(map.read(index)?) {
            sum.hits += counters.hits;
            sum.lost += counters.lost;
            sum.paired += counters.paired;
            sum.unpaired += counters.unpaired;
            sum.elsewhere += counters.elsewhere;
            if counters.lost > 0 && index != Id::Fork as u32 {
                *counts.lost_by_cpu.entry(cpu).or_default() += counters.lost;
            }
        }
        Ok(sum)
    };
    let children = read(Id::Fork as u32)?.lost;
    read(Id::Names as u32)?;
    read(Id::Exit as u32)?;
    read(Id::Cached as u32)?;
    let mut sums = Vec::new();
    for (index, probe) in (0..).zip(PROBES) {
        if probe.asked_for(detail) {
            sums.push((index, probe, read(index)?));
        }
    }
    counts.children = children;
    let (mut running, mut returned) = (0_u64, 0);
    for (index, probe, sum) in sums {
        match probe.at {
            At::Entry => {
                counts.returns += sum.unpaired;
                // A missed return was entered as well, and is not running any more.
                running += sum.paired.saturating_sub(sum.unpaired);
            }
            At::Return => {
                counts.running_at_start += sum.unpaired;
                returned += sum.paired;
            }
        }
        let counts_opens = [Id::OpenDone, Id::Encode, Id::EncodeFh].map(|id| id as u32);
        if counts_opens.contains(&index) {
            counts.open_elsewhere += sum.elsewhere;
        }
        if index == Id::LookupIn as u32 {
            counts.lookup_elsewhere = sum.elsewhere;
        }
        let program = ProgramCounts {
            hits: sum.hits,
            lost: sum.lost,
        };
        counts.programs.insert(probe.program.into(), program);
    }
    counts.running_at_end = running.saturating_sub(returned);
    for one in arrived {
        let sent = sent(ebpf, one.cpu)?;
        let lost = counts.lost_by_cpu.get(&one.cpu).copied().unwrap_or(0);
        let all = all_lost(lost, sent, one);
        if all > 0 {
            counts.lost_by_cpu.insert(one.cpu, all);
        }
    }
    counts.records = counts.lost_by_cpu.values().sum();
    let programs = ebpf.programs();
    counts.skipped = programs.filter_map(|(_, program)| skipped(program)).sum();
    Ok(counts)
}

/// What a CPU lost. A program is told by kernels from 5.1 on that a sample found no room;
/// before, it takes the sample for sent, and that it never arrived shows here.
fn all_lost(told: u64, sent: u64, arrived: &Arrived) -> u64 {
    (told + sent.saturating_sub(arrived.records)).max(arrived.lost)
}

/// Records that a CPU's programs sent.
fn sent(ebpf: &Ebpf, cpu: u32) -> anyhow::Result<u64> {
    let map = ebpf.map("SENT").context("no map SENT")?;
    let map: Array<_, u64> = Array::try_from(map)?;
    map.get(&cpu, 0).context("failed to read how much was sent")
}

/// Times that the kernel did not run a program because another was running on that CPU
/// (recursion_misses of its fdinfo, where the kernel has it).
fn skipped(program: &Program) -> Option<u64> {
    let fd = program.fd().ok()?.as_fd().as_raw_fd();
    let text = fs::read_to_string(format!("/proc/self/fdinfo/{fd}")).ok()?;
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix("recursion_misses:"))?;
    line.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_lost_is_counted_once_whoever_tells() {
        let arrived = |records, lost| Arrived {
            cpu: 0,
            records,
            lost,
        };
        assert_eq!(all_lost(0, 100, &arrived(100, 0)), 0);
        // 5.1 and later: programs are told, and the kernel tells the reader as well.
        assert_eq!(all_lost(5, 95, &arrived(95, 5)), 5);
        assert_eq!(all_lost(5, 95, &arrived(95, 3)), 5);
        // Before: programs are not told, and the reader not always.
        assert_eq!(all_lost(0, 100, &arrived(95, 5)), 5);
        assert_eq!(all_lost(0, 100, &arrived(95, 0)), 5);
        // No buffer for this CPU's records: programs are told on any kernel.
        assert_eq!(all_lost(7, 0, &arrived(0, 0)), 7);
    }
}
