//! The NFSv4 mounts of this mount namespace, from /proc/self/mountinfo.

use std::{
    fs, io,
    ops::Deref,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, bail};
use serde::{Deserialize, Serialize};

use crate::names::escape_path;

/// One line of mountinfo, as far as it matters here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mount {
    /// s_dev in the kernel's form: major in bits 20 and up.
    pub dev: u32,
    /// Where it is mounted.
    pub point: MountPoint,
    /// File system type.
    pub fs_type: String,
    /// What is mounted, as `server:/export`.
    pub source: String,
    /// `4.0`, `4.1`, `4.2`, for NFSv4.
    pub nfs_version: Option<String>,
}

/// A path that rows show, for which it is escaped once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "PathBuf", into = "PathBuf")]
pub struct MountPoint {
    path: PathBuf,
    shown: String,
}

impl MountPoint {
    /// As it is shown.
    #[must_use]
    pub fn shown(&self) -> &str {
        &self.shown
    }
}

impl Deref for MountPoint {
    type Target = Path;

    fn deref(&self) -> &Path {
        &self.path
    }
}

impl From<PathBuf> for MountPoint {
    fn from(path: PathBuf) -> Self {
        let shown = escape_path(&path);
        Self { path, shown }
    }
}

impl From<&str> for MountPoint {
    fn from(path: &str) -> Self {
        PathBuf::from(path).into()
    }
}

impl From<MountPoint> for PathBuf {
    fn from(point: MountPoint) -> Self {
        point.path
    }
}

/// Every mount, in the order in which they were mounted.
///
/// # Errors
/// If /proc is not mounted.
pub fn read() -> io::Result<Vec<Mount>> {
    Ok(fs::read_to_string("/proc/self/mountinfo")?
        .lines()
        .filter_map(parse)
        .collect())
}

/// The file system's own options of the mount at this mount point, as `rw,vers=4.1,...`;
/// the last one mounted there.
#[must_use]
pub fn super_options(point: &Path) -> Option<String> {
    let text = fs::read_to_string("/proc/self/mountinfo").ok()?;
    let line = text
        .lines()
        .rev()
        .find(|line| parse(line).is_some_and(|mount| *mount.point == *point))?;
    let (_, after) = line.split_once(" - ")?;
    after.split(' ').nth(2).map(ToString::to_string)
}

/// Only those of NFSv4.
#[must_use]
pub fn nfs4(mounts: Vec<Mount>) -> Vec<Mount> {
    mounts
        .into_iter()
        .filter(|mount| mount.nfs_version.is_some())
        .collect()
}

/// The path without symbolic links, `.` and `..`.
///
/// # Errors
/// If it does not exist.
pub fn real(path: &Path) -> anyhow::Result<PathBuf> {
    path.canonicalize()
        .with_context(|| format!("failed to find the mount of `{}`", path.display()))
}

/// The NFSv4 mount that holds `real`, which may lie anywhere below it and is [`real`]; asks no
/// file system. Errors speak of `path`.
///
/// # Errors
/// If it is on something else.
pub fn holding_real(mounts: &[Mount], real: &Path, path: &Path) -> anyhow::Result<Mount> {
    let mount =
        covering(mounts, real).with_context(|| format!("no mount holds `{}`", path.display()))?;
    if mount.nfs_version.is_some() {
        return Ok(mount.clone());
    }
    let known: Vec<_> = mounts
        .iter()
        .filter(|mount| mount.nfs_version.is_some())
        .map(|mount| mount.point.display().to_string())
        .collect();
    let here = if known.is_empty() {
        "there is no NFSv4 mount here".to_string()
    } else {
        format!("the NFSv4 mounts here are: {}", known.join(", "))
    };
    bail!(
        "`{}` is on {}, not NFSv4; {here}",
        path.display(),
        mount.fs_type
    );
}

/// The mount that a path without links is on; none of the paths is looked up.
#[must_use]
pub fn covering<'a>(mounts: &'a [Mount], path: &Path) -> Option<&'a Mount> {
    mounts
        .iter()
        .filter(|mount| path.starts_with(&*mount.point))
        // Of several at the same place this takes the last: it covers the others.
        .max_by_key(|mount| mount.point.components().count())
}

/// `36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw,errors=continue`,
/// see proc_pid_mountinfo(5).
pub(crate) fn parse(line: &str) -> Option<Mount> {
    let (before, after) = line.split_once(" - ")?;
    let mut before = before.split(' ').skip(2);
    let (major, minor) = before.next()?.split_once(':')?;
    let (major, minor): (u32, u32) = (major.parse().ok()?, minor.parse().ok()?);
    let point = unescape(before.nth(1)?);
    let mut after = after.split(' ');
    let fs_type = after.next()?.to_string();
    let source = unescape(after.next()?);
    let options = after.next().unwrap_or_default();
    let version = options
        .split(',')
        .find_map(|option| option.strip_prefix("vers="));
    let nfs_version = (fs_type == "nfs4" || fs_type == "nfs")
        .then(|| version.filter(|version| version.starts_with('4')))
        .flatten()
        // Old kernels say "4" for 4.0.
        .map(|version| {
            if version == "4" {
                "4.0".into()
            } else {
                version.to_string()
            }
        });
    let dev = major << 20 | minor;
    Some(Mount {
        dev,
        point: PathBuf::from(point).into(),
        fs_type,
        source,
        nfs_version,
    })
}

/// Spaces and the like are written as `\040`.
pub(crate) fn unescape(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, tail)) = rest.split_first() {
        let digits = tail
            .get(..3)
            .and_then(|digits| std::str::from_utf8(digits).ok());
        match digits.and_then(|digits| u8::from_str_radix(digits, 8).ok()) {
            Some(value) if byte == b'\\' => {
                bytes.push(value);
                rest = &tail[3..];
            }
            _ => {
                bytes.push(byte);
                rest = tail;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_nfs4_is_read() {
        let line = "100 29 0:53 / /mnt/a\\040b rw,relatime shared:1 - nfs4 \
                    srv:/x rw,vers=4.1,rsize=262144,proto=tcp";
        let mount = parse(line).unwrap();
        assert_eq!(*mount.point, *Path::new("/mnt/a b"));
        assert_eq!(mount.dev, 53);
        assert_eq!(mount.nfs_version.as_deref(), Some("4.1"));
        assert_eq!(mount.source, "srv:/x");
    }

    #[test]
    fn nfsv3_and_others_have_no_nfs4_version() {
        for line in [
            "100 29 0:53 / /mnt rw - nfs srv:/x rw,vers=3,proto=tcp",
            "100 29 8:1 / / rw - ext4 /dev/sda1 rw",
        ] {
            assert_eq!(parse(line).unwrap().nfs_version, None, "{line}");
        }
        let old = parse("100 29 0:53 / /mnt rw - nfs4 srv:/x rw,vers=4,proto=tcp").unwrap();
        assert_eq!(old.nfs_version.as_deref(), Some("4.0"));
    }

    #[test]
    fn odd_lines_are_left_out() {
        for line in ["", "1 2", "a b c d - e f", "1 2 x:y / / rw - t s o", " - "] {
            assert_eq!(parse(line), None, "{line}");
        }
    }

    #[test]
    fn a_path_on_something_else_names_the_mounts_there_are() {
        let mounts = [
            "1 0 8:1 / / rw - ext4 /dev/sda1 rw",
            "2 1 0:53 / /mnt/x rw - nfs4 s:/ rw,vers=4.2",
        ]
        .map(|line| parse(line).unwrap());
        let root = Path::new("/");
        let error = holding_real(&mounts, root, root).unwrap_err().to_string();
        assert_eq!(
            error,
            "`/` is on ext4, not NFSv4; the NFSv4 mounts here are: /mnt/x"
        );
    }

    /// As autofs has it: its own mount point is covered by what it mounts there.
    #[test]
    fn the_last_mount_at_a_place_covers_the_others() {
        let mounts = [
            "1 0 8:1 / / rw - ext4 /dev/sda1 rw",
            "2 1 0:40 / /home rw - autofs systemd-1 rw",
            "3 2 0:53 / /home rw - nfs4 s:/ rw,vers=4.2",
            "4 3 0:54 / /home/x rw - nfs4 t:/ rw,vers=4.2",
        ]
        .map(|line| parse(line).unwrap());
        let dev = |path: &str| covering(&mounts, Path::new(path)).unwrap().dev;
        assert_eq!(dev("/home/a/b"), 53);
        assert_eq!(dev("/home/x"), 54);
        assert_eq!(dev("/homework"), 8 << 20 | 1);
    }
}
