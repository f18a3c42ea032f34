//! nfs4_file_open (the name was in the dentry cache) and nfs_atomic_open (it was not).

use aya_ebpf::{
    macros::{kprobe, kretprobe},
    programs::{ProbeContext, RetProbeContext},
};
use nfs_trace_ebpf::{
    abi::{Open, RecordKind},
    config::{Config, FILTER_DEV},
    probes::Id,
};

use super::{
    emit::{emit, ensure_comm, now},
    flavour,
    kread::{dev_of_dentry, dev_of_inode, read},
    maps::{armed, count},
    names::ensure_named,
    thread::{
        ATOMIC_OPEN, FILE_OPEN, Thread, current_or_new, enter, inside, leave, wanted, wanted_dev,
    },
};

#[kprobe]
fn nfst_fopen_in(ctx: ProbeContext) -> u32 {
    try_file_open(&ctx);
    0
}

/// int nfs4_file_open(struct inode *inode, struct file *filp), fs/nfs/nfs4file.c.
#[inline(always)]
fn try_file_open(ctx: &ProbeContext) -> Option<()> {
    let config = armed()?;
    count(Id::FileOpenIn, |counters| counters.hits += 1);
    if !wanted(config) {
        return None;
    }
    let inode: u64 = ctx.arg(0)?;
    let file: u64 = ctx.arg(1)?;
    let dev = dev_of_inode(config, inode);
    if !wanted_dev(config, dev) {
        return None;
    }
    let thread = begin(Id::FileOpenIn, config, ctx, FILE_OPEN, dev)?;
    thread.open_file = file;
    thread.open_dentry = read(file, config.offsets.file_dentry).unwrap_or(0);
    thread.open_flags = read(file, config.offsets.file_flags).unwrap_or(u32::MAX);
    thread.open_fileid = read(inode, config.offsets.inode_ino).unwrap_or(0);
    // Its name is known from the revalidation, but for an open through a magic link.
    if thread.named == thread.open_dentry {
        return None;
    }
    let dentry = thread.open_dentry;
    ensure_named(ctx, config, thread, dentry)
}

#[kprobe]
fn nfst_atomic_in(ctx: ProbeContext) -> u32 {
    try_atomic_open(&ctx);
    0
}

/// int nfs_atomic_open(struct inode *dir, struct dentry *dentry, struct file *file,
/// unsigned open_flags, umode_t mode), fs/nfs/dir.c; up to 4.18 with one more behind.
#[inline(always)]
fn try_atomic_open(ctx: &ProbeContext) -> Option<()> {
    let config = armed()?;
    count(Id::AtomicOpenIn, |counters| counters.hits += 1);
    if !wanted(config) {
        return None;
    }
    let dentry: u64 = ctx.arg(1)?;
    let file: u64 = ctx.arg(2)?;
    let open_flags: u32 = ctx.arg(3)?;
    let dev = dev_of_dentry(config, dentry);
    if !wanted_dev(config, dev) {
        return None;
    }
    let thread = begin(Id::AtomicOpenIn, config, ctx, ATOMIC_OPEN, dev)?;
    thread.open_file = file;
    thread.open_dentry = dentry;
    thread.open_flags = open_flags;
    thread.open_fileid = 0;
    ensure_named(ctx, config, thread, dentry)
}

/// Notes that the thread entered `call`.
#[inline(always)]
fn begin(
    id: Id,
    config: &Config,
    ctx: &ProbeContext,
    call: u8,
    dev: u32,
) -> Option<&'static mut Thread> {
    let Some(thread) = current_or_new() else {
        count(id, |counters| counters.lost += 1);
        return None;
    };
    enter(id, thread, call);
    thread.tasks = 0;
    thread.stateid_updates = 0;
    thread.signs = 0;
    thread.lookups = 0;
    thread.dev = dev;
    thread.stack_id = -1;
    if config.stacks != 0 {
        thread.stack_id = flavour::stack(ctx);
    }
    thread.open_start = now();
    Some(thread)
}

#[kretprobe]
fn nfst_fopen_out(ctx: RetProbeContext) -> u32 {
    try_leave(&ctx, Id::FileOpenOut, FILE_OPEN);
    0
}

#[kretprobe]
fn nfst_atomic_out(ctx: RetProbeContext) -> u32 {
    try_leave(&ctx, Id::AtomicOpenOut, ATOMIC_OPEN);
    0
}

#[inline(always)]
fn try_leave(ctx: &RetProbeContext, id: Id, call: u8) -> Option<()> {
    let config = armed()?;
    count(id, |counters| counters.hits += 1);
    let Some(thread) = inside(call) else {
        // Running when tracing began: nothing is known of its beginning, nor whether a
        // filter by mount would have let it through.
        if config.filters & FILTER_DEV == 0 && wanted(config) {
            count(id, |counters| counters.unpaired += 1);
        }
        return None;
    };
    leave(id, thread, call);
    let ret: i32 = ctx.ret();
    let dentry = thread.open_dentry;
    let mut fileid = thread.open_fileid;
    let mut opened = 1;
    if call == ATOMIC_OPEN {
        // finish_open() sets f_inode, finish_no_open() does not.
        match read::<u64>(thread.open_file, config.offsets.file_inode) {
            Some(0) => opened = 0,
            Some(inode) => fileid = read(inode, config.offsets.inode_ino).unwrap_or(0),
            None => opened = 0xff,
        }
    }
    ensure_comm(ctx, id, thread);
    thread.named = 0;
    let payload = Open {
        dentry,
        fileid,
        ret,
        open_flags: thread.open_flags,
        stack_id: thread.stack_id,
        tasks: thread.tasks,
        stateid_updates: thread.stateid_updates,
        opened,
        signs: thread.signs,
    };
    let kind = if call == ATOMIC_OPEN {
        RecordKind::AtomicOpen
    } else {
        RecordKind::FileOpen
    };
    let start = thread.open_start;
    emit(ctx, id, thread, kind, start, payload);
    Some(())
}
