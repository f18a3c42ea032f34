//! The self-test's own directory on the mount, and what earlier ones left behind.
//!
//! `.nfs-trace-check-UID/RUN/` with RUN = boot id, pid and start time of the process that
//! made it, so that a later run knows whether it is still in use. Everything is reached
//! through directory descriptors and never through a symbolic link.

use std::{
    fs, io,
    os::fd::OwnedFd,
    path::{Path, PathBuf},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use rustix::{
    fs::{AtFlags, CWD, Dir, FileType, Mode, OFlags, fstat, mkdirat, openat, statat, unlinkat},
    io::Errno,
};

use crate::check::holders::started;

/// What the name of every such directory begins with.
pub const PREFIX: &str = ".nfs-trace-check-";
/// The file that is held, and the one that is renamed over it.
pub const FILES: [&str; 2] = ["file", "new"];
/// A directory of another machine (or boot) is in use for seconds; after this long it is
/// left over.
const FOREIGN_FOR: Duration = Duration::from_secs(3600);
const DIRECTORY: OFlags = OFlags::DIRECTORY
    .union(OFlags::NOFOLLOW)
    .union(OFlags::CLOEXEC);

/// A directory that was made for this run.
#[derive(Debug)]
pub struct OwnDir {
    target: OwnedFd,
    top: OwnedFd,
    top_name: String,
    run_name: String,
    /// Where the files are made.
    pub dir: OwnedFd,
    /// Its path, to be shown.
    pub path: PathBuf,
}

impl OwnDir {
    /// Makes it below `target`, and removes what dead runs left there.
    ///
    /// # Errors
    /// If the directory cannot be made; EEXIST or ENOTDIR if somebody else's is in its place.
    pub fn make(target: &Path) -> io::Result<Self> {
        let target_fd = openat(CWD, target, DIRECTORY | OFlags::PATH, Mode::empty())?;
        let uid = rustix::process::geteuid().as_raw();
        let top_name = format!("{PREFIX}{uid}");
        let run_name = own_run()?;
        // Another run may remove the empty top directory at any time.
        for _ in 0..8 {
            match mkdirat(&target_fd, &top_name, Mode::RWXU) {
                Ok(()) | Err(Errno::EXIST) => {}
                Err(error) => return Err(error.into()),
            }
            let top = match openat(&target_fd, &top_name, DIRECTORY, Mode::empty()) {
                Err(Errno::NOENT) => continue,
                top => top?,
            };
            match mkdirat(&top, &run_name, Mode::RWXU) {
                Err(Errno::NOENT) => continue,
                made => made?,
            }
            let own = Self {
                path: target.join(&top_name).join(&run_name),
                dir: openat(&top, &run_name, DIRECTORY, Mode::empty())?,
                target: target_fd,
                top,
                top_name,
                run_name,
            };
            // Whoever owns the top directory could put something else in our place. (With
            // root squashed the owner is not who we are, but it is the same for both.)
            if fstat(&own.top)?.st_uid != fstat(&own.dir)?.st_uid {
                let _ = own.remove();
                return Err(Errno::EXIST.into());
            }
            remove_dead(&own.top);
            return Ok(own);
        }
        Err(Errno::BUSY.into())
    }

    /// Removes it with its files.
    ///
    /// # Errors
    /// If something stays behind.
    pub fn remove(self) -> io::Result<()> {
        remove_files(&self.dir)?;
        unlinkat(&self.top, &self.run_name, AtFlags::REMOVEDIR)?;
        match unlinkat(&self.target, &self.top_name, AtFlags::REMOVEDIR) {
            // Another run is at work in it.
            Ok(()) | Err(Errno::NOTEMPTY | Errno::EXIST | Errno::NOENT) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}

/// Removes the files that a run may have made; nothing else, and through no link.
///
/// Before 4.18 the check of a cached name finds that its file has no link left, and answers
/// ENOENT without asking for the name (nfs_lookup_verify_inode(), fs/nfs/dir.c): what a second
/// client has renamed over it is still there. Listing the directory shows it, and has the client
/// look the name up.
fn remove_files(dir: &OwnedFd) -> rustix::io::Result<()> {
    unlink_files(dir)?;
    let left = Dir::read_from(dir)?.flatten().any(|entry| {
        FILES
            .iter()
            .any(|name| entry.file_name().to_bytes() == name.as_bytes())
    });
    if left { unlink_files(dir) } else { Ok(()) }
}

fn unlink_files(dir: &OwnedFd) -> rustix::io::Result<()> {
    FILES
        .iter()
        .try_for_each(|name| match unlinkat(dir, *name, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            Err(error) => Err(error),
        })
}

/// Removes the directories of runs that are over. What cannot be removed stays for the
/// next one.
fn remove_dead(top: &OwnedFd) {
    let Ok(entries) = Dir::read_from(top) else {
        return;
    };
    for entry in entries.flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        if name != "." && name != ".." && is_over(top, &name) {
            let _ = openat(top, &*name, DIRECTORY, Mode::empty())
                .and_then(|dir| remove_files(&dir))
                .and_then(|()| unlinkat(top, &*name, AtFlags::REMOVEDIR));
        }
    }
}

fn is_over(top: &OwnedFd, run: &str) -> bool {
    let Some((boot, pid, start)) = parse_run(run) else {
        return false;
    };
    if boot_id().is_ok_and(|own| own == boot) {
        return started(pid) != Some(start);
    }
    let Ok(stat) = statat(top, run, AtFlags::SYMLINK_NOFOLLOW) else {
        return false;
    };
    let changed = UNIX_EPOCH + Duration::from_secs(u64::try_from(stat.st_mtime).unwrap_or(0));
    FileType::from_raw_mode(stat.st_mode) == FileType::Directory
        && SystemTime::now()
            .duration_since(changed)
            .is_ok_and(|age| age > FOREIGN_FOR)
}

/// `BOOT.PID.START`
fn own_run() -> io::Result<String> {
    let pid = std::process::id();
    let start = started(pid).ok_or_else(|| io::Error::other("/proc/self/stat is odd"))?;
    Ok(format!("{}.{pid}.{start}", boot_id()?))
}

fn parse_run(run: &str) -> Option<(&str, u32, u64)> {
    let mut words = run.split('.');
    let parsed = (
        words.next()?,
        words.next()?.parse().ok()?,
        words.next()?.parse().ok()?,
    );
    words.next().is_none().then_some(parsed)
}

/// The first part of this boot's id: enough to tell machines and boots apart.
fn boot_id() -> io::Result<String> {
    let id = fs::read_to_string("/proc/sys/kernel/random/boot_id")?;
    Ok(id.split('-').next().unwrap_or_default().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Scratch(PathBuf);

    impl Scratch {
        fn new(name: &str) -> Self {
            let path =
                std::env::temp_dir().join(format!("nfs-trace-{}-{name}", std::process::id()));
            fs::create_dir_all(&path).unwrap();
            Self(path)
        }

        fn names(&self) -> Vec<String> {
            fs::read_dir(&self.0)
                .unwrap()
                .map(|entry| entry.unwrap().file_name().into_string().unwrap())
                .collect()
        }
    }

    impl Drop for Scratch {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    fn top() -> String {
        format!("{PREFIX}{}", rustix::process::geteuid().as_raw())
    }

    #[test]
    fn nothing_is_left_of_a_run() {
        let scratch = Scratch::new("run");
        let own = OwnDir::make(&scratch.0).unwrap();
        fs::write(own.path.join("file"), "x").unwrap();
        assert_eq!(scratch.names(), [top()]);
        own.remove().unwrap();
        assert_eq!(scratch.names(), [""; 0]);
    }

    #[test]
    fn dead_runs_are_removed_and_living_ones_are_not() {
        let scratch = Scratch::new("dead");
        let boot = boot_id().unwrap();
        let dead = format!("{boot}.{}.1", std::process::id());
        let alive = format!("{boot}.1.{}", started(1).unwrap());
        let foreign = "00000000.1.1".to_string();
        for run in [&dead, &alive, &foreign] {
            let path = scratch.0.join(top()).join(run);
            fs::create_dir_all(&path).unwrap();
            fs::write(path.join("file"), "x").unwrap();
        }
        let own = OwnDir::make(&scratch.0).unwrap();
        let left = |run: &str| scratch.0.join(top()).join(run).exists();
        assert!(!left(&dead));
        assert!(left(&alive) && left(&foreign));
        own.remove().unwrap();
        assert!(left(&alive) && left(&foreign), "the others' stay");
    }

    #[test]
    fn a_link_in_its_place_is_not_followed() {
        let scratch = Scratch::new("link");
        let elsewhere = Scratch::new("elsewhere");
        fs::write(elsewhere.0.join("file"), "precious").unwrap();
        std::os::unix::fs::symlink(&elsewhere.0, scratch.0.join(top())).unwrap();
        OwnDir::make(&scratch.0).unwrap_err();
        assert_eq!(elsewhere.names(), ["file"]);

        // A run that is a link: its name says it is dead.
        let other = Scratch::new("link-run");
        fs::create_dir(other.0.join(top())).unwrap();
        let dead = format!("{}.{}.1", boot_id().unwrap(), std::process::id());
        std::os::unix::fs::symlink(&elsewhere.0, other.0.join(top()).join(dead)).unwrap();
        OwnDir::make(&other.0).unwrap().remove().unwrap();
        assert_eq!(elsewhere.names(), ["file"]);
    }
}
