//! Every map, and the small helpers that hide their pointers.

use aya_ebpf::{
    bindings::BPF_F_NO_PREALLOC,
    macros::map,
    maps::{Array, HashMap, LruHashMap, PerCpuArray, ProgramArray, RingBuf, StackTrace},
};
use nfs_trace_ebpf::{
    config::{Config, Counters},
    probes::{COUNTERS_LEN, Id},
};

use super::{
    names::{Known, NameRecord},
    opentask::InFlight,
    thread::Thread,
};

/// Records for user space. Its size is set by the loader.
#[map]
pub(crate) static EVENTS: RingBuf = RingBuf::with_byte_size(4 << 20, 0);

#[map]
static CONFIG: Array<Config> = Array::with_max_entries(1, 0);

#[map]
static COUNTERS: PerCpuArray<Counters> = PerCpuArray::with_max_entries(COUNTERS_LEN, 0);

/// Programs that others jump to.
#[map]
pub(crate) static JUMPS: ProgramArray = ProgramArray::with_max_entries(1, 0);

/// What each thread is in the middle of, by tid.
#[map]
pub(crate) static THREADS: LruHashMap<u32, Thread> = LruHashMap::with_max_entries(16384, 0);

/// A value of zeros, to begin a thread with.
#[map]
pub(crate) static NO_THREAD: Array<Thread> = Array::with_max_entries(1, 0);

/// Where a name record is put together.
#[map]
pub(crate) static NAME: PerCpuArray<NameRecord> = PerCpuArray::with_max_entries(1, 0);

/// OPENs in flight, by the address of their nfs4_opendata.
#[map]
pub(crate) static OPENS: HashMap<u64, InFlight> = HashMap::with_max_entries(16384, 0);

/// Dentries whose names were sent, by address.
#[map]
pub(crate) static DENTRIES: LruHashMap<u64, Known> = LruHashMap::with_max_entries(65536, 0);

/// Kernel stacks of opens (`--stack`).
#[map]
pub(crate) static STACKS: StackTrace = StackTrace::with_max_entries(4096, 0);

/// Threads to trace, with [`nfs_trace_ebpf::config::FILTER_TID`].
#[map]
pub(crate) static TIDS: HashMap<u32, u8> = HashMap::with_max_entries(32768, BPF_F_NO_PREALLOC);

/// Processes to trace, with [`nfs_trace_ebpf::config::FILTER_TGID`].
#[map]
pub(crate) static TGIDS: HashMap<u32, u8> = HashMap::with_max_entries(1024, BPF_F_NO_PREALLOC);

/// Super blocks to trace, with [`nfs_trace_ebpf::config::FILTER_DEV`].
#[map]
pub(crate) static DEVS: HashMap<u32, u8> = HashMap::with_max_entries(1024, BPF_F_NO_PREALLOC);

/// The configuration, once everything is attached.
#[inline(always)]
pub(crate) fn armed() -> Option<&'static Config> {
    let config = CONFIG.get(0)?;
    if config.armed == 0 {
        None
    } else {
        Some(config)
    }
}

/// Changes this CPU's counters of a program.
#[inline(always)]
pub(crate) fn count(id: Id, change: impl FnOnce(&mut Counters)) {
    if let Some(counters) = COUNTERS.get_ptr_mut(id as u32) {
        // SAFETY: the value is this CPU's own, and programs on one CPU do not nest
        // (bpf_prog_active); the reader in user space tolerates torn sums.
        change(unsafe { &mut *counters });
    }
}
