//! Which mounts are checked, and with which file: the command line against the mounts.
//!
//! Asking a file system may take forever where its server does not answer, so a path is
//! looked at by a thread of its own, and only where its text does not tell.

use std::{
    fs,
    path::{Path, PathBuf, absolute},
    sync::mpsc,
    thread,
    time::Duration,
};

use crate::{
    exit::ExitError,
    mounts::{Mount, covering, holding_real},
    names::escape_path,
};

/// What is checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// The mount that the verdict is about.
    pub mount: Mount,
    /// A directory or a regular file on it.
    pub path: PathBuf,
    /// Whether `path` is a directory.
    pub directory: bool,
    /// Other mount points of the same super block, for which the verdict holds as well.
    pub also: Vec<PathBuf>,
    /// The server did not say what `path` is.
    pub unanswered: bool,
}

/// Every NFSv4 mount; those of the same super block together.
#[must_use]
pub fn all(mounts: &[Mount]) -> Vec<Plan> {
    let mut plans: Vec<Plan> = Vec::new();
    for mount in mounts.iter().filter(|mount| mount.nfs_version.is_some()) {
        if covering(mounts, &mount.point) != Some(mount) {
            // Something else is mounted over it: no path leads there.
            continue;
        }
        match plans.iter_mut().find(|plan| plan.mount.dev == mount.dev) {
            Some(plan) => plan.also.push(mount.point.to_path_buf()),
            None => plans.push(Plan {
                path: mount.point.to_path_buf(),
                mount: mount.clone(),
                directory: true,
                also: Vec::new(),
                unanswered: false,
            }),
        }
    }
    plans
}

/// The mounts and files that the user names.
///
/// # Errors
/// Wrong usage: what is not there, or not on NFSv4.
pub fn named(
    targets: &[PathBuf],
    mounts: &[Mount],
    patience: Duration,
) -> Result<Vec<Plan>, ExitError> {
    targets
        .iter()
        .map(|target| one(target, mounts, patience))
        .collect()
}

fn one(target: &Path, mounts: &[Mount], patience: Duration) -> Result<Plan, ExitError> {
    let usage = |error: String| ExitError::usage(error);
    let text =
        absolute(target).map_err(|error| usage(format!("`{}`: {error}", target.display())))?;
    let by_text = covering(mounts, &text).filter(|mount| mount.nfs_version.is_some());
    let plan = |mount: &Mount, path, directory, unanswered| Plan {
        mount: mount.clone(),
        path,
        directory,
        also: Vec::new(),
        unanswered,
    };
    if let Some(mount) = by_text
        && *mount.point == *text
    {
        return Ok(plan(mount, text, true, false));
    }
    let Some(looked) = look(text.clone(), patience) else {
        // The part of the path that is known says which server it hangs on.
        return match by_text {
            Some(mount) => Ok(plan(mount, text.clone(), true, true)),
            None => Err(usage(format!(
                "`{}` could not be looked at within {patience:?}: is it on a file system whose \
                 server does not answer? Name the mount point",
                target.display()
            ))),
        };
    };
    let (real, kind) = looked.map_err(|error| usage(format!("`{}`: {error}", target.display())))?;
    let mount = holding_real(mounts, &real, target).map_err(|error| usage(format!("{error:#}")))?;
    match kind {
        Looked::Directory => Ok(plan(&mount, real, true, false)),
        Looked::File => Ok(plan(&mount, real, false, false)),
        Looked::Other => Err(usage(format!(
            "`{}` is neither a directory nor a regular file",
            target.display()
        ))),
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Looked {
    Directory,
    File,
    Other,
}

/// The path without links, and what is there; nothing if that takes too long.
fn look(path: PathBuf, patience: Duration) -> Option<std::io::Result<(PathBuf, Looked)>> {
    let (sender, receiver) = mpsc::channel();
    // Left behind if it hangs: the process's end ends it.
    thread::spawn(move || {
        let looked = path.canonicalize().and_then(|real| {
            let kind = fs::symlink_metadata(&real)?.file_type();
            let kind = if kind.is_dir() {
                Looked::Directory
            } else if kind.is_file() {
                Looked::File
            } else {
                Looked::Other
            };
            Ok((real, kind))
        });
        let _ = sender.send(looked);
    });
    receiver.recv_timeout(patience).ok()
}

/// What is about to be done to the file system, for the user to read before it is.
#[must_use]
pub fn announce(plan: &Plan, reproduce: bool, second: &str) -> String {
    let path = escape_path(&plan.path);
    if !plan.directory {
        return format!("{path}: opens this file three times, read-only; writes nothing");
    }
    let rename = if reproduce {
        format!("; {second} renames another file of ours over it while it is held open")
    } else {
        String::new()
    };
    format!(
        "{path}: makes a small file of our own in .nfs-trace-check-UID (as the owner of {path} \
         where the server squashes root), opens it several times and removes it{rename}; where it \
         cannot be made, opens a file that is there, read-only"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mount(dev: u32, point: &str, fs_type: &str) -> Mount {
        Mount {
            dev,
            point: point.into(),
            fs_type: fs_type.into(),
            source: "srv:/x".into(),
            nfs_version: (fs_type == "nfs4").then(|| "4.1".into()),
        }
    }

    #[test]
    fn mounts_of_one_super_block_are_checked_once() {
        let mounts = [
            mount(1, "/", "ext4"),
            mount(50, "/mnt/a", "nfs4"),
            mount(51, "/mnt/b", "nfs4"),
            mount(50, "/srv/a", "nfs4"),
        ];
        let plans = all(&mounts);
        assert_eq!(plans.len(), 2);
        assert_eq!(plans[0].also, [PathBuf::from("/srv/a")]);
        assert_eq!(plans[1].path, Path::new("/mnt/b"));
    }

    #[test]
    fn a_mount_that_is_covered_is_left_out() {
        let mounts = [
            mount(1, "/", "ext4"),
            mount(50, "/mnt", "nfs4"),
            mount(2, "/mnt", "tmpfs"),
        ];
        assert_eq!(all(&mounts), []);
    }

    #[test]
    fn a_mount_point_is_known_by_its_text_alone() {
        // There is no such directory: nothing was asked.
        let mounts = [mount(1, "/", "ext4"), mount(50, "/no/such/mount", "nfs4")];
        for target in ["/no/such/mount", "/no/such/mount/", "/no/./such/mount"] {
            let plan = named(&[target.into()], &mounts, Duration::ZERO).unwrap();
            assert_eq!(plan[0].mount.dev, 50);
            assert!(plan[0].directory && !plan[0].unanswered);
        }
    }

    #[test]
    fn files_and_directories_are_told_apart_and_links_followed() {
        let scratch = std::env::temp_dir().join(format!("nfs-trace-plan-{}", std::process::id()));
        fs::create_dir_all(scratch.join("dir")).unwrap();
        fs::write(scratch.join("dir/file"), "").unwrap();
        std::os::unix::fs::symlink("dir/file", scratch.join("link")).unwrap();
        let real = scratch.canonicalize().unwrap();
        let mounts = [mount(50, real.to_str().unwrap(), "nfs4")];
        let patience = Duration::from_secs(10);
        let get = |name: &str| named(&[scratch.join(name)], &mounts, patience).unwrap();
        assert!(get("dir")[0].directory);
        let linked = get("link");
        assert_eq!(linked[0].path, real.join("dir/file"));
        assert!(!linked[0].directory);
        let error = named(&[scratch.join("none")], &mounts, patience).unwrap_err();
        assert!(error.message.contains("No such file"), "{error}");
        let elsewhere = [mount(50, "/no/such/mount", "nfs4"), mount(1, "/", "ext4")];
        let error = named(std::slice::from_ref(&scratch), &elsewhere, patience).unwrap_err();
        assert!(error.message.contains("is on ext4, not NFSv4"), "{error}");
        fs::remove_dir_all(scratch).unwrap();
    }
}
