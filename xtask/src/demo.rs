//! `cargo xtask demo`: the main job for a newcomer. One experiment on a sound and on an
//! affected client, traced, and told side by side.

use anyhow::{Context as _, Result, ensure};
use clap::Args;
use lab_contract::{
    protocol::{NfsVersion, Outcome},
    scenario::RENAME_OPENS,
};
use serde_json::Value;

use crate::{
    lab::{client::Client, guest::Spec, judge, run, table},
    setup::{self, Needs},
};

const KERNEL: &str = "debian:6.1";
const SCENARIO: &str = "rename-over";
const VERSIONS: [NfsVersion; 2] = [NfsVersion::V40, NfsVersion::V41];
const CLIENTS: [Client; 2] = [Client::Stock, Client::WithoutSeries];
/// Width of one client's column.
const COLUMN: usize = 42;

/// See what nfs-trace shows: one experiment on a fixed and on an affected NFS client
#[derive(Args)]
pub(crate) struct Options {}

pub(crate) fn run(_: &Options) -> Result<()> {
    setup::ensure(&Needs {
        programs: true,
        lab: true,
    })?;
    let mut sides = Vec::new();
    for client in CLIENTS {
        let spec = Spec {
            kernel: KERNEL.into(),
            client,
            no_tracer: false,
            tracer: None,
        };
        let vers = VERSIONS.to_vec();
        let options = run::Options {
            spec,
            vers,
            scenarios: vec![SCENARIO.into()],
            capture: None,
        };
        let report = run::execute(&options, |outcome, verdict| {
            if !verdict.is_pass() {
                table::line(outcome, verdict);
            }
        })?;
        let failures = report.failures();
        ensure!(
            failures == 0,
            "{failures} outcomes on client {} are not as expected",
            client.name()
        );
        sides.push(
            report
                .outcomes
                .into_iter()
                .map(|(outcome, _)| outcome)
                .collect(),
        );
    }
    print!("{}", tell(&sides)?);
    Ok(())
}

/// The whole story; `sides` holds the outcomes of each client.
fn tell(sides: &[Vec<Outcome>]) -> Result<String> {
    let mut text = format!(
        "\nThe experiment: a client holds a file open. On the server another file is renamed over\n\
         its name. The client opens the name {RENAME_OPENS} times and reads. nfs-trace shows, for each open,\n\
         what vouched for the name (name check) and what for the file (open path).\n\n"
    );
    text.push_str(&line(
        "",
        &["fixed client (stock)", "affected client (fix taken out)"],
    ));
    for version in VERSIONS {
        let pair: Vec<&Outcome> = sides
            .iter()
            .map(|side| find(side, version))
            .collect::<Result<_>>()?;
        text.push_str(&line(&format!("NFSv{version}"), &["", ""]));
        let lists: Vec<Vec<String>> = pair
            .iter()
            .map(|outcome| open_groups(outcome))
            .collect::<Result<_>>()?;
        for index in 0..lists.iter().map(Vec::len).max().unwrap_or(0) {
            let cells: Vec<&str> = lists
                .iter()
                .map(|list| list.get(index).map_or("", String::as_str))
                .collect();
            text.push_str(&line(if index == 0 { "  opens" } else { "" }, &cells));
        }
        let reads: Vec<String> = pair
            .iter()
            .map(|outcome| judge::describe(&outcome.workload.reads))
            .collect();
        text.push_str(&line("  read", &refs(&reads)));
        let sent: Vec<String> = pair
            .iter()
            .map(|outcome| format!("{}", judge::sent(outcome).open))
            .collect();
        text.push_str(&line("  OPENs", &refs(&sent)));
        let answers: Vec<String> = pair
            .iter()
            .map(|outcome| answer(outcome))
            .collect::<Result<_>>()?;
        text.push_str(&line("  so", &refs(&answers)));
    }
    text.push_str(
        "\nAffected means: the client answers an open(2) of a name from its own open state, with no\n\
         OPEN and no delegation, so nobody asks the server whether the name still means that file.\n\
         What was read does not show it: from NFSv4.1 on a fixed client opens by filehandle and may\n\
         read the old file too, until the directory's cached attributes expire (30 s). The path\n\
         does. OPENs are the kernel's own count (/proc/self/mountstats); nfs-trace saw the same.\n",
    );
    Ok(text)
}

fn find(side: &[Outcome], version: NfsVersion) -> Result<&Outcome> {
    side.iter()
        .find(|outcome| outcome.scenario == SCENARIO && outcome.version == Some(version))
        .with_context(|| format!("find the outcome of NFSv{version}"))
}

fn refs(texts: &[String]) -> Vec<&str> {
    texts.iter().map(String::as_str).collect()
}

fn line(head: &str, cells: &[&str]) -> String {
    let cells: Vec<String> = cells.iter().map(|cell| format!("{cell:COLUMN$}")).collect();
    format!("{}\n", format!("{head:8} {}", cells.join("  ")).trim_end())
}

/// Opens of the same kind in a row as one line: `11 x CACHED, name accepted`.
fn open_groups(outcome: &Outcome) -> Result<Vec<String>> {
    let mut groups: Vec<(u64, String)> = Vec::new();
    for row in rows(outcome)? {
        let word = |key: &str| row[key].as_str().unwrap_or("?").to_owned();
        let mut text = match (&*word("open_path"), row["claim"].as_str()) {
            ("cached", _) => "CACHED".to_owned(),
            (path, Some(claim)) => format!("{path} {claim}"),
            (path, None) => path.to_owned(),
        };
        text.push_str(&format!(", name {}", word("name_check")));
        if let Some(stale @ 1..) = row["stale_retries"].as_u64() {
            text.push_str(&format!(", {stale} stale retry"));
        }
        match groups.last_mut() {
            Some((times, last)) if *last == text => *times += 1,
            _ => groups.push((1, text)),
        }
    }
    Ok(groups
        .into_iter()
        .map(|(times, text)| format!("{times} x {text}"))
        .collect())
}

/// The conclusion from the rows alone.
fn answer(outcome: &Outcome) -> Result<String> {
    let is = |row: &&Value, word: &str| row["open_path"] == word;
    let rows = rows(outcome)?;
    let cached = rows.iter().filter(|row| is(row, "cached")).count();
    let asked = rows
        .iter()
        .filter(|row| is(row, "wire") || is(row, "atomic"))
        .count();
    Ok(match (cached, asked) {
        (0, 0) => "nothing can be said".to_owned(),
        (0, asked) => format!("NOT AFFECTED: {asked} of {} asked the server", rows.len()),
        (cached, _) => format!("AFFECTED: {cached} of {} asked nobody", rows.len()),
    })
}

fn rows(outcome: &Outcome) -> Result<&[Value]> {
    let trace = outcome
        .trace
        .as_ref()
        .context("find the trace of the outcome")?;
    Ok(&trace.rows)
}

#[cfg(test)]
mod tests {
    use lab_contract::trace::Trace;
    use serde_json::json;

    use super::*;

    fn outcome(rows: Vec<Value>) -> Outcome {
        let trace = Some(Trace {
            rows,
            ..Trace::default()
        });
        Outcome {
            trace,
            ..Outcome::default()
        }
    }

    #[test]
    fn the_answer_follows_from_the_rows() {
        let cached = json!({"open_path": "cached", "name_check": "accepted"});
        let wire = json!({"open_path": "wire", "name_check": "directory", "claim": "FH"});
        let both = outcome(vec![wire.clone(), cached.clone(), cached]);
        assert_eq!(answer(&both).unwrap(), "AFFECTED: 2 of 3 asked nobody");
        let groups = open_groups(&both).unwrap();
        assert_eq!(
            groups,
            ["1 x wire FH, name directory", "2 x CACHED, name accepted"]
        );
        assert_eq!(
            answer(&outcome(vec![wire])).unwrap(),
            "NOT AFFECTED: 1 of 1 asked the server"
        );
        assert_eq!(answer(&outcome(vec![])).unwrap(), "nothing can be said");
    }
}
