//! What user space tells the programs: one value of a map.
//!
//! Kernels before 5.2 have no globals: the legacy object has a map of this name, the other one the
//! section [`CONFIG_SECTION`].

use core::mem::size_of;

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use crate::probes::COUNTERS_LEN;

/// An offset or argument position that this kernel's BTF does not tell.
pub const ABSENT: u32 = u32::MAX;

/// Configuration, filled by user space before it arms the programs.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct Config {
    /// Address of rename_lock (fs/dcache.c), whose sequence says whether any dentry was renamed or
    /// moved (what calls __d_move() holds it: 5.10, 6.1, 6.12, 7.3); 0 if unknown.
    pub rename_lock: u64,
    /// [`OFF`] until every probe is attached, so that no path is half seen; then [`ARMED`].
    pub armed: u32,
    /// `FILTER_*` bits.
    pub filters: u32,
    /// 1: take the kernel stack of every open.
    pub stacks: u32,
    /// Position of the dentry among nfs4_lookup_revalidate's arguments; the flags
    /// are the next one.
    pub revalidate_dentry_arg: u32,
    /// LOOKUP_OPEN of this kernel.
    pub lookup_open: u32,
    /// Offset of child_pid in the record of sched:sched_process_fork.
    pub fork_child_pid: u32,
    /// How often the client's modules were loaded again: what was known of its dentries
    /// before is of no use any more.
    pub generation: u32,
    /// The one process to trace, with [`FILTER_TGID`]; 0: those in the map of processes.
    pub only_tgid: u32,
    /// The one super block to trace, with [`FILTER_DEV`]; 0: those in the map of devices.
    pub only_dev: u32,
    /// Always 0.
    pub reserved: u32,
    /// Byte offsets of kernel fields.
    pub offsets: Offsets,
}

/// The map with the configuration of the object for the ring buffer.
pub const CONFIG_SECTION: &str = ".data.config";
/// The same of the legacy object.
pub const CONFIG_MAP: &str = "CONFIG";

impl Config {
    /// Nothing is done and nothing known.
    pub const NONE: Self = Self {
        rename_lock: 0,
        armed: OFF,
        filters: 0,
        stacks: 0,
        revalidate_dentry_arg: 0,
        lookup_open: 0,
        fork_child_pid: ABSENT,
        generation: 0,
        only_tgid: 0,
        only_dev: 0,
        reserved: 0,
        offsets: Offsets::NONE,
    };
}

/// [`Config::armed`]: nothing is done.
pub const OFF: u32 = 0;
/// [`Config::armed`]: every open is recorded.
pub const ARMED: u32 = 1;
/// [`Config::armed`]: no open is, but the children of a command are followed.
pub const FOLLOWING: u32 = 2;

/// Only threads in the map of threads (`trace -- COMMAND` and its children).
pub const FILTER_TID: u32 = 1 << 0;
/// Only processes in the map of processes (`--pid`).
pub const FILTER_TGID: u32 = 1 << 1;
/// Only super blocks in the map of devices (`--mount`).
pub const FILTER_DEV: u32 = 1 << 2;

/// Byte offsets of the fields that the programs read, or [`ABSENT`].
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct Offsets {
    /// dentry.d_parent, with d_name.hash_len and d_name.name right behind it: 24
    /// bytes that are adjacent in every kernel from 3.10 to 7.3, read in one go. The 8 bytes
    /// before it are d_hash.pprev, 0 if the dentry is not hashed.
    pub dentry_link: u32,
    /// dentry.d_inode
    pub dentry_inode: u32,
    /// dentry.d_sb
    pub dentry_sb: u32,
    /// super_block.s_dev
    pub sb_dev: u32,
    /// inode.i_mode
    pub inode_mode: u32,
    /// inode.i_ino
    pub inode_ino: u32,
    /// inode.i_sb
    pub inode_sb: u32,
    /// file.f_path.dentry
    pub file_dentry: u32,
    /// file.f_inode
    pub file_inode: u32,
    /// file.f_flags
    pub file_flags: u32,
    /// nfs4_opendata.o_arg.name. Where it is known, the claim is believed only if this points
    /// to the name of the dentry that is being opened: no other object can show that the
    /// fields of this one are where they were said to be.
    pub opendata_name: u32,
    /// nfs4_opendata.o_arg.claim
    pub opendata_claim: u32,
}

impl Offsets {
    /// Nothing is known: paths are told apart all the same, names are not.
    pub const NONE: Self = Self {
        dentry_link: ABSENT,
        dentry_inode: ABSENT,
        dentry_sb: ABSENT,
        sb_dev: ABSENT,
        inode_mode: ABSENT,
        inode_ino: ABSENT,
        inode_sb: ABSENT,
        file_dentry: ABSENT,
        file_inode: ABSENT,
        file_flags: ABSENT,
        opendata_name: ABSENT,
        opendata_claim: ABSENT,
    };
}

/// Size of [`Config`] in bytes: the value size of the map.
pub const CONFIG_SIZE: usize = size_of::<Config>();

const _: () = assert!(CONFIG_SIZE == 8 + 4 * (10 + 12));

/// What one program did, summed over the CPUs by user space.
#[repr(C)]
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
pub struct Counters {
    /// Times it ran while armed, filters not yet applied; but where one process is asked for
    /// ([`Config::only_tgid`]), what runs in the opening thread counts in that process alone.
    pub hits: u64,
    /// Entry program: calls that it took note of. Return program: those of them that
    /// came back. The difference is still running, or its return was missed.
    pub paired: u64,
    /// Records that found no room in the buffer, or no room for the thread's state.
    pub lost: u64,
    /// In a return program: returns without an entry, of calls that were running when
    /// tracing began. In an entry program: entries whose return was never seen.
    pub unpaired: u64,
    /// RPCs outside the traced open paths.
    pub elsewhere: u64,
}

/// What all programs did on one CPU.
#[repr(C)]
#[derive(Debug, Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct CpuCounters {
    /// By [`crate::probes::Id`].
    pub programs: [Counters; COUNTERS_LEN as usize],
    /// Always 0. A cache line's worth, so that CPUs do not share one.
    pub reserved: [u64; 8],
}

/// Size of [`CpuCounters`] in bytes.
pub const CPU_COUNTERS_SIZE: usize = size_of::<CpuCounters>();
