//! Sends a dentry's name, and its ancestors', before the first record that needs it.
//!
//! A name travels once per dentry and name. Whether anything on the way to the root
//! has changed (a rename, a moved directory, an address used again) is seen from one
//! hash over the whole chain of parents, so the usual open costs one short walk and
//! one map lookup.

use core::mem::{offset_of, size_of};

use aya_ebpf::{macros::kprobe, programs::ProbeContext};
use nfs_trace_ebpf::{
    abi::{NAME_MAX, Name, RecordHeader, RecordKind},
    config::Config,
    probes::{Id, JUMP_NAMES},
};

use super::{
    emit::{header, now},
    kread::{read, read_bytes},
    maps::{DENTRIES, EVENTS, JUMPS, NAME, armed, count},
    thread::{Thread, current},
};

/// Components of a path below the mount that are followed; a deeper path shows
/// its last ones.
const MAX_DEPTH: usize = 32;

/// Value of the map DENTRIES: what was sent for this dentry.
#[repr(C)]
#[derive(Clone, Copy)]
pub(crate) struct Known {
    /// Its parent and the hash of its name.
    own: u64,
    /// The same for it and all its ancestors, once all of them were sent.
    chain: u64,
}

/// d_parent, d_name.hash_len and d_name.name as they lie in struct dentry.
#[repr(C)]
#[derive(Clone, Copy)]
struct Link {
    parent: u64,
    hash_len: u64,
    name: u64,
}

impl Link {
    /// The kernel salts the hash with the parent, so this is the name's identity.
    #[inline(always)]
    fn identity(&self) -> u64 {
        self.hash_len ^ self.parent.rotate_left(17)
    }
}

/// Room for a name, so that the record is 512 bytes and its size a mask: that bound is
/// one the verifier understands.
const NAME_ROOM: usize = 512 - size_of::<RecordHeader>() - size_of::<Name>();

/// A record with room for the longest name, too large for the stack beside the rest.
#[repr(C)]
pub(crate) struct NameRecord {
    header: RecordHeader,
    name: Name,
    bytes: [u8; NAME_ROOM],
}

/// Makes the names on the way from `dentry` to its root known to user space, before
/// anything else is sent about it. The last thing that an entry program does: sending
/// is a program of its own that jumps from parent to parent. As a loop in its callers it
/// cost the verifier a million instructions (measured on 6.1), as many as it takes.
#[inline(always)]
pub(crate) fn ensure_named(
    ctx: &ProbeContext,
    config: &Config,
    thread: &mut Thread,
    dentry: u64,
) -> Option<()> {
    thread.named = dentry;
    let chain = chain(config, dentry)?;
    // SAFETY: the value is read at once; a torn one only sends a name again.
    if let Some(known) = unsafe { DENTRIES.get(dentry) }
        && known.chain == chain
    {
        return None;
    }
    thread.node = dentry;
    thread.chain = chain;
    // SAFETY: the context is the one that the kernel passed to this program. It does not
    // come back, unless the jump fails.
    unsafe { JUMPS.tail_call(ctx, JUMP_NAMES) };
    count(Id::Names, |counters| counters.lost += 1);
    Some(())
}

/// Jumped to from the entry programs, and from itself for the parent: sends one name if
/// it is not known yet. The kernel ends a chain of 32 jumps.
#[kprobe]
fn nfst_names(ctx: ProbeContext) -> u32 {
    try_names(&ctx);
    0
}

#[inline(always)]
fn try_names(ctx: &ProbeContext) -> Option<()> {
    let config = armed()?;
    count(Id::Names, |counters| counters.hits += 1);
    let thread = current()?;
    let node = thread.node;
    let link = read::<Link>(node, config.offsets.dentry_link)?;
    let own = link.identity();
    // SAFETY: as above.
    let known = unsafe { DENTRIES.get(node) }.is_some_and(|known| known.own == own);
    if !known {
        if !send(thread, node, &link) {
            return None;
        }
        let _ = DENTRIES.insert(node, Known { own, chain: 0 }, 0);
    }
    if link.parent != node {
        thread.node = link.parent;
        // SAFETY: as above. Where it fails the path is too deep: it shows its end.
        unsafe { JUMPS.tail_call(ctx, JUMP_NAMES) };
    }
    // All the way up: only now need nothing be sent for the next open of this dentry.
    if let Some(known) = DENTRIES.get_ptr_mut(thread.named) {
        // SAFETY: an aligned word of a live value; a race only sends a name again.
        unsafe { (*known).chain = thread.chain };
    }
    Some(())
}

/// One hash over the dentry and its ancestors.
#[inline(always)]
fn chain(config: &Config, dentry: u64) -> Option<u64> {
    let mut node = dentry;
    let mut chain = 0u64;
    for _ in 0..MAX_DEPTH {
        let link = read::<Link>(node, config.offsets.dentry_link)?;
        chain = (chain ^ link.identity())
            .wrapping_mul(0x9e37_79b9_7f4a_7c15)
            .rotate_left(29);
        if link.parent == node {
            break;
        }
        node = link.parent;
    }
    Some(chain)
}

/// Sends one name record.
#[inline(always)]
fn send(thread: &mut Thread, dentry: u64, link: &Link) -> bool {
    // The upper half of hash_len is the length on little-endian machines, the lower
    // one on big-endian ones (HASH_LEN_DECLARE, include/linux/dcache.h).
    let len = if cfg!(target_endian = "little") {
        (link.hash_len >> 32) as usize
    } else {
        link.hash_len as u32 as usize
    } & NAME_MAX;
    let Some(record) = NAME.get_ptr_mut(0) else {
        return false;
    };
    // SAFETY: the scratch value is this CPU's own, and programs on one CPU do not nest.
    let record = unsafe { &mut *record };
    record.header = header(thread, RecordKind::Name, now());
    record.name = Name {
        dentry,
        parent: link.parent,
        len: len as u16,
        reserved: 0,
        reserved2: 0,
    };
    if !read_bytes(link.name, &mut record.bytes[..len]) {
        record.name.len = 0;
    }
    let size = (offset_of!(NameRecord, bytes) + usize::from(record.name.len)) & 0x1ff;
    const _: () = assert!(size_of::<NameRecord>() > 0x1ff && NAME_ROOM >= NAME_MAX);
    // SAFETY: `size` bytes lie within the record, and all of them were written.
    let bytes = unsafe { core::slice::from_raw_parts((&raw const *record).cast::<u8>(), size) };
    let sent = EVENTS.output::<[u8]>(bytes, 0).is_ok();
    if sent {
        thread.flags = 0;
    } else {
        count(Id::Names, |counters| counters.lost += 1);
    }
    sent
}
