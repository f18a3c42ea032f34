//! Probes withheld, as on a kernel that does not have the function: what stands in for them gives
//! the same words, and where nothing does the word is unknown, never another one.

use std::fs;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use super::{
    Held,
    ground::{Ground, read},
    held, kernel,
    not_allowed::delegate,
    tool::{Report, Tool},
};
use crate::workload;

/// Opens from a delegation, and of `rename-over` together with the held one.
const DELEGATED: usize = 3;
const ROWS: usize = DELEGATED + 12;

const DONE: Option<&str> = Some("nfs4_open_done");
const STATEID: Option<&str> = Some("update_open_stateid");
const TRIED: Option<&str> = Some("nfs4_try_open_cached");
const ENCODED: Option<&str> = Some("nfs4_xdr_enc_open");
const EVENT: Option<&str> = Some("nfs4_cached_open");
const ALL_WORDS: &[&str] = &["wire", "atomic", "cached", "delegated"];
const VALID: &[&str] = &["accepted", "directory", "lookup", "delegated"];

/// What is withheld, and what has to come of it.
#[derive(Clone, Copy)]
struct Way {
    without: &'static str,
    /// What the start line says tells whether an OPEN was sent, and a delegated open.
    told_by: (Option<&'static str>, Option<&'static str>),
    /// Words of the open path that become unknown.
    no_path: &'static [&'static str],
    /// Words of the name check that become unknown.
    no_name: &'static [&'static str],
    /// OPENs and LOOKUPs are counted.
    counted: (bool, bool),
}

const fn way(
    without: &'static str,
    sent: Option<&'static str>,
    delegated: Option<&'static str>,
) -> Way {
    Way {
        without,
        told_by: (sent, delegated),
        no_path: &[],
        no_name: &[],
        counted: (true, true),
    }
}

const fn uncounted(way: Way) -> Way {
    Way {
        counted: (false, true),
        ..way
    }
}

/// The first is the one that the others are compared with.
const WAYS: &[Way] = &[
    way("", DONE, STATEID),
    uncounted(way("nfs4_open_done", TRIED, STATEID)),
    way("nfs4_open_done,nfs4_try_open_cached", ENCODED, STATEID),
    uncounted(way(
        "nfs4_open_done,nfs4_try_open_cached,nfs4_xdr_enc_open_noattr",
        EVENT,
        STATEID,
    )),
    Way {
        no_path: ALL_WORDS,
        ..uncounted(way(
            "nfs4_open_done,nfs4_try_open_cached,nfs4_xdr_enc_open,nfs4_cached_open",
            None,
            STATEID,
        ))
    },
    way("update_open_stateid", DONE, EVENT),
    Way {
        no_path: &["cached", "delegated"],
        ..way("update_open_stateid,nfs4_open_prepare", DONE, None)
    },
    uncounted(way(
        "nfs4_open_done,nfs4_try_open_cached,nfs4_xdr_enc_open,update_open_stateid",
        EVENT,
        EVENT,
    )),
    way("_nfs4_proc_lookup", DONE, STATEID),
    Way {
        no_name: VALID,
        counted: (true, false),
        ..way("_nfs4_proc_lookup,nfs4_proc_lookup", DONE, STATEID)
    },
    Way {
        no_name: &["accepted", "delegated"],
        ..way("nfs_set_verifier,nfs4_have_delegation", DONE, STATEID)
    },
    Way {
        no_name: &["accepted", "directory", "delegated"],
        ..way("nfs_check_verifier", DONE, STATEID)
    },
];

/// What has to come of it on this kernel, which may not have all of the signals.
fn here(way: &Way) -> Result<Way> {
    let mut way = *way;
    let (sent, delegated) = &mut way.told_by;
    let symbols = fs::read_to_string("/proc/kallsyms").context("read /proc/kallsyms")?;
    let tried = symbols
        .lines()
        .any(|line| line.split_whitespace().nth(2) == TRIED);
    if *sent == TRIED && !tried {
        *sent = ENCODED;
        way.counted.0 = true;
    }
    if !kernel::has_tracepoint_programs()? {
        if *delegated == EVENT {
            *delegated = None;
            way.no_path = &["cached", "delegated"];
        }
        if *sent == EVENT {
            *sent = None;
            way.no_path = ALL_WORDS;
        }
    }
    Ok(way)
}

pub(super) fn withheld(ground: &Ground) -> Result<Held> {
    let ways = WAYS.iter().map(here).collect::<Result<Vec<Way>>>()?;
    for (name, why) in [
        ("nfs4_file_open", "nothing can be traced without it"),
        ("vfs_open", "`nfs-trace probes` lists them"),
    ] {
        let ended = Tool::run(&["trace", "--without-probe", name])?;
        ended.expect(64)?;
        ensure!(
            ended.err.contains(name) && ended.err.contains(why),
            "{}",
            ended.err
        );
    }

    ground.file("granted")?;
    delegate(ground, "granted")?;
    workload::prepare("rename-over", &ground.server, &ground.client)?;
    let mut tools = Vec::new();
    for way in &ways {
        let mut arguments = vec!["--format", "json", "--mount", "/mnt"];
        if !way.without.is_empty() {
            arguments.extend(["--without-probe", way.without]);
        }
        tools.push(Tool::armed(&arguments).with_context(|| format!("without {}", way.without))?);
        // A client returns what it has not used between two renewals of its lease, a minute apart
        // (nfs_expire_unreferenced_delegations()). Arming all of them takes as long.
        fs::metadata(ground.client.join("granted")).context("use the delegation")?;
    }
    read("alpha", DELEGATED as u64, &ground.name("granted"))?;
    ground.rename_over()?;
    let mut first = None;
    for (way, tool) in ways.iter().zip(tools) {
        let report = tool.report()?;
        let first = first.get_or_insert_with(|| report.clone());
        judge(way, first, &report).with_context(|| format!("without {}", way.without))?;
    }
    let first = first.context("find the reference")?;
    let words: Vec<_> = first.rows.iter().map(|row| &row["open_path"]).collect();
    let seen = |word: &str| words.iter().filter(|it| **it == word).count();
    ensure!(seen("delegated") == DELEGATED, "{words:?}");
    held(format!(
        "{} ways: {} wire, {} atomic, {DELEGATED} delegated, {} cached: the same words or unknown",
        ways.len(),
        seen("wire"),
        seen("atomic"),
        seen("cached"),
    ))
}

fn judge(way: &Way, first: &Report, report: &Report) -> Result<()> {
    report.expect(ROWS)?;
    let (sent, delegated) = way.told_by;
    let told_by = &report.start["told_by"];
    ensure!(
        told_by["sent"] == Value::from(sent) && told_by["delegated"] == Value::from(delegated),
        "told by {told_by}"
    );
    for name in way.without.split(',').filter(|name| !name.is_empty()) {
        let state = &report.start["probes"][name];
        ensure!(state == "withheld (--without-probe)", "{name} is {state}");
    }
    for (reference, row) in first.rows.iter().zip(&report.rows) {
        for (key, lost) in [("open_path", way.no_path), ("name_check", way.no_name)] {
            let word = reference[key].as_str().unwrap_or_default();
            let expected = if lost.contains(&word) {
                "unknown"
            } else {
                word
            };
            ensure!(
                row[key] == expected,
                "{key} {} instead of {expected}: {row}",
                row[key]
            );
        }
        for (key, counted) in [("open", way.counted.0), ("lookup", way.counted.1)] {
            let expected = if counted {
                reference["rpcs"][key].clone()
            } else {
                Value::Null
            };
            ensure!(
                row["rpcs"][key] == expected,
                "{key} {} instead of {expected}: {row}",
                row["rpcs"][key]
            );
        }
    }
    Ok(())
}
