//! How a trace ends: signals, kill -9, a full disk, a reader that goes away.

use std::{
    fs::File,
    io::{BufRead as _, BufReader},
    process::Stdio,
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use rustix::process::Signal;

use super::{
    Held,
    ground::{Ground, processes, wait_for},
    held, kernel,
    tool::Tool,
};
use crate::boot::command;

pub(super) fn signals(ground: &Ground) -> Result<Held> {
    for signal in [Signal::INT, Signal::TERM] {
        let tool = Tool::armed(&["--format", "json", "--mount", "/mnt"])?;
        ground.opens("alpha", 3, "a")?;
        tool.signal(signal)?;
        let ended = tool.end()?;
        ended.expect(0)?;
        ended.report()?.expect(3)?;

        let tool = Tool::armed(&["--mount", "/mnt"])?;
        ground.opens("alpha", 3, "a")?;
        tool.signal(signal)?;
        let ended = tool.end()?;
        ended.expect(0)?;
        for words in ["3 opens: ", "nothing lost, every path complete"] {
            ensure!(ended.err.contains(words), "no `{words}`: {}", ended.err);
        }
    }
    if !kernel::has_tracepoint_programs()? {
        return held("end line, footer and status 0 with both");
    }
    // A request to end is passed on to the command.
    let tool = Tool::armed(&["--", "sleep", "1000"])?;
    wait_for("the command runs", Duration::from_secs(5), || {
        Ok(!processes(&["sleep", "1000"])?.is_empty())
    })?;
    tool.signal(Signal::TERM)?;
    tool.end()?.expect(0)?;
    wait_for("the command is gone", Duration::from_secs(5), || {
        Ok(processes(&["sleep", "1000"])?.is_empty())
    })?;
    held("end line, footer and status 0 with both")
}

pub(super) fn kill_9(ground: &Ground) -> Result<Held> {
    kernel::nothing_left()?;
    let follows = kernel::has_tracepoint_programs()?;
    let command: &[&str] = if follows {
        &["--", "sleep", "1000"]
    } else {
        &[]
    };
    let tool = Tool::armed(command)?;
    let (probes, programs) = kernel::attached()?;
    // Else the lists would show nothing whatever is left.
    ensure!(
        probes.len() >= 10 && programs.len() >= 15,
        "the kernel's lists show too little while tracing: {probes:?} {programs:?}"
    );
    // One that lives on must not lose anything to those that come and go.
    let other = Tool::armed(&["--format", "json", "--mount", "/mnt"])?;
    tool.signal(Signal::KILL)?;
    tool.end()?.expect(137)?;
    if follows {
        crate::boot::command("killall", &["sleep"])?;
    }
    let mut lines = kernel::lines();
    let left = lines.len();
    // Through tracefs, the next start clears up; the PMU's probes go with the process.
    Tool::armed(&[])?.stop()?.expect(0)?;
    if left > 0 {
        lines.retain(|line| kernel::lines().contains(line));
        ensure!(
            !lines.is_empty() && lines.len() < left,
            "{left} lines of kprobe_events after kill -9, of which the next start left {}",
            lines.len()
        );
    }
    ground.opens("alpha", 3, "a")?;
    other.report()?.expect(3).context("beside a kill -9")?;
    kernel::nothing_left().context("after kill -9, the next start and SIGINT")?;

    let tool = Tool::armed(&[])?;
    tool.signal(Signal::KILL)?;
    tool.end()?.expect(137)?;
    kernel::nothing_runs().context("after kill -9")?;
    Tool::armed(&[])?.stop()?.expect(0)?;
    kernel::nothing_left().context("after SIGINT")?;

    let both = format!(
        "{} probes and {} programs while tracing, none after",
        probes.len(),
        programs.len()
    );
    if !follows {
        return held(both);
    }
    // A command that was never let go does not stay behind, stopped for ever.
    let tool = Tool::start(&["trace", "--", "sleep", "1000"])?;
    let launched = ["/usr/bin/nfs-trace", "__launch"];
    wait_for("the command is stopped", Duration::from_secs(20), || {
        Ok(processes(&launched)?.iter().any(|(_, state)| *state == 'T'))
    })?;
    tool.signal(Signal::KILL)?;
    tool.end()?.expect(137)?;
    wait_for("no stopped process stays", Duration::from_secs(5), || {
        Ok(processes(&launched)?.is_empty())
    })?;
    Tool::armed(&[])?.stop()?.expect(0)?;
    held(both)
}

pub(super) fn full_disk(ground: &Ground) -> Result<Held> {
    for format in ["json", "text"] {
        let tool = Tool::spawn(&["trace", "--format", format], |command, _| {
            command.stdout(File::create("/dev/full").context("open /dev/full")?);
            Ok(())
        })?;
        tool.end()?
            .refuses(1, &["write", "No space left on device"])?;
    }
    kernel::nothing_left()?;

    // Room for the start, not for all rows.
    let small = "/tmp/small";
    std::fs::create_dir(small).context("create a mount point")?;
    command(
        "busybox",
        &["mount", "-t", "tmpfs", "-o", "size=16k", "tmpfs", small],
    )?;
    let out = format!("{small}/rows");
    let tool = Tool::armed_after(&["--format", "json"], |command| {
        command.stdout(File::create(&out).context("create the file")?);
        Ok(())
    })?;
    ground.opens("alpha", 40, "a")?;
    tool.end()?
        .refuses(1, &["write", "No space left on device"])?;
    command("busybox", &["umount", small])?;
    held("status 1 and one sentence, at the start and while tracing")
}

pub(super) fn closed_pipe(ground: &Ground) -> Result<Held> {
    for format in ["json", "text"] {
        // `nfs-trace trace | head -1`
        let mut tool = Tool::armed_after(&["--format", format], |command| {
            command.stdout(Stdio::piped());
            Ok(())
        })?;
        let mut line = String::new();
        BufReader::new(tool.stdout()?).read_line(&mut line)?;
        ensure!(!line.is_empty(), "it printed nothing");
        ground.opens("alpha", 3, "a")?;
        let ended = tool.end()?;
        ended.expect(0)?;
        ensure!(
            !ended.err.contains("roken") && !ended.err.contains("failed"),
            "it complains: {}",
            ended.err
        );
        // `nfs-trace trace | true`: nobody reads from the beginning.
        let mut tool = Tool::spawn(&["trace", "--format", format], |command, _| {
            command.stdout(Stdio::piped());
            Ok(())
        })?;
        drop(tool.stdout()?);
        tool.end()?
            .expect(0)
            .context("with stdout closed from the beginning")?;
    }
    // Nobody reads its errors: the status says what happened all the same.
    let mut tool = Tool::spawn(&["trace", "--mount", "/"], |command, _| {
        command.stderr(Stdio::piped());
        Ok(())
    })?;
    tool.drop_stderr();
    tool.end()?.expect(64).context("with stderr closed")?;
    held("status 0 and no complaint")
}
