//! A file that is only ever replaced as a whole: whoever reads it sees one state or the next.

use std::{
    ffi::OsString,
    fs::{self, OpenOptions, Permissions},
    io::{self, Write as _},
    os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
};

/// For everybody to read, whatever the umask: the collector runs as a user of its own. There is
/// nothing in it but mount points and counts.
const MODE: u32 = 0o644;

/// Where a file is made before it replaces the other: beside it, since rename(2) stays within one
/// file system, hidden, and with another ending, so that no collector takes it. One that was left
/// by a killed process is removed.
fn temporary(path: &Path) -> io::Result<PathBuf> {
    let name = path
        .file_name()
        .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "it names no file"))?;
    let mut hidden = OsString::from(".");
    hidden.push(name);
    hidden.push(".tmp");
    Ok(path.with_file_name(hidden))
}

/// Replaces the file, or makes it. It is not synced to the disk: after a crash of the machine it
/// would be old anyway.
///
/// # Errors
/// If it cannot be written; then it is as it was.
pub(super) fn replace(path: &Path, text: &str) -> io::Result<()> {
    let temporary = temporary(path)?;
    match fs::remove_file(&temporary) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let written = write(&temporary, text).and_then(|()| fs::rename(&temporary, path));
    if written.is_err() {
        let _ = fs::remove_file(&temporary);
    }
    written
}

fn write(path: &Path, text: &str) -> io::Result<()> {
    let mut file = OpenOptions::new()
        .write(true)
        // Never through a link that somebody has put there.
        .create_new(true)
        .mode(MODE)
        .open(path)?;
    file.set_permissions(Permissions::from_mode(MODE))?;
    file.write_all(text.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_replaced_as_a_whole_and_for_all_to_read() {
        let folder = std::env::temp_dir().join(format!("nfs-trace-replace-{}", std::process::id()));
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder).unwrap();
        let path = folder.join("a.prom");
        // What a killed process left, and worse: a link.
        std::os::unix::fs::symlink("/etc/passwd", folder.join(".a.prom.tmp")).unwrap();
        replace(&path, "one\n").unwrap();
        let before = fs::File::open(&path).unwrap();
        replace(&path, "two\n").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "two\n");
        assert_eq!(io::read_to_string(before).unwrap(), "one\n", "written over");
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o644);
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 1, "something stays");
        // It cannot be replaced: nothing stays either.
        fs::create_dir_all(folder.join("b.prom")).unwrap();
        replace(&folder.join("b.prom"), "x").unwrap_err();
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 2);
        replace(Path::new("/nonexistent/c.prom"), "x").unwrap_err();
        replace(Path::new("/"), "x").unwrap_err();
        fs::remove_dir_all(&folder).unwrap();
    }
}
