//! Spoils a good outcome in every way and expects that the judge names it.

use lab_contract::{mountstats::OpCount, protocol::NfsVersion};
use serde_json::json;

use super::*;

/// `reopen` over v4.0, as an affected client and a correct nfs-trace report it.
fn reopen() -> Outcome {
    let counts = |counts: &[(&str, u64)]| {
        counts
            .iter()
            .map(|(word, count)| ((*word).to_owned(), *count))
            .collect()
    };
    let sent = |ops| OpCount {
        ops,
        transmissions: ops,
        errors: 0,
    };
    let mut outcome = Outcome {
        scenario: "reopen".to_owned(),
        version: Some(NfsVersion::V40),
        mountstats: BTreeMap::from([("OPEN".to_owned(), sent(1)), ("LOOKUP".to_owned(), sent(1))]),
        trace: Some(Trace {
            opens: 24,
            end_opens: 24,
            by_open_path: counts(&[("atomic", 1), ("cached", 23)]),
            by_name_check: counts(&[("none", 1), ("accepted", 23)]),
            row_rpcs: Rpcs { open: 1, lookup: 0 },
            end_rpcs: Rpcs { open: 1, lookup: 0 },
            elsewhere: Rpcs { open: 0, lookup: 1 },
            ..Trace::default()
        }),
        ..Outcome::default()
    };
    outcome.workload.opens = Some(24);
    (0..23).for_each(|_| outcome.workload.push("old"));
    outcome
}

/// Spoils a good outcome and expects that one problem is found, with these words in it.
fn check(spoil: impl FnOnce(&mut Outcome), problem: &str) {
    let mut outcome = reopen();
    spoil(&mut outcome);
    let verdict = judge(&outcome, Client::WithoutSeries, true);
    assert_eq!(verdict.problems().len(), 1, "{:?}", verdict.problems());
    assert!(
        verdict.problems()[0].contains(problem),
        "{:?}",
        verdict.problems()
    );
}

fn traced(outcome: &mut Outcome) -> &mut Trace {
    outcome.trace.as_mut().unwrap()
}

#[test]
fn agreement_passes() {
    let verdict = judge(&reopen(), Client::WithoutSeries, true);
    assert!(verdict.is_pass(), "{:?}", verdict.problems());
}

#[test]
fn each_disagreement_is_named() {
    check(|o| o.error = Some("no".into()), "could not be measured: no");
    check(|o| o.trace = None, "reported nothing");
    check(
        |o| {
            o.workload.opens = Some(23);
            traced(o).opens = 23;
            traced(o).end_opens = 23;
        },
        "opens done: expected Some(24)",
    );
    check(
        |o| o.workload.push("new"),
        "read 23 old, 1 new, expected 23 old",
    );
    check(|o| traced(o).incomplete = 1, "incomplete rows");
    check(|o| traced(o).end_opens = 23, "`opens` in the end line");
    check(
        |o| traced(o).lost = BTreeMap::from([("lost.records".to_owned(), 1)]),
        "lost.records",
    );
    check(
        |o| traced(o).row_rpcs.lookup = 1,
        "LOOKUPs of all rows against the end line",
    );
    check(
        |o| traced(o).elsewhere.lookup = 0,
        "LOOKUPs: mountstats 1, nfs-trace 0 in opens",
    );
    check(
        |o| traced(o).by_name_check = BTreeMap::new(),
        "name_check: expected",
    );
}

#[test]
fn a_cached_open_of_a_stock_client_fails() {
    let verdict = judge(&reopen(), Client::Stock, true);
    assert!(
        verdict
            .problems()
            .iter()
            .any(|p| p == "open_path cached: expected 0, found 23")
    );
}

#[test]
fn without_nfs_trace_the_other_oracles_are_judged() {
    let outcome = Outcome {
        trace: None,
        ..reopen()
    };
    assert!(judge(&outcome, Client::WithoutSeries, false).is_pass());
    assert!(!judge(&outcome, Client::Stock, false).is_pass());
}

#[test]
fn rows_of_one_file_are_counted_by_its_name() {
    let row = |path: &str| json!({"path": path, "open_path": "wire"});
    let rows = [
        row("repo/packed-refs"),
        row("repo/HEAD"),
        row("packed-refs"),
    ];
    let counts = count_rows(&rows, "open_path", "packed-refs");
    assert_eq!(counts, BTreeMap::from([("wire".to_owned(), 2)]));
}
