//! The only reads of kernel memory: typed, at an offset that user space supplied.

use core::mem::{MaybeUninit, size_of};

use aya_ebpf::helpers::generated::bpf_probe_read_kernel;
use nfs_trace_ebpf::config::{ABSENT, Config};

use super::flavour;

/// The value at `base + offset`; nothing if either is unknown or unreadable. Only for types
/// that any bytes are a value of.
#[inline(always)]
pub(crate) fn read<T: Copy>(base: u64, offset: u32) -> Option<T> {
    let mut room = MaybeUninit::uninit();
    flavour::ready(&mut room);
    read_into(&mut room, base, offset).copied()
}

/// The same, in room that is [`flavour::ready`] and can be used again and again.
#[inline(always)]
pub(crate) fn read_into<T>(room: &mut MaybeUninit<T>, base: u64, offset: u32) -> Option<&T> {
    if base == 0 || offset == ABSENT {
        return None;
    }
    let address = base.wrapping_add(u64::from(offset)) as *const T;
    // SAFETY: the room was filled, with a value of integers.
    fill(room, address).then(|| unsafe { room.assume_init_ref() })
}

/// Reads kernel memory; the room is written only if that succeeds. The loader puts
/// bpf_probe_read in place of the helper where the kernel is older than that (5.5).
#[inline(always)]
pub(crate) fn fill<T>(room: &mut MaybeUninit<T>, address: *const T) -> bool {
    // SAFETY: the helper checks the address itself and fails softly.
    unsafe {
        bpf_probe_read_kernel(
            room.as_mut_ptr().cast(),
            size_of::<T>() as u32,
            address.cast(),
        ) == 0
    }
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
