//! Reads what `nfs-trace trace --format json` wrote (the contract of its command line) and sums it
//! up, so that an outcome stays small however many opens there were.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result, bail};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::protocol::ROWS_AT_MOST;

/// Rows kept as odd.
const ODD_AT_MOST: usize = 4;

/// OPENs and LOOKUPs that were sent.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rpcs {
    /// OPENs, by name or by file handle.
    pub open: u64,
    /// LOOKUPs.
    pub lookup: u64,
}

/// What one run of nfs-trace reported.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trace {
    /// Rows of opens.
    pub opens: u64,
    /// Rows by what vouched for the file.
    pub by_open_path: BTreeMap<String, u64>,
    /// Rows by what vouched for the name.
    pub by_name_check: BTreeMap<String, u64>,
    /// Sum over the rows.
    pub row_rpcs: Rpcs,
    /// Sum over the rows.
    pub stale_retries: u64,
    /// Rows whose evidence is not complete.
    pub incomplete: u64,
    /// `end.opens`
    pub end_opens: u64,
    /// `end.rpcs`, inside traced open paths.
    pub end_rpcs: Rpcs,
    /// `end.rpcs`, outside any traced open path.
    pub elsewhere: Rpcs,
    /// Every counter below `end.lost` that is not zero.
    pub lost: BTreeMap<String, u64>,
    /// The start line as it came.
    pub start: Value,
    /// The rows as they came, if there are not too many.
    pub rows: Vec<Value>,
    /// The first rows of an open that failed, or whose path or evidence is not whole: what to
    /// look at where there are too many rows and the sums are not as expected.
    pub odd: Vec<Value>,
}

/// Sums up the lines of one run: `start`, `open`*, `end`.
pub fn summarise(json: &str) -> Result<Trace> {
    let mut trace = Trace::default();
    let mut ended = false;
    for (index, line) in json.lines().enumerate() {
        let value: Value = serde_json::from_str(line)
            .with_context(|| format!("read line {} of nfs-trace: `{line}`", index + 1))?;
        match (value["type"].as_str(), index) {
            (Some("start"), 0) => trace.start = value,
            (Some("open"), 1..) if !ended => trace.add(value)?,
            (Some("end"), 1..) if !ended => {
                trace.end(&value)?;
                ended = true;
            }
            (kind, _) => bail!("found line {} of type {kind:?} out of place", index + 1),
        }
    }
    if !ended {
        bail!("nfs-trace wrote no `end` line");
    }
    if trace.opens > ROWS_AT_MOST as u64 {
        trace.rows.clear();
    }
    Ok(trace)
}

impl Trace {
    fn add(&mut self, row: Value) -> Result<()> {
        self.opens += 1;
        *self
            .by_open_path
            .entry(word(&row, "open_path")?)
            .or_default() += 1;
        *self
            .by_name_check
            .entry(word(&row, "name_check")?)
            .or_default() += 1;
        let rpcs = rpcs(&row, "open", "lookup")?;
        self.row_rpcs.open += rpcs.open;
        self.row_rpcs.lookup += rpcs.lookup;
        self.stale_retries += number(&row, "stale_retries")?;
        self.incomplete += u64::from(row["complete"].as_bool() != Some(true));
        let odd = row["complete"].as_bool() != Some(true)
            || matches!(row["open_path"].as_str(), Some("failed" | "unknown"));
        if odd && self.odd.len() < ODD_AT_MOST {
            self.odd.push(row.clone());
        }
        if self.rows.len() <= ROWS_AT_MOST {
            self.rows.push(row);
        }
        Ok(())
    }

    fn end(&mut self, end: &Value) -> Result<()> {
        self.end_opens = number(end, "opens")?;
        self.end_rpcs = rpcs(end, "open", "lookup")?;
        self.elsewhere = rpcs(end, "open_elsewhere", "lookup_elsewhere")?;
        let lost = end
            .get("lost")
            .context("find `lost` in the end line of nfs-trace")?;
        collect_lost("lost", lost, &mut self.lost);
        Ok(())
    }
}

fn rpcs(value: &Value, open: &str, lookup: &str) -> Result<Rpcs> {
    let rpcs = &value["rpcs"];
    Ok(Rpcs {
        open: number(rpcs, open)?,
        lookup: number(rpcs, lookup)?,
    })
}

fn number(value: &Value, key: &str) -> Result<u64> {
    value[key]
        .as_u64()
        .with_context(|| format!("find the number `{key}` in {value}"))
}

fn word(value: &Value, key: &str) -> Result<String> {
    let word = value[key]
        .as_str()
        .with_context(|| format!("find the word `{key}` in {value}"))?;
    Ok(word.to_owned())
}

/// The shape of `lost` is nfs-trace's own business: any number in it that is not zero is a loss.
fn collect_lost(name: &str, value: &Value, lost: &mut BTreeMap<String, u64>) {
    match value {
        Value::Object(fields) => {
            for (key, value) in fields {
                collect_lost(&format!("{name}.{key}"), value, lost);
            }
        }
        Value::Array(items) => items
            .iter()
            .for_each(|value| collect_lost(name, value, lost)),
        _ => {
            if let Some(count) = value.as_u64().filter(|count| *count > 0) {
                *lost.entry(name.to_owned()).or_default() += count;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: &str = r#"{"type":"start","version":"0.1.0"}"#;
    const ROW: &str = r#"{"type":"open","open_path":"wire","name_check":"directory","stale_retries":1,"rpcs":{"open":2,"lookup":1},"complete":true}"#;
    const END: &str = r#"{"type":"end","opens":2,"rpcs":{"open":4,"lookup":2,"open_elsewhere":1,"lookup_elsewhere":3},"lost":{"records":0,"programs":{"file_open":2}}}"#;

    #[test]
    fn rows_are_summed_and_losses_found_at_any_depth() {
        let trace = summarise(&[START, ROW, ROW, END].join("\n")).unwrap();
        assert_eq!(
            (trace.opens, trace.end_opens, trace.stale_retries),
            (2, 2, 2)
        );
        assert_eq!(trace.by_open_path["wire"], 2);
        assert_eq!(trace.row_rpcs, Rpcs { open: 4, lookup: 2 });
        assert_eq!(trace.elsewhere, Rpcs { open: 1, lookup: 3 });
        assert_eq!(
            trace.lost,
            BTreeMap::from([("lost.programs.file_open".to_owned(), 2)])
        );
        assert_eq!((trace.incomplete, trace.rows.len()), (0, 2));
    }

    #[test]
    fn missing_or_misplaced_lines_are_errors() {
        for lines in [
            &[START, ROW][..],
            &[ROW, END],
            &[START, END, ROW],
            &[START, END, END],
            &[],
        ] {
            assert!(summarise(&lines.join("\n")).is_err(), "{lines:?}");
        }
    }

    #[test]
    fn a_row_that_does_not_say_complete_is_incomplete() {
        let row = ROW.replace(r#","complete":true"#, "");
        assert_eq!(
            summarise(&[START, &row, END].join("\n"))
                .unwrap()
                .incomplete,
            1
        );
    }

    #[test]
    fn too_many_rows_are_left_out_but_for_odd_ones() {
        let incomplete = ROW.replace(r#""complete":true"#, r#""complete":false"#);
        let mut lines = vec![START];
        lines.extend(std::iter::repeat_n(ROW, ROWS_AT_MOST));
        lines.extend([&incomplete, END]);
        let trace = summarise(&lines.join("\n")).unwrap();
        assert_eq!(
            (trace.opens, trace.rows.len(), trace.odd.len()),
            (ROWS_AT_MOST as u64 + 1, 0, 1)
        );
    }
}
