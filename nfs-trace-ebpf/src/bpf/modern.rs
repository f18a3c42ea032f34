//! The flavour for kernels with a ring buffer (5.8 and later).

use core::{
    cell::UnsafeCell,
    mem::{MaybeUninit, offset_of, size_of},
};

use aya_ebpf::{
    EbpfContext,
    helpers::bpf_probe_read_kernel_buf,
    macros::map,
    maps::{Array, LruHashMap, PerCpuArray, RingBuf, StackTrace},
    programs::{ProbeContext, tracing::StackIdContext as _},
};
pub(crate) use aya_log_ebpf::warn as diagnose;
use nfs_trace_ebpf::{
    abi::{NAME_MAX, Name, RecordHeader},
    config::Config,
    state::Thread,
};

use super::{kread::read, names::mix, opaque::opaque};

/// The configuration, which user space writes. A global (5.2): its address stands in the programs,
/// where a map's value has to be looked up.
#[unsafe(link_section = ".data.config")]
static CONFIG: Shared = Shared(UnsafeCell::new(Config::NONE));

struct Shared(UnsafeCell<Config>);

// SAFETY: programs read words of it.
unsafe impl Sync for Shared {}

/// Records for user space. Its size is set by the loader.
#[map]
static EVENTS: RingBuf = RingBuf::with_byte_size(4 << 20, 0);

/// What threads without a slot are in the middle of, by tid.
#[map]
static THREADS: LruHashMap<u32, Thread> = LruHashMap::with_max_entries(8192, 0);

/// A value of zeros, to begin a thread with.
#[map]
static NO_THREAD: Array<Thread> = Array::with_max_entries(1, 0);

/// Where a name record is put together.
#[map]
static NAME: PerCpuArray<NameRecord> = PerCpuArray::with_max_entries(1, 0);

/// Dentries whose names were sent, by address.
#[map]
static DENTRIES: LruHashMap<u64, Known> = LruHashMap::with_max_entries(65536, 0);

/// Kernel stacks of opens (`--stack`).
#[map]
static STACKS: StackTrace = StackTrace::with_max_entries(4096, 0);

/// Value of the map DENTRIES: what was sent for this dentry.
#[repr(C)]
#[derive(Clone, Copy)]
struct Known {
    /// Its parent and the hash of its name.
    own: u64,
    /// The same for it and all its ancestors, once all of them were sent.
    chain: u64,
}

/// The configuration, armed or not.
#[inline(always)]
pub(crate) fn config() -> Option<&'static Config> {
    // Opaque: no program writes it, so it would be taken for what it is at first.
    let config = opaque(CONFIG.0.get() as u64) as *const Config;
    // SAFETY: a global, aligned, of words that user space may change between two reads.
    Some(unsafe { &*config })
}

/// A thread's state.
#[inline(always)]
pub(crate) fn thread(tid: u32) -> Option<*mut Thread> {
    THREADS.get_ptr_mut(tid)
}

/// Begins a thread with zeros; nothing if there is no room.
#[inline(always)]
pub(crate) fn begin_thread(tid: u32) -> Option<()> {
    THREADS.insert(tid, NO_THREAD.get(0)?, 0).ok()
}

/// The thread ends.
#[inline(always)]
pub(crate) fn end_thread(tid: u32) {
    let _ = THREADS.remove(tid);
}

/// Dentries that were just asked for: each has one place, and takes it from another one. It
/// answers for DENTRIES, whose look-up takes ten times as many instructions, and for the walk over
/// the parents.
#[map]
static RECENT: Array<Recent> = Array::with_max_entries(1 << RECENT_BITS, 0);

const RECENT_BITS: u32 = 13;

/// For so long it answers. Then DENTRIES is asked, so that what is used stays there; and nobody
/// sends so many names meanwhile that user space forgets one.
const RECENT_NS: u64 = 100_000_000;

/// Value of the map RECENT. Two CPUs may write one place at a time: whatever comes of it belongs
/// to no dentry, or has a sum that is no dentry's now.
#[repr(C)]
struct Recent {
    dentry: u64,
    /// Of its key and [`Self::dev`].
    sum: u64,
    at_ns: u64,
    /// s_dev of its super block.
    dev: u64,
}

const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;

#[inline(always)]
fn recent(dentry: u64) -> Option<&'static mut Recent> {
    let hash = dentry.wrapping_mul(GOLDEN) >> (64 - RECENT_BITS);
    let recent = RECENT.get_ptr_mut(hash as u32)?;
    // SAFETY: words of a value that is always there; see [`Recent`] for races.
    Some(unsafe { &mut *recent })
}

/// What stays the same for as long as a dentry has its name and parent, and nothing anywhere was
/// renamed or moved: its path is the same then. (A parent does not go before its children.)
/// `link`: its parent and identity. Nothing if that is not known.
#[inline(always)]
pub(crate) fn recent_key(config: &Config, (parent, identity): (u64, u64)) -> Option<u64> {
    if parent == 0 {
        return None;
    }
    let renames = read::<u32>(config.rename_lock, 0)?;
    // An odd sequence: something is being renamed.
    if renames & 1 != 0 {
        return None;
    }
    let epoch = u64::from(config.generation) << 32 | u64::from(renames);
    Some(mix(identity, epoch))
}

/// The super block's s_dev, if the dentry and all its ancestors were sent, and had this key when
/// that was asked a moment ago.
#[inline(always)]
pub(crate) fn recent_dev(dentry: u64, key: u64, now_ns: u64) -> Option<u32> {
    let recent = recent(dentry)?;
    let dev = recent.dev;
    (recent.dentry == dentry
        && recent.sum == key ^ dev.wrapping_mul(GOLDEN)
        && now_ns.wrapping_sub(recent.at_ns) < RECENT_NS)
        .then_some(dev as u32)
}

/// The dentry and all its ancestors were sent.
#[inline(always)]
pub(crate) fn remember(dentry: u64, key: u64, now_ns: u64, dev: u32) {
    if let Some(recent) = recent(dentry) {
        let dev = u64::from(dev);
        *recent = Recent {
            dentry,
            sum: key ^ dev.wrapping_mul(GOLDEN),
            at_ns: now_ns,
            dev,
        };
    }
}

/// Whether the dentry and all its ancestors were sent as `chain` has it.
#[inline(always)]
pub(crate) fn knows_chain(dentry: u64, chain: u64) -> bool {
    // SAFETY: the value is read at once; a torn one only sends a name again.
    unsafe { DENTRIES.get(dentry) }.is_some_and(|known| known.chain == chain)
}

/// Whether the dentry was sent with this parent and name.
#[inline(always)]
pub(crate) fn knows(dentry: u64, own: u64) -> bool {
    // SAFETY: as above.
    unsafe { DENTRIES.get(dentry) }.is_some_and(|known| known.own == own)
}

/// The dentry was sent with this parent and name.
#[inline(always)]
pub(crate) fn learn(dentry: u64, own: u64) {
    let _ = DENTRIES.insert(dentry, Known { own, chain: 0 }, 0);
}

/// The dentry's ancestors were sent as well.
#[inline(always)]
pub(crate) fn learn_chain(dentry: u64, chain: u64) {
    if let Some(known) = DENTRIES.get_ptr_mut(dentry) {
        // SAFETY: an aligned word of a live value; a race only sends a name again.
        unsafe { (*known).chain = chain };
    }
}

/// Readies room for [`super::kread::fill`].
#[inline(always)]
pub(crate) fn ready<T>(_room: &mut MaybeUninit<T>) {}

/// The key of the current kernel stack, negative if there is none.
#[inline(always)]
pub(crate) fn stack(ctx: &ProbeContext) -> i32 {
    ctx.get_stackid(&STACKS, 0).unwrap_or(-1) as i32
}

/// A thread keeps finished records, and sends them with the open that they belong to: of what it
/// takes to send one, most is the same for three.
pub(crate) const KEEPS: bool = true;

/// Sends a record, or several that lie one behind the other; says whether there was room.
#[inline(always)]
pub(crate) fn send<R: 'static>(ctx: &impl EbpfContext, record: R) -> bool {
    send_filled(ctx, |room: &mut MaybeUninit<R>| {
        room.write(record);
    })
}

/// The same for what is large: `fill` writes all of it, where it goes.
#[inline(always)]
pub(crate) fn send_filled<R: 'static>(
    _ctx: &impl EbpfContext,
    fill: impl FnOnce(&mut MaybeUninit<R>),
) -> bool {
    let Some(mut entry) = EVENTS.reserve::<R>(0) else {
        return false;
    };
    fill(&mut entry);
    entry.submit(0);
    true
}

/// Room for a name, so that the record is 512 bytes and its size a mask: that bound is
/// one the verifier understands.
const NAME_ROOM: usize = 512 - size_of::<RecordHeader>() - size_of::<Name>();

/// A record with room for the longest name, too large for the stack beside the rest.
#[repr(C)]
struct NameRecord {
    header: RecordHeader,
    name: Name,
    bytes: [u8; NAME_ROOM],
}

/// Sends a name that lies at `text`; says whether there was room.
#[inline(always)]
pub(crate) fn send_name(_ctx: &ProbeContext, header: RecordHeader, name: Name, text: u64) -> bool {
    let Some(record) = NAME.get_ptr_mut(0) else {
        return false;
    };
    // SAFETY: the scratch value is this CPU's own, and programs on one CPU do not nest.
    let record = unsafe { &mut *record };
    let len = usize::from(name.len) & NAME_MAX;
    record.header = header;
    record.name = name;
    // SAFETY: the helper checks the address itself and writes no more than `len` bytes.
    if unsafe { bpf_probe_read_kernel_buf(text as *const u8, &mut record.bytes[..len]) }.is_err() {
        record.name.len = 0;
    }
    let size = (offset_of!(NameRecord, bytes) + usize::from(record.name.len)) & 0x1ff;
    const _: () = assert!(size_of::<NameRecord>() > 0x1ff && NAME_ROOM >= NAME_MAX);
    // SAFETY: `size` bytes lie within the record, and all of them were written.
    let bytes = unsafe { core::slice::from_raw_parts((&raw const *record).cast::<u8>(), size) };
    EVENTS.output::<[u8]>(bytes, 0).is_ok()
}
