//! What `nfs-trace check --format json` prints, as its schema promises it. A field that is missing
//! or has another type is a failure, so every field is here, also those that nobody judges.

use std::fmt;

use anyhow::{Context as _, Result, ensure};
use lab_contract::protocol::NfsVersion;
use serde::Deserialize;

/// The one object.
#[derive(Debug, Deserialize)]
pub(crate) struct Report {
    #[serde(rename = "type")]
    kind: String,
    version: String,
    kernel: String,
    pub(crate) verdict: Verdict,
    pub(crate) why: String,
    pub(crate) evidence: Vec<Evidence>,
    pub(crate) mounts: Vec<Mount>,
    #[serde(rename = "advice")]
    _advice: Vec<String>,
}

/// The answer for one mount.
#[derive(Debug, Deserialize)]
pub(crate) struct Mount {
    pub(crate) mount: String,
    pub(crate) server: String,
    #[serde(rename = "dev")]
    _dev: String,
    pub(crate) nfs_version: NfsVersion,
    /// Null where the kernel does not tell.
    #[serde(deserialize_with = "Option::deserialize")]
    pub(crate) atomic_open_v1: Option<bool>,
    #[serde(rename = "nocto")]
    _nocto: bool,
    #[serde(rename = "lookupcache")]
    _lookupcache: String,
    #[serde(rename = "ac")]
    _ac: bool,
    #[serde(rename = "acdirmin")]
    _acdirmin: u64,
    #[serde(rename = "acdirmax")]
    _acdirmax: u64,
    pub(crate) verdict: Verdict,
    #[serde(deserialize_with = "Option::deserialize")]
    pub(crate) fix_level: Option<Level>,
    pub(crate) why: String,
    pub(crate) evidence: Vec<Evidence>,
    pub(crate) holders: Vec<Holder>,
    pub(crate) advice: Vec<String>,
    pub(crate) took_ms: u64,
}

/// One item of evidence.
#[derive(Debug, Deserialize)]
pub(crate) struct Evidence {
    pub(crate) kind: Kind,
    pub(crate) looked_at: String,
    pub(crate) seen: String,
    pub(crate) finding: Finding,
    #[serde(rename = "fix_level", deserialize_with = "Option::deserialize")]
    _fix_level: Option<Level>,
    pub(crate) means: String,
}

/// A process that has the file open.
#[derive(Debug, Deserialize)]
pub(crate) struct Holder {
    pub(crate) pid: u32,
    #[serde(rename = "command")]
    _command: String,
    pub(crate) path: String,
}

/// The answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Verdict {
    NotAffected,
    Affected,
    Inconclusive,
}

/// The fix levels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Level {
    None,
    Be189f7e,
    Full,
}

/// Where a piece of evidence comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Kind {
    Observed,
    SelfTest,
    Image,
    Release,
}

/// What a piece of evidence says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Finding {
    Affected,
    NotAffected,
    PointsToAffected,
    PointsToNotAffected,
    Nothing,
}

impl Verdict {
    /// The exit status that says it.
    pub(crate) fn status(self) -> i32 {
        match self {
            Self::NotAffected => 0,
            Self::Affected => 2,
            Self::Inconclusive => 3,
        }
    }

    /// The finding that decides for it.
    pub(crate) fn proof(self) -> Option<Finding> {
        match self {
            Self::NotAffected => Some(Finding::NotAffected),
            Self::Affected => Some(Finding::Affected),
            Self::Inconclusive => None,
        }
    }

    /// One affected mount is enough, "not affected" needs all of them.
    pub(crate) fn overall(verdicts: &[Self]) -> Self {
        if verdicts.contains(&Self::Affected) {
            Self::Affected
        } else if verdicts.is_empty() || verdicts.contains(&Self::Inconclusive) {
            Self::Inconclusive
        } else {
            Self::NotAffected
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::NotAffected => "not_affected",
            Self::Affected => "affected",
            Self::Inconclusive => "inconclusive",
        })
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::None => "none",
            Self::Be189f7e => "be189f7e",
            Self::Full => "full",
        })
    }
}

impl Evidence {
    /// What it says in words.
    pub(crate) fn text(&self) -> String {
        format!("{}; {}; {}\n", self.looked_at, self.seen, self.means)
    }
}

impl Report {
    /// Reads what a run printed: one object, on one line.
    pub(crate) fn read(out: &str) -> Result<Self> {
        let mut lines = out.lines();
        let line = lines
            .next()
            .context("find the report: nothing was printed")?;
        ensure!(lines.next().is_none(), "the report is not one line");
        let report: Self =
            serde_json::from_str(line).with_context(|| format!("read the report {line}"))?;
        ensure!(
            report.kind == "check",
            "the type of the report is {}",
            report.kind
        );
        ensure!(
            !report.version.is_empty() && !report.kernel.is_empty(),
            "the report does not name its version and kernel: {line}"
        );
        Ok(report)
    }

    /// All that it says in words.
    pub(crate) fn text(&self) -> String {
        let mut text = format!("{}\n", self.why);
        text.extend(self.evidence.iter().map(Evidence::text));
        for mount in &self.mounts {
            text += &format!("{}\n{}", mount.why, mount.evidence_text());
        }
        text
    }
}

impl Mount {
    /// What its evidence says in words.
    pub(crate) fn evidence_text(&self) -> String {
        self.evidence.iter().map(Evidence::text).collect()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::{super::tests::report, *};

    #[test]
    fn reads_what_the_schema_promises() {
        let report = Report::read(&report(&json!({})).to_string()).unwrap();
        assert_eq!(report.mounts[0].fix_level, Some(Level::None));
        assert!(report.text().contains("served from cached open state"));
    }

    #[test]
    fn every_field_is_wanted_null_or_not() {
        let whole = report(&json!({}));
        let without = |pointer: &str, field: &str| {
            let mut report = whole.clone();
            let object = report
                .pointer_mut(pointer)
                .and_then(Value::as_object_mut)
                .unwrap();
            assert!(object.remove(field).is_some());
            Report::read(&report.to_string())
        };
        for place in [
            "",
            "/mounts/0",
            "/mounts/0/evidence/0",
            "/mounts/0/holders/0",
        ] {
            let object = whole.pointer(place).and_then(Value::as_object).unwrap();
            for field in object.keys() {
                assert!(without(place, field).is_err(), "{place}/{field}");
            }
        }
    }

    #[test]
    fn one_object_on_one_line() {
        assert!(Report::read("").is_err());
        let line = report(&json!({})).to_string();
        assert!(Report::read(&format!("{line}\n")).is_ok());
        assert!(Report::read(&format!("{line}\n{line}\n")).is_err());
    }
}
