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
    cures,
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
    // A kernel of one's own may lack v4.0; a client of the lab is known to.
    let lacks = outcome.version.is_some_and(|it| client.lacks(it));
    if outcome.skipped.is_some() || lacks {
        verdict.check(outcome.skipped.is_some(), || {
            "this client has no such version, and yet it was mounted".to_owned()
        });
        return verdict;
    }
    if let Some(error) = &outcome.error {
        verdict.0.push(format!("could not be measured: {error}"));
        return verdict;
    }
    let expected = match outcome.version {
        Some(version) => expect::expected(&outcome.scenario, client, version),
        None => Expected::default(),
    };
    workload(&mut verdict, outcome, &expected);
    verdict.0.extend(cures::problems(outcome, client));
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
    // With few rows the outcome has them all.
    if let (false, Some(trace)) = (verdict.is_pass(), &outcome.trace)
        && trace.rows.is_empty()
    {
        let odd = trace.odd.iter().map(|row| format!("an odd row: {row}"));
        verdict.0.extend(odd);
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
    // Which rows are that file's is not known without names.
    let nameless = trace.start["layout"] == "none";
    let compare = |verdict: &mut Verdict, key: &str, wanted: &expect::Counts, sums| {
        if nameless && expected.only.is_some() {
            return;
        }
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
mod tests;
