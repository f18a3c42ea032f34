//! What each client should answer, scenario by scenario.
//!
//! The counts follow from the kernel's source (kernels 5.10 to 7.x answer alike) and were then
//! measured; where time decides, nothing is expected. All scenarios are over well within the 30 s
//! for which a client trusts a directory's attributes, and that is part of the expectation.

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
#[derive(Debug, Default, Clone)]
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

/// The table.
pub(crate) fn expected(scenario: &str, client: Client, version: NfsVersion) -> Expected {
    let affected = client != Client::Stock;
    let v40 = version == NfsVersion::V40;
    let none = Expected {
        never: (!affected).then_some("cached"),
        ..Expected::default()
    };
    // Before the series, v4.0 asked nobody about the name.
    let check = if client == Client::WithoutSeries && v40 {
        "accepted"
    } else {
        "directory"
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
        "rename-over" => rename_over(none, affected, v40),
        "unlinked" => unlinked(none, affected, v40),
        "removed" => removed(none),
        "delegation" => delegation(none, affected, v40),
        "git-gc" => git_gc(none, affected, v40),
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

fn rename_over(none: Expected, affected: bool, v40: bool) -> Expected {
    let old = [(RENAME_OPENS, "old")];
    if v40 && !affected {
        // The first OPEN by name after the rename answers with the other file: EOPENSTALE, and the
        // name is looked up and opened anew in one go.
        return none
            .paths(&[("atomic", 2), ("wire", RENAME_OPENS - 1)])
            .opens_sent(1 + 1 + RENAME_OPENS)
            .reads(&[(RENAME_OPENS, "new")]);
    }
    // From v4.1 on the OPEN names the file, not the name: it finds the old file until the
    // directory's cached attributes expire. Old content is no sign of the bug; the path is.
    held(none, affected, RENAME_OPENS).reads(&old)
}

fn unlinked(none: Expected, affected: bool, v40: bool) -> Expected {
    if v40 && !affected {
        // OPEN by name, then the retry: twice ENOENT. The dentry is negative from there on, and
        // its directory vouches for that: no file, no OPEN.
        return none
            .paths(&[("atomic", 2), ("failed", UNLINKED_OPENS - 1)])
            .opens_sent(1 + 2)
            .reads(&[(UNLINKED_OPENS, "ENOENT")]);
    }
    held(none, affected, UNLINKED_OPENS).reads(&[(UNLINKED_OPENS, "old")])
}

/// Nothing is held, so every client asks: by name (v4.0, ENOENT) or by filehandle (ESTALE). Both
/// end in EOPENSTALE, and the retry by name in ENOENT. From there on the dentry is negative.
fn removed(none: Expected) -> Expected {
    none.paths(&[("atomic", 2), ("failed", REMOVED_OPENS - 1)])
        .opens_sent(1 + 2)
        .reads(&[(REMOVED_OPENS, "ENOENT")])
}

fn delegation(none: Expected, affected: bool, v40: bool) -> Expected {
    // The file is opened (1), and when the delegation is given back (1, by the state manager).
    let sent = 2;
    let before = DELEGATED_OPENS - 1;
    let all_old = [(before + RECALLED_OPENS, "old")];
    let delegated = ("delegated", DELEGATED_OPENS);
    match (affected, v40) {
        (true, _) => none
            .paths(&[("atomic", 1), delegated, ("cached", RECALLED_OPENS)])
            .opens_sent(sent)
            .reads(&all_old),
        (false, true) => none
            .paths(&[("atomic", 2), delegated, ("wire", RECALLED_OPENS - 1)])
            .opens_sent(sent + 1 + RECALLED_OPENS)
            .reads(&[(before, "old"), (RECALLED_OPENS, "new")]),
        (false, false) => none
            .paths(&[("atomic", 1), delegated, ("wire", RECALLED_OPENS)])
            .opens_sent(sent + RECALLED_OPENS)
            .reads(&all_old),
    }
}

/// git opens much else; only packed-refs is looked at. One command reads it before the gc.
fn git_gc(none: Expected, affected: bool, v40: bool) -> Expected {
    let none = Expected {
        only: Some("packed-refs"),
        ..none
    };
    match (affected, v40) {
        (true, _) => none
            .paths(&[("atomic", 1), ("cached", 1 + GIT_READS)])
            .reads(&[(1 + GIT_READS, "old")]),
        (false, true) => none
            .paths(&[("atomic", 2), ("wire", GIT_READS)])
            .reads(&[(1, "old"), (GIT_READS, "new")]),
        // The OPEN by file handle may find the old file; git's stat then may or may not see that
        // it is gone (6.1: ESTALE, 6.12: old once, then new).
        (false, false) => none,
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
            for client in Client::value_variants() {
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
                assert_eq!(
                    expected(scenario.name, Client::WithoutSeries, version).never,
                    None
                );
            }
        }
    }
}
