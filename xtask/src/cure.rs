//! The cures that scenario `workaround` tries, each in a directory of its own: a file is held,
//! another one is renamed over its name on the server, the cure is applied, and the name is opened
//! again.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// The name that is held, renamed over and opened again.
pub const NAME: &str = "test1.txt";

/// What is done between the rename and the reopen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Act {
    /// Nothing.
    Nothing,
    /// stat(2) of the name.
    Stat,
    /// The directory is listed, as `ls` does without options: no stat of what is in it.
    List,
    /// The directory is listed and the name looked at by stat(2), as `ls -l` does.
    ListLong,
    /// The name is opened O_RDWR, read and closed; it is held O_RDONLY.
    OtherMode,
    /// The held file is closed, and the server has let go of it.
    Close,
}

/// One row of the table.
#[derive(Debug, Clone, Copy)]
pub struct Cure {
    /// Name of its directory, and in outcomes.
    pub name: &'static str,
    /// For the table that a run prints.
    pub what: &'static str,
    /// What is done.
    pub act: Act,
    /// How long after the rename.
    pub after: Duration,
}

const fn cure(name: &'static str, act: Act, seconds: u64, what: &'static str) -> Cure {
    Cure {
        name,
        what,
        act,
        after: Duration::from_secs(seconds),
    }
}

/// All cures in the order they are applied, the later ones last: their time runs while the others
/// are tried. The defaults of mount decide what the times mean: a file's attributes are trusted for
/// 3 s at first (acregmin), a directory's for 30 s (acdirmin) and never longer than 60 s.
pub const CURES: &[Cure] = &[
    cure("none", Act::Nothing, 0, "nothing"),
    cure("stat", Act::Stat, 0, "stat of the name, at once"),
    cure("ls", Act::List, 0, "ls of the directory"),
    cure("ls-l", Act::ListLong, 0, "ls -l of the directory"),
    cure("other-mode", Act::OtherMode, 0, "open of the name, O_RDWR"),
    cure("close", Act::Close, 0, "close of the held file"),
    cure("stat-5s", Act::Stat, 5, "stat of the name, after 5 s"),
    cure("wait", Act::Nothing, 60, "60 s"),
    cure("wait-stat", Act::Stat, 60, "60 s, then stat of the name"),
];

/// open(2) calls of all of them: each holds and reopens, one opens in another mode.
pub const OPENS: u64 = 2 * CURES.len() as u64 + 1;

/// What came of one cure.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cured {
    /// Which cure.
    pub cure: String,
    /// What the cure itself showed: of which file, or the error.
    pub itself: String,
    /// What the reopen read, or its error.
    pub reads: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cures_have_names_of_their_own_and_the_later_come_last() {
        for pair in CURES.windows(2) {
            assert!(pair[0].after <= pair[1].after, "{}", pair[1].name);
        }
        for (index, cure) in CURES.iter().enumerate() {
            assert!(CURES[..index].iter().all(|other| other.name != cure.name));
        }
        let modes = CURES.iter().filter(|cure| cure.act == Act::OtherMode);
        assert_eq!(OPENS, 2 * CURES.len() as u64 + modes.count() as u64);
    }
}
