//! An open for tests, which change of it what they are about.

use crate::{
    event::Pointer,
    row::{Row, Rpcs},
    trace::{Delegated, NameCheck, OpenPath, PathWord, Sent, Signals},
};

/// Every probe is in place.
pub(crate) const SIGNALS: Signals = Signals {
    verifier_check: true,
    verifier_set: true,
    inode_check: true,
    lookups: true,
    sent: Sent::OpenDone,
    delegated: Delegated::StateidUpdate,
};

/// A complete cached open of a name that is not known, by process 1, at no time.
pub(crate) fn path() -> OpenPath {
    OpenPath {
        start_ns: 0,
        end_ns: 0,
        tid: 1,
        tgid: 1,
        comm: std::sync::Arc::default(),
        dev: 0,
        dentry: Pointer(1),
        dentry_id: None,
        path: None,
        fileid: None,
        flags: Some(0),
        name_check: NameCheck::Accepted,
        revalidation: None,
        open_path: PathWord::Cached,
        claim: None,
        stale_retries: 0,
        opens: 0,
        lookups: 0,
        result: Some(0),
        stack: None,
        gaps: Vec::new(),
        steps: Vec::new(),
    }
}

/// A complete open of `a` on /mnt by a `cat` that is process 1, at no time: on the wire, and of RPCs
/// nothing is known.
pub(crate) fn row() -> Row<'static> {
    Row {
        ts_ns: 0,
        clock_offset_ns: 0,
        pid: 1,
        tid: 1,
        comm: "cat".into(),
        mount: Some("/mnt".into()),
        path: Some("a".into()),
        dev: None,
        fileid: None,
        dentry: None,
        dentry_pointer: None,
        nfs_version: None,
        flags: None,
        name_check: NameCheck::None,
        open_path: PathWord::Wire,
        claim: None,
        stale_retries: 0,
        rpcs: Rpcs::default(),
        result: Some(0),
        latency_ns: 0,
        complete: true,
        gaps: [].as_slice().into(),
        calls: [].as_slice().into(),
        counts_opens: true,
        stack: None,
    }
}
