//! Rows for the tests of the picture.

use crate::{
    row::{Device, Row},
    testing,
    trace::{NameCheck, PathWord},
};

/// An open of this name on /mnt.
pub(super) fn row(path: &str, open_path: PathWord) -> Row<'_> {
    Row {
        path: Some(path.into()),
        dev: Some(Device(53)),
        nfs_version: Some("4.0".into()),
        name_check: NameCheck::Accepted,
        open_path,
        latency_ns: 1,
        ..testing::row()
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
