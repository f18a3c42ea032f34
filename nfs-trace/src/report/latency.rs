//! Latency percentiles in bounded memory.

use std::collections::BTreeMap;

use hdrhistogram::Histogram;

use super::model::Latency;
use crate::trace::PathWord;

/// Digits that a percentile is exact to.
const DIGITS: u8 = 2;

/// One histogram for each open path.
#[derive(Default)]
pub(super) struct Latencies(BTreeMap<PathWord, (Histogram<u64>, u64)>);

impl Latencies {
    /// Takes note of one open.
    pub(super) fn add(&mut self, word: PathWord, ns: u64) {
        let (histogram, longest) = self.0.entry(word).or_insert_with(|| {
            let histogram = Histogram::new(DIGITS).expect("so many digits can be had");
            (histogram, 0)
        });
        // A recording may claim any time. The histogram grows as it has to: to about 60 KiB.
        if histogram.record(ns.max(1)).is_err() {
            histogram.saturating_record(ns);
        }
        *longest = ns.max(*longest);
    }

    /// The percentiles.
    pub(super) fn report(&self) -> BTreeMap<PathWord, Latency> {
        let report = |(word, (histogram, longest)): (&PathWord, &(Histogram<u64>, u64))| {
            // It rounds up to the end of a bucket, which may lie beyond what there was.
            let quantile = |q| histogram.value_at_quantile(q).min(*longest);
            let latency = Latency {
                opens: histogram.len(),
                p50_ns: quantile(0.5),
                p90_ns: quantile(0.9),
                p99_ns: quantile(0.99),
                p999_ns: quantile(0.999),
                max_ns: *longest,
            };
            (*word, latency)
        };
        self.0.iter().map(report).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_right_to_one_in_a_hundred() {
        let mut all = Latencies::default();
        for ns in 1..=100_000 {
            all.add(PathWord::Wire, ns * 10);
        }
        let found = all.report()[&PathWord::Wire];
        for (value, exact) in [
            (found.p50_ns, 500_000.0),
            (found.p90_ns, 900_000.0),
            (found.p99_ns, 990_000.0),
            (found.p999_ns, 999_000.0),
        ] {
            let off = (value as f64 - exact).abs() / exact;
            assert!(off < 0.01, "{value} for {exact}");
        }
        assert_eq!(found.max_ns, 1_000_000);
        assert_eq!(found.opens, 100_000);
    }

    #[test]
    fn any_time_is_taken() {
        let mut all = Latencies::default();
        all.add(PathWord::Cached, 0);
        all.add(PathWord::Cached, u64::MAX);
        let found = all.report()[&PathWord::Cached];
        assert_eq!((found.opens, found.max_ns), (2, u64::MAX));
        assert!(found.p50_ns <= 1);
    }
}
