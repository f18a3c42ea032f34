//! `report --csv`: a line for each open, for spreadsheets and data frames.

use std::{cell::RefCell, io::Write, rc::Rc};

use super::{
    analysis::{Analysis, Proof},
    name::When,
};
use crate::{
    mounts::Mount, notice::Notice, render::Render, row::Row, session::Session, summary::Summary,
    trace::OpenPath,
};

/// The columns; those of the JSON line of type `open` have its names.
pub const COLUMNS: [&str; 25] = [
    "time",
    "ts_ns",
    "pid",
    "tid",
    "comm",
    "mount",
    "path",
    "dev",
    "fileid",
    "dentry",
    "nfs_version",
    "flags",
    "name_check",
    "open_path",
    "claim",
    "stale_retries",
    "rpc_open",
    "rpc_lookup",
    "result",
    "latency_ns",
    "gaps",
    "proved_stale",
    "named_fileid",
    "changed_after_ns",
    "changed_before_ns",
];

/// Writes rows, with what an analysis of the whole recording has proved of them.
pub struct Csv<W: Write> {
    out: csv::Writer<W>,
    analysis: Rc<RefCell<Analysis>>,
}

impl<W: Write> Csv<W> {
    /// `analysis`: of the same recording, to its end.
    pub fn new(out: W, analysis: Rc<RefCell<Analysis>>) -> Self {
        Self {
            out: csv::Writer::from_writer(out),
            analysis,
        }
    }
}

impl<W: Write> Render for Csv<W> {
    fn start(&mut self, _session: &Session) -> std::io::Result<()> {
        Ok(self.out.write_record(COLUMNS)?)
    }

    fn row(&mut self, row: &Row) -> std::io::Result<()> {
        Ok(self.out.write_record(cells(row, None))?)
    }

    fn path(&mut self, path: &OpenPath, row: &Row, mount: Option<&Mount>) -> std::io::Result<()> {
        let analysis = self.analysis.borrow();
        let cells = cells(row, analysis.proof(path, mount));
        Ok(self.out.write_record(cells)?)
    }

    fn notice(&mut self, notice: &Notice<'_>) -> std::io::Result<()> {
        if let crate::notice::What::Gone { .. } = notice.what {
            self.analysis.borrow_mut().next_epoch();
        }
        Ok(())
    }

    fn end(&mut self, _summary: &Summary) -> std::io::Result<()> {
        Ok(())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.out.flush()
    }
}

fn cells(row: &Row, proof: Option<Proof<'_>>) -> [String; COLUMNS.len()] {
    let gaps: Vec<String> = row.gaps.iter().map(word).collect();
    let change = proof.map(|proof| proof.change);
    [
        row.time().to_string(),
        row.ts_ns.to_string(),
        row.pid.to_string(),
        row.tid.to_string(),
        text(&row.comm),
        row.mount.as_deref().map(text).unwrap_or_default(),
        row.path.as_deref().map(text).unwrap_or_default(),
        number(row.dev),
        number(row.fileid),
        number(row.dentry),
        row.nfs_version.as_deref().map(text).unwrap_or_default(),
        number(row.flags),
        row.name_check.word().to_owned(),
        row.open_path.word().to_owned(),
        row.claim.unwrap_or_default().to_owned(),
        row.stale_retries.to_string(),
        number(row.rpcs.open),
        number(row.rpcs.lookup),
        number(row.result),
        row.latency_ns.to_string(),
        gaps.join(" "),
        match proof.map(|proof| proof.when) {
            Some(When::Between) => "between".into(),
            Some(When::Afterwards) => "afterwards".into(),
            None => String::new(),
        },
        number(change.and_then(|it| it.new)),
        number(
            change
                .and_then(|it| it.after.as_ref())
                .map(|it| it.sent.ts_ns),
        ),
        number(change.map(|it| it.before.replied.ts_ns)),
    ]
}

fn number<T: ToString>(number: Option<T>) -> String {
    number.map(|it| it.to_string()).unwrap_or_default()
}

/// Its JSON word.
fn word(gap: &impl serde::Serialize) -> String {
    let word = serde_json::to_value(gap).ok();
    word.and_then(|it| it.as_str().map(str::to_owned))
        .unwrap_or_default()
}

/// A name as a cell. Spreadsheets take text that begins like this for a formula, whatever quotes
/// are around it: an apostrophe in front makes it text.
fn text(name: &str) -> String {
    if name.starts_with(['=', '+', '-', '@', '\'']) {
        format!("'{name}")
    } else {
        name.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_name_is_a_formula() {
        for name in ["=1+1", "+1", "-1", "@SUM(A1)", "'quoted"] {
            assert_eq!(text(name), format!("'{name}"));
        }
        assert_eq!(text("a=b, \"c\""), "a=b, \"c\"");
    }
}
