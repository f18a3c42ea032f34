//! Two recordings, aligned and compared. Pure.

use std::{collections::HashMap, rc::Rc};

use serde::Serialize;

use super::{
    align::{Alignment, align},
    answer::{Answer, Likeness, Open},
    side::{Answers, Key, Sequence, Side},
};
use crate::trace::PathWord;

/// What became of an open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Change {
    /// All was seen, and is the same.
    Same,
    /// All was seen, and something differs.
    Changed,
    /// Not enough was seen to say.
    Uncertain,
    /// Before only.
    OnlyBefore,
    /// After only.
    OnlyAfter,
}

/// Opens on one side, equal and one after the other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Run {
    /// Which of its name and program the first of them is, from 1.
    pub first: u64,
    /// What was asked, and what was made of it.
    pub open: Rc<Open>,
}

/// Equal pairs, one after the other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// How many.
    pub count: u64,
    /// What became of them.
    pub change: Change,
    /// Before.
    pub before: Option<Run>,
    /// After.
    pub after: Option<Run>,
}

/// The opens of one name by one program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Name {
    /// Which.
    pub key: Key,
    /// Whether its first open is the first of that name at all, on both sides.
    pub begins: bool,
    /// All pairs, in their order.
    pub groups: Vec<Group>,
    /// See [`super::align::Alignment::in_order_alone`].
    pub in_order_alone: bool,
}

/// How many opens, by what became of them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[expect(missing_docs, reason = "the same as there")]
pub struct Counts {
    pub same: u64,
    pub changed: u64,
    pub uncertain: u64,
    pub only_before: u64,
    pub only_after: u64,
}

impl Counts {
    fn add(&mut self, group: &Group) {
        let counter = match group.change {
            Change::Same => &mut self.same,
            Change::Changed => &mut self.changed,
            Change::Uncertain => &mut self.uncertain,
            Change::OnlyBefore => &mut self.only_before,
            Change::OnlyAfter => &mut self.only_after,
        };
        *counter += group.count;
    }
}

/// The answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// No open differs, and nothing may have been missed.
    Same,
    /// An open differs.
    Different,
    /// None that was seen differs for certain; but something was missed, or there is nothing to
    /// compare.
    Inconclusive,
}

/// Two recordings, compared.
#[derive(Debug)]
pub struct Comparison {
    /// Whether all opens are on one mount of each recording: then it does not matter where.
    pub one_mount: bool,
    /// In the order of their first opens.
    pub names: Vec<Name>,
    /// Over all of them.
    pub counts: Counts,
    /// Opens that certainly differ.
    certain: u64,
    /// Why there may be more than was seen, of each recording.
    pub doubts: [Vec<String>; 2],
}

impl Comparison {
    /// Compares; with `words`, only opens that take one of these paths on either side.
    #[must_use]
    pub fn new(sides: &[Side; 2], answers: &Answers, words: &[PathWord]) -> Self {
        let one_mount = sides.iter().all(|side| side.mounts().len() <= 1);
        let mut comparison = Self {
            one_mount,
            names: Vec::new(),
            counts: Counts::default(),
            certain: 0,
            doubts: [sides[0].doubts(), sides[1].doubts()],
        };
        let key = |sequence: &Sequence| {
            let mut key = sequence.key.clone();
            if one_mount {
                key.mount = None;
            }
            key
        };
        let mut after: HashMap<Key, &Sequence> = sides[1]
            .sequences
            .iter()
            .map(|sequence| (key(sequence), sequence))
            .collect();
        for before in &sides[0].sequences {
            let key = key(before);
            let partner = after.remove(&key);
            comparison.add(key, [Some(before), partner], &answers.all, words);
        }
        for rest in &sides[1].sequences {
            let key = key(rest);
            if after.contains_key(&key) {
                comparison.add(key, [None, Some(rest)], &answers.all, words);
            }
        }
        comparison
    }

    fn add(
        &mut self,
        key: Key,
        sequences: [Option<&Sequence>; 2],
        opens: &[Rc<Open>],
        words: &[PathWord],
    ) {
        let [before, after] = sequences.map(|it| it.map_or(&[][..], |it| &it.opens));
        let alignment = align(before, after, opens);
        let groups = groups(&alignment, [before, after], opens, words);
        if groups.is_empty() {
            return;
        }
        for group in &groups {
            self.counts.add(group);
            if self.is_certain(&key, group) {
                self.certain += group.count;
            }
        }
        self.names.push(Name {
            key,
            begins: sequences.iter().flatten().all(|it| it.begins),
            groups,
            in_order_alone: alignment.in_order_alone && before.len() != after.len(),
        });
    }

    /// Whether a group is a difference, and not merely what was lost. An open that is missing from
    /// a recording that may lack something is none, nor is one whose own evidence has gaps.
    fn is_certain(&self, key: &Key, group: &Group) -> bool {
        let [before, after] = [&self.doubts[0], &self.doubts[1]].map(Vec::is_empty);
        let alone = |run: &Option<Run>, other_is_whole: bool| {
            let complete = run.as_ref().is_some_and(|run| run.open.answer.complete);
            other_is_whole && complete && key.path.is_some()
        };
        match group.change {
            Change::Changed => true,
            Change::OnlyBefore => alone(&group.before, after),
            Change::OnlyAfter => alone(&group.after, before),
            Change::Same | Change::Uncertain => false,
        }
    }

    /// The answer.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        let all_the_same = Counts {
            same: self.counts.same,
            ..Counts::default()
        };
        if self.certain > 0 {
            Verdict::Different
        } else if self.counts == all_the_same
            && self.counts.same > 0
            && self.doubts.iter().all(Vec::is_empty)
        {
            Verdict::Same
        } else {
            Verdict::Inconclusive
        }
    }

    /// A name as it is shown.
    #[must_use]
    pub fn shown(&self, key: &Key) -> String {
        let path = key.path.as_deref().unwrap_or("(name not known)");
        match &key.mount {
            Some(mount) if key.path.is_some() => format!("{}/{path}", mount.trim_end_matches('/')),
            _ => path.into(),
        }
    }
}

impl Name {
    /// Whether anything but the same is in it.
    #[must_use]
    pub fn differs(&self) -> bool {
        self.groups.iter().any(|it| it.change != Change::Same)
    }

    /// The flags of its opens, if they are all the same.
    #[must_use]
    pub fn flags(&self) -> Option<&str> {
        let runs = self.groups.iter().flat_map(|it| [&it.before, &it.after]);
        let mut flags = runs.flatten().map(|run| run.open.flags.as_deref());
        let first = flags.next()??;
        flags.all(|it| it == Some(first)).then_some(first)
    }
}

impl Group {
    /// What was made of it on both sides, if it is on both.
    #[must_use]
    pub fn both(&self) -> Option<(&Answer, &Answer)> {
        Some((
            &self.before.as_ref()?.open.answer,
            &self.after.as_ref()?.open.answer,
        ))
    }
}

/// Puts equal pairs that follow each other together, of those that are wanted.
fn groups(
    alignment: &Alignment,
    sides: [&[u32]; 2],
    opens: &[Rc<Open>],
    words: &[PathWord],
) -> Vec<Group> {
    let open = |place: u32| &opens[place as usize];
    let is_wanted = |places: &[Option<u32>; 2]| {
        let mut paths = places.iter().flatten().map(|it| open(*it).answer.open_path);
        words.is_empty() || paths.any(|path| words.contains(&path))
    };
    let mut groups: Vec<Group> = Vec::new();
    // The pair before, and whether it was wanted.
    let mut last = None;
    for pairs in &alignment.pairs {
        let firsts = [pairs.before, pairs.after];
        for next in 0..pairs.count {
            let at = firsts.map(|first| first.map(|first| first + next));
            let places = [0, 1].map(|side| at[side].map(|at| sides[side][at]));
            let wanted = match last {
                Some((before, wanted)) if before == places => wanted,
                _ => is_wanted(&places),
            };
            match groups.last_mut() {
                _ if !wanted => {}
                Some(group) if last == Some((places, true)) => group.count += 1,
                _ => {
                    let [before, after] = [0, 1].map(|side| {
                        Some(Run {
                            first: at[side]? as u64 + 1,
                            open: Rc::clone(open(places[side]?)),
                        })
                    });
                    groups.push(Group {
                        count: 1,
                        change: change(before.as_ref(), after.as_ref()),
                        before,
                        after,
                    });
                }
            }
            last = Some((places, wanted));
        }
    }
    groups
}

fn change(before: Option<&Run>, after: Option<&Run>) -> Change {
    match (before, after) {
        (Some(before), Some(after)) => match before.open.answer.likeness(&after.open.answer) {
            Likeness::Same => Change::Same,
            Likeness::Uncertain => Change::Uncertain,
            Likeness::Changed => Change::Changed,
        },
        (Some(_), None) => Change::OnlyBefore,
        _ => Change::OnlyAfter,
    }
}
