//! The commands that write recordings, and those that read them.

use std::path::PathBuf;

use clap::Args;

use super::{FilterArgs, Format, LiveArgs, ShowArgs, values::part_size};

const RECORD_EXAMPLES: &str = "\
EXAMPLES
  nfs-trace record -o trace.nfst
      every open on every NFSv4 mount, until Ctrl-C
  nfs-trace record -o job.nfst -- make -C /mnt/src
      what a command and its children open
  nfs-trace record -o /var/tmp/opens --rotate 100M --max-files 10
      for days, in /var/tmp/opens.000001 and so on: 1 GB at most
  nfs-trace record -o - --duration 1m | ssh there 'cat > trace.nfst'
      without a file here

FILTERS
  --mount, --pid and a command are applied in the kernel: other opens are
  not in the file. --path, --comm and --open-path are kept in the file,
  with all opens: `replay` applies them, unless it is given others, or
  --all.

FILE
  Made for its owner alone (mode 0600), never over another one. It holds
  names of files and commands, and this command line. `replay` can read it
  while it is still being written, and after kill -9: up to there. If it
  cannot be written any more, the trace ends with status 1 and a count of
  what is missing. With `-o -`, what the command prints goes to stderr.";

/// `nfs-trace record`
#[derive(Debug, Args)]
#[command(after_help = RECORD_EXAMPLES)]
pub struct RecordArgs {
    /// The recording, `-` for stdout; with --rotate, what its parts are called before their number
    #[arg(short, long, value_name = "FILE")]
    pub output: PathBuf,
    /// Begin a new file before one gets larger than this, as 100M, 2G (at least 1M)
    #[arg(long, value_name = "SIZE", value_parser = part_size)]
    pub rotate: Option<u64>,
    /// Keep only so many files, the newest
    #[arg(long, value_name = "N", requires = "rotate", value_parser = clap::value_parser!(u32).range(1..))]
    pub max_files: Option<u32>,
    /// Which rows a replay shows.
    #[command(flatten)]
    pub filter: FilterArgs,
    /// Say on stderr what the kernel refuses
    #[arg(short, long)]
    pub verbose: bool,
    /// What is traced.
    #[command(flatten)]
    pub live: LiveArgs,
}

const REPLAY_EXAMPLES: &str = "\
EXAMPLES
  nfs-trace replay trace.nfst
      what `trace` would have printed
  nfs-trace replay trace.nfst --open-path cached --format json
      the same filters and formats
  nfs-trace replay /var/tmp/opens.*
      all parts of one recording
  ssh client nfs-trace record -o - | nfs-trace replay -
      as it comes

EXIT STATUS
  0  all of it was shown
  1  it is damaged, has no end, or cannot be read: what could be read was
     shown, and stderr says what is missing";

/// `nfs-trace replay`
#[derive(Debug, Args)]
#[command(after_help = REPLAY_EXAMPLES)]
pub struct ReplayArgs {
    /// Which recording, and what of it.
    #[command(flatten)]
    pub recorded: RecordedArgs,
    /// How to print.
    #[command(flatten)]
    pub show: ShowArgs,
    /// Show the steps of each path (text)
    #[arg(short, long)]
    pub verbose: bool,
}

/// Which recording, and which opens of it.
#[derive(Debug, Args)]
pub struct RecordedArgs {
    /// The recording, or its parts in their order; `-` for stdin
    #[arg(value_name = "FILE", required = true)]
    pub files: Vec<PathBuf>,
    /// Only opens on this mount of the recording (any path on it will do)
    #[arg(long, value_name = "PATH")]
    pub mount: Vec<PathBuf>,
    /// Only this process
    #[arg(long, value_name = "N")]
    pub pid: Vec<u32>,
    /// Which rows.
    #[command(flatten)]
    pub filter: FilterArgs,
    /// Show what the filters given to `record` leave out, too
    #[arg(long)]
    pub all: bool,
}

const REPORT_EXAMPLES: &str = "\
EXAMPLES
  nfs-trace report trace.nfst
      name by name: opens by path, renames noticed and who was served the
      old file, who held what open, latencies
  nfs-trace report trace.nfst --html trace.html
      a page to look at, and to send to others: one file, no network
  nfs-trace report trace.nfst --path 'log/*' --format json --top 1000
      some names, for a script
  nfs-trace report trace.nfst --csv > opens.csv
      a line for each open
  nfs-trace report trace.nfst --perfetto trace.pftrace
      for the Perfetto UI (ui.perfetto.dev)

WHAT IT KNOWS
  renames       the same name, another file (fileid) or none, by a
                later LOOKUP or OPEN by name. The rename itself is not
                recorded: it happened between two answers of the
                server, and both are shown.
  proved stale  cached opens of the old file since the server last
                named it. One before the rename was not stale yet.
  held open     closes are not recorded. A cached open proves that
                somebody, as the same user, still held the file in the
                same mode.
  Filters choose which opens are listed and counted; what other opens
  tell of these names is used too.

CSV
  Columns have the names of the JSON lines of `trace`. proved_stale is
  `between` for a cached open that lies between the last answer that
  named the old file and the first that did not (changed_after_ns,
  changed_before_ns), `afterwards` for a later one. Text that a
  spreadsheet would take for a formula begins with an apostrophe.

EXIT STATUS
  As that of `replay`.";

/// `nfs-trace report`
#[derive(Debug, Args)]
#[command(after_help = REPORT_EXAMPLES)]
pub struct ReportArgs {
    /// Which recording, and what of it.
    #[command(flatten)]
    pub recorded: RecordedArgs,
    /// How to print [default: text, or nothing with --html or --perfetto]
    #[arg(long, value_enum)]
    pub format: Option<Format>,
    /// Print a line for each open as CSV instead; the recording is read twice
    #[arg(long, conflicts_with = "format")]
    pub csv: bool,
    /// Write a page to look at: one file that needs no network
    #[arg(long, value_name = "FILE")]
    pub html: Option<PathBuf>,
    /// Write a trace for the Perfetto UI: tasks, opens and their steps, replies
    #[arg(long, value_name = "FILE")]
    pub perfetto: Option<PathBuf>,
    /// Write the report to this file instead of stdout
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// List so many names and processes [default: 10, with JSON and HTML 1000]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub top: Option<u32>,
}

const DIFF_EXAMPLES: &str = "\
EXAMPLES
  nfs-trace record -o before.nfst -- ./scenario
  nfs-trace record -o after.nfst -- ./scenario
      the same on two kernels, or before and after a setting was changed
  nfs-trace diff before.nfst after.nfst
      the opens that changed, and one line that sums it up
  nfs-trace diff before.nfst after.nfst --all
      those that did not change, too
  nfs-trace diff before.nfst after.nfst --open-path cached
      only opens that are served from the client's own state before or
      after
  nfs-trace diff /var/tmp/opens-a /var/tmp/opens-b
      rotated recordings, by the name given to `record`

MARKS
  |  changed: each part that differs has a *
  ?  cannot be compared: not all of it was seen
  <  only before        >  only after
  The number says which open of its name, by its program, it is. A name
  without a program in common is only before or only after.

EXIT STATUS
  0   no open differs, and nothing was missed
  1   they differ
  3   inconclusive: none that was seen differs, but not all was seen, or
      there is nothing to compare
  64  wrong usage
  66  a recording cannot be read
  74  the output cannot be written";

/// `nfs-trace diff`
#[derive(Debug, Args)]
#[command(after_help = DIFF_EXAMPLES)]
pub struct DiffArgs {
    /// The one recording; `-` for stdin. With parts, their name without the number
    #[arg(value_name = "BEFORE")]
    pub before: PathBuf,
    /// The other one, the same way
    #[arg(value_name = "AFTER")]
    pub after: PathBuf,
    /// Only opens on this mount of the recordings (any path on it will do)
    #[arg(long, value_name = "PATH")]
    pub mount: Vec<PathBuf>,
    /// Which opens.
    #[command(flatten)]
    pub filter: FilterArgs,
    /// Compare what the filters given to `record` leave out, too (its --open-path is never applied:
    /// both sides of a pair belong to it)
    #[arg(long)]
    pub unfiltered: bool,
    /// Show opens that did not change, too
    #[arg(long)]
    pub all: bool,
    /// How to print
    #[arg(long, value_enum, default_value = "text")]
    pub format: Format,
}
