//! What was seen on one mount, as evidence. Pure.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::Watched;
use crate::{
    check::evidence::{Evidence, Finding, FixLevel, Kind},
    trace::OpenPath,
};

/// An open as evidence names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sighting {
    /// The mount's s_dev, 0 if it could not be read.
    pub dev: u32,
    /// Mount point and path.
    pub file: String,
    /// The opener's command name.
    pub command: String,
    /// The opener.
    pub pid: u32,
    /// When the open began.
    pub time: Timestamp,
}

impl Sighting {
    pub(super) fn new(path: &OpenPath, mount: &Watched, clock_offset_ns: i64) -> Self {
        let wall = i128::from(path.start_ns) + i128::from(clock_offset_ns);
        let name = path.path.as_deref();
        let point = mount.point.trim_end_matches('/');
        let file = match (name, path.fileid) {
            (Some(name), _) if mount.dev == 0 => name.to_string(),
            (Some(name), _) => format!("{point}/{name}"),
            (None, Some(fileid)) => format!("the file with fileid {fileid}"),
            (None, None) => "a file".to_string(),
        };
        Self {
            dev: path.dev,
            file,
            command: path.comm.to_string(),
            pid: path.tgid,
            time: Timestamp::from_nanosecond(wall).unwrap_or_default(),
        }
    }

    fn text(&self) -> String {
        let Self {
            file, command, pid, ..
        } = self;
        let time = self.time.strftime("%FT%T%.3fZ");
        format!("{file}, opened by {command} (pid {pid}) at {time}")
    }
}

/// Why an OPEN for a file that is held does not prove that the client had to send none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Doubt {
    /// The file may have been closed before.
    NotHeldThroughout,
    /// By the process that holds it.
    OpenedByHolder,
    /// The opener was gone before its user could be read.
    OpenerUnknown,
    /// There was no room for all opens.
    TooMany,
}

impl Doubt {
    fn word(self) -> &'static str {
        match self {
            Self::NotHeldThroughout => "of a file that may have been closed before",
            Self::OpenedByHolder => {
                "by the very process that holds the file, and may have closed it before"
            }
            Self::OpenerUnknown => "by a process whose user could not be told in time",
            Self::TooMany => "among more opens than this program keeps",
        }
    }
}

/// What was seen on one mount.
#[derive(Default)]
pub(super) struct Tally {
    pub(super) opens: u64,
    pub(super) cached: u64,
    pub(super) first_cached: Option<Sighting>,
    pub(super) delegated: u64,
    pub(super) incomplete: u64,
    /// Reopens that went to the server, proven to be such.
    pub(super) wire: u64,
    /// The first of them, and the pid of a holder.
    pub(super) first_wire: Option<(Sighting, u32)>,
    /// The same, of files that were held before the first open was seen.
    pub(super) assumed: u64,
    /// The first of them, and the pid of a holder.
    pub(super) first_assumed: Option<(Sighting, u32)>,
    /// The same, but it is doubtful as whom the held file was opened.
    pub(super) likely: u64,
    pub(super) doubts: BTreeMap<Doubt, u64>,
    /// The lowest level that an open showed.
    pub(super) level: Option<FixLevel>,
    /// A holder's inode is not told.
    pub(super) no_inodes: bool,
}

impl Tally {
    pub(super) fn doubt(&mut self, doubt: Doubt) {
        *self.doubts.entry(doubt).or_default() += 1;
    }

    pub(super) fn evidence(&self) -> Evidence {
        if let Some(first) = &self.first_cached {
            return self.affected(first);
        }
        if let Some((first, holder)) = &self.first_wire {
            return self.not_affected(first, *holder);
        }
        if let Some((first, holder)) = &self.first_assumed {
            return self.assumed(first, *holder);
        }
        if self.likely > 0 {
            return self.likely();
        }
        self.nothing()
    }

    fn affected(&self, first: &Sighting) -> Evidence {
        let more = match self.cached {
            1 => String::new(),
            cached => format!("; {} more like it", cached - 1),
        };
        evidence(
            count(self.opens, "open"),
            format!("{}: no OPEN was sent for it{more}", first.text()),
            Finding::Affected,
            Some(FixLevel::None),
            "proves that this client serves an ordinary open from its own open state, without \
             asking the server for the file",
        )
    }

    fn not_affected(&self, first: &Sighting, holder: u32) -> Evidence {
        let first = first.text();
        evidence(
            format!(
                "{} of files that the same user had open in the same mode",
                count(self.wire, "open")
            ),
            format!("an OPEN was sent for every one; the first: {first}, held by pid {holder}"),
            Finding::NotAffected,
            self.level,
            "proves that this client sends an OPEN for a file that is already open: an affected \
             one would have sent none",
        )
    }

    /// A process may hold what another user has opened. That is rare, it would have to be so
    /// for every one of these files, and whoever reads the verdict is told.
    fn assumed(&self, first: &Sighting, holder: u32) -> Evidence {
        let first = first.text();
        evidence(
            format!(
                "{} of files that the same user had open in the same mode",
                count(self.assumed, "open")
            ),
            format!(
                "an OPEN was sent for every one; the first: {first}, held by pid {holder} since \
                 before{}",
                self.remarks()
            ),
            Finding::NotAffected,
            self.level,
            "proves that this client sends an OPEN for a file that is already open, unless every \
             one of these files had been opened by another user than the process that holds it \
             is now (a descriptor that was handed on, a daemon that changed users): the \
             self-test leaves no such doubt",
        )
    }

    fn likely(&self) -> Evidence {
        evidence(
            format!(
                "{} of files that the same user held open in the same mode",
                count(self.likely, "open")
            ),
            format!(
                "an OPEN was sent for every one, but who had opened the held file, and how, was \
                 not seen{}",
                self.remarks()
            ),
            Finding::PointsToNotAffected,
            None,
            "proves nothing: an affected client sends these OPENs too if the held file was \
             opened by another user or under a delegation",
        )
    }

    fn nothing(&self) -> Evidence {
        let means = if self.no_inodes {
            "proves nothing: this kernel (before 5.14) does not tell which file a process \
             holds, so OPENs that are sent say nothing here; the self-test does"
        } else {
            "proves nothing: no open was seen that had to choose. It takes a file that is held \
             open and opened again by another process of the same user in the same mode"
        };
        evidence(
            count(self.opens, "open"),
            format!(
                "none of a file that the same user was seen to hold open in the same mode{}",
                self.remarks()
            ),
            Finding::Nothing,
            None,
            means,
        )
    }

    /// What else was seen, and proves nothing.
    fn remarks(&self) -> String {
        let mut text = String::new();
        if self.delegated > 0 {
            let served = match self.delegated {
                1 => "1 open was served by a delegation, legally: it proves nothing".to_string(),
                many => {
                    format!("{many} opens were served by delegations, legally: they prove nothing")
                }
            };
            text.push_str(&format!("; {served}"));
        }
        for (doubt, times) in &self.doubts {
            let opens = count(*times, "OPEN");
            text.push_str(&format!("; not counted: {opens} {}", doubt.word()));
        }
        text
    }
}

fn evidence(
    looked_at: String,
    seen: String,
    finding: Finding,
    fix_level: Option<FixLevel>,
    means: &str,
) -> Evidence {
    Evidence {
        kind: Kind::Observed,
        looked_at,
        seen,
        finding,
        fix_level,
        means: means.to_string(),
    }
}

fn count(number: u64, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}
