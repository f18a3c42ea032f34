//! What watches the opens: started and in place before, ended and read after.

use std::{
    fs::{self, File},
    path::Path,
    process::{self, Child, Command, ExitStatus, Stdio},
    thread,
    time::Duration,
};

use anyhow::{Context as _, Result, bail, ensure};
use aya::Ebpf;
use lab_contract::{benched::Watch, trace};
use rustix::process::{Pid, Signal, kill_process};

use super::floor;
use crate::{serial, tracer};

const READY: &str = "/tmp/bench.ready";
const OUTPUT: &str = "/tmp/bench.out";
const ROWS: &str = "/tmp/bench.json";
const ERRORS: &str = "/tmp/bench.err";
/// Without a change for so long, all probes of a tool are in place.
const STILL: u32 = 300;
/// What the kernel's ring buffer counts.
const RING_STATS: &str = "/sys/kernel/tracing/per_cpu/cpu0/stats";

/// What watches.
pub(super) enum Watcher {
    Nothing,
    Floor(Ebpf),
    NfsTrace { tool: Tool, task: &'static str },
    Bpftrace(Tool),
    TraceCmd(Tool),
}

/// A program that is killed when dropped: what fails must not be there for the next.
pub(super) struct Tool {
    name: &'static str,
    child: Child,
}

/// What is left of it.
pub(super) enum Ended {
    Nothing,
    /// Rows of nfs-trace, or a recording.
    NfsTrace(&'static str),
    /// Lines that a script wrote.
    Bpftrace,
    /// Counts of the kernel's ring buffer.
    Counted(u64, u64),
}

impl Watcher {
    /// Starts it and waits until it is in place. `replace` gives what a word of arguments stands
    /// for.
    pub(super) fn start(watch: &Watch, replace: impl Fn(&str) -> String) -> Result<Self> {
        Ok(match watch {
            Watch::Nothing => Self::Nothing,
            Watch::Floor => {
                let nfs_trace = nfs_trace(&["trace"])?;
                let places = floor::places()?;
                drop(nfs_trace);
                Self::Floor(floor::start(&places)?)
            }
            Watch::NfsTrace(arguments) => {
                let task = arguments.first().copied().unwrap_or("trace");
                let words: Vec<String> = arguments.iter().map(|word| replace(word)).collect();
                let words: Vec<&str> = words.iter().map(String::as_str).collect();
                let tool = nfs_trace(&words)?;
                Self::NfsTrace { tool, task }
            }
            Watch::Bpftrace(script) => Self::Bpftrace(bpftrace(script)?),
            Watch::TraceCmd(events) => Self::TraceCmd(trace_cmd(events)?),
        })
    }

    /// The process that holds its BPF programs, if it has some.
    pub(super) fn with_programs(&self) -> Option<u32> {
        match self {
            Self::Nothing | Self::TraceCmd(_) => None,
            Self::Floor(_) => Some(process::id()),
            Self::NfsTrace { tool, .. } | Self::Bpftrace(tool) => Some(tool.child.id()),
        }
    }

    pub(super) fn end(self) -> Result<Ended> {
        match self {
            Self::Nothing => Ok(Ended::Nothing),
            Self::Floor(programs) => {
                drop(programs);
                Ok(Ended::Nothing)
            }
            Self::NfsTrace { tool, task } => {
                tool.interrupt()?;
                Ok(Ended::NfsTrace(task))
            }
            Self::Bpftrace(tool) => {
                tool.insist()?;
                Ok(Ended::Bpftrace)
            }
            Self::TraceCmd(tool) => {
                let (events, lost) = ring_stats()?;
                tool.interrupt()?;
                Ok(Ended::Counted(events, lost))
            }
        }
    }
}

impl Ended {
    /// What it reported, and what it lost.
    pub(super) fn read(&self) -> Result<(u64, u64)> {
        match self {
            Self::Nothing => Ok((0, 0)),
            Self::Counted(events, lost) => Ok((*events, *lost)),
            Self::NfsTrace(task) => {
                if *task == "record" {
                    replay()?;
                }
                let rows = fs::read_to_string(ROWS).with_context(|| format!("read {ROWS}"))?;
                let trace = trace::summarise(&rows)?;
                Ok((trace.opens, trace.lost.values().sum()))
            }
            Self::Bpftrace => {
                let lines = fs::read_to_string(OUTPUT).with_context(|| format!("read {OUTPUT}"))?;
                let errors = fs::read_to_string(ERRORS).unwrap_or_default();
                let said = lines.lines().chain(errors.lines());
                let lost = said.filter_map(lost).sum();
                let events = lines.lines().filter(|line| line.starts_with(ROW)).count();
                Ok((events as u64, lost))
            }
        }
    }
}

/// How lines of the scripts begin.
const ROW: &str = "open ";

/// As bpftrace says it: `Lost 12 events`.
fn lost(line: &str) -> Option<u64> {
    let (count, rest) = line.strip_prefix("Lost ")?.split_once(' ')?;
    rest.starts_with("events").then(|| count.parse().ok())?
}

/// nfs-trace, armed, writing to a file.
fn nfs_trace(arguments: &[&str]) -> Result<Tool> {
    let _ = fs::remove_file(READY);
    let recording = arguments.first() == Some(&"record");
    let output = if recording { OUTPUT } else { ROWS };
    let mut command = tracer::nfs_trace(arguments);
    command.args(["-o", output, "--ready-file", READY]);
    let mut tool = Tool::start("nfs-trace", &mut command)?;
    while !Path::new(READY).exists() {
        tool.alive()?;
    }
    Ok(tool)
}

/// Makes rows of a recording.
fn replay() -> Result<()> {
    let status = tracer::nfs_trace(&["replay", OUTPUT, "--format", "json", "-o", ROWS])
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .context("start nfs-trace replay")?;
    ensure!(status.success(), "nfs-trace replay ended with {status}");
    Ok(())
}

/// bpftrace with a script, all its probes in place.
fn bpftrace(script: &str) -> Result<Tool> {
    let script = format!("/lab/{script}");
    let mut command = Command::new("bpftrace");
    // Its output is buffered, as that of nfs-trace into a file is.
    let mut tool = Tool::start(
        "bpftrace",
        command.args(["-B", "full", "-o", OUTPUT, &script]),
    )?;
    // It does not say when it is ready.
    let (mut before, mut still) = (Vec::new(), 0);
    while still < STILL {
        tool.alive()?;
        let now = floor::places()?;
        let same = !now.is_empty() && now == before;
        still = if same { still + 1 } else { 0 };
        before = now;
    }
    Ok(tool)
}

fn trace_cmd(events: &[&str]) -> Result<Tool> {
    let mut command = Command::new("trace-cmd");
    command.args(["record", "-q", "-o", OUTPUT]);
    events.iter().for_each(|event| {
        command.args(["-e", event]);
    });
    let mut tool = Tool::start("trace-cmd", &mut command)?;
    for event in events {
        let path = format!("/sys/kernel/tracing/events/{event}/enable");
        while fs::read_to_string(&path)?.trim() != "1" {
            tool.alive()?;
        }
    }
    Ok(tool)
}

/// Events that came to the kernel's ring buffer of tracefs, and those that found no room.
fn ring_stats() -> Result<(u64, u64)> {
    let text = fs::read_to_string(RING_STATS).with_context(|| format!("read {RING_STATS}"))?;
    let field = |name: &str| -> u64 {
        let value = text.lines().find_map(|line| line.strip_prefix(name));
        value
            .and_then(|value| value.trim().parse().ok())
            .unwrap_or(0)
    };
    let lost = field("overrun:") + field("dropped events:");
    Ok((field("entries:") + field("read events:"), lost))
}

impl Tool {
    fn start(name: &'static str, command: &mut Command) -> Result<Self> {
        let child = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(File::create(ERRORS).with_context(|| format!("create {ERRORS}"))?)
            .spawn()
            .with_context(|| format!("start {name}"))?;
        Ok(Self { name, child })
    }

    /// Waits a little; an error if it has ended meanwhile.
    fn alive(&mut self) -> Result<()> {
        thread::sleep(Duration::from_millis(10));
        if let Some(status) = self.child.try_wait()? {
            let said = fs::read_to_string(ERRORS).unwrap_or_default();
            let name = self.name;
            bail!("{name} ended with {status} before it was in place: {said}");
        }
        Ok(())
    }

    /// Ends it as a user would.
    fn interrupt(mut self) -> Result<()> {
        self.signal()?;
        let status = self.child.wait()?;
        self.ended(status)
    }

    /// The same for bpftrace, which (0.17, BPFtrace::poll_perf_events()) ends only if the signal
    /// breaks its wait for events, and goes on for ever if it was just about to leave it.
    fn insist(mut self) -> Result<()> {
        loop {
            self.signal()?;
            for _ in 0..100 {
                thread::sleep(Duration::from_millis(10));
                if let Some(status) = self.child.try_wait()? {
                    return self.ended(status);
                }
            }
            serial::log("bpftrace is asked again to end");
        }
    }

    fn signal(&self) -> Result<()> {
        kill_process(Pid::from_child(&self.child), Signal::INT)
            .with_context(|| format!("send SIGINT to {}", self.name))
    }

    fn ended(&self, status: ExitStatus) -> Result<()> {
        let said = fs::read_to_string(ERRORS).unwrap_or_default();
        ensure!(
            status.success(),
            "{} ended with {status}: {said}",
            self.name
        );
        Ok(())
    }
}

impl Drop for Tool {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_bpftrace_lost_is_read() {
        assert_eq!(lost("Lost 12 events"), Some(12));
        assert_eq!(lost("open 12 events"), None);
        assert_eq!(lost("Lost my way"), None);
    }
}
