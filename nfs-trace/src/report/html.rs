//! `report --html`: one page with everything in it, which fetches nothing.

use std::{
    collections::HashMap,
    io::{self, Write},
};

use serde::Serialize;
use serde_json::{Value, json};

use super::{
    kept::Kept,
    model::{Name, Report},
    name::{When, verdict},
};
use crate::{
    names::{is_obeyed, tame},
    render::json::write_line,
    row::{Row, StepRow},
    trace::{Gap, NameCheck, PathWord},
};

const PAGE: &str = include_str!("page/page.html");
const CSS: &str = include_str!("page/page.css");
const JS: [&str; 4] = [
    include_str!("page/base.js"),
    include_str!("page/timeline.js"),
    include_str!("page/sequence.js"),
    include_str!("page/main.js"),
];
/// Integers up to here are exact in JavaScript.
const EXACT: u64 = 1 << 53;

/// What the page's script reads.
#[derive(Serialize)]
struct Data<'a> {
    report: Value,
    /// Opens that there were.
    all: u64,
    /// Those that are in the page, by time.
    opens: Vec<Open<'a>>,
}

#[derive(Serialize)]
struct Open<'a> {
    /// Of the report's names.
    name: usize,
    /// ns since the first open.
    at: i64,
    took: u64,
    pid: u32,
    comm: &'a str,
    word: PathWord,
    check: NameCheck,
    #[serde(skip_serializing_if = "Option::is_none")]
    claim: Option<&'a str>,
    file: Option<String>,
    result: Option<i32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    flags: Option<String>,
    #[serde(skip_serializing_if = "is_zero")]
    retries: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    stale: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    gaps: Option<&'a [Gap]>,
    steps: Vec<Value>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it")]
fn is_zero(n: &u32) -> bool {
    *n == 0
}

/// Writes the page.
///
/// # Errors
/// If it cannot be written.
pub fn write(out: &mut dyn Write, report: &Report, kept: &Kept) -> io::Result<()> {
    let names: HashMap<&str, usize> = report
        .names
        .iter()
        .enumerate()
        .map(|(number, name)| (name.path.as_str(), number))
        .collect();
    let begin = report.first.map_or(0, |first| first.ts_ns);
    let rows = kept.rows();
    let opens = rows.into_iter().filter_map(|row| {
        let number = *names.get(row.full_path().as_str())?;
        Some(open(row, number, &report.names[number], begin))
    });
    let opens = opens.collect();
    let mut value = serde_json::to_value(report)?;
    for_the_page(&mut value);
    let data = Data {
        report: value,
        all: report.end.opens,
        opens,
    };
    let mut json = Vec::new();
    write_line(&mut json, &data)?;
    let mut rest = PAGE;
    for (mark, text) in [
        ("@CSS@", CSS),
        ("@DATA@", safe(&String::from_utf8_lossy(&json)).trim_end()),
        ("@JS@", &JS.concat()),
    ] {
        let (before, after) = rest.split_once(mark).unwrap_or((rest, ""));
        out.write_all(before.as_bytes())?;
        out.write_all(text.as_bytes())?;
        rest = after;
    }
    out.write_all(rest.as_bytes())
}

fn open<'a>(row: &'a Row<'_>, number: usize, name: &Name, begin: u64) -> Open<'a> {
    let cached = row.open_path == PathWord::Cached && row.result == Some(0);
    let proof = row
        .fileid
        .filter(|_| cached)
        .and_then(|file| verdict(name.changes.iter(), file, row.ts_ns));
    Open {
        name: number,
        at: row.ts_ns.wrapping_sub(begin).cast_signed(),
        took: row.latency_ns,
        pid: row.pid,
        comm: &row.comm,
        word: row.open_path,
        check: row.name_check,
        claim: row.claim,
        file: row.fileid.map(|id| id.to_string()),
        result: row.result,
        flags: row.flags.map(|flags| flags.to_string()),
        retries: row.stale_retries,
        stale: proof.map(|(_, when)| match when {
            When::Between => "between",
            When::Afterwards => "afterwards",
        }),
        gaps: (!row.gaps.is_empty()).then_some(&*row.gaps),
        steps: row.steps().map(|shown| step(&shown)).collect(),
    }
}

fn step(step: &StepRow) -> Value {
    let StepRow {
        step,
        at_ns,
        took_ns,
        walk,
        claim,
        sent,
        meaning,
        ..
    } = step;
    let walk = walk.map(|walk| match walk {
        "rcu" => "RCU walk",
        "ref" => "ref-walk",
        _ => "LOOKUP_REVAL",
    });
    json!([step, walk, at_ns, took_ns, meaning, sent, claim])
}

/// Numbers that JavaScript would round become text. Text that is no name, and not escaped as one,
/// is escaped: the page shows what JSON has in it.
fn for_the_page(value: &mut Value) {
    match value {
        Value::String(text) if text.contains(is_obeyed) => *text = tame(text),
        Value::Number(number) if number.as_u64().is_some_and(|it| it > EXACT) => {
            *value = Value::String(number.to_string());
        }
        Value::Array(items) => items.iter_mut().for_each(for_the_page),
        Value::Object(fields) => fields.values_mut().for_each(for_the_page),
        _ => {}
    }
}

/// JSON inside a script element: nothing in it ends the element, begins a comment or a line.
/// These characters occur in strings alone.
fn safe(json: &str) -> String {
    let mut text = String::with_capacity(json.len());
    for character in json.chars() {
        match character {
            '<' | '>' | '&' | '\u{2028}' | '\u{2029}' => {
                text.push_str(&format!("\\u{:04x}", u32::from(character)));
            }
            _ => text.push(character),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_name_ends_the_script() {
        let name = "</script><!--&\u{2028}\u{2029}";
        let json = serde_json::to_string(name).expect("JSON");
        let safe = safe(&json);
        assert!(
            !safe.contains(['<', '>', '&', '\u{2028}', '\u{2029}']),
            "{safe}"
        );
        let back: String = serde_json::from_str(&safe).expect("JSON");
        assert_eq!(back, name);
    }

    #[test]
    fn large_numbers_are_not_rounded() {
        let mut value = json!({ "a": [u64::MAX, EXACT, -1] });
        for_the_page(&mut value);
        assert_eq!(value, json!({ "a": [u64::MAX.to_string(), EXACT, -1] }));
    }

    #[test]
    fn the_page_has_its_three_places_and_fetches_nothing() {
        assert_eq!(PAGE.matches('@').count(), 6);
        let all = [PAGE, CSS, &JS.concat()].concat();
        let urls = all.matches("://").count();
        // The name space of SVG.
        assert_eq!(urls, 1);
        assert!(!JS.concat().contains("</"), "it would end its element");
        assert!(!JS.concat().contains("innerHTML"));
    }
}
