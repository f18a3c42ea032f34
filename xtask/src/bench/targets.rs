//! What the figures are to be, and whether they are.

use std::fmt::Write as _;

use lab_contract::benched::{BPFTRACE, FLOOR, OTHER_MOUNT, OTHER_PID, RECORD, TRACE, UNTRACED};

use super::figures::{Figures, Kind};

/// What one figure is to be.
#[derive(Debug, PartialEq)]
pub(super) struct Target {
    what: String,
    at_most: f64,
    is: f64,
}

impl Target {
    fn met(&self) -> bool {
        self.is <= self.at_most
    }
}

/// Those targets that the rows of this kind can tell of.
fn of(kind: &Kind) -> Vec<Target> {
    let added = |way| kind.row(way).map(|row| row.added as f64);
    let mut targets = Vec::new();
    let mut add = |what: &str, at_most: Option<f64>, is: Option<f64>| {
        if let (Some(at_most), Some(is)) = (at_most, is) {
            targets.push(Target {
                what: format!("{}: {what}", kind.kind),
                at_most,
                is,
            });
        }
    };
    let floor = added(FLOOR);
    add(
        "record adds at most 1.5 times the floor",
        floor.map(|it| it * 1.5),
        added(RECORD),
    );
    add(
        "trace adds at most a tenth of what bpftrace adds",
        added(BPFTRACE).map(|it| it / 10.0),
        added(TRACE),
    );
    for way in [OTHER_PID, OTHER_MOUNT] {
        add(
            &format!("{way}, filtered out, adds at most the floor and a tenth"),
            floor.map(|it| it * 1.1),
            added(way),
        );
    }
    if kind.kind == "wire" {
        let base = kind.row(UNTRACED).map(|row| row.per_open as f64);
        add(
            "trace adds at most 3 % of an open",
            base.map(|it| it * 0.03),
            added(TRACE),
        );
    }
    let ours = [RECORD, TRACE].map(|way| kind.row(way).map(|row| row.measured.lost));
    let lost = ours.into_iter().flatten().reduce(|sum, lost| sum + lost);
    add("nothing is lost", Some(0.0), lost.map(|it| it as f64));
    targets
}

/// A line a target.
pub(super) fn text(figures: &Figures) -> String {
    let mut text = String::from("\ntargets\n");
    for target in figures.kinds.iter().flat_map(of) {
        let word = if target.met() { "met" } else { "MISSED" };
        let Target { what, at_most, is } = &target;
        let _ = writeln!(text, "  {word:<6} {what}: {is:.0}, at most {at_most:.0}");
    }
    text
}

#[cfg(test)]
mod tests {
    use lab_contract::benched::Benched;

    use super::*;

    fn wire(rows: &[(&str, u64)]) -> Kind {
        let rows = rows.iter().map(|(way, per_open)| Benched {
            way: (*way).into(),
            opens: 1,
            rounds: vec![*per_open],
            ..Benched::default()
        });
        Kind::new("wire", rows.collect())
    }

    #[test]
    fn a_target_is_met_at_its_figure_and_missed_above() {
        let kind = wire(&[
            (UNTRACED, 1000),
            (FLOOR, 1100),
            (RECORD, 1150),
            (TRACE, 1031),
        ]);
        let targets = of(&kind);
        let met: Vec<bool> = targets.iter().map(Target::met).collect();
        // 150 of 150 for record; 31 of 30 for trace; nothing lost.
        assert_eq!(met, [true, false, true], "{targets:?}");
    }

    #[test]
    fn what_was_not_measured_is_not_judged() {
        assert_eq!(of(&wire(&[(UNTRACED, 1000)])), []);
    }
}
