//! [`Report`]: all that a check has to say. Made once; text and JSON only print it.
//! The JSON is described by docs/check.schema.json.

use serde::Serialize;

use super::{
    evidence::{Evidence, FixLevel},
    options::{LookupCache, MountFacts},
    verdict::Verdict,
};

/// The answer over all mounts.
#[derive(Debug, Clone, Serialize)]
#[serde(tag = "type", rename = "check")]
pub struct Report {
    /// Version of this program.
    pub version: &'static str,
    /// Kernel release.
    pub kernel: String,
    /// Of /etc/os-release, if there is one.
    pub distribution: Option<String>,
    /// The worst of the mounts.
    pub verdict: Verdict,
    /// In one sentence.
    pub why: String,
    /// What concerns the kernel as a whole: image and release.
    pub evidence: Vec<Evidence>,
    /// Mount by mount.
    pub mounts: Vec<MountReport>,
    /// What to do, as far as it concerns no single mount.
    pub advice: Vec<String>,
}

/// The answer for one mount.
#[derive(Debug, Clone, Serialize)]
pub struct MountReport {
    /// Mount point.
    pub mount: String,
    /// Other mount points of the same super block.
    pub also_mounted_at: Vec<String>,
    /// `server:/export`
    pub server: String,
    /// `major:minor`
    pub dev: String,
    /// `4.0`, `4.1`, `4.2`
    pub nfs_version: Option<String>,
    /// NFS_CAP_ATOMIC_OPEN_V1: opens go by filehandle, and names through the full check.
    pub atomic_open_v1: Option<bool>,
    /// Mounted without close-to-open consistency.
    pub nocto: Option<bool>,
    /// `all`, `positive` or `none`.
    pub lookupcache: Option<LookupCache>,
    /// Attributes are cached.
    pub ac: Option<bool>,
    /// Shortest and longest time for which a directory's attributes are trusted, s.
    pub acdirmin: Option<u32>,
    /// See `acdirmin`.
    pub acdirmax: Option<u32>,
    /// The answer.
    pub verdict: Verdict,
    /// The fix level that this client shows on this mount.
    pub fix_level: Option<FixLevel>,
    /// In one sentence.
    pub why: String,
    /// What was done differently than announced, and which options matter.
    pub remarks: Vec<String>,
    /// What the verdict rests on, strongest first.
    pub evidence: Vec<Evidence>,
    /// Who has files of this mount open (where it is affected).
    pub holders: Vec<HolderReport>,
    /// What to do.
    pub advice: Vec<String>,
    /// How long it took.
    pub took_ms: u64,
}

/// A process that has a file open, and with it the open state that is reused.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct HolderReport {
    /// Its pid.
    pub pid: u32,
    /// Its command name.
    pub command: String,
    /// The file.
    pub path: String,
}

impl MountReport {
    /// Takes over what concerns the mount's options.
    pub fn set_facts(&mut self, facts: &MountFacts) {
        self.atomic_open_v1 = facts.atomic_open_v1;
        self.nocto = Some(facts.nocto);
        self.lookupcache = Some(facts.lookupcache);
        self.ac = Some(facts.ac);
        self.acdirmin = Some(facts.acdirmin);
        self.acdirmax = Some(facts.acdirmax);
    }
}
