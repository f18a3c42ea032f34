//! Exercises what the model makes of rows and ticks.

use super::*;
use crate::{
    session,
    top::testing::{at, row},
    trace::{Gap, PathWord},
};

const SECOND: u64 = 1_000_000_000;

fn shown(rows: &[Row], ticks: u64) -> View {
    let mut model = Model::new(0);
    rows.iter().for_each(|row| model.row(row));
    for tick in 1..=ticks {
        model.tick(tick * SECOND);
    }
    model.view()
}

fn evidence(rows: &[Row]) -> (bool, String) {
    let view = shown(rows, 1);
    (view.mounts[0].affected, view.mounts[0].evidence.clone())
}

#[test]
fn a_name_has_its_opens_by_path_and_a_rate_that_fades() {
    let rows = [
        row("a", PathWord::Cached),
        row("a", PathWord::Wire),
        row("a", PathWord::Wire),
        row("b", PathWord::Delegated),
    ];
    let view = shown(&rows, 1);
    let a = &view.names[0];
    assert_eq!(a.path, "/mnt/a");
    assert_eq!((a.opens.total, a.opens.cached, a.opens.wire), (3, 1, 2));
    assert!((a.rate - 3.0).abs() < 1e-9 && (view.rate - 4.0).abs() < 1e-9);
    let view = shown(&rows, 3);
    assert!((view.names[0].rate - 1.0).abs() < 1e-9, "3 in 3 s");
    let view = shown(&rows, 6);
    assert!(view.rate == 0.0 && view.all.total == 4);
}

#[test]
fn one_cached_open_proves_it_and_none_proves_nothing() {
    let wire = row("a", PathWord::Wire);
    let cached = row("a", PathWord::Cached);
    assert_eq!(
        evidence(&[wire.clone(), wire.clone()]),
        (false, "no cached open among 2: proves nothing".into())
    );
    assert_eq!(
        evidence(&[wire, cached.clone()]),
        (true, "AFFECTED: 1 cached open".into())
    );
    let mut torn = cached;
    torn.complete = false;
    torn.gaps = vec![Gap::RecordLost].into();
    assert_eq!(
        evidence(&[torn]),
        (
            false,
            "1 cached open, but something was missed: no verdict".into()
        )
    );
}

#[test]
fn what_was_running_when_the_trace_began_takes_no_verdict_away() {
    let mut before = row("a", PathWord::Wire);
    before.complete = false;
    before.gaps = vec![Gap::BeganBefore].into();
    let (affected, _) = evidence(&[before, row("a", PathWord::Cached)]);
    assert!(affected);
}

#[test]
fn with_anything_lost_there_is_no_verdict() {
    let mut summary = Summary::new(session::signals(&Default::default()));
    summary.kernel.records = 2;
    let mut model = Model::new(0);
    model.row(&row("a", PathWord::Cached));
    model.counted(&summary);
    model.tick(SECOND);
    let view = model.view();
    assert!(!view.mounts[0].affected);
    assert_eq!(view.lost, ["2 records (buffer full)"]);
}

#[test]
fn sorted_and_filtered_as_chosen() {
    let mut model = Model::new(0);
    for (path, word, times) in [
        ("x/often", PathWord::Wire, 9),
        ("x/cached", PathWord::Cached, 2),
        ("y/else", PathWord::Wire, 4),
    ] {
        (0..times).for_each(|_| model.row(&row(path, word)));
    }
    (1..=5).for_each(|tick| model.tick(tick * SECOND));
    (0..6).for_each(|_| model.row(&row("y/else", PathWord::Wire)));
    model.tick(6 * SECOND);
    let mut order = |sort, filter: &str| {
        model.choice.sort = sort;
        model.choice.filter = filter.into();
        let names = model.view().names.into_iter();
        names.map(|line| line.path).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(
        order(Sort::Rate, ""),
        "/mnt/y/else /mnt/x/often /mnt/x/cached"
    );
    assert_eq!(
        order(Sort::Cached, ""),
        "/mnt/x/cached /mnt/y/else /mnt/x/often"
    );
    assert_eq!(order(Sort::Path, "x/"), "/mnt/x/cached /mnt/x/often");
    assert_eq!(order(Sort::Total, "often"), "/mnt/x/often");
}

#[test]
fn paused_it_counts_on_and_shows_what_was() {
    let mut model = Model::new(0);
    model.row(&row("a", PathWord::Wire));
    model.tick(SECOND);
    model.choice.paused = true;
    model.row(&row("a", PathWord::Wire));
    model.tick(2 * SECOND);
    assert_eq!(model.view().all.total, 1);
    model.choice.paused = false;
    model.tick(3 * SECOND);
    assert_eq!(model.view().all.total, 2);
}

#[test]
fn names_are_bounded_and_the_totals_are_not_cut() {
    let mut model = Model::new(0);
    let most = NAMES_AT_MOST.get();
    (0..most + 3).for_each(|n| model.row(&row(&n.to_string(), PathWord::Wire)));
    model.tick(SECOND);
    let view = model.view();
    assert_eq!(view.names.len(), most);
    assert_eq!(view.all.total, most as u64 + 3);
    assert!(view.notes[0].starts_with("3 names"), "{:?}", view.notes);
}

#[test]
fn opens_of_two_mounts_are_two_lines_the_affected_one_first() {
    let rows = [
        at("/a", row("f", PathWord::Wire)),
        at("/a", row("f", PathWord::Wire)),
        at("/b", row("f", PathWord::Cached)),
    ];
    let view = shown(&rows, 1);
    let points: Vec<_> = view
        .mounts
        .iter()
        .map(|mount| mount.point.as_str())
        .collect();
    assert_eq!(points, ["/b", "/a"]);
}
