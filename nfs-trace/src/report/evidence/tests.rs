//! What counts as the server's word about a name, and what does not.

use super::*;
use crate::{
    event::{Pointer, Revalidate, Walk},
    report::testing::{self, path, step},
};

const DENTRY: Pointer = Pointer(1);

fn revalidate(ret: i32, lookups: u8) -> StepKind {
    StepKind::Revalidate(Revalidate {
        dentry: DENTRY,
        walk: Walk::Ref,
        creates: false,
        ret,
        verifier_checked: false,
        verifier_set: false,
        inode_checked: false,
        lookups,
        kind: DentryKind::Positive,
    })
}

fn task(sent: u16, claim: Option<u8>, ret: i32) -> StepKind {
    testing::task(sent, claim, ret)
}

fn file_open(fileid: u64, ret: i32) -> StepKind {
    StepKind::FileOpen(testing::open(Some(fileid), ret))
}

fn atomic(fileid: Option<u64>, ret: i32, opened: bool) -> StepKind {
    StepKind::AtomicOpen(Open {
        opened: Some(opened),
        ..testing::open(fileid, ret)
    })
}

/// What was told, by what, sent and answered when.
fn found(steps: Vec<Step>, only_names: bool) -> Vec<(Named, By, u64, u64)> {
    let path = OpenPath { steps, ..path() };
    let all = told(&path, only_names).into_iter();
    all.map(|it| (it.named, it.by, it.sent_ns, it.replied_ns))
        .collect()
}

#[test]
fn an_open_by_name_names_the_file() {
    let steps = vec![
        step(0, 5, revalidate(1, 0)),
        step(10, 90, file_open(7, 0)),
        step(20, 80, task(1, Some(0), 0)),
    ];
    let named = vec![(Named::File(7), By::Open, 20, 80)];
    assert_eq!(found(steps, false), named);
}

#[test]
fn an_open_by_filehandle_or_none_says_nothing_of_the_name() {
    for task in [task(1, Some(4), 0), task(0, Some(0), 0), task(1, None, 0)] {
        let steps = vec![step(10, 90, file_open(7, 0)), step(20, 80, task)];
        assert_eq!(found(steps, false), []);
    }
    // Over v4.0 there is no other claim.
    let steps = vec![
        step(10, 90, file_open(7, 0)),
        step(20, 80, task(1, None, 0)),
    ];
    assert_eq!(found(steps, true)[0].0, Named::File(7));
}

#[test]
fn eopenstale_says_that_it_is_another_file_and_the_retry_which() {
    let steps = vec![
        step(10, 30, file_open(7, EOPENSTALE)),
        step(15, 25, task(1, Some(0), 0)),
        step(40, 60, atomic(Some(8), 0, true)),
        step(45, 55, task(1, Some(0), 0)),
    ];
    assert_eq!(
        found(steps, false),
        [
            (Named::Other(Some(7)), By::Open, 15, 25),
            (Named::File(8), By::Open, 45, 55)
        ]
    );
    // The OPEN failed for another reason: the directory's handle is stale, say.
    let steps = vec![
        step(10, 30, file_open(7, EOPENSTALE)),
        step(15, 25, task(1, Some(0), -116)),
    ];
    assert_eq!(found(steps, false), []);
}

#[test]
fn a_lookup_names_the_same_file_another_one_or_none() {
    let with = |ret, lookup, rest: Vec<Step>| {
        let mut steps = vec![
            step(0, 9, revalidate(ret, 1)),
            step(2, 8, StepKind::Lookup(lookup)),
        ];
        steps.extend(rest);
        found(steps, false)
    };
    let opened = || {
        vec![
            step(10, 30, file_open(7, 0)),
            step(15, 25, task(0, Some(0), 0)),
        ]
    };
    assert_eq!(with(1, 0, opened()), [(Named::File(7), By::Lookup, 2, 8)]);
    assert_eq!(with(1, 0, vec![]), []);
    assert_eq!(with(0, 0, vec![]), [(Named::Other(None), By::Lookup, 2, 8)]);
    assert_eq!(
        with(0, ENOENT, vec![]),
        [(Named::Nothing, By::Lookup, 2, 8)]
    );
    // Timed out, and taken for valid (softreval).
    assert_eq!(with(1, -110, opened()), []);
}

#[test]
fn an_atomic_open_names_a_file_or_none() {
    let with = |open, ret| {
        found(
            vec![step(0, 9, open), step(2, 8, task(1, None, ret))],
            false,
        )
    };
    assert_eq!(with(atomic(Some(7), 0, true), 0)[0].0, Named::File(7));
    assert_eq!(
        with(atomic(None, ENOENT, false), ENOENT)[0].0,
        Named::Nothing
    );
    assert_eq!(with(atomic(None, -13, false), -13), []);
    // Looked up, and opened by the VFS after that.
    let steps = vec![
        step(0, 9, atomic(None, 0, false)),
        step(2, 8, StepKind::Lookup(0)),
        step(10, 30, file_open(7, 0)),
        step(15, 25, task(1, Some(4), 0)),
    ];
    assert_eq!(found(steps, false), [(Named::File(7), By::Lookup, 2, 8)]);
}

#[test]
fn where_steps_are_missing_nothing_is_concluded() {
    for gap in [Gap::RecordLost, Gap::ReturnMissed, Gap::Unjoined] {
        let path = OpenPath {
            steps: vec![
                step(10, 90, file_open(7, 0)),
                step(20, 80, task(1, Some(0), 0)),
            ],
            gaps: vec![gap],
            ..path()
        };
        assert_eq!(told(&path, false), []);
    }
}
