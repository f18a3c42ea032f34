//! How the cost of an open grows with what is opened, and whether faster than the open itself.

use std::fmt::Write as _;

use lab_contract::{
    benched::{Benched, RECORD, TRACE, UNTRACED},
    grown::SIZES,
};
use serde::Serialize;

/// What is added may grow so much faster than the open: figures are not exact.
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
    /// Added by `nfs-trace record`.
    record: i64,
    /// Added by `nfs-trace trace --format json` to a file.
    trace: i64,
    /// More than in proportion to the open, compared with the smallest of its dimension.
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
            let mut smallest: Option<(u64, i64, i64)> = None;
            let measured = sizes.iter().filter(|size| {
                let shape = format!("{}={size}", dimension.name());
                rows.iter().any(|row| row.shape == shape)
            });
            for size in measured {
                let shape = format!("{}={size}", dimension.name());
                let untraced = per_open(UNTRACED, &shape);
                let added = |way| per_open(way, &shape) as i64 - untraced as i64;
                let (record, trace) = (added(RECORD), added(TRACE));
                let of = *smallest.get_or_insert((untraced, record, trace));
                shapes.push(Grown {
                    dimension: dimension.name(),
                    size: *size,
                    untraced,
                    record,
                    trace,
                    faster: faster((untraced, record), (of.0, of.1))
                        || faster((untraced, trace), (of.0, of.2)),
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
            "\ncached opens, instructions each\n  {:<9} {:>7} {:>9} {:>9} {:>9}\n",
            "", "", "untraced", "record", "trace"
        );
        for shape in &self.shapes {
            let _ = writeln!(
                text,
                "  {:<9} {:>7} {:>9} {:>+9} {:>+9}{}",
                shape.dimension,
                shape.size,
                shape.untraced,
                shape.record,
                shape.trace,
                if shape.faster {
                    "  grows faster than the open"
                } else {
                    ""
                }
            );
        }
        text
    }
}

/// Whether what is added grew by a larger factor than the open.
fn faster((open, added): (u64, i64), (open_of, added_of): (u64, i64)) -> bool {
    let factor = open as f64 / open_of.max(1) as f64;
    added as f64 > added_of.max(0) as f64 * factor.max(1.0) * TOLERANCE
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_added_may_grow_as_the_open_does() {
        assert!(!faster((2000, 200), (1000, 100)));
        assert!(!faster((1000, 109), (1000, 100)));
        assert!(faster((1000, 111), (1000, 100)));
        assert!(faster((2000, 250), (1000, 100)));
        // A cheaper open does not make the same addition grow.
        assert!(!faster((900, 100), (1000, 100)));
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
            row(RECORD, "depth=1", 1100),
            row(RECORD, "depth=8", 2150),
            row(TRACE, "depth=1", 1200),
            row(TRACE, "depth=8", 2900),
        ];
        let growth = Growth::new("6.1", &rows);
        let faster: Vec<bool> = growth.shapes.iter().map(|shape| shape.faster).collect();
        assert_eq!(faster, [false, true]);
        assert_eq!(
            (growth.shapes[1].record, growth.shapes[1].trace),
            (150, 900)
        );
        assert_eq!(growth.table().lines().count(), 3 + 2);
    }
}
