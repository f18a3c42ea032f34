//! What the man page says beside the command line's own definitions: statuses, files,
//! environment, other pages.

use crate::exit::Exit;

/// A row: what, for which commands, and what it means.
pub(super) struct Entry<T> {
    /// What is explained. Rows of the same term that follow each other make one item.
    pub(super) term: T,
    /// The commands it belongs to; empty for all of them.
    pub(super) of: &'static [&'static str],
    /// The explanation, in whole sentences.
    pub(super) means: &'static str,
}

impl<T> Entry<T> {
    const fn new(term: T, of: &'static [&'static str], means: &'static str) -> Self {
        Self { term, of, means }
    }

    /// Whether it belongs on a page about these commands.
    pub(super) fn belongs_to(&self, commands: &[&str]) -> bool {
        self.of.is_empty() || self.of.iter().any(|command| commands.contains(command))
    }
}

/// Paragraphs after what `--help` says.
pub(super) const DESCRIPTION: &[&str] = &[
    "Reopening a file that is already open could be served by the client without asking the \
     server about the name or the file. After another client renamed a new file over the name, \
     readers kept the old one, or got `Stale file handle`, for as long as anybody held it open. \
     The fix came with Linux 4.20 in three patches and was backported unevenly, so the kernel's \
     version does not tell whether a machine is affected. nfs-trace watches the few kernel \
     functions that decide, and says for every open what vouched for the name and what for the \
     file.",
    "Tracing needs Linux 4.4 or later, and root or CAP_SYS_ADMIN, or CAP_BPF and CAP_PERFMON \
     (on Debian's kernels only if kernel.perf_event_paranoid is at most 2). What stands in the way \
     on this machine is told by `nfs-trace probes`. Probes and programs go with the process, \
     however it ends; before Linux 6.1, kill -9 leaves lines in tracefs' kprobe_events, switched \
     off, which the next start removes.",
    "The client's modules can be unloaded and others loaded while trace runs: it says so on \
     stderr, lets go of them, and attaches again when they are back. Opens before that are not \
     seen. With --format json, lines of type `module` say it too.",
];

/// The exit statuses.
pub(super) const STATUSES: &[Entry<Exit>] = &[
    Entry::new(Exit::Ok, &[], "Done."),
    Entry::new(Exit::Ok, &["check"], "check: not affected."),
    Entry::new(
        Exit::Ok,
        &["trace", "record"],
        "trace, record -- COMMAND: the command's own status instead, or 128 and the number of the \
         signal that ended it.",
    ),
    Entry::new(Exit::Failure, &[], "Any failure that is not listed here."),
    Entry::new(
        Exit::Failure,
        &["replay", "report"],
        "replay, report: the recording is damaged or has no end. What could be read was shown.",
    ),
    Entry::new(Exit::Failure, &["diff"], "diff: the recordings differ."),
    Entry::new(Exit::Affected, &["check"], "check: affected."),
    Entry::new(
        Exit::Inconclusive,
        &["check"],
        "check: inconclusive. Not enough was seen, or something was missed.",
    ),
    Entry::new(
        Exit::Inconclusive,
        &["diff"],
        "diff: inconclusive. Nothing that was seen differs for certain, but something was missed, or \
         there is nothing to compare.",
    ),
    Entry::new(Exit::Usage, &[], "Wrong usage."),
    Entry::new(
        Exit::NoInput,
        &["diff"],
        "diff: a recording cannot be read.",
    ),
    Entry::new(
        Exit::Unavailable,
        &["trace", "record", "probes"],
        "trace, record, probes: this kernel or machine cannot be traced. The reason and the remedy \
         are printed.",
    ),
    Entry::new(
        Exit::Output,
        &["diff"],
        "diff: the output cannot be written.",
    ),
    Entry::new(
        Exit::CannotRun,
        &["trace", "record"],
        "trace, record -- COMMAND: the command cannot be run.",
    ),
    Entry::new(
        Exit::NoCommand,
        &["trace", "record"],
        "trace, record -- COMMAND: there is no such command.",
    ),
];

/// The environment.
pub(super) const ENVIRONMENT: &[Entry<&str>] = &[
    Entry::new(
        "NO_COLOR",
        &["trace", "replay", "report", "diff"],
        "If set and not empty, no colours are used on a terminal.",
    ),
    Entry::new(
        "TZ",
        &["trace", "replay", "report"],
        "Time zone of the times in text output.",
    ),
];

/// The files that are read, and those that are made.
pub(super) const FILES: &[Entry<&str>] = &[
    Entry::new(
        "/proc/self/mountinfo",
        &["check", "trace", "record"],
        "The NFSv4 mounts.",
    ),
    Entry::new(
        "/proc/kallsyms",
        &["check", "trace", "record", "probes"],
        "The functions that can be probed, and the names in kernel stacks.",
    ),
    Entry::new(
        "/sys/kernel/btf/vmlinux, /sys/kernel/btf/nfs, /sys/kernel/btf/nfsv4",
        &["check", "trace", "record", "probes"],
        "Where names, inode numbers and devices lie in the kernel's structures.",
    ),
    Entry::new(
        "/proc/self/status, /proc/self/statm",
        &["check", "trace", "record", "probes"],
        "Opened to see whether what is read of them by that layout is true. One that does not \
         fit is not used, and names show as ids.",
    ),
    Entry::new(
        "/sys/kernel/tracing, /sys/kernel/debug/tracing",
        &["check", "trace", "record", "probes"],
        "The numbers of the LOOKUP flags, and the events by which children of a command and the \
         end of a thread are noticed.",
    ),
    Entry::new(
        "/proc/self/status",
        &["check", "trace", "record", "probes"],
        "Whether this process may trace.",
    ),
    Entry::new(
        "/sys/kernel/security/lockdown, /sys/bus/event_source/devices/kprobe",
        &["check", "trace", "record", "probes"],
        "Whether this kernel lets it.",
    ),
    Entry::new(
        "/var/lib/prometheus/node-exporter",
        &["trace", "record"],
        "Where Debian's node_exporter reads what --metrics writes; elsewhere it is what its option \
         --collector.textfile.directory says. Files are replaced as a whole and are for everybody to \
         read (0644).",
    ),
    Entry::new(
        "/sys/module/nfs/initstate, /sys/module/nfsv4/initstate",
        &["trace", "record"],
        "Whether a module of the client is about to go. That one comes or goes is heard from the \
         kernel.",
    ),
    Entry::new(
        "/proc/sys/kernel/random/uuid",
        &["trace", "record"],
        "What tells a recording, in all its parts, from any other.",
    ),
    Entry::new(
        "/proc/self/mountstats",
        &["check"],
        "The options and capabilities of each mount.",
    ),
    Entry::new(
        "/proc/PID/fd, /proc/PID/fdinfo, /proc/PID/status",
        &["check"],
        "Who has which file open. The server is not asked.",
    ),
    Entry::new(
        "/etc/os-release",
        &["check"],
        "The distribution, for its first fixed versions.",
    ),
    Entry::new(
        ".nfs-trace-check-UID",
        &["check"],
        "A directory that check makes on the mount for its own files, and removes.",
    ),
];

/// Pages about the same things.
pub(super) const SEE_ALSO: &str = "nfs(5), mountstats(8), nfsstat(8), proc(5), bpf(2)";
