//! The self-test's child: opens files and says what it did. Knows nothing of probes.
//!
//! It may hang on the server at any step, so nothing here matters to the parent's health;
//! and it ends by itself, tidied up, when the parent is gone.

use std::{
    ffi::OsStr,
    fs::File,
    io::{self, Read as _, Write as _},
    os::{
        fd::{AsFd, OwnedFd},
        unix::ffi::OsStrExt as _,
    },
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context as _, bail};
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    fs::{
        Access, AtFlags, CWD, Dir, FileType, Mode as Permissions, OFlags, RawMode, accessat,
        fchmod, openat, stat, statat, statvfs,
    },
    io::Errno,
    process::{Gid, Uid, getegid, geteuid},
    thread::{set_thread_groups, set_thread_res_gid, set_thread_res_uid},
};

use super::{
    job::{Job, Mode, NEW, OLD, Opened, Order, Purpose, Said},
    own_dir::{FILES, OwnDir},
};
use crate::{
    clock::monotonic_ns,
    names::{errno_name, escape, escape_path},
};

/// Reopens of a held file in each mode.
const REOPENS: usize = 2;
/// The first reopens after the rename follow one another; later ones after this pause.
const AT_ONCE: usize = 5;
const PAUSE: Duration = Duration::from_millis(500);
/// Over v4.1 and later an open with it asks for no delegation (nfs4_map_atomic_open_share(),
/// fs/nfs/nfs4proc.c). A delegation for writing would serve all later opens, and nothing that this
/// process may do to its file makes the client return it there (nfs4_inode_make_writeable(),
/// fs/nfs/delegation.c). nfsd hands them out since 6.6.
const NO_DELEGATION: OFlags = OFlags::DIRECT;
/// Names that are looked at in search of a file that can be read.
const LOOK_AT: usize = 1000;

/// Runs the child to its end.
///
/// # Errors
/// If the parent says nonsense; everything else is said to it.
pub fn run() -> anyhow::Result<()> {
    let Order::Job(job) = order()? else {
        bail!("the first order is no job");
    };
    let Order::Go = order()? else {
        bail!("the second order is not to go");
    };
    // Always asks the server (nfs_statfs, fs/nfs/super.c): where it does not answer, this
    // process is killed here, and no request to make something is on its way.
    statvfs(&job.path).with_context(|| format!("failed to reach {}", job.path.display()))?;
    let outcome = if job.directory {
        directory(&job)
    } else {
        existing(&job.path, None)
    };
    match outcome {
        Ok(()) => say(&Said::Done),
        Err(error) => say(&Said::Failed(format!("{error:#}"))),
    }
}

fn order() -> anyhow::Result<Order> {
    let mut line = String::new();
    io::stdin().read_line(&mut line)?;
    serde_json::from_str(&line).context("the parent is gone")
}

/// Sleeps, or wakes up because the parent is gone (`false`).
fn pause(time: Duration) -> bool {
    let stdin = io::stdin();
    let mut fds = [PollFd::new(&stdin, PollFlags::IN)];
    let time = Timespec::try_from(time).ok();
    // It sends nothing unasked: whatever there is to read is the end.
    !matches!(poll(&mut fds, time.as_ref()), Ok(1..))
}

fn say(said: &Said) -> anyhow::Result<()> {
    let mut out = io::stdout().lock();
    serde_json::to_writer(&mut out, said)?;
    writeln!(out)?;
    out.flush().context("the parent is gone")
}

/// With a file of our own; if there can be none, with one that is there.
fn directory(job: &Job) -> anyhow::Result<()> {
    let target = &job.path;
    let mut remark = None;
    let mut made = OwnDir::make(target);
    if let Err(error) = &made
        && is_refusal(error)
        && let Some(owner) = become_owner(target)
    {
        let refused = errno(error);
        made = OwnDir::make(target);
        remark = Some(format!(
            "as uid {owner}, the owner of {}, because root may not write there ({refused}: the \
             server squashes root)",
            escape_path(target)
        ));
    }
    let own = match made {
        Ok(own) => own,
        Err(error) => {
            let mut why = format!(
                "no directory of our own can be made in {} ({})",
                escape_path(target),
                errno(&error)
            );
            let Some(file) = find_file(target) else {
                bail!("{why}, and no file that can be read was found there: name one");
            };
            why.push_str(", so a file that is there was opened read-only");
            if job.reproduce {
                why.push_str(", and no file was renamed over another");
            }
            return existing(&file, Some(why));
        }
    };
    let outcome = own_file(&own, job, remark);
    let path = own.path.clone();
    if let Err(error) = own.remove() {
        say(&Said::LeftBehind(path))?;
        return outcome.and(Err(error).context("failed to tidy up"));
    }
    outcome
}

fn is_refusal(error: &io::Error) -> bool {
    let refusals = [Errno::ACCESS, Errno::PERM].map(Errno::raw_os_error);
    error
        .raw_os_error()
        .is_some_and(|errno| refusals.contains(&errno))
}

/// Root that the server squashes acts as the directory's owner instead. Only the
/// effective ids change, and only of this process.
fn become_owner(target: &Path) -> Option<u32> {
    if !geteuid().is_root() {
        return None;
    }
    let stat = stat(target).ok().filter(|stat| stat.st_uid != 0)?;
    let (uid, gid) = (Uid::from_raw(stat.st_uid), Gid::from_raw(stat.st_gid));
    set_thread_groups(&[]).ok()?;
    set_thread_res_gid(None, gid, None).ok()?;
    set_thread_res_uid(None, uid, None).ok()?;
    Some(stat.st_uid)
}

/// Holds a file of our own in each mode and opens it again.
fn own_file(own: &OwnDir, job: &Job, remark: Option<String>) -> anyhow::Result<()> {
    let [name, new] = FILES;
    write(own, name, OLD)?;
    say(&Said::File {
        path: own.path.join(name),
        own: true,
        remark,
    })?;
    let file = Name {
        dir: &own.dir,
        name: OsStr::new(name),
    };
    for (index, mode) in [Mode::Read, Mode::Write, Mode::ReadWrite]
        .into_iter()
        .enumerate()
    {
        let held = file.hold(mode)?;
        for _ in 0..REOPENS {
            file.open(Purpose::Reopen, mode)?;
        }
        // A changed mode makes the client return a delegation for reading, over v4.0 any
        // (nfs4_proc_setattr, fs/nfs/nfs4proc.c), so that what follows is not served by it.
        let bits: [RawMode; 3] = [0o640, 0o600, 0o644];
        fchmod(&held, Permissions::from_raw_mode(bits[index]))
            .context("failed to chmod our file")?;
        file.open(Purpose::ReopenUndelegated, mode)?;
        if !pause(Duration::ZERO) {
            return Ok(());
        }
    }
    if job.reproduce {
        write(own, new, NEW)?;
        rename_over(own, job, &file)?;
    }
    Ok(())
}

fn write(own: &OwnDir, name: &str, text: &str) -> anyhow::Result<()> {
    let flags = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let flags = flags | NO_DELEGATION;
    openat(&own.dir, name, flags, Permissions::from_raw_mode(0o600))
        .map(File::from)
        .map_err(io::Error::from)
        .and_then(|mut file| file.write_all(text.as_bytes()))
        .with_context(|| format!("failed to write {}", own.path.join(name).display()))
}

/// The whole story: another file is renamed over the held one by a second client.
fn rename_over(own: &OwnDir, job: &Job, file: &Name<'_>) -> anyhow::Result<()> {
    let held = file.hold(Mode::Read)?;
    // See `own_file`: without a delegation on the held file nothing is legally local.
    fchmod(&held, Permissions::from_raw_mode(0o640)).context("failed to chmod our file")?;
    let [name, new] = FILES.map(|name| own.path.join(name));
    say(&Said::Rename {
        from: new,
        to: name,
        uid: geteuid().as_raw(),
        gid: getegid().as_raw(),
    })?;
    let Order::Renamed(renamed) = order()? else {
        bail!("the parent does not say whether it has renamed");
    };
    renamed.map_err(anyhow::Error::msg)?;
    for times in 1.. {
        let read = file.open(Purpose::ReopenRenamed, Mode::Read)?;
        // Two more prove that the new file is really there to stay.
        let arrived = read.as_deref() == Some(NEW.trim()) && times >= AT_ONCE;
        if arrived || monotonic_ns() >= job.until_ns {
            break;
        }
        if times >= AT_ONCE && !pause(PAUSE) {
            break;
        }
    }
    Ok(())
}

/// An existing file, opened read-only; nothing is written.
fn existing(path: &Path, remark: Option<String>) -> anyhow::Result<()> {
    let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
        bail!("{} is no file", path.display());
    };
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let dir = openat(CWD, parent, flags, Permissions::empty())
        .with_context(|| format!("failed to open {}", parent.display()))?;
    let file = Name { dir: &dir, name };
    let mut remark = remark;
    // Not tried out before: an open that is closed again may leave a delegation behind, and
    // then the next one leaves no open state.
    let held = match file.hold(Mode::Read) {
        Err(error)
            if is_refused(&error)
                && let Some(owner) = become_owner(path) =>
        {
            remark.get_or_insert(format!(
                "as uid {owner}, the owner of the file, because root may not read it (the \
                 server squashes root)"
            ));
            file.hold(Mode::Read)
        }
        held => held,
    };
    say(&Said::File {
        path: path.to_path_buf(),
        own: false,
        remark,
    })?;
    let _held = held?;
    for _ in 0..REOPENS {
        file.open(Purpose::Reopen, Mode::Read)?;
    }
    Ok(())
}

/// A regular file in `target`, or in a directory there, that can be opened.
fn find_file(target: &Path) -> Option<PathBuf> {
    let mut directories = vec![target.to_path_buf()];
    let mut looked_at = 0;
    for deep in [false, true] {
        for directory in std::mem::take(&mut directories) {
            let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            let Ok(fd) = openat(CWD, &directory, flags, Permissions::empty()) else {
                continue;
            };
            for entry in Dir::read_from(&fd).ok()?.flatten() {
                looked_at += 1;
                let name = OsStr::from_bytes(entry.file_name().to_bytes());
                if looked_at > LOOK_AT || name == "." || name == ".." {
                    continue;
                }
                let kind = statat(&fd, name, AtFlags::SYMLINK_NOFOLLOW)
                    .map(|stat| FileType::from_raw_mode(stat.st_mode));
                match kind {
                    Ok(FileType::RegularFile) if can_read(&fd, name) => {
                        return Some(directory.join(name));
                    }
                    Ok(FileType::Directory) if !deep => directories.push(directory.join(name)),
                    _ => {}
                }
            }
        }
    }
    None
}

/// Asks the server for permission, and opens nothing (see `existing`).
fn can_read(dir: &OwnedFd, name: &OsStr) -> bool {
    accessat(dir, name, Access::READ_OK, AtFlags::empty()).is_ok()
}

fn is_refused(error: &anyhow::Error) -> bool {
    matches!(error.downcast_ref(), Some(&(Errno::ACCESS | Errno::PERM)))
}

/// One name in one directory: opening it walks nothing else.
struct Name<'a> {
    dir: &'a OwnedFd,
    name: &'a OsStr,
}

impl Name<'_> {
    fn try_open(&self, mode: Mode) -> rustix::io::Result<OwnedFd> {
        let flags = match mode {
            Mode::Read => OFlags::RDONLY,
            Mode::Write => OFlags::WRONLY | NO_DELEGATION,
            Mode::ReadWrite => OFlags::RDWR | NO_DELEGATION,
        };
        // Should the name have become a device or a pipe meanwhile: do not wait for it.
        let flags = flags | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        openat(self.dir.as_fd(), self.name, flags, Permissions::empty())
    }

    fn hold(&self, mode: Mode) -> anyhow::Result<OwnedFd> {
        let start_ns = monotonic_ns();
        let opened = self.try_open(mode);
        let end_ns = monotonic_ns();
        let held = opened.with_context(|| format!("failed to open `{}`", self.name.display()))?;
        say(&Said::Opened(Opened {
            purpose: Purpose::Hold,
            mode,
            start_ns,
            end_ns,
            read: None,
        }))?;
        Ok(held)
    }

    /// Opens and closes it; after the rename, says what it reads too.
    fn open(&self, purpose: Purpose, mode: Mode) -> anyhow::Result<Option<String>> {
        let start_ns = monotonic_ns();
        let opened = self.try_open(mode);
        let end_ns = monotonic_ns();
        let read = match opened {
            Err(error) => Some(errno_name(-error.raw_os_error())),
            Ok(file) if purpose == Purpose::ReopenRenamed => Some(content(file)),
            Ok(_) => None,
        };
        say(&Said::Opened(Opened {
            purpose,
            mode,
            start_ns,
            end_ns,
            read: read.clone(),
        }))?;
        Ok(read)
    }
}

fn content(file: OwnedFd) -> String {
    let mut bytes = [0; 16];
    match File::from(file).read(&mut bytes) {
        Ok(length) => escape(bytes[..length].trim_ascii()),
        Err(error) => errno(&error),
    }
}

fn errno(error: &io::Error) -> String {
    error
        .raw_os_error()
        .map_or_else(|| error.to_string(), |errno| errno_name(-errno))
}
