//! The second client of `check --reproduce`: another mount of the same export, made for
//! the purpose by a process of its own in a mount namespace of its own, so that it goes
//! with the process however that ends.
//!
//! To be another client to the server it is mounted over another minor version: the
//! client's owner string holds the version (nfs4_init_uniform_client_string,
//! fs/nfs/nfs4proc.c: "Linux NFSv4.1 host"), so the server sees two clients and recalls
//! the delegations of one for the other. No network namespace is needed for that.
//! `nosharecache` gives it a super block, and with it a dentry cache, of its own where
//! only the same version is left to try.

use std::{ffi::CString, fs, io, path::PathBuf};

use anyhow::{Context as _, bail};
use rustix::{
    io::Errno,
    mount::{MountFlags, MountPropagationFlags, mount, mount_change},
    process::{Gid, Uid},
    thread::{UnshareFlags, set_thread_groups, set_thread_res_gid, set_thread_res_uid},
};
use serde::{Deserialize, Serialize};

use super::job::path_bytes;

/// What the second client is to do; one JSON object on its standard input.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Job {
    /// `server:/export`
    pub source: String,
    /// Where the first client has it mounted: the second one covers that, for itself only.
    #[serde(with = "path_bytes")]
    pub point: PathBuf,
    /// Version and mount options, in the order in which they are tried.
    pub attempts: Vec<(String, String)>,
    /// The new file.
    #[serde(with = "path_bytes")]
    pub from: PathBuf,
    /// The held one.
    #[serde(with = "path_bytes")]
    pub to: PathBuf,
    /// Who renames.
    pub uid: u32,
    /// Who renames.
    pub gid: u32,
}

/// Runs the process: mounts, renames, and prints the version that was mounted.
///
/// # Errors
/// What could not be done, for the parent to show.
pub fn run() -> anyhow::Result<()> {
    let job: Job = serde_json::from_reader(io::stdin()).context("no job on standard input")?;
    own_namespace().context("failed to make a mount namespace")?;
    let version = mount_any(&job)?;
    set_thread_groups(&[])?;
    set_thread_res_gid(
        Gid::from_raw(job.gid),
        Gid::from_raw(job.gid),
        Gid::from_raw(job.gid),
    )?;
    set_thread_res_uid(
        Uid::from_raw(job.uid),
        Uid::from_raw(job.uid),
        Uid::from_raw(job.uid),
    )?;
    fs::rename(&job.from, &job.to)
        .with_context(|| format!("failed to rename over {}", job.to.display()))?;
    println!("{version}");
    Ok(())
}

fn own_namespace() -> rustix::io::Result<()> {
    #[expect(
        deprecated,
        reason = "what is wrong with it concerns file descriptors alone"
    )]
    rustix::thread::unshare(UnshareFlags::NEWNS)?;
    // Nothing that is mounted from here on is seen by anybody else.
    let private = MountPropagationFlags::PRIVATE | MountPropagationFlags::REC;
    mount_change("/", private)
}

fn mount_any(job: &Job) -> anyhow::Result<&str> {
    let mut failures = Vec::new();
    for (version, options) in &job.attempts {
        let options = CString::new(options.as_str()).context("zero byte in the mount options")?;
        match mount(
            &job.source,
            &job.point,
            "nfs4",
            MountFlags::empty(),
            &*options,
        ) {
            Ok(()) => return Ok(version),
            Err(error @ (Errno::PERM | Errno::ACCESS)) => {
                return Err(error).context("failed to mount the export a second time");
            }
            Err(error) => failures.push(format!("v{version}: {error}")),
        }
    }
    bail!(
        "failed to mount the export a second time: {}",
        failures.join("; ")
    );
}

/// Options of the first mount that the second one needs to reach the server as well.
const KEPT: &[&str] = &[
    "addr=",
    "clientaddr=",
    "noresvport",
    "port=",
    "proto=",
    "retrans=",
    "sec=",
    "timeo=",
    "xprtsec=",
];

/// Versions and options to try for the second mount. `version` and `options` are those of
/// the first, as /proc/self/mountinfo has them.
#[must_use]
pub fn attempts(version: &str, options: &str) -> Vec<(String, String)> {
    let kept: Vec<&str> = options
        .split(',')
        .filter(|option| KEPT.iter().any(|kept| option.starts_with(kept)))
        .collect();
    let kept = kept.join(",");
    let order = match version {
        "4.0" => ["4.1", "4.2", "4.0"],
        "4.1" => ["4.2", "4.0", "4.1"],
        _ => ["4.1", "4.0", "4.2"],
    };
    order
        .map(|version| {
            (
                version.to_string(),
                format!("vers={version},nosharecache,{kept}"),
            )
        })
        .to_vec()
}

/// `{from}` and `{to}` in a command of the user, quoted for the shell; `{from_below}` and
/// `{to_below}` are the same below the mount point and begin with a slash.
#[must_use]
pub fn fill_in(command: &str, paths: &[(&str, String)]) -> String {
    let mut command = command.to_string();
    for (word, path) in paths {
        command = command.replace(&format!("{{{word}}}"), &quote(path));
    }
    command
}

fn quote(path: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/._-+,:@%".contains(&byte);
    if path.bytes().all(plain) {
        return path.to_string();
    }
    format!("'{}'", path.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_minor_version_comes_first_and_the_own_one_last() {
        let options = "rw,vers=4.1,rsize=1048576,namlen=255,hard,proto=tcp,timeo=600,retrans=2,\
                       sec=sys,clientaddr=10.0.0.2,local_lock=none,addr=10.0.0.1";
        let tried = attempts("4.1", options);
        let versions: Vec<_> = tried.iter().map(|(version, _)| version.as_str()).collect();
        assert_eq!(versions, ["4.2", "4.0", "4.1"]);
        assert_eq!(
            tried[0].1,
            "vers=4.2,nosharecache,proto=tcp,timeo=600,retrans=2,sec=sys,clientaddr=10.0.0.2,\
             addr=10.0.0.1"
        );
        for version in ["4.0", "4.2"] {
            let tried = attempts(version, options);
            assert_ne!(tried[0].0, version);
            assert_eq!(tried[2].0, version);
        }
    }

    #[test]
    fn paths_are_filled_in_safely() {
        let paths = [
            ("from", "/mnt/a b's".to_string()),
            ("to", "/mnt/c".to_string()),
        ];
        assert_eq!(
            fill_in("ssh h mv -f {from} {to} {other}", &paths),
            r"ssh h mv -f '/mnt/a b'\''s' /mnt/c {other}"
        );
    }
}
