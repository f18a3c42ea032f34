//! The command line: what can be typed, and nothing of what is done with it.

mod recording;
mod values;

use std::{ffi::OsString, path::PathBuf, time::Duration};

use clap::{Args, Parser, Subcommand, ValueEnum};

pub use self::recording::{DiffArgs, RecordArgs, RecordedArgs, ReplayArgs, ReportArgs};
use self::values::{buffer_size, period, time, withheld};
use crate::{kernel::layout::Source, trace::PathWord, transport::Transport};

/// Shows which path every NFSv4 open takes: served from the client's cached open
/// state, by a delegation, or by an OPEN on the wire.
#[derive(Debug, Parser)]
#[command(name = "nfs-trace", version, max_term_width = 100)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Trace opens and print a line for each
    Trace(Box<TraceArgs>),
    /// Write a trace into a file, to be shown later or elsewhere
    Record(Box<RecordArgs>),
    /// Show a recording, as `trace` would have
    Replay(Box<ReplayArgs>),
    /// Report on a recording: renames, old files served, holders, latencies; for people, scripts and
    /// other programs
    Report(Box<ReportArgs>),
    /// Compare two recordings of one scenario, open by open: what does my patch do?
    Diff(Box<DiffArgs>),
    /// Say whether this kernel is affected, mount by mount, with evidence
    Check(Box<CheckArgs>),
    /// Show what this kernel offers, what would be attached and what is missing
    Probes(ProbesArgs),
    /// Print a shell's completion script
    Completions(CompletionsArgs),
    /// Print the man page, of everything or of one command
    Man(ManArgs),
    /// Start a command stopped, so that tracing can begin before it does
    #[command(name = "__launch", hide = true)]
    Launch(LaunchArgs),
    /// The part of `check` that opens files, as a process of its own
    #[command(name = "__selftest", hide = true)]
    SelfTest,
    /// The second client of `check --reproduce`, as a process of its own
    #[command(name = "__rename", hide = true)]
    Rename,
}

/// How to print.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people.
    Text,
    /// One object a line.
    Json,
}

const TRACE_EXAMPLES: &str = "\
EXAMPLES
  nfs-trace trace
      every open on every NFSv4 mount, until Ctrl-C
  nfs-trace trace --mount /mnt/repos --open-path cached
      only opens of this mount that the client answered from its own
      open state
  nfs-trace trace -v -- git -C /mnt/repos/project log -1
      what this command does, with the steps of every open
  nfs-trace trace --path '**/packed-refs' --duration 1m --format json
      one file, for a minute, for a script
  nfs-trace trace --wait-module
      also before the client's modules are loaded; goes on when they
      are unloaded and others are loaded
  nfs-trace trace --top --mount /mnt/repos
      which names are opened most, and how, while it happens

  nfs-trace trace -o /dev/null \\
          --metrics /var/lib/prometheus/node-exporter/nfs_trace.prom
      no rows, but counts for the Prometheus that watches this machine

COLUMNS
  NAME CHECK  what vouched for the name: accepted (nothing was asked),
              directory (its change attribute still matched), lookup (the
              server named the same file), replaced (the server named
              another one, or none), delegated, none
  OPEN PATH   what vouched for the file: wire (an OPEN by name (NULL) or by
              filehandle (FH)), cached (nothing: the client reused its own
              open state), delegated, atomic (lookup and OPEN in one),
              failed";

const COMPLETIONS_EXAMPLES: &str = "\
EXAMPLES
  source <(nfs-trace completions bash)
      in this shell; put into ~/.bashrc, in every one
  nfs-trace completions bash > /etc/bash_completion.d/nfs-trace
  nfs-trace completions zsh > \"${fpath[1]}/_nfs-trace\"
      for every user of this machine";

const MAN_EXAMPLES: &str = "\
EXAMPLES
  nfs-trace man --dir /usr/local/share/man/man1
      install the pages: `man nfs-trace`, `man nfs-trace-trace`
  nfs-trace man trace | man -l -
      read the page of one command";

/// `nfs-trace trace`
#[derive(Debug, Args)]
#[command(after_help = TRACE_EXAMPLES)]
pub struct TraceArgs {
    /// Which rows.
    #[command(flatten)]
    pub filter: FilterArgs,
    /// How to print.
    #[command(flatten)]
    pub show: ShowArgs,
    /// Show the steps of each path (text), and on stderr what the kernel refuses
    #[arg(short, long)]
    pub verbose: bool,
    /// Draw a picture that changes each second, instead of lines: names by rate, mounts with what
    /// was proved so far, and what was lost (? in it explains the keys). What COMMAND prints is
    /// dropped, or goes where stderr was sent
    #[arg(long, conflicts_with_all = ["format", "output", "raw_pointers", "stack"])]
    pub top: bool,
    /// Write a recording as well, as `record` does
    #[arg(long, value_name = "FILE")]
    pub record: Option<PathBuf>,
    /// What is traced.
    #[command(flatten)]
    pub live: LiveArgs,
}

/// What is traced, and for how long.
#[derive(Debug, Args)]
pub struct LiveArgs {
    /// Only opens on this mount (any path on it will do)
    #[arg(long, value_name = "PATH")]
    pub mount: Vec<PathBuf>,
    /// Only this process
    #[arg(long, value_name = "N")]
    pub pid: Vec<u32>,
    /// With the kernel call stack of each open
    #[arg(long)]
    pub stack: bool,
    /// Stop after this long, as 30s, 5m
    #[arg(long, value_name = "TIME", value_parser = time)]
    pub duration: Option<Duration>,
    /// Wait until the client's modules are loaded, if they are not; --duration begins then
    #[arg(long)]
    pub wait_module: bool,
    /// Create this file once every open from now on is seen
    #[arg(long, value_name = "FILE")]
    pub ready_file: Option<PathBuf>,
    /// How records come from the kernel [default: ring where the kernel has it]
    #[arg(long, value_enum, value_name = "HOW")]
    pub transport: Option<Transport>,
    /// Size of the buffer between kernel and user space, in KiB (a power of two); with perf,
    /// of up to four CPUs together
    #[arg(long, value_name = "KIB", default_value_t = 4096, value_parser = buffer_size)]
    pub buffer: u32,
    /// How the kernel's structures are read.
    #[command(flatten)]
    pub layout: LayoutArgs,
    /// Probes to do without.
    #[command(flatten)]
    pub probes: ProbeArgs,
    /// Counts for Prometheus.
    #[command(flatten)]
    pub metrics: MetricsArgs,
    /// Trace this command and its children, to its end, and exit with its status
    #[arg(last = true, value_name = "COMMAND")]
    pub command: Vec<OsString>,
}

/// Counts for a Prometheus that is already there.
#[derive(Debug, Args)]
pub struct MetricsArgs {
    /// Keep counts of the rows in this file, for Prometheus (the textfile collector of
    /// node_exporter reads names that end in .prom)
    #[arg(long, value_name = "FILE")]
    pub metrics: Option<PathBuf>,
    /// How often that file is written, as 15s, 1m
    #[arg(long, value_name = "TIME", value_parser = period, default_value = "15s")]
    #[arg(requires = "metrics")]
    pub metrics_every: Duration,
}

/// Which rows are shown.
#[derive(Debug, Clone, Args)]
pub struct FilterArgs {
    /// Only names that match: below the mount, or from / if the glob begins with /
    #[arg(long, value_name = "GLOB")]
    pub path: Vec<String>,
    /// Only processes with this command name
    #[arg(long, value_name = "NAME")]
    pub comm: Vec<String>,
    /// Only these open paths
    #[arg(long, value_name = "WORD", value_delimiter = ',')]
    pub open_path: Vec<PathWord>,
}

/// How rows are printed.
#[derive(Debug, Args)]
pub struct ShowArgs {
    /// How to print
    #[arg(long, value_enum, default_value = "text")]
    pub format: Format,
    /// Write the rows to this file instead of stdout, which the command may be using
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// Stop after this many opens
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub count: Option<u64>,
    /// Show kernel addresses of dentries (JSON)
    #[arg(long)]
    pub raw_pointers: bool,
}

const CHECK_EXAMPLES: &str = "\
EXAMPLES
  nfs-trace check
      every NFSv4 mount, with a small file of our own on each
  nfs-trace check /srv/data/report.csv
      opens this file twice, read-only, and writes nothing
  nfs-trace check --observe 1m
      touches nothing: judges what others open meanwhile
  nfs-trace check /srv --reproduce --timeout 1m
      the whole story: a file is renamed over one that is held open
  nfs-trace check /srv --reproduce --rename-with 'ssh b mv -f {from} {to}'
      the same, with another machine as the second client

EXIT STATUS
  0  not affected
  2  affected: at least one mount is
  3  inconclusive: not enough was seen, or something was missed";

/// `nfs-trace check`
#[derive(Debug, Args)]
#[command(after_help = CHECK_EXAMPLES)]
pub struct CheckArgs {
    /// What to check: a mount point, a directory or a file on it [default: every NFSv4 mount]
    #[arg(value_name = "MOUNT|FILE")]
    pub targets: Vec<PathBuf>,
    /// Touch no file: judge the opens that others make for this long, as 60s, 5m
    #[arg(long, value_name = "TIME", value_parser = time)]
    pub observe: Option<Duration>,
    /// Have a second client rename a file over a held one, and see what is read
    #[arg(long, conflicts_with = "observe")]
    pub reproduce: bool,
    /// The second client: a shell command in which {from} and {to} stand for the paths here,
    /// {from_below} and {to_below} for the same below the mount point
    #[arg(long, value_name = "COMMAND", requires = "reproduce")]
    pub rename_with: Option<String>,
    /// Give up on a mount after this long
    #[arg(long, value_name = "TIME", value_parser = time, default_value = "10s")]
    pub timeout: Duration,
    /// How records come from the kernel [default: ring where the kernel has it]
    #[arg(long, value_enum, value_name = "HOW")]
    pub transport: Option<Transport>,
    /// Say on stderr what the kernel refuses
    #[arg(short, long)]
    pub verbose: bool,
    /// How the kernel's structures are read.
    #[command(flatten)]
    pub layout: LayoutArgs,
    /// Probes to do without.
    #[command(flatten)]
    pub probes: ProbeArgs,
    /// How to print
    #[arg(long, value_enum, default_value = "text")]
    pub format: Format,
    /// Explain on one page what goes wrong, and end
    #[arg(long)]
    pub explain: bool,
}

/// `nfs-trace probes`
#[derive(Debug, Args)]
pub struct ProbesArgs {
    /// How the kernel's structures are read.
    #[command(flatten)]
    pub layout: LayoutArgs,
    /// Probes to do without.
    #[command(flatten)]
    pub probes: ProbeArgs,
    /// How to print
    #[arg(long, value_enum, default_value = "text")]
    pub format: Format,
}

/// How the kernel's structures are read.
#[derive(Debug, Clone, Default, Args)]
pub struct LayoutArgs {
    /// Where the layout of kernel structures comes from [default: the first that fits]
    #[arg(long, value_enum, value_name = "SOURCE")]
    pub layout: Option<Source>,
    /// Take BTF from this file instead of the kernel: that of vmlinux, and of modules on top
    /// (raw, or an ELF file that holds it)
    #[arg(long, value_name = "FILE")]
    pub btf: Vec<PathBuf>,
    /// Take the table from this file: `offsets` as `nfs-trace probes --format json` prints them
    #[arg(long, value_name = "FILE")]
    pub layout_table: Option<PathBuf>,
}

/// Probes to do without.
#[derive(Debug, Clone, Default, Args)]
pub struct ProbeArgs {
    /// Do without this function, as on a kernel that does not have it: what else tells the same
    /// is used
    #[arg(long, value_name = "NAME", value_delimiter = ',', value_parser = withheld)]
    pub without_probe: Vec<String>,
}

/// `nfs-trace completions`
#[derive(Debug, Args)]
#[command(after_help = COMPLETIONS_EXAMPLES)]
pub struct CompletionsArgs {
    /// The shell
    pub shell: clap_complete::Shell,
}

/// `nfs-trace man`
#[derive(Debug, Args)]
#[command(after_help = MAN_EXAMPLES)]
pub struct ManArgs {
    /// Only this command
    pub command: Option<String>,
    /// Write every page into this directory, one for each command
    #[arg(long, value_name = "DIR", conflicts_with = "command")]
    pub dir: Option<PathBuf>,
}

/// `nfs-trace __launch`
#[derive(Debug, Args)]
pub struct LaunchArgs {
    /// The command
    #[arg(last = true, required = true)]
    pub command: Vec<OsString>,
}
