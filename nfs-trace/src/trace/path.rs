//! [`OpenPath`]: one open(2) of a name on an NFSv4 mount, with the words that
//! classify it (design: what vouched for the dentry, what vouched for the file).

use std::sync::Arc;

use serde::Serialize;
use smol_str::SmolStr;

use crate::event::{Open, OpenTask, Pointer, Revalidate};

/// What vouched for the dentry in the attempt that decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum NameCheck {
    /// nfs4_lookup_revalidate said valid without asking anything.
    Accepted,
    /// The directory's change attribute still matched the dentry's verifier.
    Directory,
    /// A LOOKUP went to the server and named the same file.
    Lookup,
    /// The LOOKUP named another file or none: the dentry was dropped.
    Replaced,
    /// Vouched for by a delegation.
    Delegated,
    /// No revalidation: the dentry was negative or absent.
    None,
    /// Not enough was seen to say.
    Unknown,
}

impl NameCheck {
    /// All of them, in the order of the declaration.
    pub const ALL: [Self; 7] = [
        Self::Accepted,
        Self::Directory,
        Self::Lookup,
        Self::Replaced,
        Self::Delegated,
        Self::None,
        Self::Unknown,
    ];

    /// The word for it, the same in text and JSON.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Directory => "directory",
            Self::Lookup => "lookup",
            Self::Replaced => "replaced",
            Self::Delegated => "delegated",
            Self::None => "none",
            Self::Unknown => "unknown",
        }
    }
}

/// What vouched for the file in the attempt that decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum PathWord {
    /// An OPEN went to the server.
    Wire,
    /// No OPEN, no delegation: the client's own open state was reused.
    Cached,
    /// No OPEN: a delegation allows it.
    Delegated,
    /// The lookup and the OPEN were one.
    Atomic,
    /// It failed before any of these.
    Failed,
    /// Not enough was seen to say.
    Unknown,
}

impl PathWord {
    /// All of them, in the order in which they are listed.
    pub const ALL: [Self; 6] = [
        Self::Wire,
        Self::Cached,
        Self::Delegated,
        Self::Atomic,
        Self::Failed,
        Self::Unknown,
    ];

    /// The word for it, the same in text, JSON and on the command line.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Wire => "wire",
            Self::Cached => "cached",
            Self::Delegated => "delegated",
            Self::Atomic => "atomic",
            Self::Failed => "failed",
            Self::Unknown => "unknown",
        }
    }
}

/// Why a path's evidence is incomplete.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Gap {
    /// A record of this thread was lost.
    RecordLost,
    /// A call's return was never seen.
    ReturnMissed,
    /// An OPEN could not be joined with its reply.
    Unjoined,
    /// It may have begun before tracing did.
    BeganBefore,
    /// Its end was never seen: it ended in the VFS, outside the traced functions.
    EndNotSeen,
}

/// One step of a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StepKind {
    /// The name was checked.
    Revalidate(Revalidate),
    /// A LOOKUP was answered.
    Lookup(i32),
    /// An OPEN was sent, or found unnecessary.
    OpenTask(OpenTask),
    /// nfs4_file_open returned.
    FileOpen(Open),
    /// nfs_atomic_open returned.
    AtomicOpen(Open),
}

/// A step and its times.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Step {
    /// Entry, ns of CLOCK_MONOTONIC.
    pub start_ns: u64,
    /// Return.
    pub end_ns: u64,
    /// What it was.
    pub kind: StepKind,
}

/// One open(2), reconstructed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenPath {
    /// First step's entry, ns of CLOCK_MONOTONIC.
    pub start_ns: u64,
    /// Last step's return.
    pub end_ns: u64,
    /// Thread.
    pub tid: u32,
    /// Process.
    pub tgid: u32,
    /// The thread's command name, as it is shown.
    pub comm: Arc<str>,
    /// s_dev, 0 if unknown.
    pub dev: u32,
    /// The dentry that decided.
    pub dentry: Pointer,
    /// A small number for it that is not used again for another name.
    pub dentry_id: Option<u32>,
    /// Path below the mount as it is shown, if the names are known.
    pub path: Option<SmolStr>,
    /// The file's id on the server.
    pub fileid: Option<u64>,
    /// O_* flags.
    pub flags: Option<u32>,
    /// What vouched for the dentry.
    pub name_check: NameCheck,
    /// The revalidation that `name_check` follows from: the last one of the attempt that
    /// decided, if there was one.
    pub revalidation: Option<Revalidate>,
    /// What vouched for the file.
    pub open_path: PathWord,
    /// enum open_claim_type4 of the OPEN that decided, if one was sent.
    pub claim: Option<u8>,
    /// EOPENSTALE returns inside the path.
    pub stale_retries: u32,
    /// OPENs sent.
    pub opens: u32,
    /// LOOKUPs sent.
    pub lookups: u32,
    /// 0 or a negative errno; nothing if the end was not seen.
    pub result: Option<i32>,
    /// Key of the kernel stack of the last attempt.
    pub stack: Option<u32>,
    /// Why the evidence is incomplete; empty if it is complete.
    pub gaps: Vec<Gap>,
    /// Every step, by time of entry.
    pub steps: Vec<Step>,
}

impl OpenPath {
    /// Whether everything that belongs to the path was seen.
    #[must_use]
    pub fn complete(&self) -> bool {
        self.gaps.is_empty()
    }
}
