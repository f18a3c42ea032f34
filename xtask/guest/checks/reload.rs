//! The developer's loop: one trace all the time, while the client's modules are unloaded and
//! others are loaded.

use std::{
    fs::{self, File},
    path::Path,
    thread,
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use lab_contract::protocol::{NfsVersion, SWAP_PATH};
use rustix::process::Signal;

use super::{
    Held,
    ground::{Ground, mount_both, processes, read, wait_for},
    held, kernel, metrics,
    modules::{is_module, load, unload_all},
    record::{difference, replay},
    tool::{Report, Tool},
};
use crate::{boot, client, tracer};

/// Reopens in each round.
const REOPENS: [u64; 4] = [3, 5, 7, 11];
/// Every trace is attached: the command may go on.
const ALL_READY: &str = "/tmp/wait-module.ready";
const MOUNTED: &str = "/tmp/wait-module.mounted";
const STOPPED: &str = "/tmp/wait-module.stopped";
const COUNTED: &str = "/tmp/wait-module.prom";
const COUNTED_TOO: &str = "/tmp/wait-module-recorded.prom";
const RECORDING: &str = "/tmp/wait-module.nfst";
/// A trace knows of a mount that long after it was made.
const HEARD_WITHIN: Duration = Duration::from_secs(2);
const READY_WITHIN: Duration = Duration::from_secs(60);
const STOCK: &str = "wire";
const WITHOUT: &str = "cached";

pub(super) fn swap(ground: &Ground) -> Result<Held> {
    if !Path::new(SWAP_PATH).exists() {
        return Ok(Held::Skipped(
            "needs the stock client, and a kernel that has a client without-be189f7e \
             (xtask/patches)"
                .into(),
        ));
    }
    let mut took = Vec::new();
    let recording = "/tmp/module-swap.nfst";
    let tool = Tool::armed(&["--format", "json", "--record", recording])?;
    // Over v4.0, and so that each round is like the others.
    change(STOCK)?;
    let mut words = vec![STOCK];
    round(ground, &tool, 0, 1)?;
    for (index, word) in (1..).zip([WITHOUT, STOCK, WITHOUT]) {
        change(word)?;
        round(ground, &tool, index, index + 1)?;
        words.push(word);
    }
    let traced = tool.stop()?;
    traced.expect(0)?;
    took.extend(judge(&traced.report()?, &words)?);
    let replayed = replay(recording)?;
    replayed.expect(0)?;
    ensure!(
        replayed.out == traced.out,
        "replay prints something else: {}",
        difference(&replayed.out, &traced.out)
    );

    let mut transports = "the transport asked for";
    if tracer::transport().is_none() {
        transports = "both transports";
        let tool = Tool::armed(&["--format", "json", "--transport", "perf"])?;
        change(STOCK)?;
        round(ground, &tool, 0, 1)?;
        change(WITHOUT)?;
        round(ground, &tool, 1, 2)?;
        let report = tool.report()?;
        ensure!(report.start["transport"] == "perf", "{}", report.start);
        took.extend(judge(&report, &[STOCK, WITHOUT])?);
    }
    unload_all()?;
    ["nfs", "nfsv4"].into_iter().try_for_each(load)?;
    mount_both(NfsVersion::V41)?;
    held(format!(
        "{} changes of modules, {transports}: {STOCK} and {WITHOUT} by turns, nothing lost, \
         replayed the same, attached again after {took:?} ms",
        took.len()
    ))
}

/// Unmounts, unloads the modules that are there, whoever traces them, and loads those that give
/// this word.
fn change(word: &str) -> Result<()> {
    unload_all()?;
    for name in ["nfs", "nfsv4"] {
        if word == STOCK {
            load(name)?;
        } else {
            boot::load_module(&format!("{SWAP_PATH}/{name}.ko"))?;
        }
    }
    Ok(())
}

/// Mounts when all is attached, holds a file open, and has it opened again.
fn round(ground: &Ground, tool: &Tool, index: usize, attached: usize) -> Result<()> {
    tool.wait_said("attached again after ", attached)?;
    mount_both(NfsVersion::V40)?;
    let name = format!("round{index}");
    if !ground.server.join(&name).exists() {
        ground.file(&name)?;
    }
    let path = ground.name(&name);
    let _held = File::open(&path).with_context(|| format!("open {path}"))?;
    read("alpha", REOPENS[index], &path)
}

/// Every round's opens are there, complete, and of the round's word; returns what it took to
/// attach again.
fn judge(report: &Report, words: &[&str]) -> Result<Vec<u64>> {
    let rounds = words.len();
    let reopens: u64 = REOPENS[..rounds].iter().sum();
    report.expect(rounds + reopens as usize)?;
    for (index, word) in words.iter().enumerate() {
        let path = format!("module-swap/round{index}");
        let reopened = report.rows.iter().filter(|row| row["comm"] == "alpha");
        let found: Vec<_> = reopened
            .filter(|row| row["path"] == path)
            .map(|row| &row["open_path"])
            .collect();
        ensure!(
            found.len() as u64 == REOPENS[index] && found.iter().all(|it| *it == word),
            "round {index}, which is to be {word}: {found:?}"
        );
    }
    let events: Vec<_> = report.modules.iter().map(|it| &it["event"]).collect();
    ensure!(
        events.len() == 2 * rounds && events.chunks(2).all(|pair| pair == ["gone", "attached"]),
        "{events:?}"
    );
    let back = report.modules.iter().filter(|it| it["event"] == "attached");
    let took: Vec<u64> = back.filter_map(|it| it["unseen_ms"].as_u64()).collect();
    let reloads = &report.end["reloads"];
    ensure!(
        reloads["gone"] == rounds
            && reloads["attached"] == rounds
            && reloads["unseen_ms"] == took.iter().sum::<u64>(),
        "{reloads} of {took:?}"
    );
    Ok(took)
}

pub(super) fn wait_module(ground: &Ground) -> Result<Held> {
    if !is_module("nfsv4")? {
        return Ok(Held::Skipped("the client is built into this kernel".into()));
    }
    ground.file("a")?;
    // Where they are there, there is nothing to wait for.
    let tool = Tool::armed(&["--wait-module", "--format", "json"])?;
    ground.opens("alpha", 3, "a")?;
    tool.report()?.expect(3)?;

    unload_all()?;
    let waits = "(module nfs, nfsv4): waiting until it is";
    Tool::run(&["trace", "--wait-module", "--mount", "/nonexistent"])?
        .refuses(64, &["--mount", "/nonexistent"])?;
    let none = Tool::start(&["trace", "--wait-module", "--", "sleep", "1000"])?;
    none.wait_said(waits, 1)?;
    let began = processes(&["sleep", "1000"])?;
    ensure!(began.is_empty(), "the command began before: {began:?}");
    let ended = none.stop()?;
    ended.expect(1)?;
    ensure!(
        ended.err.contains("the command was not run"),
        "{}",
        ended.err
    );
    let asked = Tool::start(&["trace", "--wait-module", "--format", "json"])?;
    asked.wait_said(waits, 1)?;
    let ended = asked.stop()?;
    ended.expect(0)?;
    ensure!(ended.out.is_empty(), "rows of what? {}", ended.out);

    let name = ground.name("a");
    let early = |arguments: &[&str]| {
        Tool::spawn(&["trace"], |command, ready| {
            command.args(["--wait-module", "--format", "json", "--ready-file"]);
            command.arg(ready).args(arguments);
            Ok(())
        })
    };
    let every = ["--metrics-every", "1s"];
    let mounted = early(&[&["--mount", "/mnt", "--metrics", COUNTED][..], &every].concat())?;
    let recorder = Tool::spawn(&["record"], |command, ready| {
        let files = ["-o", RECORDING, "--metrics", COUNTED_TOO, "--ready-file"];
        command.arg("--wait-module").args(files).arg(ready);
        command.args(every);
        Ok(())
    })?;
    // A command that mounts by itself, as the developer's script does, and unmounts at once.
    let script = format!(
        "until [ -e {ALL_READY} ]; do sleep 0.1; done; \
         mount.nfs4 127.0.0.1:/ {mount} -o vers=4.1,sec=sys && echo > {MOUNTED}; \
         until [ -e {STOPPED} ]; do sleep 0.1; done; cat {name} && umount {mount}",
        mount = client::MOUNT
    );
    let rows = "/tmp/wait-module.json";
    let command = early(&["-o", rows, "--", "sh", "-c", &script])?;
    for tool in [&mounted, &command, &recorder] {
        tool.wait_said(waits, 1)?;
        ensure!(!tool.is_ready(), "ready before there is anything to trace");
    }
    for file in [COUNTED, COUNTED_TOO] {
        says_nothing_yet(file)?;
    }
    load("nfs")?;
    kernel::nothing_left().context("with half of the client there")?;
    load("nfsv4")?;
    for tool in [&mounted, &command, &recorder] {
        wait_for("attached", READY_WITHIN, || Ok(tool.is_ready()))?;
    }
    for file in [COUNTED, COUNTED_TOO] {
        let text = metrics::text(file)?;
        ensure!(
            metrics::value(&text, "nfs_trace_attached")? == 1.0,
            "{text}"
        );
    }
    fs::write(ALL_READY, "")?;
    wait_for("mounted", READY_WITHIN, || Ok(Path::new(MOUNTED).exists()))?;
    // One of them shows the open only when the mount is gone.
    thread::sleep(HEARD_WITHIN);
    mounted.signal(Signal::STOP)?;
    fs::write(STOPPED, "")?;
    command.end()?.expect(0)?;
    mounted.signal(Signal::CONT)?;
    let report = Report::parse(&fs::read_to_string(rows).context("read the rows")?)?;
    report.expect(1)?;
    ensure!(
        report.rows[0]["mount"] == client::MOUNT,
        "{}",
        report.rows[0]
    );
    mount_both(NfsVersion::V41)?;
    read("alpha", 5, &ground.other.join("a").display().to_string())?;
    read("alpha", 7, &name)?;
    let report = mounted.report()?;
    ensure!(report.number("/hidden")? == 5, "{}", report.end);
    // The command's open is on that mount too.
    report.expect(8)?;
    let known = report.count(|row| row["mount"] == client::MOUNT);
    ensure!(known == 8, "only {known} on a known mount");
    ensure!(report.modules.is_empty(), "{:?}", report.modules);
    recorder.stop()?.expect(0)?;
    let recorded = replay(RECORDING)?.report()?;
    recorded.expect(1 + 5 + 7)?;
    for (file, rows) in [(COUNTED, 8), (COUNTED_TOO, 13)] {
        let opens = metrics::opens(&metrics::text(file)?)?;
        ensure!(opens == rows, "{file}: {opens} opens instead of {rows}");
    }
    held(
        "waits, and says so, its metrics too; a mount and a command that come later are traced \
         and recorded from their first open",
    )
}

/// Metrics are there before there is anything to count, say so, and are written again and again.
fn says_nothing_yet(file: &str) -> Result<()> {
    let stamp = |text: &str| metrics::value(text, "nfs_trace_last_write_timestamp_seconds");
    let text = metrics::text(file)?;
    ensure!(
        metrics::value(&text, "nfs_trace_attached")? == 0.0,
        "{text}"
    );
    ensure!(metrics::opens(&text)? == 0, "{text}");
    ensure!(!text.contains("nfs_trace_info"), "of what? {text}");
    let first = stamp(&text)?;
    wait_for("metrics written again", READY_WITHIN, || {
        Ok(stamp(&metrics::text(file)?)? > first)
    })
}
