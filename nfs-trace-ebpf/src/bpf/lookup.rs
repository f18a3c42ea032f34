//! LOOKUPs: inside an open path they are its steps, elsewhere they are counted.

use aya_ebpf::{
    macros::{kprobe, kretprobe},
    programs::{ProbeContext, RetProbeContext},
};
use nfs_trace_ebpf::{
    abi::{Lookup, RecordKind},
    probes::Id,
    state::{ATOMIC_OPEN, LOOKUP, REVALIDATE},
};

use super::{
    emit::{emit, now},
    maps::Run,
    thread::inside,
};

#[kprobe]
fn nfst_lookup_in(_ctx: ProbeContext) -> u32 {
    try_enter();
    0
}

#[inline(always)]
fn try_enter() -> Option<()> {
    let mut run = Run::begin(Id::LookupIn)?;
    let Some(thread) = inside(&run, REVALIDATE | ATOMIC_OPEN) else {
        run.count(|it| it.elsewhere += 1);
        return None;
    };
    thread.active |= LOOKUP;
    thread.lookups = thread.lookups.saturating_add(1);
    thread.lookup_start = now();
    Some(())
}

#[kretprobe]
fn nfst_lookup_out(ctx: RetProbeContext) -> u32 {
    try_leave(&ctx);
    0
}

#[inline(always)]
fn try_leave(ctx: &RetProbeContext) -> Option<()> {
    let mut run = Run::begin(Id::LookupOut)?;
    let thread = inside(&run, LOOKUP)?;
    thread.active &= !LOOKUP;
    let start = thread.lookup_start;
    let payload = Lookup {
        ret: ctx.ret(),
        reserved: 0,
    };
    emit(
        ctx,
        &mut run.counts,
        run.id,
        thread,
        RecordKind::Lookup,
        start,
        payload,
    );
    Some(())
}
