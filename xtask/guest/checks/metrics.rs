//! `--metrics FILE`: what Prometheus is told is what the rows say, whole at any moment, and for
//! everybody to read.

use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::PermissionsExt as _,
    path::Path,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use rustix::fs::Mode;
use serde_json::Value;

use super::{
    Held,
    ground::{Ground, read, wait_for},
    held,
    tool::Tool,
};
use crate::workload;

const FOLDER: &str = "/tmp/metrics";
/// Opens of `rename-over` together with the held one; of a file on each mount.
const RENAME_OVER: u64 = 12;
const HERE: u64 = 17;
const THERE: u64 = 5;
const ALL: u64 = RENAME_OVER + HERE + THERE;
/// The last metric of the file: whoever reads it has read all.
const LAST: &str = "\nnfs_trace_unseen_seconds_total ";
/// It is written every second.
const WRITTEN_WITHIN: Duration = Duration::from_secs(15);

pub(super) fn metrics(ground: &Ground) -> Result<Held> {
    fs::create_dir(FOLDER).context("create a folder")?;
    let at = |name: &str| format!("{FOLDER}/{name}.prom");
    let (beside, recorded) = (at("trace"), at("record"));
    workload::prepare("rename-over", &ground.server, &ground.client)?;
    ground.file("a")?;
    let every = ["--metrics-every", "1s"];
    let json = ["--format", "json", "--metrics", &beside];
    // As under a service manager that lets nobody else read what a service makes.
    let mask = rustix::process::umask(Mode::from_raw_mode(0o077));
    let tool = Tool::armed(&[&json[..], &every].concat());
    rustix::process::umask(mask);
    let tool = tool?;
    let recording = format!("{FOLDER}/trace.nfst");
    let record = ["-o", &recording, "--metrics", &recorded];
    let record = Tool::recording(&[&record[..], &every].concat())?;
    for file in [&beside, &recorded] {
        let text = text(file)?;
        // Mounts that nothing was opened on yet are there, with zeros.
        ensure!(value(&text, "nfs_trace_attached")? == 1.0, "{text}");
        for mount in ["/mnt", "/other"] {
            let none = format!("nfs_trace_opens_total{{mount=\"{mount}\",");
            let zeros = text.lines().filter(|line| line.starts_with(&none));
            let zeros = zeros.filter(|line| line.ends_with(" 0")).count();
            ensure!(zeros == 6, "{mount}: {zeros} zeros: {text}");
        }
    }
    let over = AtomicBool::new(false);
    let reads = thread::scope(|scope| {
        let reader = scope.spawn(|| read_on(&beside, &over));
        let opened = opened(ground).and_then(|()| {
            wait_for("all opens are counted", WRITTEN_WITHIN, || {
                Ok(opens(&text(&beside)?)? == ALL && opens(&text(&recorded)?)? == ALL)
            })
        });
        over.store(true, Ordering::Relaxed);
        let reads = reader.join();
        opened?;
        reads.unwrap_or_else(|_| anyhow::bail!("reading panicked"))
    })?;
    // Written again, though nothing happens.
    let stamp = |text: &str| value(text, "nfs_trace_last_write_timestamp_seconds");
    let before = stamp(&text(&beside)?)?;
    wait_for("written again", WRITTEN_WITHIN, || {
        Ok(stamp(&text(&beside)?)? > before)
    })?;
    let ended = tool.stop()?;
    ended.expect(0)?;
    record.stop()?.expect(0)?;

    let report = ended.report()?;
    report.expect(ALL as usize)?;
    let expected = expected(&report.rows)?;
    for file in [&beside, &recorded] {
        let text = text(file)?;
        for line in &expected {
            ensure!(text.contains(line), "no {line} in {file}: {text}");
        }
        ensure!(opens(&text)? == ALL, "{file}: {text}");
        ensure!(value(&text, "nfs_trace_attached")? == 0.0, "{text}");
        let lost = text
            .lines()
            .filter(|line| line.starts_with("nfs_trace_lost_total"));
        let lost: Vec<&str> = lost.filter(|line| !line.ends_with(" 0")).collect();
        ensure!(lost.is_empty(), "{lost:?}");
        let mode = fs::metadata(file)?.permissions().mode() & 0o777;
        ensure!(mode == 0o644, "{file} has mode {mode:o}");
    }
    let left: Vec<_> = fs::read_dir(FOLDER)?
        .flatten()
        .map(|it| it.file_name())
        .collect();
    ensure!(left.len() == 3, "left behind: {left:?}");
    let nowhere = "/nonexistent/a.prom";
    Tool::run(&["trace", "--metrics", nowhere])?.refuses(1, &[nowhere, "No such file"])?;
    ensure!(!Path::new("/nonexistent").exists(), "made a folder");
    held(format!(
        "{ALL} opens in {} series as in the rows, {reads} whole files read meanwhile",
        expected.len()
    ))
}

fn opened(ground: &Ground) -> Result<()> {
    ground.rename_over()?;
    ground.opens("alpha", HERE, "a")?;
    let there = ground.other.join("a").display().to_string();
    read("beta", THERE, &there)
}

/// Reads the file until it is `over`; each time it must be whole. Returns how often.
fn read_on(file: &str, over: &AtomicBool) -> Result<u64> {
    let mut reads = 0;
    while !over.load(Ordering::Relaxed) {
        text(file)?;
        reads += 1;
        thread::sleep(Duration::from_millis(5));
    }
    Ok(reads)
}

/// The whole file.
pub(super) fn text(file: &str) -> Result<String> {
    let text = fs::read_to_string(file).with_context(|| format!("read {file}"))?;
    let last = text.rsplit_once(LAST).map(|(_, last)| last);
    let is_whole = last.is_some_and(|last| last.ends_with('\n') && last.lines().count() == 1);
    ensure!(is_whole, "{file} is not whole: {text}");
    Ok(text)
}

/// The number of a metric without labels.
pub(super) fn value(text: &str, metric: &str) -> Result<f64> {
    let mut lines = text.lines();
    let value = lines.find_map(|line| line.strip_prefix(metric)?.strip_prefix(' '));
    let value = value.with_context(|| format!("find {metric} in {text}"))?;
    value
        .parse()
        .with_context(|| format!("read {metric}: {value}"))
}

/// Opens of all series.
pub(super) fn opens(text: &str) -> Result<u64> {
    let lines = text
        .lines()
        .filter(|line| line.starts_with("nfs_trace_opens_total{"));
    lines
        .map(|line| {
            let (_, count) = line.rsplit_once(' ').context("find a count")?;
            count.parse::<u64>().with_context(|| format!("read {line}"))
        })
        .sum()
}

/// The lines that follow from the rows.
fn expected(rows: &[Value]) -> Result<Vec<String>> {
    let mut opens: BTreeMap<String, u64> = BTreeMap::new();
    let mut others: BTreeMap<String, u64> = BTreeMap::new();
    for row in rows {
        let word = |key: &str| {
            let word = row[key].as_str();
            word.with_context(|| format!("find {key} in {row}"))
        };
        let place = format!(
            "mount=\"{}\",nfs_version=\"{}\"",
            word("mount")?,
            word("nfs_version")?
        );
        let series = format!("{{{place},open_path=\"{}\"}}", word("open_path")?);
        *opens.entry(series).or_default() += 1;
        let retries = row["stale_retries"].as_u64().context("find the retries")?;
        *others
            .entry(format!("nfs_trace_stale_retries_total{{{place}}}"))
            .or_default() += retries;
        *others
            .entry(format!("nfs_trace_incomplete_opens_total{{{place}}}"))
            .or_default() += u64::from(row["complete"] != true);
    }
    let opens = opens
        .into_iter()
        .map(|(series, count)| (format!("nfs_trace_opens_total{series}"), count));
    let lines = opens.chain(others);
    Ok(lines
        .map(|(series, count)| format!("\n{series} {count}\n"))
        .collect())
}
