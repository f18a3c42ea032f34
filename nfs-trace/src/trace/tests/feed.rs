//! The language of the cases: one event a line, one path a line.
//!
//! ```text
//! name F root/file               F is called so (dentries are capitals)
//! reval rcu F 1 dir              walk, dentry, return value, signs:
//!                                dir (verifier checked), set (verifier set), inode (inode
//!                                checked), neg, unhashed (no inode either), unread (no layout),
//!                                lookups=N, create (the open has O_CREAT)
//! lookup 0                       return value
//! task sent=1 claim=0            what was sent, claim, ret=N
//! file F 0 tasks=1 upd=1         dentry, return value, tasks inside, stateid updates
//! atomic F 0 tasks=1             the same, with noopen, dir (O_DIRECTORY)
//! lose                           the thread's next record is lost
//! missed                         the next record says that a return was missed
//! inside                         the next record says that one was missed inside its call
//! unjoined                       the next record says that an OPEN was not joined
//! gone                           the modules are unloaded; with lost, records may be missing
//! back                           they are probed again
//! t2 ...                         by thread 2 (else thread 1)
//! ```
//! Every event ends 10 ns after the one before. What is inside a call is written before
//! it, as it arrives, and the call began 5 ns before the first of it.

use std::collections::HashMap;

use super::super::{ARMING_NS, OpenPath, Tracer};
use crate::{
    event::{DentryKind, Event, Fact, Open, OpenTask, Pointer, Revalidate, Stamp, Walk},
    testing::SIGNALS,
};

pub(super) struct Feed {
    pub(super) tracer: Tracer,
    pub(super) now: u64,
    seqs: HashMap<u32, u16>,
    /// Beginning of the first step inside a call that has not returned.
    inside: HashMap<u32, u64>,
    missed: bool,
    missed_inside: bool,
    unjoined: bool,
    pub(super) paths: Vec<OpenPath>,
}

fn pointer(word: &str) -> Pointer {
    // A capital letter each; 0 stays unknown.
    if word == "-" {
        Pointer(0)
    } else {
        Pointer(u64::from(word.as_bytes()[0]))
    }
}

/// The value behind `key=`.
fn value<T: std::str::FromStr + Default>(words: &[&str], key: &str) -> T {
    let word = words
        .iter()
        .find_map(|word| word.strip_prefix(key)?.strip_prefix('='));
    word.map(|word| word.parse().ok().expect("a number"))
        .unwrap_or_default()
}

impl Feed {
    pub(super) fn new() -> Self {
        Self {
            tracer: Tracer::new(SIGNALS, 0),
            now: ARMING_NS,
            seqs: HashMap::new(),
            inside: HashMap::new(),
            missed: false,
            missed_inside: false,
            unjoined: false,
            paths: Vec::new(),
        }
    }

    pub(super) fn line(&mut self, line: &str) {
        let mut words: Vec<&str> = line.split_whitespace().collect();
        let mut tid = 1;
        if let Some(number) = words[0]
            .strip_prefix('t')
            .and_then(|word| word.parse().ok())
        {
            tid = number;
            words.remove(0);
        }
        self.now += 10;
        let has = |word: &str| words[1..].contains(&word);
        let number = |at: usize| words[at].parse::<i32>().expect("a return value");
        let open = |flags| Open {
            dentry: pointer(words[1]),
            fileid: Some(7),
            ret: number(2),
            flags: Some(flags),
            stack: None,
            tasks: value(&words, "tasks"),
            stateid_updates: value(&words, "upd"),
            opened: Some(!has("noopen")),
            tried_cached: false,
            cached_event: false,
        };
        let fact = match words[0] {
            "lose" => {
                *self.seqs.entry(tid).or_default() += 1;
                return;
            }
            "missed" => {
                self.missed = true;
                return;
            }
            "inside" => {
                self.missed_inside = true;
                return;
            }
            "unjoined" => {
                self.unjoined = true;
                return;
            }
            "gone" => {
                let paths = &mut self.paths;
                self.tracer
                    .interrupt(has("lost"), &mut |path| paths.push(path.clone()));
                return;
            }
            "back" => {
                self.tracer.resume(self.tracer.paths.signals, self.now);
                return;
            }
            "name" => {
                let dentry = pointer(words[1]);
                let name = words[2].as_bytes();
                let parent = words.get(3).map_or(Pointer(1), |word| pointer(word));
                Fact::Name {
                    dentry,
                    parent,
                    name,
                }
            }
            "reval" => Fact::Revalidate(Revalidate {
                walk: match words[1] {
                    "rcu" => Walk::Rcu,
                    "ref" => Walk::Ref,
                    _ => Walk::Reval,
                },
                dentry: pointer(words[2]),
                ret: number(3),
                creates: has("create"),
                verifier_checked: has("dir"),
                verifier_set: has("set"),
                inode_checked: has("inode"),
                lookups: value(&words, "lookups"),
                kind: if has("neg") {
                    DentryKind::Negative
                } else if has("unhashed") {
                    DentryKind::Unhashed
                } else if has("unread") {
                    DentryKind::Unknown
                } else {
                    DentryKind::Positive
                },
            }),
            "lookup" => Fact::Lookup(number(1)),
            "task" => Fact::OpenTask(OpenTask {
                delegated: Some(false),
                sent: value(&words, "sent"),
                claim: Some(value(&words, "claim")),
                replied_ns: None,
                ret: value(&words, "ret"),
            }),
            "file" => Fact::FileOpen(open(0)),
            "atomic" => Fact::AtomicOpen(open(if has("dir") {
                super::super::O_DIRECTORY
            } else {
                0
            })),
            other => panic!("no event `{other}`"),
        };
        let first = !self.seqs.contains_key(&tid);
        let seq = self.seqs.entry(tid).or_default();
        let start_ns = match &fact {
            Fact::Lookup(_) | Fact::OpenTask(_) => {
                self.inside.entry(tid).or_insert(self.now);
                self.now
            }
            Fact::Name { .. } | Fact::Comm(_) => self.now,
            _ => self.inside.remove(&tid).map_or(self.now, |first| first - 5),
        };
        let stamp = Stamp {
            start_ns,
            end_ns: self.now + 10,
            tid,
            tgid: tid,
            seq: *seq,
            dev: 53,
            first,
            missed_return: std::mem::take(&mut self.missed),
            missed_inside: std::mem::take(&mut self.missed_inside),
            unjoined: std::mem::take(&mut self.unjoined),
        };
        *seq += 1;
        let paths = &mut self.paths;
        self.tracer
            .push(Event { stamp, fact }, &mut |path| paths.push(path.clone()));
    }

    pub(super) fn finish(mut self) -> Vec<String> {
        let paths = &mut self.paths;
        self.tracer
            .finish(false, &mut |path| paths.push(path.clone()));
        let mut text: Vec<String> = self.paths.iter().map(show).collect();
        if self.tracer.outside_paths() != (0, 0) {
            let (opens, lookups) = self.tracer.outside_paths();
            text.push(format!("outside opens={opens} lookups={lookups}"));
        }
        text
    }
}

pub(super) fn show(path: &OpenPath) -> String {
    let mut text = format!(
        "{} {} {}",
        path.name_check.word(),
        path.open_path.word(),
        path.result.map_or("?".into(), |result| result.to_string()),
    );
    for (name, n) in [
        ("opens", path.opens),
        ("lookups", path.lookups),
        ("stale", path.stale_retries),
    ] {
        if n > 0 {
            text.push_str(&format!(" {name}={n}"));
        }
    }
    if let Some(claim) = path.claim {
        text.push_str(&format!(" claim={claim}"));
    }
    if path.revalidation.is_some_and(|call| call.inode_checked) {
        text.push_str(" inode");
    }
    for gap in &path.gaps {
        text.push_str(&format!(" {gap:?}"));
    }
    text
}

#[track_caller]
pub(super) fn check(events: &str, paths: &[&str]) {
    let mut feed = Feed::new();
    for line in events
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
    {
        feed.line(line);
    }
    assert_eq!(feed.finish(), paths, "{events}");
}
