//! Rows for the tests of the picture.

use jiff::Timestamp;

use crate::{
    row::{Row, Rpcs},
    trace::{NameCheck, PathWord},
};

/// An open of this name on /mnt.
pub(super) fn row(path: &str, open_path: PathWord) -> Row {
    Row {
        ts_ns: 0,
        time: Timestamp::UNIX_EPOCH,
        pid: 1,
        tid: 1,
        comm: "cat".into(),
        mount: Some("/mnt".into()),
        path: Some(path.into()),
        dev: Some("0:53".into()),
        fileid: None,
        dentry: None,
        dentry_pointer: None,
        nfs_version: Some("4.0".into()),
        flags: None,
        name_check: NameCheck::Accepted,
        open_path,
        claim: None,
        stale_retries: 0,
        rpcs: Rpcs::default(),
        result: Some(0),
        latency_ns: 1,
        complete: true,
        gaps: Vec::new(),
        steps: Vec::new(),
        stack: None,
    }
}

/// The same on another mount.
pub(super) fn at(mount: &str, row: Row) -> Row {
    Row {
        mount: Some(mount.into()),
        dev: Some(format!("0:{mount}")),
        ..row
    }
}
