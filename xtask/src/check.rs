//! The checks as one table: what nfs-trace must do in a real guest besides naming the right path.
//! The guest decides; the host prints and counts.

use serde::{Deserialize, Serialize};

/// One row of the table.
#[derive(Debug, Clone, Copy)]
pub struct Check {
    /// Name on the command line and in outcomes.
    pub name: &'static str,
    /// What is checked, in one line.
    pub what: &'static str,
}

/// The check that needs the modules of a second client.
pub const SWAP: &str = "module-swap";

const fn row(name: &'static str, what: &'static str) -> Check {
    Check { name, what }
}

/// All checks in the order they run. Those that take something away from the guest for good come
/// last.
pub const CHECKS: &[Check] = &[
    row(
        "command",
        "a command, its children and theirs are seen, nobody else; its status is passed on",
    ),
    row(
        "no-command",
        "a command that does not exist, cannot be run, or is killed",
    ),
    row("mount", "--mount shows one of two mounts"),
    row(
        "remount",
        "--mount goes on with what is mounted anew in that place, and not with what has its old number",
    ),
    row("pid", "--pid shows one of two processes"),
    row(
        "filters",
        "--comm, --path and --open-path; what they hide is counted",
    ),
    row("count", "--count ends after exactly that many rows"),
    row(
        "duration",
        "--duration ends in time; --ready-file only once armed",
    ),
    row("signals", "SIGINT and SIGTERM end cleanly"),
    row(
        "kill-9",
        "kill -9, and any other end, leaves no program and no probe that runs; what does stay in \
         tracefs before 4.17 the next start removes, beside one that lives",
    ),
    row(
        "tracefs",
        "with tracefs below debugfs alone, in its own place alone, and with none",
    ),
    row("second-instance", "two instances both see every open"),
    row(
        "record",
        "replay prints what trace did, also while it is recorded, cut short, through a pipe",
    ),
    row(
        "record-end",
        "a recorder that is killed, stopped, out of disk or without a reader: good up to there",
    ),
    row(
        "record-rotate",
        "--rotate: parts together show every open, later ones have names; --max-files bounds the disk",
    ),
    row(
        "metrics",
        "--metrics: the numbers of the rows, whole at any moment, for everybody to read",
    ),
    row(
        "wrong-usage",
        "what is not NFSv4, not there or not a process is refused",
    ),
    row(
        "no-privilege",
        "uid 1000 is told why it cannot trace, and what to do",
    ),
    row("full-disk", "a full disk is said in one sentence"),
    row(
        "closed-pipe",
        "a reader that goes away is no failure, on stdout and on stderr",
    ),
    row("stack", "--stack names the functions of the kernel"),
    row(
        "text",
        "12 rows for people: columns, words, footer, hostile names",
    ),
    row(
        "top",
        "--top on a terminal: rows, keys, sizes, modules that go, a footer; the terminal restored",
    ),
    row(
        "deep-path",
        "a path of 21 components, also after its ancestors were renamed",
    ),
    row(
        "bare",
        "the binary runs in a folder with nothing else in it",
    ),
    row(
        "layout",
        "BTF, files of it, the table, none and a wrong table: the same paths, right names or none",
    ),
    row(
        "without-probe",
        "12 sets of probes: what stands in for those withheld gives the same words, or unknown",
    ),
    row(
        "overload",
        "lost records are counted, and nothing wrong is claimed of the rest",
    ),
    row(
        "stopped",
        "a reader stopped for 5 s, one page of room: seen and lost are what the kernel says ran",
    ),
    row(
        "busy-end",
        "trace ended again and again amid opens: what our own reading keeps from running is no loss",
    ),
    row(
        "many-tasks",
        "40 opens at once: missed returns are counted, nothing wrong is claimed",
    ),
    row(
        "not-allowed",
        "a delegation does not let every user open the file: failed, not cached",
    ),
    row(
        "module-gone",
        "the client's modules unloaded while tracing: said, let go of, waited for; refused without",
    ),
    row(
        "wait-module",
        "--wait-module: started before the modules are loaded, with a mount, a command, metrics, record",
    ),
    row(
        "unit-capabilities",
        "the systemd unit's command with its capabilities alone, and with fewer",
    ),
    row(
        SWAP,
        "stock modules and ones without be189f7e by turns under one trace: the classes change",
    ),
    row("lockdown", "kernel lockdown is said to be the obstacle"),
];

/// How a check ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "verdict", content = "text", rename_all = "snake_case")]
pub enum Verdict {
    /// All is as it should be; what was measured.
    Pass(String),
    /// What was wrong.
    Fail(String),
    /// Why it could not be tried here.
    Skip(String),
}

/// The one outcome of a check.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checked {
    /// Which check.
    pub check: String,
    /// How it ended.
    #[serde(flatten)]
    pub verdict: Verdict,
    /// How long it took.
    pub took_ms: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique() {
        for (index, check) in CHECKS.iter().enumerate() {
            assert!(
                CHECKS[index + 1..]
                    .iter()
                    .all(|other| other.name != check.name)
            );
        }
    }

    #[test]
    fn an_outcome_survives_the_wire() {
        let checked = Checked {
            check: "pid".into(),
            verdict: Verdict::Fail("7 rows".into()),
            took_ms: 3,
        };
        let line = serde_json::to_string(&checked).unwrap();
        assert_eq!(serde_json::from_str::<Checked>(&line).unwrap(), checked);
    }
}
