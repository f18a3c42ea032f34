//! What each cure of scenario `workaround` should do on each client. As its parent: from the
//! kernel's source, then measured; where time decides, nothing is expected.

use lab_contract::{
    cure::{Act, Cure},
    protocol::NfsVersion,
};

use crate::lab::client::Client;

/// What is certain of one cure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Expected {
    /// What the cure itself shows.
    pub(crate) itself: Option<&'static str>,
    /// The open of the name after it.
    pub(crate) reopen: Option<Reopen>,
}

/// One open: what it reads, and which path it takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Reopen {
    pub(crate) reads: &'static str,
    pub(crate) open_path: &'static str,
    pub(crate) name_check: &'static str,
}

const fn reopen(reads: &'static str, open_path: &'static str, name_check: &'static str) -> Reopen {
    Reopen {
        reads,
        open_path,
        name_check,
    }
}

/// The table.
pub(crate) fn expected(cure: &Cure, client: Client, version: NfsVersion) -> Expected {
    let by_name = version == NfsVersion::V40;
    let affected = client.is_affected(version);
    let check = if client.accepts_names(version) {
        "accepted"
    } else {
        "directory"
    };
    // The OPEN fails with ESTALE or is answered with the other file: EOPENSTALE, and the retry
    // finds no cached name.
    let retried = reopen("new", "atomic", "none");
    // The check of the name sees that the directory has changed.
    let looked_up = reopen("new", "atomic", "replaced");
    // The cached name means the new file already, which nobody has open.
    let already = reopen("new", "wire", check);
    let as_before = match (affected, by_name) {
        (true, _) => reopen("old", "cached", check),
        (false, true) => retried,
        (false, false) => reopen("old", "wire", check),
    };
    // Something told the client that the old file has no link left.
    let unlinked = if client.refuses_unlinked(version) {
        looked_up
    } else {
        as_before
    };
    let certain = |itself, reopen| Expected {
        itself: Some(itself),
        reopen: Some(reopen),
    };
    match (cure.act, cure.after.as_secs()) {
        (Act::Nothing, 0) => certain("-", as_before),
        // The directory's attributes have expired; but over v4.0 only the series asks about it.
        (Act::Nothing, _) if client.accepts_names(version) => certain("-", as_before),
        (Act::Nothing, _) => certain("-", looked_up),
        // Within 3 s of the first open its attributes answer, with one link; later a GETATTR does,
        // with none. How fast the guest is decides.
        (Act::Stat, 0) => Expected {
            itself: None,
            reopen: (unlinked == as_before).then_some(as_before),
        },
        // The file's attributes have expired, the directory's have not.
        (Act::Stat, ..30) => certain("old, nlink 0", unlinked),
        // Both have. A stat always checks the name in full.
        (Act::Stat, _) => certain("new, nlink 1", already),
        // Opening a directory fetches its attributes, READDIR brings file handles with the names.
        (Act::List, _) => certain("new", already),
        (Act::ListLong, _) => certain("new, nlink 1", already),
        // No open state to answer it from: an OPEN is sent on every client.
        (Act::OtherMode, _) if by_name => certain("new", already),
        (Act::OtherMode, _) => certain("old", unlinked),
        (Act::Close, _) => certain("-", retried),
    }
}
