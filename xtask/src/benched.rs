//! What `cargo xtask bench` measures: the ways an open may be watched, and the figures of each.

use serde::{Deserialize, Serialize};

/// One way of watching opens; a row of the table.
pub struct Way {
    /// What the guest and `--way` call it.
    pub name: &'static str,
    /// What runs, for readers of the table.
    pub what: &'static str,
    /// Arguments of nfs-trace; none where nothing runs. `PID` stands for a process that opens
    /// nothing.
    pub arguments: Option<&'static [&'static str]>,
}

/// All ways. The first one is the base of the others.
pub const WAYS: &[Way] = &[
    Way {
        name: "untraced",
        what: "nothing",
        arguments: None,
    },
    Way {
        name: "trace",
        what: "nfs-trace trace --format json -o FILE",
        arguments: Some(&["trace", "--format", "json"]),
    },
    Way {
        name: "other-pid",
        what: "the same, --pid of another process",
        arguments: Some(&["trace", "--format", "json", "--pid", "PID"]),
    },
];

/// What one way gave. A nanosecond of the guest is an instruction.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Benched {
    /// Which way.
    pub way: String,
    /// Opens of each round.
    pub opens: u64,
    /// Instructions of each round, all that ran on the one processor.
    pub rounds: Vec<u64>,
    /// Runs of BPF programs in the round that the kernel counted them in.
    pub hits: u64,
    /// Instructions of these runs, the kernel's counting among them.
    pub hit_instructions: u64,
    /// Opens that were reported, of all rounds.
    pub events: u64,
    /// What was lost, whatever it was.
    pub lost: u64,
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
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_and_the_spread_are_of_rounds() {
        let benched = Benched {
            way: "trace".into(),
            opens: 10,
            rounds: vec![1000, 1100, 990],
            hits: 0,
            hit_instructions: 0,
            events: 30,
            lost: 0,
        };
        assert_eq!(benched.per_open(), 100);
        assert!((benched.spread() - 11.0).abs() < 1e-9);
    }
}
