//! A comparison as one JSON object (docs/diff.schema.json). Pure.

use std::collections::BTreeSet;

use serde::Serialize;
use serde_json::Serializer;

use super::{
    answer::{Answer, Part},
    compare::{Change, Comparison, Counts, Run, Verdict},
    conclude::conclusion,
    side::Side,
};
use crate::render::json::Shown;

/// The whole document.
#[derive(Debug, Serialize)]
struct Document<'a> {
    version: &'static str,
    verdict: Verdict,
    conclusion: String,
    counts: Counts,
    before: Recording<'a>,
    after: Recording<'a>,
    opens: Vec<Opens<'a>>,
}

/// One recording.
#[derive(Debug, Serialize)]
struct Recording<'a> {
    file: &'a str,
    kernel: &'a str,
    nfs_versions: &'a BTreeSet<String>,
    opens: u64,
    doubts: &'a [String],
}

/// A group.
#[derive(Debug, Serialize)]
struct Opens<'a> {
    mount: Option<&'a str>,
    path: Option<&'a str>,
    comm: &'a str,
    count: u64,
    change: Change,
    differs: Vec<Part>,
    before: Option<Made<'a>>,
    after: Option<Made<'a>>,
}

/// A group on one side: what was made of it.
#[derive(Debug, Serialize)]
struct Made<'a> {
    first: u64,
    flags: Option<&'a str>,
    #[serde(flatten)]
    answer: Answer,
}

/// The document, in one line. `files`: what the recordings are called; `all`: with what is the
/// same.
///
/// # Errors
/// None that would be known.
pub(super) fn json(
    comparison: &Comparison,
    sides: &[Side; 2],
    files: [&str; 2],
    all: bool,
) -> serde_json::Result<Vec<u8>> {
    let recording = |index: usize| Recording {
        file: files[index],
        kernel: &sides[index].kernel,
        nfs_versions: &sides[index].versions,
        opens: sides[index].opens(),
        doubts: &comparison.doubts[index],
    };
    let mut opens = Vec::new();
    for name in &comparison.names {
        for group in &name.groups {
            if group.change == Change::Same && !all {
                continue;
            }
            let differs = group.both().map(|(before, after)| {
                let parts = Part::ALL.into_iter();
                parts.filter(|part| before.differs(after, *part)).collect()
            });
            opens.push(Opens {
                mount: name.key.mount.as_deref(),
                path: name.key.path.as_deref(),
                comm: &name.key.comm,
                count: group.count,
                change: group.change,
                differs: differs.unwrap_or_default(),
                before: group.before.as_ref().map(side),
                after: group.after.as_ref().map(side),
            });
        }
    }
    let document = Document {
        version: env!("CARGO_PKG_VERSION"),
        verdict: comparison.verdict(),
        conclusion: conclusion(comparison),
        counts: comparison.counts,
        before: recording(0),
        after: recording(1),
        opens,
    };
    let mut bytes = Vec::new();
    document.serialize(&mut Serializer::with_formatter(&mut bytes, Shown))?;
    bytes.push(b'\n');
    Ok(bytes)
}

fn side(run: &Run) -> Made<'_> {
    Made {
        first: run.first,
        flags: run.open.flags.as_deref(),
        answer: run.open.answer,
    }
}
