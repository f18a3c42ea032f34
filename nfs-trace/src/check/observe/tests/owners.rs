//! Whose a held file is: what a reopen proves depends on who opened it first.

use super::{case::*, *};

/// `sudo cmd <file`, a daemon's log, a descriptor that was handed on: the holder's user now
/// need not be the one that opened the file.
#[test]
fn what_was_opened_unseen_only_points_to_not_affected() {
    let likely = Finding::PointsToNotAffected;
    let said = "who had opened the held file, and how, was not seen";
    let held_already = |case: &mut Case| {
        case.at_first.push(holder(HOLDER));
        case.first.fileid = Some(9);
    };
    // Held since before: then the only doubt is a rare one, and is said.
    check(held_already, Finding::NotAffected, "since before");
    check(|case| case.first.fileid = Some(9), likely, said);
    check(|case| case.first_cred = None, likely, said);
    check(|case| case.first.gaps.push(Gap::Unjoined), likely, said);
    check(
        |case| {
            held_already(case);
            case.opener = Some(Cred { uid: 0, ..git() });
        },
        Finding::Nothing,
        "none of",
    );
}

#[test]
fn what_was_opened_as_another_user_is_of_that_user() {
    let root = Cred { uid: 0, ..git() };
    let opened = Some(root.clone());
    check(
        |case| case.first_cred = opened.clone(),
        Finding::Nothing,
        "none of",
    );
    check(
        |case| {
            case.first_cred = opened.clone();
            case.opener = Some(root);
        },
        Finding::NotAffected,
        "",
    );
}

/// The open state of such a holder is the delegation's: while that is being returned the
/// client sends OPENs as of right.
#[test]
fn a_file_that_is_held_by_a_delegation_proves_nothing() {
    check(
        |case| case.first.open_path = PathWord::Delegated,
        Finding::PointsToNotAffected,
        "1 open was served by a delegation",
    );
}

/// Opened as two users in the second before the holders show.
#[test]
fn of_two_new_descriptors_neither_is_known() {
    let mut observer = observer();
    let root = Cred { uid: 0, ..git() };
    scan(&mut observer, 1, &[]);
    observer.open(&open(1, HOLDER), Some(&git()));
    observer.open(&open(1, 11), Some(&root));
    scan(&mut observer, 2, &[holder(HOLDER), holder(11)]);
    observer.open(&open(2, OPENER), Some(&git()));
    scan(&mut observer, 3, &[holder(HOLDER), holder(11)]);
    assert_eq!(
        observer.finish()[&DEV].evidence.finding,
        Finding::PointsToNotAffected
    );
}

/// Closed and opened again as another user, to the same descriptor.
#[test]
fn a_descriptor_may_change_its_owner() {
    let mut observer = observer();
    let root = Cred { uid: 0, ..git() };
    scan(&mut observer, 1, &[]);
    observer.open(&open(1, HOLDER), Some(&git()));
    scan(&mut observer, 2, &[holder(HOLDER)]);
    observer.open(&open(2, HOLDER), Some(&root));
    scan(&mut observer, 3, &[holder(HOLDER)]);
    observer.open(&open(3, OPENER), Some(&git()));
    scan(&mut observer, 4, &[holder(HOLDER)]);
    assert_eq!(
        observer.finish()[&DEV].evidence.finding,
        Finding::PointsToNotAffected
    );
}

/// nfs4_file_open() returns before the file has its descriptor.
#[test]
fn an_open_just_before_a_scan_may_show_in_the_next() {
    let mut observer = observer();
    scan(&mut observer, 1, &[]);
    let mut first = open(1, HOLDER);
    first.end_ns = 2 * SECOND - 1000;
    observer.open(&first, Some(&git()));
    scan(&mut observer, 2, &[]);
    scan(&mut observer, 3, &[holder(HOLDER)]);
    observer.open(&open(3, OPENER), Some(&git()));
    scan(&mut observer, 4, &[holder(HOLDER)]);
    assert_eq!(
        observer.finish()[&DEV].evidence.finding,
        Finding::NotAffected
    );
}

/// The child's descriptor may be its own or its parent's, who was root.
#[test]
fn a_descriptor_that_may_come_from_two_owners_has_none() {
    let mut observer = observer();
    let root = Cred { uid: 0, ..git() };
    scan(&mut observer, 1, &[]);
    observer.open(&open(1, 1), Some(&root));
    scan(&mut observer, 2, &[holder(1)]);
    observer.open(&open(2, HOLDER), Some(&git()));
    scan(&mut observer, 3, &[holder(1), holder(HOLDER)]);
    observer.open(&open(3, OPENER), Some(&git()));
    scan(&mut observer, 4, &[holder(HOLDER)]);
    assert_eq!(
        observer.finish()[&DEV].evidence.finding,
        Finding::PointsToNotAffected
    );
}

#[test]
fn other_users_opens_do_not_change_whose_a_held_file_is() {
    check(
        |case| case.meanwhile.push(open(2, 30)),
        Finding::NotAffected,
        "",
    );
    let mut observer = observer();
    scan(&mut observer, 1, &[]);
    observer.open(&open(1, HOLDER), Some(&git()));
    scan(&mut observer, 2, &[holder(HOLDER)]);
    observer.open(&open(2, 30), None);
    scan(&mut observer, 3, &[holder(HOLDER)]);
    observer.open(&open(3, OPENER), Some(&git()));
    scan(&mut observer, 4, &[holder(HOLDER)]);
    assert_eq!(
        observer.finish()[&DEV].evidence.finding,
        Finding::NotAffected
    );
}

#[test]
fn a_childs_copy_of_a_descriptor_has_its_parents_owner() {
    let mut observer = observer();
    scan(&mut observer, 1, &[]);
    observer.open(&open(1, HOLDER), Some(&git()));
    scan(&mut observer, 2, &[holder(HOLDER)]);
    scan(&mut observer, 3, &[holder(11)]);
    observer.open(&open(3, OPENER), Some(&git()));
    scan(&mut observer, 4, &[holder(11)]);
    let evidence = &observer.finish()[&DEV].evidence;
    assert_eq!(evidence.finding, Finding::NotAffected);
    assert!(evidence.seen.ends_with("held by pid 11"));
}
