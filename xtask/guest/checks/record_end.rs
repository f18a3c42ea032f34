//! How a recording ends: killed, stopped, on a full disk, without a reader, and part by part.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::Stdio,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use rustix::process::Signal;

use super::{
    Held,
    ground::{Ground, wait_for},
    held, kernel,
    record::replay,
    tool::Tool,
};
use crate::boot::command;

/// What a record has cost is written within this time.
const WRITTEN_WITHIN: Duration = Duration::from_secs(10);
/// Opens that are more than a small disk has room for, or than a buffer of 4 KiB.
const TOO_MANY: u64 = 3_000;
/// Parts of 1 MiB that are to be filled; with fewer within the time, two have to do.
const PARTS: usize = 3;
const FILLED_WITHIN: Duration = Duration::from_secs(90);
/// Where opens are so slow that there are no two by then.
const GIVE_UP: Duration = Duration::from_secs(240);

pub(super) fn ends(ground: &Ground) -> Result<Held> {
    ground.file("a")?;
    for signal in [Signal::INT, Signal::TERM] {
        let file = format!("/tmp/record-{}.nfst", signal.as_raw());
        let tool = Tool::recording(&["-o", &file, "--mount", "/mnt"])?;
        ground.opens("alpha", 5, "a")?;
        tool.signal(signal)?;
        let ended = tool.end()?;
        ended.expect(0)?;
        ensure!(ended.err.contains("nothing lost"), "{}", ended.err);
        let replayed = replay(&file)?;
        replayed.expect(0)?;
        replayed.report()?.expect(5)?;
    }
    killed(ground)?;
    let lost = stopped(ground)?;
    let kept = full_disk(ground)?;
    no_reader(ground)?;
    held(format!(
        "SIGINT, SIGTERM: an end; kill -9: all that was flushed; stopped: {lost} records lost, \
         counted; a full disk: {kept} rows before it; a reader that goes away"
    ))
}

/// All that was flushed is there, and nothing is half there.
fn killed(ground: &Ground) -> Result<()> {
    const OPENS: usize = 300;
    let file = "/tmp/record-killed.nfst";
    let tool = Tool::recording(&["-o", file, "--mount", "/mnt"])?;
    ground.opens("alpha", OPENS as u64, "a")?;
    wait_for("all was written", WRITTEN_WITHIN, || {
        Ok(replay(file)?.rows().len() == OPENS)
    })?;
    tool.signal(Signal::KILL)?;
    tool.end()?.expect(128 + Signal::KILL.as_raw())?;
    kernel::nothing_runs()?;
    // Where probes are lines of kprobe_events, the next start removes them.
    Tool::armed(&[])?.stop()?.expect(0)?;
    kernel::nothing_left()?;
    let replayed = replay(file)?;
    replayed.expect(1)?;
    let report = replayed.report()?;
    report.expect(OPENS)?;
    let unread = &report.end["unread"];
    ensure!(
        unread["no_end"] == true && unread["places"] == 0,
        "{unread}"
    );
    Ok(())
}

/// What finds no room in the buffer meanwhile is counted in the file. Returns how many records.
fn stopped(ground: &Ground) -> Result<u64> {
    let file = "/tmp/record-stopped.nfst";
    let tool = Tool::recording(&["-o", file, "--mount", "/mnt", "--buffer", "4"])?;
    ground.opens("alpha", 3, "a")?;
    tool.signal(Signal::STOP)?;
    ground.opens("alpha", TOO_MANY, "a")?;
    tool.signal(Signal::CONT)?;
    thread::sleep(Duration::from_millis(500));
    ground.opens("beta", 7, "a")?;
    let ended = tool.stop()?;
    ended.expect(0)?;
    ensure!(ended.err.contains("LOST: "), "{}", ended.err);
    let replayed = replay(file)?;
    replayed.expect(0)?;
    let report = replayed.report()?;
    let lost = report.number("/lost/records")?;
    ensure!(lost > 0, "{}", report.end);
    let seen = report.count(|row| row["comm"] == "beta" && row["complete"] == true);
    ensure!(seen >= 6, "{seen} rows of 7 afterwards: {}", report.end);
    Ok(lost)
}

/// One sentence, a count, and a file that is good up to there. Returns its rows.
fn full_disk(ground: &Ground) -> Result<usize> {
    let small = "/tmp/record-small";
    fs::create_dir(small).context("create a mount point")?;
    command(
        "busybox",
        &["mount", "-t", "tmpfs", "-o", "size=32k", "tmpfs", small],
    )?;
    let file = format!("{small}/trace.nfst");
    let tool = Tool::recording(&["-o", &file, "--mount", "/mnt"])?;
    ground.opens("alpha", TOO_MANY, "a")?;
    let ended = tool.end()?;
    ended.refuses(1, &[&file, "No space left on device"])?;
    ensure!(
        ended.err.contains(" records that could not be written"),
        "{}",
        ended.err
    );
    let replayed = replay(&file)?;
    replayed.expect(1)?;
    let report = replayed.report()?;
    let rows = report.rows.len();
    ensure!(
        rows > 20 && report.end["unread"]["no_end"] == true,
        "{rows} rows, {}",
        report.end
    );
    // Not even the beginning fits: nothing is left behind.
    let other = format!("{small}/other.nfst");
    Tool::run(&["record", "-o", &other])?.refuses(1, &[&other, "No space left on device"])?;
    ensure!(!Path::new(&other).exists(), "{other} was left behind");
    command("busybox", &["umount", small])?;
    Ok(rows)
}

/// `nfs-trace record -o - | head -c 0`
fn no_reader(ground: &Ground) -> Result<()> {
    let mut tool = Tool::recording_after(&["-o", "-", "--mount", "/mnt"], |command| {
        command.stdout(Stdio::piped());
        Ok(())
    })?;
    drop(tool.stdout()?);
    ground.opens("alpha", 3, "a")?;
    let ended = tool.end()?;
    ended.expect(0)?;
    ensure!(!ended.err.contains("roken"), "it complains: {}", ended.err);
    Ok(())
}

/// Parts of 1 MiB: all of them together show every open, and with `--max-files` the disk is
/// bounded at any time.
pub(super) fn rotate(ground: &Ground) -> Result<Held> {
    ground.file("a")?;
    let folder = PathBuf::from("/tmp/record-parts");
    fs::create_dir(&folder).context("create a folder")?;
    let name = |kind: &str| folder.join(kind).display().to_string();
    let (all, last) = (name("all"), name("last"));
    let size = ["--rotate", "1M", "--mount", "/mnt"];
    let every = Tool::recording(&[&["-o", &all], &size[..]].concat())?;
    let few = Tool::recording(&[&["-o", &last, "--max-files", "1"], &size[..]].concat())?;
    let (mut most, mut opens, started) = (0, 0, Instant::now());
    let filled = || -> Result<bool> {
        let (all, last) = (parts(&folder, "all")?.len(), parts(&folder, "last")?);
        let both = all >= 2 && last.iter().all(|file| !file.ends_with(".000001"));
        Ok(both && (all >= PARTS || started.elapsed() > FILLED_WITHIN))
    };
    while !filled()? && started.elapsed() < GIVE_UP {
        ground.opens("alpha", 500, "a")?;
        opens += 500;
        let sizes = parts(&folder, "last")?.into_iter().map(|file| {
            // Gone since the folder was read.
            fs::metadata(file).map_or(0, |file| file.len())
        });
        most = most.max(sizes.sum::<u64>());
    }
    for tool in [every, few] {
        let ended = tool.stop()?;
        ended.expect(0)?;
        ensure!(ended.err.contains("nothing lost"), "{}", ended.err);
    }

    let files = parts(&folder, "all")?;
    ensure!(
        files.len() >= 2,
        "{opens} opens in too few parts: {files:?}"
    );
    for file in &files {
        let file = fs::metadata(file).context("look at a part")?;
        let mode = file.permissions().mode();
        ensure!(mode & 0o777 == 0o600, "mode {mode:o}");
        ensure!(file.len() <= 1 << 20, "{} bytes in a part", file.len());
    }
    let names: Vec<&str> = files.iter().map(String::as_str).collect();
    let options = ["--format", "json"];
    let replayed = Tool::run(&[&["replay"], &names[..], &options[..]].concat())?;
    replayed.expect(0)?;
    replayed.report()?.expect(opens as usize)?;

    let kept = parts(&folder, "last")?;
    ensure!(kept.len() == 1 && !kept[0].ends_with(".000001"), "{kept:?}");
    ensure!(most <= 1 << 20, "at one time there were {most} bytes");
    // The names were sent long before these parts began.
    let names: Vec<&str> = kept.iter().map(String::as_str).collect();
    let replayed = Tool::run(&[&["replay"], &names[..], &options[..]].concat())?;
    replayed.expect(0)?;
    let report = replayed.report()?;
    ensure!(
        report.end["unread"]["earlier_parts"] == true,
        "{}",
        report.end
    );
    let (rows, named) = (
        report.rows.len(),
        report.count(|row| row["path"] == "record-rotate/a" && row["comm"] == "alpha"),
    );
    // But for those of a process that began in the part before.
    ensure!(
        rows > 0 && named == rows && report.number("/incomplete")? <= 1,
        "{named} of {rows} rows have names: {}",
        report.end
    );
    Tool::run(&["record", "-o", &last, "--rotate", "1M"])?.refuses(1, &[&kept[0], "exists"])?;
    held(format!(
        "{} parts show {opens} opens, the last one by itself {rows}; with one kept, never more than \
         {most} bytes",
        files.len()
    ))
}

fn parts(folder: &Path, name: &str) -> Result<Vec<String>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).context("list the parts")? {
        let path = entry?.path();
        if path.file_stem().is_some_and(|stem| stem == name) {
            files.push(path.display().to_string());
        }
    }
    files.sort();
    Ok(files)
}
