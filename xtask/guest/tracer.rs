//! nfs-trace beside a workload: started and armed before it, ended after it, its report read.

use std::{
    fs::{self, File},
    path::Path,
    process::{Child, Command, Stdio},
    sync::OnceLock,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail, ensure};
use lab_contract::{
    protocol::{Job, TRACER_PATH},
    trace::{self, Trace},
};
use rustix::process::{Pid, Signal, kill_process};

use crate::client::MOUNT;

const READY: &str = "/tmp/nfs-trace.ready";
const ROWS: &str = "/tmp/nfs-trace.json";
const RECORDING: &str = "/tmp/nfs-trace.nfst";
const ERRORS: &str = "/tmp/nfs-trace.err";
/// From start to armed. Under TCG loading and verifying the programs takes seconds.
const ARMED_WITHIN: Duration = Duration::from_secs(90);
/// From SIGINT to the end.
const ENDED_WITHIN: Duration = Duration::from_secs(60);

/// What the job asks for of nfs-trace.
static ASKED: OnceLock<Asked> = OnceLock::new();

struct Asked {
    transport: Option<String>,
    layout: Option<String>,
}

/// From now on, nfs-trace is told so.
pub(crate) fn ask_for(job: &Job) -> Result<()> {
    let Job {
        transport, layout, ..
    } = job.clone();
    let set = ASKED.set(Asked { transport, layout });
    set.map_err(|_| anyhow::anyhow!("the options were chosen before"))
}

/// How nfs-trace is told to get its records, if it is.
pub(crate) fn transport() -> Option<&'static str> {
    ASKED.get()?.transport.as_deref()
}

/// Where nfs-trace is told to take its layout from, if it is.
pub(crate) fn layout() -> Option<&'static str> {
    ASKED.get()?.layout.as_deref()
}

/// nfs-trace with these arguments, the task first.
pub(crate) fn nfs_trace(arguments: &[&str]) -> Command {
    let mut command = Command::new(TRACER_PATH);
    let (task, rest) = arguments.split_at(arguments.len().min(1));
    command.args(task);
    let options = [("--transport", transport()), ("--layout", layout())];
    for (option, value) in options {
        if let ([task], Some(value)) = (task, value)
            && ["trace", "record", "check"].contains(task)
            // What a check asks for itself counts.
            && !rest.contains(&option)
        {
            command.args([option, value]);
        }
    }
    command.args(rest);
    command
}

/// A running nfs-trace that sees every open on the mount.
pub(crate) struct Tracer(Child);

impl Tracer {
    /// Starts it and waits until its programs are armed.
    pub(crate) fn start(capture: bool) -> Result<Self> {
        let _ = fs::remove_file(READY);
        let _ = fs::remove_file(RECORDING);
        let mut arguments = vec!["trace", "--format", "json", "--ready-file", READY];
        // Without a layout mounts cannot be told apart; there is but one.
        if layout() != Some("none") {
            arguments.extend(["--mount", MOUNT]);
        }
        let child = nfs_trace(&arguments)
            .args(if capture {
                &["--record", RECORDING][..]
            } else {
                &[]
            })
            .stdin(Stdio::null())
            .stdout(File::create(ROWS).with_context(|| format!("create {ROWS}"))?)
            .stderr(File::create(ERRORS).with_context(|| format!("create {ERRORS}"))?)
            .spawn()
            .with_context(|| format!("start {TRACER_PATH}"))?;
        let mut tracer = Self(child);
        if !tracer.wait_until(ARMED_WITHIN, |_| Path::new(READY).exists())? {
            bail!(
                "nfs-trace was not armed within {ARMED_WITHIN:?}: {}",
                said()
            );
        }
        Ok(tracer)
    }

    /// Ends it as a user would, and sums up what it reported.
    pub(crate) fn stop(mut self) -> Result<Trace> {
        let pid = Pid::from_child(&self.0);
        kill_process(pid, Signal::INT).context("send SIGINT to nfs-trace")?;
        let deadline = Instant::now() + ENDED_WITHIN;
        let status = loop {
            if let Some(status) = self.0.try_wait()? {
                break status;
            }
            if Instant::now() > deadline {
                bail!(
                    "nfs-trace did not end within {ENDED_WITHIN:?} of SIGINT: {}",
                    said()
                );
            }
            thread::sleep(Duration::from_millis(10));
        };
        if !status.success() {
            bail!("nfs-trace ended with {status}: {}", said());
        }
        let rows = fs::read_to_string(ROWS).with_context(|| format!("read {ROWS}"))?;
        let trace = trace::summarise(&rows)?;
        for (key, asked) in [("transport", transport()), ("layout", layout())] {
            ensure!(
                asked.is_none_or(|asked| trace.start[key] == asked),
                "{key} is not {asked:?}: {}",
                trace.start
            );
        }
        Ok(trace)
    }

    /// What the last run recorded, in hexadecimal.
    pub(crate) fn captured() -> Result<String> {
        let bytes = fs::read(RECORDING).with_context(|| format!("read {RECORDING}"))?;
        Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
    }

    fn wait_until(&mut self, limit: Duration, met: impl Fn(&Child) -> bool) -> Result<bool> {
        let deadline = Instant::now() + limit;
        while Instant::now() < deadline {
            if met(&self.0) {
                return Ok(true);
            }
            if let Some(status) = self.0.try_wait()? {
                bail!(
                    "nfs-trace ended with {status} before it was armed: {}",
                    said()
                );
            }
            thread::sleep(Duration::from_millis(10));
        }
        Ok(false)
    }
}

impl Drop for Tracer {
    /// A scenario that failed must not leave its tracer to the next one.
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The end of what nfs-trace wrote to its standard error.
fn said() -> String {
    let text = fs::read_to_string(ERRORS).unwrap_or_default();
    let lines: Vec<&str> = text.lines().rev().take(20).collect();
    lines.into_iter().rev().collect::<Vec<_>>().join(" | ")
}
