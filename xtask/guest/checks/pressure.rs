//! More than nfs-trace can take: what is missing must be counted, and what is shown must be true.

use std::{
    fs,
    process::{Child, Command},
    thread,
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use rustix::process::Signal;
use serde_json::Value;

use super::{
    Held,
    ground::{Ground, processes, program, wait_for},
    held, kernel,
    reader::Gated,
    tool::{Report, Tool},
};
use crate::{boot::command, server::EXPORT};

/// Times that the tool is stopped, with another amount of records before each time's new names.
const ROUNDS: u64 = 16;
/// Opens before the new files of the first round, one more in each: with 200 to 264 bytes each,
/// the buffer is full at another record of the new files in most rounds.
const NEARLY_FULL: u64 = 4;
/// New files, three folders deep, of each round.
const FILES: u64 = 5;
/// Opens at once; a kernel has max(10, 2 * CPUs) instances for each kretprobe.
const TASKS: u64 = 40;

pub(super) fn overload(ground: &Ground) -> Result<Held> {
    let deep = |round: u64, file: u64| format!("r{round}/f{file}/x/leaf");
    ground.file("a")?;
    for round in 0..ROUNDS {
        (0..FILES).try_for_each(|file| ground.file(&deep(round, file)))?;
    }
    let a = ground.name("a");
    let (mut alpha, mut beta) = (Gated::start("alpha")?, Gated::start("beta")?);
    let tool = Tool::armed(&["--format", "json", "--mount", "/mnt", "--buffer", "4"])?;
    alpha.opens(3, &a)?;
    let mut opens = 3;
    for round in 0..ROUNDS {
        tool.signal(Signal::STOP)?;
        let before = NEARLY_FULL + round;
        alpha.opens(before, &a)?;
        for file in 0..FILES {
            beta.opens(1, &ground.name(&deep(round, file)))?;
        }
        alpha.opens(60, &a)?;
        opens += before + FILES + 60;
        tool.signal(Signal::CONT)?;
        // It must have caught up, or the next round has no room from the beginning.
        thread::sleep(Duration::from_millis(200));
    }
    // Now that it keeps up again, every name that was lost is sent again.
    for round in 0..ROUNDS {
        for file in 0..FILES {
            beta.opens(1, &ground.name(&deep(round, file)))?;
            thread::sleep(Duration::from_millis(30));
        }
    }
    alpha.opens(1, &a)?;
    opens += ROUNDS * FILES + 1;
    let report = tool.report()?;

    let lost = report.number("/lost/records")?;
    let incomplete = report.number("/incomplete")?;
    ensure!(
        lost > 0 && incomplete > 0,
        "nothing was lost: {}",
        report.end
    );
    true_as_far_as_shown(&report)?;
    // Every end of an open is a row with a result, or counted as lost.
    let (ended, ends_lost) = ["fopen", "atomic"].iter().try_fold((0, 0), |sum, name| {
        let of = |what| report.number(&format!("/programs/nfst_{name}_out/{what}"));
        Ok::<_, anyhow::Error>((sum.0 + of("hits")?, sum.1 + of("lost")?))
    })?;
    let with_result = report.count(|row| !row["result"].is_null()) as u64;
    ensure!(
        ended == opens && with_result <= ended && ended <= with_result + ends_lost,
        "{opens} opens, {ended} ends, {with_result} rows with a result, {ends_lost} lost"
    );
    let again: Vec<&Value> = report
        .rows
        .iter()
        .filter(|row| row["comm"] == "beta")
        .collect();
    let again = &again[again.len().saturating_sub((ROUNDS * FILES) as usize)..];
    for (index, row) in (0..).zip(again) {
        let path = format!("overload/{}", deep(index / FILES, index % FILES));
        ensure!(
            row["path"] == path,
            "path {} instead of {path}",
            row["path"]
        );
        ensure!(
            index == 0 || row["complete"] == true,
            "incomplete after the storm: {row}"
        );
    }
    held(format!(
        "{opens} opens, {} rows, {lost} records lost, {incomplete} rows incomplete",
        report.rows.len()
    ))
}

pub(super) fn many_tasks(ground: &Ground) -> Result<Held> {
    let file = |task: u64| format!("f{task}");
    (0..TASKS).try_for_each(|task| ground.opens("alpha", 1, &file(task)))?;
    for folder in ["block0", "block1"] {
        fs::create_dir(ground.server.join(folder)).context("create a folder")?;
    }
    // So that a name in it is all that is asked of the server.
    let block = |number: u64| ground.name(&format!("block{number}/new"));
    (0..2).for_each(|number| {
        let _ = fs::File::open(block(number));
    });
    let tool = Tool::armed(&["--format", "json", "--mount", "/mnt"])?;

    let plenty = kernel::lines()
        .iter()
        .any(|line| line.starts_with("r1024:"));

    // Two creations stick in the frozen file system, and with them both threads of nfsd.
    command("fsfreeze", &["--freeze", EXPORT])?;
    let opened = open_all(ground, &block, &file);
    command("fsfreeze", &["--unfreeze", EXPORT])?;
    for mut child in opened? {
        let status = child.wait().context("wait for an opener")?;
        ensure!(status.success(), "an opener ended with {status}");
    }
    let report = tool.report()?;

    let all = ["reval", "fopen", "atomic", "task", "lookup"];
    let few = missed(&report, &["reval"])? > 0;
    let missed = missed(&report, &all)?;
    if plenty {
        // Half of the readers open once, half twice; two create.
        report.expect(TASKS as usize / 2 * 3 + 2)?;
        ensure!(missed == 0, "{missed} returns missed: {}", report.end);
        return held("62 opens at once, no return missed: this kernel takes a number");
    }
    ensure!(missed > 0, "no return was missed: {}", report.end);
    true_as_far_as_shown(&report)?;
    let counted = report.number("/lost/returns")?;
    // Half of the readers open once, half twice; two create.
    let opens = TASKS / 2 * 3 + 2;
    let (rows, incomplete) = (report.rows.len() as u64, report.number("/incomplete")?);
    // With an instance for each CPU and no more (before 6.2 without CONFIG_PREEMPTION), returns
    // of lookups that are for no open are missed as well, and opens of which no step is seen.
    let as_it_should = if few {
        0 < counted && counted <= missed && rows <= opens && opens - rows <= counted
    } else {
        counted == missed && rows == opens
    };
    ensure!(
        as_it_should && incomplete > 0,
        "{missed} returns missed, {counted} counted; {opens} opens, {rows} rows, {incomplete} of \
         them incomplete: {}",
        words(&report)
    );
    held(format!(
        "{opens} opens, {missed} returns missed and counted, {incomplete} rows incomplete"
    ))
}

/// Starts all openers and waits until every one of them waits for the server.
fn open_all(
    ground: &Ground,
    block: &dyn Fn(u64) -> String,
    file: &dyn Fn(u64) -> String,
) -> Result<Vec<Child>> {
    let mut children = Vec::new();
    for number in 0..2 {
        let script = format!("> {}", block(number));
        children.push(Command::new("sh").args(["-c", &script]).spawn()?);
    }
    thread::sleep(Duration::from_millis(500));
    let beta = program("beta").display().to_string();
    for task in 0..TASKS {
        let times = if task % 2 == 0 { "1" } else { "2" };
        let child = Command::new(&beta)
            .args(["reader", times, &ground.name(&file(task))])
            .spawn();
        children.push(child.context("start a reader")?);
    }
    wait_for("all readers wait", Duration::from_secs(30), || {
        let waiting = processes(&[&beta, "reader"])?;
        Ok(waiting.iter().filter(|(_, state)| *state == 'D').count() == TASKS as usize)
    })?;
    Ok(children)
}

/// Nothing was held and no delegation given: a complete row is an open that went to the server.
fn true_as_far_as_shown(report: &Report) -> Result<()> {
    for row in &report.rows {
        let word = row["open_path"].as_str().unwrap_or_default();
        ensure!(
            !["cached", "delegated"].contains(&word),
            "claims `{word}`: {row}"
        );
        // No open failed, so none may be said to have.
        ensure!(
            word != "failed",
            "says `failed` of an open that did not: {row}"
        );
        let sure = row["complete"] == true;
        ensure!(
            !sure || (row["result"] == 0 && ["wire", "atomic"].contains(&word)),
            "complete, but wrong: {row}"
        );
        let path = row["path"].as_str().unwrap_or("...");
        ensure!(
            !sure || !path.starts_with("..."),
            "complete, without its path: {row}"
        );
    }
    Ok(())
}

/// Calls that were entered and never returned from, by the programs' own hits.
fn missed(report: &Report, names: &[&str]) -> Result<u64> {
    names.iter().try_fold(0, |sum, name| {
        let hits = |end| report.number(&format!("/programs/nfst_{name}_{end}/hits"));
        Ok(sum + hits("in")? - hits("out")?)
    })
}

/// Rows by what they say, for a message.
fn words(report: &Report) -> String {
    let mut counts = std::collections::BTreeMap::<String, u64>::new();
    for row in &report.rows {
        let keys = ["open_path", "complete", "gaps", "result", "comm"];
        let key = keys
            .map(|key| row.get(key).map_or("-".into(), Value::to_string))
            .join(" ");
        *counts.entry(key).or_default() += 1;
    }
    format!("{counts:?}")
}
