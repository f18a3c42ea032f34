//! Rows for the tests of the picture.

use crate::{
    row::{Device, Row, Rpcs},
    trace::{NameCheck, PathWord},
};

/// An open of this name on /mnt.
pub(super) fn row(path: &str, open_path: PathWord) -> Row<'_> {
    Row {
        ts_ns: 0,
        clock_offset_ns: 0,
        pid: 1,
        tid: 1,
        comm: "cat".into(),
        mount: Some("/mnt".into()),
        path: Some(path.into()),
        dev: Some(Device(53)),
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
        gaps: [].as_slice().into(),
        calls: [].as_slice().into(),
        counts_opens: true,
        stack: None,
    }
}

/// The same on another mount.
pub(super) fn at<'a>(mount: &'a str, row: Row<'a>) -> Row<'a> {
    Row {
        mount: Some(mount.into()),
        dev: Some(Device(mount.bytes().map(u32::from).sum())),
        ..row
    }
}
