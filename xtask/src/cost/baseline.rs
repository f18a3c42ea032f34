//! The committed figures, and what another measurement says of them.

use std::{collections::BTreeMap, fmt, fs, path::PathBuf};

use anyhow::{Context as _, Result};
use serde::{Deserialize, Serialize};

use crate::workspace;

/// Where it is, below the workspace.
pub(crate) const FILE: &str = "xtask/cost.json";
/// A figure may be so much worse.
const TOLERANCE: f64 = 0.05;

/// Figure by name: instructions, less is better.
pub(crate) type Figures = BTreeMap<String, f64>;

/// See the module.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Baseline {
    /// The compiler that they are of: another one makes other code.
    pub(crate) rustc: String,
    /// What of the processor decides which code runs, see [`super::processor`].
    pub(crate) processor: String,
    /// By part of nfs-trace.
    pub(crate) parts: BTreeMap<String, Figures>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    Fine,
    Worse,
    /// It is in the baseline or was measured, not both.
    Alone,
}

/// One figure, before and now.
#[derive(Debug)]
pub(crate) struct Line {
    pub(crate) name: String,
    pub(crate) before: Option<f64>,
    pub(crate) now: Option<f64>,
    pub(crate) verdict: Verdict,
}

impl Baseline {
    pub(crate) fn read() -> Result<Self> {
        let path = path();
        let text = fs::read_to_string(&path)
            .with_context(|| format!("read {FILE}: `cargo xtask cost --update` makes it"))?;
        serde_json::from_str(&text).with_context(|| format!("understand {}", path.display()))
    }

    pub(crate) fn write(&self) -> Result<()> {
        let mut text = serde_json::to_string_pretty(self)?;
        text.push('\n');
        fs::write(path(), text).with_context(|| format!("write {FILE}"))
    }

    /// What was measured of a part beside what was expected, all names of both.
    pub(crate) fn compare(&self, part: &str, measured: &Figures) -> Vec<Line> {
        let none = Figures::new();
        let expected = self.parts.get(part).unwrap_or(&none);
        let mut names: Vec<&String> = expected.keys().chain(measured.keys()).collect();
        names.sort();
        names.dedup();
        let line = |name: &String| {
            let (before, now) = (expected.get(name).copied(), measured.get(name).copied());
            Line {
                name: format!("{part}: {name}"),
                before,
                now,
                verdict: match (before, now) {
                    (Some(before), Some(now)) if now <= before * (1.0 + TOLERANCE) => Verdict::Fine,
                    (Some(_), Some(_)) => Verdict::Worse,
                    _ => Verdict::Alone,
                },
            }
        };
        names.into_iter().map(line).collect()
    }
}

fn path() -> PathBuf {
    workspace::root().join(FILE)
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let number = |figure: Option<f64>| figure.map_or("-".into(), |it| format!("{it:.1}"));
        let word = match self.verdict {
            Verdict::Fine => "ok",
            Verdict::Worse => "WORSE",
            Verdict::Alone if self.now.is_none() => "GONE",
            Verdict::Alone => "NEW",
        };
        let change = match (self.before, self.now) {
            (Some(before), Some(now)) => format!("{:+.1} %", (now / before - 1.0) * 100.0),
            _ => String::new(),
        };
        write!(
            f,
            "{word:6} {:64} {:>10} {:>10} {change:>8}",
            self.name,
            number(self.before),
            number(self.now),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdicts(before: &[(&str, f64)], now: &[(&str, f64)]) -> Vec<Verdict> {
        let figures = |pairs: &[(&str, f64)]| -> Figures {
            let owned = pairs.iter().map(|(name, it)| ((*name).to_owned(), *it));
            owned.collect()
        };
        let baseline = Baseline {
            parts: [("part".to_owned(), figures(before))].into(),
            ..Baseline::default()
        };
        let lines = baseline.compare("part", &figures(now));
        lines.iter().map(|line| line.verdict).collect()
    }

    #[test]
    fn more_than_a_twentieth_is_worse_and_less_never_is() {
        let against = |now| verdicts(&[("a", 1000.0)], &[("a", now)]);
        assert_eq!(against(1050.0), [Verdict::Fine]);
        assert_eq!(against(1051.0), [Verdict::Worse]);
        assert_eq!(against(10.0), [Verdict::Fine]);
    }

    #[test]
    fn a_figure_that_only_one_side_has_is_told() {
        use Verdict::{Alone, Fine};
        let both = [("a", 1.0), ("b", 1.0)];
        assert_eq!(verdicts(&both, &both[..1]), [Fine, Alone]);
        assert_eq!(verdicts(&both[..1], &both), [Fine, Alone]);
    }
}
