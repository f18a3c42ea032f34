//! What the client made of one open, as far as two recordings can be compared by it. Times, ids of
//! dentries, processes and inode numbers differ from run to run, and are not in it.

use serde::Serialize;

use crate::{
    names::errno_name,
    row::{Row, Rpcs},
    trace::{NameCheck, PathWord},
};

/// One open: what was asked for, and what was made of it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Open {
    /// O_* flags, in words; nothing if they are not known.
    pub flags: Option<String>,
    /// What was made of it.
    pub answer: Answer,
}

/// What the client made of an open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
pub struct Answer {
    /// What vouched for the file.
    pub open_path: PathWord,
    /// Claim of the OPEN that decided.
    pub claim: Option<&'static str>,
    /// What vouched for the name.
    pub name_check: NameCheck,
    /// RPCs sent; nothing where they are not counted.
    pub rpcs: Rpcs,
    /// EOPENSTALE returns inside.
    pub stale_retries: u32,
    /// 0 or a negative errno; nothing if the end was not seen.
    pub result: Option<i32>,
    /// Everything that belongs to the open was seen.
    pub complete: bool,
}

/// How two answers compare.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Likeness {
    /// All was seen of both, and is the same.
    Same,
    /// Not enough was seen to say.
    Uncertain,
    /// All was seen of both, and something differs.
    Changed,
}

/// A part of an answer that is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Part {
    /// Open path and claim.
    OpenPath,
    /// Name check.
    NameCheck,
    /// OPENs sent.
    Opens,
    /// LOOKUPs sent.
    Lookups,
    /// EOPENSTALE returns.
    StaleRetries,
    /// Result.
    Result,
}

impl Part {
    /// All of them, in the order in which they are told.
    pub const ALL: [Self; 6] = [
        Self::OpenPath,
        Self::NameCheck,
        Self::Opens,
        Self::Lookups,
        Self::StaleRetries,
        Self::Result,
    ];
}

impl Open {
    /// Of a row.
    #[must_use]
    pub fn of(row: &Row) -> Self {
        Self {
            flags: row.flags.map(|flags| flags.to_string()),
            answer: Answer {
                open_path: row.open_path,
                claim: row.claim,
                name_check: row.name_check,
                rpcs: row.rpcs,
                stale_retries: row.stale_retries,
                result: row.result,
                complete: row.complete,
            },
        }
    }

    /// Whether both may be the same open(2) of a program. Flags are the program's, whatever the
    /// kernel makes of them.
    #[must_use]
    pub fn may_be(&self, other: &Self) -> bool {
        match (&self.flags, &other.flags) {
            (Some(one), Some(other)) => one == other,
            _ => true,
        }
    }
}

impl Answer {
    /// Whether a part is known; what is not can be neither the same nor another.
    fn knows(&self, part: Part) -> bool {
        match part {
            Part::OpenPath => self.open_path != PathWord::Unknown,
            Part::NameCheck => self.name_check != NameCheck::Unknown,
            Part::Opens => self.rpcs.open.is_some(),
            Part::Lookups => self.rpcs.lookup.is_some(),
            Part::StaleRetries => true,
            Part::Result => self.result.is_some(),
        }
    }

    /// Whether a part is known of both, and differs.
    #[must_use]
    pub fn differs(&self, other: &Self, part: Part) -> bool {
        let differs = match part {
            Part::OpenPath => (self.open_path, self.claim) != (other.open_path, other.claim),
            Part::NameCheck => self.name_check != other.name_check,
            Part::Opens => self.rpcs.open != other.rpcs.open,
            Part::Lookups => self.rpcs.lookup != other.rpcs.lookup,
            Part::StaleRetries => self.stale_retries != other.stale_retries,
            Part::Result => self.result != other.result,
        };
        differs && self.knows(part) && other.knows(part)
    }

    /// Compares. What is incomplete may have been another answer.
    #[must_use]
    pub fn likeness(&self, other: &Self) -> Likeness {
        if !self.complete || !other.complete {
            return Likeness::Uncertain;
        }
        if Part::ALL.iter().any(|part| self.differs(other, *part)) {
            return Likeness::Changed;
        }
        let known = |part: &Part| self.knows(*part) && other.knows(*part);
        match Part::ALL.iter().all(known) {
            true => Likeness::Same,
            false => Likeness::Uncertain,
        }
    }

    /// Open path and claim, as `wire (claim NULL)`.
    #[must_use]
    pub fn class(&self) -> String {
        match self.claim {
            Some(claim) => format!("{} (claim {claim})", self.open_path.word()),
            None => self.open_path.word().into(),
        }
    }

    /// Its parts in words: those that tell something, and `also`.
    #[must_use]
    pub fn phrases(&self, also: &[Part]) -> Vec<(Option<Part>, String)> {
        let expected = match self.open_path {
            PathWord::Wire | PathWord::Atomic => Some(1),
            _ => Some(0),
        };
        let mut phrases = Vec::new();
        for part in Part::ALL {
            let (tells, words) = match part {
                Part::OpenPath => (true, open_path(self)),
                Part::NameCheck => (true, format!("name {}", self.name_check.word())),
                // How many there are is said if it does not follow from the open path.
                Part::Opens => (self.rpcs.open != expected, sent(self.rpcs.open, "OPEN")),
                Part::Lookups => (
                    self.rpcs.lookup != Some(0),
                    sent(self.rpcs.lookup, "LOOKUP"),
                ),
                Part::StaleRetries => {
                    let many = if self.stale_retries == 1 { "y" } else { "ies" };
                    let words = format!("{} stale retr{many}", self.stale_retries);
                    (self.stale_retries > 0, words)
                }
                Part::Result => (self.result != Some(0), result(self.result)),
            };
            if tells || also.contains(&part) {
                phrases.push((Some(part), words));
            }
        }
        if !self.complete {
            phrases.push((None, "incomplete".into()));
        }
        phrases
    }
}

fn open_path(answer: &Answer) -> String {
    match (answer.open_path, answer.claim) {
        // Capitals, as in a trace.
        (PathWord::Cached, _) => "CACHED".into(),
        (word, Some(claim)) => format!("{} {claim}", word.word()),
        (word, None) => word.word().into(),
    }
}

fn sent(count: Option<u32>, rpc: &str) -> String {
    match count {
        None => format!("{rpc}s not counted"),
        Some(1) => format!("1 {rpc}"),
        Some(count) => format!("{count} {rpc}s"),
    }
}

/// A result in words.
#[must_use]
pub fn result(result: Option<i32>) -> String {
    match result {
        Some(0) => "ok".into(),
        Some(ret) => errno_name(ret),
        None => "end not seen".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    pub(in crate::diff) const CACHED: Answer = Answer {
        open_path: PathWord::Cached,
        claim: None,
        name_check: NameCheck::Accepted,
        rpcs: Rpcs {
            open: Some(0),
            lookup: Some(0),
        },
        stale_retries: 0,
        result: Some(0),
        complete: true,
    };

    fn words(answer: &Answer, also: &[Part]) -> String {
        let phrases = answer.phrases(also).into_iter().map(|(_, words)| words);
        phrases.collect::<Vec<_>>().join(", ")
    }

    #[test]
    fn each_part_that_differs_is_a_change() {
        let rpcs = |open, lookup| Rpcs {
            open: Some(open),
            lookup: Some(lookup),
        };
        type Change = fn(&mut Answer, Rpcs);
        let cases: [(Part, Change); 7] = [
            (Part::OpenPath, |it, _| it.open_path = PathWord::Delegated),
            (Part::OpenPath, |it, _| it.claim = Some("FH")),
            (Part::NameCheck, |it, _| it.name_check = NameCheck::Lookup),
            (Part::Opens, |it, rpcs| it.rpcs.open = rpcs.open),
            (Part::Lookups, |it, rpcs| it.rpcs.lookup = rpcs.lookup),
            (Part::StaleRetries, |it, _| it.stale_retries = 1),
            (Part::Result, |it, _| it.result = Some(-116)),
        ];
        for (part, change) in cases {
            let mut other = CACHED;
            change(&mut other, rpcs(3, 3));
            assert_eq!(CACHED.likeness(&other), Likeness::Changed, "{part:?}");
            let differing: Vec<Part> = Part::ALL
                .into_iter()
                .filter(|part| CACHED.differs(&other, *part))
                .collect();
            assert_eq!(differing, [part]);
            assert_eq!(other.likeness(&other), Likeness::Same, "{part:?}");
            other.complete = false;
            assert_eq!(CACHED.likeness(&other), Likeness::Uncertain, "{part:?}");
        }
    }

    /// Two kernels that both do not tell may still do different things.
    #[test]
    fn what_is_not_known_is_neither_the_same_nor_another() {
        type Change = fn(&mut Answer);
        let cases: [Change; 5] = [
            |it| it.open_path = PathWord::Unknown,
            |it| it.name_check = NameCheck::Unknown,
            |it| it.rpcs.open = None,
            |it| it.rpcs.lookup = None,
            |it| it.result = None,
        ];
        for change in cases {
            let mut other = CACHED;
            change(&mut other);
            assert_eq!(CACHED.likeness(&other), Likeness::Uncertain, "{other:?}");
            assert_eq!(other.likeness(&other), Likeness::Uncertain, "{other:?}");
            // Something else that differs is a change all the same.
            other.stale_retries = 1;
            assert_eq!(CACHED.likeness(&other), Likeness::Changed, "{other:?}");
        }
    }

    #[test]
    fn an_answer_says_what_is_worth_saying() {
        assert_eq!(words(&CACHED, &[]), "CACHED, name accepted");
        assert_eq!(
            words(&CACHED, &[Part::Opens, Part::Result]),
            "CACHED, name accepted, 0 OPENs, ok"
        );
        let retried = Answer {
            open_path: PathWord::Atomic,
            claim: Some("NULL"),
            name_check: NameCheck::None,
            rpcs: Rpcs {
                open: Some(2),
                lookup: Some(1),
            },
            stale_retries: 1,
            result: Some(-116),
            complete: false,
        };
        assert_eq!(
            words(&retried, &[]),
            "atomic NULL, name none, 2 OPENs, 1 LOOKUP, 1 stale retry, ESTALE, incomplete"
        );
        assert_eq!(retried.class(), "atomic (claim NULL)");
    }

    #[test]
    fn flags_tell_opens_apart_where_they_are_known() {
        let open = |flags: Option<&str>| Open {
            flags: flags.map(Into::into),
            answer: CACHED,
        };
        assert!(open(Some("O_RDWR")).may_be(&open(Some("O_RDWR"))));
        assert!(!open(Some("O_RDWR")).may_be(&open(Some("O_RDONLY"))));
        assert!(open(None).may_be(&open(Some("O_RDONLY"))));
    }
}
