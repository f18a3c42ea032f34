//! What happened, in our own words: the records of the ABI, decoded.
//!
//! Pointers have become opaque ids, flag words have become facts. Nothing here knows
//! of bytes, of aya or of files.

use std::fmt;

/// A kernel address used as an identity; valid only while the object lives.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Pointer(pub u64);

impl Pointer {
    /// Whether the kernel side could tell it.
    #[must_use]
    pub fn is_known(self) -> bool {
        self.0 != 0
    }
}

impl fmt::Debug for Pointer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#x}", self.0)
    }
}

/// Who, where and when: the header of every record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp {
    /// Entry into the call, ns of CLOCK_MONOTONIC.
    pub start_ns: u64,
    /// Return from it.
    pub end_ns: u64,
    /// Thread.
    pub tid: u32,
    /// Process.
    pub tgid: u32,
    /// Counts this thread's records; a gap is a loss.
    pub seq: u16,
    /// s_dev, 0 if unknown.
    pub dev: u32,
    /// The thread's numbering starts here.
    pub first: bool,
    /// An earlier call's return was never seen.
    pub missed_return: bool,
    /// A call inside the one that returns came back unseen.
    pub missed_inside: bool,
    /// The OPEN could not be joined with its reply.
    pub unjoined: bool,
}

/// How the VFS walked the path when it asked for a revalidation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Walk {
    /// LOOKUP_RCU: lockless first try.
    Rcu,
    /// With references held.
    Ref,
    /// LOOKUP_REVAL: last try after ESTALE, nothing cached may be trusted.
    Reval,
}

/// Whether the dentry named a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DentryKind {
    /// It was not read.
    Unknown,
    /// It had an inode.
    Positive,
    /// It cached "no such name".
    Negative,
    /// It had no inode, but had been dropped from the dcache's hash too.
    Unhashed,
}

/// One call of nfs4_lookup_revalidate for an open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Revalidate {
    /// The dentry that was asked about.
    pub dentry: Pointer,
    /// RCU try, ref-walk or last try.
    pub walk: Walk,
    /// The open may create the name (LOOKUP_CREATE).
    pub creates: bool,
    /// 1 valid, 0 invalid, or a negative errno.
    pub ret: i32,
    /// nfs_check_verifier was called.
    pub verifier_checked: bool,
    /// nfs_set_verifier was called.
    pub verifier_set: bool,
    /// nfs_lookup_verify_inode was called; `false` says nothing where it is not probed.
    pub inode_checked: bool,
    /// LOOKUPs sent.
    pub lookups: u8,
    /// Positive or negative.
    pub kind: DentryKind,
}

/// One nfs4_run_open_task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OpenTask {
    /// OPENs sent (and answered) for it; 0 says nothing where that is not probed.
    pub sent: u16,
    /// Its worker found that a delegation allows it, where that is probed; nothing if it could
    /// not be noted.
    pub delegated: Option<bool>,
    /// enum open_claim_type4, if it could be read.
    pub claim: Option<u8>,
    /// When the last reply was handled.
    pub replied_ns: Option<u64>,
    /// 0 or negative.
    pub ret: i32,
}

/// One nfs4_file_open or nfs_atomic_open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Open {
    /// The dentry, if it could be read.
    pub dentry: Pointer,
    /// The file's id on the server, if it could be read.
    pub fileid: Option<u64>,
    /// 0 or a negative errno.
    pub ret: i32,
    /// O_* flags, if they could be read.
    pub flags: Option<u32>,
    /// Key of its kernel stack.
    pub stack: Option<u32>,
    /// nfs4_run_open_task calls inside.
    pub tasks: u8,
    /// update_open_stateid calls since the last of those began.
    pub stateid_updates: u8,
    /// nfs_atomic_open: it opened the file (`false`: it only looked it up).
    pub opened: Option<bool>,
    /// Since the last task began nfs4_try_open_cached was called; `false` says nothing where it
    /// is not probed.
    pub tried_cached: bool,
    /// Since then the tracepoint nfs4_cached_open was passed; the same holds.
    pub cached_event: bool,
}

/// What one record tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fact<'a> {
    /// See [`Revalidate`].
    Revalidate(Revalidate),
    /// A LOOKUP was answered, with 0 or a negative number.
    Lookup(i32),
    /// See [`OpenTask`].
    OpenTask(OpenTask),
    /// nfs4_file_open returned.
    FileOpen(Open),
    /// nfs_atomic_open returned.
    AtomicOpen(Open),
    /// A dentry has this name under this parent (itself, for a mount's root).
    Name {
        /// The dentry.
        dentry: Pointer,
        /// Its parent.
        parent: Pointer,
        /// Its name: any bytes but `/` and zero.
        name: &'a [u8],
    },
    /// The thread has this command name: any bytes but zero.
    Comm(&'a [u8]),
}

/// One decoded record. Names are where its bytes are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Event<'a> {
    /// Who and when.
    pub stamp: Stamp,
    /// What.
    pub fact: Fact<'a>,
}

/// When a call was entered and when it returned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Times {
    /// Entry, ns of CLOCK_MONOTONIC.
    pub start_ns: u64,
    /// Return.
    pub end_ns: u64,
}

/// An open of a valid name, of which all came together: three records of one thread, of one super
/// block, that follow each other in its numbering and have no flag.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WholeOpen {
    /// Thread.
    pub tid: u32,
    /// Process.
    pub tgid: u32,
    /// s_dev, 0 if unknown.
    pub dev: u32,
    /// The number of the first of the three records.
    pub seq: u16,
    /// How the name was checked.
    pub revalidate: (Times, Revalidate),
    /// Whether an OPEN was needed.
    pub task: (Times, OpenTask),
    /// How it ended.
    pub open: (Times, Open),
}

impl WholeOpen {
    /// How many records it is.
    pub const RECORDS: u64 = 3;
}
