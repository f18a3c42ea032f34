//! Reads what the programs counted, by CPU, and finds what was sent and never arrived.

use anyhow::{Context as _, anyhow};
use aya::{Ebpf, maps::Array};
use nfs_trace_ebpf::{
    config::{CPU_COUNTERS_SIZE, Counters, CpuCounters},
    probes::{At, COUNTERS_LEN, Id, PROBES},
};
use zerocopy::FromBytes as _;

use crate::{
    perf::Arrived,
    skips::{self, Skips},
    summary::{KernelCounts, ProgramCounts},
};

/// What each CPU counted.
fn by_cpu(ebpf: &Ebpf) -> anyhow::Result<Vec<CpuCounters>> {
    let map = ebpf.map("COUNTERS").context("no map COUNTERS")?;
    let map: Array<_, [u8; CPU_COUNTERS_SIZE]> = Array::try_from(map)?;
    (0..map.len())
        .map(|cpu| {
            let value = map.get(&cpu, 0).context("failed to read the counters")?;
            CpuCounters::read_from_bytes(&value)
                .map_err(|_| anyhow!("counters of an unexpected size"))
        })
        .collect()
}

/// Reads it all. `detail`: whether the rows of [`nfs_trace_ebpf::probes::Need::Detail`] are
/// attached.
///
/// # Errors
/// If a map cannot be read.
pub fn read(
    ebpf: &Ebpf,
    detail: bool,
    skips: &Skips,
    arrived: &[Arrived],
) -> anyhow::Result<KernelCounts> {
    let mut counts = KernelCounts::default();
    let mut sums = [Counters::default(); COUNTERS_LEN as usize];
    for (cpu, counters) in (0..).zip(by_cpu(ebpf)?) {
        for (id, (sum, one)) in sums.iter_mut().zip(counters.programs).enumerate() {
            sum.hits += one.hits;
            sum.lost += one.lost;
            sum.paired += one.paired;
            sum.unpaired += one.unpaired;
            sum.elsewhere += one.elsewhere;
            if one.lost > 0 && id != Id::Fork as usize {
                *counts.lost_by_cpu.entry(cpu).or_default() += one.lost;
            }
        }
    }
    counts.children = sums[Id::Fork as usize].lost;
    let (mut running, mut returned) = (0_u64, 0);
    let rows = PROBES.iter().zip(sums).enumerate();
    for (id, (probe, sum)) in rows.filter(|(_, (probe, _))| probe.asked_for(detail)) {
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
        let counts_opens = [Id::OpenDone, Id::Encode, Id::EncodeFh].map(|id| id as usize);
        if counts_opens.contains(&id) {
            counts.open_elsewhere += sum.elsewhere;
        }
        if id == Id::LookupIn as usize {
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
    counts.skipped = skips.counted(skips::all(ebpf));
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
