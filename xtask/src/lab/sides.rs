//! Two outcomes side by side: which paths the opens took, what was read, what was sent.

use anyhow::{Context as _, Result};
use lab_contract::protocol::Outcome;
use serde_json::Value;

use super::judge;

/// Width of one side's column.
const COLUMN: usize = 42;

/// The lines of one scenario on one version; where the sides differ, a bar stands between.
pub(crate) fn block(pair: [&Outcome; 2]) -> Result<String> {
    let mut text = String::new();
    let [left, right] = [open_groups(pair[0])?, open_groups(pair[1])?];
    for index in 0..left.len().max(right.len()) {
        let cell = |list: &[String]| list.get(index).cloned().unwrap_or_default();
        let head = if index == 0 { "  opens" } else { "" };
        text.push_str(&line(head, &[cell(&left), cell(&right)]));
    }
    text.push_str(&oracles(pair));
    text.push_str(&line("  so", &[answer(pair[0])?, answer(pair[1])?]));
    Ok(text)
}

/// What does not come from nfs-trace: what was read, and the kernel's own count of OPENs.
pub(crate) fn oracles(pair: [&Outcome; 2]) -> String {
    let read = pair.map(|outcome| judge::describe(&outcome.workload.reads));
    let sent = pair.map(|outcome| judge::sent(outcome).open.to_string());
    line("  read", &read) + &line("  OPENs", &sent)
}

/// A head and two cells.
pub(crate) fn line(head: &str, cells: &[String; 2]) -> String {
    let [left, right] = cells;
    let between = if left == right { ' ' } else { '|' };
    format!(
        "{}\n",
        format!("{head:8} {left:COLUMN$} {between} {right}").trim_end()
    )
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

/// The conclusion from the rows alone. First opens have to ask, so they say nothing.
fn answer(outcome: &Outcome) -> Result<String> {
    let rows = rows(outcome)?;
    let is = |row: &&Value, word: &str| row["open_path"] == word;
    let cached = rows.iter().filter(|row| is(row, "cached")).count();
    let asked = rows
        .iter()
        .filter(|row| is(row, "wire") || is(row, "atomic"))
        .count();
    let reopened = |row: &Value| row["open_path"] == "wire" || row["stale_retries"] != 0;
    Ok(match cached {
        0 if !rows.iter().any(reopened) => "no file was opened again".to_owned(),
        0 => format!("NOT AFFECTED: {asked} of {} asked the server", rows.len()),
        _ => format!("AFFECTED: {cached} of {} asked nobody", rows.len()),
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
        let first = json!({"open_path": "atomic", "name_check": "none", "stale_retries": 0});
        assert_eq!(
            answer(&outcome(vec![first])).unwrap(),
            "no file was opened again"
        );
    }
}
