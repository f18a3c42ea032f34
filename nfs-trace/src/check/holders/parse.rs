//! Text of /proc/PID -> what it says. Pure. See proc_pid_fdinfo(5), proc_pid_stat(5),
//! proc_pid_status(5), proc_pid_mountinfo(5).

use std::{
    ffi::OsString,
    os::unix::ffi::{OsStrExt as _, OsStringExt as _},
    path::PathBuf,
};

use super::Cred;
use crate::names::escape;

/// What the kernel writes behind the path of a file whose name is gone: today, and long ago.
const DELETED: [&[u8]; 2] = [b" (deleted)", b"//deleted"];

/// /proc/PID/fdinfo/N.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct FdInfo {
    pub(super) flags: u32,
    /// Since 3.15.
    pub(super) mnt_id: Option<u64>,
    /// Since 5.14.
    pub(super) ino: Option<u64>,
}

pub(super) fn fd_info(text: &str) -> Option<FdInfo> {
    let number = |key| value(text, key)?.parse().ok();
    Some(FdInfo {
        flags: u32::from_str_radix(value(text, "flags:")?, 8).ok()?,
        mnt_id: number("mnt_id:"),
        ino: number("ino:"),
    })
}

/// /proc/PID/stat.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Stat {
    pub(super) command: String,
    pub(super) start_time: u64,
    /// A zombie, though nobody has asked how it ended.
    pub(super) ended: bool,
}

pub(super) fn stat(bytes: &[u8]) -> Option<Stat> {
    // The command may hold anything, brackets and spaces too.
    let open = bytes.iter().position(|byte| *byte == b'(')?;
    let close = bytes.iter().rposition(|byte| *byte == b')')?;
    let rest = std::str::from_utf8(&bytes[close + 1..]).ok()?;
    let mut fields = rest.split_ascii_whitespace();
    Some(Stat {
        command: escape(bytes.get(open + 1..close)?),
        // The first one behind the command is field 3.
        ended: matches!(fields.next()?, "Z" | "X"),
        // Field 22.
        start_time: fields.nth(22 - 4)?.parse().ok()?,
    })
}

/// The ids in /proc/PID/status.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Ids {
    pub(super) cred: Cred,
    /// Real, effective, saved and file system ids agree.
    pub(super) steady: bool,
}

pub(super) fn ids(status: &str) -> Option<Ids> {
    let numbers = |key| -> Option<Vec<u32>> {
        let words = value(status, key)?.split_ascii_whitespace();
        words.map(|word| word.parse().ok()).collect()
    };
    let (users, of_groups) = (numbers("Uid:")?, numbers("Gid:")?);
    let (&[.., uid], &[.., gid]) = (&users[..], &of_groups[..]) else {
        return None;
    };
    Some(Ids {
        cred: Cred {
            uid,
            gid,
            groups: numbers("Groups:")?,
        },
        steady: users.iter().all(|id| *id == uid) && of_groups.iter().all(|id| *id == gid),
    })
}

/// mnt_id and s_dev of each line of mountinfo.
pub(super) fn mount_ids(mountinfo: &str) -> impl Iterator<Item = (u64, u32)> {
    mountinfo.lines().filter_map(|line| {
        let mut words = line.split(' ');
        let id = words.next()?.parse().ok()?;
        let (major, minor) = words.nth(1)?.split_once(':')?;
        let (major, minor): (u32, u32) = (major.parse().ok()?, minor.parse().ok()?);
        Some((id, major << 20 | minor))
    })
}

/// The path without the kernel's remark that its name is gone, and whether there was one.
pub(super) fn without_deleted(path: PathBuf) -> (PathBuf, bool) {
    let bytes = path.as_os_str().as_bytes();
    match DELETED.iter().find_map(|end| bytes.strip_suffix(*end)) {
        Some(rest) => (OsString::from_vec(rest.to_vec()).into(), true),
        None => (path, false),
    }
}

/// The rest of the line that begins with `key`.
fn value<'a>(text: &'a str, key: &str) -> Option<&'a str> {
    let mut lines = text.lines();
    lines.find_map(|line| line.strip_prefix(key)).map(str::trim)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fdinfo_of_every_age_is_read() {
        let info = |text| fd_info(text).unwrap();
        let new = info("pos:\t0\nflags:\t0102002\nmnt_id:\t29\nino:\t1835020\n");
        assert_eq!(
            new,
            FdInfo {
                flags: 0o102_002,
                mnt_id: Some(29),
                ino: Some(1_835_020),
            }
        );
        let with_lock = info(
            "pos:\t0\nflags:\t0100000\nmnt_id:\t29\n\
             lock:\t1: POSIX  ADVISORY  READ 2210 00:28:77 0 EOF\n",
        );
        assert_eq!((with_lock.mnt_id, with_lock.ino), (Some(29), None));
        let old = info("pos:\t0\nflags:\t0100001\n");
        assert_eq!((old.flags, old.mnt_id), (0o100_001, None));
        assert_eq!(fd_info(""), None);
        assert_eq!(fd_info("pos:\t0\nflags:\t9\n"), None);
    }

    #[test]
    fn no_command_name_can_shift_the_fields_of_stat() {
        let rest = "S 1 2210 2210 0 -1 4194560 1 0 0 0 0 0 0 0 20 0 1 0 8812345 4096 1 0";
        for (name, shown) in [
            ("sh", "sh"),
            ("a) S 1 (b", "a) S 1 (b"),
            ("tab\there", "tab\\x09here"),
        ] {
            let stat = stat(format!("2210 ({name}) {rest}\n").as_bytes()).unwrap();
            assert_eq!(stat.start_time, 8_812_345);
            assert_eq!(stat.command, shown);
            assert!(!stat.ended);
        }
        let zombie = rest.replacen('S', "Z", 1);
        assert!(stat(format!("1 (a) {zombie}").as_bytes()).unwrap().ended);
        for odd in ["", "12", "12 )(", "12 (sh) S 1"] {
            assert_eq!(stat(odd.as_bytes()), None, "{odd}");
        }
    }

    #[test]
    fn what_counts_is_the_file_system_ids() {
        let status = "Name:\tsmbd\nUmask:\t0022\nState:\tS (sleeping)\nTgid:\t812\n\
                      Uid:\t0\t1000\t0\t1001\nGid:\t0\t100\t0\t101\nFDSize:\t256\n\
                      Groups:\t4 24 1000 \nNStgid:\t812\n";
        let switching = ids(status).unwrap();
        assert_eq!(
            switching.cred,
            Cred {
                uid: 1001,
                gid: 101,
                groups: vec![4, 24, 1000],
            }
        );
        assert!(!switching.steady);
        let root = ids("Uid:\t0\t0\t0\t0\nGid:\t0\t0\t0\t0\nGroups:\t \n").unwrap();
        assert!(root.steady);
        assert!(root.cred.groups.is_empty());
        let group_only = ids("Uid:\t0\t0\t0\t0\nGid:\t0\t5\t0\t5\nGroups:\t\n").unwrap();
        assert!(!group_only.steady);
        for odd in ["", "Uid:\t0\nGid:\t0\n", "Uid:\tx\nGid:\t0\nGroups:\n"] {
            assert_eq!(ids(odd), None, "{odd}");
        }
    }

    #[test]
    fn mount_ids_are_read_and_odd_lines_left_out() {
        let text = "22 28 0:20 / /proc rw - proc proc rw\n\
                    29 1 254:1 / / rw,relatime shared:1 - ext4 /dev/vda1 rw\n\
                    x 1 0:1 / / rw - t s o\n30 29 nothing\n\
                    100 29 0:53 / /mnt/a\\040b rw - nfs4 srv:/x rw,vers=4.1\n";
        let all: Vec<_> = mount_ids(text).collect();
        assert_eq!(all, [(22, 20), (29, 254 << 20 | 1), (100, 53)]);
    }

    #[test]
    fn a_path_whose_name_is_gone_is_told() {
        let told = |path: &str| {
            let (path, deleted) = without_deleted(path.into());
            (path.to_str().unwrap().to_string(), deleted)
        };
        assert_eq!(told("/mnt/a"), ("/mnt/a".into(), false));
        assert_eq!(told("/mnt/a (deleted)"), ("/mnt/a".into(), true));
        assert_eq!(told("/mnt/a//deleted"), ("/mnt/a".into(), true));
        assert_eq!(told("/mnt/deleted"), ("/mnt/deleted".into(), false));
    }
}
