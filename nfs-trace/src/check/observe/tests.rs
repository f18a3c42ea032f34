//! What a reopen proves, and each way in which it only seems to be one.

mod case;
mod owners;

use case::*;

use super::*;
use crate::{
    check::evidence::{Finding, FixLevel},
    event::Pointer,
    trace::{Gap, NameCheck},
};

#[test]
fn a_reopen_on_the_wire_proves_not_affected() {
    let evidence = Case::new().evidence();
    assert_eq!(evidence.finding, Finding::NotAffected);
    assert_eq!(evidence.fix_level, Some(FixLevel::Full));
    assert_eq!(
        evidence.looked_at,
        "1 open of files that the same user had open in the same mode"
    );
    assert_eq!(
        evidence.seen,
        "an OPEN was sent for every one; the first: /mnt/dir/file, opened by cat (pid 20) at \
         1970-01-01T00:00:02.500Z, held by pid 10"
    );
}

#[test]
fn one_cached_open_proves_affected_whatever_else_was_sent() {
    let mut case = Case::new();
    let mut cached = open(2, 30);
    cached.open_path = PathWord::Cached;
    cached.comm = "l\\x1bs".into();
    case.meanwhile = vec![cached.clone(), cached];
    let observer = case.observer();
    assert_eq!(observer.first_cached().unwrap().pid, 30);
    let evidence = &observer.finish()[&DEV].evidence;
    assert_eq!(evidence.finding, Finding::Affected);
    assert_eq!(evidence.fix_level, Some(FixLevel::None));
    assert_eq!(
        evidence.seen,
        "/mnt/dir/file, opened by l\\x1bs (pid 30) at 1970-01-01T00:00:02.500Z: no OPEN was sent \
         for it; 1 more like it"
    );
}

#[test]
fn an_open_that_every_client_sends_is_no_reopen() {
    let nothing = |change: fn(&mut OpenPath)| {
        check(|case| change(&mut case.reopen), Finding::Nothing, "none of");
    };
    nothing(|path| path.flags = Some(0o100_002));
    nothing(|path| path.flags = Some(0o101_000));
    nothing(|path| path.flags = Some(0o100_300));
    nothing(|path| path.flags = None);
    nothing(|path| path.fileid = Some(8));
    nothing(|path| path.fileid = None);
    // The number of a removed file, given to a new one.
    nothing(|path| path.dentry = Pointer(0xe));
    nothing(|path| path.open_path = PathWord::Atomic);
    nothing(|path| path.open_path = PathWord::Unknown);
    nothing(|path| path.stale_retries = 1);
    nothing(|path| path.result = Some(-13));
    nothing(|path| path.dev = 54);
    nothing(|path| path.dev = 55);
}

#[test]
fn every_id_of_the_opener_counts() {
    for opener in [
        Cred { uid: 0, ..git() },
        Cred { gid: 0, ..git() },
        Cred {
            groups: vec![4],
            ..git()
        },
        Cred {
            groups: vec![24, 4],
            ..git()
        },
    ] {
        check(
            |case| case.opener = Some(opener),
            Finding::Nothing,
            "none of",
        );
    }
}

#[test]
fn an_opener_that_could_not_be_asked_is_counted_as_such() {
    check(
        |case| case.opener = None,
        Finding::Nothing,
        "not counted: 1 OPEN by a process whose user could not be told in time",
    );
    check(
        |case| case.reopen.dentry = Pointer(0),
        Finding::Nothing,
        "not counted",
    );
}

#[test]
fn the_file_must_be_held_before_and_after() {
    let said = "not counted: 1 OPEN of a file that may have been closed before";
    check(|case| case.after.clear(), Finding::Nothing, said);
    // Held only afterwards: perhaps by that very open.
    check(|case| case.before.clear(), Finding::Nothing, "none of");
    check(
        |case| case.after[0].start_time = 101,
        Finding::Nothing,
        said,
    );
    check(|case| case.after[0].fd = 4, Finding::Nothing, said);
    check(
        |case| case.after[0].flags = 0o100_002,
        Finding::Nothing,
        said,
    );
    check(|case| case.after[0].ino = Some(8), Finding::Nothing, said);
    check(|case| case.after[0].dev = 54, Finding::Nothing, said);
}

#[test]
fn an_open_during_a_scan_is_not_between_two() {
    let said = "not counted: 1 OPEN of a file that may have been closed before";
    check(
        |case| case.reopen.start_ns = 2 * SECOND + 5,
        Finding::Nothing,
        said,
    );
    check(
        |case| case.reopen.end_ns = 3 * SECOND,
        Finding::Nothing,
        said,
    );
}

#[test]
fn an_open_before_the_last_scan_or_after_it_is_counted_as_unproven() {
    let mut observer = Case::new().observer();
    let (mut late, later) = (open(3, OPENER), open(4, OPENER));
    late.start_ns = 3 * SECOND - 1;
    observer.open(&late, Some(&git()));
    observer.open(&later, Some(&git()));
    let Some((_, tally)) = observer.mounts.get(&DEV) else {
        panic!("no mount");
    };
    assert_eq!(tally.doubts[&Doubt::NotHeldThroughout], 1);
    assert_eq!(observer.candidates.len(), 1);
    assert_eq!(
        observer.finish()[&DEV].evidence.finding,
        Finding::NotAffected
    );
}

/// The ring buffer is emptied between a scan and its delivery: what began since is judged by
/// the next one.
#[test]
fn an_open_that_arrives_before_its_scan_does_waits_for_the_next() {
    let mut observer = observer();
    scan(&mut observer, 1, &[]);
    observer.open(&open(1, HOLDER), Some(&git()));
    scan(&mut observer, 2, &[holder(HOLDER)]);
    observer.open(&open(3, OPENER), Some(&git()));
    scan(&mut observer, 3, &[holder(HOLDER)]);
    assert_eq!(observer.candidates.len(), 1);
    scan(&mut observer, 4, &[holder(HOLDER)]);
    assert_eq!(
        observer.finish()[&DEV].evidence.finding,
        Finding::NotAffected
    );
}

#[test]
fn a_holder_that_opens_the_file_again_may_have_closed_it_before() {
    let said = "not counted: 1 OPEN by the very process that holds the file";
    check(|case| case.reopen.tgid = HOLDER, Finding::Nothing, said);
    for change in [
        |_: &mut OpenPath| (),
        |path: &mut OpenPath| path.gaps.push(Gap::RecordLost),
        |path: &mut OpenPath| path.flags = None,
        |path: &mut OpenPath| path.open_path = PathWord::Delegated,
    ] {
        let mut again = open(2, HOLDER);
        change(&mut again);
        check(
            |case| case.meanwhile.push(again),
            Finding::Nothing,
            "not counted",
        );
    }
    let mut failed = open(2, HOLDER);
    failed.result = Some(-13);
    let mut other_mode = open(2, HOLDER);
    other_mode.flags = Some(2);
    let mut other_file = open(2, HOLDER);
    other_file.fileid = Some(8);
    check(
        |case| case.meanwhile = vec![failed, other_mode, other_file],
        Finding::NotAffected,
        "",
    );
}

#[test]
fn another_holder_will_do_where_one_opens_again() {
    check(
        |case| {
            case.before.push(holder(11));
            case.after.push(holder(11));
            case.meanwhile.push(open(2, HOLDER));
        },
        Finding::NotAffected,
        "held by pid 11",
    );
}

#[test]
fn delegations_are_legal_and_counted() {
    let delegated = |case: &mut Case| case.reopen.open_path = PathWord::Delegated;
    let said = "; 1 open was served by a delegation, legally: it proves nothing";
    check(delegated, Finding::Nothing, said);
    check(
        |case| {
            delegated(case);
            case.meanwhile = vec![case.reopen.clone(); 2];
        },
        Finding::Nothing,
        "; 3 opens were served by delegations, legally: they prove nothing",
    );
}

#[test]
fn incomplete_paths_never_count_and_are_reported() {
    for word in [PathWord::Cached, PathWord::Wire, PathWord::Delegated] {
        let mut case = Case::new();
        case.reopen.open_path = word;
        case.reopen.gaps.push(Gap::RecordLost);
        let observed = case.observer().finish().remove(&DEV).unwrap();
        assert_eq!(observed.incomplete, 1);
        assert_eq!(observed.evidence.finding, Finding::Nothing, "{word:?}");
        assert!(!observed.evidence.seen.contains("delegation"));
    }
}

/// What was running at the start, and what the VFS refused, is no loss.
#[test]
fn an_open_that_lies_partly_outside_is_no_loss_and_no_proof() {
    for (word, gap, lost) in [
        (PathWord::Cached, Gap::BeganBefore, 0),
        (PathWord::Failed, Gap::EndNotSeen, 0),
        (PathWord::Unknown, Gap::EndNotSeen, 1),
        (PathWord::Failed, Gap::ReturnMissed, 1),
    ] {
        let mut case = Case::new();
        case.reopen.open_path = word;
        case.reopen.gaps.push(gap);
        let observed = case.observer().finish().remove(&DEV).unwrap();
        assert_eq!(observed.incomplete, lost, "{word:?} {gap:?}");
        assert_eq!(observed.evidence.finding, Finding::Nothing);
    }
}

#[test]
fn each_mount_has_its_own_result() {
    let mut case = Case::new();
    let mut cached = open(2, 30);
    cached.dev = 54;
    cached.open_path = PathWord::Cached;
    case.meanwhile.push(cached);
    let observer = case.observer();
    assert_eq!(observer.first_cached().unwrap().file, "/other/dir/file");
    let all = observer.finish();
    let findings: Vec<_> = all
        .iter()
        .map(|(dev, observed)| (*dev, observed.evidence.finding))
        .collect();
    assert_eq!(
        findings,
        [(DEV, Finding::NotAffected), (54, Finding::Affected)]
    );
}

#[test]
fn an_open_whose_mount_could_not_be_read_is_judged_on_its_own() {
    let mut case = Case::new();
    case.reopen.dev = 0;
    case.reopen.open_path = PathWord::Cached;
    let all = case.observer().finish();
    assert_eq!(all[&0].evidence.finding, Finding::Affected);
    assert!(all[&0].evidence.seen.starts_with("dir/file, opened by"));
    assert_eq!(all[&DEV].evidence.finding, Finding::Nothing);
    assert!(!observer().finish().contains_key(&0));
}

#[test]
fn the_lowest_level_that_was_shown_counts() {
    let mut case = Case::new();
    let mut accepted = open(2, 30);
    accepted.fileid = Some(8);
    accepted.name_check = NameCheck::Accepted;
    case.meanwhile.push(accepted);
    assert_eq!(case.evidence().fix_level, Some(FixLevel::Be189f7e));
}

#[test]
fn without_inode_numbers_the_text_says_so() {
    let mut case = Case::new();
    case.before[0].ino = None;
    case.after[0].ino = None;
    let evidence = case.evidence();
    assert_eq!(evidence.finding, Finding::Nothing);
    assert!(evidence.means.contains("before 5.14"), "{evidence:#?}");
}

#[test]
fn no_opens_prove_nothing() {
    let evidence = observer().finish().remove(&DEV).unwrap().evidence;
    assert_eq!(evidence.finding, Finding::Nothing);
    assert_eq!(evidence.looked_at, "0 opens");
}

/// Exercises both bounds: more opens between two scans than are kept prove nothing, and the
/// scans after that are good again.
#[test]
fn memory_is_bounded_and_what_found_no_room_proves_nothing() {
    let mut observer = observer();
    scan(&mut observer, 1, &[]);
    observer.open(&open(1, HOLDER), Some(&git()));
    scan(&mut observer, 2, &[holder(HOLDER)]);
    let mut path = open(2, OPENER);
    for fileid in 100..=held::OPENS_AT_MOST as u64 + 100 {
        path.fileid = Some(fileid);
        observer.open(&path, Some(&git()));
    }
    path.fileid = Some(7);
    for _ in 0..=CANDIDATES_AT_MOST {
        observer.open(&path, Some(&git()));
    }
    assert_eq!(observer.candidates.len(), CANDIDATES_AT_MOST);
    scan(&mut observer, 3, &[holder(HOLDER)]);
    assert!(observer.candidates.is_empty());
    let tally = &observer.mounts[&DEV].1;
    assert_eq!(tally.wire, 0);
    assert_eq!(tally.doubts[&Doubt::TooMany], CANDIDATES_AT_MOST as u64 + 1);

    // What is held may have been closed and opened again among those.
    observer.open(&open(3, OPENER), Some(&git()));
    scan(&mut observer, 4, &[holder(HOLDER)]);
    let tally = &observer.mounts[&DEV].1;
    assert_eq!((tally.wire, tally.likely), (0, 1));

    scan(&mut observer, 5, &[]);
    observer.open(&open(5, HOLDER), Some(&git()));
    scan(&mut observer, 6, &[holder(HOLDER)]);
    observer.open(&open(6, OPENER), Some(&git()));
    scan(&mut observer, 7, &[holder(HOLDER)]);
    assert_eq!(
        observer.finish()[&DEV].evidence.finding,
        Finding::NotAffected
    );
}
