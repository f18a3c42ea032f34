//! nfs4_file_open (the name was in the dentry cache) and nfs_atomic_open (it was not).

use aya_ebpf::{
    macros::{kprobe, kretprobe},
    programs::{ProbeContext, RetProbeContext},
};
use nfs_trace_ebpf::{
    abi::{Open, RecordKind},
    config::FILTER_DEV,
    probes::Id,
    state::{ATOMIC_OPEN, FILE_OPEN, KEEPS_REVALIDATE, KEEPS_TASK, Thread},
};

use super::{
    emit::{emit, ensure_comm, now, send_kept, send_with_kept},
    flavour,
    kread::{dev_of_inode, read},
    maps::Run,
    names::ensure_named,
    thread::{current, enter, inside, leave, new_thread, thread_of},
};

/// Within so much time after a name was seen to, its dentry is the same one still: a file is opened
/// microseconds after its revalidation.
const AT_ONCE_NS: u64 = 100_000_000;

#[kprobe]
fn nfst_fopen_in(ctx: ProbeContext) -> u32 {
    try_file_open(&ctx);
    0
}

/// int nfs4_file_open(struct inode *inode, struct file *filp), fs/nfs/nfs4file.c.
#[inline(always)]
fn try_file_open(ctx: &ProbeContext) -> Option<()> {
    let mut run = Run::of_opener(Id::FileOpenIn)?;
    if !run.wanted() {
        return None;
    }
    let config = run.config;
    let inode: u64 = ctx.arg(0)?;
    let file: u64 = ctx.arg(1)?;
    // A thread without a state turns away first: most of those whose opens are not asked for.
    let (thread, dentry, start, named, goes_on) = match thread_of(run.tid()) {
        Some(thread) => {
            let dentry = read(file, config.offsets.file_dentry).unwrap_or(0);
            let start = now();
            // The usual way here is from its revalidation, which was the last that it did.
            let named = dentry != 0
                && thread.named == dentry
                && start.wrapping_sub(thread.revalidate_start) < AT_ONCE_NS;
            if !named && !run.wanted_inode(inode) {
                return None;
            }
            let kept = thread.keeps == KEEPS_REVALIDATE && thread.generation == config.generation;
            (thread, dentry, start, named, named && kept)
        }
        None => {
            if !run.wanted_inode(inode) {
                return None;
            }
            let dentry = read(file, config.offsets.file_dentry).unwrap_or(0);
            (new_thread(&mut run)?, dentry, now(), false, false)
        }
    };
    begin(&mut run, ctx, thread, FILE_OPEN, goes_on, start);
    thread.open_file = file;
    thread.open_dentry = dentry;
    thread.open_flags = read(file, config.offsets.file_flags).unwrap_or(u32::MAX);
    thread.open_fileid = read(inode, config.offsets.inode_ino).unwrap_or(0);
    // Its name is known from the revalidation, but for an open through a magic link.
    if named {
        return None;
    }
    // Where another file system lies above, the dentry is of that one: the inode never is.
    let dev = dev_of_inode(config, inode);
    ensure_named(ctx, &mut run, thread, dentry, dev, (0, 0), start)
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
    let mut run = Run::of_opener(Id::AtomicOpenIn)?;
    if !run.wanted() {
        return None;
    }
    let dentry: u64 = ctx.arg(1)?;
    let file: u64 = ctx.arg(2)?;
    let open_flags: u32 = ctx.arg(3)?;
    if !run.wanted_dentry(dentry) {
        return None;
    }
    let start = now();
    let thread = current(&mut run)?;
    begin(&mut run, ctx, thread, ATOMIC_OPEN, false, start);
    thread.open_file = file;
    thread.open_dentry = dentry;
    thread.open_flags = open_flags;
    thread.open_fileid = 0;
    ensure_named(ctx, &mut run, thread, dentry, 0, (0, 0), start)
}

/// Notes that the thread entered `call`.
#[inline(always)]
fn begin(
    run: &mut Run,
    ctx: &ProbeContext,
    thread: &mut Thread,
    call: u8,
    goes_on: bool,
    start: u64,
) {
    enter(ctx, run, thread, call, goes_on);
    thread.tasks = 0;
    thread.stateid_updates = 0;
    thread.signs = 0;
    thread.lookups = 0;
    thread.stack_id = -1;
    if run.config.stacks != 0 {
        thread.stack_id = flavour::stack(ctx);
    }
    thread.open_start = start;
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
    let mut run = Run::of_opener(id)?;
    let config = run.config;
    let Some(thread) = inside(&run, call) else {
        // Running when tracing began: nothing is known of its beginning, nor whether a
        // filter by mount would have let it through.
        if config.filters & FILTER_DEV == 0 && run.wanted() {
            run.count(|it| it.unpaired += 1);
        }
        return None;
    };
    leave(&mut run, thread, call);
    let ret: i32 = ctx.ret();
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
    thread.named = 0;
    let payload = |thread: &Thread| Open {
        dentry: thread.open_dentry,
        fileid,
        ret,
        open_flags: thread.open_flags,
        stack_id: thread.stack_id,
        tasks: thread.tasks,
        stateid_updates: thread.stateid_updates,
        opened,
        signs: thread.signs,
    };
    if flavour::KEEPS && call == FILE_OPEN && thread.keeps == KEEPS_REVALIDATE | KEEPS_TASK {
        // Its command name was seen to after the revalidation.
        send_with_kept(ctx, &mut run.counts, thread, payload);
        return Some(());
    }
    send_kept(ctx, run.config, &mut run.counts, thread);
    ensure_comm(ctx, &mut run.counts, run.id, thread);
    let kind = if call == ATOMIC_OPEN {
        RecordKind::AtomicOpen
    } else {
        RecordKind::FileOpen
    };
    let (start, payload) = (thread.open_start, payload(thread));
    emit(ctx, &mut run.counts, run.id, thread, kind, start, payload);
    Some(())
}
