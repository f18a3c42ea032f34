//! The known first fixed versions, one row a branch: the only place that holds them, with
//! their sources. What no row covers, or is [`UNKNOWN`], says nothing.

use super::{Family, FixLevel};

/// Nobody looked, or it could not be found out.
pub(super) const UNKNOWN: Option<FixLevel> = None;
const AFFECTED: Option<FixLevel> = Some(FixLevel::None);
const FIRST: Option<FixLevel> = Some(FixLevel::Be189f7e);
const FULL: Option<FixLevel> = Some(FixLevel::Full);

/// From this version on, up to the next step: this level.
pub(super) type Step = (&'static [u32], Option<FixLevel>);

/// A branch of kernels with one numbering.
pub(super) struct Branch {
    /// Whose; nothing if the numbers mean the same for all.
    pub(super) family: Option<Family>,
    /// Its name, as an admin knows it.
    pub(super) name: &'static str,
    /// Its first version, and the first one beyond it.
    pub(super) range: (&'static [u32], &'static [u32]),
    /// In ascending order, the first at the start of the range.
    pub(super) steps: &'static [Step],
    /// What to install, or that there is nothing.
    pub(super) fixed: &'static str,
    /// What the row rests on.
    pub(super) source: &'static str,
}

/// Every branch of which something is known. Versions compare number by number: `[4, 19]`
/// stands before `[4, 19, 0]`.
pub(super) const TABLE: &[Branch] = &[
    Branch {
        family: None,
        name: "Linux 4.20 and later",
        range: (&[4, 20], &[u32::MAX]),
        steps: &[(&[4, 20], FULL)],
        fixed: "Linux 4.20 and later have the whole series",
        source: "all three patches in the source of 4.20.1, none in that of 4.19.48",
    },
    Branch {
        family: Some(Family::Upstream),
        name: "Linux 4.19.y",
        range: (&[4, 19], &[4, 20]),
        steps: &[(&[4, 19], AFFECTED), (&[4, 19, 64], FULL)],
        fixed: "4.19.y has the whole series from 4.19.64 on",
        source: "announcement of 4.19.64 (2019-08-04); absent in 4.19.48, there in 4.19.72",
    },
    Branch {
        family: Some(Family::Upstream),
        name: "Linux 4.15 to 4.18",
        range: (&[4, 15], &[4, 19]),
        steps: &[(&[4, 15], AFFECTED)],
        fixed: "no fixed 4.15 to 4.18 is known: move to 4.19.64 or later",
        source: "absent in 4.15.11, 4.16.13, 4.17 and 4.19.48; announced for 4.14.y and 4.19.y \
                 only",
    },
    Branch {
        family: Some(Family::Upstream),
        name: "Linux 4.14.y",
        range: (&[4, 14], &[4, 15]),
        steps: &[(&[4, 14], AFFECTED), (&[4, 14, 136], FULL)],
        fixed: "4.14.y has the whole series from 4.14.136 on",
        source: "announcement of 4.14.136 (2019-08-04); absent in 4.14.5 and 4.14.67",
    },
    Branch {
        family: Some(Family::Upstream),
        name: "Linux 4.9.y",
        range: (&[4, 9], &[4, 10]),
        steps: &[(&[4, 9], AFFECTED)],
        fixed: "4.9.y never got the fix, to its last release 4.9.337: move to 4.14.136, \
                4.19.64 or later",
        source: "absent in 4.9.115 and 4.9.337",
    },
    Branch {
        family: Some(Family::Upstream),
        name: "Linux 4.4.y",
        range: (&[4, 4], &[4, 5]),
        steps: &[(&[4, 4], AFFECTED), (&[4, 4, 221], UNKNOWN)],
        fixed: "no fixed 4.4.y is known: move to 4.14.136, 4.19.64 or later",
        source: "absent in 4.4.155 and 4.4.220; later ones not read",
    },
    Branch {
        family: Some(Family::Rhel),
        name: "RHEL 7",
        range: (&[3, 10, 0], &[3, 10, 1]),
        steps: &[
            (&[3, 10, 0], AFFECTED),
            (&[3, 10, 0, 694], UNKNOWN), // 957 and its z-stream were not read
            (&[3, 10, 0, 1062], FIRST),
        ],
        fixed: "RHEL 7 has the first patch, be189f7e, from kernel-3.10.0-1062.el7 on (7.7, \
                RHSA-2019:2029)",
        source: "RHSA-2019:2029 and GitLab's report of the bug; absent in 514 and 693, \
                 be189f7e alone in 1127",
    },
    Branch {
        family: Some(Family::Rhel),
        name: "RHEL 8",
        range: (&[4, 18, 0], &[4, 18, 1]),
        steps: &[
            (&[4, 18, 0], UNKNOWN), // 8.0 (80) was not read
            (&[4, 18, 0, 147], FIRST),
            (&[4, 18, 0, 148], UNKNOWN), // nor was 8.2 (193)
            (&[4, 18, 0, 240], FULL),
        ],
        fixed: "RHEL 8 has the first patch, be189f7e, in kernel-4.18.0-147.el8 (8.1) and the \
                whole series from 4.18.0-240.el8 on (8.3)",
        source: "be189f7e alone in 147; the whole series in 240",
    },
    Branch {
        family: Some(Family::OpenSuse),
        name: "openSUSE Leap 42.3",
        range: (&[4, 4], &[4, 5]),
        steps: &[(&[4, 4], AFFECTED), (&[4, 4, 179, 99], FIRST)],
        fixed: "Leap 42.3 has the first patch, be189f7e, from kernel 4.4.179-99.1 on",
        source: "openSUSE advisory with bsc#1132618",
    },
    Branch {
        family: Some(Family::OpenSuse),
        name: "openSUSE Leap 15.0",
        range: (&[4, 12, 14, 150], &[4, 12, 14, 151]),
        steps: &[
            (&[4, 12, 14, 150], AFFECTED),
            (&[4, 12, 14, 150, 12, 61], FIRST),
        ],
        fixed: "Leap 15.0 has the first patch, be189f7e, from kernel 4.12.14-lp150.12.61.1 on",
        source: "openSUSE advisory with bsc#1132618",
    },
    Branch {
        family: Some(Family::OpenSuse),
        name: "openSUSE Leap 15.1",
        range: (&[4, 12, 14, 151], &[4, 12, 14, 152]),
        steps: &[
            (&[4, 12, 14, 151], AFFECTED),
            (&[4, 12, 14, 151, 28, 4], FIRST),
            (&[4, 12, 14, 151, 28, 20], FULL),
        ],
        fixed: "Leap 15.1 has the first patch, be189f7e, from kernel 4.12.14-lp151.28.4.1 on \
                and the whole series from 4.12.14-lp151.28.20.1 on",
        source: "openSUSE advisories: bsc#1132618, then 5ceb9d7f and c7944ebb as git-fixes",
    },
    Branch {
        family: Some(Family::Ubuntu),
        name: "Ubuntu's 4.18",
        range: (&[4, 18, 0], &[4, 18, 1]),
        steps: &[(&[4, 18, 0], AFFECTED), (&[4, 18, 0, 18], UNKNOWN)],
        fixed: "no fixed 4.18 of Ubuntu is known: any kernel of 5.0 or later has the series",
        source: "absent in 4.18.0-17.18; what Launchpad bug 1802585 brought was not found",
    },
    Branch {
        family: Some(Family::Ubuntu),
        name: "Ubuntu's 4.15",
        range: (&[4, 15, 0], &[4, 15, 1]),
        steps: &[(&[4, 15, 0], AFFECTED), (&[4, 15, 0, 43], UNKNOWN)],
        fixed: "no first fixed 4.15 of Ubuntu is known: any kernel of 5.0 or later has the series",
        source: "absent in 4.15.0-42.45; what Launchpad bug 1802585 brought was not found",
    },
    Branch {
        family: Some(Family::Ubuntu),
        name: "Ubuntu's 4.4",
        range: (&[4, 4, 0], &[4, 4, 1]),
        steps: &[(&[4, 4, 0], AFFECTED), (&[4, 4, 0, 188], UNKNOWN)],
        fixed: "no fixed 4.4 of Ubuntu is known: any kernel of 5.0 or later has the series",
        source: "absent in 4.4.0-187.217; what Launchpad bug 1802585 brought was not found",
    },
    Branch {
        family: Some(Family::Debian),
        name: "Debian's 4.19",
        range: (&[4, 19], &[4, 20]),
        steps: &[(&[4, 19], AFFECTED), (&[4, 19, 64], FULL)],
        fixed: "Debian 10 has the whole series from the first package of 4.19.64 or later on, \
                Debian 11 and later always",
        source: "Debian packages of 4.19.y follow that branch; no patch of Debian's own is known",
    },
    Branch {
        family: Some(Family::Debian),
        name: "Debian's 4.9",
        range: (&[4, 9], &[4, 10]),
        steps: &[(&[4, 9], AFFECTED)],
        fixed: "no fixed 4.9 of Debian is known, as 4.9.y never got the fix: move to Debian 11 \
                or later",
        source: "Debian packages of 4.9.y follow that branch; no patch of Debian's own is known",
    },
];
