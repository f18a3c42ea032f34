//! Open paths of a whole recording -> [`Report`]. Pure, and bounded: what is used least is
//! forgotten, and counted.

use std::{cmp::Reverse, collections::BTreeMap, num::NonZeroUsize};

use jiff::Timestamp;
use lru::LruCache;

use super::{
    evidence::told,
    hold::Files,
    latency::Latencies,
    model::{Busiest, Change, Command, Evidence, LeftOut, Moment, Name, Opener, Report},
    name::{History, When, verdict},
};
use crate::{
    mounts::Mount,
    row::Row,
    session::Session,
    summary::Summary,
    trace::{OpenPath, PathWord},
};

/// Names whose history is kept at a time.
const NAMES: NonZeroUsize = NonZeroUsize::new(32_768).expect("not zero");
/// Names that are kept although they were not used for long, because old files were served by them.
const RETIRED: usize = 1_000;
/// Runs and changes of all names together: with more, each name keeps fewer.
const ENTRIES: usize = 150_000;
/// Processes that are counted at a time.
const PROCESSES: NonZeroUsize = NonZeroUsize::new(16_384).expect("not zero");

/// A name, or where it is not known a dentry.
type Key = Box<[u8]>;

/// See the module.
pub struct Analysis {
    session: Option<Session>,
    names: LruCache<Key, History>,
    retired: Vec<(Key, History)>,
    /// Runs and changes that they hold.
    entries: usize,
    names_forgotten: u64,
    processes: LruCache<Opener, (u64, BTreeMap<PathWord, u64>)>,
    processes_forgotten: u64,
    files: Files,
    latencies: Latencies,
    first: Option<Moment>,
    last: Option<Moment>,
    /// Times that the client's modules went: super block numbers mean others after that.
    epoch: u32,
}

/// What is known of a cached open: which change of the name it came between or after.
#[derive(Debug, Clone, Copy)]
pub struct Proof<'a> {
    /// The change.
    pub change: &'a Change,
    /// Where in its interval.
    pub when: When,
}

impl Default for Analysis {
    fn default() -> Self {
        Self::new()
    }
}

impl Analysis {
    /// Of nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self {
            session: None,
            names: LruCache::new(NAMES),
            retired: Vec::new(),
            entries: 0,
            names_forgotten: 0,
            processes: LruCache::new(PROCESSES),
            processes_forgotten: 0,
            files: Files::new(),
            latencies: Latencies::default(),
            first: None,
            last: None,
            epoch: 0,
        }
    }

    /// The trace begins.
    pub fn begin(&mut self, session: &Session) {
        self.session = Some(session.clone());
    }

    /// The client's modules went.
    pub fn gone(&mut self) {
        self.files.gone();
        self.next_epoch();
    }

    /// For [`Self::proof`]: the recording is read again from its beginning.
    pub fn first_epoch(&mut self) {
        self.epoch = 0;
    }

    /// For [`Self::proof`]: the client's modules went here.
    pub fn next_epoch(&mut self) {
        self.epoch += 1;
    }

    /// Takes one open path, in the order in which they ended. One that is not `shown` is no part of
    /// the report, but the server's answers in it are. Returns whether it is shown and went
    /// otherwise than the one before it by the same name.
    pub fn take(&mut self, path: &OpenPath, row: &Row, mount: Option<&Mount>, shown: bool) -> bool {
        let (key, place) = self.key(path, mount);
        let only_names = row.nfs_version.as_deref() == Some("4.0");
        let opener = Opener {
            pid: row.pid,
            comm: row.comm.to_string(),
        };
        let mut history = self.names.pop(&key).unwrap_or_else(|| History::new(row));
        self.entries -= history.entries();
        history.has_room = self.entries < ENTRIES;
        for told in told(path, only_names) {
            let at = |ns: u64| Moment {
                ts_ns: ns,
                time: time(row, ns),
            };
            let evidence = Evidence {
                by: told.by,
                sent: at(told.sent_ns),
                replied: at(told.replied_ns),
                opener: opener.clone(),
            };
            history.told(&told, evidence);
        }
        let is_new = history.opened(path, row, shown);
        self.entries += history.entries();
        if let Some((old, forgotten)) = self.names.push(key.clone(), history)
            && old != key
        {
            self.forget(old, forgotten);
        }
        self.files.opened(&place, path, row, shown);
        if shown {
            self.count(row, &opener);
        }
        is_new
    }

    fn count(&mut self, row: &Row, opener: &Opener) {
        let at = Moment {
            ts_ns: row.ts_ns,
            time: row.time(),
        };
        if self.first.is_none_or(|first| at.ts_ns < first.ts_ns) {
            self.first = Some(at);
        }
        if self.last.is_none_or(|last| at.ts_ns > last.ts_ns) {
            self.last = Some(at);
        }
        self.latencies.add(row.open_path, row.latency_ns);
        if self.processes.get(opener).is_none() {
            let old = self.processes.push(opener.clone(), (0, BTreeMap::new()));
            self.processes_forgotten += u64::from(old.is_some());
        }
        if let Some((opens, words)) = self.processes.get_mut(opener) {
            *opens += 1;
            *words.entry(row.open_path).or_default() += 1;
        }
    }

    fn forget(&mut self, key: Key, history: History) {
        let (stale, changes, ..) = history.weight();
        if (stale > 0 || changes > 0) && self.retired.len() < RETIRED {
            self.retired.push((key, history));
            return;
        }
        self.entries -= history.entries();
        if history.opens() > 0 {
            self.names_forgotten += 1;
        }
    }

    /// The name's key, and that of its file system.
    fn key(&self, path: &OpenPath, mount: Option<&Mount>) -> (Key, Key) {
        let place = match mount {
            // As on the server, whatever the number of the super block.
            Some(mount) => {
                let point = mount.point.as_os_str().as_encoded_bytes();
                [mount.source.as_bytes(), b"\0", point].concat()
            }
            None => format!("\0{}\0{}", self.epoch, path.dev).into_bytes(),
        };
        let mut key = place.clone();
        key.push(0);
        match path.path.as_deref() {
            // Names above are missing: others may end like this.
            Some(name) if !name.starts_with(".../") => key.extend_from_slice(name.as_bytes()),
            _ => key.extend_from_slice(&dentry(path)),
        }
        (key.into(), place.into())
    }

    /// What proves that an open was served an old file, once all were taken; nothing if nothing
    /// does.
    #[must_use]
    pub fn proof(&self, path: &OpenPath, mount: Option<&Mount>) -> Option<Proof<'_>> {
        let (PathWord::Cached, Some(0), Some(file)) = (path.open_path, path.result, path.fileid)
        else {
            return None;
        };
        let (key, _) = self.key(path, mount);
        let history = self.names.peek(&key).or_else(|| {
            let retired = self.retired.iter().find(|(it, _)| *it == key);
            retired.map(|(_, history)| history)
        })?;
        let changes: Vec<&Change> = history.changes().collect();
        let (number, when) = verdict(changes.iter().copied(), file, path.start_ns)?;
        Some(Proof {
            change: changes[number],
            when,
        })
    }

    /// The report, with so many names and so many processes. `summary`: of the rows shown.
    #[must_use]
    pub fn report(&mut self, summary: &Summary, most: usize) -> Report {
        let histories = self.names.iter().map(|(_, history)| history);
        let retired = self.retired.iter().map(|(_, history)| history);
        let mut histories: Vec<&History> = histories
            .chain(retired)
            .filter(|history| history.opens() > 0)
            .collect();
        histories.sort_by_cached_key(|history| Reverse(history.weight()));
        let names: Vec<Name> = histories
            .iter()
            .take(most)
            .filter_map(|history| history.report())
            .collect();
        let (proved_stale, all_names) = (
            histories.iter().map(|it| it.weight().0).sum(),
            histories.len() as u64,
        );
        let (commands, commands_left_out) = self.commands(most);
        let (mut holds, mut delegations) = self.files.report();
        let all = (holds.len() as u64, delegations.len() as u64);
        holds.truncate(most);
        delegations.truncate(most);
        let left_out = LeftOut {
            names: all_names - names.len() as u64,
            names_forgotten: self.names_forgotten,
            commands: commands_left_out,
            processes_forgotten: self.processes_forgotten,
            holds: self.files.holds_left_out + all.0 - holds.len() as u64,
            delegations: self.files.delegations_left_out + all.1 - delegations.len() as u64,
            files_forgotten: self.files.forgotten,
        };
        let session = self.session.as_ref();
        let word = |of: fn(&Session) -> &String| session.map(of).cloned().unwrap_or_default();
        Report {
            version: word(|it| &it.version),
            kernel: word(|it| &it.kernel),
            mounts: session.map(|it| it.mounts.clone()).unwrap_or_default(),
            first: self.first,
            last: self.last,
            proved_stale,
            latency: self.latencies.report(),
            names,
            commands,
            holds,
            delegations,
            left_out,
            end: summary.end(),
        }
    }
}

impl Analysis {
    /// Those with most opens, and how many others there are.
    fn commands(&self, most: usize) -> (Vec<Command>, u64) {
        let mut all: BTreeMap<&str, Command> = BTreeMap::new();
        for (opener, (opens, words)) in &self.processes {
            let command = all.entry(&opener.comm).or_default();
            command.processes += 1;
            command.opens += opens;
            if (*opens, opener.pid) > (command.busiest.opens, command.busiest.pid) {
                command.busiest = Busiest {
                    pid: opener.pid,
                    opens: *opens,
                };
            }
            for (word, opens) in words {
                *command.by_open_path.entry(*word).or_default() += opens;
            }
        }
        let mut commands: Vec<Command> = all
            .into_iter()
            .map(|(comm, command)| Command {
                comm: comm.to_owned(),
                ..command
            })
            .collect();
        commands.sort_by_key(|command| Reverse(command.opens));
        let all = commands.len();
        commands.truncate(most);
        let left_out = (all - commands.len()) as u64;
        (commands, left_out)
    }
}

/// A dentry whose name is not known.
fn dentry(path: &OpenPath) -> Vec<u8> {
    let OpenPath {
        dentry_id, fileid, ..
    } = path;
    format!("\0{dentry_id:?} {fileid:?}").into_bytes()
}

/// Another time of the row's trace on the wall clock.
fn time(row: &Row, ts_ns: u64) -> Timestamp {
    let offset = row.time().as_nanosecond() - i128::from(row.ts_ns);
    Timestamp::from_nanosecond(i128::from(ts_ns) + offset).unwrap_or(row.time())
}

#[cfg(test)]
mod tests;
