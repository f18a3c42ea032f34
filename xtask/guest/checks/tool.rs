//! nfs-trace as checks run it: started, armed, ended, and what it printed.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use anyhow::{Context as _, Result, bail, ensure};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use super::ground::wait_for;
use crate::tracer::nfs_trace;

/// From start to armed, and from a signal to the end, under TCG on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// nfs-trace while it runs.
pub(crate) struct Tool {
    child: Child,
    files: Files,
}

/// What one run printed.
pub(crate) struct Ended {
    /// As a shell shows it: 128 + signal for a signal.
    pub(crate) status: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

/// The lines of one run with `--format json`.
#[derive(Clone)]
pub(super) struct Report {
    pub(super) start: Value,
    pub(super) rows: Vec<Value>,
    /// What was said of the client's modules.
    pub(super) modules: Vec<Value>,
    pub(super) end: Value,
}

/// Where one run leaves its output.
struct Files(PathBuf);

impl Files {
    fn new() -> Self {
        static RUNS: AtomicU32 = AtomicU32::new(0);
        let run = RUNS.fetch_add(1, Ordering::Relaxed);
        Self(format!("/tmp/nfs-trace-{run}").into())
    }

    fn path(&self, kind: &str) -> PathBuf {
        self.0.with_extension(kind)
    }

    fn create(&self, kind: &str) -> Result<Stdio> {
        let path = self.path(kind);
        let file = File::create(&path).with_context(|| format!("create {}", path.display()))?;
        Ok(file.into())
    }

    fn text(&self, kind: &str) -> String {
        let bytes = fs::read(self.path(kind)).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }
}

impl Tool {
    /// Starts it as it is.
    pub(super) fn start(arguments: &[&str]) -> Result<Self> {
        Self::spawn(arguments, |_, _| Ok(()))
    }

    /// Starts it after `change` has had its say, on the command and on the name of a file.
    pub(crate) fn spawn(
        arguments: &[&str],
        change: impl FnOnce(&mut Command, &Path) -> Result<()>,
    ) -> Result<Self> {
        let files = Files::new();
        let mut command = nfs_trace(arguments);
        command
            .stdin(Stdio::null())
            .stdout(files.create("out")?)
            .stderr(files.create("err")?);
        change(&mut command, &files.path("ready"))?;
        let child = command.spawn().context("start nfs-trace")?;
        Ok(Self { child, files })
    }

    /// Starts `trace` and waits until it says that it is ready.
    pub(super) fn armed(arguments: &[&str]) -> Result<Self> {
        Self::armed_after(arguments, |_| Ok(()))
    }

    /// The same, after `change` has had its say.
    pub(super) fn armed_after(
        arguments: &[&str],
        change: impl FnOnce(&mut Command) -> Result<()>,
    ) -> Result<Self> {
        Self::armed_task("trace", arguments, change)
    }

    /// Starts `record` and waits until it says that it is ready.
    pub(super) fn recording(arguments: &[&str]) -> Result<Self> {
        Self::recording_after(arguments, |_| Ok(()))
    }

    /// The same, after `change` has had its say.
    pub(super) fn recording_after(
        arguments: &[&str],
        change: impl FnOnce(&mut Command) -> Result<()>,
    ) -> Result<Self> {
        Self::armed_task("record", arguments, change)
    }

    fn armed_task(
        task: &str,
        arguments: &[&str],
        change: impl FnOnce(&mut Command) -> Result<()>,
    ) -> Result<Self> {
        // The options must come before `-- COMMAND`.
        let mut tool = Self::spawn(&[task], |command, ready| {
            command.arg("--ready-file").arg(ready).args(arguments);
            change(command)
        })?;
        let ready = tool.files.path("ready");
        let Self { child, files } = &mut tool;
        wait_for("nfs-trace armed", PATIENCE, || {
            if let Some(status) = child.try_wait()?
                && !ready.exists()
            {
                bail!("nfs-trace ended with {status}: {}", files.text("err"));
            }
            Ok(ready.exists())
        })?;
        Ok(tool)
    }

    /// Starts it and waits for its end.
    pub(super) fn run(arguments: &[&str]) -> Result<Ended> {
        Self::start(arguments)?.end()
    }

    pub(crate) fn signal(&self, signal: Signal) -> Result<()> {
        kill_process(Pid::from_child(&self.child), signal).context("send a signal to nfs-trace")
    }

    /// Whether it was stopped, as by SIGSTOP.
    pub(super) fn is_stopped(&self) -> Result<bool> {
        let path = format!("/proc/{}/stat", self.child.id());
        let text = fs::read_to_string(&path).with_context(|| format!("read {path}"))?;
        Ok(text.contains(") T "))
    }

    /// How long it has been on a processor.
    pub(super) fn cpu_time(&self) -> Result<Duration> {
        let path = format!("/proc/{}/schedstat", self.child.id());
        let text = fs::read_to_string(&path).with_context(|| format!("read {path}"))?;
        let ns = text.split(' ').next().and_then(|ns| ns.parse().ok());
        ns.map(Duration::from_nanos)
            .with_context(|| format!("understand {path}: {text}"))
    }

    /// Bytes that it has written, to wherever.
    pub(super) fn written(&self) -> Result<u64> {
        let path = format!("/proc/{}/io", self.child.id());
        let text = fs::read_to_string(&path).with_context(|| format!("read {path}"))?;
        let bytes = text.lines().find_map(|line| line.strip_prefix("wchar: "));
        bytes
            .and_then(|bytes| bytes.parse().ok())
            .with_context(|| format!("understand {path}: {text}"))
    }

    /// What it has said on stderr so far.
    pub(super) fn said(&self) -> String {
        self.files.text("err")
    }

    /// What the kernel says of it.
    pub(super) fn status(&self) -> Result<String> {
        let path = format!("/proc/{}/status", self.child.id());
        fs::read_to_string(&path).with_context(|| format!("read {path}"))
    }

    /// Waits until it has said this on stderr so many times.
    pub(super) fn wait_said(&self, words: &str, times: usize) -> Result<()> {
        let said = || self.files.text("err");
        wait_for(&format!("`{words}` said"), PATIENCE, || {
            Ok(said().matches(words).count() >= times)
        })
        .with_context(|| format!("it said: {}", said()))
    }

    /// Whether it has said that every open is seen.
    pub(super) fn is_ready(&self) -> bool {
        self.files.path("ready").exists()
    }

    /// Ends it as Ctrl-C would.
    pub(super) fn stop(self) -> Result<Ended> {
        self.signal(Signal::INT)?;
        self.end()
    }

    /// Ends it as Ctrl-C would; its status must be 0 and its output JSON.
    pub(super) fn report(self) -> Result<Report> {
        let ended = self.stop()?;
        ended.expect(0)?;
        ended.report()
    }

    pub(super) fn stdout(&mut self) -> Result<std::process::ChildStdout> {
        self.child.stdout.take().context("read from nfs-trace")
    }

    pub(super) fn drop_stderr(&mut self) {
        drop(self.child.stderr.take());
    }

    pub(crate) fn is_running(&mut self) -> Result<bool> {
        Ok(self.child.try_wait()?.is_none())
    }

    /// Waits for its end.
    pub(crate) fn end(mut self) -> Result<Ended> {
        use std::os::unix::process::ExitStatusExt as _;
        let mut status = None;
        wait_for("nfs-trace ended", PATIENCE, || {
            status = self.child.try_wait()?;
            Ok(status.is_some())
        })
        .with_context(|| format!("it said: {}", self.files.text("err")))?;
        let status = status.context("wait for nfs-trace")?;
        let ended = Ended {
            status: status
                .code()
                .or(status.signal().map(|it| 128 + it))
                .unwrap_or(-1),
            out: self.files.text("out"),
            err: self.files.text("err"),
        };
        ensure!(
            !ended.err.contains("panicked"),
            "it panicked: {}",
            ended.err
        );
        Ok(ended)
    }
}

impl Drop for Tool {
    /// A check that failed must not leave its nfs-trace to the next one.
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Ended {
    /// Its rows of `--format json`, as they are.
    pub(super) fn rows(&self) -> Vec<&str> {
        let is_row = |line: &&str| line.starts_with("{\"type\":\"open\"");
        self.out.lines().filter(is_row).collect()
    }

    pub(super) fn expect(&self, status: i32) -> Result<()> {
        ensure!(
            self.status == status,
            "status {} instead of {status}; it said: {}",
            self.status,
            self.err.trim()
        );
        Ok(())
    }

    /// Fails with this status, and one line on stderr that holds all of `words`.
    pub(super) fn refuses(&self, status: i32, words: &[&str]) -> Result<()> {
        self.expect(status)?;
        let lines: Vec<&str> = self.err.lines().collect();
        ensure!(
            lines
                .iter()
                .filter(|line| line.starts_with("nfs-trace: "))
                .count()
                == 1,
            "not one sentence: {}",
            self.err
        );
        for word in words {
            ensure!(
                self.err.contains(word),
                "nothing of `{word}` in: {}",
                self.err
            );
        }
        Ok(())
    }

    /// The lines of `--format json`.
    pub(super) fn report(&self) -> Result<Report> {
        Report::parse(&self.out)
    }
}

impl Report {
    /// The lines of `--format json`, which must be `start`, `open` and `module` in any order,
    /// `end`.
    pub(super) fn parse(text: &str) -> Result<Self> {
        let mut lines = text
            .lines()
            .map(|line| serde_json::from_str(line).with_context(|| format!("parse `{line}`")))
            .collect::<Result<Vec<Value>>>()?;
        let end = lines.pop().context("find the end line")?;
        ensure!(end["type"] == "end", "the last line is {end}");
        ensure!(!lines.is_empty(), "there is no start line");
        let start = lines.remove(0);
        ensure!(start["type"] == "start", "the first line is {start}");
        let (rows, modules): (Vec<_>, Vec<_>) =
            lines.into_iter().partition(|line| line["type"] == "open");
        ensure!(
            modules.iter().all(|line| line["type"] == "module"),
            "a line is out of place"
        );
        ensure!(end["opens"] == rows.len(), "{} rows, but {end}", rows.len());
        Ok(Self {
            start,
            rows,
            modules,
            end,
        })
    }

    /// How many rows `choose` says yes to.
    pub(super) fn count(&self, choose: impl Fn(&Value) -> bool) -> usize {
        self.rows.iter().filter(|row| choose(row)).count()
    }

    /// Exactly so many rows, all complete, and nothing lost.
    pub(super) fn expect(&self, rows: usize) -> Result<()> {
        ensure!(
            self.rows.len() == rows,
            "{} rows instead of {rows}: {:?}",
            self.rows.len(),
            self.rows
                .iter()
                .map(|row| row["path"].to_string())
                .collect::<Vec<_>>()
        );
        ensure!(self.end["incomplete"] == 0, "incomplete rows: {}", self.end);
        for kind in ["records", "returns", "children", "undecodable"] {
            ensure!(self.end["lost"][kind] == 0, "lost {kind}: {}", self.end);
        }
        Ok(())
    }

    /// A number of the end line, by its JSON pointer.
    pub(super) fn number(&self, pointer: &str) -> Result<u64> {
        let value = self.end.pointer(pointer).and_then(Value::as_u64);
        value.with_context(|| format!("find {pointer} in {}", self.end))
    }
}
