//! What came of a bench, as it is written to a file.

use lab_contract::benched::{Benched, FLOOR, UNTRACED};
use serde::{Deserialize, Serialize};

/// All of a bench.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Figures {
    /// Release of the guests' kernel.
    pub(super) kernel: String,
    pub(super) kinds: Vec<Kind>,
}

/// One kind of open.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Kind {
    /// `cached` or `wire`.
    pub(super) kind: String,
    pub(super) rows: Vec<Row>,
}

/// One way of watching it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Row {
    /// Instructions for each open.
    pub(super) per_open: u64,
    /// Over those of no tracing.
    pub(super) added: i64,
    /// Over those of empty probes.
    pub(super) over_floor: Option<i64>,
    /// Instructions of a program each time it runs.
    pub(super) per_hit: Option<u64>,
    /// Runs of programs for each open.
    pub(super) hits_per_open: f64,
    /// As it came from the guest.
    #[serde(flatten)]
    pub(super) measured: Benched,
}

impl Kind {
    /// Puts the rows in relation to the first one, and to the floor if it is among them.
    pub(super) fn new(kind: &str, measured: Vec<Benched>) -> Self {
        let of = |name: &str| {
            let row = measured
                .iter()
                .find(|row| row.way == name && row.error.is_none());
            row.map(|row| row.per_open() as i64)
        };
        let (base, floor) = (of(UNTRACED).unwrap_or(0), of(FLOOR));
        let rows = measured
            .into_iter()
            .map(|measured| Row {
                per_open: measured.per_open(),
                added: measured.per_open() as i64 - base,
                over_floor: floor.map(|floor| measured.per_open() as i64 - floor),
                per_hit: measured.per_hit(),
                hits_per_open: measured.hits_per_open(),
                measured,
            })
            .collect();
        Self {
            kind: kind.into(),
            rows,
        }
    }

    /// The row of that way, if it was measured.
    pub(super) fn row(&self, way: &str) -> Option<&Row> {
        self.rows
            .iter()
            .find(|row| row.measured.way == way && row.measured.error.is_none())
    }
}
