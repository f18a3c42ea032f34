//! Where checks take place: two mounts of one server, and a directory for each check.

use std::{
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail, ensure};
use lab_contract::protocol::NfsVersion;

use crate::{boot::command, client, server::EXPORT};

/// The second mount, over another minor version: a super block of its own.
pub(crate) const OTHER: &str = "/other";
/// Links to /init: a program is called what its link is called.
const PROGRAMS: &str = "/tmp/programs";

/// A check's own directory.
pub(crate) struct Ground {
    /// On the server's file system.
    pub(crate) server: PathBuf,
    /// The same on the first mount.
    pub(crate) client: PathBuf,
    /// The same on the second one.
    pub(crate) other: PathBuf,
}

/// Mounts, and installs the programs.
pub(crate) fn prepare(version: NfsVersion) -> Result<()> {
    install()?;
    mount_both(version)
}

/// Installs what shell scripts need, and the programs that open files.
pub(crate) fn install() -> Result<()> {
    command("busybox", &["--install", "-s", "/usr/bin"])?;
    fs::create_dir_all(PROGRAMS).with_context(|| format!("create {PROGRAMS}"))?;
    fs::create_dir_all(OTHER).with_context(|| format!("create {OTHER}"))?;
    for name in ["alpha", "beta", "gamma", "delta"] {
        symlink("/init", program(name)).with_context(|| format!("link {name}"))?;
    }
    Ok(())
}

pub(crate) fn mount_both(version: NfsVersion) -> Result<()> {
    client::mount(version)?;
    client::mount_at(other(version)?, OTHER)
}

/// The version of the second mount: v4.0 beside the others, where there is one.
pub(crate) fn other(version: NfsVersion) -> Result<NfsVersion> {
    let lacks_v40 = client::lacks(NfsVersion::V40)?.is_some();
    Ok(match version {
        NfsVersion::V40 => NfsVersion::V41,
        NfsVersion::V41 if lacks_v40 => NfsVersion::V42,
        NfsVersion::V42 if lacks_v40 => NfsVersion::V41,
        _ => NfsVersion::V40,
    })
}

/// The path of a program of that name.
pub(crate) fn program(name: &str) -> PathBuf {
    Path::new(PROGRAMS).join(name)
}

impl Ground {
    pub(crate) fn new(check: &str) -> Result<Self> {
        let ground = Self {
            server: Path::new(EXPORT).join(check),
            client: Path::new(client::MOUNT).join(check),
            other: Path::new(OTHER).join(check),
        };
        fs::create_dir(&ground.server)
            .with_context(|| format!("create {}", ground.server.display()))?;
        Ok(ground)
    }

    /// Writes a file on the server, with the folders it is in.
    pub(crate) fn file(&self, name: &str) -> Result<()> {
        let path = self.server.join(name);
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder).with_context(|| format!("create {}", folder.display()))?;
        }
        fs::write(&path, "old\n").with_context(|| format!("write {}", path.display()))
    }

    /// The name of one of its files on the first mount.
    pub(crate) fn name(&self, file: &str) -> String {
        self.client.join(file).display().to_string()
    }

    /// Runs the workload `rename-over`, which was prepared.
    pub(crate) fn rename_over(&self) -> Result<()> {
        let status = Command::new("/init")
            .args(["workload", "rename-over"])
            .args([&self.client, &self.server])
            .stdout(Stdio::null())
            .status()
            .context("run the workload")?;
        ensure!(status.success(), "the workload ended with {status}");
        Ok(())
    }

    /// Writes a file and has the program `comm` open it that many times.
    pub(crate) fn opens(&self, comm: &str, times: u64, file: &str) -> Result<()> {
        if !self.server.join(file).exists() {
            self.file(file)?;
        }
        read(comm, times, &self.name(file))
    }
}

/// Has the program `comm` open a file that many times.
pub(crate) fn read(comm: &str, times: u64, path: &str) -> Result<()> {
    let output = Command::new(program(comm))
        .args(["reader", &times.to_string(), path])
        .output()
        .with_context(|| format!("run {comm}"))?;
    ensure!(
        output.status.success(),
        "{comm} could not read {path}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(())
}

/// Waits until `met` says so.
pub(crate) fn wait_for(
    what: &str,
    limit: Duration,
    mut met: impl FnMut() -> Result<bool>,
) -> Result<()> {
    let deadline = Instant::now() + limit;
    while !met()? {
        if Instant::now() > deadline {
            bail!("{what}: not within {limit:?}");
        }
        thread::sleep(Duration::from_millis(10));
    }
    Ok(())
}

/// The processes whose command line begins with these words: pid and state.
pub(crate) fn processes(words: &[&str]) -> Result<Vec<(i32, char)>> {
    let wanted = words.join("\0");
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc").context("read /proc")? {
        let path = entry?.path();
        let pid = path.file_name().and_then(|name| name.to_str());
        let Some(pid) = pid.and_then(|name| name.parse().ok()) else {
            continue;
        };
        // Gone since the directory was read.
        let (Ok(line), Ok(stat)) = (
            fs::read_to_string(path.join("cmdline")),
            fs::read_to_string(path.join("stat")),
        ) else {
            continue;
        };
        let state = stat
            .rsplit(") ")
            .next()
            .and_then(|rest| rest.chars().next());
        if line.starts_with(&wanted) {
            found.push((pid, state.unwrap_or('?')));
        }
    }
    Ok(found)
}
