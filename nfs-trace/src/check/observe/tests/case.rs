//! A file that is opened, held and opened again, to change one thing of.

use super::super::*;
use crate::{
    check::{evidence::Finding, samples::open_path},
    trace::NameCheck,
};

pub(super) const SECOND: u64 = 1_000_000_000;
pub(super) const DEV: u32 = 53;
pub(super) const HOLDER: u32 = 10;
pub(super) const OPENER: u32 = 20;

pub(super) fn git() -> Cred {
    Cred {
        uid: 1000,
        gid: 1000,
        groups: vec![4, 24],
    }
}

/// An open of the file by one process, in the middle of a second.
pub(super) fn open(second: u64, pid: u32) -> OpenPath {
    let start_ns = second * SECOND + SECOND / 2;
    OpenPath {
        start_ns,
        end_ns: start_ns + 1000,
        tid: pid,
        tgid: pid,
        comm: "cat".into(),
        dev: DEV,
        path: Some("dir/file".into()),
        fileid: Some(7),
        flags: Some(0o100_000),
        ..open_path(NameCheck::Directory, PathWord::Wire)
    }
}

pub(super) fn holder(pid: u32) -> Holder {
    Holder {
        pid,
        start_time: 100,
        command: "tail".into(),
        fd: 3,
        flags: 0o100_000,
        dev: DEV,
        path: "/mnt/dir/file".into(),
        deleted: false,
        ino: Some(7),
        cred: git(),
    }
}

pub(super) fn observer() -> Observer {
    let mount = |dev, point: &str, atomic_open_v1: bool| Watched {
        dev,
        point: point.into(),
        ground: Ground {
            atomic_open_v1: Some(atomic_open_v1),
            inode_check: true,
        },
    };
    let mounts = vec![mount(DEV, "/mnt", false), mount(54, "/other", true)];
    Observer::new(mounts, 0)
}

/// A scan at the beginning of a second.
pub(super) fn scan(observer: &mut Observer, second: u64, holders: &[Holder]) {
    let begin = second * SECOND;
    observer.scan(begin, begin + SECOND / 100, holders);
}

/// A file is opened, held and opened again; each test changes one thing.
pub(super) struct Case {
    /// What is held at the first scan, before the holder opens the file.
    pub(super) at_first: Vec<Holder>,
    pub(super) first: OpenPath,
    pub(super) first_cred: Option<Cred>,
    pub(super) before: Vec<Holder>,
    pub(super) reopen: OpenPath,
    pub(super) opener: Option<Cred>,
    /// Other opens between the scans around the reopen.
    pub(super) meanwhile: Vec<OpenPath>,
    pub(super) after: Vec<Holder>,
}

impl Case {
    pub(super) fn new() -> Self {
        Self {
            at_first: Vec::new(),
            first: open(1, HOLDER),
            first_cred: Some(git()),
            before: vec![holder(HOLDER)],
            reopen: open(2, OPENER),
            opener: Some(git()),
            meanwhile: Vec::new(),
            after: vec![holder(HOLDER)],
        }
    }

    pub(super) fn observer(self) -> Observer {
        let mut observer = observer();
        scan(&mut observer, 1, &self.at_first);
        observer.open(&self.first, self.first_cred.as_ref());
        scan(&mut observer, 2, &self.before);
        observer.open(&self.reopen, self.opener.as_ref());
        for path in self.meanwhile {
            observer.open(&path, Some(&git()));
        }
        scan(&mut observer, 3, &self.after);
        observer
    }

    pub(super) fn evidence(self) -> Evidence {
        let mut all = self.observer().finish();
        all.remove(&DEV).unwrap().evidence
    }
}

/// The finding, and what is said about opens that were not counted.
#[track_caller]
pub(super) fn check(change: impl FnOnce(&mut Case), finding: Finding, said: &str) {
    let mut case = Case::new();
    change(&mut case);
    let evidence = case.evidence();
    assert_eq!(evidence.finding, finding, "{evidence:#?}");
    assert!(evidence.seen.contains(said), "{evidence:#?}");
    if finding != Finding::NotAffected && finding != Finding::Affected {
        assert_eq!(evidence.fix_level, None);
        let counts_any = evidence.seen.contains("not counted");
        assert_eq!(counts_any, said.contains("not counted"), "{evidence:#?}");
    }
}
