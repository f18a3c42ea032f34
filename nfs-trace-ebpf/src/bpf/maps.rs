//! The maps that both flavours have, and the small helpers that hide their pointers.

use aya_ebpf::{
    macros::map,
    maps::{Array, HashMap, ProgramArray},
};
use nfs_trace_ebpf::{
    config::{ARMED, Config, Counters, OFF},
    probes::Id,
};

use super::{flavour::counters, opentask::InFlight};

#[map]
static CONFIG: Array<Config> = Array::with_max_entries(1, 0);

/// Programs that others jump to.
#[map]
pub(crate) static JUMPS: ProgramArray = ProgramArray::with_max_entries(1, 0);

/// OPENs in flight, by the address of their nfs4_opendata.
#[map]
pub(crate) static OPENS: HashMap<u64, InFlight> = HashMap::with_max_entries(16384, 0);

/// Threads to trace, with [`nfs_trace_ebpf::config::FILTER_TID`].
#[map]
pub(crate) static TIDS: HashMap<u32, u8> = HashMap::with_max_entries(32768, 0);

/// Processes to trace, with [`nfs_trace_ebpf::config::FILTER_TGID`].
#[map]
pub(crate) static TGIDS: HashMap<u32, u8> = HashMap::with_max_entries(1024, 0);

/// Super blocks to trace, with [`nfs_trace_ebpf::config::FILTER_DEV`].
#[map]
pub(crate) static DEVS: HashMap<u32, u8> = HashMap::with_max_entries(1024, 0);

/// The configuration, armed or not.
#[inline(always)]
pub(crate) fn config() -> Option<&'static Config> {
    CONFIG.get(0)
}

/// The configuration, once everything is attached.
#[inline(always)]
pub(crate) fn armed() -> Option<&'static Config> {
    config().filter(|config| config.armed == ARMED)
}

/// The configuration, also while the client's modules are gone.
#[inline(always)]
pub(crate) fn following() -> Option<&'static Config> {
    config().filter(|config| config.armed != OFF)
}

/// Changes this CPU's counters of a program.
#[inline(always)]
pub(crate) fn count(id: Id, change: impl FnOnce(&mut Counters)) {
    if let Some(counters) = counters(id) {
        // SAFETY: the value is this CPU's own, and programs on one CPU do not nest
        // (bpf_prog_active); the reader in user space tolerates torn sums.
        change(unsafe { &mut *counters });
    }
}
