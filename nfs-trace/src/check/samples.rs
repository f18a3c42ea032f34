//! Plans, opens and evidence for the tests of the check.

use super::{
    conclude::{Mishaps, conclude},
    evidence::{Evidence, Finding, FixLevel, Kind},
    options::MountFacts,
    plan::Plan,
    report::MountReport,
};
use crate::{
    mounts::Mount,
    trace::{NameCheck, OpenPath, PathWord},
};

pub(super) fn plan() -> Plan {
    Plan {
        mount: Mount {
            dev: 40,
            point: "/mnt/data".into(),
            fs_type: "nfs4".into(),
            source: "srv:/export".into(),
            nfs_version: Some("4.1".into()),
        },
        path: "/mnt/data".into(),
        directory: true,
        also: Vec::new(),
        unanswered: false,
    }
}

pub(super) fn evidence(kind: Kind, finding: Finding, fix_level: Option<FixLevel>) -> Evidence {
    Evidence {
        kind,
        looked_at: "what was looked at".into(),
        seen: "what was seen".into(),
        finding,
        fix_level,
        means: "what it means".into(),
    }
}

pub(super) fn facts(atomic_open_v1: bool) -> MountFacts {
    MountFacts {
        atomic_open_v1: Some(atomic_open_v1),
        ..MountFacts::default()
    }
}

/// A complete open of a name on /mnt/data.
pub(super) fn open_path(name_check: NameCheck, open_path: PathWord) -> OpenPath {
    OpenPath {
        start_ns: 1,
        end_ns: 2,
        dev: 40,
        name_check,
        open_path,
        ..crate::testing::path()
    }
}

/// What is concluded from one self-test.
pub(super) fn concluded(finding: Finding, mishaps: &Mishaps, by_filehandle: bool) -> MountReport {
    conclude(
        &plan(),
        Some(&facts(by_filehandle)),
        vec![evidence(Kind::SelfTest, finding, None)],
        &evidence(
            Kind::Image,
            Finding::PointsToNotAffected,
            Some(FixLevel::Full),
        ),
        mishaps,
    )
}
