//! The two objects of programs, and what of their maps depends on the machine.

use anyhow::{Context as _, anyhow};
use aya::{Ebpf, EbpfLoader, util::nr_cpus};

use crate::{refusal::refused, transport::Transport};

/// Makes the maps of a transport's object. `buffer`: bytes of the ring buffer. `follow`: the
/// children of a command will be followed.
///
/// # Errors
/// If the kernel refuses one.
pub fn load(transport: Transport, buffer: u32, follow: bool) -> anyhow::Result<Ebpf> {
    let modern = aya::include_bytes_aligned!(env!("NFS_TRACE_PROGRAMS"));
    let mut loader = EbpfLoader::new();
    // The room is taken beforehand: kernels before 6.1 warn of programs on kprobes whose maps
    // allocate when they run (check_map_prog_compatibility, kernel/bpf/verifier.c).
    if !follow {
        loader.map_max_entries("TIDS", 1);
    }
    let cpus = nr_cpus()
        .map_err(|(file, error)| anyhow!("{file}: {error}"))
        .context("failed to count the CPUs")?;
    let cpus = u32::try_from(cpus)?;
    loader.map_max_entries("COUNTERS", cpus);
    let object = match transport {
        Transport::Ring => {
            loader.map_max_entries("EVENTS", buffer);
            modern
        }
        Transport::Perf => {
            loader.map_max_entries("SENT", cpus);
            legacy()
        }
    };
    loader
        .load(object)
        .map_err(|error| refused("the maps", error))
}

/// Makes the maps of the legacy object, which every kernel takes, for the one program that
/// calibrates. Where the others keep what they know there need be no room: making it takes
/// most of a second under emulation.
///
/// # Errors
/// If the kernel refuses one.
pub fn load_for_calibration() -> anyhow::Result<Ebpf> {
    let mut loader = EbpfLoader::new();
    for map in [
        "SLOTS",
        "TAKEN",
        "THREADS",
        "DENTRIES",
        "PLACES",
        "OPENS",
        "TIDS",
        "TGIDS",
        "DEVS",
        "PREPARING",
    ] {
        loader.map_max_entries(map, 1);
    }
    loader
        .load(legacy())
        .map_err(|error| refused("the maps", error))
}

fn legacy() -> &'static [u8] {
    aya::include_bytes_aligned!(env!("NFS_TRACE_PROGRAMS_LEGACY"))
}
