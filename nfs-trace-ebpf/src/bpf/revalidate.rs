//! nfs4_lookup_revalidate, and the helpers that tell how it decided.
//!
//! It runs for every component of every path, so the first test throws away what is
//! no open of a file: LOOKUP_OPEN is set for the last component only.

use core::mem::MaybeUninit;

use aya_ebpf::{
    macros::{kprobe, kretprobe},
    programs::{ProbeContext, RetProbeContext},
};
use nfs_trace_ebpf::{
    abi::{
        DENTRY_NEGATIVE, DENTRY_POSITIVE, DENTRY_UNHASHED, DENTRY_UNKNOWN, RecordKind, Revalidate,
    },
    config::Config,
    probes::Id,
    state::{KEEPS_REVALIDATE, REVALIDATE, Thread},
};

use super::{
    emit::{emit, ensure_comm, keep, now},
    flavour,
    kread::read,
    maps::Run,
    names::{Node, ensure_named},
    opaque::opaque,
    thread::{current, enter, inside, leave},
};

/// File type bits of i_mode and the value for a regular file (include/uapi/linux/stat.h).
const S_IFMT: u16 = 0o170_000;
const S_IFREG: u16 = 0o100_000;
/// "Cannot decide in RCU walk": the VFS asks again.
const ECHILD: i32 = 10;

#[kprobe]
fn nfst_reval_in(ctx: ProbeContext) -> u32 {
    try_enter(&ctx);
    0
}

#[inline(always)]
fn try_enter(ctx: &ProbeContext) -> Option<()> {
    let mut run = Run::of_opener(Id::RevalidateIn)?;
    let config = run.config;
    // Every candidate is read before the choice: the compiler would otherwise choose the
    // register's address and read once, and the verifier refuses a computed address. Each by
    // itself: as an array they would be chosen by address on the stack, which 4.4 refuses.
    let (first, second): (u64, u64) = (opaque(ctx.arg(0)?), opaque(ctx.arg(1)?));
    let (third, fourth): (u64, u64) = (opaque(ctx.arg(2)?), opaque(ctx.arg(3)?));
    let (dentry, flags) = if config.revalidate_dentry_arg == 0 {
        (first, second as u32)
    } else {
        (third, fourth as u32)
    };
    if flags & config.lookup_open == 0 || !run.wanted() || !run.wanted_dentry(dentry) {
        return None;
    }
    let mut room = MaybeUninit::<Node>::uninit();
    flavour::ready(&mut room);
    let node = Node::read_into(&mut room, config, dentry);
    // Taken at once: 4.4 reads the stack through no other register than its own.
    let inode = node.map(|node| (opaque(node.hashed), opaque(node.inode)));
    let link = node.map_or((0, 0), |node| (node.link.parent, node.link.identity()));
    let link = (opaque(link.0), opaque(link.1));
    let dentry_kind = dentry_kind(config, inode)?;
    let thread = current(&mut run)?;
    enter(ctx, &mut run, thread, REVALIDATE, false);
    thread.revalidate_dentry = dentry;
    thread.lookup_flags = flags;
    thread.dentry_kind = dentry_kind;
    thread.verifier_checks = 0;
    thread.verifier_sets = 0;
    thread.lookups = 0;
    thread.inode_checks = 0;
    let start = now();
    thread.revalidate_start = start;
    ensure_named(ctx, &mut run, thread, dentry, 0, link, start)
}

/// One of `DENTRY_*`; nothing if the dentry is a directory or anything else whose
/// open does not reach nfs4_file_open. `inode`: d_hash.pprev and d_inode.
#[inline(always)]
fn dentry_kind(config: &Config, inode: Option<(u64, u64)>) -> Option<u8> {
    let Some((hashed, inode)) = inode else {
        return Some(DENTRY_UNKNOWN);
    };
    if inode == 0 {
        // RCU walk also meets dentries that another task is freeing: no longer hashed
        // (d_unhashed()), and their inode is gone.
        return Some(if hashed == 0 {
            DENTRY_UNHASHED
        } else {
            DENTRY_NEGATIVE
        });
    }
    match read::<u16>(inode, config.offsets.inode_mode) {
        None => Some(DENTRY_UNKNOWN),
        Some(mode) if mode & S_IFMT == S_IFREG => Some(DENTRY_POSITIVE),
        Some(_) => None,
    }
}

#[kretprobe]
fn nfst_reval_out(ctx: RetProbeContext) -> u32 {
    try_leave(&ctx);
    0
}

#[inline(always)]
fn try_leave(ctx: &RetProbeContext) -> Option<()> {
    let mut run = Run::of_opener(Id::RevalidateOut)?;
    let thread = inside(&run, REVALIDATE)?;
    leave(&mut run, thread, REVALIDATE);
    let ret: i32 = ctx.ret();
    let dentry = thread.revalidate_dentry;
    if ret != -ECHILD {
        ensure_comm(ctx, &mut run.counts, run.id, thread);
    }
    let payload = Revalidate {
        dentry,
        lookup_flags: thread.lookup_flags,
        ret,
        verifier_checks: thread.verifier_checks,
        verifier_sets: thread.verifier_sets,
        lookups: thread.lookups,
        dentry_kind: thread.dentry_kind,
        inode_checks: thread.inode_checks,
        reserved: 0,
        reserved2: 0,
    };
    let start = thread.revalidate_start;
    let kind = RecordKind::Revalidate;
    // A file whose name is valid is opened next, unless the VFS itself refuses.
    if flavour::KEEPS && ret == 1 && thread.owner != 0 && thread.dentry_kind == DENTRY_POSITIVE {
        thread.revalidate = keep(thread, kind, start, payload);
        thread.keeps = KEEPS_REVALIDATE;
        thread.generation = run.config.generation;
    } else {
        emit(ctx, &mut run.counts, run.id, thread, kind, start, payload);
    }
    Some(())
}

#[kprobe]
fn nfst_verf_check(_ctx: ProbeContext) -> u32 {
    note(Id::VerifierCheck, |thread| thread.verifier_checks = 1);
    0
}

#[kprobe]
fn nfst_verf_set(_ctx: ProbeContext) -> u32 {
    note(Id::VerifierSet, |thread| thread.verifier_sets = 1);
    0
}

#[kprobe]
fn nfst_verf_inode(_ctx: ProbeContext) -> u32 {
    note(Id::InodeCheck, |thread| thread.inode_checks = 1);
    0
}

/// Something was called, which counts if it was while a name is checked for an open.
#[inline(always)]
fn note(id: Id, note: impl FnOnce(&mut Thread)) -> Option<()> {
    let run = Run::of_opener(id)?;
    inside(&run, REVALIDATE).map(note)
}
