//! Recordings: traced and recorded at the same time, a replay shows what the trace did.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::Path,
    process::{Command, Stdio},
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use lab_contract::protocol::TRACER_PATH;
use serde_json::Value;

use super::{
    Held,
    ground::{Ground, wait_for},
    held,
    tool::{Ended, Tool},
};
use crate::workload;

/// Opens of `rename-over` together with the held one.
const RENAME_OVER: usize = 12;
/// Opens before the recording is copied, and after.
const BEFORE: u64 = 17;
const AFTER: u64 = 13;
/// Opens by which the cost is compared.
const MANY: u64 = 2_000;
const ALL: usize = RENAME_OVER + (BEFORE + AFTER + MANY) as usize;
/// What a record has cost is written within this time.
const WRITTEN_WITHIN: Duration = Duration::from_secs(10);

pub(super) fn record(ground: &Ground) -> Result<Held> {
    let at = |name: &str| format!("/tmp/record-{name}.nfst");
    let (beside, alone) = (at("beside"), at("alone"));
    workload::prepare("rename-over", &ground.server, &ground.client)?;
    ground.file("a")?;
    let json = ["--format", "json", "--mount", "/mnt"];
    let traced = Tool::armed(&[&json[..], &["--record", &beside]].concat())?;
    let recorded = Tool::recording(&["-o", &alone, "--mount", "/mnt"])?;
    let text = Tool::armed(&["--mount", "/mnt"])?;

    ground.rename_over()?;
    ground.opens("alpha", BEFORE, "a")?;
    let copies = copies(&alone, RENAME_OVER + BEFORE as usize)?;
    ground.opens("beta", AFTER, "a")?;
    let cost = |tool: &Tool| Ok::<_, anyhow::Error>((tool.cpu_time()?, tool.written()?));
    let before = (cost(&recorded)?, cost(&text)?);
    ground.opens("alpha", MANY, "a")?;
    wait_for("all was written", WRITTEN_WITHIN, || {
        Ok(replay(&alone)?.rows().len() == ALL)
    })?;
    let since =
        |now: (Duration, u64), before: (Duration, u64)| (now.0 - before.0, now.1 - before.1);
    let of_recording = since(cost(&recorded)?, before.0);
    let of_text = since(cost(&text)?, before.1);
    let (traced, recorded) = (traced.stop()?, recorded.stop()?);
    for ended in [&traced, &recorded, &text.stop()?] {
        ended.expect(0)?;
    }
    ensure!(
        recorded.err.contains("nothing lost") && recorded.out.is_empty(),
        "it said: {} {}",
        recorded.err,
        recorded.out
    );

    // Of the same records: the same bytes.
    let shown = traced.report()?;
    shown.expect(ALL)?;
    let replayed = replay(&beside)?;
    replayed.expect(0)?;
    ensure!(
        replayed.out == traced.out,
        "replay prints something else: {}",
        difference(&replayed.out, &traced.out)
    );
    // Of another instance's: the same but for the times.
    let other = replay(&alone)?;
    other.expect(0)?;
    let other_report = other.report()?;
    other_report.expect(ALL)?;
    for (one, other) in shown.rows.iter().zip(&other_report.rows) {
        ensure!(seen(one) == seen(other), "{one} and {other}");
    }
    for key in ["opens", "by_open_path", "by_name_check", "events", "lost"] {
        ensure!(
            shown.end[key] == other_report.end[key],
            "{key}: {} and {}",
            shown.end,
            other_report.end
        );
    }

    copies.are_parts_of(&other)?;
    refusals(&alone)?;
    through_a_pipe(ground)?;
    let size = fs::metadata(&alone).context("look at the recording")?.len();
    held(format!(
        "{ALL} equal rows in {size} bytes; for {MANY} opens record was on a processor for {} ms \
         and wrote {} bytes, trace as text {} ms and {} bytes",
        of_recording.0.as_millis(),
        of_recording.1,
        of_text.0.as_millis(),
        of_text.1
    ))
}

/// A row without what differs from one instance to another: times, and numbers of dentries.
fn seen(row: &Value) -> Vec<String> {
    let keys = [
        "pid",
        "tid",
        "comm",
        "mount",
        "path",
        "dev",
        "fileid",
        "nfs_version",
        "flags",
        "name_check",
        "open_path",
        "claim",
        "stale_retries",
        "rpcs",
        "result",
        "complete",
    ];
    let mut seen: Vec<String> = keys.iter().map(|key| row[*key].to_string()).collect();
    for step in row["steps"].as_array().into_iter().flatten() {
        seen.push(format!(
            "{} {} {}",
            step["step"], step["walk"], step["meaning"]
        ));
    }
    seen
}

pub(super) fn difference(one: &str, other: &str) -> String {
    let lines = one.lines().zip(other.lines());
    let first = lines.into_iter().find(|(one, other)| one != other);
    format!(
        "{first:?}, {} and {} lines",
        one.lines().count(),
        other.lines().count()
    )
}

pub(super) fn replay(file: &str) -> Result<Ended> {
    Tool::run(&["replay", file, "--format", "json"])
}

/// Copies of a recording that is being written.
struct Copies {
    whole: String,
    cut: String,
}

/// Taken when so many rows are in it.
fn copies(file: &str, rows: usize) -> Result<Copies> {
    wait_for("the recording is readable", WRITTEN_WITHIN, || {
        Ok(replay(file)?.rows().len() == rows)
    })?;
    let bytes = fs::read(file).with_context(|| format!("read {file}"))?;
    let copies = Copies {
        whole: "/tmp/record-copy.nfst".into(),
        cut: "/tmp/record-cut.nfst".into(),
    };
    fs::write(&copies.whole, &bytes).context("copy the recording")?;
    fs::write(&copies.cut, &bytes[..bytes.len() - 5]).context("copy the recording")?;
    Ok(copies)
}

impl Copies {
    /// They show the first rows of the whole, and say that there is more. An open whose end is
    /// in the block that is cut shows as incomplete.
    fn are_parts_of(&self, whole: &Ended) -> Result<()> {
        let rows = whole.rows();
        for (file, words) in [
            (&self.whole, &["has no end"][..]),
            (&self.cut, &["has no end", "ends inside a block"]),
        ] {
            let ended = replay(file)?;
            ended.expect(1)?;
            for word in words {
                ensure!(ended.err.contains(word), "no `{word}` in {}", ended.err);
            }
            let report = ended.report()?;
            ensure!(report.end["unread"]["no_end"] == true, "{}", report.end);
            let (shown, cut): (Vec<&str>, Vec<&str>) = ended
                .rows()
                .into_iter()
                .partition(|row| row.contains("\"complete\":true"));
            ensure!(cut.len() <= 1, "{} incomplete rows: {cut:?}", cut.len());
            ensure!(
                !shown.is_empty() && rows.starts_with(&shown),
                "{} rows of {}: {:?}",
                shown.len(),
                rows.len(),
                shown.last()
            );
        }
        Ok(())
    }
}

fn refusals(file: &str) -> Result<()> {
    let mode = fs::metadata(file)
        .context("look at the recording")?
        .permissions()
        .mode();
    ensure!(mode & 0o777 == 0o600, "mode {mode:o}");
    Tool::run(&["record", "-o", file])?.refuses(1, &[file, "exists"])?;
    Tool::run(&["record", "-o", "/nonexistent/trace.nfst"])?
        .refuses(1, &["/nonexistent/trace.nfst", "No such file"])?;
    Tool::run(&["record", "-o", "/tmp/never.nfst", "--mount", "/tmp"])?
        .refuses(64, &["--mount"])?;
    ensure!(
        !Path::new("/tmp/never.nfst").exists(),
        "made though refused"
    );
    Ok(())
}

/// `record -o - -- COMMAND | replay -`: what the command prints is not in the recording.
fn through_a_pipe(ground: &Ground) -> Result<()> {
    let ready = "/tmp/record-pipe.ready";
    let script = format!(
        "{TRACER_PATH} record -o - --ready-file {ready} --mount /mnt -- \
         sh -c 'cat {0} {0} {0}' | {TRACER_PATH} replay - --format json",
        ground.name("a")
    );
    let output = Command::new("sh")
        .args(["-c", &script])
        .stdin(Stdio::null())
        .output()
        .context("run a pipe")?;
    let ended = Ended {
        status: output.status.code().unwrap_or(-1),
        out: String::from_utf8_lossy(&output.stdout).into_owned(),
        err: String::from_utf8_lossy(&output.stderr).into_owned(),
    };
    ended.expect(0)?;
    ensure!(ended.err.contains("old\nold\nold\n"), "{}", ended.err);
    ended.report()?.expect(3)
}
