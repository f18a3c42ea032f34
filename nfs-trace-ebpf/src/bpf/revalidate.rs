//! nfs4_lookup_revalidate, and the helpers that tell how it decided.
//!
//! It runs for every component of every path, so the first test throws away what is
//! no open of a file: LOOKUP_OPEN is set for the last component only.

use core::hint::black_box;

use aya_ebpf::{
    macros::{kprobe, kretprobe},
    programs::{ProbeContext, RetProbeContext},
};
use nfs_trace_ebpf::{
    abi::{
        DENTRY_NEGATIVE, DENTRY_POSITIVE, DENTRY_UNHASHED, DENTRY_UNKNOWN, RecordKind, Revalidate,
    },
    config::{ABSENT, Config},
    probes::Id,
};

use super::{
    emit::{emit, ensure_comm, now},
    kread::{dev_of_dentry, read},
    maps::{armed, count},
    names::ensure_named,
    thread::{REVALIDATE, current_or_new, enter, inside, leave, wanted, wanted_dev},
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
    let config = armed()?;
    count(Id::RevalidateIn, |counters| counters.hits += 1);
    // Every candidate is read before the choice: the compiler would otherwise choose the
    // register's address and read once, and the verifier refuses a computed address. Each by
    // itself: as an array they would be chosen by address on the stack, which 4.4 refuses.
    let (first, second): (u64, u64) = (black_box(ctx.arg(0)?), black_box(ctx.arg(1)?));
    let (third, fourth): (u64, u64) = (black_box(ctx.arg(2)?), black_box(ctx.arg(3)?));
    let (dentry, flags) = if config.revalidate_dentry_arg == 0 {
        (first, second as u32)
    } else {
        (third, fourth as u32)
    };
    if flags & config.lookup_open == 0 || !wanted(config) {
        return None;
    }
    let dentry_kind = dentry_kind(config, dentry)?;
    let dev = dev_of_dentry(config, dentry);
    if !wanted_dev(config, dev) {
        return None;
    }
    let Some(thread) = current_or_new() else {
        count(Id::RevalidateIn, |counters| counters.lost += 1);
        return None;
    };
    enter(Id::RevalidateIn, thread, REVALIDATE);
    thread.revalidate_dentry = dentry;
    thread.lookup_flags = flags;
    thread.dentry_kind = dentry_kind;
    thread.dev = dev;
    thread.verifier_checks = 0;
    thread.verifier_sets = 0;
    thread.lookups = 0;
    thread.inode_checks = 0;
    thread.revalidate_start = now();
    ensure_named(ctx, config, thread, dentry)
}

/// One of `DENTRY_*`; nothing if the dentry is a directory or anything else whose
/// open does not reach nfs4_file_open.
#[inline(always)]
fn dentry_kind(config: &Config, dentry: u64) -> Option<u8> {
    let Some(inode) = read::<u64>(dentry, config.offsets.dentry_inode) else {
        return Some(DENTRY_UNKNOWN);
    };
    if inode == 0 {
        // RCU walk also meets dentries that another task is freeing: no longer hashed
        // (d_unhashed()), and their inode is gone. The list's link lies before d_parent.
        let link = config.offsets.dentry_link;
        let unhashed = link != ABSENT && read::<u64>(dentry, link.wrapping_sub(8)) == Some(0);
        return Some(if unhashed {
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
    armed()?;
    count(Id::RevalidateOut, |counters| counters.hits += 1);
    let thread = inside(REVALIDATE)?;
    leave(Id::RevalidateOut, thread, REVALIDATE);
    let ret: i32 = ctx.ret();
    let dentry = thread.revalidate_dentry;
    if ret != -ECHILD {
        ensure_comm(ctx, Id::RevalidateOut, thread);
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
    emit(
        ctx,
        Id::RevalidateOut,
        thread,
        RecordKind::Revalidate,
        start,
        payload,
    );
    Some(())
}

#[kprobe]
fn nfst_verf_check(_ctx: ProbeContext) -> u32 {
    if armed().is_some() {
        count(Id::VerifierCheck, |counters| counters.hits += 1);
        if let Some(thread) = inside(REVALIDATE) {
            thread.verifier_checks = 1;
        }
    }
    0
}

#[kprobe]
fn nfst_verf_set(_ctx: ProbeContext) -> u32 {
    if armed().is_some() {
        count(Id::VerifierSet, |counters| counters.hits += 1);
        if let Some(thread) = inside(REVALIDATE) {
            thread.verifier_sets = 1;
        }
    }
    0
}

#[kprobe]
fn nfst_verf_inode(_ctx: ProbeContext) -> u32 {
    if armed().is_some() {
        count(Id::InodeCheck, |counters| counters.hits += 1);
        if let Some(thread) = inside(REVALIDATE) {
            thread.inode_checks = 1;
        }
    }
    0
}
