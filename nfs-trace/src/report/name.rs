//! What became of one name: what it meant to the server, and which opens were served an old file.
//! Pure.

use std::collections::{BTreeMap, VecDeque};

use super::{
    evidence::{Named, Told},
    model::{Change, ChangeKind, Evidence, FEW, Moment, Name, Opener, Openers, Run, Stale},
};
use crate::{
    row::Row,
    trace::{OpenPath, PathWord},
};

/// Changes of a name that are kept, the last ones.
const CHANGES: usize = 50;
/// Runs that are kept from the beginning, and as many from the end.
pub(super) const RUNS: usize = 20;
/// Cached opens whose times are kept until the server is asked again: opens of other threads may
/// overlap with that.
const TIMES: usize = 16;

/// Where in a change's interval a cached open lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum When {
    /// After the last answer that named the old file, before the first that did not.
    Between,
    /// After that.
    Afterwards,
}

/// Cached opens of one file since the server last named it.
#[derive(Default)]
struct Unconfirmed {
    stale: Stale,
    /// When the last ones began.
    times: VecDeque<Moment>,
}

/// See the module.
pub(super) struct History {
    path: String,
    mount: Option<String>,
    opens: u64,
    by_open_path: BTreeMap<PathWord, u64>,
    proved_stale: u64,
    files: Vec<u64>,
    first: Option<Moment>,
    last: Option<Moment>,
    /// The server's last answer.
    named: Option<(Named, Evidence)>,
    /// The file that was last opened by this name, without the server having been asked yet.
    seen: Option<u64>,
    unconfirmed: Vec<(u64, Unconfirmed)>,
    changes: VecDeque<Change>,
    changes_left_out: u64,
    begin: Vec<Run>,
    end: VecDeque<Run>,
    left_out: u64,
    /// Whether it may get longer.
    pub(super) has_room: bool,
}

impl History {
    pub(super) fn new(row: &Row) -> Self {
        Self {
            path: row.full_path(),
            mount: row.mount.as_deref().map(Into::into),
            opens: 0,
            by_open_path: BTreeMap::new(),
            proved_stale: 0,
            files: Vec::new(),
            first: None,
            last: None,
            named: None,
            seen: None,
            unconfirmed: Vec::new(),
            changes: VecDeque::new(),
            changes_left_out: 0,
            begin: Vec::new(),
            end: VecDeque::new(),
            left_out: 0,
            has_room: true,
        }
    }

    /// Changes and runs in it.
    pub(super) fn entries(&self) -> usize {
        self.changes.len() + self.begin.len() + self.end.len()
    }

    /// Takes one answer of the server about the name.
    pub(super) fn told(&mut self, told: &Told, evidence: Evidence) {
        let old = match &self.named {
            // Both requests were under way at a time: nobody knows which was answered first.
            Some((named, before))
                if *named != told.named && told.sent_ns < before.replied.ts_ns =>
            {
                return;
            }
            Some((Named::File(file), _)) => Some(*file),
            Some(_) => None,
            None => self.seen.or(match told.named {
                Named::Other(than) => than,
                _ => None,
            }),
        };
        let after = self.named.take().map(|(_, evidence)| evidence);
        match (old, told.named) {
            (Some(old), Named::File(new)) if old == new => {
                self.confirm(told.sent_ns);
                // Of two that overlap, the one that was sent last reaches further.
                let evidence = match after {
                    Some(after) if after.sent.ts_ns > evidence.sent.ts_ns => after,
                    _ => evidence,
                };
                self.named = Some((told.named, evidence));
                return;
            }
            (Some(old), Named::File(new)) => {
                self.change(
                    ChangeKind::Replaced,
                    old,
                    Some(new),
                    after,
                    evidence.clone(),
                );
            }
            (Some(old), Named::Other(_)) => {
                self.change(ChangeKind::Replaced, old, None, after, evidence.clone());
            }
            (Some(old), Named::Nothing) => {
                self.change(ChangeKind::Removed, old, None, after, evidence.clone());
            }
            // Which file the other one is.
            (None, Named::File(new)) => {
                if let Some(change) = self.changes.back_mut()
                    && change.kind == ChangeKind::Replaced
                    && change.new.is_none()
                    && change.old != new
                {
                    change.new = Some(new);
                }
                self.confirm(told.sent_ns);
            }
            (None, _) => {}
        }
        self.named = Some((told.named, evidence));
    }

    /// The server named the file that the client has: whoever was served it before was right.
    fn confirm(&mut self, sent_ns: u64) {
        for (_, since) in &mut self.unconfirmed {
            since.times.retain(|time| time.ts_ns > sent_ns);
            since.stale.opens = since.times.len() as u64;
            since.stale.first = since.times.front().copied();
        }
        self.unconfirmed.retain(|(_, since)| since.stale.opens > 0);
    }

    fn change(
        &mut self,
        kind: ChangeKind,
        old: u64,
        new: Option<u64>,
        after: Option<Evidence>,
        before: Evidence,
    ) {
        let mut between = Stale::default();
        for (file, since) in self.unconfirmed.drain(..) {
            if file == old {
                between = since.stale;
            }
        }
        self.proved_stale += between.opens;
        let most = if self.has_room { CHANGES } else { 1 };
        while self.changes.len() >= most {
            self.changes.pop_front();
            self.changes_left_out += 1;
        }
        self.changes.push_back(Change {
            kind,
            old,
            new,
            after,
            before,
            between,
            afterwards: Stale::default(),
        });
    }

    /// Takes one open by this name; its own answers of the server were taken before. `counted`:
    /// it is shown.
    pub(super) fn opened(&mut self, path: &OpenPath, row: &Row, counted: bool) -> bool {
        let at = Moment {
            ts_ns: row.ts_ns,
            time: row.time(),
        };
        let opener = Opener {
            pid: row.pid,
            comm: row.comm.to_string(),
        };
        if path.result == Some(0)
            && let Some(file) = path.fileid
        {
            if self.named.is_none() {
                self.seen = Some(file);
            }
            if path.open_path == PathWord::Cached && counted {
                self.cached(file, at, &opener);
            }
            if counted && self.files.len() < FEW && !self.files.contains(&file) {
                self.files.push(file);
            }
        }
        if !counted {
            return false;
        }
        self.opens += 1;
        *self.by_open_path.entry(row.open_path).or_default() += 1;
        self.first.get_or_insert(at);
        self.last = Some(at);
        self.run(row, at, &opener)
    }

    fn cached(&mut self, file: u64, at: Moment, opener: &Opener) {
        if let Some((number, when)) = verdict(self.changes.iter(), file, at.ts_ns) {
            let change = &mut self.changes[number];
            note(
                match when {
                    When::Between => &mut change.between,
                    When::Afterwards => &mut change.afterwards,
                },
                at,
                opener,
            );
            self.proved_stale += 1;
            return;
        }
        let at_file = self.unconfirmed.iter().position(|(it, _)| *it == file);
        let index = at_file.unwrap_or_else(|| {
            if self.unconfirmed.len() == FEW {
                self.unconfirmed.remove(0);
            }
            self.unconfirmed.push((file, Unconfirmed::default()));
            self.unconfirmed.len() - 1
        });
        let (_, since) = &mut self.unconfirmed[index];
        note(&mut since.stale, at, opener);
        if since.times.len() == TIMES {
            since.times.pop_front();
        }
        since.times.push_back(at);
    }

    /// Adds to the history. Returns whether it is something new there.
    fn run(&mut self, row: &Row, at: Moment, opener: &Opener) -> bool {
        let last = self.end.back_mut().or(self.begin.last_mut());
        if let Some(run) = last
            && (run.open_path, run.name_check, run.claim)
                == (row.open_path, row.name_check, row.claim)
            && (run.fileid, run.result) == (row.fileid, row.result)
            && (run.stale_retries > 0) == (row.stale_retries > 0)
        {
            run.opens += 1;
            run.last = at;
            run.stale_retries += u64::from(row.stale_retries);
            run.openers.add(opener);
            return false;
        }
        if !self.has_room {
            self.left_out += 1;
            return true;
        }
        let mut run = Run {
            first: at,
            last: at,
            opens: 1,
            name_check: row.name_check,
            open_path: row.open_path,
            claim: row.claim,
            fileid: row.fileid,
            result: row.result,
            stale_retries: row.stale_retries.into(),
            openers: Openers::default(),
        };
        run.openers.add(opener);
        if self.begin.len() < RUNS {
            self.begin.push(run);
            return true;
        }
        if self.end.len() == RUNS
            && let Some(run) = self.end.pop_front()
        {
            self.left_out += run.opens;
        }
        self.end.push_back(run);
        true
    }

    /// Opens that were counted.
    pub(super) fn opens(&self) -> u64 {
        self.opens
    }

    /// Changes of the name, the earliest first.
    pub(super) fn changes(&self) -> impl DoubleEndedIterator<Item = &Change> {
        self.changes.iter()
    }

    /// How much it matters, the most first: old files served, changes, cached opens, opens.
    pub(super) fn weight(&self) -> (u64, u64, u64, u64) {
        let cached = self.by_open_path.get(&PathWord::Cached).copied();
        let changes = self.changes_left_out + self.changes.len() as u64;
        (self.proved_stale, changes, cached.unwrap_or(0), self.opens)
    }

    /// As it is reported; nothing if none of its opens counts.
    pub(super) fn report(&self) -> Option<Name> {
        Some(Name {
            path: self.path.clone(),
            mount: self.mount.clone(),
            opens: self.opens,
            by_open_path: self.by_open_path.clone(),
            proved_stale: self.proved_stale,
            files: self.files.clone(),
            first: self.first?,
            last: self.last?,
            changes: self.changes.iter().cloned().collect(),
            changes_left_out: self.changes_left_out,
            history: self.begin.iter().chain(&self.end).cloned().collect(),
            history_left_out: self.left_out,
        })
    }
}

fn note(stale: &mut Stale, at: Moment, opener: &Opener) {
    stale.opens += 1;
    stale.first.get_or_insert(at);
    stale.last = Some(at);
    stale.openers.add(opener);
}

/// Which of the name's changes proves that a cached open of this file, which began then, was
/// served an old one; nothing if none does.
pub(super) fn verdict<'a>(
    changes: impl DoubleEndedIterator<Item = &'a Change> + ExactSizeIterator,
    file: u64,
    at_ns: u64,
) -> Option<(usize, When)> {
    for (number, change) in changes.enumerate().rev() {
        if at_ns >= change.before.replied.ts_ns {
            // What the name means since: unless it is the old file that was opened, it is not
            // known that anything is wrong.
            return (change.old == file).then_some((number, When::Afterwards));
        }
        let after = change.after.as_ref().map_or(0, |it| it.sent.ts_ns);
        if change.old == file && at_ns > after {
            return Some((number, When::Between));
        }
    }
    None
}
