//! Open paths for tests, made of steps.

pub(super) use crate::trace::OpenPath;
use crate::{
    event::{Open, OpenTask, Pointer},
    kernel::lookup_flags::LookupFlags,
    mounts::Mount,
    session::{ATTACHED, Session, StartupMs},
    trace::{Step, StepKind},
};

/// A cached open of nothing, by process 7, at no time.
pub(super) fn path() -> OpenPath {
    OpenPath {
        tid: 7,
        tgid: 7,
        comm: "cat".into(),
        dentry_id: Some(1),
        path: Some("file".into()),
        ..crate::testing::path()
    }
}

/// A step between two times.
pub(super) fn step(start_ns: u64, end_ns: u64, kind: StepKind) -> Step {
    Step {
        start_ns,
        end_ns,
        kind,
    }
}

/// An OPEN.
pub(super) fn task(sent: u16, claim: Option<u8>, ret: i32) -> StepKind {
    StepKind::OpenTask(OpenTask {
        sent,
        delegated: Some(false),
        claim,
        replied_ns: None,
        ret,
    })
}

/// The end of an attempt.
pub(super) fn open(fileid: Option<u64>, ret: i32) -> Open {
    Open {
        dentry: Pointer(1),
        fileid,
        ret,
        flags: Some(0),
        stack: None,
        tasks: 1,
        stateid_updates: 0,
        opened: Some(true),
        tried_cached: false,
        cached_event: false,
    }
}

/// A trace of one mount over v4.0.
pub(super) fn session() -> Session {
    let probes = ["nfs4_open_done", "update_open_stateid"];
    Session {
        abi_version: 1,
        version: "1".into(),
        kernel: "6.1".into(),
        transport: "ring".into(),
        layout: "btf".into(),
        layout_why: String::new(),
        probes: probes.map(|it| (it.into(), ATTACHED.into())).into(),
        lookup_flags: LookupFlags::BEFORE_6_15,
        mounts: vec![Mount {
            dev: 45,
            point: "/mnt".into(),
            fs_type: "nfs4".into(),
            source: "server:/".into(),
            nfs_version: Some("4.0".into()),
        }],
        clock_offset_ns: 0,
        armed_ns: 0,
        startup_ms: StartupMs::default(),
    }
}
