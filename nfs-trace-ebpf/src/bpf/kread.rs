//! The only reads of kernel memory: typed, at an offset that user space supplied.

use aya_ebpf::helpers::{bpf_probe_read_kernel, bpf_probe_read_kernel_buf};
use nfs_trace_ebpf::config::{ABSENT, Config};

/// The value at `base + offset`; nothing if either is unknown or unreadable.
#[inline(always)]
pub(crate) fn read<T>(base: u64, offset: u32) -> Option<T> {
    if base == 0 || offset == ABSENT {
        return None;
    }
    let address = base.wrapping_add(u64::from(offset)) as *const T;
    // SAFETY: the helper checks the address itself and fails softly.
    unsafe { bpf_probe_read_kernel(address) }.ok()
}

/// Fills `buffer` from `address`.
#[inline(always)]
pub(crate) fn read_bytes(address: u64, buffer: &mut [u8]) -> bool {
    // SAFETY: as above; the helper writes no more than the buffer's length.
    unsafe { bpf_probe_read_kernel_buf(address as *const u8, buffer) }.is_ok()
}

/// s_dev of a super block, 0 if unknown.
#[inline(always)]
fn dev_of_sb(config: &Config, sb: Option<u64>) -> u32 {
    sb.and_then(|sb| read(sb, config.offsets.sb_dev))
        .unwrap_or(0)
}

/// s_dev of a dentry's super block, 0 if unknown.
#[inline(always)]
pub(crate) fn dev_of_dentry(config: &Config, dentry: u64) -> u32 {
    dev_of_sb(config, read(dentry, config.offsets.dentry_sb))
}

/// s_dev of an inode's super block, 0 if unknown.
#[inline(always)]
pub(crate) fn dev_of_inode(config: &Config, inode: u64) -> u32 {
    dev_of_sb(config, read(inode, config.offsets.inode_sb))
}
