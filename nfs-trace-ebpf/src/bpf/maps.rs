//! The maps that both flavours have, and the small helpers that hide their pointers.

use aya_ebpf::{
    helpers::{bpf_get_current_pid_tgid, bpf_get_smp_processor_id},
    macros::map,
    maps::{Array, HashMap, ProgramArray},
};
use nfs_trace_ebpf::{
    config::{ARMED, Config, Counters, CpuCounters, FILTER_DEV, FILTER_TGID, FILTER_TID, OFF},
    probes::Id,
};

use super::{
    flavour::config,
    kread::{dev_of_dentry, dev_of_inode},
};

/// Programs that others jump to.
#[map]
pub(crate) static JUMPS: ProgramArray = ProgramArray::with_max_entries(1, 0);

/// Threads to trace, with [`nfs_trace_ebpf::config::FILTER_TID`].
#[map]
pub(crate) static TIDS: HashMap<u32, u8> = HashMap::with_max_entries(32768, 0);

/// Processes to trace, with [`nfs_trace_ebpf::config::FILTER_TGID`].
#[map]
pub(crate) static TGIDS: HashMap<u32, u8> = HashMap::with_max_entries(1024, 0);

/// Super blocks to trace, with [`nfs_trace_ebpf::config::FILTER_DEV`].
#[map]
pub(crate) static DEVS: HashMap<u32, u8> = HashMap::with_max_entries(1024, 0);

/// What the programs counted, by CPU: one look-up a run, which the kernel makes a few
/// instructions where it would call a function for a map of its own kind for CPUs. Its length is
/// set by the loader.
#[map]
static COUNTERS: Array<CpuCounters> = Array::with_max_entries(1, 0);

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

/// The number of the CPU that runs this program.
#[inline(always)]
pub(crate) fn cpu() -> u32 {
    // SAFETY: the helper takes nothing and always answers.
    unsafe { bpf_get_smp_processor_id() as u32 }
}

/// This CPU's counters.
#[inline(always)]
fn counters() -> Option<&'static mut CpuCounters> {
    let counters = COUNTERS.get_ptr_mut(cpu())?;
    // SAFETY: the value is this CPU's own, and programs on one CPU do not nest
    // (bpf_prog_active); the reader in user space tolerates torn sums.
    Some(unsafe { &mut *counters })
}

/// What changes this CPU's counters: looked up once. The legacy object looks them up each time:
/// with so many pointers to hold the compiler would put some on the stack before it compares them
/// with null, which 4.4 does not follow.
pub(crate) struct Counts(Option<&'static mut CpuCounters>);

impl Counts {
    /// Nothing on a CPU that the loader did not know of.
    #[inline(always)]
    pub(crate) fn new() -> Option<Self> {
        if cfg!(feature = "legacy") {
            return Some(Self(None));
        }
        counters().map(|counters| Self(Some(counters)))
    }

    /// Changes those of one program.
    #[inline(always)]
    pub(crate) fn of(&mut self, id: Id, change: impl FnOnce(&mut Counters)) {
        let counters = match &mut self.0 {
            Some(counters) => Some(&mut **counters),
            None => counters(),
        };
        if let Some(counters) = counters {
            // SAFETY: there are counters for every program. (The compiler would leave in a check,
            // and with it a call, which programs must not have.)
            change(unsafe { counters.programs.get_unchecked_mut(id as usize) });
        }
    }
}

/// One run of a program while everything is attached.
pub(crate) struct Run {
    pub(crate) config: &'static Config,
    pub(crate) counts: Counts,
    pub(crate) id: Id,
    pid_tgid: u64,
}

impl Run {
    /// Begins with it, and counts it; nothing while the programs are not armed.
    #[inline(always)]
    pub(crate) fn begin(id: Id) -> Option<Self> {
        Self::counted(armed()?, id, bpf_get_current_pid_tgid())
    }

    /// The same for a program that runs in the thread that opens. Where one process is asked for,
    /// others are told apart before anything else is done, and are not counted.
    #[inline(always)]
    pub(crate) fn of_opener(id: Id) -> Option<Self> {
        let config = config()?;
        let pid_tgid = bpf_get_current_pid_tgid();
        let only = config.only_tgid;
        if only != 0 && only != (pid_tgid >> 32) as u32 || config.armed != ARMED {
            return None;
        }
        Self::counted(config, id, pid_tgid)
    }

    #[inline(always)]
    fn counted(config: &'static Config, id: Id, pid_tgid: u64) -> Option<Self> {
        let mut counts = Counts::new()?;
        counts.of(id, |it| it.hits += 1);
        Some(Self {
            config,
            counts,
            id,
            pid_tgid,
        })
    }

    /// Changes the program's own counters.
    #[inline(always)]
    pub(crate) fn count(&mut self, change: impl FnOnce(&mut Counters)) {
        self.counts.of(self.id, change);
    }

    /// Asked for again by the legacy object, for the same reason as the counters.
    #[inline(always)]
    fn pid_tgid(&self) -> u64 {
        if cfg!(feature = "legacy") {
            bpf_get_current_pid_tgid()
        } else {
            self.pid_tgid
        }
    }

    /// The thread that runs it: what the kernel calls pid.
    #[inline(always)]
    pub(crate) fn tid(&self) -> u32 {
        self.pid_tgid() as u32
    }

    /// Its process: what user space calls pid.
    #[inline(always)]
    pub(crate) fn tgid(&self) -> u32 {
        (self.pid_tgid() >> 32) as u32
    }

    /// Whether this thread's opens are asked for.
    #[inline(always)]
    pub(crate) fn wanted(&self) -> bool {
        let filters = self.config.filters;
        if filters & (FILTER_TID | FILTER_TGID) == 0 {
            return true;
        }
        if filters & FILTER_TID != 0 && TIDS.get_ptr(self.tid()).is_none() {
            return false;
        }
        filters & FILTER_TGID == 0
            || self.config.only_tgid != 0
            || TGIDS.get_ptr(self.tgid()).is_some()
    }

    /// Whether opens on this dentry's super block are asked for.
    #[inline(always)]
    pub(crate) fn wanted_dentry(&self, dentry: u64) -> bool {
        self.config.filters & FILTER_DEV == 0 || self.wanted_dev(dev_of_dentry(self.config, dentry))
    }

    /// The same for an inode.
    #[inline(always)]
    pub(crate) fn wanted_inode(&self, inode: u64) -> bool {
        self.config.filters & FILTER_DEV == 0 || self.wanted_dev(dev_of_inode(self.config, inode))
    }

    /// Whether this super block's opens are asked for, which not all are.
    #[inline(always)]
    fn wanted_dev(&self, dev: u32) -> bool {
        match self.config.only_dev {
            0 => DEVS.get_ptr(dev).is_some(),
            only => only == dev,
        }
    }
}
