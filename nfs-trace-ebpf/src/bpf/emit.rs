//! The way out: puts a record together, and counts what found no room.

use core::mem::{MaybeUninit, size_of};

use aya_ebpf::{
    EbpfContext,
    helpers::{bpf_get_current_pid_tgid, bpf_ktime_get_ns, generated::bpf_get_current_comm},
};
use nfs_trace_ebpf::{
    abi::{Comm, Open, Record, RecordHeader, RecordKind, Whole},
    config::Config,
    probes::Id,
    state::{KEEPS_REVALIDATE, KEEPS_TASK, Thread},
};

use super::{flavour, maps::Counts, opaque::zero};

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

/// Sends one record of fixed size; counts it as lost if it finds no room.
#[inline(always)]
pub(crate) fn emit<P: 'static>(
    ctx: &impl EbpfContext,
    counts: &mut Counts,
    id: Id,
    thread: &mut Thread,
    kind: RecordKind,
    start_ns: u64,
    payload: P,
) -> bool {
    let header = header(thread, kind, start_ns);
    if !flavour::send(ctx, Record { header, payload }) {
        counts.of(id, |it| it.lost += 1);
        return false;
    }
    thread.flags = 0;
    true
}

/// A finished record that is kept in the thread's state. It has its place among the thread's
/// records: nothing else of the thread may be sent before it.
#[inline(always)]
pub(crate) fn keep<P>(
    thread: &mut Thread,
    kind: RecordKind,
    start_ns: u64,
    payload: P,
) -> Record<P> {
    let header = header(thread, kind, start_ns);
    thread.flags = 0;
    Record { header, payload }
}

/// Sends what is kept, each record by itself. What was kept when the client's modules were
/// unloaded user space has taken.
#[inline(always)]
pub(crate) fn send_kept(
    ctx: &impl EbpfContext,
    config: &Config,
    counts: &mut Counts,
    thread: &mut Thread,
) {
    if !flavour::KEEPS || thread.keeps == 0 {
        return;
    }
    if thread.generation != config.generation {
        thread.keeps = 0;
    }
    if thread.keeps & KEEPS_REVALIDATE != 0 && !flavour::send(ctx, thread.revalidate) {
        thread.flags |= thread.revalidate.header.flags;
        counts.of(Id::RevalidateOut, |it| it.lost += 1);
    }
    if thread.keeps & KEEPS_TASK != 0 && !flavour::send(ctx, thread.task) {
        thread.flags |= thread.task.header.flags;
        counts.of(Id::OpenTaskOut, |it| it.lost += 1);
    }
    thread.keeps = 0;
}

/// Sends an open that is finished, with what is kept of it.
#[inline(always)]
pub(crate) fn send_with_kept(
    ctx: &impl EbpfContext,
    counts: &mut Counts,
    thread: &mut Thread,
    payload: impl FnOnce(&Thread) -> Open,
) {
    let header = header(thread, RecordKind::FileOpen, thread.open_start);
    thread.keeps = 0;
    let fill = |whole: &mut MaybeUninit<Whole>| {
        let whole = whole.as_mut_ptr();
        // SAFETY: within the room. (As a value it would be put together on the stack first.)
        unsafe {
            (&raw mut (*whole).revalidate).write(thread.revalidate);
            (&raw mut (*whole).task).write(thread.task);
            let payload = payload(thread);
            (&raw mut (*whole).open).write(Record { header, payload });
        }
    };
    if flavour::send_filled(ctx, fill) {
        thread.flags = 0;
        return;
    }
    thread.flags |= thread.revalidate.header.flags | thread.task.header.flags;
    for id in [Id::RevalidateOut, Id::OpenTaskOut, Id::FileOpenOut] {
        counts.of(id, |it| it.lost += 1);
    }
}

/// [`Comm`] as two words.
#[repr(C)]
struct CommWords([u64; 2]);

const _: () = assert!(size_of::<CommWords>() == size_of::<Comm>());

/// The current thread's command name, as two words.
#[inline(always)]
pub(crate) fn comm() -> [u64; 2] {
    // The helper leaves alone what lies behind the name (seen on 6.1): that would be bytes of
    // this program's stack, and another name each time.
    let mut comm = [zero(), zero()];
    // SAFETY: the buffer has 16 bytes.
    unsafe { bpf_get_current_comm(comm.as_mut_ptr().cast(), 16) };
    comm
}

/// Sends the thread's command name if it is not the one sent last; see [`emit`].
#[inline(always)]
pub(crate) fn ensure_comm(
    ctx: &impl EbpfContext,
    counts: &mut Counts,
    id: Id,
    thread: &mut Thread,
) {
    let comm = comm();
    if comm == thread.comm {
        return;
    }
    let start = now();
    if emit(
        ctx,
        counts,
        id,
        thread,
        RecordKind::Comm,
        start,
        CommWords(comm),
    ) {
        thread.comm = comm;
    }
}
