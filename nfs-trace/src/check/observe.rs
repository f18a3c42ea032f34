//! Opens of others -> what they prove, for each mount. Pure.
//!
//! One cached open proves "affected". An OPEN on the wire proves the contrary only if an
//! affected client would have sent none: the file was open all the time, in the same mode,
//! opened by the same user with an OPEN of its own, by the same dentry, and nothing (O_TRUNC,
//! O_EXCL) called for another one. Whether it was open is told by scans of /proc before and
//! after; as whom it was opened, only by having seen that: a process may have changed users
//! since, or been handed the descriptor (a daemon's log file, `sudo cmd <file`).

mod held;
mod words;

use std::collections::{BTreeMap, HashMap};

pub use self::words::Sighting;
use self::{
    held::{Held, Kept, Opens, Owner, Snapshot, Target},
    words::{Doubt, Tally},
};
use super::{
    evidence::Evidence,
    holders::{Cred, Holder},
    level::{Ground, level_shown},
};
use crate::trace::{Gap, OpenPath, PathWord};

/// OPENs of held files that wait for the next scan.
const CANDIDATES_AT_MOST: usize = 65_536;
/// include/uapi/asm-generic/fcntl.h
const O_EXCL: u32 = 0o200;
const O_TRUNC: u32 = 0o1000;

/// A mount to judge.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Watched {
    /// s_dev.
    pub dev: u32,
    /// Where it is mounted, safe to show.
    pub point: String,
    /// How its opens are to be read.
    pub ground: Ground,
}

/// What was seen on a mount.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Observed {
    /// What it proves.
    pub evidence: Evidence,
    /// Opens whose evidence is incomplete; none of them counted.
    pub incomplete: u64,
}

/// Takes opens and scans of holders, by the times of both.
pub struct Observer {
    clock_offset_ns: i64,
    mounts: BTreeMap<u32, (Watched, Tally)>,
    last: Option<Snapshot>,
    opens: Opens,
    candidates: Vec<Candidate>,
}

/// An OPEN for a file that somebody held at the last scan.
struct Candidate {
    target: Target,
    /// Nothing if the opener or the dentry is not known.
    owner: Option<Owner>,
    start_ns: u64,
    end_ns: u64,
    /// Kept as long as it may be the first.
    sighting: Option<Sighting>,
}

#[derive(Clone, Copy)]
enum Outcome {
    /// An affected client would have sent no OPEN.
    Proven {
        holder: u32,
    },
    /// The same, if the holder opened the file as what it is now: it did so before the
    /// first open was seen.
    Assumed {
        holder: u32,
    },
    /// The same, but there is reason to doubt it.
    Likely,
    /// Of another user, or another file.
    NoReopen,
    Doubt(Doubt),
}

impl Observer {
    /// `clock_offset_ns`: CLOCK_REALTIME minus CLOCK_MONOTONIC. Opens on other mounts than
    /// these are left out; those whose mount could not be read are judged as of device 0.
    #[must_use]
    pub fn new(mounts: Vec<Watched>, clock_offset_ns: i64) -> Self {
        let nowhere = Watched {
            dev: 0,
            point: String::new(),
            // Shows no level.
            ground: Ground {
                atomic_open_v1: None,
                inode_check: false,
            },
        };
        Self {
            clock_offset_ns,
            mounts: mounts
                .into_iter()
                .chain([nowhere])
                .map(|mount| (mount.dev, (mount, Tally::default())))
                .collect(),
            last: None,
            opens: Opens::default(),
            candidates: Vec::new(),
        }
    }

    /// Takes an open. `opener`: who its thread was, if that could be read.
    pub fn open(&mut self, path: &OpenPath, opener: Option<&Cred>) {
        let Some((mount, tally)) = self.mounts.get_mut(&path.dev) else {
            return;
        };
        tally.opens += 1;
        if !path.complete() {
            tally.incomplete += u64::from(something_is_missing(&path.gaps, path.open_path));
            note(&mut self.opens, path, None);
            return;
        }
        let owner = opener.filter(|_| path.dentry.is_known()).map(|cred| Owner {
            cred: cred.clone(),
            dentry: path.dentry,
        });
        match path.open_path {
            PathWord::Cached => {
                tally.cached += 1;
                tally
                    .first_cached
                    .get_or_insert_with(|| Sighting::new(path, mount, self.clock_offset_ns));
            }
            PathWord::Delegated => tally.delegated += 1,
            PathWord::Wire | PathWord::Atomic => {
                let shown = level_shown(path, mount.ground);
                tally.level = tally.level.into_iter().chain(shown).min();
            }
            PathWord::Failed | PathWord::Unknown => {}
        }
        let sent = matches!(path.open_path, PathWord::Wire | PathWord::Atomic);
        note(&mut self.opens, path, owner.as_ref().filter(|_| sent));

        let held = |target: &Target| self.last.as_ref().is_some_and(|last| last.holds(*target));
        let Some(target) = may_be_reopen(path).filter(held) else {
            return;
        };
        let after_scan = self
            .last
            .as_ref()
            .is_some_and(|last| path.start_ns > last.end_ns);
        if !after_scan {
            tally.doubt(Doubt::NotHeldThroughout);
        } else if self.candidates.len() == CANDIDATES_AT_MOST {
            tally.doubt(Doubt::TooMany);
        } else {
            let is_first = tally.first_wire.is_none() || tally.first_assumed.is_none();
            self.candidates.push(Candidate {
                target,
                owner,
                start_ns: path.start_ns,
                end_ns: path.end_ns,
                sighting: is_first.then(|| Sighting::new(path, mount, self.clock_offset_ns)),
            });
        }
    }

    /// Takes a scan of the holders of these mounts, which began and ended then (ns of
    /// CLOCK_MONOTONIC). The first one belongs before the first open, the last one behind the
    /// last. All opens that ended before the scan did must have been taken: scan first,
    /// then empty the ring buffer, then call this.
    pub fn scan(&mut self, begin_ns: u64, end_ns: u64, holders: &[Holder]) {
        for holder in holders.iter().filter(|holder| holder.ino.is_none()) {
            if let Some((_, tally)) = self.mounts.get_mut(&holder.dev) {
                tally.no_inodes = true;
            }
        }
        let last = self.last.take();
        let next = Snapshot::new((begin_ns, end_ns), holders, last.as_ref(), &self.opens);
        if let Some(last) = &last {
            self.judge(last, &next);
        }
        self.opens.forget_before(begin_ns);
        self.last = Some(next);
    }

    /// The first open that was served from cached open state, which is all that "affected"
    /// takes.
    #[must_use]
    pub fn first_cached(&self) -> Option<&Sighting> {
        let tallies = self.mounts.values().map(|(_, tally)| tally);
        tallies
            .filter_map(|tally| tally.first_cached.as_ref())
            .min_by_key(|sighting| sighting.time)
    }

    /// What was seen, by s_dev: each mount, and device 0 if the mount of any open could not
    /// be read.
    #[must_use]
    pub fn finish(mut self) -> BTreeMap<u32, Observed> {
        for candidate in std::mem::take(&mut self.candidates) {
            self.count(candidate, Outcome::Doubt(Doubt::NotHeldThroughout));
        }
        let mounts = self.mounts.into_iter();
        mounts
            .filter(|(dev, (_, tally))| *dev != 0 || tally.opens > 0)
            .map(|(dev, (_, tally))| {
                let observed = Observed {
                    evidence: tally.evidence(),
                    incomplete: tally.incomplete,
                };
                (dev, observed)
            })
            .collect()
    }

    /// Judges the OPENs between two scans.
    fn judge(&mut self, last: &Snapshot, next: &Snapshot) {
        let mut kept: HashMap<Target, Kept> = HashMap::new();
        for candidate in std::mem::take(&mut self.candidates) {
            if candidate.start_ns > next.end_ns {
                // Came while the ring buffer was emptied: the next scan's.
                self.candidates.push(candidate);
                continue;
            }
            let outcome = if candidate.end_ns >= next.begin_ns {
                Outcome::Doubt(Doubt::NotHeldThroughout)
            } else if !self.opens.all_told() {
                Outcome::Doubt(Doubt::TooMany)
            } else {
                let target = candidate.target;
                let kept = kept
                    .entry(target)
                    .or_insert_with(|| last.kept(next, target, &self.opens));
                outcome(&candidate, kept)
            };
            self.count(candidate, outcome);
        }
    }

    fn count(&mut self, candidate: Candidate, outcome: Outcome) {
        let Some((_, tally)) = self.mounts.get_mut(&candidate.target.dev) else {
            return;
        };
        match outcome {
            Outcome::Proven { holder } => {
                tally.wire += 1;
                if tally.first_wire.is_none() {
                    tally.first_wire = candidate.sighting.map(|sighting| (sighting, holder));
                }
            }
            Outcome::Assumed { holder } => {
                tally.assumed += 1;
                if tally.first_assumed.is_none() {
                    tally.first_assumed = candidate.sighting.map(|sighting| (sighting, holder));
                }
            }
            Outcome::Likely => tally.likely += 1,
            Outcome::NoReopen => {}
            Outcome::Doubt(doubt) => tally.doubt(doubt),
        }
    }
}

/// Whether more is missing than what lies outside: the beginning of an open that was running
/// when the observation began, or an end in the VFS, which refused it.
#[must_use]
pub fn something_is_missing(gaps: &[Gap], open_path: PathWord) -> bool {
    let outside = |gap: &Gap| match gap {
        Gap::BeganBefore => true,
        Gap::EndNotSeen => open_path == PathWord::Failed,
        Gap::RecordLost | Gap::ReturnMissed | Gap::Unjoined => false,
    };
    !gaps.iter().all(outside)
}

/// The file and mode of an OPEN that an affected client would not send if the file is open.
fn may_be_reopen(path: &OpenPath) -> Option<Target> {
    // Not `atomic`: where no name is cached, every client sends an OPEN. Nor a retry.
    let plain =
        path.open_path == PathWord::Wire && path.result == Some(0) && path.stale_retries == 0;
    let flags = path.flags.filter(|flags| flags & (O_EXCL | O_TRUNC) == 0)?;
    let fileid = path.fileid.filter(|_| plain)?;
    Some(Target::new(path.dev, fileid, flags))
}

fn note(opens: &mut Opens, path: &OpenPath, owner: Option<&Owner>) {
    // What failed has left nothing open; of what has no end that is not known.
    if path.result.is_some_and(|result| result != 0) {
        return;
    }
    let Some(fileid) = path.fileid else {
        return;
    };
    match path.flags {
        Some(flags) => {
            let target = Target::new(path.dev, fileid, flags);
            opens.note(target, path.tgid, owner, path.end_ns);
        }
        None => {
            for mode in 0..=2 {
                let target = Target::new(path.dev, fileid, mode);
                opens.note(target, path.tgid, None, path.end_ns);
            }
        }
    }
}

fn outcome(candidate: &Candidate, kept: &Kept) -> Outcome {
    let held = match kept {
        Kept::No => return Outcome::Doubt(Doubt::NotHeldThroughout),
        Kept::Reopened => return Outcome::Doubt(Doubt::OpenedByHolder),
        Kept::By(held) => held,
    };
    let Some(opener) = &candidate.owner else {
        return Outcome::Doubt(Doubt::OpenerUnknown);
    };
    let same = |held: &Held| held.owner.as_ref() == Some(opener);
    if let Some((holder, _)) = held.iter().find(|(_, held)| same(held)) {
        return Outcome::Proven { holder: *holder };
    }
    let may_be_same = |held: &Held| held.owner.is_none() && held.cred == opener.cred;
    let before = |held: &Held| held.since_before && may_be_same(held);
    if let Some((holder, _)) = held.iter().find(|(_, held)| before(held)) {
        return Outcome::Assumed { holder: *holder };
    }
    if held.iter().any(|(_, held)| may_be_same(held)) {
        return Outcome::Likely;
    }
    Outcome::NoReopen
}

#[cfg(test)]
mod tests;
