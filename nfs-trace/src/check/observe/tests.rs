//! What a reopen proves, and each way in which it only seems to be one.

use super::*;
use crate::{
    check::{
        evidence::{Finding, FixLevel},
        samples::open_path,
    },
    event::Pointer,
    trace::{Gap, NameCheck},
};

const SECOND: u64 = 1_000_000_000;
const DEV: u32 = 53;
const HOLDER: u32 = 10;
const OPENER: u32 = 20;

fn git() -> Cred {
    Cred {
        uid: 1000,
        gid: 1000,
        groups: vec![4, 24],
    }
}

/// An open of the file by one process, in the middle of a second.
fn open(second: u64, pid: u32) -> OpenPath {
    let start_ns = second * SECOND + SECOND / 2;
    OpenPath {
        start_ns,
        end_ns: start_ns + 1000,
        tid: pid,
        tgid: pid,
        comm: b"cat".as_slice().into(),
        dev: DEV,
        path: Some(b"dir/file".as_slice().into()),
        fileid: Some(7),
        flags: Some(0o100_000),
        ..open_path(NameCheck::Directory, PathWord::Wire)
    }
}

fn holder(pid: u32) -> Holder {
    Holder {
        pid,
        start_time: 100,
        command: "tail".into(),
        fd: 3,
        flags: 0o100_000,
        dev: DEV,
        path: "/mnt/dir/file".into(),
        deleted: false,
        ino: Some(7),
        cred: git(),
    }
}

fn observer() -> Observer {
    let mount = |dev, point: &str, atomic_open_v1: bool| Watched {
        dev,
        point: point.into(),
        ground: Ground {
            atomic_open_v1: Some(atomic_open_v1),
            inode_check: true,
        },
    };
    let mounts = vec![mount(DEV, "/mnt", false), mount(54, "/other", true)];
    Observer::new(mounts, 0)
}

/// A scan at the beginning of a second.
fn scan(observer: &mut Observer, second: u64, holders: &[Holder]) {
    let begin = second * SECOND;
    observer.scan(begin, begin + SECOND / 100, holders);
}

/// A file is opened, held and opened again; each test changes one thing.
struct Case {
    /// What is held at the first scan, before the holder opens the file.
    at_first: Vec<Holder>,
    first: OpenPath,
    first_cred: Option<Cred>,
    before: Vec<Holder>,
    reopen: OpenPath,
    opener: Option<Cred>,
    /// Other opens between the scans around the reopen.
    meanwhile: Vec<OpenPath>,
    after: Vec<Holder>,
}

impl Case {
    fn new() -> Self {
        Self {
            at_first: Vec::new(),
            first: open(1, HOLDER),
            first_cred: Some(git()),
            before: vec![holder(HOLDER)],
            reopen: open(2, OPENER),
            opener: Some(git()),
            meanwhile: Vec::new(),
            after: vec![holder(HOLDER)],
        }
    }

    fn observer(self) -> Observer {
        let mut observer = observer();
        scan(&mut observer, 1, &self.at_first);
        observer.open(&self.first, self.first_cred.as_ref());
        scan(&mut observer, 2, &self.before);
        observer.open(&self.reopen, self.opener.as_ref());
        for path in self.meanwhile {
            observer.open(&path, Some(&git()));
        }
        scan(&mut observer, 3, &self.after);
        observer
    }

    fn evidence(self) -> Evidence {
        let mut all = self.observer().finish();
        all.remove(&DEV).unwrap().evidence
    }
}

/// The finding, and what is said about opens that were not counted.
#[track_caller]
fn check(change: impl FnOnce(&mut Case), finding: Finding, said: &str) {
    let mut case = Case::new();
    change(&mut case);
    let evidence = case.evidence();
    assert_eq!(evidence.finding, finding, "{evidence:#?}");
    assert!(evidence.seen.contains(said), "{evidence:#?}");
    if finding != Finding::NotAffected && finding != Finding::Affected {
        assert_eq!(evidence.fix_level, None);
        let counts_any = evidence.seen.contains("not counted");
        assert_eq!(counts_any, said.contains("not counted"), "{evidence:#?}");
    }
}

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
    cached.comm = b"l\x1bs".as_slice().into();
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
