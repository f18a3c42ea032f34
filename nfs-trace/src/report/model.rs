//! What a report says: the document of `--format json`, from which text and HTML are made too.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Serialize;

use super::evidence::By;
use crate::{
    mounts::Mount,
    summary::End,
    trace::{NameCheck, PathWord},
};

/// Of whatever is listed by way of example.
pub const FEW: usize = 3;

/// A time, on both clocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Moment {
    /// ns of CLOCK_MONOTONIC.
    pub ts_ns: u64,
    /// The same as wall-clock time.
    pub time: Timestamp,
}

/// Who opened.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
pub struct Opener {
    /// Process (tgid).
    pub pid: u32,
    /// Command name, escaped.
    pub comm: String,
}

/// Whose opens they were.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Openers {
    /// The first few.
    pub first: Vec<Opener>,
    /// There were others.
    pub more: bool,
}

impl Openers {
    /// Takes note of one.
    pub fn add(&mut self, opener: &Opener) {
        if !self.more && !self.first.contains(opener) {
            if self.first.len() < FEW {
                self.first.push(opener.clone());
            } else {
                self.more = true;
            }
        }
    }
}

/// An answer of the server about a name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Evidence {
    /// To which request.
    pub by: By,
    /// When it was sent.
    pub sent: Moment,
    /// When the reply was handled.
    pub replied: Moment,
    /// Whose open it belongs to.
    pub opener: Opener,
}

/// What became of a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ChangeKind {
    /// It means another file: one was renamed over it, or made in its place.
    Replaced,
    /// It means nothing.
    Removed,
}

/// Cached opens of an old file.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Stale {
    /// How many.
    pub opens: u64,
    /// When the first of them began.
    pub first: Option<Moment>,
    /// When the last of them began.
    pub last: Option<Moment>,
    /// Whose they were.
    pub openers: Openers,
}

/// A change of what a name means, noticed by the server's answers. It happened at some moment
/// between `after.sent` and `before.replied`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Change {
    /// What it was.
    pub kind: ChangeKind,
    /// The file before.
    pub old: u64,
    /// The file after; nothing if it is gone, or was not told.
    pub new: Option<u64>,
    /// The last answer that named the old file; nothing if none was recorded.
    pub after: Option<Evidence>,
    /// The first answer that named another file, or none.
    pub before: Evidence,
    /// Cached opens of the old file between the two.
    pub between: Stale,
    /// Cached opens of the old file after that.
    pub afterwards: Stale,
}

/// Opens of one name that follow each other and went the same way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Run {
    /// When the first of them began.
    pub first: Moment,
    /// When the last of them began.
    pub last: Moment,
    /// How many.
    pub opens: u64,
    /// What vouched for the name.
    pub name_check: NameCheck,
    /// What vouched for the file.
    pub open_path: PathWord,
    /// Claim of the OPEN.
    pub claim: Option<&'static str>,
    /// The file.
    pub fileid: Option<u64>,
    /// 0 or a negative errno.
    pub result: Option<i32>,
    /// EOPENSTALE returns inside.
    pub stale_retries: u64,
    /// Whose they were.
    pub openers: Openers,
}

/// One name, as long as it stood for the same place in the tree.
#[derive(Debug, Clone, Serialize)]
pub struct Name {
    /// Mount point and path as one, or an id.
    pub path: String,
    /// The mount point.
    pub mount: Option<String>,
    /// Opens of it that are shown.
    pub opens: u64,
    /// The same by open path, those that occurred.
    pub by_open_path: BTreeMap<PathWord, u64>,
    /// Cached opens of files that it did not mean any more.
    pub proved_stale: u64,
    /// The files that were opened by it, the first few.
    pub files: Vec<u64>,
    /// When the first of its opens began.
    pub first: Moment,
    /// When the last of them began.
    pub last: Moment,
    /// What it meant over time.
    pub changes: Vec<Change>,
    /// Earlier ones that are left out.
    pub changes_left_out: u64,
    /// Its opens in order.
    pub history: Vec<Run>,
    /// Opens between the first and the last of them that are left out.
    pub history_left_out: u64,
}

/// A file that was held open: proved by a cached open.
#[derive(Debug, Clone, Serialize)]
pub struct Hold {
    /// The name by which it was last opened.
    pub path: String,
    /// The file.
    pub fileid: u64,
    /// `O_RDONLY`, `O_WRONLY` or `O_RDWR`.
    pub mode: &'static str,
    /// Opens of it in this mode that were not cached, the last few before the first cached one:
    /// one of them holds it, or one that is not in the recording.
    pub opened_by: Vec<Held>,
    /// More of them.
    pub opened_by_more: u64,
    /// From here on it was held open, at least.
    pub from: Moment,
    /// Until here, at least: the last cached open.
    pub until: Moment,
    /// Cached opens.
    pub cached: u64,
}

/// An open that may hold a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Held {
    /// When it began.
    pub since: Moment,
    /// Whose it was.
    pub opener: Opener,
    /// What vouched for the file.
    pub open_path: PathWord,
}

/// A delegation that the client had, as its delegated opens show.
#[derive(Debug, Clone, Serialize)]
pub struct Delegation {
    /// The name by which it was last opened.
    pub path: String,
    /// The file.
    pub fileid: u64,
    /// The last open of it before that was not delegated: it was granted after that began.
    pub granted_after: Option<Moment>,
    /// The first delegated open.
    pub from: Moment,
    /// The last one.
    pub until: Moment,
    /// The next open of it that was not: it may have been returned before that.
    pub returned_before: Option<Moment>,
    /// Delegated opens.
    pub opens: u64,
}

/// What the processes of one command name opened.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Command {
    /// Command name, escaped.
    pub comm: String,
    /// How many processes.
    pub processes: u64,
    /// The one with most opens.
    pub busiest: Busiest,
    /// Their opens.
    pub opens: u64,
    /// The same by open path, those that occurred.
    pub by_open_path: BTreeMap<PathWord, u64>,
}

/// One process among those of its command name.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub struct Busiest {
    /// It.
    pub pid: u32,
    /// Its opens.
    pub opens: u64,
}

/// How long opens took, to about one in a hundred; the longest exactly.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Latency {
    /// How many.
    pub opens: u64,
    /// Half of them took no longer.
    pub p50_ns: u64,
    /// Nine of ten.
    pub p90_ns: u64,
    /// 99 of 100.
    pub p99_ns: u64,
    /// 999 of 1000.
    pub p999_ns: u64,
    /// The longest.
    pub max_ns: u64,
}

/// What is not in the report, because memory is bounded.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct LeftOut {
    /// Names that are not listed.
    pub names: u64,
    /// Names that were forgotten, the least recently opened: their opens are in the totals alone,
    /// and changes of what they mean may not have been noticed.
    pub names_forgotten: u64,
    /// Commands that are not listed.
    pub commands: u64,
    /// Processes that were forgotten, the least recently seen: their opens are in the totals alone.
    pub processes_forgotten: u64,
    /// Holders that are not listed.
    pub holds: u64,
    /// Delegations that are not listed.
    pub delegations: u64,
    /// Files whose holders were forgotten, the least recently opened.
    pub files_forgotten: u64,
}

/// The whole.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// Version of this program's traces that were reported.
    pub version: String,
    /// Kernel release.
    pub kernel: String,
    /// NFSv4 mounts when tracing began.
    pub mounts: Vec<Mount>,
    /// When the first open began.
    pub first: Option<Moment>,
    /// When the last one began.
    pub last: Option<Moment>,
    /// Cached opens of a file that the name did not mean any more.
    pub proved_stale: u64,
    /// How long opens took, by open path.
    pub latency: BTreeMap<PathWord, Latency>,
    /// Names, what matters most first.
    pub names: Vec<Name>,
    /// Commands, those with most opens first.
    pub commands: Vec<Command>,
    /// Who held what.
    pub holds: Vec<Hold>,
    /// Delegations.
    pub delegations: Vec<Delegation>,
    /// What is not in here.
    pub left_out: LeftOut,
    /// The end line of the trace.
    pub end: End,
}
