//! Who has files of a mount open, from /proc/PID/fd.
//!
//! The server is never asked: readlink of /proc/PID/fd/N is made from names that the kernel
//! has in memory, and fdinfo from the open file itself. A stat of the same link would send a
//! GETATTR, and would hang where the server is gone.

mod parse;

use std::{
    collections::{HashMap, HashSet},
    fs, io,
    path::{Path, PathBuf},
};

use serde::Serialize;

use crate::mounts::{self, Mount};

/// O_PATH (include/uapi/asm-generic/fcntl.h): names a file and has not opened it.
const O_PATH: u32 = 0o10_000_000;

/// Whose opens share open state: an NFSv4 client has one open owner for all processes in
/// which these agree, groups in their order included (cred_fscmp() in the kernel).
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
pub struct Cred {
    /// File system user id.
    pub uid: u32,
    /// File system group id.
    pub gid: u32,
    /// Supplementary groups.
    pub groups: Vec<u32>,
}

/// An open file of a process.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Holder {
    /// Process.
    pub pid: u32,
    /// When it was started, in ticks since boot: tells it from a later process of that pid.
    pub start_time: u64,
    /// Its command name, safe to show.
    pub command: String,
    /// File descriptor.
    pub fd: u32,
    /// O_* flags; O_CREAT, O_EXCL and O_TRUNC are gone once a file is open.
    pub flags: u32,
    /// s_dev of the mount.
    pub dev: u32,
    /// Its path, as the process's own mount namespace has it.
    pub path: PathBuf,
    /// Whether the path no longer leads to it. A name that ends in ` (deleted)` looks the same.
    pub deleted: bool,
    /// Inode number, which is the fileid; kernels before 5.14 do not tell it.
    pub ino: Option<u64>,
    /// Who the process is now. The file may have been opened by another user: the process
    /// itself before it changed users, or another one that handed the descriptor on.
    pub cred: Cred,
}

/// All that was found at one time.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Scan {
    /// Open files, in no order.
    pub holders: Vec<Holder>,
    /// Processes whose open files may not be seen: run as root to see them.
    pub unreadable: usize,
}

/// Finds who has files of these mounts (s_dev) open, in any mount namespace. Files of a mount
/// that was detached (`umount -l`) are in no mountinfo and are left out.
///
/// # Errors
/// If /proc cannot be read at all.
pub fn scan(devs: &[u32]) -> io::Result<Scan> {
    Walk::new(Path::new("/proc"), devs)?.run()
}

/// Who a thread is now (a process's id is its first thread's); nothing if it is gone, or in the
/// middle of being someone else for a while (setfsuid(2), seteuid(2)), so that what it was a
/// moment ago cannot be told.
#[must_use]
pub fn cred_of(tid: u32) -> Option<Cred> {
    let status = fs::read_to_string(format!("/proc/{tid}/status")).ok()?;
    let ids = parse::ids(&status)?;
    ids.steady.then_some(ids.cred)
}

/// When a process was started, in ticks since boot; nothing once it has ended.
#[must_use]
pub fn started(pid: u32) -> Option<u64> {
    let stat = parse::stat(&fs::read(format!("/proc/{pid}/stat")).ok()?)?;
    (!stat.ended).then_some(stat.start_time)
}

struct Walk<'a> {
    proc: &'a Path,
    devs: &'a [u32],
    /// mnt_id -> s_dev. These ids are unique in the whole kernel, so those of several mount
    /// namespaces can stand in one map.
    ids: HashMap<u64, u32>,
    /// Mount namespaces that are in it, and the root from which each was seen: mountinfo
    /// shows only what lies below it.
    views: HashSet<(PathBuf, PathBuf)>,
    /// Where the mounts of this namespace are.
    here: Vec<Mount>,
    found: Scan,
}

impl<'a> Walk<'a> {
    fn new(proc: &'a Path, devs: &'a [u32]) -> io::Result<Self> {
        let mountinfo = fs::read_to_string(proc.join("self/mountinfo"))?;
        Ok(Self {
            proc,
            devs,
            ids: parse::mount_ids(&mountinfo).collect(),
            views: view(&proc.join("self")).into_iter().collect(),
            here: mountinfo.lines().filter_map(mounts::parse).collect(),
            found: Scan::default(),
        })
    }

    fn run(mut self) -> io::Result<Scan> {
        for entry in fs::read_dir(self.proc)?.flatten() {
            if let Some(pid) = number(&entry.file_name()) {
                self.process(pid);
            }
        }
        Ok(self.found)
    }

    fn process(&mut self, pid: u32) {
        let dir = self.proc.join(pid.to_string());
        let list = match fs::read_dir(dir.join("fd")) {
            Ok(list) => list,
            Err(error) => {
                // Anything else means that the process has ended meanwhile.
                let denied = error.kind() == io::ErrorKind::PermissionDenied;
                self.found.unreadable += usize::from(denied);
                return;
            }
        };
        let mut process = None;
        for entry in list.flatten() {
            let Some(fd) = number(&entry.file_name()) else {
                continue;
            };
            let Some((path, info, dev)) = self.file(&dir, fd) else {
                continue;
            };
            let who = process.get_or_insert_with(|| who(&dir));
            let Some((stat, cred)) = who else {
                return;
            };
            let (path, deleted) = parse::without_deleted(path);
            self.found.holders.push(Holder {
                pid,
                start_time: stat.start_time,
                command: stat.command.clone(),
                fd,
                flags: info.flags,
                dev,
                path,
                deleted,
                ino: info.ino,
                cred: cred.clone(),
            });
        }
    }

    /// Path, fdinfo and mount of an open file, if it is one and of a mount that matters.
    fn file(&mut self, dir: &Path, fd: u32) -> Option<(PathBuf, parse::FdInfo, u32)> {
        let path = fs::read_link(dir.join(format!("fd/{fd}"))).ok()?;
        // Not `pipe:[1]`, `socket:[2]` and the like, of which there are many.
        if !path.is_absolute() {
            return None;
        }
        let info = fs::read_to_string(dir.join(format!("fdinfo/{fd}"))).ok()?;
        let info = parse::fd_info(&info)?;
        let dev = match info.mnt_id {
            Some(id) => self.dev(id, dir)?,
            None => self.dev_by_path(&path, dir)?,
        };
        (info.flags & O_PATH == 0 && self.devs.contains(&dev)).then_some((path, info, dev))
    }

    fn dev(&mut self, mnt_id: u64, dir: &Path) -> Option<u32> {
        if let Some(dev) = self.ids.get(&mnt_id) {
            return Some(*dev);
        }
        // Another mount namespace, or a mount that only the kernel has (as memfd's): ask for a
        // namespace once.
        let view = view(dir)?;
        if !self.views.contains(&view) {
            let mountinfo = fs::read_to_string(dir.join("mountinfo")).ok()?;
            self.ids.extend(parse::mount_ids(&mountinfo));
            self.views.insert(view);
        }
        self.ids.get(&mnt_id).copied()
    }

    /// Before 3.15: by the path, which means something here only in the same namespace.
    fn dev_by_path(&self, path: &Path, dir: &Path) -> Option<u32> {
        let mine = fs::read_link(self.proc.join("self/ns/mnt")).ok()?;
        let is_here = fs::read_link(dir.join("ns/mnt")).ok()? == mine;
        let mount = is_here.then(|| mounts::covering(&self.here, path))?;
        mount.map(|mount| mount.dev)
    }
}

fn view(process: &Path) -> Option<(PathBuf, PathBuf)> {
    let link = |name| fs::read_link(process.join(name)).ok();
    Some((link("ns/mnt")?, link("root")?))
}

fn who(dir: &Path) -> Option<(parse::Stat, Cred)> {
    let stat = parse::stat(&fs::read(dir.join("stat")).ok()?)?;
    let status = fs::read_to_string(dir.join("status")).ok()?;
    Some((stat, parse::ids(&status)?.cred))
}

fn number(name: &std::ffi::OsStr) -> Option<u32> {
    name.to_str()?.parse().ok()
}

#[cfg(test)]
mod tests;
