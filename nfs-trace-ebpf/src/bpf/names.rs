//! Sends a dentry's name, and its ancestors', before the first record that needs it.
//!
//! A name travels once per dentry and name. Whether anything on the way to the root
//! has changed (a rename, a moved directory, an address used again) is seen from one
//! hash over the whole chain of parents. Where the flavour can tell that nothing was
//! renamed since it looked, a moment ago, the usual open has not even that walk.

use core::mem::{MaybeUninit, size_of};

use aya_ebpf::{macros::kprobe, programs::ProbeContext};
use nfs_trace_ebpf::{
    abi::{NAME_MAX, Name, RecordKind},
    config::{ABSENT, Config},
    probes::{Id, JUMP_NAMES},
    state::Thread,
};

use super::{
    emit::{header, now},
    flavour::{self, knows, knows_chain, learn, learn_chain, send_name},
    kread::{dev_of_dentry, read, read_into},
    maps::{JUMPS, Run},
    thread::thread_of,
};

/// Components of a path below the mount that are followed; a deeper path shows
/// its last ones.
const MAX_DEPTH: usize = 32;

/// d_parent, d_name.hash_len and d_name.name as they lie in struct dentry.
#[repr(C)]
#[derive(Clone, Copy)]
pub(crate) struct Link {
    pub(crate) parent: u64,
    hash_len: u64,
    pub(crate) name: u64,
}

impl Link {
    /// The kernel salts the hash with the parent, so this is the name's identity.
    #[inline(always)]
    pub(crate) fn identity(&self) -> u64 {
        self.hash_len ^ self.parent.rotate_left(17)
    }

    /// The upper half of hash_len is the length on little-endian machines, the lower one on
    /// big-endian ones (HASH_LEN_DECLARE, include/linux/dcache.h).
    #[inline(always)]
    pub(crate) fn len(&self) -> u32 {
        if cfg!(target_endian = "little") {
            (self.hash_len >> 32) as u32
        } else {
            self.hash_len as u32
        }
    }
}

/// What of a dentry is needed first, as it lies there.
#[repr(C)]
#[derive(Clone, Copy)]
pub(crate) struct Node {
    /// d_hash.pprev: 0 if the dentry is not hashed.
    pub(crate) hashed: u64,
    pub(crate) link: Link,
    /// d_inode
    pub(crate) inode: u64,
}

impl Node {
    /// Reads it in one go: five words that are adjacent in every kernel from 3.10 to 7.3. Where
    /// the layout says otherwise, as if there were none.
    #[inline(always)]
    pub(crate) fn read_into<'a>(
        room: &'a mut MaybeUninit<Self>,
        config: &Config,
        dentry: u64,
    ) -> Option<&'a Self> {
        let link = config.offsets.dentry_link;
        let adjacent = config.offsets.dentry_inode == link.wrapping_add(size_of::<Link>() as u32);
        if link == ABSENT || !adjacent {
            return None;
        }
        read_into(room, dentry, link.wrapping_sub(8))
    }
}

/// Makes the names on the way from `dentry` to its root known to user space, before
/// anything else is sent about it; and the super block known to the thread (`dev`, or the
/// dentry's where that is 0). The last thing that an entry program does: sending is a program of
/// its own that jumps from parent to parent. As a loop in its callers it cost the verifier a
/// million instructions (measured on 6.1), as many as it takes.
#[inline(always)]
pub(crate) fn ensure_named(
    ctx: &ProbeContext,
    run: &mut Run,
    thread: &mut Thread,
    dentry: u64,
    dev: u32,
    link: (u64, u64),
    now_ns: u64,
) -> Option<()> {
    thread.named = dentry;
    // Before the walk: a rename in the middle of it makes the key useless.
    let key = flavour::recent_key(run.config, link);
    let recent = key.and_then(|key| flavour::recent_dev(dentry, key, now_ns));
    let dev = match dev {
        0 => recent.unwrap_or_else(|| dev_of_dentry(run.config, dentry)),
        dev => dev,
    };
    thread.dev = dev;
    if recent.is_some() {
        return None;
    }
    let chain = chain(run.config, dentry, link)?;
    if knows_chain(dentry, chain) {
        if let Some(key) = key {
            flavour::remember(dentry, key, now_ns, dev);
        }
        return None;
    }
    thread.node = dentry;
    thread.chain = chain;
    // SAFETY: the context is the one that the kernel passed to this program. It does not
    // come back, unless the jump fails.
    unsafe { JUMPS.tail_call(ctx, JUMP_NAMES) };
    run.counts.of(Id::Names, |it| it.lost += 1);
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
    let mut run = Run::begin(Id::Names)?;
    let config = run.config;
    let thread = thread_of(run.tid())?;
    let node = thread.node;
    let link = read::<Link>(node, config.offsets.dentry_link)?;
    let own = link.identity() ^ u64::from(config.generation);
    if !knows(node, own) {
        if !send(ctx, &mut run, thread, node, &link) {
            return None;
        }
        learn(node, own);
    }
    if link.parent != node {
        thread.node = link.parent;
        // SAFETY: as above. Where it fails the path is too deep: it shows its end.
        unsafe { JUMPS.tail_call(ctx, JUMP_NAMES) };
    }
    // All the way up: only now need nothing be sent for the next open of this dentry.
    learn_chain(thread.named, thread.chain);
    Some(())
}

/// One hash over the dentry and its ancestors. `link`: its parent and
/// identity, if they were read; else zeros.
#[inline(always)]
fn chain(config: &Config, dentry: u64, (parent, identity): (u64, u64)) -> Option<u64> {
    let mut node = dentry;
    let mut chain = u64::from(config.generation);
    if parent != 0 {
        chain = mix(chain, identity);
        if parent == node {
            return Some(chain);
        }
        node = parent;
    }
    let mut room = MaybeUninit::<Link>::uninit();
    flavour::ready(&mut room);
    for _ in 0..MAX_DEPTH {
        let link = read_into(&mut room, node, config.offsets.dentry_link)?;
        chain = mix(chain, link.identity());
        if link.parent == node {
            break;
        }
        node = link.parent;
    }
    Some(chain)
}

#[inline(always)]
pub(crate) fn mix(chain: u64, identity: u64) -> u64 {
    (chain ^ identity)
        .wrapping_mul(0x9e37_79b9_7f4a_7c15)
        .rotate_left(29)
}

/// Sends one name record.
#[inline(always)]
fn send(ctx: &ProbeContext, run: &mut Run, thread: &mut Thread, dentry: u64, link: &Link) -> bool {
    let len = link.len() as usize & NAME_MAX;
    let name = Name {
        dentry,
        parent: link.parent,
        len: len as u16,
        reserved: 0,
        reserved2: 0,
    };
    let header = header(thread, RecordKind::Name, now());
    let sent = send_name(ctx, header, name, link.name);
    if sent {
        thread.flags = 0;
    } else {
        run.count(|it| it.lost += 1);
    }
    sent
}
