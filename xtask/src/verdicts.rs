//! The cases in which `nfs-trace check` has to find the right verdict, as one table, and what a
//! guest measures of each. What the verdict should be is not here but in
//! `lab/verdicts/expect.rs`: the guest measures, the host judges.

use serde::{Deserialize, Serialize};

use crate::protocol::NfsVersion;

/// How often a case is run in one guest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// On every version, without delegations and with them.
    Every,
    /// On v4.0 and v4.1, the two ways to open, without delegations.
    Paths,
    /// Once, on the first version.
    Once,
}

/// One row of the table.
#[derive(Debug, Clone, Copy)]
pub struct Case {
    /// Name on the command line and in outcomes.
    pub name: &'static str,
    /// How often.
    pub scope: Scope,
    /// What is checked, in one line.
    pub what: &'static str,
}

const fn every(name: &'static str, what: &'static str) -> Case {
    let scope = Scope::Every;
    Case { name, scope, what }
}

const fn paths(name: &'static str, what: &'static str) -> Case {
    let scope = Scope::Paths;
    Case { name, scope, what }
}

const fn once(name: &'static str, what: &'static str) -> Case {
    let scope = Scope::Once;
    Case { name, scope, what }
}

/// All cases in the order they run. Those that take something away from the guest for good come
/// last.
pub const CASES: &[Case] = &[
    every("file", "an existing file, read-only"),
    every("mount", "the self-test in a directory of its own"),
    every("reproduce", "the rename-over by a second mount"),
    every(
        "rename-with",
        "the rename-over by a command, on the server itself",
    ),
    every(
        "observe",
        "a file held by one process and reopened by others, nothing touched",
    ),
    every("observe-idle", "nothing opened while looking"),
    paths(
        "read-only",
        "a read-only mount: an existing file instead of one of its own",
    ),
    paths(
        "root-squash",
        "root squashed, in a directory that belongs to uid 1000",
    ),
    paths(
        "root-squash-root-dir",
        "root squashed, in a directory that belongs to root: an existing file",
    ),
    paths("non-root", "uid 1000: what can be known without privilege"),
    paths(
        "below",
        "a directory deep below the mount, by relative path, link and trailing slash",
    ),
    paths(
        "several",
        "two mounts of different versions, none of them named",
    ),
    paths(
        "symlink-trap",
        "a link that leads elsewhere where its own directory should be",
    ),
    paths(
        "nothing-left",
        "SIGINT, SIGTERM and kill -9 in the middle of --reproduce",
    ),
    paths("dead-server", "a server that does not answer"),
    once("not-nfs", "a path that is not on NFSv4"),
    once("no-mounts", "no NFSv4 mount at all"),
    once("no-module", "the client's modules are not loaded"),
    once("lockdown", "kernel lockdown"),
];

/// One case in one place of the table; exactly one [`Measured`] each.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Cell {
    /// Which case.
    pub case: String,
    /// The version of the first mount.
    pub version: NfsVersion,
    /// Whether the server hands out delegations.
    pub delegations: bool,
}

/// The cells of these cases on these versions, in the order they run.
pub fn cells(cases: &[String], versions: &[NfsVersion]) -> Vec<Cell> {
    let chosen = |scope| {
        CASES
            .iter()
            .filter(move |case| case.scope == scope && cases.iter().any(|name| name == case.name))
    };
    let cell = |case: &Case, version, delegations| Cell {
        case: case.name.to_owned(),
        version,
        delegations,
    };
    let mut cells = Vec::new();
    // Those that share a mount stand together.
    for &version in versions {
        for delegations in [false, true] {
            cells.extend(chosen(Scope::Every).map(|case| cell(case, version, delegations)));
        }
    }
    for &version in versions {
        if version != NfsVersion::V42 {
            cells.extend(chosen(Scope::Paths).map(|case| cell(case, version, false)));
        }
    }
    if let Some(&version) = versions.first() {
        cells.extend(chosen(Scope::Once).map(|case| cell(case, version, false)));
    }
    cells
}

/// A mount that an answer has to be about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mounted {
    /// Where.
    pub path: String,
    /// Its version.
    pub version: NfsVersion,
}

/// One run of `nfs-trace check`, as a user would see it.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Asked {
    /// What tells it from the other runs of its case; nothing if there are none.
    pub label: String,
    /// As a shell shows it: 128 + signal for a signal.
    pub status: i32,
    /// Standard output.
    pub out: String,
    /// Standard error.
    pub err: String,
    /// From its start to its end.
    pub took_ms: u64,
    /// The mounts that the answer has to be about, no more and no less.
    pub mounts: Vec<Mounted>,
    /// What was there after it that was not there before: files on the server, mounts,
    /// processes.
    pub left: Vec<String>,
}

/// A file that one process holds open and another one reopens.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Held {
    /// The file on the mount.
    pub path: String,
    /// The process that holds it.
    pub holder: u32,
    /// The command that reopens it.
    pub reader: String,
}

/// What one cell measured; the host judges it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Measured {
    /// Which cell.
    pub cell: Cell,
    /// Why it could not be measured, or what else was wrong, whatever the client.
    pub error: Option<String>,
    /// Why it cannot be tried in this guest.
    pub skipped: Option<String>,
    /// The runs, in order.
    pub asked: Vec<Asked>,
    /// What was opened where the tool only looks on.
    pub held: Option<Held>,
    /// How long all of it took.
    pub took_ms: u64,
}

impl Measured {
    /// Nothing yet.
    pub fn new(cell: Cell) -> Self {
        Self {
            cell,
            error: None,
            skipped: None,
            asked: Vec::new(),
            held: None,
            took_ms: 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [NfsVersion; 3] = [NfsVersion::V40, NfsVersion::V41, NfsVersion::V42];

    fn names() -> Vec<String> {
        CASES.iter().map(|case| case.name.to_owned()).collect()
    }

    #[test]
    fn names_are_unique() {
        let mut sorted = names();
        sorted.sort();
        sorted.dedup();
        assert_eq!(sorted.len(), CASES.len());
    }

    #[test]
    fn every_cell_is_there_once() {
        let cells = cells(&names(), &ALL);
        let count = |scope| CASES.iter().filter(|case| case.scope == scope).count();
        assert_eq!(
            cells.len(),
            6 * count(Scope::Every) + 2 * count(Scope::Paths) + count(Scope::Once)
        );
        let mut sorted = cells.clone();
        sorted.sort();
        sorted.dedup();
        assert_eq!(sorted.len(), cells.len());
        // Lockdown cannot be lifted again.
        assert_eq!(cells.last().unwrap().case, "lockdown");
    }

    #[test]
    fn only_what_was_asked_for() {
        let cells = cells(&["mount".into(), "below".into()], &[NfsVersion::V42]);
        let found: Vec<_> = cells
            .iter()
            .map(|cell| (&*cell.case, cell.delegations))
            .collect();
        assert_eq!(found, [("mount", false), ("mount", true)]);
    }
}
