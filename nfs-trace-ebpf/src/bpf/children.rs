//! Threads come and go: follows `trace -- COMMAND` into its children and threads, by tid,
//! and sees to what a thread leaves behind.

use aya_ebpf::{EbpfContext, macros::tracepoint, programs::TracePointContext};
#[cfg(feature = "legacy")]
use aya_ebpf::{macros::kprobe, programs::ProbeContext};
use nfs_trace_ebpf::{
    abi::FLAG_MISSED_RETURN,
    config::{ARMED, FILTER_TID},
    probes::Id,
};

use super::{
    emit::{ensure_comm, send_kept},
    flavour::diagnose,
    kread::read,
    maps::{Counts, TIDS, following},
    opaque::zero,
    thread::{end_thread, missed, thread_of, tid},
};

#[tracepoint]
fn nfst_fork(ctx: TracePointContext) -> u32 {
    try_fork(&ctx);
    0
}

#[inline(always)]
fn try_fork(ctx: &TracePointContext) -> Option<()> {
    let config = following()?;
    if config.filters & FILTER_TID == 0 {
        return None;
    }
    TIDS.get_ptr(tid())?;
    // The offset comes from the tracepoint's own format file.
    follow(ctx, read(ctx.as_ptr() as u64, config.fork_child_pid)?)
}

#[inline(always)]
fn follow(ctx: &impl EbpfContext, child: u32) -> Option<()> {
    if TIDS.insert(child, 1, 0).is_err() {
        Counts::new()?.of(Id::Fork, |it| it.lost += 1);
        diagnose!(ctx, "too many threads to follow: {} is left out", child);
    }
    Some(())
}

#[cfg(not(feature = "legacy"))]
#[tracepoint]
fn nfst_exit(ctx: TracePointContext) -> u32 {
    try_exit(&ctx);
    0
}

/// On do_exit: 4.4 has no programs for tracepoints, and its hash maps make no room by
/// themselves.
#[cfg(feature = "legacy")]
#[kprobe]
fn nfst_exit(ctx: ProbeContext) -> u32 {
    try_exit(&ctx);
    0
}

/// The last chance to tell of a call whose return was missed: no other record of this
/// thread will.
#[inline(always)]
fn try_exit(ctx: &impl EbpfContext) -> Option<()> {
    let config = following()?;
    let tid = tid();
    if config.filters & FILTER_TID != 0 {
        let _ = TIDS.remove(tid);
    }
    let thread = thread_of(tid)?;
    if thread.keeps != 0 {
        if config.armed != ARMED {
            // User space takes it from the slot, or has done so.
            return None;
        }
        send_kept(ctx, config, &mut Counts::new()?, thread);
    }
    if thread.active != 0 {
        let mut counts = Counts::new()?;
        missed(&mut counts, thread, thread.active);
        thread.active = 0;
        thread.flags |= FLAG_MISSED_RETURN;
        // Any record carries the flag; a name that was never sent makes it a record.
        thread.comm = [zero(), zero()];
        ensure_comm(ctx, &mut counts, Id::Exit, thread);
    }
    end_thread(tid);
    Some(())
}
