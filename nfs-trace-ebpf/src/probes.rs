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
    /// Without it one word of the answer becomes "unknown".
    Helpful,
    /// A sign that no word of a trace needs and that is not for free: it is attached only
    /// where details are asked for, which `check` does.
    Detail,
}

/// One row: a program and the kernel function it belongs to.
#[derive(Debug, Clone, Copy)]
pub struct Probe {
    /// The program's name in the object; at most 15 characters, so that the
    /// kernel's own list of programs shows all of it.
    pub program: &'static str,
    /// The kernel function.
    pub symbol: &'static str,
    /// Symbols to try, in order, where the first is not there.
    pub fallbacks: &'static [&'static str],
    /// The module that holds it (it may also be built in).
    pub module: &'static str,
    /// Entry or return.
    pub at: At,
    /// How much depends on it.
    pub need: Need,
    /// What cannot be told without it.
    pub tells: &'static str,
}

impl Probe {
    /// Whether it is to be attached, `detail` being asked for or not.
    #[must_use]
    pub fn asked_for(&self, detail: bool) -> bool {
        detail || self.need != Need::Detail
    }
}

macro_rules! probes {
    ($($id:ident: $program:literal, $symbol:literal $(or $fallback:literal)*, $module:literal,
        $at:ident, $need:ident, $tells:literal;)*) => {
        /// Index of each program in the map of counters; those with a probe come first,
        /// in the order of [`PROBES`].
        #[repr(u32)]
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Id {
            $(#[doc = $program] $id,)*
            /// nfst_names, which the entry programs jump to.
            Names,
            /// nfst_fork.
            Fork,
            /// nfst_exit.
            Exit,
        }

        /// Every probe, in the order in which they are attached.
        pub const PROBES: &[Probe] = &[$(Probe {
            program: $program,
            symbol: $symbol,
            fallbacks: &[$($fallback),*],
            module: $module,
            at: At::$at,
            need: Need::$need,
            tells: $tells,
        },)*];
    };
}

// Returns come before entries: a call that an entry program saw is then never
// without its return program.
probes! {
    RevalidateOut: "nfst_reval_out", "nfs4_lookup_revalidate", "nfs", Return, Required,
        "how the name was checked";
    RevalidateIn: "nfst_reval_in", "nfs4_lookup_revalidate", "nfs", Entry, Required,
        "how the name was checked";
    FileOpenOut: "nfst_fopen_out", "nfs4_file_open", "nfsv4", Return, Required,
        "opens of names in the dentry cache";
    FileOpenIn: "nfst_fopen_in", "nfs4_file_open", "nfsv4", Entry, Required,
        "opens of names in the dentry cache";
    AtomicOpenOut: "nfst_atomic_out", "nfs_atomic_open", "nfs", Return, Required,
        "opens that look the name up as well";
    AtomicOpenIn: "nfst_atomic_in", "nfs_atomic_open", "nfs", Entry, Required,
        "opens that look the name up as well";
    OpenTaskOut: "nfst_task_out", "nfs4_run_open_task", "nfsv4", Return, Required,
        "whether an OPEN was needed";
    OpenTaskIn: "nfst_task_in", "nfs4_run_open_task", "nfsv4", Entry, Required,
        "whether an OPEN was needed";
    OpenDone: "nfst_open_done", "nfs4_open_done", "nfsv4", Entry, Required,
        "whether an OPEN went to the server";
    StateidUpdate: "nfst_stateid", "update_open_stateid", "nfsv4", Entry, Required,
        "a delegated open from a cached one";
    LookupOut: "nfst_lookup_out", "_nfs4_proc_lookup" or "nfs4_proc_lookup", "nfsv4",
        Return, Required, "LOOKUPs";
    LookupIn: "nfst_lookup_in", "_nfs4_proc_lookup" or "nfs4_proc_lookup", "nfsv4",
        Entry, Required, "LOOKUPs";
    VerifierCheck: "nfst_verf_check", "nfs_check_verifier", "nfs", Entry, Helpful,
        "name check: accepted from directory";
    VerifierSet: "nfst_verf_set", "nfs_set_verifier", "nfs", Entry, Helpful,
        "name check: accepted from delegated";
    InodeCheck: "nfst_verf_inode", "nfs_lookup_verify_inode", "nfs", Entry, Detail,
        "v4.1 and later: an old name check from the fixed one (only `check` attaches it)";
}

/// Number of entries in the map of counters.
pub const COUNTERS_LEN: u32 = Id::Exit as u32 + 1;

/// The program that sends names, and its index in the map of jumps.
pub const NAMES_PROGRAM: &str = "nfst_names";
/// See [`NAMES_PROGRAM`].
pub const JUMP_NAMES: u32 = 0;

/// Follows `trace -- COMMAND` into its children: program, tracepoint of category sched.
pub const FORK: (&str, &str) = ("nfst_fork", "sched_process_fork");
/// Sees to what a thread leaves behind.
pub const EXIT: (&str, &str) = ("nfst_exit", "sched_process_exit");
/// Where the legacy object has the program of [`EXIT`]: 4.4 has none for tracepoints.
pub const EXIT_FUNCTION: &str = "do_exit";

/// Reads a known file with a layout that is not trusted yet, and the functions that it goes
/// to, of which one is enough. Every kernel has them, exported, with the file as their first
/// argument, called for a file of /proc when the file is ready but for what the file system
/// does itself.
pub const LAYOUT_PROGRAM: &str = "nfst_layout";
/// See [`LAYOUT_PROGRAM`].
pub const LAYOUT_SYMBOLS: [&str; 2] = ["single_open", "seq_open"];
