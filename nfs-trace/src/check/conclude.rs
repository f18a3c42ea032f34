//! Evidence and mishaps of one mount -> its report. Pure.

use std::time::Duration;

use super::{
    evidence::{Evidence, Finding, FixLevel},
    options::{self, MountFacts},
    plan::Plan,
    report::MountReport,
    verdict::{Judgement, Verdict, judge},
};
use crate::{
    names::{escape, escape_path},
    summary::Lost,
};

/// What went wrong with a check of one mount, if anything did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Mishaps {
    /// Why nothing could be traced at all, with the remedy.
    pub untraceable: Option<String>,
    /// The server did not answer in this time.
    pub unanswered: Option<Duration>,
    /// The user ended it.
    pub interrupted: bool,
    /// Why the test ended before its end.
    pub failed: Option<String>,
    /// What the trace lost.
    pub lost: Option<Lost>,
    /// Opens whose path was not seen completely.
    pub incomplete: usize,
}

impl Mishaps {
    /// Why the test was over before its end, in words.
    fn early_end(&self, plan: &Plan) -> Option<String> {
        if let Some(time) = self.unanswered {
            return Some(format!(
                "the server of {} did not answer within {} s: it may be down or out of reach",
                plan.mount.source,
                time.as_secs_f64()
            ));
        }
        if self.interrupted {
            return Some("it was interrupted".into());
        }
        self.failed.clone()
    }

    /// What is missing from the trace, in words.
    fn missed(&self) -> Option<String> {
        let mut parts = Vec::new();
        if let Some(lost) = self.lost.filter(|lost| !lost.is_nothing()) {
            let counts = [
                (lost.records, "records lost"),
                (lost.returns, "returns missed"),
                (lost.skipped, "programs skipped"),
                (lost.undecodable, "records not understood"),
            ];
            parts.extend(
                counts
                    .iter()
                    .filter(|(count, _)| *count > 0)
                    .map(|(count, what)| format!("{count} {what}")),
            );
        }
        if self.incomplete > 0 {
            parts.push(format!("{} opens not seen completely", self.incomplete));
        }
        (!parts.is_empty()).then(|| parts.join(", "))
    }
}

/// Concludes. `image`: what the kernel image says, which may fill in the fix level.
#[must_use]
pub fn conclude(
    plan: &Plan,
    facts: Option<&MountFacts>,
    evidence: Vec<Evidence>,
    image: &Evidence,
    mishaps: &Mishaps,
) -> MountReport {
    let missed = mishaps.missed();
    let mut weighed = evidence.clone();
    weighed.push(image.clone());
    let Judgement { verdict, fix_level } = judge(&weighed, missed.is_some());
    let dev = plan.mount.dev;
    let mut report = MountReport {
        mount: plan.mount.point.shown().to_string(),
        also_mounted_at: plan.also.iter().map(|point| escape_path(point)).collect(),
        server: escape(plan.mount.source.as_bytes()),
        dev: format!("{}:{}", dev >> 20, dev & 0xf_ffff),
        nfs_version: plan.mount.nfs_version.clone(),
        atomic_open_v1: None,
        nocto: None,
        lookupcache: None,
        ac: None,
        acdirmin: None,
        acdirmax: None,
        verdict,
        fix_level,
        why: why(plan, verdict, fix_level, &evidence, mishaps, missed),
        remarks: Vec::new(),
        evidence,
        holders: Vec::new(),
        advice: Vec::new(),
        took_ms: 0,
    };
    if verdict != Verdict::Inconclusive
        && let Some(end) = mishaps.early_end(plan)
    {
        report.remarks.push(format!("the check ended early: {end}"));
    }
    if verdict == Verdict::Affected && image.finding == Finding::PointsToNotAffected {
        report.remarks.push(
            "the kernel's image points the other way: what was seen counts (these modules may \
             not be the ones that belong to it)"
                .into(),
        );
    }
    if let Some(facts) = facts {
        report.set_facts(facts);
        report.remarks.extend(options::remarks(facts));
    }
    report
}

fn why(
    plan: &Plan,
    verdict: Verdict,
    fix_level: Option<FixLevel>,
    evidence: &[Evidence],
    mishaps: &Mishaps,
    missed: Option<String>,
) -> String {
    match verdict {
        Verdict::Affected => "an ordinary open of a file that was already open was served from \
                              the client's own open state: no OPEN went to the server"
            .into(),
        Verdict::NotAffected if fix_level == Some(FixLevel::Be189f7e) => {
            "an OPEN is sent for a file that is already open (its name is still accepted as \
             cached, so only the first of the patches is there)"
                .into()
        }
        Verdict::NotAffected => "an OPEN is sent for a file that is already open".into(),
        Verdict::Inconclusive => {
            if let Some(why) = &mishaps.untraceable {
                return why.clone();
            }
            if let Some(missed) = missed {
                let but = if evidence.iter().any(|one| one.finding == Finding::Affected) {
                    "; what was seen points to an affected client"
                } else {
                    ""
                };
                return format!("not everything was seen: {missed}{but}");
            }
            if let Some(end) = mishaps.early_end(plan) {
                return end;
            }
            evidence.first().map_or_else(
                || "no open was seen".to_string(),
                |evidence| evidence.means.clone(),
            )
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::samples::concluded;

    fn lost(records: u64) -> Option<Lost> {
        Some(Lost {
            records,
            returns: 0,
            skipped: 0,
            children: 0,
            undecodable: 0,
        })
    }

    #[test]
    fn what_was_lost_leaves_no_verdict_but_is_not_kept_quiet() {
        let mishaps = Mishaps {
            lost: lost(3),
            incomplete: 1,
            ..Mishaps::default()
        };
        let report = concluded(Finding::Affected, &mishaps, true);
        assert_eq!(report.verdict, Verdict::Inconclusive);
        assert_eq!(
            report.why,
            "not everything was seen: 3 records lost, 1 opens not seen completely; what was seen \
             points to an affected client"
        );
        let nothing = Mishaps {
            lost: lost(0),
            ..Mishaps::default()
        };
        let report = concluded(Finding::NotAffected, &nothing, true);
        assert_eq!(report.verdict, Verdict::NotAffected);
        assert_eq!(report.fix_level, Some(FixLevel::Full), "from the image");
    }

    #[test]
    fn an_early_end_is_the_reason_or_a_remark() {
        let mishaps = Mishaps {
            unanswered: Some(Duration::from_secs(10)),
            ..Mishaps::default()
        };
        let said = "the server of srv:/export did not answer within 10 s";
        let report = concluded(Finding::Nothing, &mishaps, true);
        assert_eq!(report.verdict, Verdict::Inconclusive);
        assert!(report.why.starts_with(said), "{}", report.why);
        let report = concluded(Finding::NotAffected, &mishaps, true);
        assert_eq!(report.verdict, Verdict::NotAffected);
        assert!(report.remarks[0].contains(said), "{:?}", report.remarks);
    }

    #[test]
    fn an_image_that_points_the_other_way_is_mentioned() {
        let said = |finding| {
            let report = concluded(finding, &Mishaps::default(), false);
            let contradicts = |it: &String| it.contains("points the other way");
            report.remarks.iter().any(contradicts)
        };
        assert!(said(Finding::Affected));
        assert!(!said(Finding::NotAffected));
    }
}
