//! The lines between host and guest: the job goes in as a file of the initramfs, messages come out
//! as JSON, one a line, on the second serial port.

use std::{collections::BTreeMap, fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use crate::{
    benched::Benched, check::Checked, cure::Cured, mountstats::OpCount, trace::Trace,
    verdicts::Measured,
};

/// Where the job lies in the initramfs.
pub const JOB_PATH: &str = "/lab/job.json";
/// Where nfs-trace lies in the initramfs.
pub const TRACER_PATH: &str = "/usr/bin/nfs-trace";
/// The modules to load: one line each, path and parameters, in load order.
pub const MODULES_PATH: &str = "/lab/modules";
/// Modules of a second client in the guest, for checks that change from one to the other.
pub const SWAP_PATH: &str = "/lab/swap";
/// Up to this many opens an outcome carries the rows themselves.
pub const ROWS_AT_MOST: usize = 200;

/// A minor version of NFSv4, as mount's `vers=` takes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum NfsVersion {
    /// NFSv4.0
    V40,
    /// NFSv4.1
    V41,
    /// NFSv4.2
    V42,
}

impl fmt::Display for NfsVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::V40 => "4.0",
            Self::V41 => "4.1",
            Self::V42 => "4.2",
        })
    }
}

impl FromStr for NfsVersion {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "4.0" => Ok(Self::V40),
            "4.1" => Ok(Self::V41),
            "4.2" => Ok(Self::V42),
            _ => Err(format!("unknown NFS version `{text}`: use 4.0, 4.1 or 4.2")),
        }
    }
}

impl TryFrom<String> for NfsVersion {
    type Error = String;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<NfsVersion> for String {
    fn from(version: NfsVersion) -> Self {
        version.to_string()
    }
}

/// What the guest is started for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// Say `ready` and power off: does this accelerator run guests at all?
    Probe,
    /// Run scenarios.
    Run,
    /// Run the checks.
    Check,
    /// Ask `nfs-trace check` for verdicts.
    Verdicts,
    /// Count the instructions of opens.
    Bench,
    /// The same, of more and more of something.
    Growth,
    /// Give a prompt.
    Shell,
}

/// What the host asks for.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Job {
    /// What the guest is started for.
    pub mode: Mode,
    /// NFS versions, each mounted in turn.
    pub versions: Vec<NfsVersion>,
    /// Names of scenarios, run in this order on each version; or of checks or
    /// cases, run in this order.
    pub scenarios: Vec<String>,
    /// Whether nfs-trace runs beside each scenario.
    pub tracer: bool,
    /// Whether the raw records of small scenarios are wanted, for replay tests.
    #[serde(default)]
    pub capture: bool,
    /// How nfs-trace is to get its records; as it finds best if nothing is asked for.
    #[serde(default)]
    pub transport: Option<String>,
    /// Where nfs-trace is to take its layout from; the same holds.
    #[serde(default)]
    pub layout: Option<String>,
}

/// One line from the guest.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Message {
    /// The server is up.
    Ready(Ready),
    /// Something worth showing.
    Log {
        /// One line.
        text: String,
    },
    /// What a benchmark does next: the last of it is shown if nothing follows.
    Next {
        /// In words.
        what: String,
    },
    /// A scenario starts (its time-out with it).
    Begin {
        /// Which scenario.
        scenario: String,
        /// On which version.
        version: NfsVersion,
    },
    /// One check is over.
    Checked(Checked),
    /// One case in one place is over.
    Measured(Box<Measured>),
    /// One way of watching opens was measured.
    Benched(Benched),
    /// One scenario on one version is over.
    Outcome(Box<Outcome>),
    /// The guest cannot go on.
    Failed {
        /// The whole chain of causes.
        error: String,
    },
    /// All outcomes were sent.
    Done,
}

/// What the guest is.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Ready {
    /// `uname -r`
    pub release: String,
    /// Modules in load order.
    pub modules: Vec<String>,
    /// Milliseconds since the kernel started.
    pub uptime_ms: u64,
}

/// Equal results in a row.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Run {
    /// What was read, or the error of the open.
    pub what: String,
    /// How often in a row.
    pub times: u64,
}

/// What the workload itself saw; it prints this on its standard output.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Workload {
    /// open(2) calls on the mount; none where a foreign program made some.
    pub opens: Option<u64>,
    /// What was read, in order (in `storm`: sums).
    pub reads: Vec<Run>,
    /// What came of each cure of `workaround`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub cures: Vec<Cured>,
}

/// What one scenario on one version measured; the host judges it.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Outcome {
    /// Which scenario.
    pub scenario: String,
    /// On which version; always there, optional only for `Default`.
    pub version: Option<NfsVersion>,
    /// Why it could not be measured.
    pub error: Option<String>,
    /// Why it cannot be tried in this guest.
    #[serde(default)]
    pub skipped: Option<String>,
    /// What the workload saw.
    pub workload: Workload,
    /// How the kernel's own counters moved.
    pub mountstats: BTreeMap<String, OpCount>,
    /// What nfs-trace reported; none without it.
    pub trace: Option<Trace>,
    /// What nfs-trace recorded, in hexadecimal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub capture: Option<String>,
    /// Time of the workload alone.
    pub workload_ms: u64,
    /// Time from arming nfs-trace to its end, with the workload.
    pub total_ms: u64,
}

impl Workload {
    /// Appends one result, joining equal neighbours.
    pub fn push(&mut self, what: &str) {
        match self.reads.last_mut() {
            Some(run) if run.what == what => run.times += 1,
            _ => self.reads.push(Run {
                what: what.to_owned(),
                times: 1,
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_neighbours_become_one_run() {
        let mut workload = Workload::default();
        for what in ["old", "old", "new", "old"] {
            workload.push(what);
        }
        let runs: Vec<_> = workload
            .reads
            .iter()
            .map(|run| (&*run.what, run.times))
            .collect();
        assert_eq!(runs, [("old", 2), ("new", 1), ("old", 1)]);
    }

    #[test]
    fn messages_are_one_tagged_line() {
        let line = serde_json::to_string(&Message::Log {
            text: "a\nb".into(),
        })
        .unwrap();
        assert_eq!(line, r#"{"type":"log","text":"a\nb"}"#);
        assert!(matches!(
            serde_json::from_str(r#"{"type":"begin","scenario":"reopen","version":"4.1"}"#),
            Ok(Message::Begin {
                version: NfsVersion::V41,
                ..
            })
        ));
        assert!(serde_json::from_str::<Message>(r#"{"type":"begin","version":"3"}"#).is_err());
    }
}
