//! What each client should answer, scenario by scenario.
//!
//! The counts follow from the kernel's source (kernels 5.10 to 7.x answer alike) and were then
//! measured; where time decides, nothing is expected. All scenarios but `workaround` are over well
//! within the 30 s for which a client trusts a directory's attributes, and that is part of the
//! expectation.

pub(crate) mod cures;

use std::collections::BTreeMap;

use lab_contract::{
    protocol::{NfsVersion, Run},
    scenario::{
        CREATES, DELEGATED_OPENS, FIRST_OPENS, GIT_READS, OTHER_MODE_OPENS, OTHER_USER_OPENS,
        PREFLIGHT_OPENS, RECALLED_OPENS, REMOVED_OPENS, RENAME_OPENS, REOPENS, STORM_OPENS,
        TRUNCATES, UNLINKED_OPENS,
    },
};

use super::client::Client;

/// How many of each word.
pub(crate) type Counts = BTreeMap<String, u64>;

/// What is certain of one scenario; what is not, is not judged.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Expected {
    pub(crate) open_path: Option<Counts>,
    pub(crate) name_check: Option<Counts>,
    /// Words are counted for rows of this file only.
    pub(crate) only: Option<&'static str>,
    /// No row may have this open path.
    pub(crate) never: Option<&'static str>,
    /// Some row must have this open path.
    pub(crate) some: Option<&'static str>,
    /// OPEN and OPEN_NOATTR together, as the kernel counts them.
    pub(crate) open_rpcs: Option<u64>,
    /// At least as many, where retries depend on timing.
    pub(crate) open_rpcs_at_least: u64,
    /// What is read, in order.
    pub(crate) reads: Option<Vec<Run>>,
}

impl Expected {
    fn paths(mut self, counts: &[(&str, u64)]) -> Self {
        self.open_path = Some(to_counts(counts));
        self
    }

    fn names(mut self, counts: &[(&str, u64)]) -> Self {
        self.name_check = Some(to_counts(counts));
        self
    }

    fn opens_sent(mut self, count: u64) -> Self {
        self.open_rpcs = Some(count);
        self
    }

    fn reads(mut self, runs: &[(u64, &str)]) -> Self {
        let run = |&(times, what): &(u64, &str)| Run {
            what: what.to_owned(),
            times,
        };
        self.reads = Some(runs.iter().map(run).collect());
        self
    }
}

fn to_counts(counts: &[(&str, u64)]) -> Counts {
    counts
        .iter()
        .map(|&(word, count)| (word.to_owned(), count))
        .collect()
}

/// What happens when the name of a held file is opened that means another file by now, or none.
#[derive(Clone, Copy)]
enum Answer {
    /// No OPEN is sent: the old file.
    Cached,
    /// The same, but the name is refused first where the old file has no link left.
    CachedOrGone,
    /// The first OPEN by name is answered with the other file, or ENOENT: EOPENSTALE, and the name
    /// is looked up and opened anew in one go.
    ByName,
    /// From v4.1 on the OPEN names the file, not the name: it finds the old file until the
    /// directory's cached attributes expire. Old content is no sign of the bug; the path is.
    ByHandle,
    /// The same, but the answer to the first OPEN says that the file has no link left. The next
    /// check of the name refuses it and has the directory looked at: a LOOKUP finds the truth.
    ByHandleOnce,
}

/// The table.
pub(crate) fn expected(scenario: &str, client: Client, version: NfsVersion) -> Expected {
    let affected = client.is_affected(version);
    let none = Expected {
        never: (!affected).then_some("cached"),
        ..Expected::default()
    };
    let check = if client.accepts_names(version) {
        "accepted"
    } else {
        "directory"
    };
    let answer = match (affected, version) {
        (true, _) if client.asks_for_links(version) => Answer::CachedOrGone,
        (true, _) => Answer::Cached,
        (false, NfsVersion::V40) => Answer::ByName,
        (false, _) if client.refuses_unlinked(version) => Answer::ByHandleOnce,
        (false, _) => Answer::ByHandle,
    };
    match scenario {
        "preflight" => first_opens(none, PREFLIGHT_OPENS).reads(&[(PREFLIGHT_OPENS, "old")]),
        "first-open" => first_opens(none, FIRST_OPENS).reads(&[(FIRST_OPENS, "old")]),
        "create" => first_opens(none, CREATES),
        "reopen" => held(none, affected, REOPENS)
            .names(&[("none", 1), (check, REOPENS)])
            .reads(&[(REOPENS, "old")]),
        // Another mode, another owner, and O_TRUNC need an OPEN on every client.
        "truncate" => held(none, false, TRUNCATES),
        "other-mode" => held(none, false, OTHER_MODE_OPENS),
        "other-user" => held(none, false, OTHER_USER_OPENS).reads(&[(OTHER_USER_OPENS, "old")]),
        "rename-over" => rename_over(none, answer, check),
        "unlinked" => unlinked(none, answer),
        "removed" => removed(none, client.asks_for_links(version)),
        "delegation" => delegation(none, answer),
        "git-gc" => git_gc(none, answer),
        "storm" if affected => Expected {
            some: Some("cached"),
            ..none
        },
        "storm" => Expected {
            open_rpcs_at_least: STORM_OPENS,
            ..none
        },
        _ => none,
    }
}

fn first_opens(none: Expected, count: u64) -> Expected {
    none.paths(&[("atomic", count)])
        .names(&[("none", count)])
        .opens_sent(count)
}

/// A first open that is held, then others of the same name.
fn held(none: Expected, cached: bool, count: u64) -> Expected {
    if cached {
        return none
            .paths(&[("atomic", 1), ("cached", count)])
            .opens_sent(1);
    }
    none.paths(&[("atomic", 1), ("wire", count)])
        .opens_sent(1 + count)
}

/// A first open that is held, then others of its name, for which the server says: no link left.
fn gone(none: Expected, count: u64) -> Expected {
    none.paths(&[("atomic", 1), ("failed", count)])
        .names(&[("none", 1 + count)])
        .opens_sent(1)
        .reads(&[(count, "ENOENT")])
}

fn rename_over(none: Expected, answer: Answer, check: &str) -> Expected {
    let later = RENAME_OPENS - 1;
    match answer {
        Answer::ByName => none
            .paths(&[("atomic", 2), ("wire", later)])
            .names(&[("none", 2), (check, later)])
            .opens_sent(1 + 1 + RENAME_OPENS)
            .reads(&[(RENAME_OPENS, "new")]),
        Answer::ByHandleOnce => none
            .paths(&[("atomic", 2), ("wire", later)])
            .names(&[("none", 1), (check, later), ("replaced", 1)])
            .opens_sent(1 + RENAME_OPENS)
            .reads(&[(1, "old"), (later, "new")]),
        Answer::CachedOrGone => gone(none, RENAME_OPENS),
        Answer::Cached | Answer::ByHandle => {
            held(none, matches!(answer, Answer::Cached), RENAME_OPENS)
                .names(&[("none", 1), (check, RENAME_OPENS)])
                .reads(&[(RENAME_OPENS, "old")])
        }
    }
}

fn unlinked(none: Expected, answer: Answer) -> Expected {
    match answer {
        // OPEN by name, then the retry: twice ENOENT. The dentry is negative from there on, and
        // its directory vouches for that: no file, no OPEN.
        Answer::ByName => none
            .paths(&[("atomic", 2), ("failed", UNLINKED_OPENS - 1)])
            .opens_sent(1 + 2)
            .reads(&[(UNLINKED_OPENS, "ENOENT")]),
        // The second open of the name ends in an OPEN by name, since the LOOKUP found none.
        Answer::ByHandleOnce => none
            .paths(&[("atomic", 2), ("wire", 1), ("failed", UNLINKED_OPENS - 2)])
            .opens_sent(1 + 2)
            .reads(&[(1, "old"), (UNLINKED_OPENS - 1, "ENOENT")]),
        Answer::CachedOrGone => gone(none, UNLINKED_OPENS),
        Answer::Cached | Answer::ByHandle => {
            held(none, matches!(answer, Answer::Cached), UNLINKED_OPENS)
                .reads(&[(UNLINKED_OPENS, "old")])
        }
    }
}

/// Nothing is held, so every client asks: by name (v4.0, ENOENT) or by filehandle (ESTALE). Both
/// end in EOPENSTALE, and the retry by name in ENOENT. From there on the dentry is negative.
///
/// Where the check of the name asks for the file's attributes, that sees ESTALE first: two opens in
/// a row end in an OPEN by name.
fn removed(none: Expected, asks_for_links: bool) -> Expected {
    let atomic = if asks_for_links { 2 } else { 1 };
    none.paths(&[("atomic", 1 + atomic), ("failed", REMOVED_OPENS - atomic)])
        .opens_sent(1 + 2)
        .reads(&[(REMOVED_OPENS, "ENOENT")])
}

fn delegation(none: Expected, answer: Answer) -> Expected {
    // The file is opened (1), and when the delegation is given back (1, by the state manager).
    let sent = 2;
    let before = DELEGATED_OPENS - 1;
    let later = RECALLED_OPENS - 1;
    let all_old = [(before + RECALLED_OPENS, "old")];
    let delegated = ("delegated", DELEGATED_OPENS);
    match answer {
        Answer::CachedOrGone => none,
        Answer::Cached => none
            .paths(&[("atomic", 1), delegated, ("cached", RECALLED_OPENS)])
            .opens_sent(sent)
            .reads(&all_old),
        Answer::ByName => none
            .paths(&[("atomic", 2), delegated, ("wire", later)])
            .opens_sent(sent + 1 + RECALLED_OPENS)
            .reads(&[(before, "old"), (RECALLED_OPENS, "new")]),
        Answer::ByHandle => none
            .paths(&[("atomic", 1), delegated, ("wire", RECALLED_OPENS)])
            .opens_sent(sent + RECALLED_OPENS)
            .reads(&all_old),
        Answer::ByHandleOnce => none
            .paths(&[("atomic", 2), delegated, ("wire", later)])
            .opens_sent(sent + RECALLED_OPENS)
            .reads(&[(before + 1, "old"), (later, "new")]),
    }
}

/// git opens much else; only packed-refs is looked at. One command reads it before the gc.
fn git_gc(none: Expected, answer: Answer) -> Expected {
    let none = Expected {
        only: Some("packed-refs"),
        ..none
    };
    match answer {
        Answer::Cached => none
            .paths(&[("atomic", 1), ("cached", 1 + GIT_READS)])
            .reads(&[(1 + GIT_READS, "old")]),
        Answer::ByName => none
            .paths(&[("atomic", 2), ("wire", GIT_READS)])
            .reads(&[(1, "old"), (GIT_READS, "new")]),
        Answer::CachedOrGone => none,
        // The OPEN by file handle may find the old file; git's stat then may or may not see that
        // it is gone (6.1: ESTALE, 6.12: old once, then new).
        Answer::ByHandle | Answer::ByHandleOnce => none,
    }
}

#[cfg(test)]
mod tests {
    use clap::ValueEnum as _;
    use lab_contract::scenario::SCENARIOS;

    use super::*;

    const VERSIONS: [NfsVersion; 3] = [NfsVersion::V40, NfsVersion::V41, NfsVersion::V42];

    /// Exercises every cell of the table: paths and names must add up to the opens done.
    #[test]
    fn counts_add_up_to_the_opens_of_the_scenario() {
        for scenario in SCENARIOS {
            for client in Client::value_variants().iter().chain([&Client::Before418]) {
                for version in VERSIONS {
                    let expected = expected(scenario.name, *client, version);
                    for counts in [&expected.open_path, &expected.name_check]
                        .into_iter()
                        .flatten()
                    {
                        let sum = counts.values().sum();
                        if expected.only.is_none() {
                            assert_eq!(scenario.opens, Some(sum), "{} {client:?}", scenario.name);
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn only_affected_clients_may_answer_from_their_cache() {
        for scenario in SCENARIOS {
            for version in VERSIONS {
                let stock = expected(scenario.name, Client::Stock, version);
                assert_eq!(stock.never, Some("cached"));
                assert!(!stock.open_path.unwrap_or_default().contains_key("cached"));
                let only = expected(scenario.name, Client::Be189f7eOnly, version);
                assert_eq!(only.never, Some("cached"));
                assert_eq!(
                    expected(scenario.name, Client::WithoutSeries, version).never,
                    None
                );
            }
        }
    }

    #[test]
    fn the_made_up_client_is_affected_over_one_version_only() {
        for scenario in SCENARIOS {
            for version in VERSIONS {
                let like = match version {
                    NfsVersion::V40 => Client::WithoutBe189f7e,
                    _ => Client::Stock,
                };
                let mixed = expected(scenario.name, Client::AffectedOnV40, version);
                assert_eq!(mixed, expected(scenario.name, like, version));
            }
        }
    }
}
