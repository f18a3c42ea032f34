//! The end of a trace: how many opens of which kind, and everything that was lost.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{
    row::{Row, Rpcs},
    trace::{NameCheck, PathWord, Signals},
};

/// What the kernel side counted.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct KernelCounts {
    /// OPENs outside traced paths (state recovery, delegation return, opens that the
    /// filters left out).
    pub open_elsewhere: u64,
    /// LOOKUPs outside traced paths.
    pub lookup_elsewhere: u64,
    /// Opens that were running when tracing began.
    pub running_at_start: u64,
    /// Calls that had not come back when tracing ended.
    pub running_at_end: u64,
    /// Records that found no room.
    pub records: u64,
    /// The same by CPU, those where it happened.
    pub lost_by_cpu: BTreeMap<u32, u64>,
    /// Times that the kernel did not run a program.
    pub skipped: u64,
    /// Calls whose return was never seen.
    pub returns: u64,
    /// Children of the traced command that found no room.
    pub children: u64,
    /// Per program.
    pub programs: BTreeMap<String, ProgramCounts>,
}

/// What one program counted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProgramCounts {
    /// Times it ran while armed.
    pub hits: u64,
    /// Records of it that found no room.
    pub lost: u64,
}

/// Counts over all rows that were shown, and what is missing.
#[derive(Debug, Clone)]
pub struct Summary {
    signals: Signals,
    opens: u64,
    by_open_path: [u64; PathWord::ALL.len()],
    by_name_check: [u64; NameCheck::ALL.len()],
    stale_retries: u64,
    incomplete: u64,
    hidden: u64,
    rpcs: (u64, u64),
    hidden_rpcs: (u64, u64),
    /// Records that arrived.
    pub events: u64,
    /// Records that could not be decoded.
    pub undecodable: u64,
    /// OPENs and LOOKUPs that reconstruction found to be in no open of a file.
    pub outside_paths: (u64, u64),
    /// How often the client's modules went.
    pub reloads: Reloads,
    /// What the kernel side counted.
    pub kernel: KernelCounts,
    /// What a replay did not get to read.
    pub unread: Unread,
}

/// What a replay did not get to read of a recording.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Unread {
    /// Earlier parts of it were not given.
    pub earlier_parts: bool,
    /// Later parts of it were not given.
    pub later_parts: bool,
    /// It has no end: it is still being written, or was cut short.
    pub no_end: bool,
    /// Damaged places.
    pub places: u64,
    /// Bytes there.
    pub bytes: u64,
    /// Records that are known to be missing.
    pub records: u64,
}

impl Unread {
    /// Whether it is damaged, or cut short.
    #[must_use]
    pub fn is_damaged(&self) -> bool {
        self.no_end || self.places > 0
    }
}

/// The client's modules, unloaded and loaded again.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Reloads {
    /// Times that probes went with a module.
    pub gone: u64,
    /// Times that all was attached again.
    pub attached: u64,
    /// From the news that the modules were back until then, together: opens in that time were
    /// not seen.
    pub unseen_ms: u64,
}

/// The JSON line of type `end`.
#[derive(Debug, Clone, Serialize)]
pub struct End {
    /// Rows shown.
    pub opens: u64,
    /// Rows by open path; every word is there.
    pub by_open_path: BTreeMap<PathWord, u64>,
    /// Rows by name check, those that occurred.
    pub by_name_check: BTreeMap<NameCheck, u64>,
    /// EOPENSTALE returns inside the rows.
    pub stale_retries: u64,
    /// Rows whose evidence is incomplete.
    pub incomplete: u64,
    /// Opens that the user-space filters left out.
    pub hidden: u64,
    /// RPCs in the rows, and all others that were seen.
    pub rpcs: EndRpcs,
    /// Records that arrived.
    pub events: u64,
    /// Opens that were running when tracing began, and are not shown.
    pub running_at_start: u64,
    /// Calls that had not come back when tracing ended: opens that wait, not shown.
    pub running_at_end: u64,
    /// What is missing; all zero in a trace to rely on.
    pub lost: Lost,
    /// Records that found no room, by CPU, those where it happened.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub lost_by_cpu: BTreeMap<u32, u64>,
    /// The client's modules, if one was unloaded.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reloads: Option<Reloads>,
    /// Per program.
    pub programs: BTreeMap<String, ProgramCounts>,
    /// What a replay did not get to read, if there is anything.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unread: Option<Unread>,
}

/// RPC totals: in + elsewhere is what /proc/self/mountstats counts. Nothing where the probes in
/// place do not count them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct EndRpcs {
    /// OPENs in the rows.
    pub open: Option<u64>,
    /// LOOKUPs in the rows.
    pub lookup: Option<u64>,
    /// OPENs outside them.
    pub open_elsewhere: Option<u64>,
    /// LOOKUPs outside them.
    pub lookup_elsewhere: Option<u64>,
}

/// Everything that was lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Lost {
    /// Records that found no room in the buffer or in a map.
    pub records: u64,
    /// Calls whose return was never seen (no free kretprobe instance).
    pub returns: u64,
    /// Times that the kernel did not run a program, because another was running.
    pub skipped: u64,
    /// Children of the traced command that could not be followed.
    pub children: u64,
    /// Records that made no sense.
    pub undecodable: u64,
}

impl KernelCounts {
    /// What is missing, with the records that made no sense.
    #[must_use]
    pub fn lost(&self, undecodable: u64) -> Lost {
        Lost {
            records: self.records,
            returns: self.returns,
            skipped: self.skipped,
            children: self.children,
            undecodable,
        }
    }
}

impl Lost {
    /// Whether nothing was.
    #[must_use]
    pub fn is_nothing(&self) -> bool {
        *self
            == Self {
                records: 0,
                returns: 0,
                skipped: 0,
                children: 0,
                undecodable: 0,
            }
    }
}

impl Summary {
    /// Of nothing yet. `signals`: what the probes in place can count.
    #[must_use]
    pub fn new(signals: Signals) -> Self {
        Self {
            signals,
            opens: 0,
            by_open_path: [0; PathWord::ALL.len()],
            by_name_check: [0; NameCheck::ALL.len()],
            stale_retries: 0,
            incomplete: 0,
            hidden: 0,
            rpcs: (0, 0),
            hidden_rpcs: (0, 0),
            events: 0,
            undecodable: 0,
            outside_paths: (0, 0),
            reloads: Reloads::default(),
            kernel: KernelCounts::default(),
            unread: Unread::default(),
        }
    }

    /// The client's modules are back, `unseen_ms` after it was heard. What the probes in place
    /// do not count now is counted of nothing.
    pub fn attached_again(&mut self, signals: Signals, unseen_ms: u64) {
        self.reloads.attached += 1;
        self.reloads.unseen_ms = self.reloads.unseen_ms.saturating_add(unseen_ms);
        if self.signals.sent.counts() {
            self.signals.sent = signals.sent;
        }
        self.signals.lookups &= signals.lookups;
    }

    /// Counts a row that is shown.
    pub fn show(&mut self, row: &Row) {
        self.opens += 1;
        self.by_open_path[row.open_path as usize] += 1;
        self.by_name_check[row.name_check as usize] += 1;
        self.stale_retries += u64::from(row.stale_retries);
        self.incomplete += u64::from(!row.complete);
        add(&mut self.rpcs, row.rpcs);
    }

    /// Counts a row that the filters left out.
    pub fn hide(&mut self, row: &Row) {
        self.hidden += 1;
        add(&mut self.hidden_rpcs, row.rpcs);
    }

    /// Rows shown so far.
    #[must_use]
    pub fn opens(&self) -> u64 {
        self.opens
    }

    /// The closing line.
    #[must_use]
    pub fn end(&self) -> End {
        let kernel = &self.kernel;
        let opens = |n| self.signals.sent.counts().then_some(n);
        let lookups = |n| self.signals.lookups.then_some(n);
        End {
            opens: self.opens,
            by_open_path: PathWord::ALL.into_iter().zip(self.by_open_path).collect(),
            by_name_check: NameCheck::ALL
                .into_iter()
                .zip(self.by_name_check)
                .filter(|(_, opens)| *opens > 0)
                .collect(),
            stale_retries: self.stale_retries,
            incomplete: self.incomplete,
            hidden: self.hidden,
            rpcs: EndRpcs {
                open: opens(self.rpcs.0),
                lookup: lookups(self.rpcs.1),
                // A recording may claim any count.
                open_elsewhere: opens(
                    kernel
                        .open_elsewhere
                        .saturating_add(self.outside_paths.0 + self.hidden_rpcs.0),
                ),
                lookup_elsewhere: lookups(
                    kernel
                        .lookup_elsewhere
                        .saturating_add(self.outside_paths.1 + self.hidden_rpcs.1),
                ),
            },
            events: self.events,
            running_at_start: kernel.running_at_start,
            running_at_end: kernel.running_at_end,
            lost: kernel.lost(self.undecodable),
            lost_by_cpu: kernel.lost_by_cpu.clone(),
            reloads: (self.reloads.gone > 0).then_some(self.reloads),
            programs: kernel.programs.clone(),
            unread: (self.unread != Unread::default()).then_some(self.unread),
        }
    }
}

fn add(total: &mut (u64, u64), rpcs: Rpcs) {
    total.0 += u64::from(rpcs.open.unwrap_or(0));
    total.1 += u64::from(rpcs.lookup.unwrap_or(0));
}
