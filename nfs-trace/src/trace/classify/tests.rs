//! Every word and its signs.

use super::*;
use crate::{
    event::{Pointer, Walk},
    testing::SIGNALS as ALL,
};

fn call(ret: i32) -> Revalidate {
    Revalidate {
        dentry: Pointer(1),
        walk: Walk::Ref,
        creates: false,
        ret,
        verifier_checked: false,
        verifier_set: false,
        inode_checked: false,
        lookups: 0,
        kind: DentryKind::Positive,
    }
}

#[test]
fn every_name_check_has_its_signs() {
    let check = |call: Revalidate| name_check(Some(&call), ALL);
    assert_eq!(name_check(None, ALL), NameCheck::None);
    assert_eq!(check(call(1)), NameCheck::Accepted);
    assert_eq!(
        check(Revalidate {
            verifier_checked: true,
            ..call(1)
        }),
        NameCheck::Directory
    );
    assert_eq!(
        check(Revalidate {
            verifier_set: true,
            ..call(1)
        }),
        NameCheck::Delegated
    );
    assert_eq!(
        check(Revalidate {
            lookups: 1,
            verifier_checked: true,
            verifier_set: true,
            ..call(1)
        }),
        NameCheck::Lookup
    );
    assert_eq!(
        check(Revalidate {
            lookups: 1,
            ..call(0)
        }),
        NameCheck::Replaced
    );
    assert_eq!(
        check(Revalidate {
            kind: DentryKind::Negative,
            ..call(0)
        }),
        NameCheck::None
    );
    assert_eq!(check(call(-10)), NameCheck::None);
}

#[test]
fn without_its_probe_a_finer_word_is_unknown_not_guessed() {
    for signals in [
        Signals {
            verifier_check: false,
            ..ALL
        },
        Signals {
            verifier_set: false,
            ..ALL
        },
    ] {
        assert_eq!(name_check(Some(&call(1)), signals), NameCheck::Unknown);
        let looked_up = Revalidate {
            lookups: 1,
            ..call(1)
        };
        assert_eq!(name_check(Some(&looked_up), signals), NameCheck::Lookup);
    }
}

fn open_path(
    open: &Open,
    tasks: &[OpenTask],
    atomic: bool,
    unjoined: bool,
    signals: Signals,
) -> PathWord {
    let tasks = tasks.iter().copied().collect();
    super::open_path(open, &tasks, atomic, unjoined, signals)
}

fn open(ret: i32, tasks: u8, stateid_updates: u8) -> Open {
    Open {
        dentry: Pointer(1),
        fileid: None,
        ret,
        flags: None,
        stack: None,
        tasks,
        stateid_updates,
        opened: Some(true),
        tried_cached: false,
        cached_event: false,
    }
}

fn task(sent: u16, ret: i32) -> OpenTask {
    OpenTask {
        sent,
        delegated: Some(false),
        claim: None,
        replied_ns: None,
        ret,
    }
}

#[test]
fn every_open_path_has_its_signs() {
    let word = |open: Open, tasks: &[OpenTask]| open_path(&open, tasks, false, false, ALL);
    assert_eq!(word(open(0, 1, 1), &[task(1, 0)]), PathWord::Wire);
    assert_eq!(word(open(0, 1, 0), &[task(0, 0)]), PathWord::Cached);
    assert_eq!(word(open(0, 1, 1), &[task(0, 0)]), PathWord::Delegated);
    assert_eq!(word(open(-13, 0, 0), &[]), PathWord::Failed);
    assert_eq!(word(open(-512, 1, 0), &[task(0, -512)]), PathWord::Failed);
    // No OPEN and no error of the task: a delegation whose file this user may not read.
    assert_eq!(word(open(-13, 1, 0), &[task(0, 0)]), PathWord::Failed);
    assert_eq!(
        open_path(&open(0, 1, 1), &[task(2, 0)], true, false, ALL),
        PathWord::Atomic
    );
}

#[test]
fn doubt_is_unknown_never_cached() {
    assert_eq!(
        open_path(&open(0, 1, 0), &[task(0, 0)], false, true, ALL),
        PathWord::Unknown
    );
    assert_eq!(
        open_path(&open(0, 1, 0), &[], false, false, ALL),
        PathWord::Unknown
    );
    assert_eq!(
        open_path(&open(0, 0, 0), &[], false, false, ALL),
        PathWord::Unknown
    );
    // A reply is a reply, whatever else could not be joined.
    assert_eq!(
        open_path(&open(0, 1, 1), &[task(1, 0)], false, true, ALL),
        PathWord::Wire
    );
}

/// With what stands in for nfs4_open_done: what the opener passes says that none was sent.
#[test]
fn what_stands_in_for_open_done_gives_the_same_words() {
    for (sent, pass) in [
        (
            Sent::TryCached,
            (|it| it.tried_cached = true) as fn(&mut Open),
        ),
        (Sent::CachedEvent, |it| it.cached_event = true),
    ] {
        let word = |mut open: Open, tasks: &[OpenTask], passed: bool| {
            if passed {
                pass(&mut open);
            }
            open_path(&open, tasks, false, false, Signals { sent, ..ALL })
        };
        // It does not count: 0 sent says nothing.
        assert_eq!(word(open(0, 1, 1), &[task(0, 0)], false), PathWord::Wire);
        assert_eq!(word(open(-518, 1, 1), &[task(0, 0)], false), PathWord::Wire);
        assert_eq!(word(open(0, 1, 0), &[task(0, 0)], true), PathWord::Cached);
        assert_eq!(
            word(open(0, 1, 1), &[task(0, 0)], true),
            PathWord::Delegated
        );
        assert_eq!(word(open(-13, 1, 0), &[task(0, 0)], true), PathWord::Failed);
        // Whether an OPEN came back with the error, or none was sent: nobody knows.
        let failed = [task(0, -2)];
        assert_eq!(word(open(-2, 1, 0), &failed, false), PathWord::Unknown);
        let twice = [task(0, -10_008), task(0, 0)];
        assert_eq!(word(open(0, 2, 0), &twice, true), PathWord::Unknown);
        assert_eq!(word(open(0, 2, 1), &twice, false), PathWord::Wire);
    }
}

#[test]
fn what_stands_in_for_the_stateid_gives_the_same_words() {
    let by_event = Signals {
        delegated: Delegated::CachedEvent,
        ..ALL
    };
    let word = |delegated| {
        let task = OpenTask {
            delegated,
            ..task(0, 0)
        };
        open_path(&open(0, 1, 0), &[task], false, false, by_event)
    };
    assert_eq!(word(Some(true)), PathWord::Delegated);
    assert_eq!(word(Some(false)), PathWord::Cached);
    assert_eq!(word(None), PathWord::Unknown);
}

#[test]
fn where_nothing_tells_the_word_is_unknown() {
    let opened = open(0, 1, 0);
    for signals in [
        Signals {
            sent: Sent::Nothing,
            ..ALL
        },
        Signals {
            delegated: Delegated::Nothing,
            ..ALL
        },
    ] {
        let word = open_path(&opened, &[task(0, 0)], false, false, signals);
        assert_eq!(word, PathWord::Unknown);
    }
    let signals = Signals {
        lookups: false,
        ..ALL
    };
    assert_eq!(name_check(Some(&call(1)), signals), NameCheck::Unknown);
    assert_eq!(name_check(Some(&call(0)), signals), NameCheck::Replaced);
}
