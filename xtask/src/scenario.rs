//! The scenarios as one table: name, what is done, and how many open(2) calls that makes.
//!
//! The counts are primes, so that a wrong sum cannot be mistaken for a right one. What each client
//! should answer is not here but in `lab/expect.rs`: the guest measures, the host judges.

use crate::cure;

/// Reopens of a held file in `reopen`.
pub const REOPENS: u64 = 23;
/// Opens of the name in `rename-over` after the server's rename.
pub const RENAME_OPENS: u64 = 11;
/// Client-side git commands in `git-gc` after the server's gc.
pub const GIT_READS: u64 = 3;
/// Opens in `delegation` while the delegation is held.
pub const DELEGATED_OPENS: u64 = 13;
/// Opens in `delegation` after the recall.
pub const RECALLED_OPENS: u64 = 7;
/// Files in `first-open`.
pub const FIRST_OPENS: u64 = 17;
/// New names in `create`.
pub const CREATES: u64 = 13;
/// O_TRUNC opens in `truncate`.
pub const TRUNCATES: u64 = 7;
/// O_RDWR opens in `other-mode`.
pub const OTHER_MODE_OPENS: u64 = 7;
/// Opens by the other user in `other-user`.
pub const OTHER_USER_OPENS: u64 = 7;
/// Opens in `unlinked` after the server removed the file.
pub const UNLINKED_OPENS: u64 = 5;
/// Opens in `removed` after the server removed the file.
pub const REMOVED_OPENS: u64 = 5;
/// Opens in `preflight`.
pub const PREFLIGHT_OPENS: u64 = 3;
/// Processes in `storm`.
pub const STORM_PROCESSES: u64 = 8;
/// Opens of all processes in `storm` together.
pub const STORM_OPENS: u64 = 20_000;
/// Files in `storm`.
pub const STORM_FILES: u64 = 200;
/// Files that each process of `storm` holds open (counted in its opens).
pub const STORM_HELD: u64 = 5;

/// Name of the scenario that must pass before any other is worth reading.
pub const PREFLIGHT: &str = "preflight";

/// Name of the scenario that tries the cures of [`cure::CURES`].
pub const WORKAROUND: &str = "workaround";

/// One row of the table.
#[derive(Debug, Clone, Copy)]
pub struct Scenario {
    /// Name on the command line and in outcomes.
    pub name: &'static str,
    /// What is done, in one line.
    pub what: &'static str,
    /// open(2) calls on the mount; none where a foreign program (git) decides.
    pub opens: Option<u64>,
    /// Whether the server may hand out delegations (`fs.leases-enable`).
    pub leases: bool,
    /// Takes more than a minute on each version: is run only if it is named.
    pub slow: bool,
    /// Options of mount(8) that it needs, each behind a comma.
    pub options: &'static str,
}

const fn row(name: &'static str, opens: u64, what: &'static str) -> Scenario {
    Scenario {
        name,
        what,
        opens: Some(opens),
        leases: false,
        slow: false,
        options: "",
    }
}

/// All scenarios in the order they run; the first proves that anything can be measured.
pub const SCENARIOS: &[Scenario] = &[
    row(
        PREFLIGHT,
        PREFLIGHT_OPENS,
        "3 first opens: is anything measured at all",
    ),
    row(
        "reopen",
        1 + REOPENS,
        "held O_RDONLY, reopened 23 times the same way",
    ),
    row(
        "rename-over",
        1 + RENAME_OPENS,
        "held, renamed over on the server, name opened 11 times",
    ),
    Scenario {
        name: "git-gc",
        what: "packed-refs held, git gc on the server, refs resolved by git on the client",
        opens: None,
        leases: false,
        slow: false,
        // A file's attributes are trusted for 3 s else, and what git says after that depends on how
        // long it took (an affected 6.1: "Stale file handle").
        options: ",acregmin=30",
    },
    Scenario {
        name: "delegation",
        what: "13 opens from a delegation, recalled by a rename on the server, then 7 opens",
        opens: Some(1 + DELEGATED_OPENS + RECALLED_OPENS),
        leases: true,
        slow: false,
        options: "",
    },
    row(
        "first-open",
        FIRST_OPENS,
        "17 files that were never opened before",
    ),
    row("create", CREATES, "O_CREAT of 13 new names"),
    row(
        "truncate",
        1 + TRUNCATES,
        "held O_WRONLY, opened 7 times with O_TRUNC",
    ),
    row(
        "other-mode",
        1 + OTHER_MODE_OPENS,
        "held O_RDONLY, opened 7 times O_RDWR",
    ),
    row(
        "other-user",
        1 + OTHER_USER_OPENS,
        "held by root, opened 7 times by uid 1000",
    ),
    row(
        "unlinked",
        1 + UNLINKED_OPENS,
        "held, removed on the server, name opened 5 times",
    ),
    row(
        "removed",
        1 + REMOVED_OPENS,
        "opened and closed, removed on the server, name opened 5 times",
    ),
    row(
        "storm",
        STORM_OPENS,
        "8 processes, 20000 opens of 200 files, renames on the server",
    ),
    Scenario {
        name: WORKAROUND,
        what: "held, renamed over on the server, then 9 cures: what clears it",
        opens: Some(cure::OPENS),
        leases: false,
        slow: true,
        options: "",
    },
];

/// The row of that name.
pub fn find(name: &str) -> Option<&'static Scenario> {
    SCENARIOS.iter().find(|scenario| scenario.name == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_preflight_is_first() {
        assert_eq!(SCENARIOS[0].name, PREFLIGHT);
        for (index, scenario) in SCENARIOS.iter().enumerate() {
            assert!(
                SCENARIOS[index + 1..]
                    .iter()
                    .all(|other| other.name != scenario.name)
            );
        }
    }
}
