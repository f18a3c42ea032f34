//! Follows `trace -- COMMAND` into its children and threads, by tid.

use aya_ebpf::{macros::tracepoint, programs::TracePointContext};
use aya_log_ebpf::warn;
use nfs_trace_ebpf::{
    config::{ABSENT, FILTER_TID},
    probes::Id,
};

use super::{
    maps::{TIDS, armed, count},
    thread::tid,
};

#[tracepoint]
fn nfst_fork(ctx: TracePointContext) -> u32 {
    try_fork(&ctx);
    0
}

#[inline(always)]
fn try_fork(ctx: &TracePointContext) -> Option<()> {
    let config = armed()?;
    if config.filters & FILTER_TID == 0 || config.fork_child_pid == ABSENT {
        return None;
    }
    TIDS.get_ptr(tid())?;
    // SAFETY: the offset comes from the tracepoint's own format file, and the helper
    // fails softly.
    let child: u32 = unsafe { ctx.read_at(config.fork_child_pid as usize) }.ok()?;
    if TIDS.insert(child, 1, 0).is_err() {
        count(Id::Fork, |counters| counters.lost += 1);
        warn!(ctx, "too many threads to follow: {} is left out", child);
    }
    Some(())
}

#[tracepoint]
fn nfst_exit(_ctx: TracePointContext) -> u32 {
    if armed().is_some() {
        let _ = TIDS.remove(tid());
    }
    0
}
