//! Holders in the real /proc, and in made-up ones for what this machine does not have.

use std::{env, fs::File, os::unix::fs::MetadataExt as _, process};

use super::*;

/// O_ACCMODE of include/uapi/asm-generic/fcntl.h.
const O_ACCMODE: u32 = 3;

/// A directory that is removed at the end.
struct Dir(PathBuf);

impl Dir {
    fn new(name: &str) -> Self {
        let path = env::temp_dir().join(format!("nfs-trace-{name}-{}", process::id()));
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn write(&self, path: &str, text: &str) {
        let path = self.0.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn link(&self, path: &str, target: &str) {
        let path = self.0.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::os::unix::fs::symlink(target, path).unwrap();
    }
}

impl Drop for Dir {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[test]
fn files_that_this_process_holds_are_found() {
    let dir = Dir::new("holders");
    let path = dir.0.join("held");
    let mut both = File::options();
    let both = both.read(true).write(true).create_new(true);
    let both = both.open(&path).unwrap();
    let read_only = File::open(&path).unwrap();
    let appends = File::options().append(true).open(&path).unwrap();
    let inode = both.metadata().unwrap().ino();
    let mount = mounts::read().unwrap();
    let dev = mounts::covering(&mount, &dir.0.canonicalize().unwrap())
        .unwrap()
        .dev;

    // Tests run side by side, so descriptors come in any order.
    let order = |holder: &Holder| {
        [2, 0, 1]
            .iter()
            .position(|mode| holder.flags & O_ACCMODE == *mode)
    };
    let mine = |devs: &[u32]| -> Vec<Holder> {
        let mut all = scan(devs).unwrap().holders;
        all.retain(|holder| holder.pid == process::id() && holder.path.ends_with("held"));
        all.sort_by_key(order);
        all
    };
    let found = mine(&[dev]);
    let modes: Vec<u32> = found.iter().map(|one| one.flags & O_ACCMODE).collect();
    assert_eq!(modes, [2, 0, 1]);
    assert_eq!(found[2].flags & 0o2000, 0o2000, "O_APPEND");
    for holder in &found {
        assert_eq!(holder.dev, dev);
        assert!(!holder.deleted);
        // Not told before 5.14.
        assert!(holder.ino.is_none_or(|ino| ino == inode), "{holder:?}");
        assert!(holder.start_time > 0);
        assert!(!holder.command.is_empty());
        assert_eq!(cred_of(process::id()).as_ref(), Some(&holder.cred));
    }
    assert_eq!(mine(&[dev + 1]), [], "another mount has none of them");

    drop(appends);
    fs::remove_file(&path).unwrap();
    let found = mine(&[dev]);
    assert_eq!(found.len(), 2);
    assert!(found.iter().all(|holder| holder.deleted), "{found:?}");
    drop(read_only);
}

#[test]
fn nobody_is_a_process_that_is_not_there() {
    // Beyond the largest pid that a kernel gives (PID_MAX_LIMIT, 4 Mi).
    assert_eq!(cred_of(1 << 23), None);
}

/// A process of one open file, `7`.
fn process(proc: &Dir, pid: u32, namespace: &str, path: &str, fdinfo: &str) {
    let rest = "S 1 1 1 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 4711 0 0 0";
    proc.write(&format!("{pid}/stat"), &format!("{pid} (git) {rest}\n"));
    let status = "Uid:\t5\t5\t5\t5\nGid:\t6\t6\t6\t6\nGroups:\t7 \n";
    proc.write(&format!("{pid}/status"), status);
    proc.link(&format!("{pid}/fd/7"), path);
    proc.write(&format!("{pid}/fdinfo/7"), fdinfo);
    proc.link(&format!("{pid}/ns/mnt"), namespace);
    proc.link(&format!("{pid}/root"), "/");
}

fn found(proc: &Dir) -> Vec<(u32, String)> {
    let scan = Walk::new(&proc.0, &[53]).unwrap().run().unwrap();
    let mut found: Vec<_> = scan
        .holders
        .into_iter()
        .map(|holder| (holder.pid, holder.path.display().to_string()))
        .collect();
    found.sort();
    found
}

/// A /proc where /mnt is the mount with s_dev 53, and its id 100.
fn made_up(name: &str) -> Dir {
    let proc = Dir::new(name);
    let mountinfo = "29 1 8:1 / / rw - ext4 /dev/sda1 rw\n\
                     100 29 0:53 / /mnt rw - nfs4 s:/ rw,vers=4.2\n";
    proc.write("self/mountinfo", mountinfo);
    proc.link("self/ns/mnt", "mnt:[1]");
    proc.link("self/root", "/");
    proc
}

#[test]
fn files_of_other_mount_namespaces_are_found_by_their_own_mountinfo() {
    let proc = made_up("namespaces");
    let opened = |id| format!("pos:\t0\nflags:\t0100000\nmnt_id:\t{id}\nino:\t12\n");
    process(&proc, 10, "mnt:[1]", "/mnt/here", &opened(100));
    process(&proc, 11, "mnt:[1]", "/etc/passwd", &opened(29));
    process(&proc, 12, "mnt:[2]", "/data/there", &opened(200));
    proc.write("12/mountinfo", "200 1 0:53 / /data rw - nfs4 s:/ rw\n");
    proc.write("13/mountinfo", "200 1 0:53 / /data rw - nfs4 s:/ rw\n");
    process(&proc, 13, "mnt:[2]", "/data/there too", &opened(200));
    // Named like a file of the mount, and of another one.
    process(&proc, 14, "mnt:[3]", "/mnt/other", &opened(300));
    proc.write("14/mountinfo", "300 1 8:2 / /mnt rw - ext4 /dev/sdb rw\n");
    // Mounts that only the kernel has are in no mountinfo.
    process(&proc, 15, "mnt:[1]", "/memfd:x (deleted)", &opened(3));
    assert_eq!(
        found(&proc),
        [
            (10, "/mnt/here".into()),
            (12, "/data/there".into()),
            (13, "/data/there too".into()),
        ]
    );
}

#[test]
fn without_mnt_id_the_path_tells_the_mount() {
    let proc = made_up("paths");
    let opened = "pos:\t0\nflags:\t0100000\n";
    process(&proc, 10, "mnt:[1]", "/mnt/here", opened);
    process(&proc, 11, "mnt:[1]", "/mntx", opened);
    process(&proc, 12, "mnt:[2]", "/mnt/elsewhere", opened);
    assert_eq!(found(&proc), [(10, "/mnt/here".into())]);
}

#[test]
fn what_is_no_open_file_or_has_gone_is_left_out() {
    let proc = made_up("odd");
    let opened = "pos:\t0\nflags:\t0100000\nmnt_id:\t100\n";
    process(&proc, 10, "mnt:[1]", "pipe:[4711]", opened);
    let path_only = "pos:\t0\nflags:\t012000000\nmnt_id:\t100\n";
    process(&proc, 11, "mnt:[1]", "/mnt/o_path", path_only);
    process(&proc, 12, "mnt:[1]", "/mnt/closed", opened);
    fs::remove_file(proc.0.join("12/fdinfo/7")).unwrap();
    process(&proc, 13, "mnt:[1]", "/mnt/ended", opened);
    fs::remove_file(proc.0.join("13/status")).unwrap();
    proc.write("14/status", "");
    assert_eq!(found(&proc), []);
}
