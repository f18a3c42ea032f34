//! The one table of probes: what is attached where, and what is lost without it.
//!
//! The position in [`PROBES`] is the program's index in the map of counters. A host
//! test checks that every row names a program of the object and that every program
//! has a row.

/// Where in the function a program runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum At {
    /// On entry (kprobe).
    Entry,
    /// On return (kretprobe).
    Return,
}

/// How much depends on a probe.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Need {
    /// Without it there is no answer: `trace` refuses to start.
    Required,
    /// Without it one word of the answer becomes "unknown", unless something else tells.
    Helpful,
    /// Attached only where a better probe is missing, see [`PROBES`].
    Instead,
    /// A sign that no word of a trace needs and that is not for free: it is attached only
    /// where details are asked for, which `check` does.
    Detail,
}

/// What a program takes from the function that it is on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Takes {
    /// Its arguments: a clone that the compiler made may have others.
    Arguments,
    /// That it was called: a clone is as good, and where there are several, all are needed.
    Calls,
}

/// Another function that tells the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Other {
    /// The kernel function.
    pub symbol: &'static str,
    /// It tells the same only before this version.
    pub before: Option<(u32, u32)>,
}

/// One row: a program and the kernel function it belongs to.
#[derive(Debug, Clone, Copy)]
pub struct Probe {
    /// The program's name in the object; at most 15 characters, so that the
    /// kernel's own list of programs shows all of it.
    pub program: &'static str,
    /// The kernel function.
    pub symbol: &'static str,
    /// Functions to try, in order, where the first is not there.
    pub others: &'static [Other],
    /// The module that holds it (it may also be built in).
    pub module: &'static str,
    /// Entry or return.
    pub at: At,
    /// What the program takes from it.
    pub takes: Takes,
    /// How much depends on it.
    pub need: Need,
    /// What cannot be told without it.
    pub tells: &'static str,
}

impl Probe {
    /// Its function, then the others.
    pub fn names(&self) -> impl Iterator<Item = &'static str> {
        let others = self.others.iter().map(|other| other.symbol);
        core::iter::once(self.symbol).chain(others)
    }

    /// Whether it is to be attached, `detail` being asked for or not.
    #[must_use]
    pub fn asked_for(&self, detail: bool) -> bool {
        detail || self.need != Need::Detail
    }
}

macro_rules! version {
    () => {
        None
    };
    ($version:expr) => {
        Some($version)
    };
}

macro_rules! probes {
    ($($id:ident: $program:literal,
        $symbol:literal $(or $other:literal $(before $version:expr)?)*,
        $module:literal, $at:ident, $takes:ident, $need:ident, $tells:literal;)*) => {
        /// Index of each program in the map of counters; those with a probe come first,
        /// in the order of [`PROBES`].
        #[repr(u32)]
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Id {
            $(#[doc = $program] $id,)*
            /// nfst_names, which the entry programs jump to.
            Names,
            /// nfst_cached.
            Cached,
            /// nfst_fork.
            Fork,
            /// nfst_exit.
            Exit,
        }

        /// Every probe, in the order in which they are attached. Which of those of
        /// [`Need::Instead`] are is decided when the others are in place.
        pub const PROBES: &[Probe] = &[$(Probe {
            program: $program,
            symbol: $symbol,
            others: &[$(Other { symbol: $other, before: version!($($version)?) }),*],
            module: $module,
            at: At::$at,
            takes: Takes::$takes,
            need: Need::$need,
            tells: $tells,
        },)*];
    };
}

// Returns come before entries: a call that an entry program saw is then never
// without its return program.
probes! {
    RevalidateOut: "nfst_reval_out", "nfs4_lookup_revalidate", "nfs",
        Return, Arguments, Required, "how the name was checked";
    RevalidateIn: "nfst_reval_in", "nfs4_lookup_revalidate", "nfs",
        Entry, Arguments, Required, "how the name was checked";
    FileOpenOut: "nfst_fopen_out", "nfs4_file_open", "nfsv4",
        Return, Arguments, Required, "opens of names in the dentry cache";
    FileOpenIn: "nfst_fopen_in", "nfs4_file_open", "nfsv4",
        Entry, Arguments, Required, "opens of names in the dentry cache";
    AtomicOpenOut: "nfst_atomic_out", "nfs_atomic_open", "nfs",
        Return, Arguments, Required, "opens that look the name up as well";
    AtomicOpenIn: "nfst_atomic_in", "nfs_atomic_open", "nfs",
        Entry, Arguments, Required, "opens that look the name up as well";
    OpenTaskOut: "nfst_task_out", "nfs4_run_open_task", "nfsv4",
        Return, Arguments, Required, "whether an OPEN was needed";
    OpenTaskIn: "nfst_task_in", "nfs4_run_open_task", "nfsv4",
        Entry, Arguments, Required, "whether an OPEN was needed";
    OpenDone: "nfst_open_done", "nfs4_open_done", "nfsv4",
        Entry, Arguments, Helpful, "whether an OPEN went to the server";
    StateidUpdate: "nfst_stateid", "update_open_stateid", "nfsv4",
        Entry, Calls, Helpful, "a delegated open from a cached one";
    LookupOut: "nfst_lookup_out", "_nfs4_proc_lookup" or "nfs4_proc_lookup", "nfsv4",
        Return, Calls, Helpful, "LOOKUPs";
    LookupIn: "nfst_lookup_in", "_nfs4_proc_lookup" or "nfs4_proc_lookup", "nfsv4",
        Entry, Calls, Helpful, "LOOKUPs";
    VerifierCheck: "nfst_verf_check", "nfs_check_verifier", "nfs",
        Entry, Calls, Helpful, "name check: accepted from directory";
    // Inlined before it was exported (efeda80da38d, 5.6). There a delegation is asked for
    // first of all, by nfs4_have_delegation(), and by nothing else before the verifier
    // (fs/nfs/dir.c of 4.4, 4.14, 4.19 and 5.4); since then by a bit of the verifier.
    VerifierSet: "nfst_verf_set", "nfs_set_verifier" or "nfs4_have_delegation" before (5, 6), "nfs",
        Entry, Calls, Helpful, "name check: accepted from delegated";
    InodeCheck: "nfst_verf_inode", "nfs_lookup_verify_inode", "nfs",
        Entry, Calls, Detail,
        "v4.1 and later: an old name check from the fixed one (only `check` attaches it)";
    TryCached: "nfst_try_cached", "nfs4_try_open_cached", "nfsv4",
        Entry, Calls, Instead, "for nfs4_open_done: that no OPEN was sent";
    Encode: "nfst_encode", "nfs4_xdr_enc_open", "nfsv4",
        Entry, Arguments, Instead, "for nfs4_open_done: that an OPEN by name was sent";
    EncodeFh: "nfst_encode_fh", "nfs4_xdr_enc_open_noattr", "nfsv4",
        Entry, Arguments, Instead, "for nfs4_open_done: that an OPEN by filehandle was sent";
    Prepare: "nfst_prepare", "nfs4_open_prepare", "nfsv4",
        Entry, Arguments, Instead, "for update_open_stateid: whose delegation was found";
}

/// The tracepoint that stands in for both nfs4_open_done and update_open_stateid (4.5 and
/// later): program, category, name. Being the module's own, it holds the module.
pub const CACHED: (&str, &str, &str) = ("nfst_cached", "nfs4", "nfs4_cached_open");

/// Programs that count.
pub const COUNTERS_LEN: u32 = Id::Exit as u32 + 1;

/// The program that sends names, and its index in the map of jumps.
pub const NAMES_PROGRAM: &str = "nfst_names";
/// See [`NAMES_PROGRAM`].
pub const JUMP_NAMES: u32 = 0;

/// Follows `trace -- COMMAND` into its children: program, category, name of the tracepoint.
pub const FORK: (&str, &str, &str) = ("nfst_fork", "sched", "sched_process_fork");
/// Sees to what a thread leaves behind.
pub const EXIT: (&str, &str, &str) = ("nfst_exit", "sched", "sched_process_exit");
/// Where the legacy object has the program of [`EXIT`]: 4.4 has none for tracepoints.
pub const EXIT_FUNCTION: &str = "do_exit";

/// Reads a known file with a layout that is not trusted yet, and the functions that it goes
/// to, of which one is enough. Every kernel has them, exported, with the file as their first
/// argument, called for a file of /proc when the file is ready but for what the file system
/// does itself.
pub const LAYOUT_PROGRAM: &str = "nfst_layout";
/// See [`LAYOUT_PROGRAM`].
pub const LAYOUT_SYMBOLS: [&str; 2] = ["single_open", "seq_open"];
