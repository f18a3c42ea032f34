//! The way out: builds a record in the ring buffer, and counts what found no room.

use core::mem::{MaybeUninit, size_of};

use aya_ebpf::helpers::{
    bpf_get_current_pid_tgid, bpf_ktime_get_ns, generated::bpf_get_current_comm,
};
use nfs_trace_ebpf::{
    abi::{Comm, RecordHeader, RecordKind},
    probes::Id,
};

use super::{
    maps::{EVENTS, count},
    thread::Thread,
};

#[repr(C)]
struct Record<P> {
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
    id: Id,
    thread: &mut Thread,
    kind: RecordKind,
    start_ns: u64,
    payload: P,
) -> bool {
    let header = header(thread, kind, start_ns);
    let Some(mut entry) = EVENTS.reserve::<Record<P>>(0) else {
        count(id, |counters| counters.lost += 1);
        return false;
    };
    entry.write(Record { header, payload });
    entry.submit(0);
    thread.flags = 0;
    true
}

/// [`Comm`] as two words.
#[repr(C)]
struct CommWords([u64; 2]);

const _: () = assert!(size_of::<CommWords>() == size_of::<Comm>());

/// Sends the thread's command name if it is not the one sent last.
#[inline(always)]
pub(crate) fn ensure_comm(id: Id, thread: &mut Thread) {
    let mut comm = MaybeUninit::<[u64; 2]>::uninit();
    // SAFETY: the buffer has 16 bytes; the helper fills them all, also when it fails.
    // (aya's wrapper zeroes a byte array first, which becomes a call of memset.)
    let comm = unsafe {
        bpf_get_current_comm(comm.as_mut_ptr().cast(), 16);
        comm.assume_init()
    };
    if comm == thread.comm {
        return;
    }
    let start = now();
    if emit(id, thread, RecordKind::Comm, start, CommWords(comm)) {
        thread.comm = comm;
    }
}
