//! What to do, from what was found. Pure.

use super::{
    conclude::Mishaps,
    evidence::{FixLevel, Kind},
    plan::Plan,
    report::MountReport,
    verdict::Verdict,
};

/// The three patches, for whoever has to ask a vendor.
const PATCHES: &str = "be189f7e7f03, 5ceb9d7fdaaf, c7944ebb9ce9";

/// What to do about one mount.
#[must_use]
pub fn for_mount(report: &MountReport, plan: &Plan, mishaps: &Mishaps) -> Vec<String> {
    match report.verdict {
        Verdict::Affected => affected(report),
        Verdict::NotAffected => not_affected(report),
        Verdict::Inconclusive => inconclusive(report, plan, mishaps),
    }
}

fn affected(report: &MountReport) -> Vec<String> {
    let mut advice = vec![
        "the old file is served for as long as anybody here holds it open in the same mode as \
         the same user: closing the holder ends it (`nfs-trace trace --open-path cached` shows \
         who is served old files)"
            .to_string(),
        // What the lab measures on an affected client, see "What clears it" in README.md.
        "listing the directory on this mount (`ls -l DIRECTORY`) makes the next open find the \
         new file, also while the old one is held; a `stat` of the name right after the rename \
         does not"
            .to_string(),
    ];
    let shortest = "`acdirmax=N` (or `actimeo=N`) shortens that time to N seconds, at the price \
                    of more requests to the server";
    match (report.atomic_open_v1, report.acdirmin, report.acdirmax) {
        (Some(true), Some(min), Some(max)) => advice.push(format!(
            "over this version the name is checked when the directory's cached attributes have \
             run out, {min} to {max} s after they were fetched: {shortest}"
        )),
        (Some(false), ..) => advice.push(format!(
            "remounting with vers=4.1 or later, if the server has it, limits the harm: there \
             the name is checked when the directory's cached attributes have run out (30 to \
             60 s by default); {shortest}"
        )),
        _ => {}
    }
    advice
}

fn not_affected(report: &MountReport) -> Vec<String> {
    // A fixed client over v4.1 may still read the old file for a while: say so before
    // somebody takes that for the bug.
    match (report.atomic_open_v1, report.acdirmax) {
        (Some(true), Some(max)) => vec![format!(
            "nothing; an old file that is read for up to {max} s after a rename is the \
             directory's attribute cache at work (see nfs(5), `actimeo`), not this bug"
        )],
        _ => Vec::new(),
    }
}

fn inconclusive(report: &MountReport, plan: &Plan, mishaps: &Mishaps) -> Vec<String> {
    let mount = &report.mount;
    let observed = report
        .evidence
        .iter()
        .any(|evidence| evidence.kind == Kind::Observed);
    if mishaps.untraceable.is_some() {
        return vec![
            "remove what stands in the way and check again; until then the kernel's image and \
             release below are all there is to go by"
                .into(),
        ];
    }
    if mishaps.unanswered.is_some() {
        return vec![format!(
            "see whether {} can be reached, and check again; `--timeout 1m` waits longer",
            plan.mount.source
        )];
    }
    if observed {
        return vec![format!(
            "observe for longer, or while a file is held open and opened again; or let \
             `nfs-trace check {mount}` do that with a file of its own"
        )];
    }
    if !plan.directory {
        return vec![format!(
            "`nfs-trace check {mount}` uses a file of its own, and can make the client return \
             a delegation"
        )];
    }
    vec![format!(
        "check again; or name a directory on {mount} that can be written to, or a file that \
         can be read; `nfs-trace check --observe 1m {mount}` judges what others open"
    )]
}

/// What to do that concerns the whole machine. `fixed`: the fixed versions of this
/// distribution, if they are known.
#[must_use]
pub fn in_general(
    verdict: Verdict,
    levels: &[Option<FixLevel>],
    no_mounts: bool,
    fixed: Option<String>,
) -> Vec<String> {
    let mut advice = Vec::new();
    if no_mounts {
        advice.push(
            "mount an NFSv4 file system and check again: only behaviour decides; if there are \
             mounts in a container, run the check in its mount namespace (nsenter -m)"
                .to_string(),
        );
    }
    if verdict == Verdict::Affected {
        advice.push(fixed.unwrap_or_else(|| {
            format!(
                "update the kernel: Linux 4.20, 4.19.64 and 4.14.136 have the fix; for another \
                 version ask its vendor for commits {PATCHES}"
            )
        }));
        advice.push("`nfs-trace check --explain` tells on one page what goes wrong".into());
    } else if levels.contains(&Some(FixLevel::Be189f7e)) {
        advice.extend(fixed);
    }
    advice
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::check::{
        evidence::Finding,
        samples::{concluded, evidence, plan},
    };

    fn advice(finding: Finding, mishaps: &Mishaps, by_filehandle: bool) -> String {
        let report = concluded(finding, mishaps, by_filehandle);
        for_mount(&report, &plan(), mishaps).join("\n")
    }

    #[test]
    fn an_affected_mount_gets_what_helps_its_version() {
        let none = Mishaps::default();
        let v40 = advice(Finding::Affected, &none, false);
        assert!(v40.contains("remounting with vers=4.1"), "{v40}");
        let v41 = advice(Finding::Affected, &none, true);
        assert!(v41.contains("30 to 60 s after"), "{v41}");
        assert!(!v41.contains("remounting"), "{v41}");
        for text in [v40, v41] {
            assert!(text.contains("ls -l") && text.contains("holds it open"));
        }
    }

    #[test]
    fn each_way_to_know_nothing_has_its_own_way_on() {
        let unanswered = Mishaps {
            unanswered: Some(Duration::from_secs(1)),
            ..Mishaps::default()
        };
        let untraceable = Mishaps {
            untraceable: Some("no privilege".into()),
            ..Mishaps::default()
        };
        assert!(advice(Finding::Nothing, &unanswered, true).contains("srv:/export"));
        assert!(advice(Finding::Nothing, &untraceable, true).contains("in the way"));
        assert!(advice(Finding::Nothing, &Mishaps::default(), true).contains("--observe"));

        let mut file = plan();
        file.directory = false;
        let report = concluded(Finding::Nothing, &Mishaps::default(), true);
        let text = for_mount(&report, &file, &Mishaps::default()).join("\n");
        assert!(
            text.contains("check /mnt/data` uses a file of its own"),
            "{text}"
        );

        let mut observed = report.clone();
        observed.evidence = vec![evidence(Kind::Observed, Finding::Nothing, None)];
        let text = for_mount(&observed, &plan(), &Mishaps::default()).join("\n");
        assert!(text.contains("observe for longer"), "{text}");
    }

    #[test]
    fn the_fixed_versions_of_the_distribution_come_first() {
        let fixed = Some("install kernel-3.10.0-1062.el7".to_string());
        let general = in_general(Verdict::Affected, &[], false, fixed);
        assert_eq!(general[0], "install kernel-3.10.0-1062.el7");
        let unknown = in_general(Verdict::Affected, &[], false, None);
        assert!(unknown[0].contains("be189f7e7f03"), "{}", unknown[0]);
        assert_eq!(in_general(Verdict::NotAffected, &[], false, None), [""; 0]);
        assert!(in_general(Verdict::Inconclusive, &[], true, None)[0].contains("nsenter"));
    }
}
