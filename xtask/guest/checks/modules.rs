//! The client's modules unloaded while they are traced, and gone altogether.

use std::{fs, time::Duration};

use anyhow::{Context as _, Result, ensure};
use lab_contract::protocol::{MODULES_PATH, NfsVersion};
use rustix::{
    io::Errno,
    mount::{UnmountFlags, unmount},
    system::delete_module,
};

use super::{
    Held,
    ground::{Ground, OTHER, mount_both, read, wait_for},
    held, kernel,
    refusal::says,
    tool::{Report, Tool},
};
use crate::{boot, client};

/// The client's threads end some time after the last mount.
const UNLOADED_WITHIN: Duration = Duration::from_secs(30);
const OPENED_WITHIN: Duration = Duration::from_secs(30);
/// The rows beside a command.
const OUTPUT: &str = "/tmp/module-gone.json";

/// What the command waits for: that it may fork, and that it may open again.
const GONE: &str = "/tmp/module-gone.gone";
const BACK: &str = "/tmp/module-gone.back";

pub(super) fn gone(ground: &Ground) -> Result<Held> {
    if !is_module("nfsv4")? {
        return Ok(Held::Skipped("the client is built into this kernel".into()));
    }
    ground.opens("alpha", 1, "a")?;
    let json = Tool::armed(&["--format", "json"])?;
    let text = Tool::armed(&["--mount", "/mnt"])?;
    // Opens, forks while the modules are gone, and has that child open when they are back.
    let file = ground.name("a");
    let until = |file: &str| format!("until [ -e {file} ]; do sleep 0.1; done");
    let script = format!(
        "cat {file}; {}; ({}; cat {file}); exit 7",
        until(GONE),
        until(BACK)
    );
    let command = Tool::armed(&["--format", "json", "-o", OUTPUT, "--", "sh", "-c", &script])?;
    wait_for("the command's first open", OPENED_WITHIN, || {
        Ok(fs::read_to_string(OUTPUT).is_ok_and(|text| text.contains("\"open\"")))
    })?;
    let timed = Tool::armed(&["--duration", "20s"])?;
    ground.opens("alpha", 1, "a")?;
    client::umount()?;
    unmount(OTHER, UnmountFlags::empty()).with_context(|| format!("unmount {OTHER}"))?;
    unload("nfsv4").context("while tracing")?;
    for tool in [&json, &text, &timed, &command] {
        tool.wait_said("module nfsv4 was unloaded: waiting until it is back", 1)?;
    }
    // The modules are let go of, also the one that is still there.
    let (probes, programs) = kernel::attached()?;
    ensure!(probes.is_empty(), "still probed: {probes:?}");
    let mut lines = kernel::lines();
    lines.retain(|line| line.contains("nfs"));
    ensure!(lines.is_empty(), "still in kprobe_events: {lines:?}");
    ensure!(programs.len() >= 4 * 15, "programs are gone: {programs:?}");
    Tool::run(&["trace"])?.refuses(69, &["(module nfsv4)", "modprobe nfsv4", "--wait-module"])?;
    unload("nfs")?;
    Tool::run(&["trace"])?.refuses(69, &["(module nfs, nfsv4)", "modprobe nfsv4"])?;
    says(
        &Tool::run(&["probes"])?,
        &["cannot be traced", "modprobe nfsv4"],
    )?;

    // What ends a trace ends one that waits.
    let ended = json.stop()?;
    ended.expect(0)?;
    let report = ended.report()?;
    report.expect(2)?;
    let events: Vec<_> = report.modules.iter().map(|it| &it["event"]).collect();
    ensure!(events == ["gone"], "{:?}", report.modules);
    ensure!(report.end["reloads"]["attached"] == 0, "{}", report.end);
    let ended = timed.end()?;
    ended.expect(0)?;
    says_all(
        &ended.err,
        &["1 open: ", "unloaded once, and did not come back"],
    )?;

    fs::write(GONE, "")?;
    for name in ["nfs", "nfsv4"] {
        load(name)?;
    }
    for tool in [&text, &command] {
        tool.wait_said("attached again after ", 1)?;
    }
    mount_both(NfsVersion::V41)?;
    fs::write(BACK, "")?;
    let ended = command.end()?;
    ended.expect(7)?;
    let report = Report::parse(&fs::read_to_string(OUTPUT).context("read the rows")?)?;
    report.expect(2)?;
    ensure!(
        report.count(|row| row["comm"] == "cat") == 2,
        "{:?}",
        report.rows
    );

    read("alpha", 3, &ground.other.join("a").display().to_string())?;
    ground.opens("alpha", 3, "a")?;
    let ended = text.stop()?;
    ended.expect(0)?;
    says_all(
        &ended.err,
        &["(3 filtered out)", "unloaded once; opens in the "],
    )?;
    let tool = Tool::armed(&["--format", "json"])?;
    ground.opens("alpha", 3, "a")?;
    tool.report()?.expect(3)?;
    held(
        "said in one sentence, modules free to go, signals and --duration heard meanwhile, \
         --mount and the children of a command followed",
    )
}

fn says_all(text: &str, words: &[&str]) -> Result<()> {
    for words in words {
        ensure!(text.contains(words), "no `{words}`: {text}");
    }
    Ok(())
}

pub(crate) fn unload(name: &str) -> Result<()> {
    let c_name = std::ffi::CString::new(name)?;
    wait_for(&format!("{name} unloaded"), UNLOADED_WITHIN, || {
        // O_NONBLOCK: fail where it is in use.
        match delete_module(&c_name, 0o4000) {
            Ok(()) => Ok(true),
            Err(Errno::AGAIN | Errno::BUSY) => Ok(false),
            Err(error) => Err(error).with_context(|| format!("unload {name}")),
        }
    })
}

/// Unmounts both mounts and unloads the client.
pub(super) fn unload_all() -> Result<()> {
    client::umount()?;
    unmount(OTHER, UnmountFlags::empty()).with_context(|| format!("unmount {OTHER}"))?;
    ["nfsv4", "nfs"].into_iter().try_for_each(unload)
}

/// Whether the guest has loaded it.
pub(crate) fn is_module(name: &str) -> Result<bool> {
    let list = fs::read_to_string(MODULES_PATH).with_context(|| format!("read {MODULES_PATH}"))?;
    let file = format!("/lab/{name}.ko");
    Ok(list
        .lines()
        .any(|line| line.split(' ').next() == Some(&file)))
}

pub(crate) fn load(name: &str) -> Result<()> {
    let list = fs::read_to_string(MODULES_PATH).with_context(|| format!("read {MODULES_PATH}"))?;
    let file = format!("/lab/{name}.ko");
    let line = list
        .lines()
        .find(|line| line.split(' ').next() == Some(&file));
    let line = line.with_context(|| format!("find {file} in {MODULES_PATH}"))?;
    let loaded = boot::load_module(line)?;
    ensure!(loaded == name, "loaded {loaded} instead of {name}");
    Ok(())
}
