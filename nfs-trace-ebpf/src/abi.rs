//! The event ABI: the records that the programs send.
//!
//! A record is a [`RecordHeader`] and, right behind it, the payload of its kind.
//! Integers are in the machine's own byte order. Both halves have no padding that
//! is not named (zerocopy's derive refuses it), so no kernel memory leaks and a
//! run is reproducible to the byte. Pointers are identities only as long as the
//! object lives; user space never follows one.

use core::mem::{offset_of, size_of};

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// Version of everything in this file; a recording carries it.
pub const ABI_VERSION: u32 = 1;

/// Longest dentry name, in bytes (`NAME_MAX`, include/uapi/linux/limits.h).
pub const NAME_MAX: usize = 255;

/// What a record tells. The number is [`RecordHeader::kind`].
#[repr(u8)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RecordKind {
    /// nfs4_lookup_revalidate returned, called for an open: [`Revalidate`].
    Revalidate = 1,
    /// A LOOKUP was answered inside an open path: [`Lookup`].
    Lookup = 2,
    /// nfs4_run_open_task returned inside an open path: [`OpenTask`].
    OpenTask = 3,
    /// nfs4_file_open returned: [`Open`].
    FileOpen = 4,
    /// nfs_atomic_open returned: [`Open`].
    AtomicOpen = 5,
    /// A dentry's name, sent before the first record that needs it: [`Name`].
    Name = 6,
    /// A thread's command name, sent before the first record that needs it: [`Comm`].
    Comm = 7,
}

impl RecordKind {
    /// The kind with this number, if there is one.
    #[must_use]
    pub const fn from_u8(kind: u8) -> Option<Self> {
        Some(match kind {
            1 => Self::Revalidate,
            2 => Self::Lookup,
            3 => Self::OpenTask,
            4 => Self::FileOpen,
            5 => Self::AtomicOpen,
            6 => Self::Name,
            7 => Self::Comm,
            _ => return None,
        })
    }
}

/// [`RecordHeader::flags`]: the thread's state is new, its `seq` starts here.
pub const FLAG_FIRST: u8 = 1 << 0;
/// [`RecordHeader::flags`]: an earlier call of this thread was entered and its
/// return was never seen (the kernel had no free kretprobe instance).
pub const FLAG_MISSED_RETURN: u8 = 1 << 1;
/// [`RecordHeader::flags`]: the OPEN could not be joined to its reply, because the
/// map of OPENs in flight was full. Whether it went to the server is unknown.
pub const FLAG_UNJOINED: u8 = 1 << 2;

/// [`RecordHeader::flags`]: inside the call that returns, another's return was never
/// seen: a step of the path is missing.
pub const FLAG_MISSED_INSIDE: u8 = 1 << 3;

/// Starts every record. 32 bytes.
#[repr(C)]
#[derive(Debug, Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct RecordHeader {
    /// Entry into the probed function, ns of CLOCK_MONOTONIC.
    pub start_ns: u64,
    /// Return from it, ns of CLOCK_MONOTONIC.
    pub end_ns: u64,
    /// The thread that called it (what the kernel calls pid).
    pub tid: u32,
    /// Its process (what user space calls pid).
    pub tgid: u32,
    /// A [`RecordKind`].
    pub kind: u8,
    /// `FLAG_*` bits.
    pub flags: u8,
    /// Counts this thread's records, also those that found no room: a gap is a loss.
    pub seq: u16,
    /// `super_block.s_dev` in the kernel's form (major in bits 20 and up); 0 unknown.
    pub dev: u32,
}

/// The records of an entry of a ring buffer, which may hold several, one behind the other. Nothing
/// is left out: what begins none is taken for the last one.
pub fn records(entry: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = Some(entry);
    core::iter::from_fn(move || {
        let all = rest.take()?;
        match record_len(all).and_then(|len| all.split_at_checked(len)) {
            Some((record, behind)) if !behind.is_empty() => {
                rest = Some(behind);
                Some(record)
            }
            _ => Some(all),
        }
    })
}

/// How many bytes a record takes; nothing if they are none that begin one.
fn record_len(bytes: &[u8]) -> Option<usize> {
    let (header, payload) = RecordHeader::ref_from_prefix(bytes).ok()?;
    let payload = match RecordKind::from_u8(header.kind)? {
        RecordKind::Revalidate => size_of::<Revalidate>(),
        RecordKind::Lookup => size_of::<Lookup>(),
        RecordKind::OpenTask => size_of::<OpenTask>(),
        RecordKind::FileOpen | RecordKind::AtomicOpen => size_of::<Open>(),
        RecordKind::Name => {
            let (name, _) = Name::ref_from_prefix(payload).ok()?;
            size_of::<Name>() + usize::from(name.len)
        }
        RecordKind::Comm => size_of::<Comm>(),
    };
    Some(size_of::<RecordHeader>() + payload)
}

/// A record of fixed size.
#[repr(C)]
#[derive(Debug, Clone, Copy, FromBytes, Immutable, KnownLayout)]
pub struct Record<P> {
    /// Its first half.
    pub header: RecordHeader,
    /// Its second half, of [`RecordHeader::kind`].
    pub payload: P,
}

/// The records of an open of a valid name, as they come in one entry of a ring buffer: in the order
/// of the thread's numbering. Each is one of its own: a recording holds them one by one.
#[repr(C)]
#[derive(Debug, Clone, Copy, FromBytes, Immutable, KnownLayout)]
pub struct Whole {
    /// Of [`RecordKind::Revalidate`].
    pub revalidate: Record<Revalidate>,
    /// Of [`RecordKind::OpenTask`].
    pub task: Record<OpenTask>,
    /// Of [`RecordKind::FileOpen`].
    pub open: Record<Open>,
}

/// [`Revalidate::dentry_kind`]: no layout, so it was not read.
pub const DENTRY_UNKNOWN: u8 = 0;
/// [`Revalidate::dentry_kind`]: the dentry had an inode.
pub const DENTRY_POSITIVE: u8 = 1;
/// [`Revalidate::dentry_kind`]: the dentry was negative, it cached "no such name".
pub const DENTRY_NEGATIVE: u8 = 2;
/// [`Revalidate::dentry_kind`]: the dentry had no inode, but was unhashed too: it was dropped, and
/// perhaps was being freed (dentry_unlink_inode(), fs/dcache.c). What it cached is not known.
pub const DENTRY_UNHASHED: u8 = 3;

/// One call of nfs4_lookup_revalidate with LOOKUP_OPEN. 24 bytes.
#[repr(C)]
#[derive(Debug, Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct Revalidate {
    /// The dentry's address.
    pub dentry: u64,
    /// LOOKUP_* flags as passed; their numbers differ between kernels
    /// ([`crate::config::Config`] carries the ones in force).
    pub lookup_flags: u32,
    /// 1 valid, 0 invalid, or a negative errno (-ECHILD: ask again outside RCU walk).
    pub ret: i32,
    /// 1 if nfs_check_verifier was called.
    pub verifier_checks: u8,
    /// 1 if nfs_set_verifier was called.
    pub verifier_sets: u8,
    /// LOOKUPs sent.
    pub lookups: u8,
    /// One of `DENTRY_*`.
    pub dentry_kind: u8,
    /// 1 if nfs_lookup_verify_inode was called, where it is probed. This byte was reserved
    /// and 0 before, which it also is without the probe, and a recording names its probes:
    /// old recordings mean what they meant, so [`ABI_VERSION`] stays.
    pub inode_checks: u8,
    /// Always 0.
    pub reserved: u8,
    /// Always 0.
    pub reserved2: u16,
}

/// One LOOKUP inside an open path. 8 bytes.
#[repr(C)]
#[derive(Debug, Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct Lookup {
    /// 0, a negative errno or a negative NFS4ERR number.
    pub ret: i32,
    /// Always 0.
    pub reserved: u32,
}

/// [`OpenTask::claim`]: no layout, so it was not read.
pub const CLAIM_UNKNOWN: u8 = 0xff;

/// One nfs4_run_open_task: an OPEN that was sent, or found unnecessary. 24 bytes.
#[repr(C)]
#[derive(Debug, Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct OpenTask {
    /// The nfs4_opendata's address: the join key, equal to nfs4_open_done's calldata.
    pub opendata: u64,
    /// When the last reply was handled, ns of CLOCK_MONOTONIC; 0 if none came.
    pub replied_ns: u64,
    /// 0 or a negative number.
    pub ret: i32,
    /// How many replies nfs4_open_done saw for this opendata. 0: no OPEN was sent.
    pub sent: u16,
    /// enum open_claim_type4 (include/linux/nfs4.h), or [`CLAIM_UNKNOWN`].
    pub claim: u8,
    /// One of `DELEGATED_*`, where nfs4:nfs4_cached_open stands in for update_open_stateid.
    /// This byte was reserved and 0 before, and a recording names its probes.
    pub delegated: u8,
}

/// [`OpenTask::delegated`]: the RPC's worker did not find a delegation.
pub const DELEGATED_NO: u8 = 0;
/// [`OpenTask::delegated`]: it found one, and sent nothing.
pub const DELEGATED_YES: u8 = 1;
/// [`OpenTask::delegated`]: which OPEN the worker was at could not be noted.
pub const DELEGATED_UNKNOWN: u8 = 2;

/// [`Open::signs`]: nfs4_try_open_cached was called, which means that no OPEN was sent.
pub const SIGN_TRIED_CACHED: u8 = 1 << 0;
/// [`Open::signs`]: the tracepoint nfs4:nfs4_cached_open was passed, which means the same.
pub const SIGN_CACHED_EVENT: u8 = 1 << 1;

/// One nfs4_file_open or nfs_atomic_open. 32 bytes.
#[repr(C)]
#[derive(Debug, Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct Open {
    /// The dentry's address; 0 if unknown.
    pub dentry: u64,
    /// The inode's i_ino, which on 64-bit machines is the fileid; 0 if unknown.
    pub fileid: u64,
    /// 0 or a negative errno (-518 is EOPENSTALE).
    pub ret: i32,
    /// O_* flags of the open; u32::MAX if unknown.
    pub open_flags: u32,
    /// Key in the map of kernel stacks, or negative.
    pub stack_id: i32,
    /// Calls of nfs4_run_open_task inside.
    pub tasks: u8,
    /// Calls of update_open_stateid by the opener since the last of those began.
    pub stateid_updates: u8,
    /// nfs_atomic_open only: 1 if it opened the file, 0 if it only looked it up
    /// (finish_no_open), 0xff unknown.
    pub opened: u8,
    /// `SIGN_*` bits: what the opener passed since the last task began, where it is probed in
    /// nfs4_open_done's place. This byte was reserved and 0 before, see above.
    pub signs: u8,
}

/// Names a dentry; `len` bytes of name follow it. 24 bytes.
#[repr(C)]
#[derive(Debug, Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct Name {
    /// The dentry's address.
    pub dentry: u64,
    /// Its parent's address; equal to `dentry` for the root of a mount.
    pub parent: u64,
    /// Bytes of name that follow.
    pub len: u16,
    /// Always 0.
    pub reserved: u16,
    /// Always 0.
    pub reserved2: u32,
}

/// Names a thread. 16 bytes.
#[repr(C)]
#[derive(Debug, Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct Comm {
    /// task_struct.comm, filled with zeros.
    pub comm: [u8; 16],
}

// The layout is the contract: a change that moves a field must bump ABI_VERSION.
const _: () = {
    assert!(size_of::<RecordHeader>() == 32);
    assert!(offset_of!(RecordHeader, tid) == 16);
    assert!(offset_of!(RecordHeader, kind) == 24);
    assert!(offset_of!(RecordHeader, seq) == 26);
    assert!(offset_of!(RecordHeader, dev) == 28);
    assert!(size_of::<Revalidate>() == 24);
    assert!(offset_of!(Revalidate, ret) == 12);
    assert!(offset_of!(Revalidate, dentry_kind) == 19);
    assert!(offset_of!(Revalidate, inode_checks) == 20);
    assert!(size_of::<Lookup>() == 8);
    assert!(size_of::<OpenTask>() == 24);
    assert!(offset_of!(OpenTask, ret) == 16);
    assert!(offset_of!(OpenTask, claim) == 22);
    assert!(size_of::<Open>() == 32);
    assert!(offset_of!(Open, ret) == 16);
    assert!(offset_of!(Open, stack_id) == 24);
    assert!(offset_of!(Open, opened) == 30);
    assert!(size_of::<Name>() == 24);
    assert!(offset_of!(Name, len) == 16);
    assert!(size_of::<Comm>() == 16);
    // No record without a name is longer than 64 bytes.
    assert!(size_of::<RecordHeader>() + size_of::<Open>() <= 64);
};
