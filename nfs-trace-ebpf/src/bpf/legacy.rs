//! The flavour for kernels without a ring buffer, back to 4.4: records leave through a perf
//! event array.
//!
//! What 4.4's verifier asks for, and later ones do not mind: whatever a helper reads or
//! writes lies on the stack, is written before, and has a size that the compiler knows (map
//! values came with 4.11); maps are hashes and arrays, without flags (per-CPU maps came
//! with 4.6, LRU with 4.10), so what is per CPU is an array that the loader makes as long
//! as the machine needs; and the CPU of a sample is named (BPF_F_CURRENT_CPU came with
//! 4.5; before, the record vanishes). `tests/legacy` holds the object to it.

use core::mem::{MaybeUninit, size_of};

use aya_ebpf::{
    EbpfContext,
    helpers::generated::bpf_perf_event_output,
    macros::map,
    maps::{Array, HashMap, PerfEventArray},
    programs::ProbeContext,
};
use nfs_trace_ebpf::{
    abi::{NAME_MAX, Name, RecordHeader},
    config::Config,
    state::Thread,
};

use super::{kread::fill, maps::cpu};

/// The configuration, which user space writes.
#[map]
static CONFIG: Array<Config> = Array::with_max_entries(1, 0);

/// Records for user space, one buffer for each CPU.
#[map]
static EVENTS: PerfEventArray<u8> = PerfEventArray::new(0);

/// Records that found room, by CPU: kernels before 5.1 do not tell a program that a sample
/// found none, but user space knows how many arrived. Its length is set by the loader.
#[map]
static SENT: Array<u64> = Array::with_max_entries(1, 0);

/// What threads without a slot are in the middle of, by tid. Threads that end make room.
#[map]
static THREADS: HashMap<u32, Thread> = HashMap::with_max_entries(8192, 0);

/// Dentries whose names were sent: each has one place, and takes it from another one.
#[map]
static DENTRIES: Array<Known> = Array::with_max_entries(1 << DENTRY_BITS, 0);

const DENTRY_BITS: u32 = 16;

/// Value of the map DENTRIES. Two CPUs may write one place at a time: whatever comes of it
/// has one of the hashes wrong, and a name is sent again.
#[repr(C)]
struct Known {
    dentry: u64,
    /// Its parent and the hash of its name.
    own: u64,
    /// The same for it and all its ancestors, once all of them were sent.
    chain: u64,
}

/// No log here: it would take a ring buffer.
macro_rules! diagnose {
    ($ctx:expr, $text:literal $(, $value:expr)*) => {{
        let _ = ($ctx, $($value),*);
    }};
}
pub(crate) use diagnose;

/// The configuration, armed or not.
#[inline(always)]
pub(crate) fn config() -> Option<&'static Config> {
    CONFIG.get(0)
}

/// A thread's state.
#[inline(always)]
pub(crate) fn thread(tid: u32) -> Option<*mut Thread> {
    THREADS.get_ptr_mut(tid)
}

/// Begins a thread with zeros; nothing if there is no room.
#[inline(always)]
pub(crate) fn begin_thread(tid: u32) -> Option<()> {
    let mut zeros = MaybeUninit::<Thread>::uninit();
    ready(&mut zeros);
    // SAFETY: all of a thread's fields are integers, and 0 is a value of each.
    THREADS
        .insert(tid, unsafe { zeros.assume_init_ref() }, 0)
        .ok()
}

/// The thread ends.
#[inline(always)]
pub(crate) fn end_thread(tid: u32) {
    let _ = THREADS.remove(tid);
}

/// Where a dentry would be known.
#[inline(always)]
fn place(dentry: u64) -> Option<&'static mut Known> {
    let hash = dentry.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> (64 - DENTRY_BITS);
    let known = DENTRIES.get_ptr_mut(hash as u32)?;
    // SAFETY: words of a value that is always there; see [`Known`] for races.
    Some(unsafe { &mut *known })
}

/// Nothing is kept of what was asked a moment ago: the map of dentries is as quick.
#[inline(always)]
pub(crate) fn recent_key(_config: &Config, _link: (u64, u64)) -> Option<u64> {
    None
}

/// See [`recent_key`].
#[inline(always)]
pub(crate) fn recent_dev(_dentry: u64, _key: u64, _now_ns: u64) -> Option<u32> {
    None
}

/// See [`recent_key`].
#[inline(always)]
pub(crate) fn remember(_dentry: u64, _key: u64, _now_ns: u64, _dev: u32) {}

/// Whether the dentry and all its ancestors were sent as `chain` has it.
#[inline(always)]
pub(crate) fn knows_chain(dentry: u64, chain: u64) -> bool {
    place(dentry).is_some_and(|known| known.dentry == dentry && known.chain == chain)
}

/// Whether the dentry was sent with this parent and name.
#[inline(always)]
pub(crate) fn knows(dentry: u64, own: u64) -> bool {
    place(dentry).is_some_and(|known| known.dentry == dentry && known.own == own)
}

/// The dentry was sent with this parent and name.
#[inline(always)]
pub(crate) fn learn(dentry: u64, own: u64) {
    if let Some(known) = place(dentry) {
        known.chain = 0;
        known.own = own;
        known.dentry = dentry;
    }
}

/// The dentry's ancestors were sent as well.
#[inline(always)]
pub(crate) fn learn_chain(dentry: u64, chain: u64) {
    if let Some(known) = place(dentry)
        && known.dentry == dentry
    {
        known.chain = chain;
    }
}

/// Readies room for [`super::kread::fill`] and other helpers, with zeros: in words, and behind the
/// compiler's back, which would make it a call of memset.
#[inline(always)]
pub(crate) fn ready<T>(room: &mut MaybeUninit<T>) {
    let words = size_of::<T>() / 8;
    for word in 0..words {
        // SAFETY: within `room`, and what is as large as a word is aligned as one here.
        unsafe { room.as_mut_ptr().cast::<u64>().add(word).write_volatile(0) };
    }
    for byte in words * 8..size_of::<T>() {
        // SAFETY: within `room`.
        unsafe { room.as_mut_ptr().cast::<u8>().add(byte).write_volatile(0) };
    }
}

/// No stacks here: bpf_get_stackid came with 4.6.
#[inline(always)]
pub(crate) fn stack(_ctx: &ProbeContext) -> i32 {
    -1
}

/// Records are sent as they are finished: user space counts samples, and those are records.
pub(crate) const KEEPS: bool = false;

/// Sends a record; says whether there was room, if the kernel does.
#[inline(always)]
pub(crate) fn send<R: 'static>(ctx: &impl EbpfContext, record: R) -> bool {
    output(ctx, (&raw const record).cast(), size_of::<R>())
}

/// The same for what `fill` writes.
#[inline(always)]
pub(crate) fn send_filled<R: 'static>(
    ctx: &impl EbpfContext,
    fill: impl FnOnce(&mut MaybeUninit<R>),
) -> bool {
    let mut room = MaybeUninit::uninit();
    ready(&mut room);
    fill(&mut room);
    output(ctx, room.as_ptr().cast(), size_of::<R>())
}

#[inline(always)]
fn output(ctx: &impl EbpfContext, data: *const u8, size: usize) -> bool {
    let cpu = cpu();
    // SAFETY: `data` points to as many bytes on the stack, all of them written.
    let sent = unsafe {
        bpf_perf_event_output(
            ctx.as_ptr(),
            (&raw const EVENTS).cast_mut().cast(),
            u64::from(cpu),
            data.cast_mut().cast(),
            size as u64,
        )
    } == 0;
    if sent && let Some(count) = SENT.get_ptr_mut(cpu) {
        // SAFETY: the value is this CPU's own, and programs on one CPU do not nest.
        unsafe { *count += 1 };
    }
    sent
}

/// A name is read in words: they do not cross a page, so no byte behind the name can make
/// reading it fail.
const NAME_WORDS: usize = NAME_MAX.div_ceil(8);

/// Zeros what lies behind the name: it is none of user space's business.
#[inline(always)]
fn first_bytes(word: u64, len: usize) -> u64 {
    if len >= 8 {
        return word;
    }
    let bits = len as u32 * 8;
    if cfg!(target_endian = "little") {
        word & ((1 << bits) - 1)
    } else {
        word & !(u64::MAX >> bits)
    }
}

/// A record with room for the longest name.
#[repr(C)]
struct NameRecord {
    header: RecordHeader,
    name: Name,
    words: [u64; NAME_WORDS],
}

/// Sends a name that lies at `text`; says whether there was room, if the kernel does.
#[inline(always)]
pub(crate) fn send_name(ctx: &ProbeContext, header: RecordHeader, name: Name, text: u64) -> bool {
    let mut room = MaybeUninit::<NameRecord>::uninit();
    ready(&mut room);
    // SAFETY: every byte was written, and every field is of integers.
    let record = unsafe { room.assume_init_mut() };
    record.header = header;
    record.name = name;
    let len = usize::from(name.len);
    for index in 0..NAME_WORDS {
        let before = index * 8;
        if before >= len {
            break;
        }
        // SAFETY: an array of u64 is one of room for u64.
        let word = unsafe { &mut *(&raw mut record.words[index]).cast::<MaybeUninit<u64>>() };
        if !fill(word, (text + before as u64) as *const u64) {
            record.name.len = before as u16;
            break;
        }
        record.words[index] = first_bytes(record.words[index], len - before);
    }
    let data = (&raw const *record).cast();
    // Sizes that the compiler knows; the ends of most names are not far.
    const SHORT: usize = 64;
    const MIDDLE: usize = 96;
    let fixed = size_of::<RecordHeader>() + size_of::<Name>();
    if len <= SHORT - fixed {
        output(ctx, data, SHORT)
    } else if len <= MIDDLE - fixed {
        output(ctx, data, MIDDLE)
    } else {
        output(ctx, data, size_of::<NameRecord>())
    }
}
