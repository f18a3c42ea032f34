//! The cache folder: where everything downloaded or built for nfs-trace lives, made once.

use std::{
    env, fs,
    fs::File,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result};

/// Written last into a made folder: what it was made from.
const KEY_FILE: &str = ".made-from";

/// `NFS_TRACE_CACHE`, or `~/.cache/nfs-trace`.
pub(crate) fn root() -> Result<PathBuf> {
    let root = match env::var_os("NFS_TRACE_CACHE") {
        Some(folder) => PathBuf::from(folder),
        None => env::home_dir()
            .context("find the home folder: set NFS_TRACE_CACHE to a folder for downloads")?
            .join(".cache/nfs-trace"),
    };
    create_dir(&root)?;
    root.canonicalize()
        .with_context(|| format!("find the cache folder {}", root.display()))
}

/// Keeps other xtasks out of one part of the cache until dropped.
pub(crate) fn lock(name: &str) -> Result<File> {
    lock_file(&root()?.join(format!("{name}.lock")))
}

fn lock_file(path: &Path) -> Result<File> {
    let file = File::create(path).with_context(|| format!("create {}", path.display()))?;
    file.lock()
        .with_context(|| format!("lock {}", path.display()))?;
    Ok(file)
}

/// Whether `dir` was completely made from `key`.
pub(crate) fn is_made(dir: &Path, key: &str) -> bool {
    fs::read_to_string(dir.join(KEY_FILE)).is_ok_and(|made| made == key)
}

/// Makes `dir` from `key` unless it is there. `fill` gets a fresh folder beside it, which takes
/// its place only when complete: an interrupted run leaves nothing half made behind. Whoever wants
/// the same meanwhile waits, and takes what was made.
pub(crate) fn make(dir: &Path, key: &str, fill: impl FnOnce(&Path) -> Result<()>) -> Result<()> {
    if is_made(dir, key) {
        return Ok(());
    }
    if let Some(parent) = dir.parent() {
        create_dir(parent)?;
    }
    let _lock = lock_file(&dir.with_added_extension("making"))?;
    if is_made(dir, key) {
        return Ok(());
    }
    let partial = dir.with_added_extension("partial");
    remove_dir(&partial)?;
    create_dir(&partial)?;
    fill(&partial)?;
    write(&partial.join(KEY_FILE), key)?;
    remove_dir(dir)?;
    fs::rename(&partial, dir).with_context(|| format!("move {} in place", dir.display()))
}

/// Creates a folder and its parents.
pub(crate) fn create_dir(dir: &Path) -> Result<()> {
    fs::create_dir_all(dir).with_context(|| format!("create the folder {}", dir.display()))
}

/// Removes a folder with all in it, if it is there.
pub(crate) fn remove_dir(dir: &Path) -> Result<()> {
    if dir.exists() {
        fs::remove_dir_all(dir).with_context(|| format!("remove the folder {}", dir.display()))?;
    }
    Ok(())
}

/// Reads a text file.
pub(crate) fn read(file: &Path) -> Result<String> {
    fs::read_to_string(file).with_context(|| format!("read {}", file.display()))
}

/// Writes a file.
pub(crate) fn write(file: &Path, data: impl AsRef<[u8]>) -> Result<()> {
    fs::write(file, data).with_context(|| format!("write {}", file.display()))
}

/// Writes a file unless it has this text: others may be reading it, and its time may matter.
pub(crate) fn keep(file: &Path, text: &str) -> Result<()> {
    match fs::read_to_string(file) {
        Ok(before) if before == text => Ok(()),
        _ => write(file, text),
    }
}

#[cfg(test)]
mod tests {
    use std::{
        sync::{
            Barrier,
            atomic::{AtomicU32, Ordering},
        },
        thread,
        time::Duration,
    };

    use super::*;

    #[test]
    fn two_that_want_the_same_make_it_once() {
        let dir = env::temp_dir().join(format!("nfs-trace-cache-two-{}", std::process::id()));
        let both = Barrier::new(2);
        let made = AtomicU32::new(0);
        let want = || {
            both.wait();
            make(&dir, "a", |to| {
                made.fetch_add(1, Ordering::Relaxed);
                // Long enough for the other one to find nothing made.
                thread::sleep(Duration::from_millis(100));
                write(&to.join("file"), "text")
            })
        };
        thread::scope(|threads| {
            let first = threads.spawn(want);
            let second = threads.spawn(want);
            first.join().unwrap().unwrap();
            second.join().unwrap().unwrap();
        });
        assert_eq!(made.into_inner(), 1);
        assert_eq!(read(&dir.join("file")).unwrap(), "text");
        remove_dir(&dir).unwrap();
        fs::remove_file(dir.with_added_extension("making")).unwrap();
    }

    #[test]
    fn made_once_for_one_key_and_again_for_another() {
        let dir = env::temp_dir().join(format!("nfs-trace-cache-test-{}", std::process::id()));
        let fill = |text: &'static str| move |to: &Path| write(&to.join("file"), text);
        make(&dir, "a", fill("first")).unwrap();
        make(&dir, "a", fill("second")).unwrap();
        assert_eq!(read(&dir.join("file")).unwrap(), "first");
        make(&dir, "b", |_| anyhow::bail!("no")).unwrap_err();
        assert!(is_made(&dir, "a"));
        make(&dir, "b", fill("third")).unwrap();
        assert_eq!(read(&dir.join("file")).unwrap(), "third");
        remove_dir(&dir).unwrap();
        remove_dir(&dir.with_added_extension("partial")).unwrap();
        fs::remove_file(dir.with_added_extension("making")).unwrap();
    }
}
