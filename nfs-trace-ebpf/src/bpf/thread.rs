//! What a thread is in the middle of, kept from a call's entry to its return.
//!
//! The value stays in the map between opens: finding it again is cheaper than
//! inserting and deleting it, and it remembers what was already sent (comm, names).
//!
//! Nearly every thread has a slot of its own, by the low bits of its tid: the kernel makes
//! that look-up a few instructions. A slot belongs to one thread until that ends; another one
//! with the same low bits has its state in a map by tid, which costs it a hundred instructions a
//! call.

use aya_ebpf::{
    EbpfContext,
    bindings::BPF_NOEXIST,
    helpers::bpf_get_current_pid_tgid,
    macros::map,
    maps::{Array, HashMap},
};
use nfs_trace_ebpf::{
    abi::{FLAG_FIRST, FLAG_MISSED_INSIDE, FLAG_MISSED_RETURN},
    probes::Id,
    state::{ATOMIC_OPEN, FILE_OPEN, LOOKUP, OPEN_TASK, REVALIDATE, Thread},
};

use super::{
    emit::send_kept,
    flavour,
    maps::{Counts, Run},
    opaque::zero,
    opentask::forget,
};

/// Slots for threads; a power of two.
const SLOTS_LEN: u32 = 1 << 14;

/// What each thread is in the middle of, by the low bits of its tid.
#[map]
static SLOTS: Array<Thread> = Array::with_max_entries(SLOTS_LEN, 0);

/// Which slots are taken: of two threads that want one, the map lets one have it.
#[map]
static TAKEN: HashMap<u32, u32> = HashMap::with_max_entries(SLOTS_LEN, 0);

/// The tid of the thread that runs this program.
#[inline(always)]
pub(crate) fn tid() -> u32 {
    bpf_get_current_pid_tgid() as u32
}

#[inline(always)]
fn slot(tid: u32) -> Option<&'static mut Thread> {
    let slot = SLOTS.get_ptr_mut(tid & (SLOTS_LEN - 1))?;
    // SAFETY: but for `owner` and `crowded`, which are read and written each at once, only its
    // owner reaches what lies in it, and that is in one program.
    Some(unsafe { &mut *slot })
}

/// A thread's state, if it has one. Only for the thread that runs the program.
#[inline(always)]
pub(crate) fn thread_of(tid: u32) -> Option<&'static mut Thread> {
    let slot = slot(tid)?;
    if slot.owner == tid {
        return Some(slot);
    }
    if slot.crowded == 0 {
        return None;
    }
    // SAFETY: only the thread itself reaches its value, and it is in one program.
    flavour::thread(tid).map(|thread| unsafe { &mut *thread })
}

/// Begins a thread's state; nothing if there is no room.
#[inline(always)]
fn begin_thread(tid: u32) -> Option<()> {
    let slot = slot(tid)?;
    let index = tid & (SLOTS_LEN - 1);
    if slot.owner == 0 && TAKEN.insert(index, tid, u64::from(BPF_NOEXIST)).is_ok() {
        // What the thread before has left there.
        slot.flags = 0;
        slot.seq = 0;
        slot.active = 0;
        slot.keeps = 0;
        slot.named = zero();
        slot.comm = [zero(), zero()];
        slot.owner = tid;
        return Some(());
    }
    slot.crowded = 1;
    flavour::begin_thread(tid)
}

/// The thread ends, and leaves its room to others.
#[inline(always)]
pub(crate) fn end_thread(tid: u32) {
    let Some(slot) = slot(tid) else {
        return;
    };
    if slot.owner == tid {
        slot.owner = 0;
        let _ = TAKEN.remove(tid & (SLOTS_LEN - 1));
    } else if slot.crowded != 0 {
        flavour::end_thread(tid);
    }
}

/// Notes that the thread enters a call that nothing of ours encloses. A call that is
/// still open ended unseen. What is kept is sent, unless it `goes_on`.
#[inline(always)]
pub(crate) fn enter(
    ctx: &impl EbpfContext,
    run: &mut Run,
    thread: &mut Thread,
    call: u8,
    goes_on: bool,
) {
    if thread.keeps != 0 && (!goes_on || thread.active != 0) {
        send_kept(ctx, run.config, &mut run.counts, thread);
    }
    if thread.active != 0 {
        thread.flags |= FLAG_MISSED_RETURN;
        missed(&mut run.counts, thread, thread.active);
    }
    thread.active = call;
    run.count(|it| it.paired += 1);
}

/// Notes that the thread leaves `call`. A call inside that is still open ended unseen.
#[inline(always)]
pub(crate) fn leave(run: &mut Run, thread: &mut Thread, call: u8) {
    run.count(|it| it.paired += 1);
    if thread.active != call {
        thread.flags |= FLAG_MISSED_INSIDE;
        missed(&mut run.counts, thread, thread.active & !call);
    }
    thread.active = 0;
}

/// Counts these calls as ended unseen: their kretprobes found no free instance.
#[inline(always)]
pub(crate) fn missed(counts: &mut Counts, thread: &Thread, calls: u8) {
    // No table of them: it would be a global.
    let mut count = |call, id| {
        if calls & call != 0 {
            counts.of(id, |it| it.unpaired += 1);
        }
    };
    count(REVALIDATE, Id::RevalidateIn);
    count(FILE_OPEN, Id::FileOpenIn);
    count(ATOMIC_OPEN, Id::AtomicOpenIn);
    count(OPEN_TASK, Id::OpenTaskIn);
    count(LOOKUP, Id::LookupIn);
    if calls & OPEN_TASK != 0 {
        forget(thread.task_opendata);
    }
}

/// The current thread's state while it is inside one of `calls`.
#[inline(always)]
pub(crate) fn inside(run: &Run, calls: u8) -> Option<&'static mut Thread> {
    thread_of(run.tid()).filter(|thread| thread.active & calls != 0)
}

/// The current thread's state, made if need be; nothing, and counted, if the map refuses.
#[inline(always)]
pub(crate) fn current(run: &mut Run) -> Option<&'static mut Thread> {
    match thread_of(run.tid()) {
        None => new_thread(run),
        thread => thread,
    }
}

/// The same for one that has none.
#[inline(always)]
pub(crate) fn new_thread(run: &mut Run) -> Option<&'static mut Thread> {
    let made = begin_thread(run.tid()).and_then(|()| thread_of(run.tid()));
    let Some(thread) = made else {
        run.count(|it| it.lost += 1);
        return None;
    };
    thread.flags = FLAG_FIRST;
    Some(thread)
}
