//! Tables of figures for people.

use std::fmt::Write as _;

use lab_contract::benched::{UNTRACED, way};

use super::figures::{Figures, Kind, Row};

/// Two runs that differ by more are not the same.
const REPEATABLE: f64 = 2.0;

/// One kind of open.
pub(super) fn table(kind: &Kind) -> String {
    let mut text = format!(
        "\n{} opens, instructions each\n  {:<38} {:>8} {:>8} {:>10} {:>7} {:>9} {:>6} {:>7} {:>6}\n",
        kind.kind,
        "",
        "an open",
        "added",
        "over floor",
        "spread",
        "hits/open",
        "a hit",
        "events",
        "lost"
    );
    for row in &kind.rows {
        let measured = &row.measured;
        let what = way(&measured.way).map_or(&*measured.way, |way| way.what);
        if let Some(error) = &measured.error {
            let first = error.lines().next().unwrap_or_default();
            let _ = writeln!(text, "  {what:<38} not measured: {first}");
            continue;
        }
        let base = measured.way == UNTRACED;
        let watched = |text: String| if base { String::new() } else { text };
        let _ = writeln!(
            text,
            "  {what:<38} {:>8} {:>8} {:>10} {:>6.1}% {:>9} {:>6} {:>7} {:>6}",
            row.per_open,
            watched(format!("{:+}", row.added)),
            watched(option(row.over_floor.map(|it| format!("{it:+}")))),
            measured.spread(),
            option((measured.hits > 0).then(|| format!("{:.1}", row.hits_per_open))),
            option(row.per_hit.map(|it| it.to_string())),
            watched(measured.events.to_string()),
            watched(measured.lost.to_string()),
        );
    }
    text
}

fn option(text: Option<String>) -> String {
    text.unwrap_or_default()
}

/// How the figures differ from those of before.
pub(super) fn compared(before: &Figures, after: &Figures) -> String {
    let mut text = format!("\nagainst the run on {}\n", before.kernel);
    for kind in &after.kinds {
        let then = before.kinds.iter().find(|it| it.kind == kind.kind);
        for row in &kind.rows {
            if let Some(then) = then.and_then(|then| then.row(&row.measured.way)) {
                text += &difference(&kind.kind, then, row);
            }
        }
    }
    text
}

fn difference(kind: &str, then: &Row, now: &Row) -> String {
    let percent = (now.per_open as f64 / then.per_open.max(1) as f64 - 1.0) * 100.0;
    let differs = if percent.abs() > REPEATABLE {
        "  differs"
    } else {
        ""
    };
    format!(
        "  {kind:<6} {:<14} {:>8} -> {:>8} {percent:>+6.1}%{differs}\n",
        now.measured.way, then.per_open, now.per_open
    )
}

#[cfg(test)]
mod tests {
    use lab_contract::benched::{Benched, FLOOR};

    use super::*;

    fn kind(floor: u64) -> Kind {
        let row = |way: &str, per_open: u64| Benched {
            way: way.into(),
            opens: 1,
            rounds: vec![per_open],
            ..Benched::default()
        };
        Kind::new(
            "cached",
            vec![row(UNTRACED, 100), row(FLOOR, floor), row("record", 150)],
        )
    }

    #[test]
    fn rows_stand_beside_the_base_and_the_floor() {
        let text = table(&kind(120));
        let row = text.lines().last().unwrap();
        let words: Vec<&str> = row.split_whitespace().collect();
        assert_eq!(words[4..7], ["150", "+50", "+30"], "{row}");
    }

    #[test]
    fn two_runs_are_compared_row_by_row() {
        let figures = |floor| Figures {
            kernel: "6.1".into(),
            kinds: vec![kind(floor)],
        };
        let text = compared(&figures(120), &figures(123));
        let differ: Vec<&str> = text.lines().filter(|it| it.ends_with("differs")).collect();
        assert_eq!(differ.len(), 1, "{text}");
        assert!(differ[0].contains("floor"), "{text}");
    }
}
