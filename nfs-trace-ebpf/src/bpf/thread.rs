//! What a thread is in the middle of, kept from a call's entry to its return.
//!
//! The value stays in the map between opens: finding it again is cheaper than
//! inserting and deleting it, and it remembers what was already sent (comm, names).

use aya_ebpf::helpers::bpf_get_current_pid_tgid;
use nfs_trace_ebpf::{
    abi::{FLAG_FIRST, FLAG_MISSED_INSIDE, FLAG_MISSED_RETURN},
    config::{Config, FILTER_DEV, FILTER_TGID, FILTER_TID},
    probes::Id,
};

use super::{
    flavour,
    maps::{DEVS, TGIDS, TIDS, count},
    opentask::forget,
};

/// [`Thread::active`]: inside nfs4_lookup_revalidate for an open.
pub(crate) const REVALIDATE: u8 = 1 << 0;
/// [`Thread::active`]: inside nfs4_file_open.
pub(crate) const FILE_OPEN: u8 = 1 << 1;
/// [`Thread::active`]: inside nfs_atomic_open.
pub(crate) const ATOMIC_OPEN: u8 = 1 << 2;
/// [`Thread::active`]: inside nfs4_run_open_task.
pub(crate) const OPEN_TASK: u8 = 1 << 3;
/// [`Thread::active`]: inside the LOOKUP call.
pub(crate) const LOOKUP: u8 = 1 << 4;

/// A thread's state. Zero is a good start for every field.
#[repr(C)]
#[derive(Clone, Copy)]
pub(crate) struct Thread {
    pub(crate) revalidate_start: u64,
    pub(crate) revalidate_dentry: u64,
    pub(crate) open_start: u64,
    pub(crate) open_dentry: u64,
    /// The file being opened.
    pub(crate) open_file: u64,
    pub(crate) open_fileid: u64,
    pub(crate) task_start: u64,
    pub(crate) task_opendata: u64,
    pub(crate) lookup_start: u64,
    /// Dentry whose name was last seen to.
    pub(crate) named: u64,
    /// The hash of its chain of parents.
    pub(crate) chain: u64,
    /// Where on that chain names are being sent.
    pub(crate) node: u64,
    pub(crate) comm: [u64; 2],
    pub(crate) lookup_flags: u32,
    pub(crate) open_flags: u32,
    pub(crate) stack_id: i32,
    pub(crate) dev: u32,
    pub(crate) seq: u16,
    /// Calls entered and not yet returned from.
    pub(crate) active: u8,
    /// `FLAG_*` for the next record.
    pub(crate) flags: u8,
    pub(crate) verifier_checks: u8,
    pub(crate) verifier_sets: u8,
    pub(crate) lookups: u8,
    pub(crate) dentry_kind: u8,
    pub(crate) tasks: u8,
    pub(crate) stateid_updates: u8,
    pub(crate) claim: u8,
    pub(crate) inode_checks: u8,
    /// `SIGN_*` since the last OPEN task began.
    pub(crate) signs: u8,
}

/// The tid of the thread that runs this program.
#[inline(always)]
pub(crate) fn tid() -> u32 {
    bpf_get_current_pid_tgid() as u32
}

/// Whether this thread's opens are asked for.
#[inline(always)]
pub(crate) fn wanted(config: &Config) -> bool {
    if config.filters & (FILTER_TID | FILTER_TGID) == 0 {
        return true;
    }
    let pid_tgid = bpf_get_current_pid_tgid();
    if config.filters & FILTER_TID != 0 && TIDS.get_ptr(pid_tgid as u32).is_none() {
        return false;
    }
    config.filters & FILTER_TGID == 0 || TGIDS.get_ptr((pid_tgid >> 32) as u32).is_some()
}

/// Whether this super block's opens are asked for.
#[inline(always)]
pub(crate) fn wanted_dev(config: &Config, dev: u32) -> bool {
    config.filters & FILTER_DEV == 0 || DEVS.get_ptr(dev).is_some()
}

/// The current thread's state, if it has one.
#[inline(always)]
pub(crate) fn current() -> Option<&'static mut Thread> {
    let thread = flavour::thread(tid())?;
    // SAFETY: only the thread itself reaches its value, and it is in one program.
    Some(unsafe { &mut *thread })
}

/// Notes that the thread enters a call that nothing of ours encloses. A call that is
/// still open ended unseen.
#[inline(always)]
pub(crate) fn enter(id: Id, thread: &mut Thread, call: u8) {
    if thread.active != 0 {
        thread.flags |= FLAG_MISSED_RETURN;
        missed(thread, thread.active);
    }
    thread.active = call;
    count(id, |counters| counters.paired += 1);
}

/// Notes that the thread leaves `call`. A call inside that is still open ended unseen.
#[inline(always)]
pub(crate) fn leave(id: Id, thread: &mut Thread, call: u8) {
    count(id, |counters| counters.paired += 1);
    if thread.active != call {
        thread.flags |= FLAG_MISSED_INSIDE;
        missed(thread, thread.active & !call);
    }
    thread.active = 0;
}

/// Counts these calls as ended unseen: their kretprobes found no free instance.
#[inline(always)]
pub(crate) fn missed(thread: &Thread, calls: u8) {
    const ENTRIES: [(u8, Id); 5] = [
        (REVALIDATE, Id::RevalidateIn),
        (FILE_OPEN, Id::FileOpenIn),
        (ATOMIC_OPEN, Id::AtomicOpenIn),
        (OPEN_TASK, Id::OpenTaskIn),
        (LOOKUP, Id::LookupIn),
    ];
    for (call, id) in ENTRIES {
        if calls & call != 0 {
            count(id, |counters| counters.unpaired += 1);
        }
    }
    if calls & OPEN_TASK != 0 {
        forget(thread.task_opendata);
    }
}

/// The current thread's state while it is inside one of `calls`.
#[inline(always)]
pub(crate) fn inside(calls: u8) -> Option<&'static mut Thread> {
    current().filter(|thread| thread.active & calls != 0)
}

/// The current thread's state, made if need be; nothing if the map refuses.
#[inline(always)]
pub(crate) fn current_or_new() -> Option<&'static mut Thread> {
    if let Some(thread) = current() {
        return Some(thread);
    }
    flavour::begin_thread(tid())?;
    let thread = current()?;
    thread.flags = FLAG_FIRST;
    Some(thread)
}
