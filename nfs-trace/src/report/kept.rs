//! Which opens a picture shows, of more than it can: those that went otherwise than the one before
//! them first, and of either kind every second, fourth, eighth and so on. Pure.

use crate::row::Row;

/// Opens of each kind that are kept.
const MOST: usize = 8_192;

/// The opens.
#[derive(Default)]
pub struct Kept {
    new: Thinned,
    like: Thinned,
}

/// Those of one kind.
#[derive(Default)]
struct Thinned {
    rows: Vec<(u64, Row<'static>)>,
    seen: u64,
    /// Those are kept whose number has so many zeroes at its end.
    zeroes: u32,
}

impl Kept {
    /// Takes an open; `is_new`: it went otherwise than the one before it by the same name.
    pub fn take(&mut self, row: &Row, is_new: bool) {
        if is_new {
            self.new.take(row);
        } else {
            self.like.take(row);
        }
    }

    /// Those that are left, in the order in which they began.
    #[must_use]
    pub fn rows(&self) -> Vec<&Row<'static>> {
        let all = self.new.rows.iter().chain(&self.like.rows);
        let mut rows: Vec<&Row<'static>> = all.map(|(_, row)| row).collect();
        rows.sort_by_key(|row| row.ts_ns);
        rows
    }
}

impl Thinned {
    fn take(&mut self, row: &Row) {
        let number = self.seen;
        self.seen += 1;
        if number.trailing_zeros() < self.zeroes {
            return;
        }
        if self.rows.len() == MOST {
            self.zeroes += 1;
            let zeroes = self.zeroes;
            self.rows
                .retain(|(number, _)| number.trailing_zeros() >= zeroes);
            if number.trailing_zeros() < zeroes {
                return;
            }
        }
        self.rows.push((number, row.to_owned()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::testing::{OpenPath, path, session};

    /// Of 100,000 opens, one of ten new: no more than there is room for, from the first to the last.
    #[test]
    fn what_is_too_much_is_thinned_evenly() {
        let session = session();
        let mut kept = Kept::default();
        for number in 0..100_000 {
            let path = OpenPath {
                start_ns: number,
                ..path()
            };
            let row = Row::new(
                &path,
                &session,
                session.signals(),
                session.mount(path.dev),
                None,
            );
            kept.take(&row, number % 10 == 0);
        }
        let rows = kept.rows();
        let new = rows.iter().filter(|row| row.ts_ns % 10 == 0).count();
        assert_eq!((new, rows.len() - new), (5_000, 5_625));
        let gap = rows.windows(2).map(|it| it[1].ts_ns - it[0].ts_ns).max();
        assert!(gap.is_some_and(|gap| gap <= 20), "{gap:?}");
        assert_eq!(rows[0].ts_ns, 0);
    }
}
