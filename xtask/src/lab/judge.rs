//! Judges one outcome: do nfs-trace, the kernel's counters, the reader and the expectation agree?
//! Pure: no files, no guest.

use std::collections::BTreeMap;

use lab_contract::{
    protocol::{Outcome, Run},
    scenario,
    trace::{Rpcs, Trace},
};
use serde_json::Value;

use super::{
    client::Client,
    expect::{self, Expected},
};

/// What is wrong with an outcome; nothing if it passes.
#[derive(Debug, Default)]
pub(crate) struct Verdict(Vec<String>);

impl Verdict {
    pub(crate) fn is_pass(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn problems(&self) -> &[String] {
        &self.0
    }

    fn check(&mut self, holds: bool, problem: impl FnOnce() -> String) {
        if !holds {
            self.0.push(problem());
        }
    }

    fn equal(&mut self, what: &str, expected: u64, found: u64) {
        self.check(expected == found, || {
            format!("{what}: expected {expected}, found {found}")
        });
    }
}

pub(crate) fn judge(outcome: &Outcome, client: Client, traced: bool) -> Verdict {
    let mut verdict = Verdict::default();
    if let Some(error) = &outcome.error {
        verdict.0.push(format!("could not be measured: {error}"));
        return verdict;
    }
    let expected = match outcome.version {
        Some(version) => expect::expected(&outcome.scenario, client, version),
        None => Expected::default(),
    };
    workload(&mut verdict, outcome, &expected);
    if let Some(opens) = expected.open_rpcs {
        verdict.equal("OPENs in mountstats", opens, sent(outcome).open);
    }
    let (found, at_least) = (sent(outcome).open, expected.open_rpcs_at_least);
    verdict.check(found >= at_least, || {
        format!("OPENs in mountstats: expected {at_least} or more, found {found}")
    });
    match &outcome.trace {
        Some(trace) => {
            rows(&mut verdict, trace, outcome.workload.opens);
            accounts(&mut verdict, trace, sent(outcome));
            classes(&mut verdict, trace, &expected);
        }
        None => verdict.check(!traced, || "nfs-trace reported nothing".to_owned()),
    }
    verdict
}

/// What the kernel says it sent.
pub(crate) fn sent(outcome: &Outcome) -> Rpcs {
    let count = |name| outcome.mountstats.get(name).map_or(0, |count| count.ops);
    Rpcs {
        open: count("OPEN") + count("OPEN_NOATTR"),
        lookup: count("LOOKUP"),
    }
}

/// The workload did what its scenario says, and read what the server says is true.
fn workload(verdict: &mut Verdict, outcome: &Outcome, expected: &Expected) {
    let promised = scenario::find(&outcome.scenario).and_then(|scenario| scenario.opens);
    let done = outcome.workload.opens;
    verdict.check(promised == done, || {
        format!("opens done: expected {promised:?}, got {done:?}")
    });
    if let Some(reads) = &expected.reads {
        let found = &outcome.workload.reads;
        verdict.check(reads == found, || {
            format!("read {}, expected {}", describe(found), describe(reads))
        });
    }
}

/// Every open has a row, and each row all of its evidence.
fn rows(verdict: &mut Verdict, trace: &Trace, done: Option<u64>) {
    verdict.check(trace.opens > 0, || {
        "nfs-trace saw no open at all".to_owned()
    });
    if let Some(done) = done {
        verdict.equal("rows of nfs-trace", done, trace.opens);
    }
    verdict.equal("`opens` in the end line", trace.opens, trace.end_opens);
    verdict.equal("incomplete rows", 0, trace.incomplete);
    verdict.check(trace.lost.is_empty(), || {
        format!("nfs-trace lost {:?}", trace.lost)
    });
}

/// Every RPC that the kernel counted was seen once: in a row, or outside any open.
fn accounts(verdict: &mut Verdict, trace: &Trace, sent: Rpcs) {
    let both = [
        (
            "OPEN",
            sent.open,
            trace.row_rpcs.open,
            trace.end_rpcs.open,
            trace.elsewhere.open,
        ),
        (
            "LOOKUP",
            sent.lookup,
            trace.row_rpcs.lookup,
            trace.end_rpcs.lookup,
            trace.elsewhere.lookup,
        ),
    ];
    for (name, sent, rows, end, elsewhere) in both {
        verdict.equal(
            &format!("{name}s of all rows against the end line"),
            end,
            rows,
        );
        verdict.check(sent == end + elsewhere, || {
            format!("{name}s: mountstats {sent}, nfs-trace {end} in opens + {elsewhere} elsewhere")
        });
    }
}

/// The opens took the expected paths.
fn classes(verdict: &mut Verdict, trace: &Trace, expected: &Expected) {
    let compare = |verdict: &mut Verdict, key: &str, wanted: &expect::Counts, sums| {
        let found = match expected.only {
            Some(file) => count_rows(&trace.rows, key, file),
            None => BTreeMap::clone(sums),
        };
        verdict.check(*wanted == found, || {
            format!("{key}: expected {wanted:?}, found {found:?}")
        });
    };
    if let Some(wanted) = &expected.open_path {
        compare(verdict, "open_path", wanted, &trace.by_open_path);
    }
    if let Some(wanted) = &expected.name_check {
        compare(verdict, "name_check", wanted, &trace.by_name_check);
    }
    let count = |word: &str| trace.by_open_path.get(word).copied().unwrap_or(0);
    if let Some(word) = expected.never {
        verdict.equal(&format!("open_path {word}"), 0, count(word));
    }
    if let Some(word) = expected.some {
        verdict.check(count(word) > 0, || {
            format!("open_path {word}: expected some, found none")
        });
    }
}

/// Words of the rows whose path ends with that file name.
fn count_rows(rows: &[Value], key: &str, file: &str) -> expect::Counts {
    let mut counts = BTreeMap::new();
    for row in rows {
        let path = row["path"].as_str().unwrap_or_default();
        if path.rsplit('/').next() == Some(file) {
            *counts
                .entry(row[key].as_str().unwrap_or("?").to_owned())
                .or_default() += 1;
        }
    }
    counts
}

/// `11 old, 2 ESTALE`
pub(crate) fn describe(reads: &[Run]) -> String {
    let runs: Vec<String> = reads
        .iter()
        .map(|run| format!("{} {}", run.times, run.what))
        .collect();
    if runs.is_empty() {
        "-".to_owned()
    } else {
        runs.join(", ")
    }
}

#[cfg(test)]
mod tests {
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
            mountstats: BTreeMap::from([
                ("OPEN".to_owned(), sent(1)),
                ("LOOKUP".to_owned(), sent(1)),
            ]),
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
}
