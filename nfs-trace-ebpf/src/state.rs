//! What a thread is in the middle of, as the programs keep it. User space reads it when a trace
//! ends, for records that were not sent yet.

use core::mem::size_of;

use zerocopy::{FromBytes, Immutable, KnownLayout};

use crate::abi::{OpenTask, Record, Revalidate};

/// [`Thread::active`]: inside nfs4_lookup_revalidate for an open.
pub const REVALIDATE: u8 = 1 << 0;
/// [`Thread::active`]: inside nfs4_file_open.
pub const FILE_OPEN: u8 = 1 << 1;
/// [`Thread::active`]: inside nfs_atomic_open.
pub const ATOMIC_OPEN: u8 = 1 << 2;
/// [`Thread::active`]: inside nfs4_run_open_task.
pub const OPEN_TASK: u8 = 1 << 3;
/// [`Thread::active`]: inside the LOOKUP call.
pub const LOOKUP: u8 = 1 << 4;

/// A thread's state. Zero is a good start for every field.
#[repr(C)]
#[derive(Debug, Clone, Copy, FromBytes, Immutable, KnownLayout)]
pub struct Thread {
    /// When nfs4_lookup_revalidate was entered.
    pub revalidate_start: u64,
    /// What it was asked about.
    pub revalidate_dentry: u64,
    /// When the file began to be opened.
    pub open_start: u64,
    /// Its dentry.
    pub open_dentry: u64,
    /// The file being opened.
    pub open_file: u64,
    /// Its inode number.
    pub open_fileid: u64,
    /// When nfs4_run_open_task was entered.
    pub task_start: u64,
    /// The OPEN that it is about.
    pub task_opendata: u64,
    /// When the LOOKUP was sent.
    pub lookup_start: u64,
    /// Dentry whose name was last seen to.
    pub named: u64,
    /// The hash of its chain of parents.
    pub chain: u64,
    /// Where on that chain names are being sent.
    pub node: u64,
    /// The command name that was sent last.
    pub comm: [u64; 2],
    /// LOOKUP_* flags of the revalidation.
    pub lookup_flags: u32,
    /// O_* flags of the open.
    pub open_flags: u32,
    /// Key of the kernel stack.
    pub stack_id: i32,
    /// Of the super block.
    pub dev: u32,
    /// In a slot: the tid of the thread that it belongs to, 0 if it is free. Elsewhere 0.
    pub owner: u32,
    /// [`crate::config::Config::generation`] at the time of what is kept.
    pub generation: u32,
    /// The number of the next record.
    pub seq: u16,
    /// Calls entered and not yet returned from.
    pub active: u8,
    /// `FLAG_*` for the next record.
    pub flags: u8,
    /// See [`Revalidate`], as for the next three.
    pub verifier_checks: u8,
    /// See above.
    pub verifier_sets: u8,
    /// See above.
    pub lookups: u8,
    /// See above.
    pub dentry_kind: u8,
    /// See [`crate::abi::Open`], as for the next one.
    pub tasks: u8,
    /// See above.
    pub stateid_updates: u8,
    /// See [`OpenTask`].
    pub claim: u8,
    /// See [`Revalidate`].
    pub inode_checks: u8,
    /// `SIGN_*` since the last OPEN task began.
    pub signs: u8,
    /// 1 in a slot that another thread wanted too.
    pub crowded: u8,
    /// `KEEPS_*`: finished records that are to be sent with the open that they belong to.
    pub keeps: u8,
    /// See [`KEEPS_REVALIDATE`].
    pub revalidate: Record<Revalidate>,
    /// See [`KEEPS_TASK`].
    pub task: Record<OpenTask>,
}

/// [`Thread::keeps`]: how the name was checked. It is kept only if the name was valid.
pub const KEEPS_REVALIDATE: u8 = 1 << 0;
/// [`Thread::keeps`]: whether an OPEN was needed. It is kept only beside the one before.
pub const KEEPS_TASK: u8 = 1 << 1;

/// Size of [`Thread`] in bytes: the value size of the map of slots.
pub const THREAD_SIZE: usize = size_of::<Thread>();
