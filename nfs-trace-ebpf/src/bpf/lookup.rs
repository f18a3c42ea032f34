//! LOOKUPs: inside an open path they are its steps, elsewhere they are counted.

use aya_ebpf::{
    macros::{kprobe, kretprobe},
    programs::{ProbeContext, RetProbeContext},
};
use nfs_trace_ebpf::{
    abi::{Lookup, RecordKind},
    probes::Id,
};

use super::{
    emit::{emit, now},
    maps::{armed, count},
    thread::{ATOMIC_OPEN, LOOKUP, REVALIDATE, inside},
};

#[kprobe]
fn nfst_lookup_in(_ctx: ProbeContext) -> u32 {
    if armed().is_some() {
        count(Id::LookupIn, |counters| counters.hits += 1);
        match inside(REVALIDATE | ATOMIC_OPEN) {
            Some(thread) => {
                thread.active |= LOOKUP;
                thread.lookups = thread.lookups.saturating_add(1);
                thread.lookup_start = now();
            }
            None => count(Id::LookupIn, |counters| counters.elsewhere += 1),
        }
    }
    0
}

#[kretprobe]
fn nfst_lookup_out(ctx: RetProbeContext) -> u32 {
    if armed().is_some() {
        count(Id::LookupOut, |counters| counters.hits += 1);
        if let Some(thread) = inside(LOOKUP) {
            thread.active &= !LOOKUP;
            let start = thread.lookup_start;
            let payload = Lookup {
                ret: ctx.ret(),
                reserved: 0,
            };
            emit(
                &ctx,
                Id::LookupOut,
                thread,
                RecordKind::Lookup,
                start,
                payload,
            );
        }
    }
    0
}
