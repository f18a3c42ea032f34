//! What is compared with what, what comes of it, and how it looks in a terminal.

use std::{collections::BTreeMap, fs, path::Path};

use super::{
    answer::Part,
    compare::{Change, Comparison, Counts, Verdict},
    conclude::conclusion,
    side::{Answers, Side},
    text::{Style, text},
};
use crate::{
    row::{OpenFlags, Row, Rpcs},
    session,
    summary::{Reloads, Summary},
    trace::{Gap, NameCheck, PathWord},
};

/// What makes a row another one.
type Edit = fn(&mut Row);

const CACHED: Edit = |row| {
    row.open_path = PathWord::Cached;
    row.name_check = NameCheck::Accepted;
    row.claim = None;
    row.rpcs.open = Some(0);
};
const WIRE: Edit = |_| {};

fn row(path: &str) -> Row<'_> {
    Row {
        path: Some(path.into()),
        nfs_version: Some("4.1".into()),
        flags: Some(OpenFlags(0)),
        name_check: NameCheck::Directory,
        claim: Some("NULL"),
        rpcs: Rpcs {
            open: Some(1),
            lookup: Some(0),
        },
        ..crate::testing::row()
    }
}

fn summary() -> Summary {
    Summary::new(session::signals(&BTreeMap::new()))
}

/// Two recordings that ended well.
#[derive(Default)]
struct Case {
    sides: [Side; 2],
    answers: Answers,
}

impl Case {
    fn new() -> Self {
        let mut case = Self::default();
        for side in &mut case.sides {
            side.kernel = "6.1.0".into();
            side.end = Some(summary().end());
        }
        case
    }

    fn before(&mut self, path: &str, edits: &[Edit]) -> &mut Self {
        self.add(0, path, edits)
    }

    fn after(&mut self, path: &str, edits: &[Edit]) -> &mut Self {
        self.add(1, path, edits)
    }

    fn both(&mut self, path: &str, edits: &[Edit]) -> &mut Self {
        self.before(path, edits).after(path, edits)
    }

    fn add(&mut self, side: usize, path: &str, edits: &[Edit]) -> &mut Self {
        for edit in edits {
            let mut row = row(path);
            edit(&mut row);
            self.sides[side].add(&row, &mut self.answers);
        }
        self
    }

    fn compared(&self) -> Comparison {
        Comparison::new(&self.sides, &self.answers, &[])
    }

    fn verdict(&self) -> (Verdict, String) {
        let comparison = self.compared();
        (comparison.verdict(), conclusion(&comparison))
    }

    fn text(&self, width: Option<usize>, colour: bool, all: bool) -> String {
        let style = Style { width, colour, all };
        text(
            &self.compared(),
            &self.sides,
            ["one.nfst", "two.nfst"],
            style,
        )
    }
}

#[test]
fn the_line_of_the_issue() {
    let retried: Edit = |row| row.stale_retries = 1;
    let mut case = Case::new();
    case.both("test1.txt", &[WIRE]);
    case.before("test1.txt", &[CACHED; 11]);
    case.after("test1.txt", &[retried])
        .after("test1.txt", &[WIRE; 10]);
    let (verdict, line) = case.verdict();
    assert_eq!(verdict, Verdict::Different);
    assert_eq!(
        line,
        "11 of 11 reopens of test1.txt: cached -> wire (claim NULL), 1 stale retry more, 11 OPENs more"
    );
}

#[test]
fn one_line_says_what_kind_of_difference_it_is() {
    let other_name: Edit = |row| row.name_check = NameCheck::Lookup;
    let failed: Edit = |row| row.result = Some(-116);
    let claim: Edit = |row| row.claim = Some("FH");
    let looked_up: Edit = |row| row.rpcs.lookup = Some(2);
    for (after, line) in [
        (other_name, "1 of 2 opens of a: name directory -> lookup"),
        (failed, "1 of 2 opens of a: ok -> ESTALE"),
        (
            claim,
            "1 of 2 opens of a: wire (claim NULL) -> wire (claim FH)",
        ),
        (looked_up, "1 of 2 opens of a: RPCs, 2 LOOKUPs more"),
    ] {
        let mut case = Case::new();
        case.both("b", &[WIRE; 5]);
        case.before("a", &[WIRE, WIRE]).after("a", &[after, WIRE]);
        assert_eq!(case.verdict(), (Verdict::Different, line.into()));
    }
    let mut case = Case::new();
    case.before("a", &[WIRE, WIRE, CACHED])
        .after("a", &[WIRE; 5]);
    case.before("b", &[WIRE, CACHED, CACHED])
        .after("b", &[WIRE; 2]);
    let line = "2 of 3 reopens of 2 names: cached -> wire (claim NULL), 1 open only in BEFORE, 2 \
                opens only in AFTER, 4 OPENs more";
    assert_eq!(case.verdict(), (Verdict::Different, line.into()));
}

#[test]
fn the_same_is_the_same_only_if_nothing_can_be_missing() {
    let mut case = Case::new();
    case.both("a", &[WIRE, CACHED, CACHED]).both("b", &[WIRE]);
    assert_eq!(
        case.verdict(),
        (Verdict::Same, "no difference: 4 opens of 2 names".into())
    );
    type Doubt = fn(&mut Summary);
    let doubts: [Doubt; 10] = [
        |it| it.kernel.records = 1,
        |it| it.kernel.returns = 1,
        |it| it.kernel.skipped = 1,
        |it| it.kernel.children = 1,
        |it| it.undecodable = 1,
        |it| it.kernel.running_at_end = 1,
        |it| it.unread.no_end = true,
        |it| it.unread.places = 1,
        |it| it.unread.later_parts = true,
        |it| {
            it.reloads = Reloads {
                gone: 1,
                attached: 1,
                unseen_ms: 7,
            };
        },
    ];
    for (number, doubt) in doubts.iter().enumerate() {
        for side in 0..2 {
            let mut summary = summary();
            doubt(&mut summary);
            let whole = case.sides[side].end.replace(summary.end());
            let (verdict, line) = case.verdict();
            assert_eq!(verdict, Verdict::Inconclusive, "doubt {number}: {line}");
            let which = ["BEFORE", "AFTER"][side];
            assert!(line.contains(&format!("{which} may lack")), "{line}");
            assert!(case.text(None, false, false).contains("        ! "));
            case.sides[side].end = whole;
        }
    }
    case.sides[0].end = None;
    assert_eq!(case.verdict().0, Verdict::Inconclusive);
    assert_eq!(
        Case::new().verdict(),
        (
            Verdict::Inconclusive,
            "inconclusive: there is no open to compare".into()
        )
    );
}

/// A record that was lost is no difference between two kernels.
#[test]
fn what_may_have_been_lost_is_no_difference() {
    let incomplete: Edit = |row| {
        row.complete = false;
        row.gaps = vec![Gap::RecordLost].into();
        row.open_path = PathWord::Cached;
    };
    let mut case = Case::new();
    case.before("a", &[WIRE, incomplete])
        .after("a", &[WIRE, WIRE]);
    let (verdict, line) = case.verdict();
    assert_eq!(verdict, Verdict::Inconclusive);
    assert_eq!(
        line,
        "inconclusive: no difference that is certain, but 1 open cannot be compared"
    );
    assert!(case.text(None, false, false).contains(" ? "));

    // An open less, where records were lost.
    let mut case = Case::new();
    case.before("a", &[WIRE]).after("a", &[WIRE, WIRE]);
    assert_eq!(case.verdict().0, Verdict::Different);
    let mut lossy = summary();
    lossy.kernel.records = 1;
    case.sides[0].end = Some(lossy.end());
    assert_eq!(case.verdict().0, Verdict::Inconclusive);
    // Lost on the side that has more: the difference stands.
    case.sides[0].end = Some(summary().end());
    case.sides[1].end = Some(lossy.end());
    let (verdict, line) = case.verdict();
    assert_eq!(verdict, Verdict::Different);
    assert_eq!(
        line,
        "1 open only in AFTER, 1 OPEN more (but AFTER may lack something)"
    );
}

#[test]
fn opens_without_names_are_compared_but_prove_nothing() {
    let nameless: Edit = |row| row.path = None;
    let mut case = Case::new();
    case.both("", &[nameless, nameless]);
    assert_eq!(case.compared().counts.same, 2);
    assert_eq!(case.verdict().0, Verdict::Inconclusive);
    assert!(
        case.text(None, false, true)
            .contains("(name not known)  (cat,")
    );
}

#[test]
fn programs_and_mounts_are_told_apart() {
    let git: Edit = |row| row.comm = "git".into();
    let git_cached: Edit = |row| {
        row.comm = "git".into();
        CACHED(row);
    };
    // Two programs that take turns in another order are the same.
    let mut case = Case::new();
    case.before("a", &[git, git_cached, WIRE, CACHED]);
    case.after("a", &[WIRE, git, CACHED, git_cached]);
    assert_eq!(case.verdict().0, Verdict::Same);

    // Mounted elsewhere is the same place, as long as there is but one mount.
    let elsewhere: Edit = |row| row.mount = Some("/srv".into());
    let mut case = Case::new();
    case.before("a", &[WIRE]).after("a", &[elsewhere]);
    assert_eq!(case.verdict().0, Verdict::Same);
    case.both("a", &[elsewhere]);
    let comparison = case.compared();
    assert_eq!(
        comparison.counts,
        Counts {
            same: 1,
            only_before: 1,
            only_after: 1,
            ..Counts::default()
        }
    );
    assert!(case.text(None, false, false).contains("/srv/a  (cat"));
}

#[test]
fn of_the_open_paths_asked_for_both_sides_of_a_pair_are_kept() {
    let mut case = Case::new();
    case.both("a", &[WIRE])
        .before("a", &[CACHED; 2])
        .after("a", &[WIRE; 2]);
    case.both("b", &[WIRE; 3]);
    let comparison = Comparison::new(&case.sides, &case.answers, &[PathWord::Cached]);
    let [name] = &comparison.names[..] else {
        panic!("{:?}", comparison.names);
    };
    let [group] = &name.groups[..] else {
        panic!("{:?}", name.groups);
    };
    assert_eq!((group.change, group.count), (Change::Changed, 2));
    assert_eq!(group.before.as_ref().map(|run| run.first), Some(2));
    assert_eq!(comparison.counts.same, 0);
    let (before, after) = group.both().expect("both");
    assert!(before.differs(after, Part::OpenPath));
    let none = Comparison::new(&case.sides, &case.answers, &[PathWord::Delegated]);
    assert_eq!(none.verdict(), Verdict::Inconclusive);
}

/// Opens that are more on one side move the others: both numbers are shown.
fn long() -> Case {
    let retried: Edit = |row| {
        row.open_path = PathWord::Atomic;
        row.name_check = NameCheck::None;
        row.rpcs = Rpcs {
            open: Some(2),
            lookup: Some(1),
        };
        row.stale_retries = 1;
        row.result = Some(-13);
    };
    let written: Edit = |row| row.flags = Some(OpenFlags(0o1001));
    let mut case = Case::new();
    let path = "a/very/long/path/that/does/not/fit/into/eighty/columns/with/the/program/test1.txt";
    case.both(path, &[WIRE]).before(path, &[CACHED; 10]);
    case.after(path, &[retried]).after(path, &[WIRE; 9]);
    case.before("mixed", &[WIRE, written, CACHED]);
    case.after("mixed", &[WIRE, CACHED, written, WIRE, CACHED]);
    case.both("same", &[WIRE, CACHED]);
    case
}

/// `UPDATE_EXPECT=1` rewrites the golden files; read their diff.
#[test]
fn it_fits_into_a_terminal() {
    for (name, width, colour, all) in [
        ("80", Some(80), false, false),
        ("120-all", Some(120), false, true),
        ("100-colour", Some(100), true, false),
        ("pipe", None, false, false),
    ] {
        let found = long().text(width, colour, all);
        for line in found.lines().filter(|_| !colour) {
            let is_sentence = line.contains(" reopens of ");
            let fits = line.chars().count() <= width.unwrap_or(usize::MAX);
            assert!(fits || is_sentence, "{name}: {line}");
        }
        let found = found.replace('\x1b', "<ESC>");
        let golden = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("tests/data")
            .join(format!("diff-{name}.txt"));
        if std::env::var_os("UPDATE_EXPECT").is_some() {
            fs::write(&golden, &found).expect("the golden file");
        }
        let expected = fs::read_to_string(&golden).unwrap_or_default();
        assert_eq!(found, expected, "{}", golden.display());
    }
}
