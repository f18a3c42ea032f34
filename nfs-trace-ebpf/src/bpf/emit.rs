//! The way out: puts a record together, and counts what found no room.

use core::{hint::black_box, mem::size_of};

use aya_ebpf::{
    EbpfContext,
    helpers::{bpf_get_current_pid_tgid, bpf_ktime_get_ns, generated::bpf_get_current_comm},
};
use nfs_trace_ebpf::{
    abi::{Comm, RecordHeader, RecordKind},
    probes::Id,
};

use super::{flavour, maps::count, thread::Thread};

/// A record of fixed size.
#[repr(C)]
pub(crate) struct Record<P> {
    header: RecordHeader,
    payload: P,
}

/// Now, ns of CLOCK_MONOTONIC.
#[inline(always)]
pub(crate) fn now() -> u64 {
    // SAFETY: the helper takes nothing and always answers.
    unsafe { bpf_ktime_get_ns() }
}

/// The next header of this thread; its number is used up whether or not it is sent.
#[inline(always)]
pub(crate) fn header(thread: &mut Thread, kind: RecordKind, start_ns: u64) -> RecordHeader {
    let pid_tgid = bpf_get_current_pid_tgid();
    let header = RecordHeader {
        start_ns,
        end_ns: now(),
        tid: pid_tgid as u32,
        tgid: (pid_tgid >> 32) as u32,
        kind: kind as u8,
        flags: thread.flags,
        seq: thread.seq,
        dev: thread.dev,
    };
    thread.seq = thread.seq.wrapping_add(1);
    header
}

/// Sends one record of fixed size.
#[inline(always)]
pub(crate) fn emit<P: 'static>(
    ctx: &impl EbpfContext,
    id: Id,
    thread: &mut Thread,
    kind: RecordKind,
    start_ns: u64,
    payload: P,
) -> bool {
    let header = header(thread, kind, start_ns);
    if !flavour::send(ctx, Record { header, payload }) {
        count(id, |counters| counters.lost += 1);
        return false;
    }
    thread.flags = 0;
    true
}

/// [`Comm`] as two words.
#[repr(C)]
struct CommWords([u64; 2]);

const _: () = assert!(size_of::<CommWords>() == size_of::<Comm>());

/// The current thread's command name, as two words.
#[inline(always)]
pub(crate) fn comm() -> [u64; 2] {
    // The helper leaves alone what lies behind the name (seen on 6.1): that would be bytes of
    // this program's stack, and another name each time. (Zeros that the compiler sees would
    // become a call of memset.)
    let zero = black_box(0);
    let mut comm = [zero, zero];
    // SAFETY: the buffer has 16 bytes.
    unsafe { bpf_get_current_comm(comm.as_mut_ptr().cast(), 16) };
    comm
}

/// Sends the thread's command name if it is not the one sent last.
#[inline(always)]
pub(crate) fn ensure_comm(ctx: &impl EbpfContext, id: Id, thread: &mut Thread) {
    let comm = comm();
    if comm == thread.comm {
        return;
    }
    let start = now();
    if emit(ctx, id, thread, RecordKind::Comm, start, CommWords(comm)) {
        thread.comm = comm;
    }
}
