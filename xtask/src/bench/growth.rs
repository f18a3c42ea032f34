//! How the cost of an open grows with what is opened, and whether faster than the open itself with
//! the floor of it: nobody can probe these functions for less than that.

use std::fmt::Write as _;

use lab_contract::{
    benched::{Benched, FLOOR, RECORD, TRACE, UNTRACED},
    grown::SIZES,
};
use serde::Serialize;

/// What is ours may grow so much faster than the work: figures are not exact.
const TOLERANCE: f64 = 1.1;

/// All shapes.
#[derive(Debug, Serialize)]
pub(super) struct Growth {
    kernel: String,
    shapes: Vec<Grown>,
}

/// One shape.
#[derive(Debug, Serialize)]
struct Grown {
    dimension: &'static str,
    size: usize,
    /// Instructions of an open that nobody watches.
    untraced: u64,
    /// Added by empty probes in the same places.
    floor: i64,
    /// Added by `nfs-trace record`.
    record: i64,
    /// Added by `nfs-trace trace --format json` to a file.
    trace: i64,
    /// What is added above the floor grew more than in proportion to the open with the floor,
    /// compared with the smallest of its dimension.
    faster: bool,
}

impl Growth {
    pub(super) fn new(kernel: &str, rows: &[Benched]) -> Self {
        let per_open = |way: &str, shape: &str| {
            let row = rows.iter().find(|row| row.way == way && row.shape == shape);
            row.map_or(0, Benched::per_open)
        };
        let mut shapes = Vec::new();
        for (dimension, sizes) in SIZES {
            let mut smallest: Option<Cost> = None;
            let measured = sizes.iter().filter(|size| {
                let shape = format!("{}={size}", dimension.name());
                rows.iter().any(|row| row.shape == shape)
            });
            for size in measured {
                let shape = format!("{}={size}", dimension.name());
                let untraced = per_open(UNTRACED, &shape);
                let added = |way| per_open(way, &shape) as i64 - untraced as i64;
                let (floor, record, trace) = (added(FLOOR), added(RECORD), added(TRACE));
                let cost = Cost {
                    work: untraced as i64 + floor,
                    record: record - floor,
                    trace: trace - floor,
                };
                shapes.push(Grown {
                    dimension: dimension.name(),
                    size: *size,
                    untraced,
                    floor,
                    record,
                    trace,
                    faster: cost.is_faster(*smallest.get_or_insert(cost)),
                });
            }
        }
        Self {
            kernel: kernel.into(),
            shapes,
        }
    }

    pub(super) fn table(&self) -> String {
        let mut text = format!(
            "\ncached opens, instructions each\n  {:<9} {:>7} {:>9} {:>9} {:>9} {:>9}\n",
            "", "", "untraced", "floor", "record", "trace"
        );
        for shape in &self.shapes {
            let _ = writeln!(
                text,
                "  {:<9} {:>7} {:>9} {:>+9} {:>+9} {:>+9}{}",
                shape.dimension,
                shape.size,
                shape.untraced,
                shape.floor,
                shape.record,
                shape.trace,
                if shape.faster {
                    "  grows faster than the work"
                } else {
                    ""
                }
            );
        }
        text
    }
}

/// Instructions of an open with empty probes, and what our ways add to them.
#[derive(Debug, Clone, Copy)]
struct Cost {
    work: i64,
    record: i64,
    trace: i64,
}

impl Cost {
    /// Whether what we add grew by a larger factor than the work, from what it `was`.
    fn is_faster(self, was: Self) -> bool {
        let work = self.work as f64 / was.work.max(1) as f64;
        let faster = |is: i64, was: i64| is as f64 > was.max(0) as f64 * work.max(1.0) * TOLERANCE;
        faster(self.record, was.record) || faster(self.trace, was.trace)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_ours_may_grow_as_the_work_does() {
        let cost = |work, record, trace| Cost {
            work,
            record,
            trace,
        };
        let was = cost(1000, 100, 200);
        assert!(!cost(2000, 200, 400).is_faster(was));
        assert!(!cost(1000, 109, 219).is_faster(was));
        assert!(cost(1000, 111, 200).is_faster(was));
        assert!(cost(1000, 100, 221).is_faster(was));
        assert!(cost(2000, 250, 200).is_faster(was));
        // A cheaper open does not make the same addition grow.
        assert!(!cost(900, 100, 200).is_faster(was));
    }

    #[test]
    fn what_was_measured_stands_beside_the_smallest_of_its_kind() {
        let row = |way: &str, shape: &str, per_open: u64| Benched {
            way: way.into(),
            shape: shape.into(),
            opens: 1,
            rounds: vec![per_open],
            ..Benched::default()
        };
        let rows = [
            row(UNTRACED, "depth=1", 1000),
            row(UNTRACED, "depth=8", 2000),
            row(FLOOR, "depth=1", 1050),
            row(FLOOR, "depth=8", 2100),
            row(RECORD, "depth=1", 1150),
            row(RECORD, "depth=8", 2300),
            row(TRACE, "depth=1", 1250),
            row(TRACE, "depth=8", 3000),
        ];
        let growth = Growth::new("6.1", &rows);
        let faster: Vec<bool> = growth.shapes.iter().map(|shape| shape.faster).collect();
        assert_eq!(faster, [false, true]);
        let deep = &growth.shapes[1];
        assert_eq!((deep.floor, deep.record, deep.trace), (100, 300, 1000));
        assert_eq!(growth.table().lines().count(), 3 + 2);
    }
}
