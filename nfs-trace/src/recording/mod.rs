//! Recordings: a trace's records in a file, with all that showing them needs. Replay enters the
//! pipeline where the transport does.
//!
//! ```text
//! record: transport -> Writer -> file, or parts of one (parts.rs)
//! replay: file -> Reader -> Item -> pipeline (../replay.rs)
//! ```

mod block;
mod delta;
pub mod frame;
mod item;
mod known;
mod parts;
mod reader;
mod stacks;
mod writer;

use std::path::PathBuf;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

pub use self::{
    item::{Damage, EntryRoom, Item, Records, Refusal},
    parts::{LEAST_PART, Output, Parts, Total, part_name},
    reader::Reader,
    stacks::Stacks,
    writer::Writer,
};
use crate::{
    notice::{self, Notice, What},
    session::Session,
    summary::KernelCounts,
};

/// How a recording came about; its first block.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Header {
    /// The same for all parts of a recording, and for no other recording.
    pub recording: String,
    /// Which part of it this is, from 1.
    pub part: u32,
    /// The machine's architecture, as Rust calls it: `x86_64`.
    pub architecture: String,
    /// What was typed; bytes that are not UTF-8 are replaced.
    pub command_line: Vec<String>,
    /// What was left out, and what is not to be shown.
    pub filters: Filters,
    /// What is true for the whole trace, and for its records.
    pub session: Session,
}

/// The filters of `record`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Filters {
    /// Of the kernel's side, so other opens are not in the file: mounts.
    pub mount: Vec<String>,
    /// The same: processes.
    pub pid: Vec<u32>,
    /// The same: whether only a command and its children were traced.
    pub command: bool,
    /// Applied when it is shown: the paths of `mount`, where the kernel could not yet.
    pub shown_mounts: Vec<PathBuf>,
    /// The same: globs for names.
    pub path: Vec<String>,
    /// The same: command names.
    pub comm: Vec<String>,
    /// The same: open paths.
    pub open_path: Vec<String>,
}

impl Filters {
    /// Whether somebody may have typed them. A million globs, or one with a million braces in
    /// each other, would take a reader down.
    fn are_possible(&self) -> bool {
        const MANY: usize = 1_000;
        const LONG: usize = 4_096;
        let Self {
            mount,
            pid: _,
            command: _,
            shown_mounts,
            path,
            comm,
            open_path,
        } = self;
        let texts = [mount, path, comm, open_path];
        texts
            .iter()
            .all(|all| all.len() <= MANY && all.iter().all(|one| one.len() <= LONG))
            && shown_mounts.len() <= MANY
    }
}

/// The client's modules are back and traced; see [`crate::sink::Resumed`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resumption {
    /// What is true from here on.
    pub session: Session,
    /// From the news that they are back until every open was seen.
    pub unseen_ms: u64,
    /// Show only opens on the mounts that hold these paths; empty for all.
    pub mounts: Vec<PathBuf>,
}

/// What was said between the rows; a [`crate::notice::Notice`], as far as it does not follow
/// from the session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Remark {
    /// When, ns of CLOCK_MONOTONIC.
    pub ts_ns: u64,
    /// The same as wall-clock time.
    pub time: Timestamp,
    /// What.
    #[serde(flatten)]
    pub what: Said,
}

/// See [`crate::notice::What`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "lowercase")]
#[expect(missing_docs, reason = "the same as there")]
pub enum Said {
    Gone { module: Option<String> },
    Refused { why: String },
    Attached { unseen_ms: u64 },
}

impl Remark {
    /// What to keep of a notice.
    #[must_use]
    pub fn of(notice: &Notice<'_>) -> Self {
        Self {
            ts_ns: notice.ts_ns,
            time: notice.time,
            what: match &notice.what {
                What::Gone { module } => Said::Gone {
                    module: module.map(Into::into),
                },
                What::Refused { why } => Said::Refused { why: why.clone() },
                What::Attached(attached) => Said::Attached {
                    unseen_ms: attached.unseen_ms,
                },
            },
        }
    }

    /// The notice, the session being this one by then.
    #[must_use]
    pub fn notice<'a>(&'a self, session: &'a Session) -> Notice<'a> {
        Notice {
            ts_ns: self.ts_ns,
            time: self.time,
            what: match &self.what {
                Said::Gone { module } => What::Gone {
                    module: module.as_deref(),
                },
                Said::Refused { why } => What::Refused { why: why.clone() },
                Said::Attached { unseen_ms } => {
                    What::Attached(notice::Attached::new(session, *unseen_ms))
                }
            },
        }
    }
}

/// A symbolised kernel stack (`record --stack`), before the first record that refers to it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stack {
    /// [`nfs_trace_ebpf::abi::Open::stack_id`].
    pub id: u32,
    /// Innermost first.
    pub frames: Vec<String>,
}

/// The last block: what was counted.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Footer {
    /// Records in this file.
    pub records: u64,
    /// Whether another part follows.
    #[serde(default)]
    pub continues: bool,
    /// By the kernel's side, up to here.
    pub counts: KernelCounts,
}
