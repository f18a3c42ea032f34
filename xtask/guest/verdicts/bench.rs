//! One cell while it is measured: its directory, the runs of `nfs-trace check`, and what they
//! leave behind.

use std::{
    fs,
    os::unix::process::CommandExt as _,
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result};
use lab_contract::{
    protocol::{NfsVersion, TRACER_PATH},
    verdicts::{Asked, Held, Measured, Mounted},
};
use rustix::{
    io::Errno,
    mount::{UnmountFlags, unmount},
};

use crate::{
    checks::{
        ground::{Ground, OTHER, wait_for},
        tool::Tool,
    },
    client,
    server::EXPORT,
};

/// A second mount of the export, read-only.
pub(super) const READ_ONLY: &str = "/ro";
/// The mount of the export where root is squashed.
pub(super) const SQUASHED: &str = "/squash";
/// Removing an open file ends with a worker of the client's, after the process.
const CLEAN_WITHIN: Duration = Duration::from_secs(1);
/// What was killed is cleaned up after by others.
const CLEAN_AFTER_KILL: Duration = Duration::from_secs(5);
/// A mount stays busy until the last killed process has given up its files.
const FREE_WITHIN: Duration = Duration::from_secs(10);

/// One cell.
pub(super) struct Bench<'a> {
    pub(super) ground: Ground,
    /// What the next answer has to be about.
    pub(super) about: Vec<Mounted>,
    /// Looks like something left behind, and is the case's own.
    pub(super) planted: Option<PathBuf>,
    measured: &'a mut Measured,
    mount_points: Vec<String>,
}

/// A run that is not over.
pub(super) struct Running {
    pub(super) tool: Tool,
    label: String,
    started: Instant,
}

impl<'a> Bench<'a> {
    pub(super) fn new(measured: &'a mut Measured) -> Result<Self> {
        let cell = &measured.cell;
        let with = if cell.delegations { "-delegations" } else { "" };
        let name = format!("{}-{}{with}", cell.case, cell.version);
        Ok(Self {
            ground: Ground::new(&name)?,
            about: vec![mounted(client::MOUNT, cell.version)],
            planted: None,
            mount_points: mount_points()?,
            measured,
        })
    }

    pub(super) fn case(&self) -> &str {
        &self.measured.cell.case
    }

    pub(super) fn version(&self) -> NfsVersion {
        self.measured.cell.version
    }

    pub(super) fn delegations(&self) -> bool {
        self.measured.cell.delegations
    }

    /// Mounts what the server calls `source`; the answers are to be about this one.
    pub(super) fn mount(&mut self, source: &str, target: &str, options: &str) -> Result<()> {
        fs::create_dir_all(target).with_context(|| format!("create {target}"))?;
        client::mount_with(self.version(), source, target, options)?;
        self.about = vec![mounted(target, self.version())];
        self.now_mounted()
    }

    /// What is mounted now belongs to the case.
    pub(super) fn now_mounted(&mut self) -> Result<()> {
        self.mount_points = mount_points()?;
        Ok(())
    }

    /// Runs `nfs-trace check` to its end.
    pub(super) fn check(&mut self, label: &str, arguments: &[&str]) -> Result<()> {
        let running = self.start(label, arguments)?;
        self.finish(running)
    }

    /// The same in another directory.
    pub(super) fn check_in(&mut self, dir: &Path, label: &str, arguments: &[&str]) -> Result<()> {
        let running = start(label, arguments, |command| {
            command.current_dir(dir);
        })?;
        self.finish(running)
    }

    /// The same as another user.
    pub(super) fn check_as(&mut self, uid: u32, label: &str, arguments: &[&str]) -> Result<()> {
        let running = start(label, arguments, |command| {
            command.uid(uid).gid(uid);
        })?;
        self.finish(running)
    }

    /// Starts `nfs-trace check`.
    pub(super) fn start(&mut self, label: &str, arguments: &[&str]) -> Result<Running> {
        start(label, arguments, |_| {})
    }

    /// Waits for the end of a run, and keeps what it printed and left.
    pub(super) fn finish(&mut self, running: Running) -> Result<()> {
        let Running {
            tool,
            label,
            started,
        } = running;
        let ended = tool.end().with_context(|| label.clone())?;
        let took_ms = started.elapsed().as_millis() as u64;
        let killed = ended.status > 128;
        let limit = if killed {
            CLEAN_AFTER_KILL
        } else {
            CLEAN_WITHIN
        };
        self.measured.asked.push(Asked {
            label,
            status: ended.status,
            out: ended.out,
            err: ended.err,
            took_ms,
            mounts: self.about.clone(),
            left: self.left(limit)?,
        });
        Ok(())
    }

    /// What the last run printed on stdout.
    pub(super) fn last_answer(&self) -> &str {
        let last = self.measured.asked.last();
        last.map_or("", |asked| asked.out.as_str())
    }

    /// As if the last run had not been.
    pub(super) fn forget_last(&mut self) {
        self.measured.asked.pop();
    }

    /// The last run was killed together with all that could clean up: what it left does not count.
    pub(super) fn forgive(&mut self) {
        if let Some(asked) = self.measured.asked.last_mut() {
            asked.left.clear();
        }
    }

    pub(super) fn held(&mut self, held: Held) {
        self.measured.held = Some(held);
    }

    pub(super) fn skip(&mut self, why: String) {
        self.measured.skipped = Some(why);
    }

    /// What is there and was not there before, if it does not go away.
    pub(super) fn left(&self, limit: Duration) -> Result<Vec<String>> {
        let deadline = Instant::now() + limit;
        loop {
            let left = self.left_now()?;
            if left.is_empty() || Instant::now() > deadline {
                return Ok(left);
            }
            thread::sleep(Duration::from_millis(50));
        }
    }

    fn left_now(&self) -> Result<Vec<String>> {
        let files = own_files()?;
        let files = files
            .iter()
            .filter(|path| Some(*path) != self.planted.as_ref());
        let mut left: Vec<String> = files.map(|path| path.display().to_string()).collect();
        let mounts = mount_points()?;
        let new = mounts.iter().filter(|it| !self.mount_points.contains(it));
        left.extend(new.map(|point| format!("mount {point}")));
        left.extend(tools()?.iter().map(|pid| format!("process {pid}")));
        Ok(left)
    }
}

fn start(
    label: &str,
    arguments: &[&str],
    change: impl FnOnce(&mut std::process::Command),
) -> Result<Running> {
    let started = Instant::now();
    let all = [&["check", "--format", "json"], arguments].concat();
    let tool = Tool::spawn(&all, |command, _| {
        change(command);
        Ok(())
    })?;
    Ok(Running {
        tool,
        label: label.to_owned(),
        started,
    })
}

pub(super) fn mounted(path: &str, version: NfsVersion) -> Mounted {
    Mounted {
        path: path.to_owned(),
        version,
    }
}

/// Unmounts what cells mount.
pub(super) fn unmount_all() -> Result<()> {
    let mounted = mount_points()?;
    for point in [SQUASHED, READ_ONLY, OTHER, client::MOUNT] {
        if !mounted.iter().any(|it| it == point) {
            continue;
        }
        wait_for(&format!("unmount {point}"), FREE_WITHIN, || {
            match unmount(point, UnmountFlags::empty()) {
                Ok(()) => Ok(true),
                Err(Errno::BUSY) => Ok(false),
                Err(error) => Err(error).with_context(|| format!("unmount {point}")),
            }
        })?;
    }
    Ok(())
}

fn mount_points() -> Result<Vec<String>> {
    let path = "/proc/self/mountinfo";
    let text = fs::read_to_string(path).with_context(|| format!("read {path}"))?;
    let point = |line: &str| line.split(' ').nth(4).map(str::to_owned);
    Ok(text.lines().filter_map(point).collect())
}

/// Files of nfs-trace on the server, and such as the client renamed because they were open.
pub(super) fn own_files() -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut folders = vec![PathBuf::from(EXPORT)];
    while let Some(folder) = folders.pop() {
        let entries =
            fs::read_dir(&folder).with_context(|| format!("read {}", folder.display()))?;
        for entry in entries {
            let entry = entry?;
            if entry.file_name().to_string_lossy().starts_with(".nfs") {
                found.push(entry.path());
            } else if entry.file_type()?.is_dir() {
                folders.push(entry.path());
            }
        }
    }
    Ok(found)
}

/// The running processes of nfs-trace, under whatever name.
pub(super) fn tools() -> Result<Vec<i32>> {
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc").context("read /proc")? {
        let path = entry?.path();
        let pid = path.file_name().and_then(|name| name.to_str());
        let Some(pid) = pid.and_then(|name| name.parse().ok()) else {
            continue;
        };
        if fs::read_link(path.join("exe")).is_ok_and(|exe| exe == Path::new(TRACER_PATH)) {
            found.push(pid);
        }
    }
    Ok(found)
}
