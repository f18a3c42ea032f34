//! What `cargo xtask bench` measures: the ways an open may be watched, and the figures of each.

use serde::{Deserialize, Serialize};

/// What watches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Watch {
    /// Nothing.
    Nothing,
    /// A program that returns at once in each place that nfs-trace has one in; nobody reads.
    Floor,
    /// nfs-trace with these arguments. `PID` stands for a process that opens nothing, `MOUNT` for
    /// a mount on which nothing is opened.
    NfsTrace(&'static [&'static str]),
    /// bpftrace with one of the scripts of `xtask/bench`.
    Bpftrace(&'static str),
    /// trace-cmd with these events.
    TraceCmd(&'static [&'static str]),
}

/// One way of watching opens; a row of the table.
#[derive(Debug, Clone, Copy)]
pub struct Way {
    /// What the guest and `--way` call it.
    pub name: &'static str,
    /// What runs, for readers of the table.
    pub what: &'static str,
    /// What watches.
    pub watch: Watch,
    /// Part of `--quick`.
    pub quick: bool,
}

const fn row(name: &'static str, what: &'static str, watch: Watch, quick: bool) -> Way {
    Way {
        name,
        what,
        watch,
        quick,
    }
}

/// The base of all others.
pub const UNTRACED: &str = "untraced";
/// See [`Watch::Floor`].
pub const FLOOR: &str = "floor";
/// `nfs-trace record`.
pub const RECORD: &str = "record";
/// `nfs-trace trace --format json` to a file.
pub const TRACE: &str = "trace";
/// Filtered out.
pub const OTHER_PID: &str = "other-pid";
/// Filtered out.
pub const OTHER_MOUNT: &str = "other-mount";
/// The script that makes a row of an open.
pub const BPFTRACE: &str = "bpftrace";

/// All ways, in the order in which they are measured.
pub const WAYS: &[Way] = &[
    row(UNTRACED, "nothing", Watch::Nothing, true),
    row(FLOOR, "empty probes in the same places", Watch::Floor, true),
    row(
        RECORD,
        "nfs-trace record -o FILE",
        Watch::NfsTrace(&["record"]),
        true,
    ),
    row(
        TRACE,
        "nfs-trace trace --format json -o FILE",
        Watch::NfsTrace(&["trace", "--format", "json"]),
        true,
    ),
    row(
        OTHER_PID,
        "  --pid of another process",
        Watch::NfsTrace(&["trace", "--format", "json", "--pid", "PID"]),
        false,
    ),
    row(
        OTHER_MOUNT,
        "  --mount of another mount",
        Watch::NfsTrace(&["trace", "--format", "json", "--mount", "MOUNT"]),
        false,
    ),
    row(
        BPFTRACE,
        "bpftrace opens.bt, a line an open",
        Watch::Bpftrace("opens.bt"),
        false,
    ),
    row(
        "bpftrace-steps",
        "bpftrace steps.bt, a line a step",
        Watch::Bpftrace("steps.bt"),
        false,
    ),
    row(
        "trace-cmd",
        "trace-cmd record -e nfs -e nfs4",
        Watch::TraceCmd(&["nfs", "nfs4"]),
        false,
    ),
];

/// The way of that name.
#[must_use]
pub fn way(name: &str) -> Option<&'static Way> {
    WAYS.iter().find(|way| way.name == name)
}

/// What one way gave. A nanosecond of the guest is an instruction.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Benched {
    /// Which way.
    pub way: String,
    /// Why it could not be measured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// What was opened, where that grows.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub shape: String,
    /// Opens of each round.
    pub opens: u64,
    /// Instructions of each round, all that ran on the one processor.
    pub rounds: Vec<u64>,
    /// Nanoseconds in which the processor had nothing to do, of all rounds: these are no
    /// instructions.
    pub idle: u64,
    /// Runs of BPF programs in the round that the kernel counted them in.
    pub hits: u64,
    /// Instructions of these runs, the kernel's counting among them.
    pub hit_instructions: u64,
    /// Opens that were reported, or where the tool reports something smaller that; of all rounds.
    pub events: u64,
    /// What was lost, whatever it was.
    pub lost: u64,
    /// From start to armed, with what was waited.
    pub armed: u64,
    /// From SIGINT to the end, with what was waited.
    pub ended: u64,
}

impl Benched {
    /// Instructions for each open: the median of the rounds.
    #[must_use]
    pub fn per_open(&self) -> u64 {
        let mut rounds = self.rounds.clone();
        rounds.sort_unstable();
        rounds
            .get(rounds.len() / 2)
            .map_or(0, |all| all / self.opens.max(1))
    }

    /// Between the cheapest and the dearest round, in percent of the median.
    #[must_use]
    pub fn spread(&self) -> f64 {
        let least = self.rounds.iter().min().copied().unwrap_or(0);
        let most = self.rounds.iter().max().copied().unwrap_or(0);
        let median = (self.per_open() * self.opens).max(1);
        (most - least) as f64 * 100.0 / median as f64
    }

    /// Runs of BPF programs for each open.
    #[must_use]
    pub fn hits_per_open(&self) -> f64 {
        self.hits as f64 / self.opens.max(1) as f64
    }

    /// Instructions of a program each time that it runs.
    #[must_use]
    pub fn per_hit(&self) -> Option<u64> {
        self.hit_instructions.checked_div(self.hits)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_and_the_spread_are_of_rounds() {
        let benched = Benched {
            opens: 10,
            rounds: vec![1000, 1100, 990],
            ..Benched::default()
        };
        assert_eq!(benched.per_open(), 100);
        assert!((benched.spread() - 11.0).abs() < 1e-9);
        assert_eq!(
            (benched.per_hit(), Benched::default().per_open()),
            (None, 0)
        );
    }

    #[test]
    fn the_base_comes_first_and_names_are_unique() {
        assert_eq!(WAYS[0].name, UNTRACED);
        for (index, way) in WAYS.iter().enumerate() {
            assert!(WAYS[index + 1..].iter().all(|other| other.name != way.name));
        }
    }
}
