//! Which opens are shown: of a command, of a mount, of a process, and what user space filters.

use std::{fs, thread, time::Duration};

use anyhow::{Context as _, Result, ensure};
use lab_contract::protocol::NfsVersion;
use rustix::{
    fs::stat,
    mount::{UnmountFlags, unmount},
};
use serde_json::Value;

use super::{
    Held,
    ground::{Ground, OTHER, program, read},
    held, kernel,
    reader::Gated,
    tool::Tool,
};
use crate::client;

pub(super) fn command(ground: &Ground) -> Result<Held> {
    if !kernel::has_tracepoint_programs()? {
        let command = ["trace", "--", "true"];
        Tool::run(&command)?.refuses(69, &["children", "--mount or --pid"])?;
        return held("refused: no programs on tracepoints before 4.7");
    }
    for file in ["a", "b", "c", "d"] {
        ground.file(file)?;
    }
    let one = |comm, file| format!("{} reader 1 {}", program(comm).display(), ground.name(file));
    // Two generations of shells; the pause lets the other process run in between.
    let script = format!(
        "{}; usleep 500000; ({}; sh -c '{}; true'); exit 7",
        one("alpha", "a"),
        one("beta", "b"),
        one("gamma", "c")
    );
    let tool = Tool::armed(&["--format", "json", "--", "sh", "-c", &script])?;
    ground.opens("delta", 40, "d")?;
    let ended = tool.end()?;
    ended.expect(7)?;
    let report = ended.report()?;
    report.expect(3)?;
    let seen: Vec<(&Value, &Value)> = report
        .rows
        .iter()
        .map(|row| (&row["comm"], &row["path"]))
        .collect();
    for (row, (comm, path)) in seen
        .iter()
        .zip([("alpha", "a"), ("beta", "b"), ("gamma", "c")])
    {
        ensure!(
            row.0 == comm && *row.1 == format!("command/{path}"),
            "{row:?} instead of {comm} command/{path}"
        );
    }
    held("3 generations seen, 40 opens of another process not, status 7 passed on")
}

pub(super) fn no_command() -> Result<Held> {
    if !kernel::has_tracepoint_programs()? {
        return Ok(Held::Skipped("this kernel cannot follow a command".into()));
    }
    let ended = Tool::run(&["trace", "--", "/nonexistent/program"])?;
    ended.refuses(127, &["/nonexistent/program", "No such file"])?;
    let ended = Tool::run(&["trace", "--", "/etc/hosts"])?;
    ended.refuses(126, &["/etc/hosts", "Permission denied"])?;
    for (signal, status) in [("KILL", 137), ("TERM", 143)] {
        Tool::run(&["trace", "--", "sh", "-c", &format!("kill -{signal} $$")])?.expect(status)?;
    }
    held("127, 126, 137, 143")
}

pub(super) fn mount(ground: &Ground) -> Result<Held> {
    ground.file("a")?;
    let both = Tool::armed(&["--format", "json"])?;
    // Any path on the mount names it.
    let other = ground.other.display().to_string();
    let one = Tool::armed(&["--format", "json", "--mount", &other])?;
    ground.opens("alpha", 5, "a")?;
    read("beta", 3, &ground.other.join("a").display().to_string())?;
    let (both, one) = (both.report()?, one.report()?);
    both.expect(8)?;
    ensure!(
        both.count(|row| row["mount"] == "/mnt") == 5,
        "not 5 rows of /mnt: {:?}",
        both.rows
    );
    one.expect(3)?;
    ensure!(
        one.count(|row| row["mount"] == OTHER && row["comm"] == "beta") == 3,
        "not 3 rows of {OTHER}: {:?}",
        one.rows
    );
    ensure!(
        one.end["hidden"] == 0,
        "filtered in user space: {}",
        one.end
    );
    held("3 of 8 opens shown, the others never left the kernel")
}

pub(super) fn remount(ground: &Ground, version: NfsVersion) -> Result<Held> {
    ground.file("a")?;
    let dev = |path: &str| stat(path).with_context(|| format!("look at {path}"));
    let elsewhere = "/elsewhere";
    fs::create_dir_all(elsewhere).with_context(|| format!("create {elsewhere}"))?;
    let tool = Tool::armed(&["--format", "json", "--mount", client::MOUNT])?;
    ground.opens("alpha", 2, "a")?;
    let before = dev(client::MOUNT)?.st_dev;
    client::umount()?;
    // Not the same super block as the next one: two numbers.
    client::mount_with(version, "/", elsewhere, ",nosharecache")?;
    client::mount(version)?;
    let (other, after) = (dev(elsewhere)?.st_dev, dev(client::MOUNT)?.st_dev);
    ensure!(
        other == before && after != before,
        "the numbers are not what this is about: {before:#x}, then {after:#x} beside {other:#x}"
    );
    // It hears of it by itself, but not at once.
    thread::sleep(Duration::from_secs(2));
    read("beta", 4, &format!("{elsewhere}/remount/a"))?;
    ground.opens("gamma", 3, "a")?;
    let report = tool.report()?;
    unmount(elsewhere, UnmountFlags::empty()).with_context(|| format!("unmount {elsewhere}"))?;
    report.expect(5)?;
    let count = |comm| report.count(|row| row["comm"] == comm && row["mount"] == client::MOUNT);
    ensure!(
        count("alpha") == 2 && count("gamma") == 3,
        "rows: {:?}",
        report.rows
    );
    held("2 opens before and 3 after, none of the mount that took the old number")
}

pub(super) fn pid(ground: &Ground) -> Result<Held> {
    ground.file("a")?;
    let (mut alpha, mut beta) = (Gated::start("alpha")?, Gated::start("beta")?);
    let pid = alpha.pid();
    let tool = Tool::armed(&["--format", "json", "--pid", &pid.to_string()])?;
    beta.opens(7, &ground.name("a"))?;
    alpha.opens(5, &ground.name("a"))?;
    let report = tool.report()?;
    report.expect(5)?;
    ensure!(
        report.count(|row| row["pid"] == pid) == 5,
        "{:?}",
        report.rows
    );
    held("5 of 12 opens shown")
}

pub(super) fn filters(ground: &Ground) -> Result<Held> {
    for file in ["x/a.txt", "x/deep/b.txt", "x/c.dat"] {
        ground.file(file)?;
    }
    let inside = ground.name("x/*.txt");
    // Of 11 opens, 3 are first ones (atomic), 8 are not.
    let cases: [(&[&str], usize); 7] = [
        (&["--comm", "alpha"], 5),
        (&["--path", "filters/x/*.txt"], 5),
        (&["--path", "filters/**/*.txt"], 8),
        (&["--path", &inside], 5),
        (&["--open-path", "atomic"], 3),
        (&["--open-path", "wire"], 8),
        (
            &["--comm", "beta", "--comm", "gamma", "--path", "**/b.txt"],
            3,
        ),
    ];
    let mut tools = Vec::new();
    for (arguments, rows) in &cases {
        let mut all = vec!["--format", "json", "--mount", "/mnt"];
        all.extend(*arguments);
        tools.push((Tool::armed(&all)?, arguments, *rows));
    }
    ground.opens("alpha", 5, "x/a.txt")?;
    ground.opens("beta", 3, "x/deep/b.txt")?;
    ground.opens("gamma", 3, "x/c.dat")?;
    thread::sleep(Duration::from_millis(50));
    for (tool, arguments, rows) in tools {
        let report = tool.report()?;
        report
            .expect(rows)
            .map_err(|error| error.context(format!("{arguments:?}")))?;
        ensure!(
            report.end["hidden"] == 11 - rows,
            "{arguments:?} hides {} instead of {}",
            report.end["hidden"],
            11 - rows
        );
    }
    held("7 filters at once; shown + hidden is 11 in each")
}
