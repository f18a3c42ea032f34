//! What the child did and what the probes saw of it -> evidence. Pure.

use std::{collections::BTreeMap, path::PathBuf};

use super::job::{NEW, OLD, Opened, Purpose, Said};
use crate::{
    check::evidence::{Evidence, Finding, FixLevel, Kind},
    names::{claim_name, escape_path, tame},
    trace::{OpenPath, PathWord},
};

/// What the self-test of one target comes to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Outcome {
    /// What it proves; nothing if no file was reached.
    pub evidence: Vec<Evidence>,
    /// What was done differently than announced, and why.
    pub remarks: Vec<String>,
    /// Why it ended before its end.
    pub failed: Option<String>,
    /// What it could not remove.
    pub left_behind: Option<PathBuf>,
    /// Opens whose path was not seen completely, or not at all.
    pub missed: usize,
    /// Opens that were served from cached open state.
    pub cached: usize,
    /// The opened file.
    pub file: Option<PathBuf>,
}

/// Judges one child. `paths`: all opens that the probes saw of it. `level`: the fix level
/// that one open shows.
#[must_use]
pub fn judge(
    said: &[Said],
    paths: &[OpenPath],
    level: impl Fn(&OpenPath) -> Option<FixLevel>,
) -> Outcome {
    let mut outcome = Outcome::default();
    let mut test = Test::default();
    let mut own = false;
    for line in said {
        match line {
            Said::File {
                path,
                own: is_own,
                remark,
            } => {
                outcome.file = Some(path.clone());
                outcome.remarks.extend(remark.clone());
                own = *is_own;
            }
            Said::Opened(opened) => test.add(opened, paths),
            Said::Failed(why) => outcome.failed = Some(tame(why)),
            Said::LeftBehind(path) => outcome.left_behind = Some(path.clone()),
            Said::Rename { .. } | Said::Done => {}
        }
    }
    outcome.missed = test.missed;
    let cached = |one: &&(_, &OpenPath, _)| one.1.open_path == PathWord::Cached;
    outcome.cached = test.opens.iter().filter(cached).count();
    if let Some(file) = &outcome.file {
        let whose = if own { "our own file" } else { "the file" };
        let file = format!("{whose} {}", escape_path(file));
        outcome.evidence.extend(test.reopens(&file, &level));
        outcome.evidence.extend(test.renamed(&file, &level));
    }
    outcome
}

/// The opens of one child with what was seen of each.
#[derive(Default)]
struct Test<'a> {
    opens: Vec<(&'a Opened, &'a OpenPath, bool)>,
    /// Whether the file is held by an open that the server knows of.
    held_on_server: bool,
    missed: usize,
}

impl<'a> Test<'a> {
    fn add(&mut self, opened: &'a Opened, paths: &'a [OpenPath]) {
        let seen = paths
            .iter()
            .find(|path| path.start_ns >= opened.start_ns && path.end_ns <= opened.end_ns);
        let Some(path) = seen.filter(|path| path.complete()) else {
            self.missed += 1;
            // What the open did to the state is not known either.
            self.held_on_server &= opened.purpose != Purpose::Hold;
            return;
        };
        if opened.purpose == Purpose::Hold {
            // An open that a delegation answered leaves no open state to be reused.
            self.held_on_server = matches!(
                path.open_path,
                PathWord::Wire | PathWord::Atomic | PathWord::Cached
            );
        }
        self.opens.push((opened, path, self.held_on_server));
    }

    fn of(&self, purposes: &[Purpose]) -> Vec<(&'a Opened, &'a OpenPath, bool)> {
        self.opens
            .iter()
            .filter(|(opened, ..)| purposes.contains(&opened.purpose))
            .copied()
            .collect()
    }

    /// The file as it is, opened again.
    fn reopens(
        &self,
        file: &str,
        level: &impl Fn(&OpenPath) -> Option<FixLevel>,
    ) -> Option<Evidence> {
        let all = self.of(&[Purpose::Hold, Purpose::Reopen, Purpose::ReopenUndelegated]);
        let reopens = self.of(&[Purpose::Reopen, Purpose::ReopenUndelegated]);
        if reopens.is_empty() {
            return None;
        }
        let mut modes: Vec<_> = reopens.iter().map(|(opened, ..)| opened.mode).collect();
        modes.sort();
        modes.dedup();
        let modes: Vec<_> = modes.iter().map(|mode| mode.flag()).collect();
        let looked_at = format!(
            "{} reopens of {file} ({}), held open in the same mode by the same process",
            reopens.len(),
            modes.join(", ")
        );
        Some(weigh(looked_at, &all, &reopens, level))
    }

    /// The name after another file was renamed over it.
    fn renamed(
        &self,
        file: &str,
        level: &impl Fn(&OpenPath) -> Option<FixLevel>,
    ) -> Option<Evidence> {
        let reopens = self.of(&[Purpose::ReopenRenamed]);
        let first = reopens.first()?.0.start_ns;
        let looked_at = format!(
            "{} opens of {file} after a second client had renamed another file over it while \
             it was held",
            reopens.len()
        );
        let reads: Vec<_> = reopens
            .iter()
            .map(|(opened, ..)| (opened.start_ns - first, opened.read.as_deref()))
            .collect();
        let read = format!("; {}", story(&reads));
        // The new file is not held: that it is opened on the wire proves nothing. A stale
        // OPEN was sent for the old one.
        let of_old: Vec<_> = reopens
            .iter()
            .filter(|(opened, path, _)| {
                path.stale_retries > 0 || opened.read.as_deref() != Some(NEW.trim())
            })
            .copied()
            .collect();
        let mut evidence = weigh(looked_at, &reopens, &of_old, level);
        evidence.seen = format!("{}{read}", groups(&reopens));
        Some(evidence)
    }
}

/// `opens`: all that may prove "affected"; `reopens`: those that may prove the contrary.
fn weigh(
    looked_at: String,
    opens: &[(&Opened, &OpenPath, bool)],
    reopens: &[(&Opened, &OpenPath, bool)],
    level: &impl Fn(&OpenPath) -> Option<FixLevel>,
) -> Evidence {
    let is = |word: PathWord| move |one: &&(&Opened, &OpenPath, bool)| one.1.open_path == word;
    let cached = opens.iter().filter(is(PathWord::Cached)).count();
    let delegated = reopens.iter().filter(is(PathWord::Delegated)).count();
    let asked = || {
        reopens.iter().filter(|(_, path, held_on_server)| {
            // After a stale OPEN the name is looked up and opened in one.
            let wire = path.open_path == PathWord::Wire
                || (path.open_path == PathWord::Atomic && path.stale_retries > 0);
            wire && *held_on_server
        })
    };
    let (finding, fix_level, means) = if cached > 0 {
        (
            Finding::Affected,
            Some(FixLevel::None),
            "proves that this client serves an ordinary open from its own open state, without \
             asking the server for the file"
                .to_string(),
        )
    } else if asked().next().is_some() {
        let despite = if delegated > 0 {
            " (the delegated ones are legal and prove nothing by themselves)"
        } else {
            ""
        };
        (
            Finding::NotAffected,
            asked().filter_map(|(_, path, _)| level(path)).min(),
            format!(
                "proves that this client sends an OPEN for a file that is already open: it \
                 does not reuse its own open state{despite}"
            ),
        )
    } else if delegated > 0 {
        (
            Finding::Nothing,
            None,
            "proves nothing: the server has given a delegation for this file, which makes a \
             local open legal on every client"
                .to_string(),
        )
    } else {
        (
            Finding::Nothing,
            None,
            "proves nothing: no reopen was seen that had to choose".to_string(),
        )
    };
    Evidence {
        kind: Kind::SelfTest,
        looked_at,
        seen: groups(reopens),
        finding,
        fix_level,
        means,
    }
}

/// `6 x wire FH, name directory; 3 x delegated, name delegated`
fn groups(opens: &[(&Opened, &OpenPath, bool)]) -> String {
    let mut groups: BTreeMap<String, usize> = BTreeMap::new();
    for (_, path, _) in opens {
        let word = match path.open_path {
            PathWord::Cached => "CACHED".to_string(),
            word => match path.claim.and_then(claim_name) {
                Some(claim) => format!("{} {claim}", word.word()),
                None => word.word().to_string(),
            },
        };
        let stale = if path.stale_retries > 0 {
            ", after a stale OPEN"
        } else {
            ""
        };
        let group = format!("{word}, name {}{stale}", path.name_check.word());
        *groups.entry(group).or_default() += 1;
    }
    let words: Vec<_> = groups
        .iter()
        .map(|(group, count)| format!("{count} x {group}"))
        .collect();
    words.join("; ")
}

/// What was read when, as `read the old file for 30.2 s, then the new one`.
fn story(reads: &[(u64, Option<&str>)]) -> String {
    let mut parts: Vec<(&str, u64, u64)> = Vec::new();
    for (at, read) in reads {
        let read = read.unwrap_or("nothing");
        match parts.last_mut() {
            Some((last, _, until)) if *last == read => *until = *at,
            _ => parts.push((read, *at, *at)),
        }
    }
    let words: Vec<_> = parts
        .iter()
        .enumerate()
        .map(|(index, (read, from, until))| {
            let what = match *read {
                read if read == OLD.trim() => "the old file".to_string(),
                read if read == NEW.trim() => "the new file".to_string(),
                other => other.to_string(),
            };
            // It stayed until the next thing was read, or for longer than was watched.
            match parts.get(index + 1) {
                Some((_, next, _)) => format!("{what} for {}", seconds(next - from)),
                None if *read == NEW.trim() && index == 0 => format!("{what} at once"),
                None if *read == NEW.trim() => what,
                None => format!(
                    "{what} for as long as was watched ({})",
                    seconds(until - from)
                ),
            }
        })
        .collect();
    format!("read {}", words.join(", then "))
}

fn seconds(ns: u64) -> String {
    let tenths = ns / 100_000_000;
    format!("{}.{} s", tenths / 10, tenths % 10)
}

#[cfg(test)]
mod tests;
