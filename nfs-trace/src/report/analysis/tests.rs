//! Made-up recordings of one name: which cached opens are proved stale, who held what.

use super::*;
use crate::{
    event::Pointer,
    report::{
        model::ChangeKind,
        testing::{self, path, session, step},
    },
    session::Session,
    trace::{NameCheck, StepKind},
};

struct Made {
    session: Session,
    analysis: Analysis,
    paths: Vec<OpenPath>,
}

impl Made {
    fn new() -> Self {
        let session = session();
        let mut analysis = Analysis::new();
        analysis.begin(&session);
        Self {
            session,
            analysis,
            paths: Vec::new(),
        }
    }

    fn take(&mut self, path: OpenPath, shown: bool) {
        let row = Row::new(
            &path,
            &self.session,
            self.session.signals(),
            self.session.mount(path.dev),
            None,
        );
        let mount = self.session.mount(path.dev);
        self.analysis.take(&path, &row, mount, shown);
        self.paths.push(path);
    }

    /// A cached open of this file, begun then.
    fn cached(&mut self, file: u64, at: u64) {
        self.take(cached(file, at), true);
    }

    /// An OPEN by name that names this file, sent and answered then.
    fn wire(&mut self, file: u64, sent: u64, replied: u64) {
        self.take(wire(file, sent, replied), true);
    }

    fn report(&mut self) -> Report {
        let summary = Summary::new(self.session.signals());
        self.analysis.report(&summary, 100)
    }

    /// What each open is proved to be, in the order in which they were taken.
    fn proofs(&self) -> Vec<Option<When>> {
        let proof = |path: &OpenPath| {
            let mount = self.session.mount(path.dev);
            self.analysis.proof(path, mount).map(|it| it.when)
        };
        self.paths.iter().map(proof).collect()
    }
}

fn cached(file: u64, at: u64) -> OpenPath {
    OpenPath {
        start_ns: at,
        end_ns: at + 1,
        dev: 45,
        fileid: Some(file),
        ..path()
    }
}

fn wire(file: u64, sent: u64, replied: u64) -> OpenPath {
    OpenPath {
        open_path: PathWord::Wire,
        start_ns: sent,
        end_ns: replied,
        steps: vec![
            step(
                sent,
                replied,
                StepKind::FileOpen(testing::open(Some(file), 0)),
            ),
            step(sent, replied, testing::task(1, Some(0), 0)),
        ],
        ..cached(file, sent)
    }
}

const BETWEEN: Option<When> = Some(When::Between);

#[test]
fn cached_opens_are_proved_stale_by_a_later_open() {
    let mut made = Made::new();
    made.wire(11, 100, 110);
    made.cached(11, 200);
    made.cached(11, 300);
    made.wire(12, 400, 410);
    made.cached(12, 500);
    let report = made.report();
    assert_eq!(report.proved_stale, 2);
    assert_eq!(made.proofs(), [None, BETWEEN, BETWEEN, None, None]);
    let change = &report.names[0].changes[0];
    assert_eq!(
        (change.kind, change.old, change.new),
        (ChangeKind::Replaced, 11, Some(12))
    );
    let after = change.after.as_ref().expect("an answer");
    assert_eq!((after.sent.ts_ns, change.before.replied.ts_ns), (100, 410));
    assert_eq!(change.between.opens, 2);
}

/// The interval begins with the last answer that named the old file, and what came before that was
/// right.
#[test]
fn an_answer_that_names_the_same_file_clears_what_came_before() {
    let mut made = Made::new();
    made.wire(11, 100, 110);
    made.cached(11, 200);
    made.wire(11, 300, 310);
    made.cached(11, 350);
    made.wire(12, 400, 410);
    assert_eq!(made.report().proved_stale, 1);
    assert_eq!(made.proofs(), [None, None, None, BETWEEN, None]);
}

#[test]
fn with_no_later_answer_nothing_is_proved() {
    let mut made = Made::new();
    made.wire(11, 100, 110);
    made.cached(11, 200);
    let report = made.report();
    assert_eq!(report.proved_stale, 0);
    assert_eq!(report.names[0].changes, []);
    assert_eq!(made.proofs(), [None, None]);
}

#[test]
fn an_old_file_that_only_the_cache_knew_has_no_beginning() {
    let mut made = Made::new();
    made.cached(11, 200);
    made.wire(12, 400, 410);
    let change = &made.report().names[0].changes[0];
    assert_eq!((change.after.as_ref(), change.between.opens), (None, 1));
}

#[test]
fn the_old_file_after_the_new_one_was_named_is_stale_afterwards() {
    let mut made = Made::new();
    made.wire(11, 100, 110);
    made.wire(12, 400, 410);
    made.cached(11, 500);
    // A file that the name never meant: this client may have renamed it, which is not recorded.
    made.cached(13, 600);
    let report = made.report();
    assert_eq!(report.proved_stale, 1);
    assert_eq!(report.names[0].changes[0].afterwards.opens, 1);
    assert_eq!(made.proofs(), [None, None, Some(When::Afterwards), None]);
    // Renamed back, and noticed.
    made.wire(11, 700, 710);
    made.cached(11, 800);
    assert_eq!(made.report().proved_stale, 1);
    assert_eq!(made.proofs().last(), Some(&None));
}

/// Two OPENs under way at a time name two files: which the server answered first is not known.
#[test]
fn answers_that_overlap_prove_nothing() {
    let mut made = Made::new();
    made.wire(11, 100, 110);
    made.cached(11, 120);
    made.wire(12, 200, 210);
    made.wire(11, 150, 400);
    let report = made.report();
    let changes: Vec<_> = report.names[0].changes.iter().map(|it| it.old).collect();
    assert_eq!(changes, [11]);
}

#[test]
fn a_name_that_is_gone_proves_it_too() {
    let mut made = Made::new();
    made.wire(11, 100, 110);
    made.cached(11, 200);
    made.take(
        OpenPath {
            open_path: PathWord::Failed,
            result: Some(-2),
            fileid: None,
            steps: vec![
                step(300, 310, StepKind::AtomicOpen(testing::open(None, -2))),
                step(301, 309, testing::task(1, Some(0), -2)),
            ],
            ..cached(11, 300)
        },
        true,
    );
    let report = made.report();
    assert_eq!(report.proved_stale, 1);
    assert_eq!(report.names[0].changes[0].kind, ChangeKind::Removed);
    assert_eq!(made.proofs(), [None, BETWEEN, None]);
}

/// What the filters leave out is not counted, and still proves what it proves.
#[test]
fn hidden_opens_tell_what_they_tell() {
    let mut made = Made::new();
    made.take(wire(11, 100, 110), false);
    made.cached(11, 200);
    made.take(cached(11, 300), false);
    made.take(wire(12, 400, 410), false);
    let report = made.report();
    assert_eq!((report.proved_stale, report.names[0].opens), (1, 1));
    assert_eq!(report.names[0].changes.len(), 1);
}

#[test]
fn other_names_other_mounts_and_unknown_names_are_apart() {
    let mut made = Made::new();
    made.wire(11, 100, 110);
    for other in [
        OpenPath {
            path: Some("other".into()),
            ..wire(12, 400, 410)
        },
        OpenPath {
            dev: 46,
            ..wire(12, 400, 410)
        },
        OpenPath {
            path: None,
            dentry: Pointer(2),
            dentry_id: Some(2),
            ..wire(12, 400, 410)
        },
        OpenPath {
            path: None,
            dentry: Pointer(3),
            dentry_id: Some(3),
            ..wire(13, 500, 510)
        },
        // Above this name one is not known: it need not be the same place.
        OpenPath {
            path: Some(".../file".into()),
            dentry_id: Some(4),
            ..wire(14, 600, 610)
        },
        OpenPath {
            path: Some(".../file".into()),
            dentry_id: Some(5),
            ..wire(15, 700, 710)
        },
    ] {
        made.take(other, true);
    }
    let report = made.report();
    assert_eq!(report.names.len(), 7);
    assert!(report.names.iter().all(|name| name.changes.is_empty()));
}

#[test]
fn a_cached_open_proves_that_the_file_is_held() {
    let mut made = Made::new();
    made.wire(11, 100, 110);
    made.cached(11, 200);
    made.cached(11, 300);
    let write = OpenPath {
        flags: Some(1),
        ..cached(11, 350)
    };
    made.take(write, true);
    made.wire(11, 400, 410);
    let report = made.report();
    let holds: Vec<_> = report
        .holds
        .iter()
        .map(|it| {
            (
                it.mode,
                it.from.ts_ns,
                it.until.ts_ns,
                it.cached,
                it.opened_by.len(),
            )
        })
        .collect();
    assert_eq!(
        holds,
        [("O_RDONLY", 200, 300, 2, 1), ("O_WRONLY", 350, 350, 1, 0)]
    );
    assert_eq!(report.holds[0].opened_by[0].since.ts_ns, 100);
}

#[test]
fn a_delegation_lasts_from_its_first_open_to_its_last_at_least() {
    let mut made = Made::new();
    made.wire(11, 100, 110);
    for at in [200, 300] {
        let path = OpenPath {
            open_path: PathWord::Delegated,
            name_check: NameCheck::Delegated,
            ..cached(11, at)
        };
        made.take(path, true);
    }
    made.wire(11, 400, 410);
    let report = made.report();
    let it = &report.delegations[0];
    assert_eq!(it.granted_after.map(|it| it.ts_ns), Some(100));
    assert_eq!((it.from.ts_ns, it.until.ts_ns, it.opens), (200, 300, 2));
    assert_eq!(it.returned_before.map(|it| it.ts_ns), Some(400));
    assert!(report.holds.is_empty());
}

/// As many as there may be of everything, and more: what is left out is counted.
#[test]
fn what_is_too_much_is_left_out_and_counted() {
    let mut made = Made::new();
    let names = NAMES.get() as u64 + 500;
    for number in 0..names {
        let path = OpenPath {
            tgid: u32::try_from(number).expect("few"),
            path: Some(number.to_string().into()),
            ..cached(number, number * 10)
        };
        let row = Row::new(
            &path,
            &made.session,
            made.session.signals(),
            made.session.mount(path.dev),
            None,
        );
        made.analysis
            .take(&path, &row, made.session.mount(45), true);
    }
    let report = made.report();
    assert_eq!(report.names.len(), 100);
    assert_eq!(report.left_out.names, NAMES.get() as u64 - 100);
    assert_eq!(report.left_out.names_forgotten, 500);
    assert_eq!(
        report.left_out.processes_forgotten,
        names - PROCESSES.get() as u64
    );
    assert_eq!(report.latency[&PathWord::Cached].opens, names);
}

/// A name that changes all the time, and cached opens in many ways.
#[test]
fn a_long_history_keeps_its_beginning_and_its_end() {
    let mut made = Made::new();
    for turn in 0..500 {
        made.wire(turn, turn * 100, turn * 100 + 10);
        made.cached(turn, turn * 100 + 50);
    }
    let report = made.report();
    let name = &report.names[0];
    assert_eq!(name.proved_stale, 499);
    assert_eq!((name.changes.len(), name.changes_left_out), (50, 449));
    assert_eq!(name.history.len(), 40);
    assert_eq!(name.history_left_out, 960);
    assert_eq!(name.history[0].first.ts_ns, 0);
    assert_eq!(name.history[39].first.ts_ns, 49_950);
}
