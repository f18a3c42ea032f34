//! Reads a file that user space knows, in the way in which the other programs read theirs: a
//! layout is used only if it finds there what stat(2) says. In the legacy flavour alone, which
//! every kernel takes.

use aya_ebpf::{
    macros::{kprobe, map},
    maps::Array,
    programs::ProbeContext,
};
use nfs_trace_ebpf::calibration::{Component, Sample};

use super::{
    emit::comm,
    flavour::config,
    kread::{dev_of_dentry, dev_of_inode, read},
    names::Link,
};

/// What a layout makes of the file; used before the programs are armed.
#[map]
static SAMPLE: Array<Sample> = Array::with_max_entries(1, 0);

#[kprobe]
fn nfst_layout(ctx: ProbeContext) -> u32 {
    try_sample(&ctx);
    0
}

/// int single_open(struct file *, ...), int seq_open(struct file *, ...), fs/seq_file.c.
#[inline(always)]
fn try_sample(ctx: &ProbeContext) -> Option<()> {
    let sample = SAMPLE.get_ptr_mut(0)?;
    // SAFETY: of all threads only the one that the sample names gets to write it.
    let sample = unsafe { &mut *sample };
    if comm() != sample.comm {
        return None;
    }
    let config = config()?;
    let offsets = &config.offsets;
    let file: u64 = ctx.arg(0)?;
    let dentry = read(file, offsets.file_dentry).unwrap_or(0);
    let inode = read(file, offsets.file_inode).unwrap_or(0);
    sample.flags = read(file, offsets.file_flags).unwrap_or(0);
    sample.mode = u32::from(read::<u16>(inode, offsets.inode_mode).unwrap_or(0));
    sample.one_inode = u32::from(read(dentry, offsets.dentry_inode) == Some(inode));
    sample.dentry_dev = dev_of_dentry(config, dentry);
    sample.inode_dev = dev_of_inode(config, inode);
    sample.ino = read(inode, offsets.inode_ino).unwrap_or(0);
    let parent = component(&mut sample.names[0], dentry, offsets.dentry_link);
    let root = component(&mut sample.names[1], parent, offsets.dentry_link);
    component(&mut sample.names[2], root, offsets.dentry_link);
    sample.taken += 1;
    Some(())
}

/// Reads one name; returns its parent, 0 if there is none.
#[inline(always)]
fn component(found: &mut Component, node: u64, dentry_link: u32) -> u64 {
    let Some(link) = read::<Link>(node, dentry_link) else {
        return 0;
    };
    found.len = link.len();
    found.root = u32::from(link.parent == node);
    // Short names, which these are, lie in the dentry: there are always so many bytes.
    found.text[0] = read(link.name, 0).unwrap_or(0);
    found.text[1] = read(link.name, 8).unwrap_or(0);
    link.parent
}
