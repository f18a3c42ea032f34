//! Evidence -> verdict. Pure.

use serde::Serialize;

use super::evidence::{Evidence, Finding, FixLevel, Kind};
use crate::exit::Exit;

/// The answer, for one mount or for all of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Every reopen that was seen went to the server.
    NotAffected,
    /// A reopen was served from cached open state.
    Affected,
    /// Not enough was seen, or something was missed.
    Inconclusive,
}

impl Verdict {
    /// The exit status that says it.
    #[must_use]
    pub fn exit(self) -> Exit {
        match self {
            Self::NotAffected => Exit::Ok,
            Self::Affected => Exit::Affected,
            Self::Inconclusive => Exit::Inconclusive,
        }
    }
}

/// A verdict and what it rests on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Judgement {
    /// The answer.
    pub verdict: Verdict,
    /// The fix level, as far as behaviour shows it.
    pub fix_level: Option<FixLevel>,
}

/// Judges one mount. `missed`: whether anything was lost, not attached or incomplete, which
/// leaves no more than "inconclusive".
#[must_use]
pub fn judge(evidence: &[Evidence], missed: bool) -> Judgement {
    let decided = |finding| {
        evidence
            .iter()
            .any(|one| one.finding == finding && may_decide(one))
    };
    // One cached open proves it, however many others went to the server: they may have been
    // in another mode, or of another user.
    let verdict = if missed {
        Verdict::Inconclusive
    } else if decided(Finding::Affected) {
        Verdict::Affected
    } else if decided(Finding::NotAffected) {
        Verdict::NotAffected
    } else {
        Verdict::Inconclusive
    };
    let levels = |kinds: fn(&Evidence) -> bool| {
        evidence
            .iter()
            .filter(|one| kinds(one))
            .filter_map(|one| one.fix_level)
            .min()
    };
    let fix_level = match verdict {
        Verdict::Affected => Some(FixLevel::None),
        // Where behaviour does not tell the two apart, the image may.
        Verdict::NotAffected => {
            levels(may_decide).or_else(|| levels(|one| one.kind == Kind::Image))
        }
        Verdict::Inconclusive => None,
    };
    Judgement { verdict, fix_level }
}

fn may_decide(evidence: &Evidence) -> bool {
    matches!(evidence.kind, Kind::Observed | Kind::SelfTest)
}

/// The verdict over several mounts: one affected mount is enough, and "not affected" needs
/// all of them.
#[must_use]
pub fn overall(verdicts: impl IntoIterator<Item = Verdict>) -> Verdict {
    let verdicts: Vec<_> = verdicts.into_iter().collect();
    if verdicts.contains(&Verdict::Affected) {
        Verdict::Affected
    } else if verdicts.is_empty() || verdicts.contains(&Verdict::Inconclusive) {
        Verdict::Inconclusive
    } else {
        Verdict::NotAffected
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item(kind: Kind, finding: Finding, fix_level: Option<FixLevel>) -> Evidence {
        Evidence {
            kind,
            looked_at: String::new(),
            seen: String::new(),
            finding,
            fix_level,
            means: String::new(),
        }
    }

    #[test]
    fn only_behaviour_decides() {
        for finding in [Finding::Affected, Finding::NotAffected] {
            for kind in [Kind::Image, Kind::Release] {
                let judged = judge(&[item(kind, finding, Some(FixLevel::Full))], false);
                assert_eq!(judged.verdict, Verdict::Inconclusive);
                assert_eq!(judged.fix_level, None);
            }
        }
    }

    #[test]
    fn one_cached_open_outweighs_everything_else() {
        let evidence = [
            item(Kind::Observed, Finding::NotAffected, None),
            item(Kind::SelfTest, Finding::Affected, Some(FixLevel::None)),
            item(
                Kind::Image,
                Finding::PointsToNotAffected,
                Some(FixLevel::Full),
            ),
        ];
        let judged = judge(&evidence, false);
        assert_eq!(judged.verdict, Verdict::Affected);
        assert_eq!(judged.fix_level, Some(FixLevel::None));
    }

    #[test]
    fn the_image_only_fills_in_a_level_that_behaviour_leaves_open() {
        let image = item(
            Kind::Image,
            Finding::PointsToNotAffected,
            Some(FixLevel::Full),
        );
        let wire = item(Kind::SelfTest, Finding::NotAffected, None);
        let judged = judge(&[wire, image.clone()], false);
        assert_eq!(judged.fix_level, Some(FixLevel::Full));
        let accepted = item(
            Kind::SelfTest,
            Finding::NotAffected,
            Some(FixLevel::Be189f7e),
        );
        let judged = judge(&[accepted, image], false);
        assert_eq!(judged.fix_level, Some(FixLevel::Be189f7e));
    }

    #[test]
    fn what_was_missed_leaves_nothing_certain() {
        for finding in [Finding::Affected, Finding::NotAffected] {
            let judged = judge(&[item(Kind::SelfTest, finding, None)], true);
            assert_eq!(judged.verdict, Verdict::Inconclusive);
        }
    }

    #[test]
    fn the_worst_mount_speaks_for_all() {
        use Verdict::{Affected, Inconclusive, NotAffected};
        assert_eq!(overall([NotAffected, NotAffected]), NotAffected);
        assert_eq!(overall([NotAffected, Inconclusive]), Inconclusive);
        assert_eq!(overall([Inconclusive, Affected, NotAffected]), Affected);
        assert_eq!(overall([]), Inconclusive);
    }
}
